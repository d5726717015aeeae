//! Ratings by CVE are no promise: what NVD did not rate is unknown, and never "low".
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use tidewaiter_core::advisory::{Advisory, Affected, CveFacts, KeyKind};
use tidewaiter_core::image::Digest;
use tidewaiter_core::package::{Package, PackageType};
use tidewaiter_core::report::{FeedContent, ImageInfo, Inventory, Report};
use tidewaiter_core::severity::{Rating, Severity};
use tidewaiter_db::meta::{FeedInfo, Meta};
use tidewaiter_db::writer::{self, BuildInput};
use tidewaiter_db::{Database, matching};

/// The report on an npm package with a CVE that has these ratings by CVE; with NVD's feed or without.
fn report(ratings: Vec<Rating>, nvd: bool) -> Report {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    let row = Affected::new("npm".into(), "a", KeyKind::Binary).fixed_in("2.0.0");
    let record = Advisory { id: "CVE-2026-1".into(), feed: "own".into(), affected: vec![row], ..Advisory::default() };
    let own = FeedInfo { name: "own".into(), ecosystems: vec!["npm".into()], ..FeedInfo::default() };
    let rating = FeedInfo {
        name: "nvd".into(),
        rates_all: nvd,
        rates: nvd,
        content: FeedContent::Ratings,
        ..FeedInfo::default()
    };
    let cves = BTreeMap::from([("CVE-2026-1".to_owned(), CveFacts { ratings, ..CveFacts::default() })]);
    let meta = Meta { feeds: vec![own, rating], ..Meta::default() };
    writer::write(&path, &BuildInput { advisories: vec![record], cves, meta }).unwrap();
    let digest = Digest::from_sha256([0; 32]);
    let inventory = Inventory {
        image: ImageInfo::new("x", digest.clone(), digest, "linux/amd64".parse().unwrap()),
        layers: vec![],
        os: None,
        packages: vec![Package::new(PackageType::Npm, "a", "1.0.0")],
        gaps: vec![],
    };
    matching::match_inventory(inventory, &Database::open_verified(&path).unwrap()).unwrap()
}

#[test]
fn what_no_source_rates_is_unknown() {
    let check = |ratings: Vec<Rating>, nvd: bool, expected: (Severity, &str), gaps: &[&str]| {
        let report = report(ratings, nvd);
        let finding = &report.findings[0];
        assert_eq!((finding.severity, finding.severity_source.as_str()), expected);
        assert_eq!(report.counts.unknown, u32::from(expected.0 == Severity::Unknown));
        let found: Vec<String> = report.inventory.gaps.iter().map(|gap| format!("{:?}", gap.kind)).collect();
        assert_eq!(found, gaps);
    };
    check(vec![Rating::of_level("nvd", Severity::High)], true, (Severity::High, "nvd"), &[]);
    check(vec![], true, (Severity::Unknown, ""), &[]);
    check(vec![Rating::of_level("nvd", Severity::Unknown)], true, (Severity::Unknown, ""), &[]);
    check(vec![], false, (Severity::Unknown, ""), &["NotRated"]);
}
