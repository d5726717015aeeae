//! The reader of SQLite files against SQLite itself: files and write-ahead logs of its own making, row by row.

use super::encode::{Field, rpm};
use super::{parse, with_wal};
use crate::analyze::ParsedFile;
use rusqlite::Connection;
use std::fs;
use std::path::{Path, PathBuf};

const PATH: &str = "var/lib/rpm/rpmdb.sqlite";
/// rpm's own tables, as far as they matter: another table and an index have pages between those of the packages.
const SCHEMA: &str = "CREATE TABLE Packages (hnum INTEGER PRIMARY KEY AUTOINCREMENT, blob BLOB NOT NULL);
    CREATE TABLE Name (key TEXT NOT NULL, hnum INTEGER NOT NULL, idx INTEGER NOT NULL);
    CREATE INDEX Name_key_idx ON Name (key ASC);";

/// A database on disk, and a connection to it.
struct Database {
    file: PathBuf,
    connection: Connection,
    _dir: tempfile::TempDir,
}

impl Database {
    fn new(pragmas: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("rpmdb.sqlite");
        let connection = Connection::open(&file).unwrap();
        connection.execute_batch(pragmas).unwrap();
        // The disk is not what is tested.
        connection.execute_batch("PRAGMA synchronous = OFF;").unwrap();
        connection.execute_batch(SCHEMA).unwrap();
        Database { file, connection, _dir: dir }
    }

    /// Inserts packages whose headers have about these lengths; `name` begins all their names.
    fn insert(&self, name: &str, lengths: impl Iterator<Item = usize>) {
        for (number, length) in lengths.enumerate() {
            let (name, number) = (format!("{name}{number}"), u32::try_from(number).unwrap());
            let blob = rpm(&name, None, "1", "1", &[(1005, Field::Text(&"x".repeat(length)))]);
            self.connection.execute("INSERT INTO Packages (blob) VALUES (?1)", [blob]).unwrap();
            self.connection.execute("INSERT INTO Name VALUES (?1, ?2, 0)", (name, number)).unwrap();
        }
    }

    /// The names that another connection reads.
    fn names(&self) -> Vec<String> {
        let reader = Connection::open(&self.file).unwrap();
        let mut query = reader.prepare("SELECT blob FROM Packages").unwrap();
        let rows = query.query_map([], |row| row.get::<_, Vec<u8>>(0)).unwrap();
        let name = |blob: &[u8]| super::RpmHeader::parse(blob).unwrap().package().unwrap().unwrap().name;
        let mut names: Vec<String> = rows.map(|blob| name(&blob.unwrap())).collect();
        names.sort_unstable();
        names
    }

    fn bytes(&self, suffix: &str) -> Vec<u8> {
        fs::read(Path::new(&format!("{}{suffix}", self.file.display()))).unwrap()
    }

    fn check(&self, parsed: &ParsedFile, what: &str) {
        let mut found: Vec<&str> = parsed.packages.iter().map(|package| package.name.as_str()).collect();
        found.sort_unstable();
        assert_eq!(found, self.names(), "{what}");
        assert!(parsed.gaps.is_empty(), "{what}: {:?}", parsed.gaps);
    }
}

#[test]
fn files_of_every_page_size_are_read() {
    for page_size in [512_usize, 1024, 4096, 65536] {
        for more in ["", "PRAGMA auto_vacuum = FULL;"] {
            let what = format!("{page_size} {more}");
            let database = Database::new(&format!("PRAGMA page_size = {page_size}; {more}"));
            database.check(&parse(PATH, &database.bytes("")), &what);
            // Rows around the sizes at which a page has all of a row, some of it, and the least of it.
            database.insert("edge", (0..140).map(|n| (page_size + 35).saturating_sub(n + 100)));
            database.insert("large", [3 * page_size, 300_000].into_iter());
            database.insert("small", (0..400).map(|n| n % 50));
            database.check(&parse(PATH, &database.bytes("")), &what);
            // Free pages, and leaves that are not in the order of the file.
            database.connection.execute("DELETE FROM Packages WHERE hnum % 3 = 0 OR hnum > 300", []).unwrap();
            database.insert("late", (0..90).map(|n| n * 40));
            database.check(&parse(PATH, &database.bytes("")), &what);
        }
    }
}

#[test]
fn logs_are_read_as_sqlite_recovers_them() {
    for page_size in [512, 4096] {
        let pragmas =
            format!("PRAGMA page_size = {page_size}; PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0;");
        let database = Database::new(&pragmas);
        let read = || with_wal(PATH, &database.bytes(""), &database.bytes("-wal"));
        database.insert("first", (0..60).map(|n| n * 30));
        assert!(parse(&format!("{PATH}-wal"), &database.bytes("-wal")).is_wal);
        database.check(&read(), "all in the log");
        database.connection.execute_batch("PRAGMA wal_checkpoint(FULL);").unwrap();
        database.insert("second", (0..20).map(|n| n * 200));
        database.connection.execute("DELETE FROM Packages WHERE hnum % 4 = 0", []).unwrap();
        database.check(&read(), "a part in the log");
        // The log is begun again: frames of the round before follow.
        database.connection.execute_batch("PRAGMA wal_checkpoint(RESTART);").unwrap();
        database.insert("third", [10].into_iter());
        database.check(&read(), "a log that was begun again");
        // Pages of a transaction that is not committed are written where the cache is small.
        database.connection.execute_batch("PRAGMA cache_size = 2; BEGIN;").unwrap();
        let before = database.bytes("-wal");
        database.insert("open", (0..200).map(|n| n * 20));
        assert!(database.bytes("-wal") != before, "nothing was written before its commit");
        database.check(&read(), "a transaction that is open");
        database.connection.execute_batch("COMMIT; PRAGMA wal_checkpoint(TRUNCATE);").unwrap();
        database.check(&parse(PATH, &database.bytes("")), "an emptied log");
        assert!(!parse(&format!("{PATH}-wal"), &database.bytes("-wal")).is_wal);
    }
}
