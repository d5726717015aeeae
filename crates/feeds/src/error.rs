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
    #[error("feed {feed}: {location}: {cause}; {advice}")]
    Unavailable {
        /// Its name.
        feed: String,
        /// Path or URL.
        location: String,
        /// How it differs.
        cause: String,
        /// The next step for this kind of cause.
        advice: String,
    },
    /// Downloads cannot be kept.
    #[error(
        "downloads cannot be kept in {}: {cause}; name a writable folder with --downloads DIR (TIDEWAITER_DOWNLOADS)",
        folder.display()
    )]
    Downloads {
        /// Where they would be kept.
        folder: PathBuf,
        /// What the system said.
        cause: String,
    },
    /// No client for the network could be made.
    #[error(transparent)]
    Network(#[from] tidewaiter_http::Error),
    /// A reader of a format broke down: a defect of this program.
    #[error(
        "feed {feed}: {location}: its reader broke down ({cause}); report this, and take the feed out of feeds.toml until it is mended"
    )]
    Defect {
        /// Its name.
        feed: String,
        /// Path or URL.
        location: String,
        /// The message of the panic.
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
