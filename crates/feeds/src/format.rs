//! The formats of feeds, one row each: its name in `feeds.toml`, and what reads its documents.
//!
//! A new format is a module here and a row of [`FORMATS`].

mod alpine_secdb;
mod arch;
mod bodhi;
mod csaf_vex;
mod debian_git;
mod debian_tracker;
mod epss;
mod json;
mod kev;
mod nvd;
mod osv;
mod oval;
mod packagist;
mod photon;
mod ranges;
mod records;
mod rubysec;
mod support;
mod updateinfo;

pub use records::Records;
use serde::Deserialize;
use std::io::Read;
use tidewaiter_core::ecosystem::Ecosystem;
use tidewaiter_core::report::FeedContent;

/// What is wrong with one document, without its name: its feed counts it as unreadable and continues.
pub type Problem = String;

/// A format of feeds.
#[derive(Debug)]
pub struct FeedFormat {
    /// Its name in `feeds.toml`.
    pub name: &'static str,
    /// How its documents are found at a URL.
    pub(crate) address: Address,
    /// What its records are about. Ratings are by CVE and hold for packages of every ecosystem.
    pub(crate) content: FeedContent,
    /// Most bytes of one document.
    pub(crate) document_bytes: u64,
    reader: Reader,
}

/// What the URL of a feed leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Address {
    /// A document, an archive of documents, or the text file that names one.
    Documents,
    /// An rpm repository, or a list of its mirrors: `repodata/repomd.xml` names the document.
    RpmRepository,
    /// A list in pages.
    Pages,
}

#[derive(Debug)]
enum Reader {
    /// Each document is complete in itself, and small.
    EachDocument(ReadDocument),
    /// Each document is complete in itself and read as a stream: it may be larger than memory.
    Stream(ReadStream),
    /// Documents refer to each other.
    WholeFeed(fn(&FeedContext) -> Box<dyn FeedReader>),
}

/// Adds the records of one document, given its name and content. `Ok(false)`: it is not of the format, as a README or a
/// schema that lies among the documents.
type ReadDocument = fn(&str, &[u8], &FeedContext, &mut Records) -> Result<bool, Problem>;

/// As [`ReadDocument`], from a stream; calls its last argument now and then, which takes the records.
type ReadStream = fn(&str, &mut dyn Read, &FeedContext, &mut Records, Drain<'_>) -> Result<bool, Problem>;

/// Takes the records so far, so that they need not stay in memory.
pub type Drain<'a> = &'a mut dyn FnMut(&mut Records);

/// Records in memory before they are taken.
const WAITING: usize = 256;
/// Most bytes of a document that is read whole, or whose parts refer to each other: this bounds memory.
const DOCUMENT_BYTES: u64 = 1 << 30;
/// Most bytes of a document that is read as a stream. All of NVD has a fourth of them.
const STREAM_BYTES: u64 = 16 << 30;
/// Bytes of a buffer that is used again for the next document.
const BUFFER_BYTES: usize = 16 << 20;

/// What `feeds.toml` says of a feed, as far as readers need it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FeedContext {
    /// The feed's name.
    pub name: String,
    /// The ecosystems and releases that it is complete for.
    pub ecosystems: Vec<Ecosystem>,
}

/// Reads the documents of one feed, one after the other.
pub trait FeedReader {
    /// Reads one document, given its name and content. `Ok(false)`: it is not of the format. Calls `drain` when there are many
    /// records.
    ///
    /// # Errors
    /// When it is of the format and malformed.
    fn document(&mut self, name: &str, content: &mut dyn Read, drain: Drain<'_>) -> Result<bool, Problem>;

    /// The records that were not taken yet.
    fn finish(self: Box<Self>) -> Records;
}

/// Every format.
pub const FORMATS: [FeedFormat; 18] = [
    // OSV schema, JSON or YAML.
    each("osv", osv::parse),
    // Debian security tracker, JSON.
    stream("debian-tracker", debian_tracker::parse),
    // Debian security tracker, its own lists (CVE, DSA, DLA).
    FeedFormat { reader: Reader::WholeFeed(debian_git::reader), ..each("debian-git", osv::parse) },
    // Alpine secdb, JSON.
    each("alpine-secdb", alpine_secdb::parse),
    // Arch Linux security tracker, JSON.
    each("arch", arch::parse),
    // Bodhi's updates of Fedora, JSON.
    FeedFormat { address: Address::Pages, ..each("bodhi", bodhi::parse) },
    // CISA known exploited vulnerabilities.
    facts(FeedContent::KnownExploited, each("kev", kev::parse)),
    // NVD 2.0 API, JSON.
    facts(FeedContent::Ratings, stream("nvd", nvd::parse)),
    // OVAL definitions of distributions with rpm.
    FeedFormat { document_bytes: DOCUMENT_BYTES, ..stream("oval", oval::parse) },
    // `updateinfo.xml` of an rpm repository.
    FeedFormat { address: Address::RpmRepository, ..each("updateinfo", updateinfo::parse) },
    // CSAF documents of the profile VEX.
    each("csaf-vex", csaf_vex::parse),
    // ruby-advisory-db, YAML.
    each("rubysec", rubysec::parse),
    // FriendsOfPHP security advisories, YAML.
    each("friendsofphp", packagist::friends_of_php),
    // The conflicts of roave/security-advisories.
    each("roave", packagist::roave),
    // Photon OS: `cve_data_photonRELEASE.json`.
    each("photon", photon::parse),
    // FIRST's EPSS scores, CSV.
    facts(FeedContent::ExploitProbability, each("epss", epss::parse)),
    // Releases of Debian and Ubuntu with their ends (distro-info-data), CSV.
    facts(FeedContent::EndsOfSupport, each("distro-info", support::distro_info)),
    // The product pages of endoflife.date.
    facts(FeedContent::EndsOfSupport, each("endoflife", support::endoflife)),
];

const fn each(name: &'static str, read: ReadDocument) -> FeedFormat {
    let reader = Reader::EachDocument(read);
    FeedFormat {
        name,
        address: Address::Documents,
        content: FeedContent::Advisories,
        document_bytes: DOCUMENT_BYTES,
        reader,
    }
}

const fn facts(content: FeedContent, format: FeedFormat) -> FeedFormat {
    FeedFormat { content, ..format }
}

const fn stream(name: &'static str, read: ReadStream) -> FeedFormat {
    FeedFormat { reader: Reader::Stream(read), document_bytes: STREAM_BYTES, ..each(name, osv::parse) }
}

impl FeedFormat {
    /// The format of this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        static ALL: &[FeedFormat] = &FORMATS;
        ALL.iter().find(|format| format.name == name)
    }

    /// A reader of the documents of one feed.
    pub fn reader(&self, feed: &FeedContext) -> Box<dyn FeedReader> {
        match self.reader {
            Reader::WholeFeed(new) => new(feed),
            Reader::EachDocument(read) => {
                Box::new(EachDocument { read, feed: feed.clone(), records: Records::default(), buffer: Vec::new() })
            }
            Reader::Stream(read) => Box::new(Stream { read, feed: feed.clone(), records: Records::default() }),
        }
    }
}

struct EachDocument {
    read: ReadDocument,
    feed: FeedContext,
    records: Records,
    buffer: Vec<u8>,
}

impl FeedReader for EachDocument {
    fn document(&mut self, name: &str, content: &mut dyn Read, drain: Drain<'_>) -> Result<bool, Problem> {
        self.buffer.clear();
        content.read_to_end(&mut self.buffer).map_err(|e| e.to_string())?;
        let read = (self.read)(name, &self.buffer, &self.feed, &mut self.records);
        if self.buffer.capacity() > BUFFER_BYTES {
            self.buffer = Vec::new();
        }
        drain_many(&mut self.records, drain);
        read
    }

    fn finish(self: Box<Self>) -> Records {
        self.records
    }
}

struct Stream {
    read: ReadStream,
    feed: FeedContext,
    records: Records,
}

impl FeedReader for Stream {
    fn document(&mut self, name: &str, content: &mut dyn Read, drain: Drain<'_>) -> Result<bool, Problem> {
        let records = &mut self.records;
        (self.read)(name, content, &self.feed, records, &mut |records| drain_many(records, drain))
    }

    fn finish(self: Box<Self>) -> Records {
        self.records
    }
}

/// Passes records on, once there are many.
fn drain_many(records: &mut Records, drain: Drain<'_>) {
    if records.len() >= WAITING {
        drain(records);
    }
}

/// The whole content of a document.
pub(crate) fn whole(content: &mut dyn Read) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::new();
    content.read_to_end(&mut bytes).map_err(|e| e.to_string())?;
    Ok(bytes)
}

impl<'de> Deserialize<'de> for &'static FeedFormat {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        FeedFormat::named(&name).ok_or_else(|| {
            let all: Vec<&str> = FORMATS.iter().map(|format| format.name).collect();
            serde::de::Error::custom(format!("unknown format {name:?}; write one of {}", all.join(", ")))
        })
    }
}

/// Feeds made in a line, for tests of this crate.
#[cfg(test)]
pub(crate) mod testing {
    use super::FeedContext;

    /// A feed of this name that is complete for these ecosystems.
    pub(crate) fn feed(name: &str, ecosystems: &[&str]) -> FeedContext {
        FeedContext { name: name.to_owned(), ecosystems: ecosystems.iter().map(|e| (*e).into()).collect() }
    }
}
