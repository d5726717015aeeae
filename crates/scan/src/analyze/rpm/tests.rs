//! Every format, whole and damaged, on databases made in code.

use super::encode::{bdb, ndb, rpm, sqlite, three, wal};
use super::{MANIFEST, parse, with_wal};
use crate::analyze::ParsedFile;

const SQLITE: &str = "var/lib/rpm/rpmdb.sqlite";
const NDB: &str = "usr/lib/sysimage/rpm/Packages.db";
const BDB: &str = "var/lib/rpm/Packages";
const THREE: [&str; 3] = ["large 2:2.0-1", "last 3.0-1", "small 1.0-1"];

fn listed(parsed: &ParsedFile) -> Vec<String> {
    let mut found: Vec<String> = parsed.packages.iter().map(|p| format!("{} {}", p.name, p.version)).collect();
    found.sort();
    found
}

fn causes(parsed: &ParsedFile) -> String {
    parsed.gaps.iter().map(|g| format!("{} {}\n", g.subject, g.message)).collect()
}

#[test]
fn every_format_is_read() {
    let check = |path: &str, file: &[u8]| {
        let parsed = parse(path, file);
        assert_eq!(listed(&parsed), THREE, "{path}");
        assert_eq!(causes(&parsed), "", "{path}");
    };
    check(SQLITE, &sqlite(&three()));
    check(NDB, &ndb(&three()));
    check(BDB, &bdb(&three(), true));
    check(BDB, &bdb(&three(), false));
}

#[test]
fn damage_is_named_and_the_rest_is_listed() {
    let check = |path: &str, file: &[u8], at: usize, bytes: &[u8], packages: usize, cause: &str| {
        let mut file = file.to_vec();
        file[at..at + bytes.len()].copy_from_slice(bytes);
        let parsed = parse(path, &file);
        assert!(causes(&parsed).contains(cause), "{cause}: {}", causes(&parsed));
        assert!(causes(&parsed).starts_with(path));
        assert_eq!(parsed.packages.len(), packages, "{cause}");
    };
    let file = sqlite(&three());
    check(SQLITE, &file, 0, b"x", 0, "not a SQLite file");
    check(SQLITE, &file, 16, &[0, 3], 0, "page size");
    check(SQLITE, &file, 21, &[63], 0, "not sound");
    check(SQLITE, &file, 59, &[2], 0, "not UTF-8");
    check(SQLITE, &file, 31, &[200], 3, "cut off");
    check(SQLITE, &file, 1024, &[2], 0, "unknown kind");
    check(SQLITE, &file, 2048, &[0], 2, "unknown kind");
    // The root's right-most child: a page that is read already, and one that does not exist.
    check(SQLITE, &file, 1024 + 8, &[0, 0, 0, 4], 2, "used twice");
    check(SQLITE, &file, 1024 + 8, &[1, 0, 0, 0], 2, "outside the file");
    check(SQLITE, &file, 2048 + 3, &[0xff, 0xff], 2, "more rows than room");
    let file = ndb(&three());
    check(NDB, &file, 0, b"x", 0, "not an NDB");
    check(NDB, &file, 4, &[1], 0, "version");
    check(NDB, &file, 12, &[9], 0, "within its slots");
    check(NDB, &file, 32, b"x", 2, "no magic number");
    check(NDB, &file, 32 + 11, &[9], 2, "outside the file");
    check(NDB, &file, 4096, b"x", 2, "lacks its magic numbers");
    check(NDB, &file, 4096 + 12, &[9], 2, "lengths differ");
    check(NDB, &file, 4096 + 24 + 15, &[1], 3, "checksum");
    let file = bdb(&three(), true);
    check(BDB, &file, 12, b"x", 0, "not a Berkeley DB");
    check(BDB, &file, 16, &[99], 0, "version");
    check(BDB, &file, 20, &[3], 0, "page size");
    check(BDB, &file, 24, &[1], 0, "encrypted");
    check(BDB, &file, 32, &[99], 3, "cut off");
    check(BDB, &file, 512 + 8, &[2], 0, "its own number");
    check(BDB, &file, 512 + 25, &[0], 0, "belong to no package");
    check(BDB, &file, 512 + 20, &[0xff], 0, "more items than room");
    check(BDB, &file, 1024 + 16, &[2], 2, "belongs to two packages");
}

#[test]
fn an_empty_file_is_a_database() {
    for (path, gaps) in [(SQLITE, 0), (NDB, 1), (BDB, 1), (MANIFEST, 0)] {
        let parsed = parse(path, b"");
        assert_eq!((parsed.packages.len(), parsed.gaps.len()), (0, gaps), "{path}");
        assert!(parsed.database.is_some(), "{path}");
    }
}

#[test]
fn a_log_is_read_with_its_database() {
    let before = sqlite(&three());
    let mut more = three();
    more.remove(0);
    more.push(rpm("added", None, "1", "1", &[]));
    let after = sqlite(&more);
    let log = wal(&before, &after);
    let path = format!("{SQLITE}-wal");
    let alone = parse(&path, &log);
    assert!(alone.is_wal && alone.gaps.is_empty());
    let joined = with_wal(SQLITE, &before, &log);
    assert_eq!(listed(&joined), ["added 1-1", "large 2:2.0-1", "last 3.0-1"]);
    assert_eq!(causes(&joined), "");
    // Nothing of a transaction without its commit counts; a page with a wrong checksum is a gap.
    let frame = 24 + 1024;
    let open = &log[..log.len() - frame];
    assert!(!parse(&path, open).is_wal);
    assert_eq!(listed(&with_wal(SQLITE, &before, open)), THREE);
    let mut bad = log.clone();
    *bad.last_mut().unwrap() ^= 1;
    assert!(causes(&parse(&path, &bad)).contains("checksum"));
    assert!(causes(&parse(&path, &log[..log.len() - 1])).contains("ends within a page"));
    bad[0] = 0;
    assert!(causes(&parse(&path, &bad)).contains("no magic number"));
    // Frames of an earlier round follow the last one of this round.
    let mut stale = log[log.len() - frame..].to_vec();
    stale[8] = 1;
    assert_eq!(parse(&path, &[log, stale].concat()), alone);
    assert_eq!(parse(&path, b""), ParsedFile::default());
    assert_eq!(parse(&path, &[0; 4096]), ParsedFile::default());
}
