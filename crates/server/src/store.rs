//! The cache of reports and inventories, which are too large for etcd. A lost row costs a rescan.
//!
//! ```text
//! scan → inventory → put_inventory → inventories (questions of each), bodies, asked (every question once)
//! database → delta → rematch: asked → inventories whose answers may change → re-matched → changed reports
//! ```
//!
//! Everything is behind the trait [`Store`]: the server needs one store for all of its replicas, and this one is a file.

mod aside;
mod encoding;
mod garbage;
mod inventories;
mod open;
mod rematch;
mod reports;

pub use open::SqliteStore;
pub use rematch::{ChangedReport, OpenedStore, RematchSummary};
pub(crate) use reports::new_key;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::path::PathBuf;
use std::time::Duration;
use tidewaiter_core::image::Digest;
use tidewaiter_core::report::{DatabaseInfo, Inventory, Report};
use tidewaiter_db::matching::Rematched;

/// Why the store failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// SQLite reports an error.
    #[error("the store {path}: {source}")]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// A file cannot be read or written.
    #[error("the store: {0}")]
    Io(#[from] std::io::Error),
    /// A stored value cannot be read.
    #[error("the store: {0}")]
    Json(#[from] serde_json::Error),
    /// The vulnerability database cannot be read.
    #[error(transparent)]
    Database(#[from] tidewaiter_db::DatabaseError),
}

/// Stores reports by an unguessable key, and inventories by the digest of their image.
pub trait Store: Send + Sync {
    /// Stores a report and returns its key.
    ///
    /// # Errors
    /// When it cannot be written.
    fn put_report(&self, report: &Report) -> Result<String, StoreError>;
    /// Stores a copy of a report that another store gave this key.
    ///
    /// # Errors
    /// When it cannot be written.
    fn put_report_as(&self, key: &str, report: &Report) -> Result<(), StoreError>;
    /// Returns the report of a key.
    fn report(&self, key: &str) -> Option<Report>;
    /// Notes that another database gives the same report.
    ///
    /// # Errors
    /// When it cannot be written.
    fn confirm_report(&self, key: &str, by: &DatabaseInfo) -> Result<(), StoreError>;
    /// Deletes a report.
    fn remove_report(&self, key: &str);
    /// Stores an inventory.
    ///
    /// # Errors
    /// When it cannot be written.
    fn put_inventory(&self, inventory: &Inventory) -> Result<(), StoreError>;
    /// Returns the inventory of an image. `None` also when it cannot be read: then the image is.
    fn inventory(&self, image: &Digest) -> Option<Inventory>;
    /// Why nothing can be written now; `None` when the last write succeeded, or one does now.
    fn problem(&self) -> Option<String>;
    /// What it takes of its volume, and what is free there.
    fn space(&self) -> StoreSpace;
    /// Returns the location, by which worker processes open the store to read.
    fn location(&self) -> StoreLocation;
    /// Deletes the results of an earlier re-match.
    ///
    /// # Errors
    /// When it cannot be written.
    fn clear_rematched(&self) -> Result<(), StoreError>;
    /// Stores how a new database changes a report.
    ///
    /// # Errors
    /// When it cannot be written.
    fn put_rematched(&self, changed: &ChangedReport) -> Result<(), StoreError>;
    /// Returns what a re-match found for an image; `None` when it did not see the image's inventory.
    fn rematched(&self, image: &Digest, summary: &RematchSummary) -> Option<Rematched>;
    /// Deletes rows that are older than `age` and not referred to; returns their number.
    ///
    /// # Errors
    /// When the store cannot be listed.
    fn collect_garbage(&self, used: &References, age: Duration) -> Result<usize, StoreError>;
}

/// Room of a store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StoreSpace {
    /// Bytes of its files; `None` where that cannot be told.
    pub used: Option<u64>,
    /// Bytes that are free where it is; `None` where that cannot be told.
    pub available: Option<u64>,
}

/// Where a store is, for the processes that read it. Opaque: only the store knows what it names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StoreLocation(PathBuf);

/// What objects of the cluster refer to.
#[derive(Debug, Default)]
pub struct References {
    /// Keys of reports.
    pub reports: HashSet<String>,
    /// Digests of images.
    pub images: HashSet<Digest>,
}

#[cfg(test)]
mod tests;
