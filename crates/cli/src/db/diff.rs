//! `kubectl scan db diff`: compares the advisories and the coverage of two databases.

use crate::args::OutputFormat;
use crate::exit::Exit;
use crate::render;
use crate::terminal::printable;
use anyhow::Result;
use serde::Serialize;
use std::fmt::Write as _;
use std::io::{self, BufWriter, Write as _};
use std::path::Path;
use tidewaiter_core::report::DatabaseInfo;
use tidewaiter_db::Database;
use tidewaiter_db::delta::{AdvisoryChange, ChangeKind, Coverage, CoverageChange, Delta, NamedPackage};

/// Packages named on a line; an advisory of a kernel lists hundreds.
const LISTED: usize = 4;

/// The JSON form.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DatabaseDiff<'a> {
    old: DatabaseInfo,
    new: DatabaseInfo,
    added: usize,
    removed: usize,
    changed: usize,
    advisories: &'a [AdvisoryChange<'a>],
    coverage: &'a [CoverageChange],
}

/// Verifies and compares two files, and prints the differences.
pub(super) fn run(old: &Path, new: &Path, output: OutputFormat) -> Result<Exit> {
    let (old, new) = (Database::open_verified(old)?, Database::open_verified(new)?);
    let delta = Delta::between(&old, &new)?;
    let count = |kind| delta.advisories.iter().filter(|c| c.change == kind).count();
    let diff = DatabaseDiff {
        old: old.info(),
        new: new.info(),
        added: count(ChangeKind::Added),
        removed: count(ChangeKind::Removed),
        changed: count(ChangeKind::Changed),
        advisories: &delta.advisories,
        coverage: &delta.coverage,
    };
    match output {
        OutputFormat::Json => render::json(&diff)?,
        OutputFormat::Table => text(&diff)?,
    }
    Ok(Exit::Clean)
}

fn text(diff: &DatabaseDiff<'_>) -> Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    let ids = width("ADVISORY", diff.advisories.iter().map(|change| &*change.id));
    let feeds = width("FEED", diff.advisories.iter().map(|change| &*change.feed));
    if diff.advisories.is_empty() {
        writeln!(out, "The advisories are the same.")?;
    } else {
        writeln!(out, "  {:ids$}  {:feeds$}  PACKAGES", "ADVISORY", "FEED")?;
    }
    for change in diff.advisories {
        let sign = match change.change {
            ChangeKind::Added => '+',
            ChangeKind::Removed => '-',
            ChangeKind::Changed => '~',
        };
        let (id, feed) = (printable(&change.id), printable(&change.feed));
        writeln!(out, "{sign} {id:ids$}  {feed:feeds$}  {}", packages(&change.packages))?;
    }
    for change in diff.coverage {
        let ecosystem = printable(&change.ecosystem);
        writeln!(out, "~ {ecosystem}: {} → {}", coverage(&change.old), coverage(&change.new))?;
    }
    let (old, new) = (&diff.old, &diff.new);
    writeln!(out, "\n{} added, {} removed, {} changed", diff.added, diff.removed, diff.changed)?;
    writeln!(out, "old: {}, built {}", old.id, render::built(old.built))?;
    writeln!(out, "new: {}, built {}", new.id, render::built(new.built))?;
    Ok(out.flush()?)
}

/// The width of a column in characters.
fn width<'a>(head: &'a str, cells: impl Iterator<Item = &'a str>) -> usize {
    cells.chain([head]).map(|cell| cell.chars().count()).max().unwrap_or_default()
}

/// "Debian:12 curl, npm left-pad and 3 more".
fn packages(all: &[NamedPackage<'_>]) -> String {
    let listed = all.iter().take(LISTED).map(|p| printable(format!("{} {}", p.ecosystem, p.name)));
    let mut out = listed.collect::<Vec<_>>().join(", ");
    if let Some(more) = all.len().checked_sub(LISTED).filter(|more| *more > 0) {
        let _ = write!(out, " and {more} more");
    }
    out
}

/// "complete, rated, fixes until 2028-06-30".
fn coverage(coverage: &Coverage) -> String {
    let complete = if coverage.complete { "complete" } else { "not complete" };
    let rated = if coverage.rated { "rated" } else { "not rated" };
    let Some(support) = &coverage.support else { return format!("{complete}, {rated}") };
    let extended = support.extended_until.as_ref().map_or(String::new(), |until| format!(" (extended {until})"));
    printable(format!("{complete}, {rated}, fixes until {}{extended}", support.until))
}
