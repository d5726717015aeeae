use std::path::PathBuf;
use tidewaiter_core::Reason;

/// Why a database could not be read or written. Every text names the file and the next step.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system refused.
    #[error("database {path}: {source}; check the path, or build a database with `kubectl scan db build`")]
    Io {
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// The bytes are not a database, or not the ones that were written.
    #[error("database {path} is corrupt: {what}; build it again with `kubectl scan db build`")]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What does not hold.
        what: String,
    },
    /// Written by a newer tidewaiter.
    #[error(
        "database {path} has format {found}, this program reads format {supported}; update tidewaiter, or rebuild the database with this version"
    )]
    NewerFormat {
        /// The file.
        path: PathBuf,
        /// Its format version.
        found: u32,
        /// The version this program reads.
        supported: u32,
    },
    /// The input does not fit the format.
    #[error("database {path} cannot be written: {what}")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Which limit.
        what: String,
    },
}

impl Error {
    /// A stable name for conditions and exit codes.
    pub fn reason(&self) -> Reason {
        match self {
            Error::Io { .. } => Reason::DatabaseUnavailable,
            Error::Corrupt { .. } => Reason::DatabaseCorrupt,
            Error::NewerFormat { .. } => Reason::DatabaseNewerFormat,
            Error::TooLarge { .. } => Reason::DatabaseTooLarge,
        }
    }
}
