//! What people read: the table of findings and everything around it.

use crate::args::Args;
use crate::exit::Exit;
use anyhow::Result;
use clap::CommandFactory;
use clap_complete::Shell;
use std::io::{self, BufWriter, IsTerminal, Write};
use tidewaiter_core::advisory::FixState;
use tidewaiter_core::exception::{Status, Suppressed};
use tidewaiter_core::finding::Finding;
use tidewaiter_core::policy::Outcome;
use tidewaiter_core::report::{Gap, Report};
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

/// Prints the table; the last line is the sentence that counts.
pub(crate) fn table(report: &Report, outcome: Outcome) -> Result<()> {
    let colour = Colour::of_stdout();
    let mut out = io::stdout().lock();
    write!(out, "{}", table_text(report, outcome, colour))?;
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

const HEAD: [&str; 6] = ["SEVERITY", "VULNERABILITY", "PACKAGE", "INSTALLED", "FIXED IN", "LAYER"];

fn table_text(report: &Report, outcome: Outcome, colour: Colour) -> String {
    let mut out = heading(report);
    if !report.findings.is_empty() {
        out.push_str(&format!("\n{}\n", findings(report, colour)));
    }
    out.push_str(&suppressed(report));
    out.extend(report.inventory.gaps.iter().map(gap));
    if !report.complete {
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
fn row(finding: &Finding, base: usize) -> [String; 6] {
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
    ]
}

/// The finding rows below their heading, the severity painted.
fn findings(report: &Report, colour: Colour) -> String {
    let base = report.inventory.image.base_layers.unwrap_or_default();
    let rows: Vec<[String; 6]> =
        std::iter::once(HEAD.map(str::to_owned)).chain(report.findings.iter().map(|f| row(f, base))).collect();
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
    let line = |s: &Suppressed| {
        let (id, package) = (printable(&s.finding.vulnerability), printable(&s.finding.package));
        let word = match s.status {
            Status::NotAffected => "not affected",
            Status::Fixed => "fixed",
            Status::Accepted => "accepted",
        };
        format!("not counted: {id} in {package}: {word}: {} ({})\n", printable(&s.reason), printable(&s.source))
    };
    report.suppressed.iter().map(line).collect()
}

fn last_line(report: &Report) -> String {
    format!("{}\n", report.counts.sentence())
}

/// Text from an image, made safe for a terminal and for CI logs that read commands from lines.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_images_cannot_steer_a_terminal() {
        assert_eq!(printable("a\x1b[31m\nb"), "a\u{fffd}[31m\u{fffd}b");
    }

    #[test]
    fn colour_is_only_added_where_wanted() {
        assert_eq!(Colour::Off.paint(Severity::Critical, "critical"), "critical");
        assert_eq!(Colour::On.paint(Severity::Critical, "critical"), "\x1b[1;31mcritical\x1b[0m");
        assert_eq!(Colour::On.paint(Severity::Low, "low"), "low");
    }
}
