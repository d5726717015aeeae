//! The same image and the same database give the same bytes, however the work was shared out.

use crate::fixture::{BASH, DEBIAN, E, STATUS, layer, write_layout};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use tidewaiter_core::advisory::{Advisory, Affected, Interval, IntervalEnd, KeyKind};
use tidewaiter_core::ecosystem::Ecosystem;
use tidewaiter_db::meta::{FeedInfo, Meta};
use tidewaiter_db::writer::{self, BuildInput};
use tidewaiter_db::{Database, matching};
use tidewaiter_scan::engine::{self, ScanOptions};
use tidewaiter_scan::limits::Limits;
use tidewaiter_scan::progress::Silent;
use tidewaiter_scan::source::oci_layout;
use tidewaiter_testkit::sha256;

/// Records that overlap: aliases of each other, several of one package, packages of several ecosystems.
fn database(path: &Path) -> Database {
    let row = |ecosystem: &str, package: &str| {
        let key = if ecosystem.starts_with("Debian") { KeyKind::Source } else { KeyKind::Binary };
        let all = Interval { introduced: None, after: false, end: IntervalEnd::Fixed("9".into()) };
        Affected { intervals: vec![all], ..Affected::new(Ecosystem::from(ecosystem), package, key) }
    };
    let advisory = |id: &str, aliases: &[&str], affected: Vec<Affected>| Advisory {
        id: id.into(),
        feed: "test".into(),
        aliases: aliases.iter().map(|alias| (*alias).to_owned()).collect(),
        affected,
        ..Advisory::default()
    };
    let advisories = vec![
        advisory("GHSA-1", &["CVE-1", "CVE-2"], vec![row("npm", "a"), row("npm", "b")]),
        advisory("GHSA-2", &["CVE-1"], vec![row("npm", "a")]),
        advisory("PYSEC-1", &["CVE-3"], vec![row("PyPI", "one"), row("PyPI", "two")]),
        advisory("GHSA-3", &["CVE-3"], vec![row("PyPI", "one")]),
        advisory("DSA-1", &["CVE-1", "CVE-4"], vec![row("Debian:12", "bash")]),
        advisory("CVE-4", &[], vec![row("Debian:12", "bash"), row("npm", "b")]),
    ];
    // No advisory covers Maven: a gap of the database.
    let feed = FeedInfo {
        name: "test".into(),
        ecosystems: ["Debian:12", "npm", "PyPI"].map(Into::into).to_vec(),
        rates: true,
        ..FeedInfo::default()
    };
    let meta = Meta { built: "2026-01-01T00:00:00Z".parse().ok(), feeds: vec![feed], ..Meta::default() };
    writer::write(path, &BuildInput { advisories, meta, ..BuildInput::default() }).unwrap();
    Database::open(path).unwrap()
}

fn layers() -> Vec<Vec<u8>> {
    let sbom = r#"{"bomFormat":"CycloneDX","components":[{"purl":"pkg:maven/org.x/y@1"},{"name":"z","version":"1"}]}"#;
    let node = r#"{"name":"a","version":"1.0.0"}"#;
    let other = r#"{"name":"b","version":"1.0.0"}"#;
    let python = |name: &str| format!("Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n");
    vec![
        layer(&[DEBIAN, E::File(STATUS, BASH), E::File("var/lib/dpkg/info/bash.list", "/bin/bash\n")]),
        layer(&[
            E::File("app/node_modules/a/package.json", node),
            E::Hardlink("app/node_modules/c/package.json", "app/node_modules/a/package.json"),
            E::File("app/node_modules/broken/package.json", "{"),
            E::File("opt/kept/b/package.json", other),
        ]),
        // What lies below a link was not kept when its layer was read.
        layer(&[E::Symlink("srv/node_modules", "/opt/kept"), E::Symlink("srv/loop", "loop")]),
        layer(&[
            E::File("usr/lib/python3/site-packages/one-1.0.dist-info/METADATA", &python("one")),
            E::File("usr/lib/python3/site-packages/x/_vendor/two-1.0.dist-info/METADATA", &python("two")),
            E::File("app/bom.json", sbom),
            E::File("app/lib/broken.jar", "PK\u{3}\u{4}"),
        ]),
        layer(&[
            E::File("app/node_modules/.wh.c", ""),
            E::File("var/lib/opkg/status", "x"),
            E::File("home/node_modules/a/package.json", node),
        ]),
        layer(&[E::File("app/node_modules/a/package.json", node), E::Dir("empty")]),
    ]
}

#[test]
fn reports_are_the_same_however_they_were_made() {
    let dir = tempfile::tempdir().unwrap();
    let db = database(&dir.path().join("db"));
    let layers = layers();
    let ids: Vec<String> = layers.iter().map(|layer| sha256(layer)).collect();
    write_layout(dir.path(), &layers, &ids);
    let report = |threads: usize| {
        let image = oci_layout::open(dir.path(), None).unwrap();
        let cancel = AtomicBool::new(false);
        let options =
            ScanOptions { limits: Limits::default(), threads, cancel: &cancel, progress: &Silent, cache: None };
        matching::match_inventory(engine::inventory(&image, &options).unwrap(), &db).unwrap()
    };
    let first = report(1);
    let kinds: BTreeSet<_> = first.inventory.packages.iter().map(|package| package.kind).collect();
    assert!(kinds.len() >= 4 && first.findings.len() >= 6 && first.inventory.gaps.len() >= 5, "{first:?}");
    let first = serde_json::to_string(&first).unwrap();
    for threads in [1, 2, 3, 8] {
        for run in 0..10 {
            assert_eq!(serde_json::to_string(&report(threads)).unwrap(), first, "{threads} threads, run {run}");
        }
    }
}
