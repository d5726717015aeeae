//! `docs/report-schema.md` against a report in which every field is present: the page names each key, marks exactly the
//! optional ones, and names no key that does not exist.
#![allow(clippy::unwrap_used, reason = "a test may panic, and says why")]

use jiff::civil::date;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use tidewaiter_core::advisory::{AdvisoryClass, Epss, FixState, KnownExploited};
use tidewaiter_core::ecosystem::{AlpineBranch, ApkRepository, Os};
use tidewaiter_core::finding::{Counts, Finding, InstalledPackage, SuppressedFinding, SuppressionStatus};
use tidewaiter_core::image::{Digest, Platform};
use tidewaiter_core::package::{Location, Package, PackageType};
use tidewaiter_core::report::{
    DatabaseInfo, FeedContent, Gap, GapKind, ImageInfo, Inventory, LayerInfo, Report, SCHEMA_VERSION, SbomOrigin,
    StaleFeed, SupportPeriod,
};
use tidewaiter_core::severity::{Rating, RatingRole, Severity};

/// Lists whose elements the page describes elsewhere: they are findings, or locations.
const ELSEWHERE: [&str; 3] = ["suppressed[].finding", "informational[]", "findings[].installed[].locations[]"];

fn digest(digit: char) -> Digest {
    format!("sha256:{}", digit.to_string().repeat(64)).parse().unwrap()
}

// No literal below has `..Default::default()`: a new field does not compile until it is here, and so in the page.

fn location() -> Location {
    Location { path: "var/lib/dpkg/status".into(), layer: 0 }
}

fn inventory() -> Inventory {
    let image = ImageInfo {
        name: "registry.example/team/app:v1".into(),
        digest: digest('1'),
        index_digest: Some(digest('2')),
        config_digest: digest('3'),
        platform: Platform { os: "linux".into(), architecture: "arm64".into(), variant: Some("v8".into()) },
        base_layers: Some(1),
        sbom: Some(SbomOrigin { format: "CycloneDX 1.6".into(), digest: digest('7') }),
    };
    let layer = LayerInfo {
        digest: digest('4'),
        diff_id: digest('5'),
        size: 1000,
        created_by: Some("ADD rootfs.tar /".into()),
    };
    let os = Os {
        id: "debian".into(),
        version_id: "12".into(),
        codename: "bookworm".into(),
        cpe_name: "cpe:/o:debian:debian_linux:12".into(),
        id_like: "debian".into(),
        pretty_name: "Debian GNU/Linux 12 (bookworm)".into(),
        repositories: vec![ApkRepository { branch: AlpineBranch::Edge, tag: "edge".into() }],
    };
    let package = Package {
        kind: PackageType::Deb,
        name: "libcurl4".into(),
        version: "7.88.1-10".into(),
        arch: "arm64".into(),
        source_name: "curl".into(),
        source_version: "7.88.1-10".into(),
        vendored: true,
        own: true,
        vendor: "Debian".into(),
        module: "curl:7".into(),
        tag: "edge".into(),
        owner: "curl".into(),
        locations: vec![location()],
    };
    let gap = Gap { kind: GapKind::NotCovered, subject: "npm".into(), message: "no feed covers npm".into() };
    Inventory { image, layers: vec![layer], os: Some(os), packages: vec![package], gaps: vec![gap] }
}

fn finding() -> Finding {
    Finding {
        vulnerability: "CVE-2025-0001".into(),
        class: AdvisoryClass::Notice,
        advisory: "DSA-1".into(),
        aliases: vec!["DSA-1".into()],
        ecosystem: "Debian:12".into(),
        package: "curl".into(),
        installed_version: "7.88.1-10".into(),
        installed: vec![InstalledPackage {
            name: "libcurl4".into(),
            version: "7.88.1-10".into(),
            purl: "pkg:deb/debian/libcurl4@7.88.1-10".into(),
            locations: vec![location()],
        }],
        fixed_versions: vec!["7.88.1-11".into()],
        fix_state: FixState::Fixed,
        severity: Severity::Critical,
        severity_source: "debian".into(),
        ratings: vec![Rating {
            source: "nvd".into(),
            severity: Severity::Critical,
            score: Some(9.8),
            vector: Some("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H".into()),
            role: Some(RatingRole::Nvd),
        }],
        kev: Some(KnownExploited { since: Some(date(2025, 2, 3)) }),
        epss: Some(Epss { score: 0.42, percentile: 0.97 }),
        published: Some(date(2025, 1, 20)),
        summary: "a flaw".into(),
        references: vec!["https://advisories.example/CVE-2025-0001".into()],
        because: "curl 7.88.1-10 < 7.88.1-11 (fixed)".into(),
        feed: "debian".into(),
    }
}

fn full() -> Report {
    Report {
        schema_version: SCHEMA_VERSION,
        inventory: inventory(),
        database: DatabaseInfo {
            id: digest('6').to_string(),
            built: "2025-01-01T00:00:00Z".parse().ok(),
            stale: vec![StaleFeed {
                name: "debian".into(),
                read: "2024-12-01T00:00:00Z".parse().unwrap(),
                ecosystems: vec!["Debian:12".into()],
                content: FeedContent::Ratings,
            }],
            facts: vec![FeedContent::KnownExploited],
        },
        findings: vec![finding()],
        suppressed: vec![SuppressedFinding {
            finding: finding(),
            status: SuppressionStatus::Accepted,
            reason: "not reachable".into(),
            source: "tidewaiter-exceptions.toml".into(),
        }],
        informational: vec![finding()],
        support: Some(SupportPeriod {
            ecosystem: "Debian:12".into(),
            until: date(2026, 6, 10),
            extended_until: Some(date(2028, 6, 30)),
        }),
        counts: Counts { critical: 1, high: 0, medium: 0, low: 0, negligible: 0, unknown: 0, fixable: 1 },
        complete: false,
    }
}

/// Paths of all keys (`findings[].kev`), with the kinds of their values.
fn paths(value: &Value, prefix: &str, into: &mut BTreeMap<String, &'static str>) {
    match value {
        _ if ELSEWHERE.contains(&prefix) => {}
        Value::Object(fields) => {
            for (key, value) in fields {
                let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
                let path = if value.is_array() { path + "[]" } else { path };
                into.insert(path.clone(), kind(value));
                paths(value, &path, into);
            }
        }
        Value::Array(all) => all.iter().for_each(|value| paths(value, prefix, into)),
        _ => {}
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Object(_) => "object",
        Value::Array(_) => "list",
        Value::String(_) => "string",
        Value::Number(_) => "number",
        Value::Bool(_) => "boolean",
        Value::Null => "null",
    }
}

/// Rows of the page's tables: path → (type, whether it is marked ○).
fn documented() -> BTreeMap<String, (String, bool)> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/report-schema.md");
    let text = fs::read_to_string(file).unwrap();
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `")).map(|line| {
        let (path, rest) = line.split_once('`').unwrap();
        let mut cells = rest.split(" | ");
        let marked = cells.next().unwrap().contains('○');
        // "string (digest)" is a string.
        let kind = cells.next().unwrap();
        (path.to_owned(), (kind.split(' ').next().unwrap().to_owned(), marked))
    });
    rows.collect()
}

/// Every way to leave out one field that a reader accepts to be absent: those are the optional ones.
fn optional(value: &Value) -> BTreeSet<String> {
    let mut all = BTreeMap::new();
    paths(value, "", &mut all);
    let is_optional = |path: &&String| {
        let mut without = value.clone();
        remove(&mut without, &path.split('.').collect::<Vec<_>>());
        serde_json::from_value::<Report>(without).is_ok()
    };
    all.keys().filter(is_optional).cloned().collect()
}

fn remove(value: &mut Value, path: &[&str]) {
    match (value, path) {
        (Value::Array(all), path) => all.iter_mut().for_each(|value| remove(value, path)),
        (Value::Object(fields), [last]) => drop(fields.remove(last.trim_end_matches("[]"))),
        (Value::Object(fields), [first, rest @ ..]) => {
            fields.get_mut(first.trim_end_matches("[]")).into_iter().for_each(|value| remove(value, rest));
        }
        _ => {}
    }
}

#[test]
fn the_page_names_every_key_and_no_other() {
    let report = serde_json::to_value(full()).unwrap();
    let mut keys = BTreeMap::new();
    paths(&report, "", &mut keys);
    let page = documented();
    let missing: Vec<_> = keys.keys().filter(|key| !page.contains_key(*key)).collect();
    let invented: Vec<_> = page.keys().filter(|key| !keys.contains_key(*key)).collect();
    assert!(missing.is_empty() && invented.is_empty(), "not in the page: {missing:?}; only in the page: {invented:?}");
    for (key, kind) in &keys {
        assert_eq!(page[key].0, *kind, "the type of {key}");
    }
    let marked: BTreeSet<String> = page.into_iter().filter(|(_, (_, marked))| *marked).map(|(key, _)| key).collect();
    assert_eq!(marked, optional(&report), "the fields marked ○, and those that may be absent");
}

#[test]
fn the_page_names_every_value_of_the_enumerations() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/report-schema.md");
    let page = fs::read_to_string(file).unwrap();
    let check = |value: Value| {
        let name = value.as_str().unwrap().to_owned();
        assert!(page.contains(&format!("`{name}`")), "{name} is not in the page");
    };
    let gaps = [
        GapKind::UnsupportedOs,
        GapKind::NoPackageDatabase,
        GapKind::UnreadableFile,
        GapKind::LimitReached,
        GapKind::NotCovered,
        GapKind::NotRated,
        GapKind::Unversioned,
        GapKind::Unclear,
        GapKind::NothingRecognized,
    ];
    gaps.iter().for_each(|kind| check(serde_json::to_value(kind).unwrap()));
    Severity::WORST_FIRST.iter().for_each(|severity| check(serde_json::to_value(severity).unwrap()));
    let states = [
        FixState::Fixed,
        FixState::NotFixed,
        FixState::WontFix,
        FixState::Deferred,
        FixState::EndOfLife,
        FixState::Unknown,
    ];
    states.iter().for_each(|state| check(serde_json::to_value(state).unwrap()));
    let statuses = [SuppressionStatus::NotAffected, SuppressionStatus::Fixed, SuppressionStatus::Accepted];
    statuses.iter().for_each(|status| check(serde_json::to_value(status).unwrap()));
    let classes = [AdvisoryClass::Malware, AdvisoryClass::Unmaintained, AdvisoryClass::Unsound, AdvisoryClass::Notice];
    classes.iter().for_each(|class| check(serde_json::to_value(class).unwrap()));
}

#[test]
fn a_full_report_reads_as_it_was_written() {
    let text = serde_json::to_string_pretty(&full()).unwrap();
    insta::assert_snapshot!("full_report", text);
    assert_eq!(serde_json::from_str::<Report>(&text).unwrap(), full());
}
