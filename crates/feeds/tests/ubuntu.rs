//! Ubuntu's notices next to its records of single CVEs, from feed to match.
#![allow(clippy::unwrap_used, reason = "a test may panic, and says why")]

use std::fs;
use tidewaiter_db::{Database, matching};
use tidewaiter_feeds::build;
use tidewaiter_feeds::config::FeedsConfig;
use tidewaiter_feeds::options::{BuildOptions, SilentBuild};

#[test]
fn a_notice_that_repairs_a_fix_does_not_report_it_again() {
    let dir = tempfile::tempdir().unwrap();
    let record = |id: &str, upstream: &str, fixed: &str| {
        let json = format!(
            r#"{{"id":"{id}","upstream":[{upstream}],"affected":[{{"package":{{"ecosystem":"Ubuntu:22.04:LTS","name":"wayland"}},
            "ranges":[{{"type":"ECOSYSTEM","events":[{{"introduced":"0"}},{{"fixed":"{fixed}"}}]}}]}}]}}"#
        );
        fs::create_dir_all(dir.path().join("ubuntu")).unwrap();
        fs::write(dir.path().join(format!("ubuntu/{id}.json")), json).unwrap();
    };
    record("UBUNTU-CVE-2021-3782", r#""CVE-2021-3782""#, "1.20.0-1ubuntu0.1");
    record("USN-5614-1", r#""UBUNTU-CVE-2021-3782""#, "1.20.0-1ubuntu0.1");
    record("USN-5614-2", r#""CVE-2021-3782","UBUNTU-CVE-2021-3782""#, "1.20.0-1ubuntu0.2");
    record("USN-6000-1", r#""UBUNTU-CVE-2021-3782","UBUNTU-CVE-2023-1""#, "1.20.0-1ubuntu0.0");
    let toml =
        "[[feed]]\nname = \"ubuntu\"\nformat = \"osv\"\npath = \"ubuntu\"\necosystems = [\"Ubuntu:22.04:LTS\"]\n";
    let config = FeedsConfig::parse(toml, &dir.path().join("feeds.toml")).unwrap();
    let (out, downloads, now) = (dir.path().join("db"), dir.path().join("d"), "2026-11-29T00:00:00Z".parse().unwrap());
    let options =
        BuildOptions { config: &config, out: &out, downloads: &downloads, now, max_loss: 0.1, progress: &SilentBuild };
    let meta = build::build(&options).unwrap();
    assert_eq!(meta.feeds[0].skipped["notices that repeat the records of their CVEs"], 2);
    let db = Database::open_verified(&out).unwrap();
    let check = |version: &str, expected: &[&str]| {
        let found = matching::vulnerabilities(&db, &"Ubuntu:22.04:LTS".into(), "wayland", version).unwrap();
        assert_eq!(found.iter().map(|a| a.id.as_str()).collect::<Vec<_>>(), expected, "{version}");
    };
    check("1.20.0-1", &["UBUNTU-CVE-2021-3782", "USN-6000-1"]);
    check("1.20.0-1ubuntu0.0", &["UBUNTU-CVE-2021-3782"]);
    // Between the fix and its repair.
    check("1.20.0-1ubuntu0.1", &[]);
}
