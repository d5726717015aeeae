//! Failures of a build, their messages, and what stands in for a feed that fails.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may panic, and says why")]

use std::fs;
use std::path::Path;
use tidewaiter_core::advisory::KeyKind;
use tidewaiter_core::report::FeedContent;
use tidewaiter_db::Database;
use tidewaiter_db::meta::{FeedInfo, Meta};
use tidewaiter_feeds::FeedError;
use tidewaiter_feeds::build;
use tidewaiter_feeds::config::FeedsConfig;
use tidewaiter_feeds::options::{BuildOptions, BuildProgress};

/// Panics as a reader with a defect would.
struct Defective;

impl BuildProgress for Defective {
    fn feeds_known(&self, _: usize, _: usize) {}
    fn feed_started(&self, name: &str, _: &str) {
        assert_ne!(name, "broken", "a defect");
    }
    fn downloaded(&self, _: &str, _: u64, _: Option<u64>) {}
    fn feed_done(&self, _: &FeedInfo) {}
}

fn build_at(folder: &Path, downloads: &Path, toml: &str, now: &str) -> Result<Meta, FeedError> {
    let config = FeedsConfig::parse(toml, &folder.join("feeds.toml")).unwrap();
    let (out, now) = (folder.join("db"), now.parse().unwrap());
    let options = BuildOptions { config: &config, out: &out, downloads, now, max_loss: 0.1, progress: &Defective };
    build::build(&options)
}

fn build(folder: &Path, downloads: &Path, toml: &str) -> FeedError {
    build_at(folder, downloads, toml, "2026-01-01T00:00:00Z").unwrap_err()
}

/// A record about the npm package of this number.
fn record(number: usize) -> String {
    format!(
        r#"{{"id":"GHSA-{number}","aliases":["CVE-2024-{number}"],"affected":[{{"package":{{"ecosystem":"npm","name":"p{number}"}},
        "ranges":[{{"type":"SEMVER","events":[{{"introduced":"0"}},{{"fixed":"2.0.0"}}]}}]}}]}}"#
    )
}

/// Replaces the records of a feed that is a folder.
fn records(folder: &Path, documents: &[String]) {
    let _ = fs::remove_dir_all(folder);
    fs::create_dir(folder).unwrap();
    for (number, text) in documents.iter().enumerate() {
        fs::write(folder.join(format!("{number}.json")), text).unwrap();
    }
}

fn osv(name: &str, more: &str) -> String {
    format!("[[feed]]\nname = \"{name}\"\nformat = \"osv\"\npath = \"{name}\"\necosystems = [\"npm\"{more}]\n")
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

#[test]
fn a_folder_that_cannot_be_written_does_not_matter_without_downloads() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), "").unwrap();
    records(&dir.path().join("a"), &[record(1)]);
    let downloads = dir.path().join("file/downloads");
    let meta = build_at(dir.path(), &downloads, &osv("a", ""), "2026-01-01T00:00:00Z").unwrap();
    assert_eq!(meta.rows, 1);
    let mut left: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["a", "db", "file"]);
}

#[test]
fn a_feed_that_fails_keeps_its_last_records_and_their_age() {
    let dir = tempfile::tempdir().unwrap();
    let downloads = dir.path().join("downloads");
    let (a, b) = (dir.path().join("a"), dir.path().join("b"));
    let toml = osv("a", "") + &osv("b", "");
    let build = |toml: &str, now: &str| build_at(dir.path(), &downloads, toml, now);
    let check = |meta: &Meta, feed: usize, read: &str, stale: &str| {
        let info = &meta.feeds[feed];
        assert_eq!(info.read.unwrap().to_string(), read, "{info:?}");
        assert!(info.stale.contains(stale) && info.stale.is_empty() == stale.is_empty(), "{info:?}");
    };
    records(&a, &[record(1)]);
    assert!(matches!(build(&toml, "2026-01-01T00:00:00Z"), Err(FeedError::Unavailable { .. })), "b never worked");
    records(&b, &(2..40).map(record).collect::<Vec<_>>());
    let first = build(&toml, "2026-01-02T00:00:00Z").unwrap();
    assert_eq!((first.rows, first.feeds[1].records), (39, 38));
    check(&first, 1, "2026-01-02T00:00:00Z", "");

    // Gone.
    fs::remove_dir_all(&b).unwrap();
    records(&a, &[record(1), record(100)]);
    let second = build(&toml, "2026-01-03T00:00:00Z").unwrap();
    assert_eq!((second.rows, second.feeds[1].records), (40, 38));
    check(&second, 0, "2026-01-03T00:00:00Z", "");
    check(&second, 1, "2026-01-02T00:00:00Z", "feed b: ");
    assert!(second.covers(&"npm".into()));
    let info = Database::open(&dir.path().join("db")).unwrap().info();
    assert_eq!(
        info.stale.iter().map(|f| format!("{} {}", f.name, f.read)).collect::<Vec<_>>(),
        ["b 2026-01-02T00:00:00Z"]
    );
    assert_eq!(info.stale[0].ecosystems, ["npm".into()]);
    // Of the same facts, later: younger, and neither another id nor younger records.
    build(&toml, "2026-02-03T00:00:00Z").unwrap();
    let again = Database::open(&dir.path().join("db")).unwrap().info();
    assert_eq!((&again.id, &again.stale), (&info.id, &info.stale));
    build(&toml, "2026-01-03T00:00:00Z").unwrap();
    let db = Database::open_verified(&dir.path().join("db")).unwrap();
    assert_eq!(db.rows("npm", KeyKind::Binary, "p39").count(), 1);

    // Damaged, then empty.
    let broken = |number: usize| if number < 14 { "{".to_owned() } else { record(number) };
    records(&b, &(2..40).map(broken).collect::<Vec<_>>());
    let third = build(&toml, "2026-01-04T00:00:00Z").unwrap();
    check(&third, 1, "2026-01-02T00:00:00Z", "12 of 38 documents cannot be read, the first one ");
    records(&b, &["{}".to_owned()]);
    check(&build(&toml, "2026-01-04T00:00:00Z").unwrap(), 1, "2026-01-02T00:00:00Z", "holds no record of format osv");

    // Records of another feed do not stand in: another declaration, another path.
    let moved = toml.replace("path = \"b\"", "path = \"c\"");
    assert!(matches!(build(&moved, "2026-01-05T00:00:00Z"), Err(FeedError::Unavailable { .. })));

    // It works again.
    records(&b, &(2..41).map(record).collect::<Vec<_>>());
    let last = build(&toml, "2026-01-06T00:00:00Z").unwrap();
    assert_eq!(last.rows, 41);
    check(&last, 1, "2026-01-06T00:00:00Z", "");
}

#[test]
fn facts_that_fail_are_named_with_what_they_tell() {
    let dir = tempfile::tempdir().unwrap();
    records(&dir.path().join("a"), &[record(1)]);
    let kev = r#"{"catalogVersion":"1","vulnerabilities":[{"cveID":"CVE-1","dateAdded":"2026-01-01"}]}"#;
    let nvd = r#"{"vulnerabilities":[{"cve":{"id":"CVE-1","metrics":{"cvssMetricV31":[{"source":"nvd@nist.gov","cvssData":
        {"vectorString":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}}]}}}]}"#;
    let ends = "version,codename,series,created,release,eol\n12,Bookworm,bookworm,2021-08-14,2023-06-10,2026-06-10\n";
    let facts = [
        ("kev", "kev.json", kev, FeedContent::KnownExploited),
        ("nvd", "nvd.json", nvd, FeedContent::Ratings),
        ("epss", "epss.csv", "cve,epss,percentile\nCVE-1,0.5,0.9\n", FeedContent::ExploitProbability),
        ("distro-info", "debian.csv", ends, FeedContent::EndsOfSupport),
    ];
    let mut toml = osv("a", "");
    for (format, file, text, _) in facts {
        fs::write(dir.path().join(file), text).unwrap();
        toml += &format!("[[feed]]\nname = \"{format}\"\nformat = \"{format}\"\npath = \"{file}\"\n");
    }
    let stale = |now: &str| {
        build_at(dir.path(), &dir.path().join("downloads"), &toml, now).unwrap();
        let info = Database::open(&dir.path().join("db")).unwrap().info();
        info.stale.into_iter().map(|feed| (feed.name, feed.read.to_string(), feed.content)).collect::<Vec<_>>()
    };
    assert_eq!(stale("2026-01-01T00:00:00Z"), []);
    for (_, file, ..) in facts {
        fs::remove_file(dir.path().join(file)).unwrap();
    }
    let read = "2026-01-01T00:00:00Z".to_owned();
    let expected = facts.map(|(name, _, _, content)| (name.to_owned(), read.clone(), content));
    assert_eq!(stale("2026-01-09T00:00:00Z"), expected);
}

#[test]
fn a_few_unreadable_documents_are_counted() {
    let dir = tempfile::tempdir().unwrap();
    let build = |broken: usize, whole: usize| {
        let all: Vec<String> = (0..broken).map(|_| "{".to_owned()).chain((0..whole).map(record)).collect();
        records(&dir.path().join("a"), &all);
        let _ = fs::remove_file(dir.path().join("db"));
        let downloads = tempfile::tempdir().unwrap();
        build_at(dir.path(), downloads.path(), &osv("a", ""), "2026-01-01T00:00:00Z")
            .map(|meta| meta.feeds[0].unreadable)
    };
    assert!(matches!(build(10, 5), Ok(10)));
    assert!(matches!(build(11, 5), Err(FeedError::Damaged { unreadable: 11, documents: 16, .. })));
    assert!(matches!(build(11, 1089), Ok(11)));
    assert!(matches!(build(1, 0), Err(FeedError::Damaged { .. })));
}

#[test]
fn damaged_parts_are_made_again() {
    let dir = tempfile::tempdir().unwrap();
    records(&dir.path().join("a"), &[record(1), record(2)]);
    let build = || {
        let downloads = dir.path().join("downloads");
        build_at(dir.path(), &downloads, &osv("a", ""), "2026-01-01T00:00:00Z").unwrap();
        fs::read(dir.path().join("db")).unwrap()
    };
    let first = build();
    let part = dir.path().join("downloads/a/records.sorted");
    let whole = fs::read(&part).unwrap();
    let mut changed = whole.clone();
    *changed.last_mut().unwrap() ^= 1;
    for damage in [&whole[..whole.len() - 1], &whole[..20], &changed, b""] {
        fs::write(&part, damage).unwrap();
        assert!(build() == first);
        assert!(fs::read(&part).unwrap() == whole);
    }
}
