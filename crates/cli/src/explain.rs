//! `kubectl scan explain`: why a vulnerability is, or is not, reported for an image.

use crate::args::ExplainArgs;
use crate::exit::Exit;
use crate::local;
use crate::render;
use crate::terminal::printable;
use anyhow::Result;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use tidewaiter_core::advisory::KnownExploited;
use tidewaiter_core::finding::Finding;
use tidewaiter_core::report::Report;
use tidewaiter_db::matching::{self, ExplainedRow};
use tidewaiter_formats::in_layer;

/// Scans and prints the findings, their suppressions, and every advisory that was compared.
pub(crate) fn run(args: &ExplainArgs) -> Result<Exit> {
    let database = args.local.database()?;
    let report = local::scan_with(&args.image, &args.local, &database)?;
    let mut considered = matching::explain(&report.inventory, &database, &args.vulnerability)?;
    considered.retain(|c| args.package.as_ref().is_none_or(|p| *p == c.package));
    write!(io::stdout(), "{}", text(args, &report, &considered))?;
    Ok(Exit::Clean)
}

fn text(args: &ExplainArgs, report: &Report, considered: &[ExplainedRow]) -> String {
    let wanted = |f: &&Finding| is_asked_for(f, args);
    let mut out = format!("{} in {}\n", printable(&args.vulnerability), printable(&report.inventory.image.name));
    for finding in report.findings.iter().filter(wanted) {
        out.push_str(&detail(finding, "reported", report));
    }
    for finding in report.informational.iter().filter(wanted) {
        out.push_str(&detail(finding, "informational: not a vulnerability, not counted", report));
    }
    for suppressed in report.suppressed.iter().filter(|s| wanted(&&s.finding)) {
        let why = format!("suppressed: {} ({})", printable(&suppressed.reason), printable(&suppressed.source));
        out.push_str(&detail(&suppressed.finding, &why, report));
    }
    if considered.is_empty() {
        out.push_str("\nNo advisory of the database covers it for an installed package.\n");
    } else {
        out.push_str("\nadvisories that were compared\n");
    }
    for one in considered {
        let word = if one.applies { "applies" } else { "does not apply" };
        let (because, ecosystem, feed) = (printable(&one.because), printable(&one.ecosystem), printable(&one.feed));
        let _ = writeln!(out, "  {word}: {because}  ({ecosystem}, feed {feed})");
    }
    out.extend(report.inventory.gaps.iter().map(render::gap));
    out
}

/// Whether a finding has the vulnerability's name and, where one was given, the package's: source or binary package.
fn is_asked_for(finding: &Finding, args: &ExplainArgs) -> bool {
    let is_named = finding.names().any(|name| name.eq_ignore_ascii_case(&args.vulnerability));
    let is_of = |package: &String| finding.package == *package || finding.installed.iter().any(|i| i.name == *package);
    is_named && args.package.as_ref().is_none_or(is_of)
}

fn detail(finding: &Finding, state: &str, report: &Report) -> String {
    let mut out = format!(
        "\n{} {} ({}): {state}\n",
        printable(&finding.package),
        printable(&finding.installed_version),
        printable(&finding.ecosystem)
    );
    line(&mut out, "summary", &finding.summary);
    line(&mut out, "because", &finding.because);
    let source = &finding.severity_source;
    let by = if source.is_empty() { String::new() } else { format!(", by {source}") };
    line(&mut out, "severity", &format!("{}{by}", finding.severity));
    for rating in &finding.ratings {
        let vector = rating.vector.as_deref().unwrap_or_default();
        line(&mut out, "rating", &format!("{}: {} {vector}", rating.source, rating.severity));
    }
    let since = |entry: KnownExploited| entry.since.map_or_else(|| "date unknown".to_owned(), |date| date.to_string());
    line(&mut out, "exploited", &finding.kev.map(since).unwrap_or_default());
    line(&mut out, "fixed in", &finding.fixed_versions.join(", "));
    line(&mut out, "aliases", &finding.aliases.join(", "));
    for installed in &finding.installed {
        line(&mut out, "installed", &installed.purl);
        for location in &installed.locations {
            let made = report.inventory.layers.get(location.layer).and_then(|l| l.created_by.as_deref());
            line(&mut out, "at", &format!("{}{} {}", location.path, in_layer(location), made.unwrap_or_default()));
        }
    }
    for reference in &finding.references {
        line(&mut out, "see", reference);
    }
    out
}

/// Adds a named value, unless it is empty.
fn line(out: &mut String, name: &str, value: &str) {
    if !value.is_empty() {
        let _ = writeln!(out, "  {name:9} {}", printable(value));
    }
}
