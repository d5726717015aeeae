use std::path::PathBuf;

/// Why a database could not be built. Every text names the feed or file, the cause and the next step.
#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    /// `feeds.toml` cannot be used.
    #[error("{path}: {cause}")]
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong, with its line.
        cause: String,
    },
    /// A feed cannot be had.
    #[error("feed {feed}: {location}: {cause}; check the path or address in feeds.toml")]
    Unavailable {
        /// Its name.
        feed: String,
        /// Path or URL.
        location: String,
        /// What happened.
        cause: String,
    },
    /// A feed was read and says nothing.
    #[error("feed {feed}: {location} holds no record of format {format}; check the format in feeds.toml")]
    Empty {
        /// Its name.
        feed: String,
        /// Path or URL.
        location: String,
        /// Its format.
        format: String,
    },
    /// The result lost too much against the file it would replace.
    #[error(
        "the new database has {new} rows, the previous one {old}; a feed may be broken: check `kubectl scan db status`, or write to another file"
    )]
    Shrunk {
        /// Rows before.
        old: u64,
        /// Rows now.
        new: u64,
    },
    /// The database cannot be written.
    #[error(transparent)]
    Database(#[from] tidewaiter_db::Error),
}
