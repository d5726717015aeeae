//! Reading feeds: from an address or a path to the part of each.

mod documents;

use crate::config::Feed;
use crate::error::FeedError;
use crate::format::Address;
use crate::members::{self, Member, Needed};
use crate::options::BuildOptions;
use crate::part::{self, Part};
use crate::source::{self, latest_archive, pages, rpm_repository, url};
use documents::FeedDocuments;
use sha2::{Digest as _, Sha256};
use std::any::Any;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::thread;
use tidewaiter_core::report::FeedContent;
use tidewaiter_db::meta::FeedInfo;
use tidewaiter_http::{Client, Settings};

/// Most feeds that are read at the same time: each has records in memory and a connection to its upstream.
const MAX_THREADS: usize = 4;
/// The name of a part in the folder of its feed.
const PART: &str = "records.sorted";

/// A feed's records, and what the database says about it.
pub(crate) struct FeedRead {
    /// `None` when it could not be read, never could, and the build does without it.
    pub(crate) part: Option<Part>,
    pub(crate) info: FeedInfo,
}

impl FeedRead {
    /// Whether it has records, or should have some.
    fn is_to_be_told(&self) -> bool {
        self.part.is_some() || !self.info.stale.is_empty()
    }
}

/// Where things are while feeds are read.
struct Reading<'a> {
    options: &'a BuildOptions<'a>,
    client: Option<Client>,
    /// Where parts are stored.
    parts: &'a Path,
    /// Which program this is: another one may read documents in another way.
    program: String,
}

/// Reads every feed; returns them in the order of the configuration. Parts are stored in `parts`.
pub(crate) fn all(options: &BuildOptions<'_>, parts: &Path) -> Result<Vec<FeedRead>, FeedError> {
    // Before any request: a folder that cannot be written is not the fault of a feed.
    let client = match options.config.feeds.iter().any(|feed| feed.url.is_some()) {
        true => {
            check_writable(options.downloads)?;
            Some(Client::new(&Settings::default())?)
        }
        false => None,
    };
    let members = members::all(options, client.as_ref())?;
    let feeds = &members.feeds;
    options.progress.feeds_known(feeds.len(), feeds.iter().filter(|member| member.feed.url.is_some()).count());
    let reading = Reading { options, client, parts, program: program() };
    let threads = thread::available_parallelism().map_or(1, usize::from).min(MAX_THREADS);
    // The largest first: the last ones to be read take little time alone.
    let mut order: Vec<(usize, &Member)> = feeds.iter().enumerate().collect();
    order.sort_by_key(|(_, member)| std::cmp::Reverse(size(&reading.source(&member.feed))));
    let one = |(index, member): &(usize, &Member)| reading.member(member).map(|read| (*index, read));
    let mut read: Vec<(usize, FeedRead)> = tidewaiter_io::in_order(threads, &order, one)?;
    read.sort_by_key(|(index, _)| *index);
    let mut read: Vec<FeedRead> = read.into_iter().map(|(_, read)| read).collect();
    check_rows(feeds, &read)?;
    read.retain(FeedRead::is_to_be_told);
    read.extend(members.outdated.into_iter().map(|info| FeedRead { part: None, info }));
    check_any(&read)?;
    Ok(read)
}

/// Checks that some member of each row was read: only then the build may do without the others.
fn check_rows(members: &[Member], read: &[FeedRead]) -> Result<(), FeedError> {
    let mut rows: BTreeMap<&str, Vec<&FeedRead>> = BTreeMap::new();
    let of_rows = members.iter().zip(read).filter(|(member, _)| member.needed != Needed::UnlessAnyIsRead);
    for (member, read) in of_rows {
        rows.entry(&member.row).or_default().push(read);
    }
    match rows.into_iter().find(|(_, read)| read.iter().all(|read| read.part.is_none())) {
        Some((row, read)) => Err(FeedError::NoneRead {
            row: row.to_owned(),
            members: read.len(),
            first: read.first().map(|read| read.info.stale.clone()).unwrap_or_default(),
        }),
        None => Ok(()),
    }
}

/// Checks that some feed was read at all: where none was, the network is the cause, and an empty database no help.
fn check_any(read: &[FeedRead]) -> Result<(), FeedError> {
    match read.first() {
        Some(first) if read.iter().all(|read| read.part.is_none()) => {
            Err(FeedError::NothingRead { feeds: read.len(), first: first.info.stale.clone() })
        }
        _ => Ok(()),
    }
}

fn check_writable(folder: &Path) -> Result<(), FeedError> {
    let tried = fs::create_dir_all(folder).and_then(|()| tidewaiter_io::scratch(folder));
    tried.map(drop).map_err(|e| FeedError::Downloads { folder: folder.to_owned(), cause: e.to_string() })
}

/// The digest of this program's file; its version where that cannot be read.
fn program() -> String {
    let digest = std::env::current_exe().and_then(|path| digest_of(&path));
    digest.unwrap_or_else(|_| env!("CARGO_PKG_VERSION").to_owned())
}

fn digest_of(path: &Path) -> io::Result<String> {
    let mut hash = Sha256::new();
    hash_file(path, &mut hash)?;
    Ok(tidewaiter_core::hex(&hash.finalize()))
}

impl Reading<'_> {
    /// Reads one feed; where that fails, its part of the last time stands in, or nothing where the build does without it.
    fn member(&self, member: &Member) -> Result<FeedRead, FeedError> {
        let feed = &member.feed;
        let folder = self.parts.join(&feed.name);
        let path = folder.join(PART);
        let read = catch_panic(feed, || self.read(feed, &folder, &path));
        let (part, stale) = match read {
            Ok(part) => {
                part::set_read(&path, self.options.now).map_err(|e| disk(feed, &folder, &e))?;
                (Some(part), String::new())
            }
            Err(error) => match Part::open(&path).filter(|part| part.header.feed == identity(feed)) {
                Some(part) => (Some(part), error.to_string()),
                None if has_none(member, &error) => (None, String::new()),
                None if is_dispensable(member.needed, &error) => (None, error.to_string()),
                None => return Err(error),
            },
        };
        let info = provenance(feed, part.as_ref(), &path, stale);
        self.options.progress.feed_done(&info);
        Ok(FeedRead { part, info })
    }

    fn read(&self, feed: &Feed, folder: &Path, path: &Path) -> Result<Part, FeedError> {
        self.options.progress.feed_started(&feed.name, &feed.location());
        fs::create_dir_all(folder).map_err(|e| disk(feed, folder, &e))?;
        let source = self.fetch(feed).map_err(|e| not_downloaded(feed, &e))?;
        let damaged = |e: io::Error| {
            let advice = "check that it is whole, and the path or address in feeds.toml";
            unavailable(feed, e.to_string(), advice.to_owned())
        };
        let key = self.key(feed, &source).map_err(damaged)?;
        if let Some(part) = Part::open(path).filter(|part| part.header.key == key) {
            return Ok(part);
        }
        let mut documents = FeedDocuments::new(feed, folder);
        source::documents(&source, feed.format.document_bytes, &mut |name, content| documents.document(name, content))
            .map_err(damaged)?;
        let builder = documents.finish().map_err(|e| disk(feed, folder, &e))?.sound(feed)?;
        builder.finish(path, &key, &identity(feed)).map_err(|e| disk(feed, folder, &e))
    }

    /// What a part of this feed is made from: equal keys are equal parts.
    fn key(&self, feed: &Feed, source: &Path) -> io::Result<String> {
        let mut hash = Sha256::new();
        hash.update(&self.program);
        hash.update([0]);
        hash.update(identity(feed));
        hash_source(source, &mut hash)?;
        Ok(tidewaiter_core::hex(&hash.finalize()))
    }

    /// The file or directory with the documents: downloaded where the feed has an address.
    fn fetch(&self, feed: &Feed) -> Result<PathBuf, url::DownloadError> {
        let (Some(address), Some(client)) = (feed.url.as_deref(), &self.client) else {
            return Ok(feed.path.clone().unwrap_or_default());
        };
        let folder = self.source(feed);
        let progress = |bytes, total| self.options.progress.downloaded(&feed.name, bytes, total);
        let get =
            |address: &str| url::download(client, address, &folder, feed.max_bytes, url::Retry::default(), &progress);
        match feed.format.address {
            Address::Documents => latest_archive::follow(address, &get),
            Address::RpmRepository => rpm_repository::updateinfo(address, &get),
            Address::Pages => pages::all(address, &folder, &get),
        }
    }

    /// Where the feed's documents are, or will be downloaded to.
    fn source(&self, feed: &Feed) -> PathBuf {
        feed.path.clone().unwrap_or_else(|| self.options.downloads.join(&feed.name))
    }
}

/// Makes a panic in a reader the error of its feed: a build without that feed must be possible.
fn catch_panic<T>(feed: &Feed, read: impl FnOnce() -> Result<T, FeedError>) -> Result<T, FeedError> {
    panic::catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|message| Err(defect(feed, message.as_ref())))
}

/// The error of a panic with this message.
fn defect(feed: &Feed, message: &(dyn Any + Send)) -> FeedError {
    let text = message.downcast_ref::<String>().map(String::as_str);
    let cause = text.or_else(|| message.downcast_ref::<&str>().copied()).unwrap_or("no message").to_owned();
    FeedError::Defect { feed: feed.name.clone(), location: feed.location(), cause }
}

/// Whether nothing was ever published in a repository that a list of releases names: not all topics of Amazon's extras have had
/// an advisory. Nothing is to be mended, and scans say that their packages are judged by none.
fn has_none(member: &Member, error: &FeedError) -> bool {
    member.is_of_list() && matches!(error, FeedError::NoUpdates { .. })
}

/// Whether a build can do without a feed that has no records at all.
fn is_dispensable(needed: Needed, error: &FeedError) -> bool {
    match needed {
        Needed::Always => false,
        Needed::IfItExists => matches!(error, FeedError::Absent { .. }),
        // What this machine lacks is nothing that a vendor did.
        Needed::UnlessAnyIsRead => !matches!(error, FeedError::Disk { .. }),
    }
}

fn not_downloaded(feed: &Feed, error: &url::DownloadError) -> FeedError {
    match *error {
        // Object stores answer 403 for what they don't have.
        url::DownloadError::Status(status @ (403 | 404 | 410)) => {
            FeedError::Absent { feed: feed.name.clone(), location: feed.location(), status, advice: error.advice() }
        }
        url::DownloadError::NoUpdates => FeedError::NoUpdates { feed: feed.name.clone(), location: feed.location() },
        _ => unavailable(feed, error.to_string(), error.advice()),
    }
}

fn unavailable(feed: &Feed, cause: String, advice: String) -> FeedError {
    FeedError::Unavailable { feed: feed.name.clone(), location: feed.location(), cause, advice }
}

fn disk(feed: &Feed, folder: &Path, cause: &io::Error) -> FeedError {
    FeedError::Disk { feed: feed.name.clone(), folder: folder.to_owned(), cause: cause.to_string() }
}

/// Which feed a part is of: its name, format and location, and what its reader is told.
fn identity(feed: &Feed) -> String {
    let declared: Vec<String> = feed.context().ecosystems.iter().map(ToString::to_string).collect();
    let paid = if feed.paid { "\npaid" } else { "" };
    [&feed.name, feed.format.name, &feed.location(), &declared.join(",")].join("\n") + paid
}

/// Adds the names and contents of the documents.
fn hash_source(path: &Path, hash: &mut Sha256) -> io::Result<()> {
    hash.update(path.file_name().unwrap_or_default().as_encoded_bytes());
    hash.update([0]);
    if !fs::metadata(path)?.is_dir() {
        return hash_file(path, hash);
    }
    let mut entries = fs::read_dir(path)?.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let kind = entry.file_type()?;
        if kind.is_dir() || kind.is_file() {
            hash_source(&entry.path(), hash)?;
        }
    }
    Ok(())
}

fn hash_file(path: &Path, hash: &mut Sha256) -> io::Result<()> {
    let mut file = File::open(path)?;
    hash.update(file.metadata()?.len().to_le_bytes());
    let mut buffer = vec![0; 256 << 10];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(()),
            n => hash.update(buffer.get(..n).unwrap_or_default()),
        }
    }
}

/// Bytes below a path, as far as they can be counted.
fn size(path: &Path) -> u64 {
    let Ok(metadata) = fs::metadata(path) else { return 0 };
    if !metadata.is_dir() {
        return metadata.len();
    }
    fs::read_dir(path).into_iter().flatten().flatten().map(|entry| size(&entry.path())).sum()
}

/// What the database says about a feed with this part at `path`, and why its records are not those of today.
fn provenance(feed: &Feed, part: Option<&Part>, path: &Path, stale: String) -> FeedInfo {
    let info = FeedInfo {
        name: feed.name.clone(),
        format: feed.format.name.to_owned(),
        source: feed.location(),
        licence: feed.licence.clone(),
        ecosystems: feed.ecosystems.clone(),
        content: feed.format.content,
        paid: feed.paid,
        stale,
        ..FeedInfo::default()
    };
    let Some(Part { header, .. }) = part else { return info };
    FeedInfo {
        as_of: header.as_of.clone(),
        read: part::last_read(path),
        rates: feed.rates,
        rates_all: feed.rates && feed.format.content == FeedContent::Ratings,
        records: header.records,
        unreadable: header.unreadable,
        skipped: header.skipped.clone(),
        ..info
    }
}
