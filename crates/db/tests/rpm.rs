//! Rpm: modules, architectures, epochs, other vendors' packages.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::Path;
use tidewaiter_core::advisory::{Advisory, Affected, CveFacts, Epss, KeyKind, ModuleScope};
use tidewaiter_core::ecosystem::{Ecosystem, Os};
use tidewaiter_core::image::Digest;
use tidewaiter_core::package::{Package, PackageType};
use tidewaiter_core::report::{GapKind, ImageInfo, Inventory, Report};
use tidewaiter_core::severity::{Rating, Severity};
use tidewaiter_db::meta::{FeedInfo, Meta};
use tidewaiter_db::writer::{self, BuildInput};
use tidewaiter_db::{Database, matching};

fn row(package: &str, fixed: &str, module: ModuleScope) -> Affected {
    let row = Affected::new(Ecosystem::from("AlmaLinux:9"), package, KeyKind::Binary).fixed_in(fixed);
    Affected { module, ..row }
}

fn streams(names: &[&str]) -> ModuleScope {
    ModuleScope::Streams(names.iter().map(|n| (*n).to_owned()).collect())
}

fn advisory(id: &str, cves: &[&str], affected: Vec<Affected>) -> Advisory {
    let rating = Rating::of_level("almalinux", Severity::High);
    Advisory {
        id: id.into(),
        feed: "almalinux".into(),
        upstream: cves.iter().map(|c| (*c).to_owned()).collect(),
        ratings: vec![rating],
        affected,
        ..Advisory::default()
    }
}

fn rpm(name: &str, version: &str, source: &str, module: &str) -> Package {
    let (source_name, source_version) = source.split_once(' ').unwrap_or_default();
    Package {
        arch: "x86_64".into(),
        source_name: source_name.into(),
        source_version: source_version.into(),
        vendor: "AlmaLinux".into(),
        module: module.into(),
        ..Package::new(PackageType::Rpm, name, version)
    }
}

fn database(folder: &Path, advisories: Vec<Advisory>) -> Database {
    let path = folder.join("db");
    let feed = FeedInfo {
        name: "almalinux".into(),
        ecosystems: vec!["AlmaLinux:9".into()],
        rates: true,
        ..FeedInfo::default()
    };
    let facts = CveFacts {
        ratings: vec![],
        kev: Some("2024-01-01".to_owned().into()),
        epss: Some(Epss { score: 0.5, percentile: 0.9 }),
        published: None,
    };
    let cves = [("CVE-2".to_owned(), facts)].into();
    let meta = Meta { feeds: vec![feed], ..Meta::default() };
    writer::write(&path, &BuildInput { advisories, cves, meta }).unwrap();
    Database::open_verified(&path).unwrap()
}

fn report(advisories: Vec<Advisory>, packages: Vec<Package>) -> Report {
    let dir = tempfile::tempdir().unwrap();
    let digest = Digest::from_sha256([0; 32]);
    let image = ImageInfo::new("x", digest.clone(), digest, "linux/amd64".parse().unwrap());
    let os = Os { id: "almalinux".into(), version_id: "9.4".into(), ..Os::default() };
    let inventory = Inventory { image, layers: vec![], os: Some(os), packages, gaps: vec![] };
    matching::match_inventory(inventory, &database(dir.path(), advisories)).unwrap()
}

#[test]
fn binaries_of_one_source_are_one_finding_for_each_cve() {
    let rows = ["openssl", "openssl-libs"].map(|n| row(n, "1:3.0.1-43.el9_0", ModuleScope::Outside)).to_vec();
    let source = "openssl 1:3.0.1-41.el9_0";
    let packages = vec![
        rpm("openssl", "1:3.0.1-41.el9_0", source, ""),
        rpm("openssl-libs", "1:3.0.1-41.el9_0", source, ""),
        rpm("openssl-perl", "1:3.0.1-41.el9_0", source, ""),
    ];
    let report = report(vec![advisory("ALSA-1", &["CVE-1", "CVE-2"], rows)], packages);
    let found: Vec<_> = report.findings.iter().map(|f| (f.vulnerability.as_str(), f.package.as_str())).collect();
    assert_eq!(found, [("CVE-1", "openssl"), ("CVE-2", "openssl")]);
    let last = &report.findings[1];
    assert_eq!(last.installed.iter().map(|i| i.name.as_str()).collect::<Vec<_>>(), ["openssl", "openssl-libs"]);
    assert_eq!((last.advisory.as_str(), last.fixed_versions.as_slice()), ("ALSA-1", &["1:3.0.1-43.el9_0".into()][..]));
    assert_eq!(
        (last.severity, last.kev.map(String::from).as_deref(), last.epss.map(|e| e.score)),
        (Severity::High, Some("2024-01-01"), Some(0.5))
    );
    assert_eq!(report.findings[0].kev, None, "one CVE's facts are not another's");
    assert!(report.complete, "{:?}", report.inventory.gaps);
}

#[test]
fn modules_match_their_own_stream_only() {
    let build = |v: &str| format!("1:{v}-1.module_el9.4.0+1+a");
    let check = |module: ModuleScope, fixed: &str, label: &str, version: &str, findings: usize, gaps: &[GapKind]| {
        let version = if version.contains('-') { version.to_owned() } else { build(version) };
        let fixed = if fixed.contains('-') { fixed.to_owned() } else { build(fixed) };
        let advisories = vec![advisory("ALSA-1", &["CVE-1"], vec![row("nodejs", &fixed, module.clone())])];
        let report = report(advisories, vec![rpm("nodejs", &version, "", label)]);
        assert_eq!(report.findings.len(), findings, "{module:?} {label} {version}");
        assert_eq!(report.inventory.gaps.iter().map(|g| g.kind).collect::<Vec<_>>(), gaps, "{module:?} {label}");
    };
    let twenty = || streams(&["nodejs:20"]);
    check(twenty(), "20.2.0", "nodejs:20", "20.1.0", 1, &[]);
    check(twenty(), "20.2.0", "nodejs:20", "20.2.0", 0, &[]);
    check(twenty(), "20.2.0", "nodejs:18", "18.1.0", 0, &[]);
    check(streams(&["idm:DL1", "nodejs:18"]), "18.2.0", "nodejs:18", "18.1.0", 1, &[]);
    // Outside of modules: the other way round.
    check(twenty(), "20.2.0", "", "1:16.1.0-1.el9", 0, &[]);
    check(ModuleScope::Outside, "1:16.2.0-1.el9", "nodejs:16", "16.1.0", 0, &[]);
    check(ModuleScope::Outside, "1:16.2.0-1.el9", "", "1:16.1.0-1.el9", 1, &[]);
    // Neither invented nor lost.
    check(ModuleScope::Unnamed, "20.2.0", "nodejs:20", "20.1.0", 0, &[GapKind::Unclear]);
    check(ModuleScope::Unnamed, "20.2.0", "nodejs:20", "20.3.0", 0, &[]);
    check(ModuleScope::Unnamed, "20.2.0", "", "1:16.1.0-1.el9", 0, &[]);
    // Built in a module, and no label tells which.
    check(twenty(), "20.2.0", "", "20.1.0", 1, &[]);
    check(twenty(), "20.2.0", "", "18.1.0", 0, &[]);
    check(streams(&["tools:rhel8"]), "20.2.0", "", "18.1.0", 0, &[GapKind::Unclear]);
}

#[test]
fn denials_of_an_unclear_stream_hide_nothing() {
    let build = "1:20.1.0-1.module_el9.4.0+1+a";
    let check = |module: ModuleScope, label: &str, findings: usize| {
        let fixed = row("nodejs", "1:20.2.0-1.module_el9.4.0+1+a", streams(&["nodejs:20"]));
        let never = Affected { never_affected: true, intervals: vec![], ..row("nodejs", "1", module.clone()) };
        let advisories = vec![advisory("A-1", &["CVE-1"], vec![fixed]), advisory("A-2", &["CVE-1"], vec![never])];
        let report = report(advisories, vec![rpm("nodejs", build, "", label)]);
        assert_eq!(report.findings.len(), findings, "{module:?} {label}");
    };
    check(streams(&["nodejs:20"]), "nodejs:20", 0);
    check(ModuleScope::Unnamed, "nodejs:20", 1);
    check(streams(&["tools:rhel8"]), "", 1);
}

#[test]
fn architectures_and_epochs_limit_rows() {
    let check = |row: Affected, package: Package, expected: usize| {
        let report = report(vec![advisory("A-1", &["CVE-1"], vec![row])], vec![package.clone()]);
        assert_eq!(report.findings.len(), expected, "{package:?}");
    };
    let arch = |arch: &str| Affected { arches: vec![arch.into()], ..row("a", "2-1.el9", ModuleScope::Outside) };
    check(arch("x86_64"), rpm("a", "1-1.el9", "", ""), 1);
    check(arch("aarch64"), rpm("a", "1-1.el9", "", ""), 0);
    check(arch("aarch64"), Package { arch: "noarch".into(), ..rpm("a", "1-1.el9", "", "") }, 1);
    check(row("a", "1:1-1.el9", ModuleScope::Outside), rpm("a", "9-1.el9", "", ""), 1);
    let source = |fixed: &str| Affected { key: KeyKind::Source, ..row("src", fixed, ModuleScope::Outside) };
    check(source("4:5.26.3-420"), rpm("a", "0:1.10-420", "src 5.26.3-419", ""), 1);
    check(source("4:5.26.3-420"), rpm("a", "0:1.10-420", "src 5.26.3-420", ""), 0);
    check(source("4:5.26.3-420"), rpm("a", "5.26.3-421", "src 5.26.3-421", ""), 1);
}

#[test]
fn the_advisory_of_the_installed_minor_release_counts() {
    let plain = |fixed: &str| row("kernel-core", fixed, ModuleScope::Outside);
    let advisories = || {
        vec![
            advisory("ALSA-1", &["CVE-1"], vec![plain("5.14.0-427.40.1.el9_4")]),
            advisory("ALSA-2", &["CVE-1"], vec![plain("5.14.0-503.11.1.el9_5")]),
            advisory("ALSA-3", &["CVE-3"], vec![plain("5.14.0-503.11.1.el9_5")]),
        ]
    };
    let check = |version: &str, expected: &[&str]| {
        let report = report(advisories(), vec![rpm("kernel-core", version, "", "")]);
        let found: Vec<&str> = report.findings.iter().map(|f| f.vulnerability.as_str()).collect();
        assert_eq!(found, expected, "{version}");
        // What explains a finding, or its absence, says the same.
        let dir = tempfile::tempdir().unwrap();
        let database = database(dir.path(), advisories());
        let explained = matching::explain(&report.inventory, &database, "CVE-1").unwrap();
        assert_eq!(explained.iter().any(|row| row.applies), expected.contains(&"CVE-1"), "{explained:?}");
        let denied = explained.iter().find(|row| row.because.contains("the fix that another record names"));
        assert_eq!(denied.is_some(), version.contains("427.4"), "{explained:?}");
    };
    check("5.14.0-427.13.1.el9_4", &["CVE-1", "CVE-3"]);
    check("5.14.0-427.40.1.el9_4", &["CVE-3"]);
    check("5.14.0-427.42.1.el9_4", &["CVE-3"]);
    check("5.14.0-362.8.1.el9_3", &["CVE-1", "CVE-3"]);
    check("5.14.0-503.11.1.el9_5", &[]);
    check("5.14.0-570.el9_6", &[]);
}

#[test]
fn other_vendors_packages_are_named_and_not_matched() {
    let advisories = vec![advisory("ALSA-1", &["CVE-1"], vec![row("docker", "3-1", ModuleScope::Outside)])];
    let package = Package { vendor: "Docker".into(), ..rpm("docker", "2-1", "", "") };
    let report = report(advisories, vec![package, rpm("zlib", "1-1", "", "")]);
    assert_eq!(report.findings.len(), 0);
    let gaps: Vec<_> = report.inventory.gaps.iter().map(|g| (g.kind, g.subject.as_str())).collect();
    assert_eq!(gaps, [(GapKind::NotCovered, "Docker")]);
}

#[test]
fn ecosystems_without_an_order_are_named() {
    for (kind, name) in [(PackageType::Luarocks, "LuaRocks"), (PackageType::Conda, "conda")] {
        let package = Package { kind, ..rpm("a", "1.0", "", "") };
        let report =
            report(vec![advisory("ALSA-1", &["CVE-1"], vec![row("x", "1-1", ModuleScope::Outside)])], vec![package]);
        let gaps: Vec<_> = report.inventory.gaps.iter().map(|g| (g.kind, g.subject.as_str())).collect();
        assert_eq!(gaps, [(GapKind::NotCovered, name)]);
    }
}

#[test]
fn packages_of_amazons_extras_are_judged_by_their_topic_alone() {
    let dir = tempfile::tempdir().unwrap();
    let (core, topic) = ("Amazon Linux:2", "Amazon Linux:2:kernel-5.10");
    let kernel = |ecosystem: &str, fixed: &str| {
        Affected::new(Ecosystem::from(ecosystem), "kernel", KeyKind::Binary).fixed_in(fixed)
    };
    let advisories = vec![
        advisory("ALAS2-1", &["CVE-1"], vec![kernel(core, "4.14.300-1.amzn2")]),
        advisory("ALASKERNEL-5.10-1", &["CVE-1"], vec![kernel(topic, "5.10.200-1.amzn2")]),
    ];
    let feed = |ecosystem: &str| FeedInfo {
        name: ecosystem.into(),
        ecosystems: vec![ecosystem.into()],
        rates: true,
        ..FeedInfo::default()
    };
    let meta = Meta { feeds: vec![feed(core), feed(topic)], ..Meta::default() };
    writer::write(&dir.path().join("db"), &BuildInput { advisories, meta, ..BuildInput::default() }).unwrap();
    let database = Database::open_verified(&dir.path().join("db")).unwrap();
    let check = |version: &str, tag: &str, expected: &[&str]| {
        let digest = Digest::from_sha256([0; 32]);
        let inventory = Inventory {
            image: ImageInfo::new("x", digest.clone(), digest, "linux/amd64".parse().unwrap()),
            layers: vec![],
            os: Some(Os { id: "amzn".into(), version_id: "2".into(), ..Os::default() }),
            packages: vec![Package { tag: tag.into(), ..Package::new(PackageType::Rpm, "kernel", version) }],
            gaps: vec![],
        };
        let report = matching::match_inventory(inventory, &database).unwrap();
        let found = report.findings.iter().map(|f| f.fixed_versions.join(","));
        let gaps = report.inventory.gaps.iter().map(|gap| format!("gap {}", gap.subject));
        assert_eq!(found.chain(gaps).collect::<Vec<_>>(), expected, "{version} {tag}");
    };
    check("4.14.299-1.amzn2", "", &["4.14.300-1.amzn2"]);
    check("5.10.199-1.amzn2", "amzn2extra-kernel-5.10", &["5.10.200-1.amzn2"]);
    check("5.10.200-1.amzn2", "amzn2extra-kernel-5.10", &[]);
    // Nothing says that its advisories are known.
    check("5.4.1-1.amzn2", "amzn2extra-kernel-5.4", &["gap Amazon Linux:2:kernel-5.4"]);
}
