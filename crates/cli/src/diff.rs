//! `kubectl scan diff`: what changed between two images.

use crate::args::{DiffArgs, Output};
use crate::exit::{self, Exit};
use crate::local;
use crate::render::{self, printable};
use anyhow::Result;
use jiff::Timestamp;
use std::io::{self, Write};
use tidewaiter_core::diff::{self, ReportDiff};
use tidewaiter_core::policy;
use tidewaiter_core::severity::Severity;

/// Scans both images and prints what differs. The exit code is the new image's.
pub(crate) fn run(args: &DiffArgs) -> Result<Exit> {
    let (old, new) = (local::scan(&args.old, &args.local)?, local::scan(&args.new, &args.local)?);
    let diff = diff::diff(&old, &new);
    match args.output {
        Output::Json => render::json(&diff)?,
        Output::Table => write!(io::stdout(), "{}", diff_text(&diff))?,
    }
    Ok(exit::of(policy::decide(&new, &args.local.policy(), Timestamp::now()).outcome))
}

fn diff_text(diff: &ReportDiff) -> String {
    let mut out = String::new();
    let mut rows = vec![["", "PACKAGE", "TYPE", "OLD", "NEW"].map(str::to_owned)];
    for change in &diff.packages {
        let sign = sign(change.old.is_empty(), change.new.is_empty());
        let kind = change.kind.purl_type().to_owned();
        rows.push([sign, printable(&change.name), kind, versions(&change.old), versions(&change.new)]);
    }
    out.push_str(&section(&rows, "The packages are the same"));
    let mut rows = vec![["", "VULNERABILITY", "PACKAGE", "OLD", "NEW"].map(str::to_owned)];
    for change in &diff.findings {
        let sign = sign(change.old.is_none(), change.new.is_none());
        let word = |severity: Option<Severity>| severity.map_or_else(|| "-".to_owned(), |s| s.to_string());
        rows.push([
            sign,
            printable(&change.vulnerability),
            printable(&change.package),
            word(change.old),
            word(change.new),
        ]);
    }
    out.push_str(&section(&rows, "The findings are the same"));
    if !diff.complete {
        out.push_str("A report is incomplete: what seems to have gone may only not have been seen.\n");
    }
    out.push_str(&format!("old: {}\nnew: {}\n", diff.old.sentence(), diff.new.sentence()));
    out
}

fn sign(came: bool, went: bool) -> String {
    match (came, went) {
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
