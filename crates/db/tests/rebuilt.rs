//! Images with packages that Root and TuxCare built again.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

use std::path::Path;
use tidewaiter_core::advisory::{Advisory, Affected, FixState, Interval, IntervalEnd, KeyKind};
use tidewaiter_core::ecosystem::{Ecosystem, Os};
use tidewaiter_core::image::Digest;
use tidewaiter_core::package::{Location, Package, PackageType};
use tidewaiter_core::report::{ImageInfo, Inventory, Report};
use tidewaiter_core::version::VersionScheme;
use tidewaiter_db::Database;
use tidewaiter_db::delta::Delta;
use tidewaiter_db::matching::{self, Rematched};
use tidewaiter_db::meta::{FeedInfo, Meta};
use tidewaiter_db::writer::{self, BuildInput};

/// Ecosystem, package, CVE and the version with the fix, or a range: see [`affected`].
type Fix = (&'static str, &'static str, &'static str, &'static str);

/// The highest number of a CVE in the records.
const CVES: usize = 25;

const FIXES: &[Fix] = &[
    // Root was first, and Debian later.
    ("Debian:12", "curl", "CVE-1", "7.88.1-10+deb12u15"),
    ("Root:Debian:12", "curl", "CVE-1", "7.88.1-10+deb12u14.root.io.3"),
    // Debian was first: Root's builds of later versions have its fix.
    ("Debian:12", "jq", "CVE-2", "1.6-2.1+deb12u1"),
    ("Root:Debian:12", "jq", "CVE-2", "1.6-2.1.root.io.2"),
    // Each alone.
    ("Debian:12", "curl", "CVE-3", "7.88.1-10+deb12u16"),
    ("Root:Debian:12", "curl", "CVE-4", "7.88.1-10+deb12u14.root.io.5"),
    // Fixed twice.
    ("Debian:12", "zlib", "CVE-5", "2-1"),
    ("Root:Debian:12", "zlib", "CVE-5", "1-1.root.io.1"),
    ("Root:Debian:12", "zlib", "CVE-5", "1-1.root.io.3"),
    ("Alpine:v3.18", "openssl", "CVE-6", "3.1.9-r0"),
    ("Root:Alpine:3.18", "openssl", "CVE-6", "3.1.8-r00073"),
    ("npm", "semver", "CVE-7", "7.5.2"),
    ("TuxCare:npm", "semver", "CVE-7", "5.0.3-tuxcare.1"),
    ("Root:npm", "semver", "CVE-7", "7.3.2-root.io.2"),
    // TuxCare's record of a package that never had it.
    ("TuxCare:npm", "semver", "CVE-8", "5.0.3-tuxcare.9"),
    ("Packagist", "symfony/mime", "CVE-9", "7.4.10"),
    ("TuxCare:Packagist", "symfony/mime", "CVE-9", "v7.4.9-p1+tuxcare"),
    // The fix of a later minor release, and one that TuxCare alone has.
    ("AlmaLinux:9", "squid", "CVE-10", "7:5.5-6.el9_3.5"),
    ("TuxCare:AlmaLinux:9.2", "squid", "CVE-10", "7:5.5-5.el9_2.1.tuxcare.els1"),
    ("TuxCare:AlmaLinux:9.2", "squid", "CVE-11", "7:5.5-5.el9_2.1.tuxcare.els2"),
    ("AlmaLinux:9", "squid-tools", "CVE-10", "7:5.5-6.el9_3.5"),
    ("PyPI", "requests", "CVE-12", "2.31.0"),
    // Fixes of the original that sort below builds of what was before them.
    ("Ubuntu:18.04:LTS", "squid", "CVE-13", "3.5.27-1ubuntu1.14+esm1"),
    ("TuxCare:Ubuntu:18.04", "squid", "CVE-13", "3.5.27-1ubuntu1.14+tuxcare.els3"),
    ("Alpine:v3.18", "zlib", "CVE-14", "1.2-r5"),
    ("Root:Alpine:3.18", "zlib", "CVE-14", "1.2-r00073"),
    // Root's mark was `root.io` first, and is `aikido`.
    ("Debian:12", "nano", "CVE-15", "7.2-2"),
    ("Root:Debian:12", "nano", "CVE-15", "7.2-1.root.io.5"),
    ("Root:Debian:12", "nano", "CVE-16", "7.2-1.aikido.2"),
    ("npm", "axios", "CVE-17", "1.16.0"),
    ("Root:npm", "axios", "CVE-17", "1.15.0-aikido.2"),
    // Bounds that are the original's version.
    ("npm", "introduced", "CVE-18", ">= 5.0.3 < 6.0.0"),
    ("Maven", "x:last", "CVE-19", "<= 2.9.0"),
    ("PyPI", "last", "CVE-20", "<= 8.4.0"),
    ("npm", "exact", "CVE-21", "= 5.0.3"),
    ("npm", "fixed", "CVE-22", "7.5.2"),
    // Of live patching: no version of another build compares with it.
    ("Oracle Linux:7", "openssl", "CVE-23", "1:1.0.2k-18.ksplice1.el7"),
    ("TuxCare:OracleLinux:7", "openssl", "CVE-23", "1:1.0.2k-19.0.1.el7.tuxcare.els2"),
    // Ranges of the builder's.
    ("Debian:12", "tar", "CVE-24", "1.35-9"),
    ("Root:Debian:12", "tar", "CVE-24", ">= 1.34-2.root.io.1 < 1.34-2.root.io.3"),
    ("Debian:12", "sed", "CVE-25", "4.9-9"),
    ("Root:Debian:12", "sed", "CVE-25", "limit 4.9-1.root.io.1"),
];

/// Whether rows of an ecosystem are keyed by source packages.
fn key(ecosystem: &Ecosystem) -> KeyKind {
    let is_source = matches!(ecosystem.version_scheme(), Some(VersionScheme::Deb | VersionScheme::Apk));
    if is_source { KeyKind::Source } else { KeyKind::Binary }
}

/// A row, by the version with the fix, or by a range: `>= LOW < FIXED`, `<= LAST`, `= VERSION`, `limit VERSION`.
fn affected(ecosystem: &Ecosystem, package: &str, range: &str) -> Affected {
    let row = Affected::new(ecosystem.clone(), package, key(ecosystem));
    match range.split(' ').collect::<Vec<_>>()[..] {
        [">=", low, "<", fixed] => {
            let end = IntervalEnd::Fixed(fixed.to_owned());
            let interval = Interval { introduced: Some(low.to_owned()), ..Interval::until(end) };
            Affected { intervals: vec![interval], fix_state: FixState::Fixed, ..row }
        }
        ["<=", last] => {
            Affected { intervals: vec![Interval::until(IntervalEnd::LastAffected(last.to_owned()))], ..row }
        }
        ["=", version] => Affected { versions: vec![version.to_owned()], ..row },
        ["limit", version] => Affected { fix_state: FixState::NotFixed, ..row.fixed_in(version) },
        [fixed] => row.fixed_in(fixed),
        _ => panic!("{range}"),
    }
}

fn advisory((number, (ecosystem, package, cve, range)): (usize, &Fix)) -> Advisory {
    let ecosystem = Ecosystem::from(*ecosystem);
    let row = affected(&ecosystem, package, range);
    Advisory {
        id: format!("{ecosystem}-{number}"),
        upstream: vec![(*cve).to_owned()],
        feed: ecosystem.base().to_string(),
        affected: vec![row],
        ..Advisory::default()
    }
}

fn database(path: &Path, fixes: &[Fix]) -> Database {
    let feed = |(ecosystem, ..): &Fix| FeedInfo {
        name: (*ecosystem).to_owned(),
        ecosystems: vec![Ecosystem::from(*ecosystem).canonical()],
        rates: true,
        ..FeedInfo::default()
    };
    let meta = Meta { feeds: fixes.iter().map(feed).collect(), ..Meta::default() };
    let advisories = fixes.iter().enumerate().map(advisory).collect();
    writer::write(path, &BuildInput { advisories, meta, ..BuildInput::default() }).unwrap();
    Database::open_verified(path).unwrap()
}

/// The system is `ID VERSION`, a package `NAME VERSION` or `NAME VERSION VENDOR`.
fn inventory(system: &str, kind: PackageType, packages: &[&str]) -> Inventory {
    let (id, version_id) = system.split_once(' ').unwrap();
    let os = Os { id: id.to_owned(), version_id: version_id.to_owned(), ..Os::default() };
    let package = |text: &&str| {
        let mut fields = text.split(' ');
        let (name, version) = (fields.next().unwrap(), fields.next().unwrap());
        let vendor = fields.next().unwrap_or_default().to_owned();
        let locations = vec![Location { path: "a/database".to_owned(), layer: 0 }];
        Package { vendor, locations, ..Package::new(kind, name, version) }
    };
    let digest = Digest::from_sha256([0; 32]);
    Inventory {
        image: ImageInfo::new("x", digest.clone(), digest, "linux/amd64".parse().unwrap()),
        layers: vec![],
        os: Some(os),
        packages: packages.iter().map(package).collect(),
        gaps: vec![],
    }
}

/// "CVE ecosystem: fixes" of each finding, and the message of each gap.
fn said(report: &Report) -> Vec<String> {
    let finding = |f: &tidewaiter_core::finding::Finding| {
        format!("{} {}: {}", f.vulnerability, f.ecosystem, f.fixed_versions.join(", "))
    };
    let gaps = report.inventory.gaps.iter().map(|gap| gap.message.clone());
    report.findings.iter().map(finding).chain(gaps).collect()
}

/// Checks what is said of a package, and that what explains a finding, or its absence, says the same.
fn check(db: &Database, system: &str, kind: PackageType, package: &str, expected: &[&str]) {
    check_all(db, inventory(system, kind, &[package]), expected);
}

fn check_all(db: &Database, inventory: Inventory, expected: &[&str]) {
    let names: Vec<_> = inventory.packages.iter().map(|p| format!("{} {}", p.name, p.version)).collect();
    let report = matching::match_inventory(inventory, db).unwrap();
    assert_eq!(said(&report), expected, "{names:?}");
    for number in 1..=CVES {
        let cve = format!("CVE-{number}");
        let explained = matching::explain(&report.inventory, db, &cve).unwrap();
        let found = report.findings.iter().any(|finding| finding.vulnerability == cve);
        assert_eq!(explained.iter().any(|row| row.applies), found, "{names:?} {explained:?}");
    }
    // Each names what is installed.
    assert!(report.findings.iter().all(|finding| !finding.installed.is_empty()), "{names:?}");
}

#[test]
fn a_build_is_judged_by_its_original_and_its_builder() {
    let dir = tempfile::tempdir().unwrap();
    let db = database(&dir.path().join("db"), FIXES);
    let check = |system: &str, kind: PackageType, package: &str, expected: &[&str]| {
        check(&db, system, kind, package, expected);
    };
    let debian = |package: &str, expected: &[&str]| check("debian 12", PackageType::Deb, package, expected);
    let later = "CVE-3 Debian:12: 7.88.1-10+deb12u16";
    let own = "CVE-4 Root:Debian:12: 7.88.1-10+deb12u14.root.io.5";
    // The fixes of Root are in its builds alone, whatever they are called, and either fix can be installed.
    debian("curl 7.88.1-10+deb12u14", &["CVE-1 Debian:12: 7.88.1-10+deb12u15", later]);
    let both = "CVE-1 Debian:12: 7.88.1-10+deb12u15, 7.88.1-10+deb12u14.root.io.3";
    debian("curl 7.88.1-10+deb12u14.root.io.2", &[both, later, own]);
    debian("curl 7.88.1-10+deb12u14.root.io.3", &[later, own]);
    debian("rootio-curl 7.88.1-10+deb12u14.root.io.3", &[later, own]);
    debian("rootio-curl 7.88.1-10+deb12u14.root.io.5", &[later]);
    // The original's fix is in what is built of it, also where Root's own version is a higher one.
    debian("jq 1.6-2.1", &["CVE-2 Debian:12: 1.6-2.1+deb12u1"]);
    debian("jq 1.6-2.1.root.io.1", &["CVE-2 Debian:12: 1.6-2.1+deb12u1, 1.6-2.1.root.io.2"]);
    debian("jq 1.6-2.1.root.io.2", &[]);
    debian("jq 1.6-2.1+deb12u1.root.io.1", &[]);
    debian("zlib 1-1.root.io.2", &["CVE-5 Debian:12: 2-1, 1-1.root.io.3"]);
    debian("zlib 1-1.root.io.3", &[]);
    // A release that no feed covers.
    let gap = |ecosystem: &str| format!("no feed of the database is complete for {ecosystem}; add one to feeds.toml");
    check("debian 11", PackageType::Deb, "curl 7.1.root.io.1", &[&gap("Debian:11"), &gap("Root:Debian:11")]);
    let alpine = |package: &str, expected: &[&str]| check("alpine 3.18.4", PackageType::Apk, package, expected);
    alpine("openssl 3.1.8-r0", &["CVE-6 Alpine:v3.18: 3.1.9-r0"]);
    alpine("rootio-openssl 3.1.8-r00073", &[]);
    let npm = |package: &str, expected: &[&str]| check("debian 12", PackageType::Npm, package, expected);
    let unfixed = "CVE-7 npm: 7.5.2";
    npm("semver 5.0.3", &[unfixed]);
    npm("semver 5.0.3-tuxcare.1", &[]);
    npm("semver 5.0.3-tuxcare.2", &[]);
    // Of another version: nothing is known of its fixes.
    npm("semver 5.7.1-tuxcare.1", &[unfixed]);
    npm("@rootio/semver 7.3.2-root.io.1", &[unfixed]);
    npm("@rootio/semver 7.3.2-root.io.2", &[]);
    npm("@rootio/semver 7.4.0-root.io.2", &[unfixed]);
    npm(
        "@els-js/lodash 4.17.19-tuxcare.2",
        &[
            "@els-js/lodash is a package that TuxCare built again, and its original is not known; check it by other means",
        ],
    );
    let composer = |package: &str, expected: &[&str]| check("debian 12", PackageType::Composer, package, expected);
    composer("symfony/mime v7.4.9-p1+tuxcare", &[]);
    composer("symfony/mime v7.4.8-p1+tuxcare", &["CVE-9 Packagist: 7.4.10"]);
    // Without a record of Root's, the original's counts.
    check("debian 12", PackageType::Pypi, "rootio_requests 2.28.0+root.io.1", &["CVE-12 PyPI: 2.31.0"]);
    let rpm = |package: &str, expected: &[&str]| check("almalinux 9.2", PackageType::Rpm, package, expected);
    let second = "CVE-11 TuxCare:AlmaLinux:9.2: 7:5.5-5.el9_2.1.tuxcare.els2";
    rpm("squid 7:5.5-5.el9_2.1 AlmaLinux", &["CVE-10 AlmaLinux:9: 7:5.5-6.el9_3.5"]);
    rpm("squid 7:5.5-5.el9_2.1.tuxcare.els1 CloudLinux", &[second]);
    rpm("squid 7:5.5-5.el9_2.1.tuxcare.els2 CloudLinux", &[]);
}

#[test]
fn the_original_is_asked_for_its_own_version() {
    let dir = tempfile::tempdir().unwrap();
    let db = database(&dir.path().join("db"), FIXES);
    let ubuntu = |package: &str, expected: &[&str]| check(&db, "ubuntu 18.04", PackageType::Deb, package, expected);
    let both = "CVE-13 Ubuntu:18.04:LTS: 3.5.27-1ubuntu1.14+esm1, 3.5.27-1ubuntu1.14+tuxcare.els3";
    ubuntu("squid 3.5.27-1ubuntu1.14+tuxcare.els1", &[both]);
    ubuntu("squid 3.5.27-1ubuntu1.14+tuxcare.els3", &[]);
    ubuntu("squid 3.5.27-1ubuntu1.14+esm1+tuxcare.els1", &[]);
    let alpine = |package: &str, expected: &[&str]| check(&db, "alpine 3.18.4", PackageType::Apk, package, expected);
    alpine("zlib 1.2-r00071", &["CVE-14 Alpine:v3.18: 1.2-r5, 1.2-r00073"]);
    alpine("zlib 1.2-r00073", &[]);
    alpine("zlib 1.2-r50071", &[]);
    // Somebody's build: the digits are above the distribution's fix, and say nothing of it.
    let unknown = "zlib has version \"1.2-r00171\", whose revision is of a build by others than the distribution; check it yourself";
    alpine("zlib 1.2-r00171", &[unknown]);
    alpine("zlib 1.2-r0017", &[]);
    let language = |kind: PackageType, package: &str, expected: &[&str]| {
        check(&db, "debian 12", kind, package, expected);
    };
    language(PackageType::Npm, "introduced 5.0.3-tuxcare.1", &["CVE-18 npm: 6.0.0"]);
    language(PackageType::Npm, "introduced 5.0.2-tuxcare.1", &[]);
    language(PackageType::Maven, "x:last 2.9.0.tuxcare.1", &["CVE-19 Maven: "]);
    language(PackageType::Maven, "x:last 2.9.1.tuxcare.1", &[]);
    language(PackageType::Pypi, "last 8.4.0.post1+tuxcare", &["CVE-20 PyPI: "]);
    language(PackageType::Npm, "exact 5.0.3-tuxcare.1", &["CVE-21 npm: "]);
    language(PackageType::Npm, "fixed 7.5.1-root.io.1", &["CVE-22 npm: 7.5.2"]);
    language(PackageType::Npm, "fixed 7.5.2-root.io.1", &[]);
    let oracle = |package: &str, expected: &[&str]| check(&db, "ol 7.9", PackageType::Rpm, package, expected);
    let fix = "CVE-23 TuxCare:OracleLinux:7: 1:1.0.2k-19.0.1.el7.tuxcare.els2";
    oracle("openssl 1:1.0.2k-19.0.1.el7.tuxcare.els1 CloudLinux", &[fix]);
    oracle("openssl 1:1.0.2k-19.0.1.el7.tuxcare.els2 CloudLinux", &[]);
}

#[test]
fn a_builder_speaks_of_the_builds_that_its_records_cover() {
    let dir = tempfile::tempdir().unwrap();
    let db = database(&dir.path().join("db"), FIXES);
    let debian = |package: &str, expected: &[&str]| check(&db, "debian 12", PackageType::Deb, package, expected);
    let npm = |package: &str, expected: &[&str]| check(&db, "debian 12", PackageType::Npm, package, expected);
    // Builds with Aikido's mark are later than those with Root's, which no order of versions says.
    let second = "CVE-16 Root:Debian:12: 7.2-1.aikido.2";
    debian("nano 7.2-1.root.io.4", &["CVE-15 Debian:12: 7.2-2, 7.2-1.root.io.5", second]);
    debian("nano 7.2-1.root.io.7", &[second]);
    debian("nano 7.2-1.aikido.1", &[second]);
    debian("nano 7.2-1.aikido.2", &[]);
    npm("axios 1.15.0-root.io.7", &["CVE-17 npm: 1.16.0"]);
    npm("axios 1.15.0-aikido.2", &[]);
    // A name is no mark: what was fixed in it is not known.
    npm("@rootio/axios 1.15.0", &["CVE-17 npm: 1.16.0"]);
    debian("rootio-nano 7.2-1", &["CVE-15 Debian:12: 7.2-2"]);
    check(&db, "alpine 3.18.4", PackageType::Apk, "rootio-openssl 3.1.8-r0", &["CVE-6 Alpine:v3.18: 3.1.9-r0"]);
    check(&db, "debian 12", PackageType::Pypi, "rootio_requests 2.28.0", &["CVE-12 PyPI: 2.31.0"]);
    npm(
        "@els-js/lodash 4.17.21",
        &[
            "@els-js/lodash is a package that TuxCare built again, and its original is not known; check it by other means",
        ],
    );
    // Below the first vulnerable version is no fix, and where a record ends is none.
    debian("tar 1.34-1.root.io.1", &["CVE-24 Debian:12: 1.35-9"]);
    debian("tar 1.34-2.root.io.3", &[]);
    debian("sed 4.9-1.root.io.2", &["CVE-25 Debian:12: 4.9-9"]);
}

#[test]
fn a_fix_counts_where_all_packages_of_a_source_are_of_one_build() {
    let dir = tempfile::tempdir().unwrap();
    let db = database(&dir.path().join("db"), FIXES);
    let check = |packages: &[&str], expected: &[&str]| {
        let mut inventory = inventory("almalinux 9.2", PackageType::Rpm, packages);
        for package in &mut inventory.packages {
            (package.source_name, package.source_version) = ("squid".to_owned(), "5.5-5.el9_2.1".to_owned());
        }
        check_all(&db, inventory, expected);
    };
    let build = "squid 7:5.5-5.el9_2.1.tuxcare.els1 CloudLinux";
    let original = "CVE-10 AlmaLinux:9: 7:5.5-6.el9_3.5";
    let later = "CVE-11 TuxCare:AlmaLinux:9.2: 7:5.5-5.el9_2.1.tuxcare.els2";
    check(&[build, "squid-tools 7:5.5-5.el9_2.1.tuxcare.els1 CloudLinux"], &[later]);
    check(&[build, "squid-tools 7:5.5-5.el9_2.1 AlmaLinux"], &[original]);
    check(&[build, "squid-tools 7:5.5-5.el9_2.1.tuxcare.els2 CloudLinux"], &[original]);
}

#[test]
fn the_builder_is_looked_up_again() {
    let dir = tempfile::tempdir().unwrap();
    let before = database(&dir.path().join("before"), FIXES);
    let check = |kind: PackageType, package: &str, changed: Fix, expected: bool| {
        let fixes: Vec<Fix> = FIXES.iter().copied().chain([changed]).collect();
        let after = database(&dir.path().join("after"), &fixes);
        let delta = Delta::between(&before, &after).unwrap();
        let image = inventory("debian 12", kind, &[package]);
        let asked = matching::lookups(&image).iter().any(|lookup| lookup.answer_may_change(&delta));
        let rematched = matching::rematch(image, &delta).unwrap();
        assert_eq!(rematched != Rematched::Same, expected, "{package} {changed:?}");
        assert!(asked || !expected, "{package} {changed:?}");
    };
    let (deb, npm) = (PackageType::Deb, PackageType::Npm);
    let fixed = "7.88.1-10+deb12u14.root.io.1";
    check(deb, "rootio-curl 7.88.1-10+deb12u14.root.io.3", ("Root:Debian:12", "curl", "CVE-3", fixed), true);
    check(deb, "curl 7.88.1-10+deb12u14", ("Root:Debian:12", "curl", "CVE-3", fixed), false);
    // Root's by its name alone: its original's records count, and Root's do not.
    check(deb, "rootio-curl 7.88.1-10+deb12u14", ("Debian:12", "curl", "CVE-4", "7.88.1-10+deb12u15"), true);
    check(deb, "rootio-curl 7.88.1-10+deb12u14", ("Root:Debian:12", "curl", "CVE-3", fixed), false);
    // The original's word about what Root alone knew.
    check(deb, "curl 7.88.1-10+deb12u14.root.io.3", ("Debian:12", "curl", "CVE-4", "7.88.1-10"), true);
    check(npm, "@rootio/semver 5.0.3-root.io.1", ("Root:npm", "semver", "CVE-7", "5.0.3-root.io.1"), true);
    check(npm, "semver 5.0.3-root.io.1", ("TuxCare:npm", "semver", "CVE-7", "5.0.3-tuxcare.1"), false);
}
