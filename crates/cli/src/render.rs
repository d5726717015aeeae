//! What people read: the table of findings and everything around it.

use crate::args::Args;
use crate::exit::Exit;
use anyhow::Result;
use clap::CommandFactory;
use clap_complete::Shell;
use jiff::civil::Date;
use std::fmt::Display;
use std::io::{self, BufWriter, IsTerminal, Write};
use tidewaiter_core::advisory::FixState;
use tidewaiter_core::finding::Finding;
use tidewaiter_core::finding::{SuppressedFinding, SuppressionStatus};
use tidewaiter_core::policy::Outcome;
use tidewaiter_core::report::{Gap, Report, SupportPeriod};
use tidewaiter_core::severity::Severity;

/// Prints a completion script.
pub(crate) fn completion(shell: Shell) -> Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "kubectl-scan", &mut script);
    io::stdout().write_all(&script)?;
    Ok(Exit::Clean)
}

/// Prints a report, or a list of them, as versioned JSON.
pub(crate) fn json<T: serde::Serialize + ?Sized>(report: &T) -> Result<()> {
    // Standard output is flushed at every line end, and a report has thousands.
    let mut out = BufWriter::with_capacity(64 << 10, io::stdout().lock());
    serde_json::to_writer_pretty(&mut out, report)?;
    writeln!(out)?;
    out.flush()?;
    Ok(())
}

/// Prints the table; the last line is the sentence that counts. `too_old`: what is wrong with the database's age.
pub(crate) fn table(report: &Report, outcome: Outcome, too_old: Option<&str>) -> Result<()> {
    let colour = Colour::of_stdout();
    let mut out = io::stdout().lock();
    // In UTC, as the dates of releases are compared everywhere: the report of one day is the same in every time zone.
    let today = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
    write!(out, "{}", table_text(report, outcome, too_old, colour, today))?;
    Ok(())
}

/// Whether to colour; colour is never the only signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Colour {
    On,
    Off,
}

impl Colour {
    fn of_stdout() -> Self {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
        if wanted && io::stdout().is_terminal() { Colour::On } else { Colour::Off }
    }

    fn paint(self, severity: Severity, text: &str) -> String {
        let code = match severity {
            Severity::Critical => "1;31",
            Severity::High => "31",
            Severity::Medium => "33",
            _ => return text.to_owned(),
        };
        match self {
            Colour::On => format!("\x1b[{code}m{text}\x1b[0m"),
            Colour::Off => text.to_owned(),
        }
    }
}

const HEAD: [&str; 7] = ["SEVERITY", "VULNERABILITY", "PACKAGE", "INSTALLED", "FIXED IN", "LAYER", "EXPLOITED"];

fn table_text(report: &Report, outcome: Outcome, too_old: Option<&str>, colour: Colour, today: Date) -> String {
    let mut out = heading(report);
    if !report.findings.is_empty() {
        out.push_str(&format!("\n{}\n", findings(report, colour)));
    }
    out.push_str(&suppressed(report));
    out.extend(report.support.iter().filter_map(|support| ended(support, today)));
    out.extend(report.inventory.gaps.iter().map(gap));
    out.push_str(&format!("Database: built {}\n", built(report.database.built)));
    out.extend(too_old.map(|why| format!("not seen: what is newer: {why}\n")));
    if !report.complete || too_old.is_some() {
        out.push_str("This report is incomplete: the image cannot be called clean.\n");
    }
    out.push_str(&format!("Policy: {}\n", outcome));
    out.push_str(&last_line(report));
    out
}

fn heading(report: &Report) -> String {
    let inventory = &report.inventory;
    let os = inventory.os.as_ref().map_or("no operating system".to_owned(), |os| match os.pretty_name.as_str() {
        "" => format!("{} {}", os.id, os.version_id),
        name => name.to_owned(),
    });
    format!(
        "{} ({}, {}), {} packages in {} layers\n{}\n",
        printable(&inventory.image.name),
        inventory.image.platform,
        printable(&os),
        inventory.packages.len(),
        inventory.layers.len(),
        inventory.image.digest,
    )
}

/// `base`: the number of layers that are the base image's.
fn row(finding: &Finding, base: usize) -> [String; 7] {
    let fixed = match (finding.fixed_versions.first(), finding.fix_state) {
        (Some(version), _) => version.clone(),
        (None, FixState::WontFix) => "won't fix".to_owned(),
        (None, FixState::Deferred) => "deferred".to_owned(),
        (None, FixState::EndOfLife) => "end of life".to_owned(),
        (None, _) => "-".to_owned(),
    };
    let layers = finding.installed.iter().flat_map(|i| &i.locations).map(|l| l.layer + 1).min();
    [
        finding.severity.to_string(),
        printable(&finding.vulnerability),
        printable(&finding.package),
        printable(&finding.installed_version),
        printable(&fixed),
        layers.map_or_else(|| "-".to_owned(), |l| format!("{l}{}", if l <= base { " (base)" } else { "" })),
        exploited(finding),
    ]
}

/// What is known of attacks: listed by CISA, or the probability of one in the next 30 days (EPSS).
fn exploited(finding: &Finding) -> String {
    match (&finding.kev, &finding.epss) {
        (Some(since), _) => format!("known since {}", printable(since)),
        (None, Some(epss)) => format!("{:.1} %", epss.score * 100.0),
        (None, None) => String::new(),
    }
}

/// One line about a release whose security fixes have ended: what is found in it later may never be published.
fn ended(support: &SupportPeriod, today: Date) -> Option<String> {
    let release = printable(&support.ecosystem);
    let until = support.until;
    match support.extended_until {
        Some(extended) if extended < today => {
            Some(format!("end of life: security fixes of {release} ended on {until}, longer support on {extended}\n"))
        }
        Some(extended) if until < today => {
            Some(format!("end of life: {release} has had only longer support since {until}; it ends on {extended}\n"))
        }
        None if until < today => Some(format!("end of life: security fixes of {release} ended on {until}\n")),
        _ => None,
    }
}

/// The finding rows below their heading, the severity painted.
fn findings(report: &Report, colour: Colour) -> String {
    let base = report.inventory.image.base_layers.unwrap_or_default();
    let mut head = HEAD.map(str::to_owned);
    if report.findings.iter().all(|f| exploited(f).is_empty()) {
        head[6].clear();
    }
    let rows: Vec<[String; 7]> = std::iter::once(head).chain(report.findings.iter().map(|f| row(f, base))).collect();
    let text = columns(&rows);
    let mut lines = text.lines();
    let mut out = lines.next().unwrap_or_default().to_owned() + "\n";
    for (line, finding) in lines.zip(&report.findings) {
        let word = finding.severity.to_string();
        // Painted after padding, so that the escape codes do not count as width.
        let rest = line.strip_prefix(&word).unwrap_or_default();
        out.push_str(&format!("{}{rest}\n", colour.paint(finding.severity, &word)));
    }
    out
}

/// Rows as columns, as wide as needed.
pub(crate) fn columns<const N: usize>(rows: &[[String; N]]) -> String {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |row: &[String; N]| {
        let padded = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}

/// One line about something that was not seen.
pub(crate) fn gap(gap: &Gap) -> String {
    format!("not seen: {}: {}\n", printable(&gap.subject), printable(&gap.message))
}

/// One line about each finding that somebody answered.
fn suppressed(report: &Report) -> String {
    let line = |s: &SuppressedFinding| {
        let (id, package) = (printable(&s.finding.vulnerability), printable(&s.finding.package));
        let word = match s.status {
            SuppressionStatus::NotAffected => "not affected",
            SuppressionStatus::Fixed => "fixed",
            SuppressionStatus::Accepted => "accepted",
        };
        format!("not counted: {id} in {package}: {word}: {} ({})\n", printable(&s.reason), printable(&s.source))
    };
    report.suppressed.iter().map(line).collect()
}

fn last_line(report: &Report) -> String {
    format!("{}\n", report.counts.sentence())
}

/// When a database was built: "2026-01-01T00:00:00Z (3 days ago)".
pub(crate) fn built(built: Option<jiff::Timestamp>) -> String {
    let Some(built) = built else { return "at an unknown time".to_owned() };
    match jiff::Timestamp::now().duration_since(built).as_hours() {
        hours if hours < 48 => format!("{built} ({hours} h ago)"),
        hours => format!("{built} ({} days ago)", hours / 24),
    }
}

/// Text from an image, made safe for a terminal and for CI logs that read commands from lines.
pub(crate) fn printable(text: impl Display) -> String {
    text.to_string().chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_images_cannot_steer_a_terminal() {
        assert_eq!(printable("a\x1b[31m\nb"), "a\u{fffd}[31m\u{fffd}b");
    }

    #[test]
    fn the_end_of_a_release_is_told_once_it_has_come() {
        let check = |extended: Option<&str>, today: &str, expected: &str| {
            let day = |text: &str| text.parse::<Date>().unwrap();
            let extended_until = extended.map(day);
            let support = SupportPeriod { ecosystem: "Debian:10".into(), until: day("2022-09-10"), extended_until };
            assert_eq!(ended(&support, day(today)).unwrap_or_default(), expected);
        };
        check(None, "2022-09-10", "");
        check(None, "2022-09-11", "end of life: security fixes of Debian:10 ended on 2022-09-10\n");
        check(Some("2024-06-30"), "2022-09-10", "");
        let only = "end of life: Debian:10 has had only longer support since 2022-09-10; it ends on 2024-06-30\n";
        check(Some("2024-06-30"), "2024-06-30", only);
        let both = "end of life: security fixes of Debian:10 ended on 2022-09-10, longer support on 2024-06-30\n";
        check(Some("2024-06-30"), "2024-07-01", both);
    }

    #[test]
    fn colour_is_only_added_where_wanted() {
        assert_eq!(Colour::Off.paint(Severity::Critical, "critical"), "critical");
        assert_eq!(Colour::On.paint(Severity::Critical, "critical"), "\x1b[1;31mcritical\x1b[0m");
        assert_eq!(Colour::On.paint(Severity::Low, "low"), "low");
    }
}
