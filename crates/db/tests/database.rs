//! Write, open, match; and what damage does.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::Path;
use tidewaiter_core::Reason;
use tidewaiter_core::advisory::{
    Advisory, AdvisoryClass, Affected, CveFacts, FixState, Interval, IntervalEnd, KeyKind,
};
use tidewaiter_core::ecosystem::{Ecosystem, Os};
use tidewaiter_core::finding::Finding;
use tidewaiter_core::image::Digest;
use tidewaiter_core::package::{Location, Package, PackageType};
use tidewaiter_core::report::{GapKind, ImageInfo, Inventory};
use tidewaiter_core::severity::{Rating, Severity};
use tidewaiter_db::meta::{FeedInfo, Meta};
use tidewaiter_db::writer::{self, BuildInput};
use tidewaiter_db::{Database, DatabaseError, matching};

fn row(ecosystem: &str, package: &str, intervals: &[(Option<&str>, IntervalEnd)]) -> Affected {
    let interval = |(lo, end): &(Option<&str>, IntervalEnd)| Interval {
        introduced: lo.map(str::to_owned),
        after: false,
        end: end.clone(),
    };
    let key = if ecosystem.starts_with("Debian") { KeyKind::Source } else { KeyKind::Binary };
    let intervals = intervals.iter().map(interval).collect();
    Affected { intervals, ..Affected::new(Ecosystem::from(ecosystem), package, key) }
}

fn fixed(version: &str) -> IntervalEnd {
    IntervalEnd::Fixed(version.into())
}

fn advisory(id: &str, aliases: &[&str], affected: Vec<Affected>) -> Advisory {
    let aliases = aliases.iter().map(|a| (*a).to_owned()).collect();
    Advisory { id: id.into(), feed: "test".into(), aliases, affected, ..Advisory::default() }
}

fn build(path: &Path, advisories: Vec<Advisory>) {
    let feed = FeedInfo {
        name: "test".into(),
        ecosystems: vec!["Debian:12".into(), "npm".into()],
        rates: true,
        ..FeedInfo::default()
    };
    let meta = Meta { built: "2026-01-01T00:00:00Z".parse().ok(), feeds: vec![feed], ..Meta::default() };
    writer::write(path, &BuildInput { advisories, meta, ..BuildInput::default() }).unwrap();
}

fn package(kind: PackageType, name: &str, version: &str, source: &str) -> Package {
    let locations = vec![Location { path: "x".into(), layer: 0 }];
    Package { source_name: source.into(), locations, ..Package::new(kind, name, version) }
}

fn inventory(packages: Vec<Package>) -> Inventory {
    let digest = Digest::from_sha256([0; 32]);
    let image = ImageInfo::new("x", digest.clone(), digest, "linux/amd64".parse().unwrap());
    let os = Os { id: "debian".into(), version_id: "12".into(), ..Os::default() };
    Inventory { image, layers: vec![], os: Some(os), packages, gaps: vec![] }
}

#[test]
fn versions_match_their_intervals() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    let mut listed =
        row("npm", "a", &[(None, fixed("1.0.0")), (Some("2.0.0"), IntervalEnd::LastAffected("2.5.0".into()))]);
    listed.versions = vec!["1.5.0".into()];
    let mut never = row("npm", "never", &[(None, IntervalEnd::Open)]);
    never.never_affected = true;
    build(
        &path,
        vec![advisory("X-1", &[], vec![listed, never, row("npm", "open", &[(Some("3.0.0"), IntervalEnd::Open)])])],
    );
    let db = Database::open_verified(&path).unwrap();
    let check = |name: &str, version: &str, expected: bool| {
        let found = matching::vulnerabilities(&db, &Ecosystem::new("npm"), name, version).unwrap();
        assert_eq!(!found.is_empty(), expected, "{name} {version}");
    };
    check("a", "0.9.0", true);
    check("a", "1.0.0", false);
    check("a", "1.5.0", true);
    check("a", "2.0.0", true);
    check("a", "2.5.0", true);
    check("a", "2.5.1", false);
    check("never", "1.0.0", false);
    check("open", "2.9.9", false);
    check("open", "3.0.0", true);
    check("absent", "1.0.0", false);
}

#[test]
fn local_builds_and_branches_have_their_rules() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    let last =
        |ecosystem: &str, version: &str| row(ecosystem, "a", &[(None, IntervalEnd::LastAffected(version.into()))]);
    let mut listed = row("PyPI", "listed", &[]);
    listed.versions = vec!["2.10.0".into(), "3.0+local".into()];
    let open = row("Packagist", "open", &[(None, fixed("2.0"))]);
    build(&path, vec![advisory("X-1", &[], vec![last("PyPI", "2.10.0"), listed, last("Packagist", "1.0"), open])]);
    let db = Database::open_verified(&path).unwrap();
    let check = |ecosystem: &str, name: &str, version: &str, expected: bool| {
        let found = matching::vulnerabilities(&db, &Ecosystem::new(ecosystem), name, version).unwrap();
        assert_eq!(!found.is_empty(), expected, "{name} {version}");
    };
    check("PyPI", "a", "2.10.0+cu128", true);
    check("PyPI", "a", "2.10.1+cu128", false);
    check("PyPI", "listed", "2.10.0+cpu", true);
    check("PyPI", "listed", "3.0+local", true);
    check("PyPI", "listed", "3.0", false);
    check("Packagist", "a", "1.0.0", true);
    check("Packagist", "a", "1.0.0-beta1", true);
    check("Packagist", "a", "1.0.1", false);
    check("Packagist", "open", "dev-main", false);
    check("Packagist", "open", "2.x-dev", false);
    check("Packagist", "open", "1.x-dev", true);
}

#[test]
fn kernel_headers_have_no_vulnerabilities_of_kernels() {
    let found = |name: &str| {
        let advisory = advisory("CVE-1", &[], vec![row("Debian:12", "linux", &[(None, IntervalEnd::Open)])]);
        findings(vec![advisory], package(PackageType::Deb, name, "6.1.99-1", "linux")).len()
    };
    assert_eq!((found("linux-libc-dev"), found("linux-image-6.1.0-21-amd64")), (0, 1));
}

#[test]
fn binaries_of_one_source_and_records_of_one_vulnerability_are_one_finding() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    let mut first = advisory("CVE-1", &[], vec![row("Debian:12", "openssl", &[(None, fixed("3.0-2"))])]);
    first.ratings = vec![Rating::of_level("nvd", Severity::High)];
    let second = advisory("DSA-9", &["CVE-1"], vec![row("Debian", "openssl", &[(None, fixed("3.0-2"))])]);
    build(&path, vec![first, second]);
    let db = Database::open_verified(&path).unwrap();
    let packages = vec![
        package(PackageType::Deb, "libssl3", "3.0-1", "openssl"),
        package(PackageType::Deb, "openssl", "3.0-1", "openssl"),
    ];
    let report = matching::match_inventory(inventory(packages), &db).unwrap();
    assert_eq!(report.findings.len(), 1);
    let finding = &report.findings[0];
    assert_eq!((finding.vulnerability.as_str(), finding.package.as_str()), ("CVE-1", "openssl"));
    assert_eq!(finding.installed.iter().map(|i| i.name.as_str()).collect::<Vec<_>>(), ["libssl3", "openssl"]);
    assert_eq!(finding.aliases, ["DSA-9"]);
    assert_eq!((finding.severity, finding.severity_source.as_str()), (Severity::High, "nvd"));
    assert_eq!(finding.because, "CVE-1: openssl 3.0-1 < 3.0-2 (fixed)");
    assert!(report.complete);
}

/// "vulnerability severity(source) fixed state" of each finding of one package under these advisories.
fn findings(advisories: Vec<Advisory>, package: Package) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    build(&path, advisories);
    let db = Database::open_verified(&path).unwrap();
    let report = matching::match_inventory(inventory(vec![package]), &db).unwrap();
    let line = |f: &tidewaiter_core::finding::Finding| {
        let (fixed, state) = (f.fixed_versions.join(","), f.fix_state);
        format!("{} {}({}) [{fixed}] {state:?}", f.vulnerability, f.severity, f.severity_source)
    };
    report.findings.iter().map(line).collect()
}

fn rated(mut advisory: Advisory, feed: &str, ratings: &[(&str, &str)]) -> Advisory {
    feed.clone_into(&mut advisory.feed);
    advisory.ratings = ratings
        .iter()
        .map(|(source, text)| match text.parse() {
            Ok(severity) => Rating::of_level(source, severity),
            Err(_) => Rating::from_vector(source, text).unwrap(),
        })
        .collect();
    advisory
}

const V31: &str = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H";
const V4: &str = "CVSS:4.0/AV:N/AC:H/AT:P/PR:N/UI:N/VC:L/VI:N/VA:N/SC:N/SI:N/SA:N";
const V2: &str = "AV:N/AC:L/Au:N/C:P/I:P/A:P";

#[test]
fn the_closest_rating_counts() {
    let npm = || package(PackageType::Npm, "a", "1.0.0", "");
    let open = || row("npm", "a", &[(None, IntervalEnd::Open)]);
    let check = |advisories: Vec<Advisory>, expected: &str| assert_eq!(findings(advisories, npm()), [expected]);
    let one =
        |row: Affected, ratings: &[(&str, &str)]| rated(advisory("GHSA-1", &["CVE-1"], vec![row]), "ghsa", ratings);
    check(vec![one(open(), &[])], "CVE-1 unknown() [] Unknown");
    check(vec![one(open(), &[("nvd", V2)])], "CVE-1 high(nvd) [] Unknown");
    check(vec![one(open(), &[("nvd", V2), ("nvd", V31)])], "CVE-1 critical(nvd) [] Unknown");
    check(vec![one(open(), &[("cna", V4), ("nvd", V31)])], "CVE-1 medium(cna) [] Unknown");
    check(vec![one(open(), &[("ghsa", "low"), ("nvd", V31)])], "CVE-1 low(ghsa) [] Unknown");
    let vendor = Affected { severity: Severity::Negligible, ..open() };
    check(vec![one(vendor, &[("ghsa", "high"), ("nvd", V31)])], "CVE-1 negligible(ghsa) [] Unknown");
    // Of two sources of one vulnerability the one that rates counts.
    let silent = rated(advisory("AAA-1", &["CVE-1"], vec![open()]), "aaa", &[("nvd", V31)]);
    check(vec![silent, one(open(), &[("ghsa", "low")])], "CVE-1 low(ghsa) [] Unknown");
}

#[test]
fn fixes_are_those_of_the_branch_first() {
    let npm = |version: &str| package(PackageType::Npm, "a", version, "");
    let branches = || row("npm", "a", &[(None, fixed("1.5.0")), (Some("2.0.0"), fixed("2.5.0"))]);
    let check = |advisories: Vec<Advisory>, version: &str, expected: &[&str]| {
        assert_eq!(findings(advisories, npm(version)), expected, "{version}");
    };
    check(vec![advisory("CVE-1", &[], vec![branches()])], "1.0.0", &["CVE-1 unknown() [1.5.0,2.5.0] Fixed"]);
    check(vec![advisory("CVE-1", &[], vec![branches()])], "2.1.0", &["CVE-1 unknown() [2.5.0] Fixed"]);
    check(vec![advisory("CVE-1", &[], vec![branches()])], "1.7.0", &[]);
    let open = advisory("AAA-1", &["CVE-1"], vec![row("npm", "a", &[(None, IntervalEnd::Open)])]);
    check(vec![open, advisory("CVE-1", &[], vec![branches()])], "1.0.0", &["CVE-1 unknown() [1.5.0,2.5.0] Fixed"]);
    let limited = Affected { fix_state: FixState::NotFixed, ..row("npm", "a", &[(None, fixed("3.0.0"))]) };
    check(vec![advisory("CVE-1", &[], vec![limited])], "1.0.0", &["CVE-1 unknown() [] NotFixed"]);
}

#[test]
fn distributions_have_the_last_word_on_their_packages() {
    let deb = || package(PackageType::Deb, "libx", "1.0-1", "x");
    let check = |advisories: Vec<Advisory>, expected: &[&str]| assert_eq!(findings(advisories, deb()), expected);
    let open = || row("Debian:12", "x", &[(None, IntervalEnd::Open)]);
    let never = || Affected { never_affected: true, ..row("Debian:12", "x", &[]) };
    check(vec![advisory("CVE-1", &[], vec![open()])], &["CVE-1 unknown() [] Unknown"]);
    check(vec![advisory("CVE-1", &[], vec![never()])], &[]);
    check(vec![advisory("CVE-1", &[], vec![never()]), advisory("DSA-1", &["CVE-1"], vec![open()])], &[]);
    check(vec![advisory("CVE-1", &[], vec![row("Debian:11", "x", &[(None, IntervalEnd::Open)])])], &[]);
    let several = Advisory { upstream: vec!["CVE-1".into(), "CVE-2".into()], ..advisory("DSA-1", &[], vec![open()]) };
    check(vec![several.clone()], &["CVE-1 unknown() [] Unknown", "CVE-2 unknown() [] Unknown"]);
    check(vec![several, advisory("CVE-1", &[], vec![never()])], &["CVE-2 unknown() [] Unknown"]);
    let states = [FixState::WontFix, FixState::Deferred, FixState::EndOfLife];
    for state in states {
        let row = Affected { fix_state: state, ..open() };
        check(vec![advisory("CVE-1", &[], vec![row])], &[&format!("CVE-1 unknown() [] {state:?}")]);
    }
}

#[test]
fn a_distribution_answers_for_what_lies_in_its_packages() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    let open = |ecosystem: &str, name: &str| vec![row(ecosystem, name, &[(None, IntervalEnd::Open)])];
    build(&path, vec![advisory("CVE-1", &[], open("npm", "a")), advisory("CVE-2", &[], open("Debian:12", "x"))]);
    let db = Database::open(&path).unwrap();
    let check = |owner: &str, expected: &[&str]| {
        let lib = Package { owner: owner.into(), ..package(PackageType::Npm, "a", "1.0.0", "") };
        let debs = ["x", "y"].map(|name| package(PackageType::Deb, name, "1.0-1", name));
        let report = matching::match_inventory(inventory(debs.into_iter().chain([lib]).collect()), &db).unwrap();
        let found: Vec<_> = report.findings.iter().map(|f| f.vulnerability.as_str()).collect();
        assert_eq!(found, expected, "{owner}");
    };
    check("", &["CVE-1", "CVE-2"]);
    check("x", &["CVE-2"]);
    // Where no record covers the owner, upstream's advisories decide.
    check("y", &["CVE-1", "CVE-2"]);
}

#[test]
fn informational_records_are_no_vulnerabilities() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    let open = || row("npm", "a", &[(None, IntervalEnd::Open)]);
    let notice = |id: &str, class: AdvisoryClass| Advisory { class, ..advisory(id, &[], vec![open()]) };
    let joined = Advisory { aliases: vec!["CVE-1".into()], ..notice("RUSTSEC-3", AdvisoryClass::Unsound) };
    let all = vec![notice("RUSTSEC-1", AdvisoryClass::Unmaintained), joined, advisory("CVE-1", &[], vec![open()])];
    build(&path, all);
    let db = Database::open(&path).unwrap();
    let report = matching::match_inventory(inventory(vec![package(PackageType::Npm, "a", "1.0.0", "")]), &db).unwrap();
    let names = |found: &[Finding]| found.iter().map(|f| f.vulnerability.clone()).collect::<Vec<_>>();
    assert_eq!(
        (names(&report.findings), names(&report.informational)),
        (vec!["CVE-1".into()], vec!["RUSTSEC-1".into()])
    );
    assert_eq!(report.counts.total(), 1, "a record of a vulnerability makes its group one");
}

#[test]
fn ratings_prefer_the_newest_cvss_and_all_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    let all = [V2, V31, V4].map(|v| Rating::from_vector("nvd", v).unwrap());
    let facts = CveFacts { ratings: all.to_vec(), ..CveFacts::default() };
    let meta = Meta::default();
    let advisories = vec![advisory("CVE-1", &[], vec![row("npm", "a", &[(None, IntervalEnd::Open)])])];
    let cves = [("CVE-1".to_owned(), facts.clone()), ("CVE-2".to_owned(), facts)].into();
    writer::write(&path, &BuildInput { advisories, cves, meta }).unwrap();
    let db = Database::open_verified(&path).unwrap();
    assert!(db.cve("CVE-2").unwrap().is_none(), "facts that no advisory asks for are not kept");
    let report = matching::match_inventory(inventory(vec![package(PackageType::Npm, "a", "1.0.0", "")]), &db).unwrap();
    let finding = &report.findings[0];
    assert_eq!((finding.ratings.len(), finding.severity), (3, Rating::from_vector("nvd", V4).unwrap().severity));
}

#[test]
fn versions_that_say_nothing_are_gaps() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    build(&path, vec![advisory("X-1", &[], vec![row("npm", "a", &[(None, fixed("1.0.0"))])])]);
    let db = Database::open(&path).unwrap();
    let check = |version: &str, expected: &[GapKind]| {
        let report =
            matching::match_inventory(inventory(vec![package(PackageType::Npm, "a", version, "")]), &db).unwrap();
        assert_eq!(report.inventory.gaps.iter().map(|g| g.kind).collect::<Vec<_>>(), expected, "{version}");
    };
    check("1.0.0", &[]);
    check("", &[GapKind::Unversioned]);
    check("latest", &[GapKind::Unversioned]);
}

#[test]
fn recognised_programs_without_a_version_are_gaps_unless_a_distribution_answers_for_them() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    build(&path, vec![advisory("X-1", &[], vec![row("Debian:12", "other", &[(None, fixed("1.0.0"))])])]);
    let db = Database::open(&path).unwrap();
    let check = |owner: &str, expected: &[GapKind]| {
        let program = Package { owner: owner.into(), ..package(PackageType::Generic, "mongodb", "", "") };
        let owning = package(PackageType::Deb, "mongodb-server", "1.0-1", "mongodb");
        let report = matching::match_inventory(inventory(vec![owning, program]), &db).unwrap();
        let gaps = report.inventory.gaps.iter().map(|g| g.kind).filter(|kind| *kind != GapKind::NotCovered);
        assert_eq!(gaps.collect::<Vec<_>>(), expected, "{owner}");
    };
    check("", &[GapKind::Unversioned]);
    check("mongodb-server", &[]);
}

#[test]
fn programs_without_a_version_are_gaps_where_advisories_speak_of_them() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    build(&path, vec![advisory("X-1", &[], vec![row("Go", "a", &[(None, fixed("1.0.0"))])])]);
    let db = Database::open(&path).unwrap();
    let check = |name: &str, vendored: bool, expected: &[GapKind]| {
        let program = Package { vendored, ..package(PackageType::Golang, name, "(devel)", "") };
        let report = matching::match_inventory(inventory(vec![program]), &db).unwrap();
        let gaps = report.inventory.gaps.iter().map(|g| g.kind).filter(|kind| *kind != GapKind::NotCovered);
        assert_eq!(gaps.collect::<Vec<_>>(), expected, "{name} {vendored}");
        assert!(report.findings.is_empty());
    };
    check("a", false, &[GapKind::Unversioned]);
    check("a", true, &[]);
    check("own", false, &[]);
}

#[test]
fn archives_without_a_group_are_gaps_where_advisories_name_the_artifact() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    build(&path, vec![advisory("X-1", &[], vec![row("Maven", "org.example:core", &[(None, fixed("1.0.0"))])])]);
    let db = Database::open(&path).unwrap();
    let check = |name: &str, version: &str, expected: &[&str]| {
        let location = Location { path: "app/x.jar".into(), layer: 0 };
        let archive = Package { locations: vec![location], ..package(PackageType::Maven, name, version, "") };
        let report = matching::match_inventory(inventory(vec![archive]), &db).unwrap();
        let unclear = report.inventory.gaps.iter().filter(|gap| gap.kind == GapKind::Unclear);
        let found: Vec<&str> = unclear.map(|gap| gap.message.as_str()).collect();
        assert_eq!(found.len(), expected.len(), "{name}: {found:?}");
        assert!(found.iter().zip(expected).all(|(found, words)| found.contains(words)), "{found:?}");
    };
    check("core", "0.9", &["may be org.example:core"]);
    check("core", "1.0.0", &[]);
    check("org.other:core", "0.9", &[]);
    check("other", "0.9", &[]);
}

#[test]
fn own_code_and_foreign_copies_are_never_judged() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    let rows = vec![row("npm", "a", &[(None, IntervalEnd::Open)]), row("Debian:12", "a", &[(None, IntervalEnd::Open)])];
    build(&path, vec![advisory("X-1", &[], rows)]);
    let db = Database::open(&path).unwrap();
    let check = |kind, version: &str, own: bool, vendored: bool, expected: usize| {
        let package = Package { own, vendored, ..package(kind, "a", version, "") };
        let report = matching::match_inventory(inventory(vec![package.clone()]), &db).unwrap();
        assert_eq!(report.findings.len(), expected, "{package:?}");
        let unversioned = report.inventory.gaps.iter().any(|gap| gap.kind == GapKind::Unversioned);
        assert!(!unversioned, "{:?}", report.inventory.gaps);
    };
    check(PackageType::Npm, "1.0.0", false, false, 1);
    check(PackageType::Npm, "1.0.0", true, false, 0);
    check(PackageType::Npm, "", true, false, 0);
    check(PackageType::Deb, "1.0", false, false, 1);
    check(PackageType::Deb, "1.0", false, true, 0);
}

#[test]
fn what_no_feed_is_complete_for_is_a_gap() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    build(&path, vec![advisory("X-1", &[], vec![row("PyPI", "a", &[(None, IntervalEnd::Open)])])]);
    let db = Database::open(&path).unwrap();
    let report = matching::match_inventory(inventory(vec![package(PackageType::Pypi, "a", "1.0", "")]), &db).unwrap();
    assert_eq!(report.findings.len(), 1);
    assert_eq!(report.inventory.gaps.iter().map(|g| g.kind).collect::<Vec<_>>(), [GapKind::NotCovered]);
    assert!(!report.complete);
}

#[test]
fn damage_is_named_and_never_panics() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    build(&path, vec![advisory("X-1", &[], vec![row("npm", "a", &[(None, fixed("1.0.0"))])])]);
    let good = fs::read(&path).unwrap();
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 0xff;
        fs::write(&path, &bad).unwrap();
        assert!(Database::open_verified(&path).is_err(), "byte {at}");
        if let Ok(db) = Database::open(&path) {
            let _ = matching::vulnerabilities(&db, &Ecosystem::new("npm"), "a", "0.1.0");
        }
    }
    for len in 0..good.len() {
        fs::write(&path, &good[..len]).unwrap();
        assert!(
            matches!(Database::open(&path), Err(DatabaseError::Corrupt { .. } | DatabaseError::Io { .. })),
            "length {len}"
        );
    }
    let mut newer = good.clone();
    newer[8] = 9;
    fs::write(&path, &newer).unwrap();
    let error = Database::open(&path).unwrap_err();
    assert!(error.to_string().contains("format 9"), "{error}");
    assert_eq!(error.reason(), Reason::DatabaseNewerFormat);
}

/// Names of which one begins another, one name in several ecosystems, and as source and as binary.
#[test]
fn the_packages_of_an_ecosystem_are_those_of_the_whole_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.db");
    let places = ["Debian:1", "Debian:11", "Debian:12", "npm", "PyPI"];
    let advisories = places.iter().flat_map(|place| ["a", "ab", "b"].map(|name| (*place, name))).enumerate();
    let advisories = advisories.map(|(number, (place, name))| {
        let affected = row(place, name, &[(None, fixed("1"))]);
        let other = Affected { key: KeyKind::Binary, ..affected.clone() };
        advisory(&format!("CVE-2024-{number:04}"), &[], vec![affected, other])
    });
    build(&path, advisories.collect());
    let db = Database::open(&path).unwrap();
    let mut found = Vec::new();
    for place in db.row_counts().keys().map(ToString::to_string) {
        let packages = db.packages_of(&place);
        found.extend(packages.names().map(|(key, name)| (place.clone(), key, name)));
        for key in [KeyKind::Source, KeyKind::Binary] {
            for name in ["", "a", "ab", "abc", "b", "c"] {
                let ids = |rows: Vec<tidewaiter_db::reader::Row<'_>>| -> Vec<String> {
                    rows.iter().map(|row| row.advisory().unwrap().id).collect()
                };
                let (ours, all) = (packages.rows(key, name).collect(), db.rows(&place, key, name).collect());
                assert_eq!(ids(ours), ids(all), "{place} {key:?} {name}");
            }
        }
    }
    let whole: Vec<_> = db.packages().map(|(place, key, name)| (place.to_owned(), key, name)).collect();
    assert_eq!(found, whole);
    assert!(whole.len() >= 15, "{whole:?}");
    assert_eq!(db.packages_of("Debian").names().count() + db.packages_of("zzz").names().count(), 0);
}
