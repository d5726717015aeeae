//! `kubectl scan explain`: why a vulnerability is, or is not, reported for an image.

use crate::args::ExplainArgs;
use crate::exit::Exit;
use crate::local;
use crate::render::{self, printable};
use anyhow::Result;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use tidewaiter_core::finding::Finding;
use tidewaiter_core::report::Report;
use tidewaiter_db::matching::{self, ExplainedRow};

/// Scans and prints what was found, what answers it, and every record that was compared.
pub(crate) fn run(args: &ExplainArgs) -> Result<Exit> {
    let database = args.local.database()?;
    let report = local::scan_with(&args.image, &args.local, &database)?;
    let mut considered = matching::explain(&report.inventory, &database, &args.vulnerability)?;
    considered.retain(|c| args.package.as_ref().is_none_or(|p| *p == c.package));
    write!(io::stdout(), "{}", text(args, &report, &considered))?;
    Ok(Exit::Clean)
}

fn text(args: &ExplainArgs, report: &Report, considered: &[ExplainedRow]) -> String {
    let named = |f: &Finding| f.names().any(|n| n.eq_ignore_ascii_case(&args.vulnerability));
    let of_package =
        |f: &Finding| args.package.as_ref().is_none_or(|p| f.package == *p || f.installed.iter().any(|i| i.name == *p));
    let wanted = |f: &&Finding| named(f) && of_package(f);
    let mut out = format!("{} in {}\n", printable(&args.vulnerability), printable(&report.inventory.image.name));
    for finding in report.findings.iter().filter(wanted) {
        out.push_str(&detail(finding, "reported", report));
    }
    for finding in report.informational.iter().filter(wanted) {
        out.push_str(&detail(finding, "reported apart: it is no vulnerability", report));
    }
    for answered in report.suppressed.iter().filter(|s| wanted(&&s.finding)) {
        let why = format!("not counted: {} ({})", printable(&answered.reason), printable(&answered.source));
        out.push_str(&detail(&answered.finding, &why, report));
    }
    if considered.is_empty() {
        out.push_str("\nNo record of the database speaks of it for a package that is installed.\n");
    } else {
        out.push_str("\nrecords that were compared\n");
    }
    for one in considered {
        let word = if one.holds { "holds" } else { "does not hold" };
        let (because, ecosystem, feed) = (printable(&one.because), printable(&one.ecosystem), printable(&one.feed));
        let _ = writeln!(out, "  {word}: {because}  ({ecosystem}, feed {feed})");
    }
    out.extend(report.inventory.gaps.iter().map(render::gap));
    out
}

fn detail(finding: &Finding, state: &str, report: &Report) -> String {
    let mut out = format!(
        "\n{} {} ({}): {state}\n",
        printable(&finding.package),
        printable(&finding.installed_version),
        printable(&finding.ecosystem)
    );
    let mut line = |name: &str, value: &str| {
        if !value.is_empty() {
            let _ = writeln!(out, "  {name:9} {}", printable(value));
        }
    };
    line("summary", &finding.summary);
    line("because", &finding.because);
    let source = &finding.severity_source;
    let by = if source.is_empty() { String::new() } else { format!(", by {source}") };
    line("severity", &format!("{}{by}", finding.severity));
    for rating in &finding.ratings {
        let vector = rating.vector.as_deref().unwrap_or_default();
        line("rating", &format!("{}: {} {vector}", rating.source, rating.severity));
    }
    line("exploited", &finding.kev.map(|date| date.to_string()).unwrap_or_default());
    line("fixed in", &finding.fixed_versions.join(", "));
    line("aliases", &finding.aliases.join(", "));
    for installed in &finding.installed {
        line("installed", &installed.purl);
        for location in &installed.locations {
            let made = report.inventory.layers.get(location.layer).and_then(|l| l.created_by.as_deref());
            line("at", &format!("{} (layer {}) {}", location.path, location.layer + 1, made.unwrap_or_default()));
        }
    }
    for reference in &finding.references {
        line("see", reference);
    }
    out
}
