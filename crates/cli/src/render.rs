//! Reports as text: the table of findings with everything around it, and parts that other commands share.

use crate::terminal::{Colour, printable};
use anyhow::Result;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use std::io::{self, BufWriter, Write};
use tidewaiter_core::advisory::{FixState, KnownExploited};
use tidewaiter_core::finding::{Finding, SuppressedFinding, SuppressionStatus};
use tidewaiter_core::policy::Verdict;
use tidewaiter_core::report::{Gap, GapKind, Report, SupportPeriod};

/// Prints a value as JSON.
pub(crate) fn json<T: serde::Serialize + ?Sized>(value: &T) -> Result<()> {
    // `Stdout` is flushed at every line end, and a report has thousands of lines.
    let mut out = BufWriter::with_capacity(64 << 10, io::stdout().lock());
    serde_json::to_writer_pretty(&mut out, value)?;
    writeln!(out)?;
    out.flush()?;
    Ok(())
}

/// Prints a report and its verdict as a table.
pub(crate) fn table(report: &Report, verdict: &Verdict) -> Result<()> {
    let text = table_text(report, verdict, Colour::of_stdout(), Timestamp::now());
    Ok(write!(io::stdout().lock(), "{text}")?)
}

const HEAD: [&str; 7] = ["SEVERITY", "VULNERABILITY", "PACKAGE", "INSTALLED", "FIXED IN", "LAYER", "EXPLOITED"];

fn table_text(report: &Report, verdict: &Verdict, colour: Colour, now: Timestamp) -> String {
    let gaps = &verdict.gaps;
    // In UTC, as the dates of releases are compared everywhere: the report of one day is the same in every time zone.
    let today = now.to_zoned(TimeZone::UTC).date();
    let mut out = heading(report);
    if !report.findings.is_empty() {
        out.push_str(&format!("\n{}\n", findings(report, colour)));
    }
    out.push_str(&suppressed(report));
    if !gaps.iter().any(|gap| gap.kind == GapKind::EndOfSupport) {
        out.extend(report.support.iter().filter_map(|support| ended(support, today)));
    }
    out.extend(report.inventory.gaps.iter().chain(gaps).map(gap));
    out.extend(verdict.remarks.iter().map(|remark| format!("warning: {}\n", printable(remark))));
    out.push_str(&format!("Database: built {}\n", built_as_of(report.database.built, now)));
    if !report.complete || !gaps.is_empty() {
        out.push_str("This report is incomplete: the image cannot be called clean.\n");
    }
    out.push_str(&format!("Policy: {}\n", verdict.outcome));
    out.extend(verdict.by_rules.iter().map(|reason| format!("  {}\n", printable(reason))));
    // Last, where a person and `tail -1` look.
    out.push_str(&format!("{}\n", report.counts.sentence()));
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

/// The cells of a finding. `base`: how many of the lowest layers belong to the base image.
fn row(finding: &Finding, base: usize) -> [String; 7] {
    let fixed = match (finding.fixed_versions.first(), finding.fix_state) {
        (Some(version), _) => version.clone(),
        (None, FixState::WontFix) => "won't fix".to_owned(),
        (None, FixState::Deferred) => "deferred".to_owned(),
        (None, FixState::EndOfLife) => "end of life".to_owned(),
        (None, _) => "-".to_owned(),
    };
    // The lowest: from there on it is in every image that is built on that layer.
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

/// KEV or, if it is not listed there, EPSS: the probability of exploitation in the next 30 days.
fn exploited(finding: &Finding) -> String {
    match (&finding.kev, &finding.epss) {
        (Some(KnownExploited { since: Some(date) }), _) => format!("known since {date}"),
        (Some(KnownExploited { since: None }), _) => "known".to_owned(),
        (None, Some(epss)) => format!("{:.1} %", epss.score * 100.0),
        (None, None) => String::new(),
    }
}

/// One line about a release whose security fixes have ended. Advisories for it may have ended too, so "no vulnerabilities"
/// means less.
fn ended(support: &SupportPeriod, today: Date) -> Option<String> {
    let release = printable(&support.ecosystem);
    let until = support.until;
    match support.extended_until {
        Some(extended) if extended < today => {
            Some(format!("end of life: security fixes of {release} ended on {until}, extended support on {extended}\n"))
        }
        Some(extended) if until < today => {
            Some(format!("end of life: {release} has had only extended support since {until}; it ends on {extended}\n"))
        }
        None if until < today => Some(format!("end of life: security fixes of {release} ended on {until}\n")),
        _ => None,
    }
}

/// The table of findings, with coloured severities.
fn findings(report: &Report, colour: Colour) -> String {
    let base = report.inventory.image.base_layers.unwrap_or_default();
    let mut head = HEAD.map(str::to_owned);
    // Without KEV and EPSS feeds an empty column would read as "none is exploited".
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

/// Aligns cells in columns, each as wide as its widest cell.
pub(crate) fn columns<const N: usize>(rows: &[[String; N]]) -> String {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    rows.iter().map(|row| line(row, &widths)).collect()
}

fn line(cells: &[String], widths: &[usize]) -> String {
    let padded = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
    padded.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
}

/// One line about a gap.
pub(crate) fn gap(gap: &Gap) -> String {
    format!("gap: {}: {}\n", printable(&gap.subject), printable(&gap.message))
}

/// One line for each suppressed finding.
fn suppressed(report: &Report) -> String {
    report.suppressed.iter().map(suppressed_line).collect()
}

fn suppressed_line(suppressed: &SuppressedFinding) -> String {
    let (id, package) = (printable(&suppressed.finding.vulnerability), printable(&suppressed.finding.package));
    let status = match suppressed.status {
        SuppressionStatus::NotAffected => "not affected",
        SuppressionStatus::Fixed => "fixed",
        SuppressionStatus::Accepted => "accepted",
    };
    let (reason, source) = (printable(&suppressed.reason), printable(&suppressed.source));
    format!("suppressed: {id} in {package}: {status}: {reason} ({source})\n")
}

/// When a database was built: "2026-01-01T00:00:00Z (3 days ago)".
pub(crate) fn built(built: Option<Timestamp>) -> String {
    built_as_of(built, Timestamp::now())
}

fn built_as_of(built: Option<Timestamp>, now: Timestamp) -> String {
    let Some(built) = built else { return "at an unknown time".to_owned() };
    match now.duration_since(built).as_hours() {
        hours if hours < 0 => format!("{built} (in the future)"),
        // The first two days in hours: a database is meant to be rebuilt daily.
        hours if hours < 48 => format!("{built} ({hours} h ago)"),
        hours => format!("{built} ({} days ago)", hours / 24),
    }
}

/// Shortens a message for a table: other commands show all of it.
pub(crate) fn short(message: &str) -> String {
    // With the columns before it about a wide terminal's line.
    const LONG: usize = 80;
    match message.chars().count() > LONG {
        true => message.chars().take(LONG).collect::<String>() + "…",
        false => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidewaiter_core::advisory::Epss;
    use tidewaiter_core::policy::{self, Policy};

    #[test]
    fn the_end_of_support_is_shown_from_the_day_after() {
        let check = |extended: Option<&str>, today: &str, expected: &str| {
            let day = |text: &str| text.parse::<Date>().unwrap();
            let extended_until = extended.map(day);
            let support = SupportPeriod { ecosystem: "Debian:10".into(), until: day("2022-09-10"), extended_until };
            assert_eq!(ended(&support, day(today)).unwrap_or_default(), expected);
        };
        check(None, "2022-09-10", "");
        check(None, "2022-09-11", "end of life: security fixes of Debian:10 ended on 2022-09-10\n");
        check(Some("2024-06-30"), "2022-09-10", "");
        let only = "end of life: Debian:10 has had only extended support since 2022-09-10; it ends on 2024-06-30\n";
        check(Some("2024-06-30"), "2024-06-30", only);
        let both = "end of life: security fixes of Debian:10 ended on 2022-09-10, extended support on 2024-06-30\n";
        check(Some("2024-06-30"), "2024-07-01", both);
    }

    #[test]
    fn what_is_exploited_says_since_when_if_that_is_known() {
        let check = |kev: Option<Option<&str>>, epss: Option<f64>, expected: &str| {
            let kev = kev.map(|since| KnownExploited { since: since.and_then(|date| date.parse().ok()) });
            let epss = epss.map(|score| Epss { score, percentile: 0.9 });
            assert_eq!(exploited(&Finding { kev, epss, ..Finding::default() }), expected);
        };
        check(Some(Some("2025-02-03")), Some(0.5), "known since 2025-02-03");
        check(Some(None), Some(0.5), "known");
        check(None, Some(0.5), "50.0 %");
        check(None, None, "");
    }

    #[test]
    fn a_report_of_an_old_database_is_incomplete() {
        let digest = format!("sha256:{}", "0".repeat(64));
        let report = serde_json::json!({
            "schemaVersion": 1,
            "image": {"name": "app\u{1b}[2J", "digest": digest, "configDigest": digest,
                "platform": {"os": "linux", "architecture": "amd64"}},
            "layers": [], "packages": [], "findings": [], "complete": true,
            "database": {"id": digest, "built": "2025-01-01T00:00:00Z"},
            "counts": {"critical": 0, "high": 0, "medium": 0, "low": 0, "negligible": 0, "unknown": 0, "fixable": 0},
        });
        let report: Report = serde_json::from_value(report).unwrap_or_else(|e| unreachable!("{e}"));
        let now = "2025-01-10T00:00:00Z".parse().unwrap_or_default();
        let policy = Policy { max_database_age_days: Some(5), ..Policy::default() };
        let verdict = policy::decide(&report, &policy, now);
        insta::assert_snapshot!(table_text(&report, &verdict, Colour::Off, now));
        let remarked = policy::Verdict { remarks: vec!["facts are old".to_owned()], ..verdict };
        let text = table_text(&report, &remarked, Colour::Off, now);
        assert!(text.contains("\nwarning: facts are old\nDatabase: "), "{text}");
    }
}
