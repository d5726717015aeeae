//! The vulnerability database: a file on a volume, reopened when it is replaced.

use super::rematch::MatchedDatabase;
use crate::decide::database::{DatabaseChange, DatabaseState, RematchState};
use crate::settings::ServerSettings;
use crate::store::Store;
use parking_lot::{Mutex, RwLock};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tidewaiter_crd::names::{NAMESPACE, SERVER};
use tidewaiter_db::Database;

/// The file, its state, and the progress of re-matching; clones share them.
#[derive(Debug, Clone)]
pub(crate) struct DatabaseFile {
    path: PathBuf,
    matched: MatchedDatabase,
    /// The stamp of the file when it was read last.
    opened: Arc<Mutex<FileStamp>>,
    state: Arc<RwLock<DatabaseState>>,
    rematch: Arc<RwLock<RematchState>>,
}

/// What distinguishes a file from its successor: inode, size, time of modification.
type FileStamp = Option<(u64, u64, i64, i64)>;

impl DatabaseFile {
    /// Opens the file once; `program` is the one that matches.
    pub(crate) fn open(path: &Path, store: &Path, program: &Path) -> Self {
        let opened = Arc::new(Mutex::new(stamp(path)));
        let (state, matched) = (read(path), MatchedDatabase::new(store));
        let rematch = RematchState::begin(matched.id(program), &state);
        let (state, rematch) = (Arc::new(RwLock::new(state)), Arc::new(RwLock::new(rematch)));
        DatabaseFile { path: path.to_owned(), matched, opened, state, rematch }
    }

    /// The file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Its state.
    pub(crate) fn state(&self) -> DatabaseState {
        self.state.read().clone()
    }

    /// The progress of re-matching.
    pub(crate) fn rematch_state(&self) -> RematchState {
        self.rematch.read().clone()
    }

    /// Sets the progress of re-matching.
    pub(crate) fn set_rematch_state(&self, state: RematchState) {
        *self.rematch.write() = state;
    }

    /// Whether the file is another one than was read last.
    pub(crate) fn is_replaced(&self) -> bool {
        stamp(&self.path) != *self.opened.lock()
    }

    /// Reads the replaced file. Reads all of it, to verify it.
    pub(crate) fn reopen(&self, program: &Path) -> DatabaseState {
        // Before the file is read: one that cannot be read is not read again every second.
        *self.opened.lock() = stamp(&self.path);
        let state = read(&self.path);
        // The re-match first: a scan that sees the new database must see what becomes of its old result.
        self.set_rematch_state(RematchState::begin(self.matched.id(program), &state));
        *self.state.write() = state.clone();
        state
    }

    /// Discards the database after an unexpected read failure.
    pub(crate) fn give_up(&self, why: String) -> DatabaseState {
        let state = DatabaseState::Missing(why);
        *self.state.write() = state.clone();
        state
    }

    /// Compares the file with the previous database, in a process of its own.
    ///
    /// # Errors
    /// When a file cannot be read or written, or the process fails.
    pub(crate) fn compare(
        &self,
        store: &dyn Store,
        settings: &ServerSettings,
    ) -> anyhow::Result<Option<DatabaseChange>> {
        self.matched.rematch(store, &self.path, settings)
    }
}

fn stamp(path: &Path) -> FileStamp {
    let meta = std::fs::metadata(path).ok()?;
    Some((meta.ino(), meta.size(), meta.mtime(), meta.mtime_nsec()))
}

fn read(path: &Path) -> DatabaseState {
    match Database::open_verified(path) {
        Ok(database) => DatabaseState::Ready(database.info()),
        Err(error) => DatabaseState::Missing(format!(
            "no vulnerability database: {error}; see the output of its build: kubectl -n {NAMESPACE} logs \
             deployment/{SERVER} -c database; if it failed, correct the feeds (docs/user-guide.md, The database): it is \
             then built again, without a restart"
        )),
    }
}
