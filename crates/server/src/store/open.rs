//! The file: SQLite in WAL mode, with one connection that writes and any number that read.

use super::{StoreError, StoreLocation, aside};
use parking_lot::Mutex;
use rusqlite::{Connection, OpenFlags};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Rises with every change of the tables. A store of another version is kept for that version, and its images are scanned again.
const SCHEMA: i32 = 1;

/// Every question once (`asked`), by the package name that it is about; the questions of each inventory (`inventories`:
/// their numbers in order, delta-coded). An index from question to inventory would be ten times as large, and each scan would touch as many of its
/// pages as the image has packages; reading the questions of 100,000 inventories takes a fraction of a second.
const TABLES: &str = "
CREATE TABLE asked (name TEXT, question TEXT, id INTEGER NOT NULL, PRIMARY KEY (name, question)) WITHOUT ROWID;
CREATE TABLE inventories (id INTEGER PRIMARY KEY AUTOINCREMENT, image BLOB NOT NULL, analyzers INTEGER NOT NULL,
    at INTEGER NOT NULL, asked BLOB NOT NULL, UNIQUE (image, analyzers));
CREATE TABLE bodies (id INTEGER PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE reports (key BLOB PRIMARY KEY, at INTEGER NOT NULL, database TEXT NOT NULL, body BLOB NOT NULL);
CREATE TABLE rematched (image BLOB PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE counter (next INTEGER NOT NULL);
INSERT INTO counter VALUES (1);
";

/// Name of the file in its folder.
const FILE: &str = "store.db";
/// How long a reader waits for a checkpoint or for a writer of another process: longer than a checkpoint of the whole log
/// takes on a slow disk.
const BUSY: Duration = Duration::from_secs(10);
/// Idle readers that remain open: reports are read by people and by re-evaluation, seldom more than a few concurrently.
const MAX_IDLE_READERS: usize = 4;

/// The store in one file.
#[derive(Debug)]
pub struct SqliteStore {
    path: PathBuf,
    writer: Mutex<Connection>,
    readers: Mutex<Vec<Connection>>,
    /// Why the last write failed.
    problem: Mutex<Option<String>>,
}

impl SqliteStore {
    /// Opens or creates `store.db` in a folder. A damaged file, or one of another version, is put aside: its images are scanned
    /// again. One that this version wrote before is taken back.
    ///
    /// # Errors
    /// When the folder or the file cannot be created.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        fs::create_dir_all(dir)?;
        let path = dir.join(FILE);
        let mut opened = open_writer(&path);
        if let Err(Unusable::OtherVersion(version)) = opened {
            keep_other_version(&path, version)?;
            opened = open_writer(&path);
        }
        if let Err(Unusable::Damaged(error)) = &opened {
            tracing::error!("the store {} is damaged ({error}): images are scanned again", path.display());
            aside::put_damaged_aside(&path)?;
            opened = open_writer(&path);
        }
        let writer = opened.map_err(|unusable| unusable.at(&path))?;
        Ok(SqliteStore { path, writer: Mutex::new(writer), readers: Mutex::default(), problem: Mutex::default() })
    }

    /// Returns the location of the store in a folder, without opening it.
    pub fn location_in(dir: &Path) -> StoreLocation {
        StoreLocation(dir.join(FILE))
    }

    pub(super) fn file(&self) -> &Path {
        &self.path
    }

    /// Bytes of the file, and of the log with its last transactions.
    pub(super) fn bytes(&self) -> io::Result<u64> {
        let log = fs::metadata(self.path.with_extension("db-wal")).map_or(0, |log| log.len());
        Ok(fs::metadata(&self.path)?.len() + log)
    }

    /// Runs a transaction of the one writer.
    pub(super) fn write<T>(
        &self,
        work: impl FnOnce(&rusqlite::Transaction<'_>) -> Result<T, TransactionError>,
    ) -> Result<T, StoreError> {
        let mut writer = self.writer.lock();
        let done = writer.transaction().map_err(TransactionError::Sqlite).and_then(|transaction| {
            let done = work(&transaction)?;
            transaction.commit()?;
            Ok(done)
        });
        let done = done.map_err(|error| error.at(&self.path));
        *self.problem.lock() = done.as_ref().err().map(ToString::to_string);
        done
    }

    /// Why the last write failed, unless a row of a report's size can be written now: room may have been made since.
    pub(super) fn write_problem(&self) -> Option<String> {
        self.problem.lock().as_ref()?;
        self.write(write_probe).and_then(|()| self.write(remove_probe)).err().map(|error| error.to_string())
    }

    /// Reads the last committed state, concurrently with the writer.
    pub(super) fn read<T>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, TransactionError>,
    ) -> Result<T, StoreError> {
        let idle = self.readers.lock().pop();
        let reader = idle.map_or_else(|| reader(&self.path), Ok)?;
        let done = work(&reader).map_err(|error| error.at(&self.path));
        let mut readers = self.readers.lock();
        if readers.len() < MAX_IDLE_READERS {
            readers.push(reader);
        }
        done
    }
}

/// Bytes of the row that shows whether a report can be written.
const PROBE: i32 = 1 << 20;

fn write_probe(transaction: &rusqlite::Transaction<'_>) -> Result<(), TransactionError> {
    let insert = "INSERT OR REPLACE INTO reports VALUES (zeroblob(16), 0, '', zeroblob(?1))";
    Ok(transaction.execute(insert, [PROBE]).map(drop)?)
}

/// Where this fails, garbage collection removes the row.
fn remove_probe(transaction: &rusqlite::Transaction<'_>) -> Result<(), TransactionError> {
    Ok(transaction.execute("DELETE FROM reports WHERE key = zeroblob(16)", []).map(drop)?)
}

/// What can go wrong in a transaction.
#[derive(Debug)]
pub(super) enum TransactionError {
    Sqlite(rusqlite::Error),
    Other(StoreError),
}

impl TransactionError {
    pub(super) fn at(self, path: &Path) -> StoreError {
        match self {
            TransactionError::Sqlite(source) => StoreError::Sqlite { path: path.to_owned(), source },
            TransactionError::Other(error) => error,
        }
    }
}

impl From<rusqlite::Error> for TransactionError {
    fn from(error: rusqlite::Error) -> Self {
        TransactionError::Sqlite(error)
    }
}

impl From<io::Error> for TransactionError {
    fn from(error: io::Error) -> Self {
        TransactionError::Other(error.into())
    }
}

impl From<serde_json::Error> for TransactionError {
    fn from(error: serde_json::Error) -> Self {
        TransactionError::Other(error.into())
    }
}

/// Opens a connection that cannot write, in this process or another one.
pub(super) fn reader(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let opened = Connection::open_with_flags(path, flags);
    let ready = opened.and_then(|connection| connection.busy_timeout(BUSY).map(|()| connection));
    ready.map_err(|source| StoreError::Sqlite { path: path.to_owned(), source })
}

/// Why a file cannot be used.
#[derive(Debug)]
enum Unusable {
    /// Its bytes are not those that SQLite wrote.
    Damaged(rusqlite::Error),
    /// Its tables are those of this other version.
    OtherVersion(i32),
    /// SQLite reports another error.
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for Unusable {
    fn from(error: rusqlite::Error) -> Self {
        if is_damage(&error) { Unusable::Damaged(error) } else { Unusable::Sqlite(error) }
    }
}

impl Unusable {
    fn at(self, path: &Path) -> StoreError {
        let source = match self {
            Unusable::Damaged(source) | Unusable::Sqlite(source) => source,
            Unusable::OtherVersion(version) => damage(format!("its tables are those of version {version}")),
        };
        StoreError::Sqlite { path: path.to_owned(), source }
    }
}

fn open_writer(path: &Path) -> Result<Connection, Unusable> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY)?;
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    let schema: i32 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    // Before anything is changed in it.
    if tables > 0 && schema != SCHEMA {
        return Err(Unusable::OtherVersion(schema));
    }
    // Readers, also of other processes, do not wait for the writer.
    connection.pragma_update(None, "journal_mode", "wal")?;
    // The file is consistent after a crash; the last writes before a power cut may be lost, and cost a rescan.
    connection.pragma_update(None, "synchronous", "normal")?;
    // After a burst of scans the log shrinks to this.
    connection.pragma_update(None, "journal_size_limit", 64 << 20)?;
    // Pages of 4 KiB: fewer copies of the log into the file while many images are scanned.
    connection.pragma_update(None, "wal_autocheckpoint", 8192)?;
    // KiB: the questions that most images share remain in memory.
    connection.pragma_update(None, "cache_size", -16384)?;
    // Damage must show here, and not as a failing scan later. `quick_check` takes a second for a GiB; it leaves out the
    // comparison of indexes with their tables.
    let check: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if check != "ok" {
        return Err(damage(check).into());
    }
    if tables == 0 {
        connection.execute_batch(&format!("BEGIN; {TABLES} PRAGMA user_version = {SCHEMA}; COMMIT"))?;
    }
    Ok(connection)
}

/// Puts a store of another version aside, and takes back what that version put aside of this one.
fn keep_other_version(path: &Path, version: i32) -> Result<(), StoreError> {
    let aside = aside::put_version_aside(path, version)?;
    let then = match aside::take_back(path, SCHEMA)? {
        true => "what this version wrote before is used again",
        false => "images are scanned again",
    };
    tracing::warn!(
        "the store {} is of another version of tidewaiter (tables {version}, here {SCHEMA}): it is kept as {}, for that version, and \
         can be deleted once you do not go back; {then}",
        path.display(),
        aside.display()
    );
    Ok(())
}

/// Seconds since 1970.
pub(super) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

fn damage(what: String) -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT), Some(what))
}

fn is_damage(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
    matches!(error.sqlite_error_code(), Some(DatabaseCorrupt | NotADatabase))
}
