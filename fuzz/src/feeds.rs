//! Feeds, exceptions, and the database.

use crate::images::with_file;
use crate::{Target, seeds};
use std::path::Path;
use std::sync::LazyLock;
use tidewaiter_core::advisory::KeyKind;
use tidewaiter_db::{Database, file_delta};
use tidewaiter_feeds::exceptions;
use tidewaiter_feeds::format::{FeedContext, FeedFormat};

/// What deltas begin at; made once, for it is synced to the disk.
static DATABASE: LazyLock<Vec<u8>> = LazyLock::new(seeds::database);

/// Feeds, exceptions and the database file.
pub(crate) const TARGETS: &[Target] = &[
    ("database", seeds::database, database),
    ("file-delta", seeds::file_delta, file_delta),
    ("feed-osv", seeds::osv, |b| feed("osv", "a.json", b)),
    (
        "feed-osv-yaml",
        || b"id: A\naffected:\n- package: {name: a, ecosystem: PyPI}\n  versions: ['1']\n".to_vec(),
        |b| feed("osv", "a.yaml", b),
    ),
    ("feed-csaf", seeds::csaf, |b| feed("csaf-vex", "a.json", b)),
    ("feed-oval", seeds::oval, |b| feed("oval", "a.xml", b)),
    ("feed-updateinfo", seeds::updateinfo, |b| feed("updateinfo", "a.xml", b)),
    (
        "feed-debian-git",
        || b"CVE-2023-1 (x)\n\t- a 2-1 (low; bug #1)\n\t[bookworm] - a <no-dsa> (Minor)\n".to_vec(),
        |b| feed("debian-git", "data/CVE/list", b),
    ),
    (
        "feed-debian-dsa",
        || b"[29 Mar 2023] DSA-1-1 a - x\n\t{CVE-2023-1}\n\t[bookworm] - a 1-1\n".to_vec(),
        |b| feed("debian-git", "data/DSA/list", b),
    ),
    (
        "feed-debian-tracker",
        || br#"{"a":{"CVE-1":{"releases":{"sid":{"status":"open","urgency":"low"}}}}}"#.to_vec(),
        |b| feed("debian-tracker", "a.json", b),
    ),
    (
        "feed-alpine",
        || br#"{"distroversion":"v3.18","packages":[{"pkg":{"name":"a","secfixes":{"1-r0":["CVE-1"]}}}]}"#.to_vec(),
        |b| feed("alpine-secdb", "a.json", b),
    ),
    (
        "feed-bodhi",
        || {
            br#"{"updates":[{"alias":"FEDORA-2025-1","type":"security","status":"stable","release":{"version":"40","id_prefix":
            "FEDORA"},"bugs":[{"security":true,"title":"CVE-2025-1234 a: b"}],"builds":[{"nvr":"a-1-2.fc40","epoch":1}]}]}"#
                .to_vec()
        },
        |b| feed("bodhi", "0001.json", b),
    ),
    (
        "feed-rubysec",
        || b"gem: a\ncve: 2022-1\npatched_versions:\n- '~> 2.0.9, >= 2.0.9.2'\n- '>= 2.1'\n".to_vec(),
        |b| feed("rubysec", "a.yml", b),
    ),
    (
        "feed-friendsofphp",
        || b"reference: composer://a/b\nbranches:\n  1.x:\n    versions: ['>=1', '<2']\n".to_vec(),
        |b| feed("friendsofphp", "a.yaml", b),
    ),
    (
        "feed-roave",
        || br#"{"name":"r","conflict":{"a/b":"<1.4|>=1.5,<1.6"}}"#.to_vec(),
        |b| feed("roave", "composer.json", b),
    ),
    (
        "feed-photon",
        || br#"[{"cve_id":"CVE-1","pkg":"a","cve_score":7.5,"res_ver":"1-2.ph5","status":"Fixed"}]"#.to_vec(),
        |b| feed("photon", "cve_data_photon5.0.json", b),
    ),
    (
        "feed-epss",
        || b"#score_date:2025-02-20\ncve,epss,percentile\nCVE-1,0.1,0.2\n".to_vec(),
        |b| feed("epss", "a.csv", b),
    ),
    (
        "feed-kev",
        || br#"{"vulnerabilities":[{"cveID":"CVE-1","dateAdded":"2024-01-01"}]}"#.to_vec(),
        |b| feed("kev", "a.json", b),
    ),
    (
        "feed-nvd",
        || br#"{"vulnerabilities":[{"cve":{"id":"CVE-1","metrics":{}}}]}"#.to_vec(),
        |b| feed("nvd", "a.json", b),
    ),
    (
        "feed-distro-info",
        || b"version,series,eol\n12,bookworm,2026-06-10\n".to_vec(),
        |b| feed("distro-info", "debian.csv", b),
    ),
    (
        "feed-endoflife",
        || b"---\nreleases:\n  - releaseCycle: \"9\"\n    eol: 2032-05-31\n---\n".to_vec(),
        |b| feed("endoflife", "debian.md", b),
    ),
    (
        "vex",
        || {
            br#"{"@context":"https://openvex.dev/ns","statements":[{"vulnerability":"CVE-1","status":"fixed","products":["pkg:npm/a"]}]}"#.to_vec()
        },
        |b| exception("vex.json", b),
    ),
    ("vex-csaf", seeds::csaf, |b| exception("vex.json", b)),
    (
        "grype-ignore",
        || b"ignore:\n  - vulnerability: CVE-1\n    package: {name: lib.*}\n".to_vec(),
        |b| exception(".grype.yaml", b),
    ),
    (
        "vex-cyclonedx",
        || {
            br#"{"bomFormat":"CycloneDX","vulnerabilities":[{"id":"CVE-1","analysis":{"state":"not_affected","justification":
            "code_not_present"},"affects":[{"ref":"pkg:npm/a@1"}]}]}"#
                .to_vec()
        },
        |b| exception("vex.json", b),
    ),
    ("trivyignore", || b"# why\nCVE-1 exp:2030-01-01\n".to_vec(), |b| exception(".trivyignore", b)),
    (
        "trivyignore-yaml",
        || b"vulnerabilities:\n  - id: CVE-1\n    paths: [a/*.jar]\n    expired_at: 2030-01-01\n".to_vec(),
        |b| exception(".trivyignore.yaml", b),
    ),
    (
        "osv-scanner",
        || b"[[IgnoredVulns]]\nid = \"CVE-1\"\nignoreUntil = 2030-01-01\nreason = \"r\"\n".to_vec(),
        |b| exception("osv-scanner.toml", b),
    ),
    (
        "own-exceptions",
        || b"[[exception]]\nvulnerability = \"CVE-1\"\nreason = \"r\"\nexpires = \"2030-01-01\"\n".to_vec(),
        |b| exception("tidewaiter-exceptions.toml", b),
    ),
];

fn exception(name: &str, bytes: &[u8]) {
    drop(exceptions::parse(Path::new(name), bytes));
}

/// A delta before its compression, whose checksum would stop most changes.
fn file_delta(bytes: &[u8]) {
    let Ok(dir) = tempfile::tempdir() else { return };
    let (old, new) = (dir.path().join("old"), dir.path().join("new"));
    if std::fs::write(&old, DATABASE.as_slice()).is_err() {
        return;
    }
    let (Ok(old), Ok(mut out)) = (Database::open(&old), std::fs::File::create(&new)) else { return };
    let packed = seeds::zstd(bytes);
    if file_delta::apply(&old, &mut &packed[..], &mut out, dir.path()).is_ok() {
        drop(Database::open_verified(&new));
    }
}

/// Opened without its checksum, as after an import, and asked.
fn database(bytes: &[u8]) {
    with_file(bytes, |path| {
        let Ok(db) = Database::open(path) else { return };
        for key in [KeyKind::Source, KeyKind::Binary] {
            for row in db.rows("Debian:99", key, "zlib") {
                row.spans().for_each(drop);
                let _ = (row.module(), row.covers_arch("x86_64"));
                drop(row.advisory());
            }
        }
        drop(db.cve("CVE-1"));
    });
}

/// One document of a feed, as a build reads it.
fn feed(format: &str, name: &str, bytes: &[u8]) {
    let context = FeedContext { name: "f".to_owned(), ecosystems: vec!["Debian:12".into()] };
    let mut reader = FeedFormat::named(format).expect("a row names a format").reader(&context);
    let _ = reader.document(name, &mut &*bytes, &mut |_| {});
    let _ = reader.finish();
}
