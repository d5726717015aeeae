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
    /// A feed cannot be downloaded or read.
    #[error("feed {feed}: {location}: {cause}; {advice}")]
    Unavailable {
        /// Its name.
        feed: String,
        /// Path or URL.
        location: String,
        /// The cause.
        cause: String,
        /// The next step for this kind of cause.
        advice: String,
    },
    /// The server of a feed's address has no such file, or does not give it away.
    #[error("feed {feed}: {location}: the server answers {status}; {advice}")]
    Absent {
        /// Its name.
        feed: String,
        /// Its URL.
        location: String,
        /// 404 or its like.
        status: u16,
        /// The next step.
        advice: String,
    },
    /// A repository has no advisories.
    #[error(
        "feed {feed}: {location}: its index names no updateinfo; check its address in feeds.toml, or try again later"
    )]
    NoUpdates {
        /// Its name.
        feed: String,
        /// Its URL.
        location: String,
    },
    /// A row with a placeholder stands for no feed, or for one that there is already.
    #[error("feed {feed}: {cause}; correct it in feeds.toml")]
    NoMember {
        /// The name of the row, or of the feed.
        feed: String,
        /// The cause.
        cause: String,
    },
    /// None of the feeds that a row stands for can be read.
    #[error("feed {row}: none of its {members} members can be read, the first one: {first}")]
    NoneRead {
        /// The name of the row.
        row: String,
        /// How many there are.
        members: usize,
        /// The error of the first one.
        first: String,
    },
    /// No feed at all can be read.
    #[error("none of {feeds} feeds can be read, the first one: {first}")]
    NothingRead {
        /// How many there are.
        feeds: usize,
        /// The error of the first one.
        first: String,
    },
    /// Downloads cannot be stored.
    #[error(
        "downloads cannot be stored in {}: {cause}; name a writable folder with --downloads DIR (TIDEWAITER_DOWNLOADS)",
        folder.display()
    )]
    Downloads {
        /// The folder for downloads.
        folder: PathBuf,
        /// The operating system's error.
        cause: String,
    },
    /// No client for the network could be made.
    #[error(transparent)]
    Network(#[from] tidewaiter_http::ClientError),
    /// A reader of a format panicked: a defect of this program.
    #[error(
        "feed {feed}: {location}: its reader failed ({cause}); report this defect, and remove the feed from feeds.toml until it is fixed"
    )]
    Defect {
        /// Its name.
        feed: String,
        /// Path or URL.
        location: String,
        /// The message of the panic.
        cause: String,
    },
    /// A feed was read and has no records.
    #[error("feed {feed}: {location} holds no record of format {format}; check the format in feeds.toml")]
    Empty {
        /// Its name.
        feed: String,
        /// Path or URL.
        location: String,
        /// Its format.
        format: String,
    },
    /// Too many of a feed's documents cannot be read.
    #[error(
        "feed {feed}: {location} is damaged: {unreadable} of {documents} documents cannot be read, the first one {first}; \
         check its address and format in feeds.toml, or try again later"
    )]
    Damaged {
        /// Its name.
        feed: String,
        /// Path or URL.
        location: String,
        /// Documents that cannot be read.
        unreadable: u64,
        /// All documents.
        documents: u64,
        /// The name of the first one that cannot be read, and what is wrong with it.
        first: String,
    },
    /// The records of a feed cannot be stored on disk while they are sorted.
    #[error("the records of feed {feed} cannot be stored in {}: {cause}; make room, or name another folder with --downloads DIR", folder.display())]
    Disk {
        /// Its name.
        feed: String,
        /// The folder.
        folder: PathBuf,
        /// The operating system's error.
        cause: String,
    },
    /// Records that were stored cannot be read back.
    #[error("records of feeds cannot be read back: {0}; delete the folder of downloads and build again")]
    Part(#[from] std::io::Error),
    /// The result has far fewer rows than the file it would replace.
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
    Database(#[from] tidewaiter_db::DatabaseError),
}
