//! From the rows of `feeds.toml` to feeds: a row with a placeholder becomes one for each year or release.

mod listing;

use crate::config::{Feed, ReleaseName, Releases, Years};
use crate::error::FeedError;
use crate::options::BuildOptions;
use crate::part;
use crate::source::url::{self, DownloadError};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::fs;
use std::path::Path;
use tidewaiter_db::meta::FeedInfo;
use tidewaiter_http::Client;

/// Most bytes of an index; a page of a hundred folders has ten thousand.
const INDEX_BYTES: u64 = 1 << 20;
/// The file with the releases that an index listed when it could be read.
const LISTED: &str = "releases";

/// A feed of a row.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    /// The feed, without placeholders.
    pub(crate) feed: Feed,
    /// Whether a build needs it.
    pub(crate) needed: Needed,
    /// The name of its row.
    pub(crate) row: String,
}

impl Member {
    /// Whether its row stands for several: it is one of the years or releases there are.
    pub(crate) fn is_of_list(&self) -> bool {
        self.row != self.feed.name
    }
}

/// Whether a build fails when a feed cannot be read, and never could.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Needed {
    /// It fails.
    Always,
    /// It fails, unless the server says that there is no such file: that of a new year comes some days later.
    IfItExists,
    /// It does not fail while any other feed can be read: one vendor's server must not keep all else from being built, nor a
    /// release that is listed before it has content. Its ecosystems are not covered, so that scans say what is missing.
    UnlessAnyIsRead,
}

/// All feeds, and what is to be said about rows whose releases are not those of now.
#[derive(Debug, Default)]
pub(crate) struct Members {
    /// In the order of the rows.
    pub(crate) feeds: Vec<Member>,
    /// One for each row whose releases are those of the last time, or not known at all.
    pub(crate) outdated: Vec<FeedInfo>,
}

/// The feeds of all rows. `client`: there is one when a row has an address.
///
/// # Errors
/// When a row stands for no feed, two feeds have one name, or a row that is needed has an index that cannot be read and never
/// could.
pub(crate) fn all(options: &BuildOptions<'_>, client: Option<&Client>) -> Result<Members, FeedError> {
    let mut out = Members::default();
    for row in &options.config.feeds {
        match (&row.years, &row.releases, client) {
            (Some(years), ..) => out.feeds.extend(of_years(row, years, options)?),
            (_, Some(releases), Some(client)) => of_releases(row, releases, options, client, &mut out)?,
            _ => out.feeds.push(member(row, row.clone(), needed(row))),
        }
    }
    check_names(&out.feeds)?;
    Ok(out)
}

/// How much a build needs a row, other than one of years. A path that does not exist is a mistake in `feeds.toml`, and without
/// facts about CVEs or the ends of support no gap would say that they are missing.
fn needed(row: &Feed) -> Needed {
    if row.url.is_some() && !row.ecosystems.is_empty() { Needed::UnlessAnyIsRead } else { Needed::Always }
}

fn member(row: &Feed, feed: Feed, needed: Needed) -> Member {
    Member { feed, needed, row: row.name.clone() }
}

fn of_years(row: &Feed, years: &Years, options: &BuildOptions<'_>) -> Result<Vec<Member>, FeedError> {
    let current = options.now.to_zoned(TimeZone::UTC).year();
    if years.from > current {
        let cause = format!("its years begin in {}, and it is {current}", years.from);
        return Err(FeedError::NoMember { feed: row.name.clone(), cause });
    }
    let needed = |year| if year == current { Needed::IfItExists } else { Needed::Always };
    Ok((years.from..=current).map(|year| member(row, row.of_year(year), needed(year))).collect())
}

fn of_releases(
    row: &Feed,
    releases: &Releases,
    options: &BuildOptions<'_>,
    client: &Client,
    out: &mut Members,
) -> Result<(), FeedError> {
    let folder = options.downloads.join(&row.name);
    let listed = match download(row, releases, client, &folder, options.now) {
        Ok(listed) => listed,
        Err(error) => {
            let last = of_last_time(&folder, releases);
            // As for a row without a placeholder: what this machine lacks is nothing that a vendor did.
            let here = matches!(error, DownloadError::Disk { .. });
            if last.is_empty() && (here || needed(row) == Needed::Always) {
                return Err(unlisted(row, releases, &error));
            }
            // Without a last time the images of all releases are not covered, and the row is named as one that was not read.
            out.outdated.push(outdated(row, releases, &folder, &error));
            last
        }
    };
    out.feeds.extend(listed.iter().map(|name| member(row, row.of_release(name), needed(row))));
    Ok(())
}

/// The releases that count and that the index lists now; they are stored for a time when it cannot be read.
fn download(
    row: &Feed,
    releases: &Releases,
    client: &Client,
    folder: &Path,
    now: Timestamp,
) -> Result<Vec<ReleaseName>, DownloadError> {
    let retry = url::Retry::default();
    let file = url::download(client, &releases.index, folder, row.max_bytes.min(INDEX_BYTES), retry, &|_, _| {})?;
    let index = fs::read(&file).map_err(|e| DownloadError::disk(&file, e))?;
    let mut listed = listing::releases(&index).map_err(DownloadError::Contradicted)?;
    listed.retain(|name| counts(name, releases));
    if let (true, Some(from)) = (listed.is_empty(), &releases.from) {
        return Err(DownloadError::Contradicted(format!("it lists no release from {from} on")));
    }
    let text: String = listed.iter().map(|name| format!("{name}\n")).collect();
    let path = folder.join(LISTED);
    let written = fs::write(&path, text).and_then(|()| part::set_read(&path, now));
    written.map_err(|e| DownloadError::disk(&path, e))?;
    Ok(listed)
}

fn of_last_time(folder: &Path, releases: &Releases) -> Vec<ReleaseName> {
    let text = fs::read_to_string(folder.join(LISTED)).unwrap_or_default();
    text.lines().filter_map(ReleaseName::of_topic).filter(|name| counts(name, releases)).collect()
}

fn counts(name: &ReleaseName, releases: &Releases) -> bool {
    releases.from.as_ref().is_none_or(|from| name.is_from(from))
}

fn unlisted(row: &Feed, releases: &Releases, error: &DownloadError) -> FeedError {
    FeedError::Unavailable {
        feed: row.name.clone(),
        location: releases.index.clone(),
        cause: format!("its releases are not known: {error}"),
        advice: error.advice(),
    }
}

fn outdated(row: &Feed, releases: &Releases, folder: &Path, error: &DownloadError) -> FeedInfo {
    FeedInfo {
        name: row.name.clone(),
        format: row.format.name.to_owned(),
        source: releases.index.clone(),
        read: part::last_read(&folder.join(LISTED)),
        stale: unlisted(row, releases, error).to_string(),
        licence: row.licence.clone(),
        ..FeedInfo::default()
    }
}

/// The name is the folder of a feed's downloads, and what findings carry.
fn check_names(members: &[Member]) -> Result<(), FeedError> {
    let mut names: Vec<&str> = members.iter().map(|member| member.feed.name.as_str()).collect();
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(FeedError::NoMember {
            feed: pair[0].to_owned(),
            cause: "a row with a placeholder and another one both stand for it".to_owned(),
        }),
        None => Ok(()),
    }
}
