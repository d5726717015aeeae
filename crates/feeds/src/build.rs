//! From `feeds.toml` to a database file.

use crate::FeedError;
use crate::combine;
use crate::coverage::{self, Previous, RowCounts};
use crate::debian_fixes;
use crate::format::Records;
use crate::options::BuildOptions;
use crate::read;
use std::collections::BTreeMap;
use tidewaiter_core::advisory::Advisory;
use tidewaiter_core::ecosystem::Ecosystem;
use tidewaiter_core::report::SupportPeriod;
use tidewaiter_db::Database;
use tidewaiter_db::meta::{DroppedRows, Meta};
use tidewaiter_db::writer::{self, BuildInput};

/// Reads every feed and writes the database.
///
/// # Errors
/// When a feed cannot be read or has no records, or the result lost too many rows.
pub fn build(options: &BuildOptions<'_>) -> Result<Meta, FeedError> {
    let mut all = Records::default();
    let mut meta = Meta { built: Some(options.now), ..Meta::default() };
    for (records, info) in read::all(options)? {
        meta.feeds.push(info);
        all.extend(records);
    }
    debian_fixes::reconcile(&mut all.advisories);
    let cves = combine::facts(&mut all);
    drop_unordered(&mut all.advisories, &mut meta);
    meta.support = first_of_each(all.support);
    let advisories = combine::join(all.advisories);
    let previous = Database::open(options.out).map(|database| Previous::of(&database)).unwrap_or_default();
    let rows = rows_of_feeds(&advisories, &meta);
    coverage::settle(&mut meta, &rows, &previous, options.max_loss);
    check_loss(options, rows.iter().flat_map(RowCounts::values).sum(), &previous)?;
    writer::write(options.out, &BuildInput { advisories, cves, meta })?;
    Ok(Database::open_verified(options.out)?.meta().clone())
}

/// The rows of each feed, in their order.
fn rows_of_feeds(advisories: &[Advisory], meta: &Meta) -> Vec<RowCounts> {
    let mut out: BTreeMap<&str, RowCounts> = BTreeMap::new();
    for advisory in advisories {
        let rows = out.entry(&advisory.feed).or_default();
        advisory.affected.iter().for_each(|row| *rows.entry(row.ecosystem.clone()).or_default() += 1);
    }
    meta.feeds.iter().map(|feed| out.remove(feed.name.as_str()).unwrap_or_default()).collect()
}

/// Refuses a database that lost too many rows against the one it would replace: some feed was cut short.
fn check_loss(options: &BuildOptions<'_>, new: u64, previous: &Previous) -> Result<(), FeedError> {
    let old = previous.total();
    let lost = (new as f64) < old as f64 * (1.0 - options.max_loss);
    if lost { Err(FeedError::Shrunk { old, new }) } else { Ok(()) }
}

/// One period for each release, of the feed that is first in the configuration.
fn first_of_each(mut support: Vec<SupportPeriod>) -> Vec<SupportPeriod> {
    support.sort_by(|a, b| a.ecosystem.cmp(&b.ecosystem));
    support.dedup_by(|a, b| a.ecosystem == b.ecosystem);
    support
}

/// Drops rows of ecosystems whose versions have no order yet, which are taken out of the coverage, and rows that no image can
/// ask for; counts both.
fn drop_unordered(advisories: &mut [Advisory], meta: &mut Meta) {
    let has_order = |ecosystem: &Ecosystem| ecosystem.version_scheme().is_some();
    let is_kept = |ecosystem: &Ecosystem| has_order(ecosystem) && ecosystem.is_askable();
    let (mut unordered, mut unasked): (BTreeMap<&str, u64>, BTreeMap<&str, u64>) = Default::default();
    for row in advisories.iter().flat_map(|advisory| &advisory.affected).filter(|row| !is_kept(&row.ecosystem)) {
        let dropped = if has_order(&row.ecosystem) { &mut unasked } else { &mut unordered };
        *dropped.entry(row.ecosystem.base()).or_default() += 1;
    }
    let rows = |(base, rows): (&str, u64)| DroppedRows { ecosystem: Ecosystem::new(base), rows };
    meta.left_out = unordered.into_iter().map(rows).collect();
    meta.unasked = unasked.into_iter().map(rows).collect();
    for advisory in advisories {
        advisory.affected.retain(|row| is_kept(&row.ecosystem));
    }
    for feed in &mut meta.feeds {
        feed.ecosystems.retain(has_order);
    }
}
