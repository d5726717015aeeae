//! The options of a build, and who follows it.

use crate::config::FeedsConfig;
use jiff::Timestamp;
use std::path::Path;
use tidewaiter_db::meta::FeedInfo;

/// What to build, and where.
pub struct BuildOptions<'a> {
    /// The feeds.
    pub config: &'a FeedsConfig,
    /// The file to write.
    pub out: &'a Path,
    /// Where downloads and the records read from them are stored, one folder for each feed.
    pub downloads: &'a Path,
    /// The time of the build.
    pub now: Timestamp,
    /// Largest share of rows that may be lost against the file at `out`, 0.0 to 1.0.
    pub max_loss: f64,
    /// Follows the build.
    pub progress: &'a dyn BuildProgress,
}

/// Follows a build, whose feeds are read at the same time.
pub trait BuildProgress: Sync {
    /// So many feeds will be read, so many of them downloaded.
    fn feeds_known(&self, feeds: usize, downloaded: usize);
    /// A feed is opened.
    fn feed_started(&self, name: &str, location: &str);
    /// So many of its bytes were downloaded, of so many where the server says.
    fn downloaded(&self, name: &str, bytes: u64, total: Option<u64>);
    /// It is read, or stands in for what could not be read ([`FeedInfo::stale`]).
    fn feed_done(&self, info: &FeedInfo);
}

/// Follows nothing.
#[derive(Debug)]
pub struct SilentBuild;

impl BuildProgress for SilentBuild {
    fn feeds_known(&self, _: usize, _: usize) {}
    fn feed_started(&self, _: &str, _: &str) {}
    fn downloaded(&self, _: &str, _: u64, _: Option<u64>) {}
    fn feed_done(&self, _: &FeedInfo) {}
}
