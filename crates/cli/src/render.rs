//! Reports as text: the table of findings with everything around it, and parts that other commands share.

use crate::stdout;
use crate::terminal::{Colour, printable};
use anyhow::Result;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use tidewaiter_core::finding::{Finding, SuppressedFinding};
use tidewaiter_core::policy::Verdict;
use tidewaiter_core::report::{Gap, GapKind, Report, SupportPeriod};
use tidewaiter_formats::{ArrangedFindings, Arrangement, exploited, fixed_in, lowest_layer, read_from, suppression};

/// Prints a value as JSON.
pub(crate) fn json<T: serde::Serialize + ?Sized>(value: &T) -> Result<()> {
    stdout::write_stdout(|out| {
        serde_json::to_writer_pretty(&mut *out, value)?;
        Ok(writeln!(out)?)
    })
}

const HEAD: [&str; 7] = ["SEVERITY", "VULNERABILITY", "PACKAGE", "INSTALLED", "FIXED IN", "LAYER", "EXPLOITED"];

/// A report and its verdict as a table.
pub(crate) fn table(
    report: &Report,
    verdict: &Verdict,
    arrangement: &Arrangement,
    colour: Colour,
    now: Timestamp,
) -> String {
    let gaps = &verdict.gaps;
    // In UTC, as the dates of releases are compared everywhere: the report of one day is the same in every time zone.
    let today = now.to_zoned(TimeZone::UTC).date();
    let mut out = heading(report);
    let arranged = arrangement.of(report);
    if !arranged.groups.is_empty() {
        let base = report.inventory.image.base_layers.unwrap_or_default();
        out.push_str(&format!("\n{}\n", findings(&arranged, base, colour)));
    }
    out.extend(arranged.hidden().map(|line| format!("{line}\n")));
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
        "{} ({}, {}), {} packages {}\n{}\n",
        printable(&inventory.image.name),
        inventory.image.platform,
        printable(&os),
        inventory.packages.len(),
        printable(read_from(inventory)),
        inventory.image.digest,
    )
}

/// The cells of a finding. `base`: how many of the lowest layers belong to the base image.
fn row(finding: &Finding, base: usize) -> [String; 7] {
    [
        finding.severity.to_string(),
        printable(&finding.vulnerability),
        printable(&finding.package),
        printable(&finding.installed_version),
        printable(fixed_in(finding)),
        lowest_layer(finding)
            .map_or_else(|| "-".to_owned(), |l| format!("{l}{}", if l <= base { " (base)" } else { "" })),
        exploited(finding),
    ]
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

/// The table of findings, with coloured severities: one head, and columns of one width, for all groups.
fn findings(arranged: &ArrangedFindings<'_>, base: usize, colour: Colour) -> String {
    let all = || arranged.groups.iter().flat_map(|group| &group.findings);
    let mut head = HEAD.map(str::to_owned);
    // Without KEV and EPSS feeds an empty column would read as "none is exploited".
    if all().all(|finding| exploited(finding).is_empty()) {
        head[6].clear();
    }
    let rows: Vec<[String; 7]> = std::iter::once(head).chain(all().map(|finding| row(finding, base))).collect();
    let text = columns(&rows);
    let mut lines = text.lines();
    let mut out = lines.next().unwrap_or_default().to_owned() + "\n";
    for group in &arranged.groups {
        let title = group.title.as_ref().map(printable);
        out.extend(title.map(|title| format!("\n{} ({})\n", short(&title), group.findings.len())));
        for (finding, line) in group.findings.iter().zip(&mut lines) {
            out.push_str(&painted(line, finding, colour));
        }
    }
    out
}

/// A line whose severity is painted: after padding, so that the escape codes do not count as width.
fn painted(line: &str, finding: &Finding, colour: Colour) -> String {
    let word = finding.severity.to_string();
    let rest = line.strip_prefix(&word).unwrap_or_default();
    format!("{}{rest}\n", colour.paint(finding.severity, &word))
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
    let status = suppression(suppressed.status);
    let (reason, source) = (printable(&suppressed.reason), printable(&suppressed.source));
    format!("suppressed: {id} in {package}: {status}: {reason} ({source})\n")
}

/// When a database was built: "2026-01-01T00:00:00Z (3 days ago)".
pub(crate) fn built(built: Option<Timestamp>) -> String {
    built_as_of(built, Timestamp::now())
}

/// As [`built`], at a time.
pub(crate) fn built_as_of(built: Option<Timestamp>, now: Timestamp) -> String {
    built.map_or_else(|| "at an unknown time".to_owned(), |built| time_as_of(built, now))
}

/// A time with its age.
pub(crate) fn time_as_of(time: Timestamp, now: Timestamp) -> String {
    match now.duration_since(time).as_hours() {
        hours if hours < 0 => format!("{time} (in the future)"),
        // The first two days in hours: a database is meant to be rebuilt daily.
        hours if hours < 48 => format!("{time} ({hours} h ago)"),
        hours => format!("{time} ({} days ago)", hours / 24),
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
        insta::assert_snapshot!(table(&report, &verdict, &Arrangement::default(), Colour::Off, now));
        let remarked = policy::Verdict { remarks: vec!["facts are old".to_owned()], ..verdict };
        let text = table(&report, &remarked, &Arrangement::default(), Colour::Off, now);
        assert!(text.contains("\nwarning: facts are old\nDatabase: "), "{text}");
    }
}
