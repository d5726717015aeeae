//! The store stores, finds, re-matches, collects garbage, and begins anew when it is damaged.

use super::*;
use std::fs;
use tidewaiter_core::advisory::{Advisory, Affected, KeyKind};
use tidewaiter_core::ecosystem::Os;
use tidewaiter_core::package::{Location, Package, PackageType};
use tidewaiter_core::report::ImageInfo;
use tidewaiter_db::Database;
use tidewaiter_db::delta::Delta;
use tidewaiter_db::matching;
use tidewaiter_db::meta::{FeedInfo, Meta};
use tidewaiter_db::writer::{BuildInput, write};

fn digest(number: u8) -> Digest {
    Digest::from_sha256([number; 32])
}

fn inventory(number: u8, packages: &[(&str, &str)]) -> Inventory {
    let package = |(name, version): &(&str, &str)| Package {
        locations: vec![Location { path: "package.json".into(), layer: 0 }],
        ..Package::new(PackageType::Npm, *name, *version)
    };
    let image = ImageInfo::new("r.example/x:1", digest(number), digest(0), "linux/amd64".parse().unwrap());
    let packages = packages.iter().map(package).collect();
    Inventory { image, layers: vec![], os: Some(Os::default()), packages, gaps: vec![] }
}

fn report(number: u8) -> Report {
    let database = DatabaseInfo { id: "one".into(), ..DatabaseInfo::default() };
    Report::new(inventory(number, &[("a", "1.0.0")]), database, vec![], vec![])
}

#[test]
fn reports_are_found_by_their_key_alone() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(dir.path()).unwrap();
    let key = store.put_report(&report(1)).unwrap();
    assert_ne!(key, store.put_report(&report(1)).unwrap());
    assert_eq!(store.report(&key), Some(report(1)));
    for bad in ["", "../inventories/x", "/etc/passwd", &"0".repeat(32), &key[1..], &key.to_uppercase(), "%"] {
        assert_eq!(store.report(bad), None, "{bad}");
    }
    let two = DatabaseInfo { id: "two".into(), built: "2026-01-01T00:00:00Z".parse().ok(), ..DatabaseInfo::default() };
    store.confirm_report(&key, &two).unwrap();
    assert_eq!(store.report(&key), Some(Report { database: two, ..report(1) }));
    store.remove_report(&key);
    assert_eq!(store.report(&key), None);
    // A copy has the key that another store gave it, however often it is copied.
    for copy in [report(1), report(2)] {
        store.put_report_as(&key, &copy).unwrap();
        assert_eq!(store.report(&key), Some(copy));
    }
    for bad in ["", "../x", &key[1..]] {
        store.put_report_as(bad, &report(1)).unwrap_err();
    }
}

#[test]
fn inventories_are_found_by_their_image() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(dir.path()).unwrap();
    let seen = inventory(1, &[("a", "1.0.0"), ("b", "2.0.0")]);
    store.put_inventory(&seen).unwrap();
    assert_eq!(store.inventory(&digest(1)), Some(seen));
    assert_eq!(store.inventory(&digest(2)), None);
    // A rescan replaces the inventory.
    store.put_inventory(&inventory(1, &[("c", "1.0.0")])).unwrap();
    assert_eq!(store.inventory(&digest(1)), Some(inventory(1, &[("c", "1.0.0")])));
}

#[test]
fn unreferenced_rows_are_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(dir.path()).unwrap();
    let (kept, lost) = (store.put_report(&report(1)).unwrap(), store.put_report(&report(1)).unwrap());
    store.put_inventory(&inventory(1, &[("a", "1.0.0")])).unwrap();
    store.put_inventory(&inventory(2, &[("a", "1.0.0"), ("b", "1.0.0")])).unwrap();
    let used = References { reports: [kept.clone()].into(), images: [digest(1)].into() };
    let questions =
        || store.read(|r| Ok(r.query_row("SELECT count(*) FROM asked", [], |row| row.get::<_, i64>(0))?)).unwrap();
    let before = questions();
    assert_eq!(store.collect_garbage(&used, Duration::from_secs(3600)).unwrap(), 0);
    assert_eq!(store.collect_garbage(&used, Duration::ZERO).unwrap(), 2);
    assert!(store.report(&kept).is_some() && store.report(&lost).is_none());
    assert!(store.inventory(&digest(1)).is_some());
    assert!(store.inventory(&digest(2)).is_none());
    assert_eq!(questions(), before - 2, "b is asked for by no image");
}

#[test]
fn a_damaged_store_begins_anew() {
    let check = |damage: fn(&mut Vec<u8>)| {
        let dir = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(dir.path()).unwrap();
        store.put_inventory(&inventory(1, &[("a", "1.0.0")])).unwrap();
        let path = store.location().0;
        drop(store);
        let mut bytes = fs::read(&path).unwrap();
        damage(&mut bytes);
        fs::write(&path, bytes).unwrap();
        let store = SqliteStore::open(dir.path()).unwrap();
        assert_eq!(store.inventory(&digest(1)), None);
        store.put_inventory(&inventory(1, &[("a", "1.0.0")])).unwrap();
        assert!(store.inventory(&digest(1)).is_some());
        assert!(dir.path().join("store.db.damaged").exists());
    };
    check(|bytes| bytes.iter_mut().take(100).for_each(|b| *b = b'x'));
    check(|bytes| bytes.iter_mut().skip(4096).for_each(|b| *b = 0xff));
    check(|bytes| bytes.truncate(4096 + 100));
}

/// As the server of 351cd24 wrote it in the story of its upgrade, for three images.
#[test]
fn the_store_of_the_oldest_version_is_used_further() {
    let dir = tempfile::tempdir().unwrap();
    let written = zstd::decode_all(&include_bytes!("fixtures/351cd24.db.zst")[..]).unwrap();
    fs::write(dir.path().join("store.db"), written).unwrap();
    let store = SqliteStore::open(dir.path()).unwrap();
    let check = |key: &str, critical: u32, medium: u32, packages: usize| {
        let report = store.report(key).unwrap();
        assert_eq!((report.counts.critical, report.counts.medium), (critical, medium), "{key}");
        assert_eq!((report.inventory.packages.len(), report.complete), (packages, true), "{key}");
        assert!(report.database.built.is_some() && report.database.id.starts_with("sha256:"), "{:?}", report.database);
    };
    check("40d212ae06ad3efce350ff6d3a2503f1", 3, 5, 3);
    check("a574c885e7af5bb91e1d7a1ca0d20a6c", 0, 0, 3);
    check("9bfc4bf206b88a33d52fe223d78b1e87", 0, 0, 3);
    assert!(!dir.path().join("store.db.damaged").exists() && store.problem().is_none());
    // What analyzers of another version found is of no use, nor is a report that no object refers to.
    let used = References { reports: ["40d212ae06ad3efce350ff6d3a2503f1".to_owned()].into(), images: HashSet::new() };
    assert_eq!(store.collect_garbage(&used, Duration::ZERO).unwrap(), 4 + 3);
    check("40d212ae06ad3efce350ff6d3a2503f1", 3, 5, 3);
}

/// Changes the version of the tables in a file, and brings what is in its log into it.
fn set_version(path: &std::path::Path, version: i32) {
    let connection = rusqlite::Connection::open(path).unwrap();
    connection.pragma_update(None, "user_version", version).unwrap();
}

/// Renames a file, and its log.
fn rename(from: &std::path::Path, to: &std::path::Path) {
    let log = |path: &std::path::Path| std::path::PathBuf::from(format!("{}-wal", path.display()));
    fs::rename(from, to).unwrap();
    if log(from).exists() {
        fs::rename(log(from), log(to)).unwrap();
    }
}

#[test]
fn a_store_of_another_version_is_kept_for_it() {
    for other in [0, 2, 99] {
        let dir = tempfile::tempdir().unwrap();
        let (path, aside) = (dir.path().join("store.db"), dir.path().join(format!("store.db.v{other}")));
        let store = SqliteStore::open(dir.path()).unwrap();
        let key = store.put_report(&report(1)).unwrap();
        drop(store);
        set_version(&path, other);
        let theirs = fs::read(&path).unwrap();
        let store = SqliteStore::open(dir.path()).unwrap();
        assert_eq!((store.report(&key), fs::read(&aside).unwrap()), (None, theirs), "{other}");
        let ours = store.put_report(&report(2)).unwrap();
        drop(store);
        // The other version put this one's aside, as this one did, and comes back with its own.
        rename(&path, &dir.path().join("store.db.v1"));
        rename(&aside, &path);
        let store = SqliteStore::open(dir.path()).unwrap();
        assert_eq!((store.report(&ours), store.report(&key)), (Some(report(2)), None), "{other}");
        assert!(aside.exists() && !dir.path().join("store.db.damaged").exists(), "{other}");
    }
}

/// A crash of the other version left what it committed in its log.
#[test]
fn what_another_version_committed_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(dir.path()).unwrap();
    store.write(|t| Ok(t.pragma_update(None, "user_version", 2)?)).unwrap();
    let key = store.put_report(&report(1)).unwrap();
    let crashed = tempfile::tempdir().unwrap();
    for name in ["store.db", "store.db-wal"] {
        fs::copy(dir.path().join(name), crashed.path().join(name)).unwrap();
    }
    assert_eq!(SqliteStore::open(crashed.path()).unwrap().report(&key), None);
    // It reads its own file again, wherever that is.
    let other = tempfile::tempdir().unwrap();
    rename(&crashed.path().join("store.db.v2"), &other.path().join("store.db"));
    set_version(&other.path().join("store.db"), 1);
    assert_eq!(SqliteStore::open(other.path()).unwrap().report(&key), Some(report(1)));
}

/// What a kill leaves: a file and its log, without a checkpoint.
#[test]
fn what_was_committed_is_there_after_a_crash() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(dir.path()).unwrap();
    store.put_inventory(&inventory(1, &[("a", "1.0.0")])).unwrap();
    let crashed = tempfile::tempdir().unwrap();
    for name in ["store.db", "store.db-wal"] {
        fs::copy(dir.path().join(name), crashed.path().join(name)).unwrap();
    }
    let after = SqliteStore::open(crashed.path()).unwrap();
    assert!(after.inventory(&digest(1)).is_some());
}

/// A database of the versions in which npm packages are fixed.
fn database(path: &std::path::Path, fixed: &[(&str, &str)], complete: bool) -> Database {
    let one = |(name, fixed): &(&str, &str)| Advisory {
        id: format!("CVE-{name}-{fixed}"),
        feed: "f".into(),
        affected: vec![Affected::new("npm".into(), name, KeyKind::Binary).fixed_in(fixed)],
        ..Advisory::default()
    };
    let ecosystems = if complete { vec!["npm".into()] } else { vec![] };
    let feeds = vec![FeedInfo { name: "f".into(), ecosystems, rates: true, ..FeedInfo::default() }];
    let meta = Meta { feeds, ..Meta::default() };
    write(path, &BuildInput { advisories: fixed.iter().map(one).collect(), meta, ..BuildInput::default() }).unwrap();
    Database::open(path).unwrap()
}

#[test]
fn only_what_a_delta_concerns_is_matched_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(dir.path()).unwrap();
    let images = [
        &[("a", "1.0.0")][..],
        &[("a", "2.0.0"), ("b", "1.0.0")],
        &[("c", "1.0.0")],
        &[("a", "1.5.0"), ("c", "1.0.0")],
    ];
    let all: Vec<Inventory> = (1..).zip(images).map(|(number, packages)| inventory(number, packages)).collect();
    all.iter().for_each(|inventory| store.put_inventory(inventory).unwrap());
    let old = [("a", "1.0.1"), ("b", "1.1.0")];
    let check = |new: &[(&str, &str)], complete: bool, visited: u64, changed: &[u8]| {
        let (before, after) = (dir.path().join("old"), dir.path().join("new"));
        let databases = [database(&before, &old, true), database(&after, new, complete)];
        assert_rematch(&store, &all, &databases, visited, changed);
    };
    check(&old, true, 0, &[]);
    check(&[("b", "1.1.0"), ("a", "1.0.1"), ("d", "9.0.0")], true, 0, &[]);
    check(&[("a", "1.0.1"), ("b", "1.1.0"), ("c", "2.0.0")], true, 2, &[3, 4]);
    // A fix in a later version than announced.
    check(&[("a", "1.6.0"), ("b", "1.1.0")], true, 2, &[1, 4]);
    check(&[("a", "1.0.1")], true, 1, &[2]);
    check(&old, false, 4, &[1, 2, 3, 4]);
}

/// The incremental result equals that of matching everything, after visiting this many inventories.
fn assert_rematch(store: &SqliteStore, all: &[Inventory], [old, new]: &[Database; 2], visited: u64, changed: &[u8]) {
    let delta = Delta::between(old, new).unwrap();
    store.clear_rematched().unwrap();
    let mut found = Vec::new();
    let seen = store.location().open().unwrap().rematch(&delta, |one| {
        store.put_rematched(&one)?;
        found.push(one.image);
        Ok(())
    });
    let seen = seen.unwrap();
    assert_eq!((seen.inventories, seen.visited, found), (4, visited, changed.iter().map(|n| digest(*n)).collect()));
    for inventory in all {
        let [before, after] = [old, new].map(|db| matching::match_inventory(inventory.clone(), db).unwrap());
        let again = match store.rematched(&inventory.image.digest, &seen).unwrap() {
            Rematched::Same => Report { database: new.info(), ..before },
            Rematched::Findings { removed, added } => before.patched(&removed, &added, new.info()).unwrap(),
            Rematched::Whole(report) => *report,
        };
        assert_eq!(again, after);
    }
    // A later inventory was not seen.
    store.put_inventory(&inventory(9, &[("z", "1.0.0")])).unwrap();
    assert_eq!(store.rematched(&digest(9), &seen), None);
    let used = References { reports: HashSet::new(), images: all.iter().map(|i| i.image.digest.clone()).collect() };
    assert_eq!(store.collect_garbage(&used, Duration::ZERO).unwrap(), 1);
}

#[test]
fn a_full_volume_is_a_problem_until_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(dir.path()).unwrap();
    let limit = |pages: i64| store.write(|t| Ok(t.pragma_update(None, "max_page_count", pages)?));
    assert_eq!(store.problem(), None);
    // SQLite says the same of a limit as of a volume: `SQLITE_FULL`.
    let used = || store.space().used.unwrap();
    let before = used();
    assert!(before > 0 && store.space().available.is_some_and(|free| free > 0), "{:?}", store.space());
    limit(1).unwrap();
    let (mut stored, large) =
        (0, (0..4000).map(|i| (format!("package-{i}"), format!("{}.0", i * 7919))).collect::<Vec<_>>());
    let packages: Vec<(&str, &str)> = large.iter().map(|(name, version)| (name.as_str(), version.as_str())).collect();
    let report = Report::new(inventory(1, &packages), DatabaseInfo::default(), vec![], vec![]);
    while store.put_report(&report).is_ok() {
        stored += 1;
        assert!(stored < 100, "it is never full");
    }
    assert!(store.problem().is_some_and(|why| why.contains("full")), "{:?}", store.problem());
    limit(1 << 30).unwrap();
    assert_eq!(store.problem(), None);
    store.put_report(&report).unwrap();
    assert_eq!(store.problem(), None);
    assert!(used() > before, "{before}, {}", used());
}
