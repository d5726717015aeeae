//! From `feeds.toml` to a database file.

use crate::combine;
use crate::debian_fixes;
use crate::error::FeedError;
use crate::format::Records;
use crate::options::BuildOptions;
use crate::read;
use std::collections::BTreeMap;
use tidewaiter_core::advisory::Advisory;
use tidewaiter_core::ecosystem::{Ecosystem, EcosystemBase};
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
    // Before rows are dropped: the ratings of a record count whether or not its versions can be compared.
    let cves = combine::facts(&mut all);
    drop_unordered(&mut all.advisories, &mut meta);
    meta.support = first_of_each(all.support);
    let input = BuildInput { advisories: combine::join(all.advisories), cves, meta };
    check_loss(options, &input)?;
    writer::write(options.out, &input)?;
    // Read back as a scanner reads it: a file that cannot be used is an error of the build.
    Ok(Database::open_verified(options.out)?.meta().clone())
}

/// Refuses a database that lost too many rows against the one it would replace: some feed was cut short.
fn check_loss(options: &BuildOptions<'_>, input: &BuildInput) -> Result<(), FeedError> {
    // The first build, or a file of another format: there is nothing to compare with.
    let Ok(previous) = Database::open(options.out) else { return Ok(()) };
    let (old, new) = (previous.meta().rows, input.advisories.iter().map(|a| a.affected.len() as u64).sum::<u64>());
    let lost = (new as f64) < old as f64 * (1.0 - options.max_loss);
    if lost { Err(FeedError::Shrunk { old, new }) } else { Ok(()) }
}

/// One period for each release, of the feed that is first in the configuration.
fn first_of_each(mut support: Vec<SupportPeriod>) -> Vec<SupportPeriod> {
    // Stable: of one release the first one stays the first.
    support.sort_by(|a, b| a.ecosystem.cmp(&b.ecosystem));
    support.dedup_by(|a, b| a.ecosystem == b.ecosystem);
    support
}

/// Drops rows of ecosystems whose versions have no order yet, counts them, and takes those ecosystems out of the coverage.
fn drop_unordered(advisories: &mut [Advisory], meta: &mut Meta) {
    let has_order = |ecosystem: &Ecosystem| ecosystem.version_scheme().is_some();
    let mut dropped: BTreeMap<&EcosystemBase, u64> = BTreeMap::new();
    for row in advisories.iter().flat_map(|advisory| &advisory.affected).filter(|row| !has_order(&row.ecosystem)) {
        *dropped.entry(row.ecosystem.base()).or_default() += 1;
    }
    let rows = |(base, rows): (&EcosystemBase, u64)| DroppedRows { ecosystem: Ecosystem::new(base.clone()), rows };
    meta.left_out = dropped.into_iter().map(rows).collect();
    for advisory in advisories {
        advisory.affected.retain(|row| has_order(&row.ecosystem));
    }
    for feed in &mut meta.feeds {
        feed.ecosystems.retain(has_order);
    }
}
