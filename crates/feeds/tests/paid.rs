//! Feeds of extended support: what they fix is not vulnerable, and an image without a subscription cannot install it.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use tidewaiter_core::advisory::FixState;
use tidewaiter_core::ecosystem::Os;
use tidewaiter_core::finding::Finding;
use tidewaiter_core::image::Digest;
use tidewaiter_core::package::{Package, PackageType};
use tidewaiter_core::report::{ImageInfo, Inventory};
use tidewaiter_db::{Database, matching};
use tidewaiter_feeds::build;
use tidewaiter_feeds::config::FeedsConfig;
use tidewaiter_feeds::options::{BuildOptions, SilentBuild};

fn inventory(version: &str) -> Inventory {
    let digest = Digest::from_sha256([0; 32]);
    let image = ImageInfo::new("x", digest.clone(), digest, "linux/amd64".parse().unwrap());
    let os = Os { id: "debian".into(), version_id: "10".into(), ..Os::default() };
    let packages = vec![Package::new(PackageType::Deb, "openssl", version)];
    Inventory { image, layers: vec![], os: Some(os), packages, gaps: vec![] }
}

/// The findings of openssl in this version, by a database of feeds with these lines: the fixed version of each feed is given.
fn findings(feeds: &[(&str, &str, &str)], version: &str) -> Vec<Finding> {
    let dir = tempfile::tempdir().unwrap();
    let mut toml = String::new();
    for (name, more, fixed) in feeds {
        let release = format!(r#"{{"status":"resolved","fixed_version":"{fixed}","urgency":"high"}}"#);
        let tracker = format!(r#"{{"openssl":{{"CVE-1":{{"releases":{{"buster":{release}}}}}}}}}"#);
        fs::write(dir.path().join(format!("{name}.json")), tracker).unwrap();
        toml += &format!(
            "[[feed]]\nname = \"{name}\"\nformat = \"debian-tracker\"\npath = \"{name}.json\"\n\
             ecosystems = [\"Debian:10\"]\nrates = true\n{more}\n"
        );
    }
    let config = FeedsConfig::parse(&toml, &dir.path().join("feeds.toml")).unwrap();
    let (out, downloads) = (dir.path().join("db"), dir.path().join("downloads"));
    let now = "2026-11-29T00:00:00Z".parse().unwrap();
    let options =
        BuildOptions { config: &config, out: &out, downloads: &downloads, now, max_loss: 0.5, progress: &SilentBuild };
    build::build(&options).unwrap();
    matching::match_inventory(inventory(version), &Database::open_verified(&out).unwrap()).unwrap().findings
}

#[test]
fn a_paid_fix_decides_and_is_not_offered() {
    let check = |feeds: &[(&str, &str, &str)], version: &str, expected: Option<(FixState, &[&str], &str)>| {
        let found = findings(feeds, version);
        assert_eq!(found.len(), usize::from(expected.is_some()), "{version} {found:?}");
        if let (Some(finding), Some((state, fixes, because))) = (found.first(), expected) {
            assert_eq!(
                (finding.fix_state, finding.fixed_versions.as_slice()),
                (state, &fixes.iter().map(|v| (*v).to_owned()).collect::<Vec<_>>()[..])
            );
            assert!(finding.because.contains(because), "{}", finding.because);
        }
    };
    let elts = ("elts", "paid = true", "1.1.1n-0+deb10u7");
    let only = "1.1.1n-0+deb10u6 < 1.1.1n-0+deb10u7 (fixed for subscribers of extended support only)";
    check(&[elts], "1.1.1n-0+deb10u6", Some((FixState::NotFixed, &[], only)));
    check(&[elts], "1.1.1n-0+deb10u7", None);
    let free = ("elts", "", "1.1.1n-0+deb10u7");
    let offered = "< 1.1.1n-0+deb10u7 (fixed)";
    check(&[free], "1.1.1n-0+deb10u6", Some((FixState::Fixed, &["1.1.1n-0+deb10u7"], offered)));
    // One that is free too is offered.
    let debian = ("debian", "", "1.1.1n-0+deb10u7");
    check(&[elts, debian], "1.1.1n-0+deb10u6", Some((FixState::Fixed, &["1.1.1n-0+deb10u7"], "")));
    check(&[elts, debian], "1.1.1n-0+deb10u7", None);
}
