//! Reading feeds: from an address or a path to the records of each.

use crate::config::Feed;
use crate::error::FeedError;
use crate::format::{Address, Records};
use crate::options::BuildOptions;
use crate::rpm_modules;
use crate::source::{self, rpm_repository, url};
use std::fs;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::thread;
use tidewaiter_db::meta::FeedInfo;
use tidewaiter_http::{Client, Settings};

/// Most feeds that are read at the same time: each has a document in memory and a connection to its upstream.
const MAX_THREADS: usize = 4;

/// Reads every feed; returns records and provenance in the order of the configuration.
pub(crate) fn all(options: &BuildOptions<'_>) -> Result<Vec<(Records, FeedInfo)>, FeedError> {
    let feeds = &options.config.feeds;
    // Before any request: a folder that cannot be written is not the fault of a feed.
    let client = match feeds.iter().any(|feed| feed.url.is_some()) {
        true => {
            check_writable(options.downloads)?;
            Some(Client::new(&Settings::default())?)
        }
        false => None,
    };
    let threads = thread::available_parallelism().map_or(1, usize::from).min(MAX_THREADS);
    tidewaiter_io::in_order(threads, feeds, |feed| catch_panic(feed, || read_one(feed, options, client.as_ref())))
}

/// Makes a panic in a reader the error of its feed: a build without that feed must be possible.
fn catch_panic<T>(feed: &Feed, read: impl FnOnce() -> Result<T, FeedError>) -> Result<T, FeedError> {
    panic::catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|message| {
        let text = message.downcast_ref::<String>().map(String::as_str);
        let cause = text.or_else(|| message.downcast_ref::<&str>().copied()).unwrap_or("no message").to_owned();
        Err(FeedError::Defect { feed: feed.name.clone(), location: feed.location(), cause })
    })
}

fn check_writable(folder: &Path) -> Result<(), FeedError> {
    let probe = folder.join(format!(".writable-{}", std::process::id()));
    let tried = fs::create_dir_all(folder).and_then(|()| fs::write(&probe, b"")).and_then(|()| fs::remove_file(&probe));
    tried.map_err(|e| FeedError::Downloads { folder: folder.to_owned(), cause: e.to_string() })
}

fn read_one(
    feed: &Feed,
    options: &BuildOptions<'_>,
    client: Option<&Client>,
) -> Result<(Records, FeedInfo), FeedError> {
    options.progress.feed_started(&feed.name, &feed.location());
    let path = fetch(feed, options, client).map_err(|e| unavailable(feed, e.to_string(), e.advice()))?;
    let mut reader = feed.format.reader(&feed.context());
    let (mut read, mut unreadable) = (0, 0);
    let documents = source::documents(&path, &mut |name, bytes| match reader.document(name, bytes) {
        Ok(true) => read += 1,
        Ok(false) => {}
        // One broken record must not cost the whole feed; their number is in the provenance.
        Err(_) => unreadable += 1,
    });
    documents.map_err(|e| {
        let advice = "check that it is whole, and the path or address in feeds.toml";
        unavailable(feed, e.to_string(), advice.to_owned())
    })?;
    let mut records = reader.finish();
    // An archive that moved, or a page that says so, is read without a failure too.
    if read == 0 || records.is_empty() {
        let format = feed.format.name.to_owned();
        return Err(FeedError::Empty { feed: feed.name.clone(), location: feed.location(), format });
    }
    rpm_modules::resolve(&mut records.advisories);
    let info = provenance(feed, &mut records, unreadable);
    options.progress.feed_done(&info);
    Ok((records, info))
}

fn unavailable(feed: &Feed, cause: String, advice: String) -> FeedError {
    FeedError::Unavailable { feed: feed.name.clone(), location: feed.location(), cause, advice }
}

/// The file or directory with the documents: downloaded where the feed has an address.
fn fetch(feed: &Feed, options: &BuildOptions<'_>, client: Option<&Client>) -> Result<PathBuf, url::DownloadError> {
    let (Some(address), Some(client)) = (feed.url.as_deref(), client) else {
        return Ok(feed.path.clone().unwrap_or_default());
    };
    let folder = options.downloads.join(&feed.name);
    let progress = |bytes, total| options.progress.downloaded(&feed.name, bytes, total);
    let get = |address: &str| url::download(client, address, &folder, feed.max_bytes, url::Retry::default(), &progress);
    match feed.format.address {
        Address::Documents => get(address),
        Address::RpmRepository => rpm_repository::updateinfo(address, &get),
    }
}

fn provenance(feed: &Feed, records: &mut Records, unreadable: u64) -> FeedInfo {
    let newest = records.advisories.iter().map(|a| a.modified.as_str()).max().unwrap_or_default();
    FeedInfo {
        name: feed.name.clone(),
        format: feed.format.name.to_owned(),
        source: feed.location(),
        as_of: newest.max(records.as_of.as_str()).to_owned(),
        licence: feed.licence.clone(),
        ecosystems: feed.ecosystems.clone(),
        rates: feed.rates,
        rates_all: feed.rates && feed.format.rates_every_ecosystem,
        records: records.len() as u64,
        unreadable,
        skipped: std::mem::take(&mut records.skipped),
    }
}
