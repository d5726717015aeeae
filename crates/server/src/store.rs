//! Where reports and inventories live: never in etcd. What is lost here costs a scan.
//!
//! ```text
//! scan → inventory → put_inventory → inventories (who asks what), bodies, asked (every question once)
//! database → delta → rematch: asked → inventories with another answer → judged again → changed reports
//! ```

mod inventories;
mod open;
mod rematch;
mod reports;
mod sweep;

pub use open::Sqlite;
pub use rematch::{Changed, Seen, rematch};
use std::collections::HashSet;
use std::path::PathBuf;
use std::time::Duration;
use tidewaiter_core::image::Digest;
use tidewaiter_core::report::{DatabaseInfo, Inventory, Report};
use tidewaiter_db::matching::Rematched;

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// SQLite refused.
    #[error("the store {path}: {source}")]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// Something else on the way.
    #[error("the store: {0}")]
    Io(#[from] std::io::Error),
    /// A value that is not what was written.
    #[error("the store: {0}")]
    Json(#[from] serde_json::Error),
    /// A database that judges cannot be read.
    #[error(transparent)]
    Database(#[from] tidewaiter_db::Error),
}

/// Keeps reports by their unguessable key, and inventories by the digest of their image.
pub trait Store: Send + Sync {
    /// Keeps a report; gives its key.
    ///
    /// # Errors
    /// When it cannot be written.
    fn put_report(&self, report: &Report) -> Result<String, Error>;
    /// A report, if the key is one.
    fn report(&self, key: &str) -> Option<Report>;
    /// Says that another database would give the same report.
    ///
    /// # Errors
    /// When it cannot be written.
    fn confirm_report(&self, key: &str, by: &DatabaseInfo) -> Result<(), Error>;
    /// Forgets a report.
    fn remove_report(&self, key: &str);
    /// Keeps what was seen in an image.
    ///
    /// # Errors
    /// When it cannot be written.
    fn put_inventory(&self, inventory: &Inventory) -> Result<(), Error>;
    /// The file, for the processes that read inventories.
    fn path(&self) -> PathBuf;
    /// Forgets what an earlier re-match found.
    ///
    /// # Errors
    /// When it cannot be written.
    fn clear_rematched(&self) -> Result<(), Error>;
    /// Keeps how a new database changes a report.
    ///
    /// # Errors
    /// When it cannot be written.
    fn put_rematched(&self, changed: &Changed) -> Result<(), Error>;
    /// What a re-match found of an image that was scanned before it.
    fn rematched(&self, image: &Digest, seen: &Seen) -> Option<Rematched>;
    /// Forgets what is older than `age` and not in use; gives how much.
    ///
    /// # Errors
    /// When the store cannot be listed.
    fn sweep(&self, used: &Used, age: Duration) -> Result<usize, Error>;
}

/// What objects of the cluster refer to.
#[derive(Debug, Default)]
pub struct Used {
    /// Keys of reports.
    pub reports: HashSet<String>,
    /// Digests of images.
    pub images: HashSet<Digest>,
}

#[cfg(test)]
mod tests;
