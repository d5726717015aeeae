//! Failures of a build that are not a feed's fault, and their messages.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may panic, and says why")]

use std::fs;
use std::path::Path;
use tidewaiter_db::meta::FeedInfo;
use tidewaiter_feeds::FeedError;
use tidewaiter_feeds::build;
use tidewaiter_feeds::config::FeedsConfig;
use tidewaiter_feeds::options::{BuildOptions, BuildProgress};

/// Panics as a reader with a defect would.
struct Defective;

impl BuildProgress for Defective {
    fn feed_started(&self, name: &str, _: &str) {
        assert_ne!(name, "broken", "a defect");
    }
    fn downloaded(&self, _: &str, _: u64, _: Option<u64>) {}
    fn feed_done(&self, _: &FeedInfo) {}
}

fn build(folder: &Path, downloads: &Path, toml: &str) -> FeedError {
    let config = FeedsConfig::parse(toml, &folder.join("feeds.toml")).unwrap();
    let (out, now) = (folder.join("db"), "2026-01-01T00:00:00Z".parse().unwrap());
    let options = BuildOptions { config: &config, out: &out, downloads, now, max_loss: 0.1, progress: &Defective };
    build::build(&options).unwrap_err()
}

#[test]
fn a_reader_that_panics_is_its_feeds_error() {
    let dir = tempfile::tempdir().unwrap();
    let toml = "[[feed]]\nname = \"broken\"\nformat = \"osv\"\npath = \"x\"\n";
    match build(dir.path(), dir.path(), toml) {
        FeedError::Defect { feed, cause, .. } => assert!(feed == "broken" && cause.contains("a defect"), "{cause}"),
        other => panic!("{other}"),
    }
}

#[test]
fn a_folder_that_cannot_be_written_is_named_before_anything_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), "").unwrap();
    let toml = "[[feed]]\nname = \"far\"\nformat = \"osv\"\nurl = \"https://feeds.invalid/a.zip\"\n";
    let downloads = dir.path().join("file/downloads");
    match build(dir.path(), &downloads, toml) {
        FeedError::Downloads { folder, .. } => assert_eq!(folder, downloads),
        other => panic!("{other}"),
    }
}
