//! The file: SQLite in WAL mode, one connection that writes, any number that read.

use super::Error;
use rusqlite::{Connection, OpenFlags};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Rises with every change of the tables: what another version wrote is forgotten, and scanned again.
const SCHEMA: i32 = 1;

/// Every question once (`asked`), by the name it is about; who asks which (`inventories`: delta-coded numbers of questions
/// in order). An index from question to inventory would be ten times as large, and each scan would touch as many of its
/// pages as the image has packages; reading who asks what for 100,000 images takes a fraction of a second.
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

/// How long a reader waits for a checkpoint, or a writer of another process.
const BUSY: Duration = Duration::from_secs(10);
/// Readers that are kept open.
const READERS: usize = 4;

/// The store in one file.
#[derive(Debug)]
pub struct Sqlite {
    path: PathBuf,
    writer: Mutex<Connection>,
    readers: Mutex<Vec<Connection>>,
}

impl Sqlite {
    /// Opens or makes `store.db` in a folder. A file that is damaged is put aside: what was in it is scanned again.
    ///
    /// # Errors
    /// When the folder or the file cannot be made.
    pub fn open(dir: &Path) -> Result<Self, Error> {
        fs::create_dir_all(dir)?;
        let path = dir.join("store.db");
        let writer = match writer(&path) {
            Ok(writer) => writer,
            Err(error) if is_damage(&error) => {
                tracing::error!("the store {} is damaged ({error}): images are scanned again", path.display());
                put_aside(&path)?;
                writer(&path).map_err(|source| Error::Sqlite { path: path.clone(), source })?
            }
            Err(source) => return Err(Error::Sqlite { path, source }),
        };
        Ok(Sqlite { path, writer: Mutex::new(writer), readers: Mutex::new(Vec::new()) })
    }

    pub(super) fn file(&self) -> &Path {
        &self.path
    }

    /// Runs a transaction of the one writer.
    pub(super) fn write<T>(
        &self,
        work: impl FnOnce(&rusqlite::Transaction<'_>) -> Result<T, Work>,
    ) -> Result<T, Error> {
        let mut writer: MutexGuard<'_, Connection> = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let done = writer.transaction().map_err(Work::Sqlite).and_then(|transaction| {
            let done = work(&transaction)?;
            transaction.commit()?;
            Ok(done)
        });
        done.map_err(|error| error.at(&self.path))
    }

    /// Reads beside the writer.
    pub(super) fn read<T>(&self, work: impl FnOnce(&Connection) -> Result<T, Work>) -> Result<T, Error> {
        let readers = || self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = readers().pop();
        let reader = kept.map_or_else(|| reader(&self.path), Ok)?;
        let done = work(&reader).map_err(|error| error.at(&self.path));
        let mut readers = readers();
        if readers.len() < READERS {
            readers.push(reader);
        }
        done
    }
}

/// What can go wrong in a transaction.
#[derive(Debug)]
pub(super) enum Work {
    Sqlite(rusqlite::Error),
    Other(Error),
}

impl Work {
    pub(super) fn at(self, path: &Path) -> Error {
        match self {
            Work::Sqlite(source) => Error::Sqlite { path: path.to_owned(), source },
            Work::Other(error) => error,
        }
    }
}

impl From<rusqlite::Error> for Work {
    fn from(error: rusqlite::Error) -> Self {
        Work::Sqlite(error)
    }
}

impl From<io::Error> for Work {
    fn from(error: io::Error) -> Self {
        Work::Other(error.into())
    }
}

impl From<serde_json::Error> for Work {
    fn from(error: serde_json::Error) -> Self {
        Work::Other(error.into())
    }
}

/// A connection that cannot write, of this process or another one.
pub(super) fn reader(path: &Path) -> Result<Connection, Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let open = || {
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(BUSY)?;
        Ok(connection)
    };
    open().map_err(|source| Error::Sqlite { path: path.to_owned(), source })
}

fn writer(path: &Path) -> Result<Connection, rusqlite::Error> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    // The file is whole after a crash; the last writes before a power cut may be lost, and are scanned again.
    connection.pragma_update(None, "synchronous", "normal")?;
    connection.pragma_update(None, "journal_size_limit", 64 << 20)?;
    // Pages of 4 KiB: fewer copies of the log into the file while many images are scanned.
    connection.pragma_update(None, "wal_autocheckpoint", 8192)?;
    // KiB: the questions that most images ask stay at hand.
    connection.pragma_update(None, "cache_size", -16384)?;
    let check: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if check != "ok" {
        return Err(damage(check));
    }
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if tables == 0 {
        connection.execute_batch(&format!("BEGIN; {TABLES} PRAGMA user_version = {SCHEMA}; COMMIT"))?;
    }
    let schema: i32 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if schema == SCHEMA { Ok(connection) } else { Err(damage(format!("its tables are those of version {schema}"))) }
}

fn damage(what: String) -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT), Some(what))
}

fn is_damage(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
    matches!(error.sqlite_error_code(), Some(DatabaseCorrupt | NotADatabase))
}

/// The file becomes `store.db.damaged`; one that is there already is replaced, so that they do not pile up.
fn put_aside(path: &Path) -> io::Result<()> {
    for suffix in ["-wal", "-shm"] {
        let mut beside = path.as_os_str().to_owned();
        beside.push(suffix);
        match fs::remove_file(beside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    fs::rename(path, path.with_extension("db.damaged"))
}
