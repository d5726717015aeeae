//! Builds a database from real archives of feeds, if they lie next to the checkout.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use tidewaiter_core::ecosystem::Ecosystem;
use tidewaiter_db::{Database, matching};
use tidewaiter_feeds::build;
use tidewaiter_feeds::config::FeedsConfig;
use tidewaiter_feeds::options::{BuildOptions, SilentBuild};

const FEEDS: [(&str, &str, &str); 10] = [
    ("debian-changelog-tracker", "debian-tracker", "\"Debian:11\", \"Debian:12\", \"Debian:13\""),
    ("alpine-secdb", "alpine-secdb", "\"Alpine:v3.18\""),
    ("pypi-pypa", "osv", "\"PyPI\""),
    ("ghsa-selected", "osv", ""),
    ("maven-osv-ghsa", "osv", "\"Maven\""),
    ("go-vulndb", "osv", "\"Go\""),
    ("rustsec-osv", "osv", "\"crates.io\""),
    ("bitnami-vulndb", "osv", "\"Bitnami\""),
    ("k8s-cve-feed-osv", "osv", ""),
    ("kev", "kev", ""),
];

#[test]
fn real_archives_become_a_database() {
    let Some(shared) = tidewaiter_testkit::skip::shared("feeds") else { return };
    let dir = tempfile::tempdir().unwrap();
    let text: String = FEEDS
        .iter()
        .map(|(name, format, ecosystems)| {
            let path = shared.join(format!("{name}.tar.zst"));
            format!("[[feed]]\nname = \"{name}\"\nformat = \"{format}\"\npath = {path:?}\necosystems = [{ecosystems}]\nrates = true\n")
        })
        .collect();
    let config = FeedsConfig::parse(&text, &dir.path().join("feeds.toml")).unwrap();
    let out = dir.path().join("db");
    let options = BuildOptions {
        config: &config,
        out: &out,
        downloads: dir.path(),
        now: "2026-01-01T00:00:00Z".parse().unwrap(),
        max_loss: 0.1,
        progress: &SilentBuild,
    };
    let meta = build::build(&options).unwrap();
    assert!(meta.rows > 30_000, "{meta:?}");
    assert_eq!(meta.feeds.iter().map(|f| f.unreadable).sum::<u64>(), 0, "{:?}", meta.feeds);
    let left: Vec<&str> = meta.left_out.iter().map(|l| l.ecosystem.base().as_str()).collect();
    assert!(!left.contains(&"Maven") && !left.contains(&"Go"), "{left:?}");
    assert!(meta.covers(&"Maven".into()) && meta.covers(&"PyPI".into()));
    let db = Database::open_verified(&out).unwrap();
    let check = |ecosystem: &str, package: &str, version: &str, id: &str, expected: bool| {
        let found = matching::vulnerabilities(&db, &Ecosystem::from(ecosystem), package, version).unwrap();
        let named = found.iter().any(|a| a.id == id || a.aliases.iter().any(|n| n == id));
        assert_eq!(named, expected, "{ecosystem} {package} {version} {id}");
    };
    check("npm", "minimist", "1.2.5", "CVE-2021-44906", true);
    check("npm", "minimist", "1.2.6", "CVE-2021-44906", false);
    check("PyPI", "Requests", "2.30.0", "CVE-2023-32681", true);
    check("PyPI", "requests", "2.31.0", "CVE-2023-32681", false);
    check("Maven", "org.apache.logging.log4j:log4j-core", "2.14.1", "CVE-2021-44228", true);
    check("Maven", "org.apache.logging.log4j:log4j-core", "2.17.1", "CVE-2021-44228", false);
    check("Go", "golang.org/x/crypto", "v0.30.0", "CVE-2024-45337", true);
    check("Go", "golang.org/x/crypto", "v0.31.0", "CVE-2024-45337", false);
    // The same facts give the same file id, whenever built.
    let id = db.id().to_owned();
    build::build(&BuildOptions { now: "2027-01-01T00:00:00Z".parse().unwrap(), ..options }).unwrap();
    assert_eq!(Database::open(&out).unwrap().id(), id);
}
