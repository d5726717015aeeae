//! `kubectl scan diff`: compares the packages and findings of two images.

use crate::args::{DiffArgs, OutputFormat};
use crate::exit::{self, Exit};
use crate::terminal::printable;
use crate::{local, render, stdout};
use anyhow::Result;
use jiff::Timestamp;
use tidewaiter_core::diff::{self, ReportDiff};
use tidewaiter_core::policy;
use tidewaiter_core::severity::Severity;

/// Scans both images and prints the differences. The exit code is that of the new image.
pub(crate) fn run(args: &DiffArgs) -> Result<Exit> {
    let criteria = args.local.judge.criteria()?;
    let (old, new) = (local::scan(&args.old, &args.local)?, local::scan(&args.new, &args.local)?);
    let policy = criteria.of_image(&new.inventory.image)?;
    let diff = diff::diff(&old, &new);
    match args.output {
        OutputFormat::Json => render::json(&diff)?,
        OutputFormat::Table => stdout::print(&diff_text(&diff))?,
    }
    Ok(exit::of(policy::decide(&new, &policy, Timestamp::now()).outcome))
}

fn diff_text(diff: &ReportDiff) -> String {
    let mut out = packages(diff) + &findings(diff);
    if !diff.complete {
        out.push_str("A report is incomplete: what is listed as removed may only be missing from it.\n");
    }
    out.push_str(&format!("old: {}\nnew: {}\n", diff.old.sentence(), diff.new.sentence()));
    out
}

fn packages(diff: &ReportDiff) -> String {
    let mut rows = vec![["", "PACKAGE", "TYPE", "OLD", "NEW"].map(str::to_owned)];
    for change in &diff.packages {
        let sign = sign(change.old.is_empty(), change.new.is_empty());
        let kind = change.kind.purl_type().to_owned();
        rows.push([sign, printable(&change.name), kind, versions(&change.old), versions(&change.new)]);
    }
    section(&rows, "The packages are the same")
}

fn findings(diff: &ReportDiff) -> String {
    let mut rows = vec![["", "VULNERABILITY", "PACKAGE", "OLD", "NEW"].map(str::to_owned)];
    for change in &diff.findings {
        let sign = sign(change.old.is_none(), change.new.is_none());
        let (id, package) = (printable(&change.vulnerability), printable(&change.package));
        rows.push([sign, id, package, severity(change.old), severity(change.new)]);
    }
    section(&rows, "The findings are the same")
}

fn severity(severity: Option<Severity>) -> String {
    severity.map_or_else(|| "-".to_owned(), |severity| severity.to_string())
}

fn sign(is_added: bool, is_removed: bool) -> String {
    match (is_added, is_removed) {
        (true, _) => "+",
        (_, true) => "-",
        _ => "~",
    }
    .to_owned()
}

fn versions(all: &[String]) -> String {
    if all.is_empty() { "-".to_owned() } else { printable(all.join(", ")) }
}

fn section(rows: &[[String; 5]], none: &str) -> String {
    if rows.len() < 2 { format!("{none}.\n\n") } else { render::columns(rows) + "\n" }
}
