//! The database that scans use, as it is at the moment.

use parking_lot::Mutex;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use tidewaiter_core::report::DatabaseInfo;
use tidewaiter_db::Database;

/// What distinguishes a file from its successor: inode, size, time of modification.
type Stamp = Option<(u64, u64, i64, i64)>;

/// A file that another process replaces.
#[derive(Debug)]
pub(crate) struct HarborDatabase {
    path: PathBuf,
    /// What was read last, and of which file.
    last: Mutex<Option<(Stamp, DatabaseInfo)>>,
}

impl HarborDatabase {
    /// The file at this path, or none.
    pub(crate) fn new(path: PathBuf) -> Self {
        HarborDatabase { path, last: Mutex::default() }
    }

    /// The path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// When it was built, and of what. Blocks: a file that was replaced is opened.
    ///
    /// # Errors
    /// Why there is none, and what to do.
    pub(crate) fn info(&self) -> Result<DatabaseInfo, String> {
        let mut last = self.last.lock();
        let stamp = stamp(&self.path);
        if let Some((of, info)) = &*last
            && *of == stamp
        {
            return Ok(info.clone());
        }
        // A failure is not kept: who may read a file shows neither in its size nor in its time.
        let info = Database::open(&self.path).map(|database| database.info()).map_err(|error| {
            format!(
                "no vulnerability database: {error}; build or download one: kubectl-scan db update --db {}",
                self.path.display()
            )
        })?;
        *last = Some((stamp, info.clone()));
        Ok(info)
    }
}

fn stamp(path: &Path) -> Stamp {
    let meta = fs::metadata(path).ok()?;
    Some((meta.ino(), meta.size(), meta.mtime(), meta.mtime_nsec()))
}
