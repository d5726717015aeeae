//! Markdown (GitHub's and GitLab's), for job summaries and comments. It is bounded by what a comment holds, and says what was
//! left out.

use crate::arrange::{ArrangedFindings, Arrangement, FindingGroup};
use crate::link;
use crate::text::{printable, shortened};
use crate::view::{self, JudgedReport};
use std::io::{self, Write};
use tidewaiter_core::finding::{Finding, SuppressedFinding};
use tidewaiter_core::report::Gap;

/// The longest document, in bytes: a comment on GitHub has at most 65,536 characters.
const MAX_BYTES: usize = 60_000;
/// What gaps and reasons may take of it, so that there is room for findings, and findings, for those that are suppressed.
const MAX_BYTES_BEFORE_FINDINGS: usize = 15_000;
const MAX_BYTES_WITH_FINDINGS: usize = 50_000;
/// The longest text in a cell, and in a line, in characters.
const MAX_CELL: usize = 120;
const MAX_LINE: usize = 400;

pub(crate) fn write(judged: JudgedReport<'_>, arrangement: &Arrangement, out: &mut dyn Write) -> io::Result<()> {
    out.write_all(document(judged, &arrangement.of(judged.report)).as_bytes())
}

fn document(judged: JudgedReport<'_>, arranged: &ArrangedFindings<'_>) -> String {
    let (report, verdict) = (judged.report, judged.verdict);
    let mut out = format!("## {}\n\n", code(&report.inventory.image.name));
    out.push_str(&format!("**Policy: {}.** {}", verdict.outcome, report.counts.sentence()));
    out.push_str(&format!("; {} fixable.\n\n", report.counts.fixable));
    if !judged.is_complete() {
        out.push_str("**Incomplete: the image cannot be called clean.**\n\n");
        bounded(&mut out, MAX_BYTES_BEFORE_FINDINGS, "gaps", judged.gaps().map(gap));
        out.push('\n');
    }
    if !verdict.by_rules.is_empty() {
        let reasons = verdict.by_rules.iter().map(|reason| format!("- {}\n", text(reason, MAX_LINE)));
        bounded(&mut out, MAX_BYTES_BEFORE_FINDINGS, "reasons", reasons);
        out.push('\n');
    }
    let base = report.inventory.image.base_layers.unwrap_or_default();
    bounded(
        &mut out,
        MAX_BYTES_WITH_FINDINGS,
        "findings",
        arranged.groups.iter().enumerate().flat_map(|(place, group)| table(place, group, base)),
    );
    if !arranged.groups.is_empty() {
        out.push('\n');
    }
    out.extend(arranged.hidden().map(|line| format!("{line}\n\n")));
    if !report.suppressed.is_empty() {
        out.push_str(&format!("<details><summary>Suppressed: {}</summary>\n\n", report.suppressed.len()));
        bounded(&mut out, MAX_BYTES, "suppressed findings", report.suppressed.iter().map(suppressed));
        out.push_str("\n</details>\n\n");
    }
    out + &about(judged)
}

const HEAD: &str = "| Severity | Vulnerability | Package | Installed | Fixed in | Layer | Exploited |\n|---|---|---|---|---|---|---|\n";

/// The rows of a group; its title and the head of the table are in one with the first, so that they are not counted as findings.
fn table(place: usize, group: &FindingGroup<'_>, base: usize) -> impl Iterator<Item = String> {
    let space = if place == 0 { "" } else { "\n" };
    let title = group
        .title
        .as_ref()
        .map(|title| format!("{space}### {} ({})\n\n", text(title, MAX_CELL), group.findings.len()));
    let mut head = title.unwrap_or_default() + HEAD;
    group.findings.iter().map(move |finding| std::mem::take(&mut head) + &row(finding, base))
}

/// Adds lines while the document is not longer than `limit`, then one that says how many are missing.
fn bounded(out: &mut String, limit: usize, what: &str, lines: impl Iterator<Item = String>) {
    let mut missing = 0;
    for line in lines {
        if missing == 0 && out.len() + line.len() <= limit {
            out.push_str(&line);
        } else {
            missing += 1;
        }
    }
    if missing > 0 {
        out.push_str(&format!("\n**{missing} more {what} are not shown: this text ends at {MAX_BYTES} bytes.**\n"));
    }
}

fn gap(gap: &Gap) -> String {
    format!("- {:?}: {}: {}\n", gap.kind, code(&shortened(&gap.subject, MAX_CELL)), text(&gap.message, MAX_LINE))
}

fn row(finding: &Finding, base: usize) -> String {
    let layer = view::lowest_layer(finding)
        .map_or_else(|| "-".to_owned(), |layer| format!("{layer}{}", if layer <= base { " (base)" } else { "" }));
    format!(
        "| {} | {} | {} | {} | {} | {layer} | {} |\n",
        view::level(finding),
        vulnerability(finding),
        cell(&finding.package),
        cell(&finding.installed_version),
        // A version, or a word in place of one.
        if finding.fixed_versions.is_empty() {
            text(view::fixed_in(finding), MAX_CELL)
        } else {
            cell(view::fixed_in(finding))
        },
        view::exploited(finding),
    )
}

fn vulnerability(finding: &Finding) -> String {
    let name = text(&finding.vulnerability, MAX_CELL);
    match link::of_finding(finding) {
        // Parentheses end the address of a link.
        Some(url) => format!("[{name}]({})", url.replace('(', "%28").replace(')', "%29").replace('|', "%7C")),
        None => name,
    }
}

fn suppressed(suppressed: &SuppressedFinding) -> String {
    format!(
        "- {} in {}: {}: {} ({})\n",
        vulnerability(&suppressed.finding),
        cell(&suppressed.finding.package),
        view::suppression(suppressed.status),
        text(&suppressed.reason, MAX_LINE),
        cell(&suppressed.source),
    )
}

fn about(judged: JudgedReport<'_>) -> String {
    let inventory = &judged.report.inventory;
    let os = inventory.os.as_ref().map(|os| match os.pretty_name.as_str() {
        "" => format!("{} {}", os.id, os.version_id),
        name => name.to_owned(),
    });
    let database =
        judged.report.database.built.map_or_else(|| "at an unknown time".to_owned(), |built| built.to_string());
    format!(
        "{} ({}, {}), {} packages {}. Database: built {database}.\n",
        code(inventory.image.digest.as_str()),
        text(&inventory.image.platform.to_string(), MAX_CELL),
        text(&os.unwrap_or_else(|| "no operating system".to_owned()), MAX_CELL),
        inventory.packages.len(),
        text(&view::read_from(inventory), MAX_CELL),
    )
}

fn cell(content: &str) -> String {
    if content.is_empty() { "-".to_owned() } else { code(&shortened(content, MAX_CELL)) }
}

/// Text as code: nothing in it is a link, a mention or a mark. Where a span in backticks would not hold it, HTML does.
fn code(content: &str) -> String {
    let content = printable(content);
    let fits = !content.is_empty() && !content.contains(['`', '|', '\\', '<']) && content.trim() == content;
    if fits { format!("`{content}`") } else { format!("<code>{}</code>", escaped(&content)) }
}

/// Text that is text: no mark, no link, no mention, no cell ends in it.
fn text(content: &str, characters: usize) -> String {
    escaped(&shortened(&printable(content), characters))
}

/// All punctuation that Markdown, HTML or a table gives a meaning as character references (CommonMark, 2.5), which have none.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut before = ' ';
    for c in text.chars() {
        // What looks like an address without a scheme is made a link, too.
        let ends_www = c == '.' && before.eq_ignore_ascii_case(&'w');
        match c {
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '<' | '>' | '#' | '!' | '|' | '&' | '~' | '@' | '$'
            | ':' | '"' | '\'' => {
                out.push_str(&format!("&#{};", u32::from(c)));
            }
            '.' if ends_www => out.push_str("&#46;"),
            c => out.push(c),
        }
        before = c;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_a_span_or_an_element() {
        let check = |content: &str, expected: &str| assert_eq!(code(content), expected);
        check("libssl3", "`libssl3`");
        check("1:2.0~rc1+b1", "`1:2.0~rc1+b1`");
        check("@everyone", "`@everyone`");
        check("a|b", "<code>a&#124;b</code>");
        check("a\\|b", "<code>a&#92;&#124;b</code>");
        check("`x`", "<code>&#96;x&#96;</code>");
        check("</code><script>", "<code>&#60;/code&#62;&#60;script&#62;</code>");
        check("a\nb", "`a\u{fffd}b`");
        check("", "<code></code>");
    }

    #[test]
    fn text_has_no_marks() {
        let check = |content: &str, expected: &str| assert_eq!(text(content, 40), expected);
        check("not reachable, see SEC-1", "not reachable, see SEC-1");
        check("**x** _y_", "&#42;&#42;x&#42;&#42; &#95;y&#95;");
        check("[x](https://x)", "&#91;x&#93;(https&#58;//x)");
        check("www.example", "www&#46;example");
        check("a | b", "a &#124; b");
        check("@team <b>", "&#64;team &#60;b&#62;");
        check(&"x".repeat(50), &("x".repeat(39) + "…"));
    }

    #[test]
    fn a_section_ends_at_its_limit_and_says_so() {
        let check = |limit: usize, lines: &[&str], expected: &str| {
            let mut out = "head\n".to_owned();
            bounded(&mut out, limit, "things", lines.iter().map(|line| (*line).to_owned()));
            assert_eq!(out, expected);
        };
        check(9, &["ab\n", "c\n"], "head\nab\n\n**1 more things are not shown: this text ends at 60000 bytes.**\n");
        check(10, &["ab\n", "c\n"], "head\nab\nc\n");
        // Worst first: nothing is shown after something that is not.
        check(
            8,
            &["ab\n", "long\n", ""],
            "head\nab\n\n**2 more things are not shown: this text ends at 60000 bytes.**\n",
        );
    }
}
