//! CSV (RFC 4180) with a head: a row for each package of a finding, suppressed and informational ones too, and for each gap. Text
//! that a spreadsheet would take for a formula begins with an apostrophe (OWASP, "CSV Injection").

use crate::link;
use crate::text::printable;
use crate::view::{self, JudgedReport, counting_rating, package_type};
use std::borrow::Cow;
use std::io::{self, Write};
use tidewaiter_core::advisory::KnownExploited;
use tidewaiter_core::finding::{Finding, InstalledPackage, SuppressedFinding};
use tidewaiter_core::package::layer_number;
use tidewaiter_core::report::ImageInfo;

const COLUMNS: [&str; 22] = [
    "image",
    "digest",
    "platform",
    "status",
    "severity",
    "score",
    "vulnerability",
    "aliases",
    "package",
    "installed_version",
    "fixed_version",
    "fix_state",
    "type",
    "installed_package",
    "purl",
    "layer",
    "paths",
    "known_exploited",
    "epss",
    "summary",
    "url",
    "reason",
];

type Row<'a> = [Cow<'a, str>; COLUMNS.len()];

pub(crate) fn write(judged: JudgedReport<'_>, out: &mut dyn Write) -> io::Result<()> {
    let image = &judged.report.inventory.image;
    write_row(&COLUMNS.map(Cow::Borrowed), out)?;
    for shown in judged.findings() {
        let status = if shown.suppressed.is_some() { "suppressed" } else { "open" };
        write_finding(image, status, shown.finding, shown.suppressed, out)?;
    }
    for finding in &judged.report.informational {
        write_finding(image, "informational", finding, None, out)?;
    }
    judged.gap_lines().into_iter().try_for_each(|line| write_row(&gap_row(image, line), out))
}

fn write_finding(
    image: &ImageInfo,
    status: &'static str,
    finding: &Finding,
    suppressed: Option<&SuppressedFinding>,
    out: &mut dyn Write,
) -> io::Result<()> {
    finding
        .installed
        .iter()
        .try_for_each(|installed| write_row(&finding_row(image, status, finding, suppressed, installed), out))
}

fn finding_row<'a>(
    image: &'a ImageInfo,
    status: &'static str,
    finding: &'a Finding,
    suppressed: Option<&'a SuppressedFinding>,
    installed: &'a InstalledPackage,
) -> Row<'a> {
    let score = counting_rating(finding).and_then(|rating| rating.score);
    let layer = installed.locations.iter().filter_map(|location| layer_number(location.layer)).min();
    let paths: Vec<&str> = installed.locations.iter().map(|location| location.path.as_str()).collect();
    let reason = suppressed.map(|s| format!("{}: {} ({})", view::suppression(s.status), s.reason, s.source));
    [
        image.name.as_str().into(),
        image.digest.as_str().into(),
        image.platform.to_string().into(),
        status.into(),
        finding.severity.word().into(),
        score.map(|score| score.to_string()).unwrap_or_default().into(),
        finding.vulnerability.as_str().into(),
        finding.aliases.join(" ").into(),
        finding.package.as_str().into(),
        finding.installed_version.as_str().into(),
        finding.fixed_versions.join(" ").into(),
        view::fix_state(finding.fix_state).into(),
        package_type(installed).into(),
        installed.name.as_str().into(),
        installed.purl.as_str().into(),
        layer.map(|layer| layer.to_string()).unwrap_or_default().into(),
        paths.join("; ").into(),
        finding.kev.map(known).unwrap_or_default().into(),
        finding.epss.map(|epss| epss.score.to_string()).unwrap_or_default().into(),
        finding.summary.as_str().into(),
        link::of_finding(finding).unwrap_or_default(),
        reason.unwrap_or_default().into(),
    ]
}

/// The date on which it was listed, or that it is.
fn known(entry: KnownExploited) -> String {
    entry.since.map_or_else(|| "yes".to_owned(), |date| date.to_string())
}

fn gap_row(image: &ImageInfo, line: String) -> Row<'_> {
    let mut row: Row<'_> = std::array::from_fn(|_| Cow::Borrowed(""));
    row[0] = image.name.as_str().into();
    row[1] = image.digest.as_str().into();
    row[2] = image.platform.to_string().into();
    row[3] = "gap".into();
    row[COLUMNS.len() - 1] = line.into();
    row
}

fn write_row(cells: &Row<'_>, out: &mut dyn Write) -> io::Result<()> {
    for (place, text) in cells.iter().enumerate() {
        if place > 0 {
            out.write_all(b",")?;
        }
        out.write_all(cell(text).as_bytes())?;
    }
    out.write_all(b"\r\n")
}

/// A cell: text that cannot be a formula, in quotation marks where it must be.
fn cell(text: &str) -> Cow<'_, str> {
    let text = printable(text);
    let text = if begins_formula(&text) { Cow::Owned(format!("'{text}")) } else { text };
    // Where a semicolon separates cells, one in a text begins another cell.
    let text = if text.split(';').skip(1).any(begins_formula) { Cow::Owned(text.replace(';', ",")) } else { text };
    // A space at an end would be lost in some readers.
    if text.contains(['"', ',']) || text.trim() != text {
        return Cow::Owned(format!("\"{}\"", text.replace('"', "\"\"")));
    }
    text
}

/// Whether a spreadsheet would calculate it.
fn begins_formula(text: &str) -> bool {
    text.trim_start().starts_with(['=', '+', '-', '@', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_text_and_nothing_else() {
        let check = |text: &str, expected: &str| assert_eq!(cell(text), expected);
        check("curl", "curl");
        check("", "");
        check("a,b", "\"a,b\"");
        check("say \"hi\"", "\"say \"\"hi\"\"\"");
        check(" a", "\" a\"");
        check("=cmd|'/C calc'!A0", "'=cmd|'/C calc'!A0");
        check("+1", "'+1");
        check("-1,2", "\"'-1,2\"");
        check("@SUM(A1)", "'@SUM(A1)");
        check("\u{ff1d}1", "'\u{ff1d}1");
        check("x;=HYPERLINK(1)", "\"x,=HYPERLINK(1)\"");
        check("a; b", "a; b");
        // A tab or a line end before it: replaced, and no longer at the beginning.
        check("\t=1", "\u{fffd}=1");
        check("a\r\n=1", "a\u{fffd}\u{fffd}=1");
    }
}
