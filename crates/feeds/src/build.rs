//! From `feeds.toml` to a database file.

use crate::coverage::{self, Previous, RowCounts};
use crate::error::FeedError;
use crate::merge::{self, NamedPart};
use crate::options::BuildOptions;
use crate::part::Part;
use crate::read::{self, FeedRead};
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use tidewaiter_core::ecosystem::Ecosystem;
use tidewaiter_core::report::SupportPeriod;
use tidewaiter_db::Database;
use tidewaiter_db::meta::{DroppedRows, Meta};

/// Reads every feed and writes the database.
///
/// # Errors
/// When a feed cannot be read or has no records, never could or had, and is needed (`members::Needed`); when no feed can be
/// read; when the result lost too many rows.
pub fn build(options: &BuildOptions<'_>) -> Result<Meta, FeedError> {
    let folder = PartsFolder::of(options);
    let read = read::all(options, &folder.path)?;
    let rows: Vec<RowCounts> = read.iter().map(|feed| feed.part.as_ref().map(Part::rows).unwrap_or_default()).collect();
    let previous = Database::open(options.out).map(|database| Previous::of(&database)).unwrap_or_default();
    let mut meta = meta(&read, options);
    coverage::confirm(&mut meta, &rows, &previous, options.max_loss);
    check_loss(options, rows.iter().flat_map(RowCounts::values).sum(), previous.total(&meta.feeds))?;
    merge::write(options.out, &read.iter().filter_map(named).collect::<Vec<_>>(), meta)?;
    Ok(Database::open(options.out)?.meta().clone())
}

fn named(feed: &FeedRead) -> Option<NamedPart<'_>> {
    Some(NamedPart { name: &feed.info.name, part: feed.part.as_ref()? })
}

/// Where parts are: with the downloads; where those cannot be stored, next to the database until it is built.
struct PartsFolder {
    path: PathBuf,
    is_temporary: bool,
}

impl PartsFolder {
    fn of(options: &BuildOptions<'_>) -> Self {
        let stored = fs::create_dir_all(options.downloads).and_then(|()| tidewaiter_io::scratch(options.downloads));
        match stored {
            Ok(_) => PartsFolder { path: options.downloads.to_owned(), is_temporary: false },
            Err(_) => {
                let mut name = options.out.file_name().unwrap_or_default().to_owned();
                name.push(format!(".{}.parts", std::process::id()));
                PartsFolder { path: options.out.with_file_name(name), is_temporary: true }
            }
        }
    }
}

impl Drop for PartsFolder {
    fn drop(&mut self) {
        if self.is_temporary {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

/// What the database says about itself, before coverage is confirmed.
fn meta(read: &[FeedRead], options: &BuildOptions<'_>) -> Meta {
    let headers = || read.iter().filter_map(|feed| Some(&feed.part.as_ref()?.header));
    let has_order = |ecosystem: &Ecosystem| ecosystem.version_scheme().is_some();
    let mut feeds: Vec<_> = read.iter().map(|feed| feed.info.clone()).collect();
    for feed in &mut feeds {
        feed.ecosystems.retain(has_order);
    }
    Meta {
        built: Some(options.now),
        feeds,
        left_out: dropped(headers().map(|header| &header.left_out)),
        unasked: dropped(headers().map(|header| &header.unasked)),
        support: first_of_each(headers().flat_map(|header| header.support.clone()).collect()),
        ..Meta::default()
    }
}

fn dropped<'a>(of_feeds: impl Iterator<Item = &'a BTreeMap<String, u64>>) -> Vec<DroppedRows> {
    let mut all: BTreeMap<&str, u64> = BTreeMap::new();
    for (base, rows) in of_feeds.flatten() {
        *all.entry(base).or_default() += rows;
    }
    all.into_iter().map(|(base, rows)| DroppedRows { ecosystem: Ecosystem::new(base), rows }).collect()
}

/// Refuses a database that lost too many rows against the one it would replace: some feed was cut short.
fn check_loss(options: &BuildOptions<'_>, new: u64, old: u64) -> Result<(), FeedError> {
    let lost = (new as f64) < old as f64 * (1.0 - options.max_loss);
    if lost { Err(FeedError::Shrunk { old, new }) } else { Ok(()) }
}

/// One period for each release, of the feed that is first in the configuration.
fn first_of_each(mut support: Vec<SupportPeriod>) -> Vec<SupportPeriod> {
    support.sort_by(|a, b| a.ecosystem.cmp(&b.ecosystem));
    support.dedup_by(|a, b| a.ecosystem == b.ecosystem);
    support
}
