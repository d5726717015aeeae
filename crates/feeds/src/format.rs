//! The formats of feeds, one row each: its name in `feeds.toml`, and what reads its documents.
//!
//! A new format is a module here and a row of [`FORMATS`].

mod alpine_secdb;
mod arch;
mod csaf_vex;
mod debian_git;
mod debian_tracker;
mod epss;
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
pub(crate) mod xml;

pub use records::Records;
use serde::Deserialize;
use tidewaiter_core::ecosystem::Ecosystem;

/// What is wrong with one document, without its name: its feed counts it as unreadable and continues.
pub type Problem = String;

/// A format of feeds.
#[derive(Debug)]
pub struct FeedFormat {
    /// Its name in `feeds.toml`.
    pub name: &'static str,
    /// How its documents are found at a URL.
    pub(crate) address: Address,
    /// Whether its ratings are by CVE and hold for packages of every ecosystem.
    pub(crate) rates_every_ecosystem: bool,
    reader: Reader,
}

/// What the URL of a feed leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Address {
    /// A document, or an archive of documents.
    Documents,
    /// An rpm repository, or a list of its mirrors: `repodata/repomd.xml` names the document.
    RpmRepository,
}

#[derive(Debug)]
enum Reader {
    /// Each document is complete in itself.
    EachDocument(ReadDocument),
    /// Documents refer to each other.
    WholeFeed(fn(&FeedContext) -> Box<dyn FeedReader>),
}

/// Adds the records of one document, given its name and content. `Ok(false)`: it is not of the format, as a README or a
/// schema that lies among the documents.
type ReadDocument = fn(&str, &[u8], &FeedContext, &mut Records) -> Result<bool, Problem>;

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
    /// Reads one document, given its name and content. `Ok(false)`: it is not of the format.
    ///
    /// # Errors
    /// When it is of the format and malformed.
    fn document(&mut self, name: &str, bytes: &[u8]) -> Result<bool, Problem>;

    /// The records of all documents.
    fn finish(self: Box<Self>) -> Records;
}

/// Every format.
pub const FORMATS: [FeedFormat; 17] = [
    // OSV schema, JSON or YAML.
    each("osv", osv::parse),
    // Debian security tracker, JSON.
    each("debian-tracker", debian_tracker::parse),
    // Debian security tracker, its own lists (CVE, DSA, DLA).
    FeedFormat { reader: Reader::WholeFeed(debian_git::reader), ..each("debian-git", osv::parse) },
    // Alpine secdb, JSON.
    each("alpine-secdb", alpine_secdb::parse),
    // Arch Linux security tracker, JSON.
    each("arch", arch::parse),
    // CISA known exploited vulnerabilities.
    each("kev", kev::parse),
    // NVD 2.0 API, JSON.
    FeedFormat { rates_every_ecosystem: true, ..each("nvd", nvd::parse) },
    // OVAL definitions of distributions with rpm.
    each("oval", oval::parse),
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
    each("epss", epss::parse),
    // Releases of Debian and Ubuntu with their ends (distro-info-data), CSV.
    each("distro-info", support::distro_info),
    // The product pages of endoflife.date.
    each("endoflife", support::endoflife),
];

const fn each(name: &'static str, read: ReadDocument) -> FeedFormat {
    let reader = Reader::EachDocument(read);
    FeedFormat { name, address: Address::Documents, rates_every_ecosystem: false, reader }
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
                Box::new(EachDocument { read, feed: feed.clone(), records: Records::default() })
            }
        }
    }
}

struct EachDocument {
    read: ReadDocument,
    feed: FeedContext,
    records: Records,
}

impl FeedReader for EachDocument {
    fn document(&mut self, name: &str, bytes: &[u8]) -> Result<bool, Problem> {
        (self.read)(name, bytes, &self.feed, &mut self.records)
    }

    fn finish(self: Box<Self>) -> Records {
        self.records
    }
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
