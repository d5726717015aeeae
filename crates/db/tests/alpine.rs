//! Images with packages of several branches of Alpine.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::Path;
use tidewaiter_core::advisory::{Advisory, Affected, KeyKind};
use tidewaiter_core::ecosystem::{AlpineBranch, ApkRepository, Ecosystem, Os};
use tidewaiter_core::image::Digest;
use tidewaiter_core::package::{Package, PackageType};
use tidewaiter_core::report::{ImageInfo, Inventory, Report};
use tidewaiter_db::Database;
use tidewaiter_db::delta::Delta;
use tidewaiter_db::matching::{self, Rematched};
use tidewaiter_db::meta::{FeedInfo, Meta};
use tidewaiter_db::writer::{self, BuildInput};

/// The records of a secdb: branch, package, CVE, and the version with the fix; `0` where it never was affected.
type Fix = (&'static str, &'static str, &'static str, &'static str);

const FIXES: [Fix; 6] = [
    ("v3.20", "openssl", "CVE-1", "3.3.2-r1"),
    ("edge", "openssl", "CVE-1", "3.5.1-r0"),
    ("v3.20", "old", "CVE-2", "1.2-r3"),
    ("edge", "new", "CVE-3", "2.0-r0"),
    ("v3.20", "zlib", "CVE-4", "0"),
    ("edge", "zlib", "CVE-4", "1.3-r9"),
];

fn advisory((branch, package, cve, fixed): &Fix) -> Advisory {
    let row = Affected::new(Ecosystem::with_release("Alpine", branch), package, KeyKind::Source);
    let row = match *fixed {
        "0" => Affected { never_affected: true, ..row },
        fixed => row.fixed_in(fixed),
    };
    Advisory { id: (*cve).to_owned(), feed: format!("alpine-{branch}"), affected: vec![row], ..Advisory::default() }
}

fn database(path: &Path, fixes: &[Fix], branches: &[&str]) -> Database {
    let feed = |branch: &&str| FeedInfo {
        name: format!("alpine-{branch}"),
        ecosystems: vec![Ecosystem::with_release("Alpine", branch)],
        rates: true,
        ..FeedInfo::default()
    };
    let meta = Meta { feeds: branches.iter().map(feed).collect(), ..Meta::default() };
    let advisories = fixes.iter().map(advisory).collect();
    writer::write(path, &BuildInput { advisories, meta, ..BuildInput::default() }).unwrap();
    Database::open_verified(path).unwrap()
}

/// Packages are `NAME VERSION` or `NAME VERSION @TAG`, repositories `BRANCH` or `BRANCH @TAG`.
fn inventory(repositories: &[&str], packages: &[&str]) -> Inventory {
    let fields = |text: &str| text.split(' ').map(|field| field.trim_start_matches('@').to_owned()).collect::<Vec<_>>();
    let repository = |text: &&str| {
        let fields = fields(text);
        ApkRepository {
            branch: AlpineBranch::parse(&fields[0]).unwrap(),
            tag: fields.get(1).cloned().unwrap_or_default(),
        }
    };
    let package = |text: &&str| {
        let fields = fields(text);
        let (source_name, source_version) = (fields[0].clone(), fields[1].clone());
        let tag = fields.get(2).cloned().unwrap_or_default();
        Package { source_name, source_version, tag, ..Package::new(PackageType::Apk, &fields[0], &fields[1]) }
    };
    let digest = Digest::from_sha256([0; 32]);
    let os = Os {
        id: "alpine".into(),
        version_id: "3.20.3".into(),
        repositories: repositories.iter().map(repository).collect(),
        ..Os::default()
    };
    Inventory {
        image: ImageInfo::new("x", digest.clone(), digest, "linux/amd64".parse().unwrap()),
        layers: vec![],
        os: Some(os),
        packages: packages.iter().map(package).collect(),
        gaps: vec![],
    }
}

/// "CVE package branch: fixes" of each finding, and "gap ecosystem" of each gap.
fn said(report: &Report) -> Vec<String> {
    let finding = |f: &tidewaiter_core::finding::Finding| {
        format!("{} {} {}: {}", f.vulnerability, f.package, f.ecosystem.release().unwrap(), f.fixed_versions.join(", "))
    };
    let gaps = report.inventory.gaps.iter().map(|gap| format!("gap {}", gap.subject));
    report.findings.iter().map(finding).chain(gaps).collect()
}

#[test]
fn a_package_is_vulnerable_when_it_is_in_any_branch_that_it_may_be_from() {
    let dir = tempfile::tempdir().unwrap();
    let db = database(&dir.path().join("db"), &FIXES, &["v3.20", "edge"]);
    let check = |repositories: &[&str], packages: &[&str], expected: &[&str]| {
        let report = matching::match_inventory(inventory(repositories, packages), &db).unwrap();
        assert_eq!(said(&report), expected, "{repositories:?} {packages:?}");
    };
    let (own, both, tagged) = (["v3.20"], ["v3.20", "edge"], ["v3.20", "edge @edge"]);
    check(&own, &["openssl 3.3.2-r0"], &["CVE-1 openssl v3.20: 3.3.2-r1"]);
    check(&own, &["openssl 3.3.2-r1"], &[]);
    // Either fix can be installed; one finding.
    check(&both, &["openssl 3.3.2-r0"], &["CVE-1 openssl v3.20: 3.3.2-r1, 3.5.1-r0"]);
    // It may be a build of edge.
    check(&both, &["openssl 3.5.0-r0"], &["CVE-1 openssl edge: 3.5.1-r0"]);
    check(&both, &["openssl 3.3.2-r1"], &["CVE-1 openssl edge: 3.5.1-r0"]);
    check(&both, &["openssl 3.5.1-r0"], &[]);
    // A branch may have no record of the other's packages.
    check(&both, &["old 1.2-r0", "new 1.0-r0"], &["CVE-2 old v3.20: 1.2-r3", "CVE-3 new edge: 2.0-r0"]);
    // What one branch denies holds for its own builds.
    check(&own, &["zlib 1.3-r0"], &[]);
    check(&both, &["zlib 1.3-r0"], &["CVE-4 zlib edge: 1.3-r9"]);
    // The tag says which branch.
    check(&tagged, &["openssl 3.3.2-r1"], &[]);
    check(&tagged, &["openssl 3.5.0-r0 @edge"], &["CVE-1 openssl edge: 3.5.1-r0"]);
    check(&tagged, &["openssl 3.3.2-r0 @edge", "zlib 1.3-r0"], &["CVE-1 openssl edge: 3.5.1-r0"]);
    check(&own, &["openssl 3.5.0-r0 @gone"], &[]);
    check(&["v3.20", "edge @other"], &["openssl 3.5.0-r0 @gone"], &["CVE-1 openssl edge: 3.5.1-r0"]);
    // A branch without advisories is a gap, where packages may be from it.
    check(&["v3.20", "v3.99"], &["openssl 3.3.2-r1"], &["gap Alpine:v3.99"]);
    check(&["v3.20", "v3.99 @t"], &["openssl 3.3.2-r1"], &[]);
}

#[test]
fn every_branch_is_looked_up_again() {
    let dir = tempfile::tempdir().unwrap();
    let before = database(&dir.path().join("before"), &FIXES, &["v3.20", "edge"]);
    let check = |changed: Fix, expected: bool| {
        let fixes: Vec<Fix> = FIXES.into_iter().chain([changed]).collect();
        let after = database(&dir.path().join("after"), &fixes, &["v3.20", "edge"]);
        let delta = Delta::between(&before, &after).unwrap();
        let both = inventory(&["v3.20", "edge"], &["openssl 3.3.2-r0"]);
        let asked = matching::lookups(&both).iter().any(|lookup| lookup.answer_may_change(&delta));
        assert_eq!(asked, expected, "{changed:?}");
        assert_eq!(matching::rematch(both, &delta).unwrap() != Rematched::Same, expected, "{changed:?}");
    };
    check(("v3.20", "openssl", "CVE-9", "3.3.2-r4"), true);
    check(("edge", "openssl", "CVE-9", "3.5.1-r4"), true);
    check(("v3.19", "openssl", "CVE-9", "3.5.1-r4"), false);
    check(("edge", "musl", "CVE-9", "3.5.1-r4"), false);
}
