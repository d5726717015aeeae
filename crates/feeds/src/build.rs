//! From `feeds.toml` to a database file.

use crate::FeedError;
use crate::config::{Config, Feed, Format};
use crate::format::{Records, alpine_secdb, debian_tracker, kev, nvd, osv};
use crate::source::{self, url};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use tidewaiter_core::advisory::Advisory;
use tidewaiter_core::ecosystem::Ecosystem;
use tidewaiter_core::severity::Rating;
use tidewaiter_db::Database;
use tidewaiter_db::meta::{FeedInfo, LeftOut, Meta};
use tidewaiter_db::writer::{self, BuildInput};

/// What to build.
pub struct Options<'a> {
    /// The feeds.
    pub config: &'a Config,
    /// The file to write.
    pub out: &'a Path,
    /// Where downloads are kept while they are read.
    pub cache: &'a Path,
    /// RFC 3339 time of the build.
    pub now: &'a str,
    /// Largest share of rows that may be lost against the file at `out`, 0.0 to 1.0.
    pub max_loss: f64,
    /// Who follows.
    pub progress: &'a dyn Progress,
}

/// Follows a build.
pub trait Progress {
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
    for feed in &options.config.feeds {
        options.progress.feed_started(&feed.name, &feed.location());
        let (records, info) = read(feed, options)?;
        options.progress.feed_done(&info);
        meta.feeds.push(info);
        all.advisories.extend(records.advisories);
        all.exploited.extend(records.exploited);
        for (cve, ratings) in records.ratings {
            all.ratings.entry(cve).or_default().extend(ratings);
        }
    }
    enrich(&mut all);
    leave_out(&mut all.advisories, &mut meta);
    let previous = Database::open(options.out).ok();
    let input = BuildInput { advisories: join(all.advisories), meta };
    let rows = input.advisories.iter().map(|a| a.affected.len() as u64).sum::<u64>();
    if let Some(old) = previous.map(|db| db.meta().rows)
        && (rows as f64) < old as f64 * (1.0 - options.max_loss)
    {
        return Err(FeedError::Shrunk { old, new: rows });
    }
    writer::write(options.out, &input)?;
    Ok(Database::open_verified(options.out)?.meta().clone())
}

fn read(feed: &Feed, options: &Options<'_>) -> Result<(Records, FeedInfo), FeedError> {
    let unavailable = |error: io::Error| FeedError::Unavailable {
        feed: feed.name.clone(),
        location: feed.location(),
        cause: error.to_string(),
    };
    let path = fetch(feed, options).map_err(unavailable)?;
    let mut records = Records::default();
    let (mut read, mut unreadable) = (0, 0);
    source::documents(&path, &mut |name, bytes| match document(feed, name, bytes, &mut records) {
        Ok(true) => read += 1,
        Ok(false) => {}
        Err(_) => unreadable += 1,
    })
    .map_err(unavailable)?;
    if read == 0 || records.is_empty() {
        let format = feed.format.name().to_owned();
        return Err(FeedError::Empty { feed: feed.name.clone(), location: feed.location(), format });
    }
    let info = FeedInfo {
        name: feed.name.clone(),
        format: feed.format.name().to_owned(),
        source: feed.location(),
        as_of: records.advisories.iter().map(|a| a.modified.as_str()).max().unwrap_or_default().to_owned(),
        licence: feed.licence.clone(),
        ecosystems: feed.ecosystems.clone(),
        rates: feed.rates,
        rates_all: feed.rates && feed.format == Format::Nvd,
        records: records.len() as u64,
        unreadable,
    };
    Ok((records, info))
}

fn fetch(feed: &Feed, options: &Options<'_>) -> io::Result<PathBuf> {
    if let Some(path) = &feed.path {
        return Ok(path.clone());
    }
    let address = feed.url.as_deref().unwrap_or_default();
    let progress = |bytes, total| options.progress.downloaded(&feed.name, bytes, total);
    url::download(address, &options.cache.join(&feed.name), feed.max_bytes, url::Retry::default(), &progress)
}

fn document(feed: &Feed, name: &str, bytes: &[u8], records: &mut Records) -> Result<bool, String> {
    match feed.format {
        Format::Osv => osv::parse(name, bytes, &feed.name, records),
        Format::DebianTracker => debian_tracker::parse(name, bytes, &feed.name, records),
        Format::AlpineSecdb => alpine_secdb::parse(name, bytes, &feed.name, records),
        Format::Kev => kev::parse(name, bytes, records),
        Format::Nvd => nvd::parse(name, bytes, records),
    }
}

/// Gives every advisory the exploitation date and the CVSS ratings known for its CVEs, from NVD and from OSV records.
fn enrich(all: &mut Records) {
    let mut by_cve: BTreeMap<String, Vec<Rating>> = std::mem::take(&mut all.ratings);
    for advisory in &all.advisories {
        let rated: Vec<&Rating> = advisory.ratings.iter().filter(|r| r.vector.is_some()).collect();
        for cve in cves(advisory).filter(|_| !rated.is_empty()) {
            by_cve.entry(cve.clone()).or_default().extend(rated.iter().copied().cloned());
        }
    }
    for advisory in &mut all.advisories {
        let names: Vec<String> = cves(advisory).cloned().collect();
        advisory.kev = names.iter().find_map(|cve| all.exploited.get(cve).cloned());
        for rating in names.iter().filter_map(|cve| by_cve.get(cve)).flatten() {
            if !advisory.ratings.contains(rating) {
                advisory.ratings.push(rating.clone());
            }
        }
        advisory.ratings.sort_by(|a, b| (&a.source, &a.vector).cmp(&(&b.source, &b.vector)));
    }
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

/// One advisory per (feed, id): repositories of one branch list the same CVE.
fn join(advisories: Vec<Advisory>) -> Vec<Advisory> {
    let mut out: BTreeMap<(String, String), Advisory> = BTreeMap::new();
    for advisory in advisories {
        match out.get_mut(&(advisory.feed.clone(), advisory.id.clone())) {
            Some(known) => {
                known.affected.extend(advisory.affected);
                known.aliases.extend(advisory.aliases);
                known.upstream.extend(advisory.upstream);
                for names in [&mut known.aliases, &mut known.upstream] {
                    names.sort();
                    names.dedup();
                }
            }
            None => {
                out.insert((advisory.feed.clone(), advisory.id.clone()), advisory);
            }
        }
    }
    out.into_values().collect()
}
