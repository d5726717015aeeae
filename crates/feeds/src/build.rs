//! From `feeds.toml` to a database file.

use crate::FeedError;
use crate::config::{Config, Feed, Format};
use crate::debian_fixes;
use crate::format::{
    Records, alpine_secdb, csaf_vex, debian_git, debian_tracker, epss, kev, nvd, osv, oval, packagist, photon, rubysec,
    support, updateinfo,
};
use crate::rpm_modules;
use crate::source::{self, rpm_repository, url};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::thread;
use tidewaiter_core::advisory::{Advisory, CveFacts};
use tidewaiter_core::ecosystem::Ecosystem;
use tidewaiter_core::severity::Rating;
use tidewaiter_core::version::Order;
use tidewaiter_db::Database;
use tidewaiter_db::meta::{FeedInfo, LeftOut, Meta};
use tidewaiter_db::writer::{self, BuildInput};
use tidewaiter_http::{Client, Settings};

/// Feeds read at once, at most: their upstreams are asked at once too.
const MAX_THREADS: usize = 4;

/// What to build.
pub struct Options<'a> {
    /// The feeds.
    pub config: &'a Config,
    /// The file to write.
    pub out: &'a Path,
    /// Where downloads are kept, one folder a feed.
    pub downloads: &'a Path,
    /// RFC 3339 time of the build.
    pub now: &'a str,
    /// Largest share of rows that may be lost against the file at `out`, 0.0 to 1.0.
    pub max_loss: f64,
    /// Who follows.
    pub progress: &'a dyn Progress,
}

/// Follows a build, whose feeds are read beside each other.
pub trait Progress: Sync {
    /// A feed is opened.
    fn feed_started(&self, name: &str, location: &str);
    /// So many bytes of it came, of so many.
    fn downloaded(&self, name: &str, bytes: u64, total: Option<u64>);
    /// It is read.
    fn feed_done(&self, info: &FeedInfo);
}

/// Reads every feed and writes the database.
///
/// # Errors
/// When a feed cannot be read or says nothing, or the result lost too much.
pub fn build(options: &Options<'_>) -> Result<Meta, FeedError> {
    let mut all = Records::default();
    let mut meta = Meta { built: options.now.to_owned(), ..Meta::default() };
    // Told before anything is asked for, and as what it is: no fault of a feed.
    let client = match options.config.feeds.iter().any(|feed| feed.url.is_some()) {
        true => {
            writable(options.downloads)?;
            Some(Client::new(&Settings::default())?)
        }
        false => None,
    };
    for (records, info) in read_all(options, client.as_ref())? {
        meta.feeds.push(info);
        all.advisories.extend(records.advisories);
        all.exploited.extend(records.exploited);
        all.epss.extend(records.epss);
        all.support.extend(records.support);
        for (cve, ratings) in records.ratings {
            all.ratings.entry(cve).or_default().extend(ratings);
        }
    }
    debian_fixes::reconcile(&mut all.advisories);
    let cves = facts(&mut all);
    leave_out(&mut all.advisories, &mut meta);
    meta.support = all.support;
    meta.support.sort_by(|a, b| a.ecosystem.cmp(&b.ecosystem));
    meta.support.dedup_by(|a, b| a.ecosystem == b.ecosystem);
    let previous = Database::open(options.out).ok();
    let input = BuildInput { advisories: join(all.advisories), cves, meta };
    let rows = input.advisories.iter().map(|a| a.affected.len() as u64).sum::<u64>();
    if let Some(old) = previous.map(|db| db.meta().rows)
        && (rows as f64) < old as f64 * (1.0 - options.max_loss)
    {
        return Err(FeedError::Shrunk { old, new: rows });
    }
    writer::write(options.out, &input)?;
    Ok(Database::open_verified(options.out)?.meta().clone())
}

/// Every feed, in the order of the configuration, whichever was read first.
fn read_all(options: &Options<'_>, client: Option<&Client>) -> Result<Vec<(Records, FeedInfo)>, FeedError> {
    let threads = thread::available_parallelism().map_or(1, usize::from).min(MAX_THREADS);
    tidewaiter_io::in_order(threads, &options.config.feeds, |feed| read_or_say_why(feed, options, client))
}

/// A panic in one reader is that feed's error: whoever asked to go on without it must be able to.
fn read_or_say_why(
    feed: &Feed,
    options: &Options<'_>,
    client: Option<&Client>,
) -> Result<(Records, FeedInfo), FeedError> {
    let reading = || {
        options.progress.feed_started(&feed.name, &feed.location());
        read(feed, options, client).inspect(|(_, info)| options.progress.feed_done(info))
    };
    panic::catch_unwind(AssertUnwindSafe(reading)).unwrap_or_else(|message| {
        let text = message.downcast_ref::<String>().map(String::as_str);
        let cause = text.or_else(|| message.downcast_ref::<&str>().copied()).unwrap_or("no message").to_owned();
        Err(FeedError::Defect { feed: feed.name.clone(), location: feed.location(), cause })
    })
}

fn writable(folder: &Path) -> Result<(), FeedError> {
    let probe = folder.join(format!(".writable-{}", std::process::id()));
    let tried = fs::create_dir_all(folder).and_then(|()| fs::write(&probe, b"")).and_then(|()| fs::remove_file(&probe));
    tried.map_err(|e| FeedError::Downloads { folder: folder.to_owned(), cause: e.to_string() })
}

fn read(feed: &Feed, options: &Options<'_>, client: Option<&Client>) -> Result<(Records, FeedInfo), FeedError> {
    let unavailable = |cause: String, advice: &str| FeedError::Unavailable {
        feed: feed.name.clone(),
        location: feed.location(),
        cause,
        advice: advice.to_owned(),
    };
    let path = fetch(feed, options, client).map_err(|e| unavailable(e.to_string(), &e.advice()))?;
    let mut records = Records::default();
    let (mut read, mut unreadable) = (0, 0);
    source::documents(&path, &mut |name, bytes| match document(feed, name, bytes, &mut records) {
        Ok(true) => read += 1,
        Ok(false) => {}
        Err(_) => unreadable += 1,
    })
    .map_err(|e| unavailable(e.to_string(), "check that it is whole, and the path or address in feeds.toml"))?;
    debian_git::finish(&feed.name, &feed.ecosystems, &mut records);
    if read == 0 || records.is_empty() {
        let format = feed.format.name().to_owned();
        return Err(FeedError::Empty { feed: feed.name.clone(), location: feed.location(), format });
    }
    rpm_modules::resolve(&mut records.advisories);
    let newest = records.advisories.iter().map(|a| a.modified.as_str()).max().unwrap_or_default();
    let info = FeedInfo {
        name: feed.name.clone(),
        format: feed.format.name().to_owned(),
        source: feed.location(),
        as_of: newest.max(records.as_of.as_str()).to_owned(),
        licence: feed.licence.clone(),
        ecosystems: feed.ecosystems.clone(),
        rates: feed.rates,
        rates_all: feed.rates && feed.format == Format::Nvd,
        records: records.len() as u64,
        unreadable,
        skipped: std::mem::take(&mut records.skipped),
    };
    Ok((records, info))
}

fn fetch(feed: &Feed, options: &Options<'_>, client: Option<&Client>) -> Result<PathBuf, url::Error> {
    let (Some(address), Some(client)) = (feed.url.as_deref(), client) else {
        return Ok(feed.path.clone().unwrap_or_default());
    };
    let folder = options.downloads.join(&feed.name);
    let progress = |bytes, total| options.progress.downloaded(&feed.name, bytes, total);
    let get = |address: &str| url::download(client, address, &folder, feed.max_bytes, url::Retry::default(), &progress);
    match feed.format {
        Format::Updateinfo => rpm_repository::updateinfo(address, &get),
        _ => get(address),
    }
}

fn document(feed: &Feed, name: &str, bytes: &[u8], records: &mut Records) -> Result<bool, String> {
    match feed.format {
        Format::Osv => osv::parse(name, bytes, &feed.name, records),
        Format::DebianTracker => debian_tracker::parse(name, bytes, &feed.name, records),
        Format::DebianGit => debian_git::parse(name, bytes, records),
        Format::AlpineSecdb => alpine_secdb::parse(name, bytes, &feed.name, records),
        Format::Kev => kev::parse(name, bytes, records),
        Format::Nvd => nvd::parse(name, bytes, records),
        Format::Oval => oval::parse(name, bytes, &feed.name, records),
        Format::CsafVex => csaf_vex::parse(name, bytes, &feed.name, records),
        Format::Rubysec => rubysec::parse(name, bytes, &feed.name, records),
        Format::Friendsofphp => packagist::friends_of_php(name, bytes, &feed.name, records),
        Format::Roave => packagist::roave(name, bytes, &feed.name, records),
        Format::Photon => photon::parse(name, bytes, &feed.name, records),
        Format::Epss => epss::parse(name, bytes, records),
        Format::DistroInfo => support::distro_info(name, bytes, records),
        Format::Endoflife => support::endoflife(name, bytes, records),
        Format::Updateinfo => updateinfo::parse(name, bytes, &feed.name, &feed.ecosystems, records),
    }
}

/// What all feeds know of each CVE: exploitation, its probability, and the CVSS ratings of NVD and of other records.
fn facts(all: &mut Records) -> BTreeMap<String, CveFacts> {
    let mut out: BTreeMap<String, CveFacts> = BTreeMap::new();
    for (cve, ratings) in std::mem::take(&mut all.ratings) {
        out.entry(cve).or_default().ratings.extend(ratings);
    }
    for advisory in &all.advisories {
        let rated: Vec<&Rating> = advisory.ratings.iter().filter(|r| r.vector.is_some()).collect();
        for cve in cves(advisory).filter(|_| !rated.is_empty()) {
            out.entry(cve.clone()).or_default().ratings.extend(rated.iter().copied().cloned());
        }
    }
    for (cve, date) in std::mem::take(&mut all.exploited) {
        out.entry(cve).or_default().kev = Some(date);
    }
    for (cve, epss) in std::mem::take(&mut all.epss) {
        out.entry(cve).or_default().epss = Some(epss);
    }
    for facts in out.values_mut() {
        facts.ratings.sort_by(|a, b| (&a.source, &a.vector, a.severity).cmp(&(&b.source, &b.vector, b.severity)));
        facts.ratings.dedup();
    }
    out
}

/// The CVEs that an advisory is about; one that answers several must not give one's rating to another.
fn cves(advisory: &Advisory) -> impl Iterator<Item = &String> {
    let own = std::iter::once(&advisory.id).chain(&advisory.aliases).filter(|n| n.starts_with("CVE-"));
    let upstream: Vec<&String> = advisory.upstream.iter().filter(|n| n.starts_with("CVE-")).collect();
    own.chain(if upstream.len() == 1 { upstream } else { Vec::new() })
}

/// Drops rows whose versions cannot be compared yet, counts them, and takes their ecosystems out of the coverage.
fn leave_out(advisories: &mut [Advisory], meta: &mut Meta) {
    let mut left: BTreeMap<String, u64> = BTreeMap::new();
    for advisory in advisories {
        advisory.affected.retain(|row| {
            let known = row.ecosystem.order().is_some();
            if !known {
                *left.entry(row.ecosystem.base().to_owned()).or_default() += 1;
            }
            known
        });
    }
    meta.left_out = left.into_iter().map(|(ecosystem, rows)| LeftOut { ecosystem, rows }).collect();
    for feed in &mut meta.feeds {
        feed.ecosystems.retain(|e| Ecosystem::from(e.as_str()).order().is_some());
    }
}

/// One advisory per (feed, id): repositories of one branch list the same CVE. Distributions with rpm use an id again
/// for other releases, with other CVEs: there it is one per (feed, id, release).
fn join(advisories: Vec<Advisory>) -> Vec<Advisory> {
    let release = |a: &Advisory| {
        let rpm = a.affected.first().filter(|row| row.ecosystem.order() == Some(Order::Rpm));
        rpm.map(|row| row.ecosystem.clone())
    };
    let mut out: BTreeMap<(String, String, Option<Ecosystem>), Advisory> = BTreeMap::new();
    for advisory in advisories {
        match out.entry((advisory.feed.clone(), advisory.id.clone(), release(&advisory))) {
            Entry::Occupied(mut known) => merge(known.get_mut(), advisory),
            Entry::Vacant(slot) => drop(slot.insert(advisory)),
        }
    }
    out.into_values().collect()
}

fn merge(known: &mut Advisory, other: Advisory) {
    for row in other.affected {
        if !known.affected.contains(&row) {
            known.affected.push(row);
        }
    }
    known.aliases.extend(other.aliases);
    known.upstream.extend(other.upstream);
    for names in [&mut known.aliases, &mut known.upstream] {
        names.sort();
        names.dedup();
    }
    for rating in other.ratings {
        if !known.ratings.contains(&rating) {
            known.ratings.push(rating);
        }
    }
    if known.summary.is_empty() {
        known.summary = other.summary;
    }
}
