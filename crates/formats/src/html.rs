//! One HTML file for people: the verdict, what is missing, a table of findings that a few lines of script sort and filter. It
//! loads nothing, and its content security policy allows only the style and the script that are in it.

use crate::link;
use crate::stamp::Stamp;
use crate::text::printable;
use crate::view::{self, FindingPlace, JudgedReport, places};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::io::{self, Write};
use tidewaiter_core::advisory::AdvisoryClass;
use tidewaiter_core::finding::{Finding, SuppressedFinding};
use tidewaiter_core::package::layer_number;
use tidewaiter_core::report::{Inventory, LayerInfo};
use tidewaiter_core::severity::Severity;

const STYLE: &str = include_str!("html/style.css");
const SCRIPT: &str = include_str!("html/script.js");

/// Text as text of HTML, in elements and in attributes with quotation marks.
struct Text<'a>(&'a str);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in printable(self.0).chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                c => fmt::Write::write_char(f, c)?,
            }
        }
        Ok(())
    }
}

pub(crate) fn write(judged: JudgedReport<'_>, stamp: &Stamp, out: &mut dyn Write) -> io::Result<()> {
    let report = judged.report;
    head(judged, out)?;
    summary(judged, out)?;
    gaps(judged, out)?;
    reasons(judged, out)?;
    findings(judged, out)?;
    suppressed(&report.suppressed, out)?;
    informational(&report.informational, out)?;
    layers(&report.inventory.layers, report.inventory.image.base_layers.unwrap_or_default(), out)?;
    packages(&report.inventory, out)?;
    let (version, time) = (Text(stamp.version), stamp.rfc3339());
    writeln!(out, "</main>\n<footer><p>Written by tidewaiter {version} on {time}.</p></footer>")?;
    writeln!(out, "<script>{SCRIPT}</script>\n</body>\n</html>")
}

/// The source expression of a script or a style (CSP 3, 2.3.1).
fn csp_hash(content: &str) -> String {
    format!("'sha256-{}'", BASE64_STANDARD.encode(Sha256::digest(content)))
}

fn head(judged: JudgedReport<'_>, out: &mut dyn Write) -> io::Result<()> {
    let policy = format!(
        "default-src 'none'; style-src {}; script-src {}; base-uri 'none'; form-action 'none'",
        csp_hash(STYLE),
        csp_hash(SCRIPT)
    );
    let image = Text(&judged.report.inventory.image.name);
    writeln!(out, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">")?;
    writeln!(out, "<meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">")?;
    writeln!(out, "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">")?;
    writeln!(
        out,
        "<meta name=\"color-scheme\" content=\"light dark\">\n<meta name=\"referrer\" content=\"no-referrer\">"
    )?;
    writeln!(out, "<title>{image}: {}</title>\n<style>{STYLE}</style>\n</head>\n<body>", judged.verdict.outcome)
}

fn summary(judged: JudgedReport<'_>, out: &mut dyn Write) -> io::Result<()> {
    let (report, outcome) = (judged.report, judged.verdict.outcome);
    let inventory = &report.inventory;
    writeln!(out, "<header>\n<h1>{}</h1>", Text(&inventory.image.name))?;
    writeln!(out, "<p class=\"verdict {outcome}\">Policy: <strong>{outcome}</strong></p>\n</header>\n<main>")?;
    writeln!(out, "<p>{}; {} fixable.</p>\n<ul class=\"counts\">", report.counts.sentence(), report.counts.fixable)?;
    for severity in Severity::WORST_FIRST {
        let count = report.counts.get(severity);
        writeln!(out, "<li class=\"{severity}\"><strong>{count}</strong> {severity}</li>")?;
    }
    writeln!(out, "</ul>\n<dl>")?;
    let os = inventory.os.as_ref().map(|os| match os.pretty_name.as_str() {
        "" => format!("{} {}", os.id, os.version_id),
        name => name.to_owned(),
    });
    let built = report.database.built.map_or_else(|| "at an unknown time".to_owned(), |built| built.to_string());
    let all = [
        ("Digest", inventory.image.digest.to_string()),
        ("Platform", inventory.image.platform.to_string()),
        ("Operating system", os.unwrap_or_else(|| "none was found".to_owned())),
        ("Packages", format!("{} {}", inventory.packages.len(), view::read_from(inventory))),
        ("Database", format!("built {built}")),
    ];
    for (name, value) in &all {
        writeln!(out, "<div><dt>{name}</dt><dd>{}</dd></div>", Text(value))?;
    }
    writeln!(out, "</dl>")
}

fn gaps(judged: JudgedReport<'_>, out: &mut dyn Write) -> io::Result<()> {
    if judged.is_complete() {
        return Ok(());
    }
    writeln!(out, "<section class=\"gaps\">\n<h2>Incomplete: the image cannot be called clean</h2>\n<ul>")?;
    for gap in judged.gaps() {
        writeln!(
            out,
            "<li><strong>{:?}</strong> <code>{}</code>: {}</li>",
            gap.kind,
            Text(&gap.subject),
            Text(&gap.message)
        )?;
    }
    writeln!(out, "</ul>\n</section>")
}

fn reasons(judged: JudgedReport<'_>, out: &mut dyn Write) -> io::Result<()> {
    let (by_rules, remarks) = (&judged.verdict.by_rules, &judged.verdict.remarks);
    if by_rules.is_empty() && remarks.is_empty() {
        return Ok(());
    }
    writeln!(out, "<section>\n<h2>Policy</h2>\n<ul>")?;
    for line in by_rules.iter().chain(remarks) {
        writeln!(out, "<li>{}</li>", Text(line))?;
    }
    writeln!(out, "</ul>\n</section>")
}

const COLUMNS: [&str; 7] = ["Severity", "Vulnerability", "Package", "Installed", "Fixed in", "Layer", "Exploited"];

fn findings(judged: JudgedReport<'_>, out: &mut dyn Write) -> io::Result<()> {
    let report = judged.report;
    writeln!(out, "<section>\n<h2>Findings</h2>")?;
    if report.findings.is_empty() {
        return writeln!(out, "<p>None.</p>\n</section>");
    }
    controls(out)?;
    writeln!(
        out,
        "<table id=\"findings\">\n<caption>Worst first; a head sorts by its column.</caption>\n<thead>\n<tr>"
    )?;
    for column in COLUMNS {
        writeln!(out, "<th scope=\"col\">{column}</th>")?;
    }
    writeln!(out, "</tr>\n</thead>\n<tbody>")?;
    let base = report.inventory.image.base_layers.unwrap_or_default();
    report.findings.iter().try_for_each(|finding| row(finding, base, &report.inventory.layers, out))?;
    writeln!(out, "</tbody>\n</table>\n</section>")
}

/// What the script needs; without it they would do nothing, and are hidden.
fn controls(out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "<form id=\"filters\" hidden>")?;
    writeln!(out, "<label>Search <input type=\"search\" id=\"search\" autocomplete=\"off\"></label>")?;
    writeln!(out, "<fieldset>\n<legend>Severity</legend>")?;
    for severity in Severity::WORST_FIRST {
        writeln!(
            out,
            "<label><input type=\"checkbox\" name=\"severity\" value=\"{severity}\" checked> {severity}</label>"
        )?;
    }
    writeln!(out, "</fieldset>\n<label><input type=\"checkbox\" id=\"fixable\"> fixable</label>")?;
    writeln!(out, "<label><input type=\"checkbox\" id=\"exploited\"> known to be exploited</label>")?;
    writeln!(out, "<output id=\"shown\" for=\"search fixable exploited\"></output>\n</form>")
}

fn row(finding: &Finding, base: usize, layers: &[LayerInfo], out: &mut dyn Write) -> io::Result<()> {
    let severity = finding.severity;
    // The field that filters has no box for malware: it stays with the worst.
    let is_malware = finding.class == AdvisoryClass::Malware;
    let filtered_as = if is_malware { Severity::Critical } else { severity };
    write!(out, "<tr data-severity=\"{filtered_as}\"")?;
    if !finding.fixed_versions.is_empty() {
        write!(out, " data-fixable")?;
    }
    if finding.kev.is_some() {
        write!(out, " data-exploited")?;
    }
    let (level, key) = (view::level(finding), if is_malware { u8::MAX } else { severity.code() });
    writeln!(out, ">\n<td data-key=\"{key}\"><span class=\"{level}\">{level}</span></td>")?;
    writeln!(out, "<td><details><summary>{}</summary>", Text(&finding.vulnerability))?;
    details(finding, layers, out)?;
    writeln!(
        out,
        "</details></td>\n<td>{}</td>\n<td>{}</td>",
        Text(&finding.package),
        Text(&finding.installed_version)
    )?;
    writeln!(out, "<td>{}</td>", Text(view::fixed_in(finding)))?;
    match view::lowest_layer(finding) {
        Some(layer) => {
            writeln!(out, "<td data-key=\"{layer}\">{layer}{}</td>", if layer <= base { " (base)" } else { "" })?
        }
        None => writeln!(out, "<td data-key=\"0\">-</td>")?,
    }
    // Known to be exploited is more than any probability.
    let probability = finding.epss.map(|epss| epss.score).unwrap_or_default();
    let key = if finding.kev.is_some() { 1.0 + probability } else { probability };
    writeln!(out, "<td data-key=\"{key}\">{}</td>\n</tr>", Text(&view::exploited(finding)))
}

fn details(finding: &Finding, layers: &[LayerInfo], out: &mut dyn Write) -> io::Result<()> {
    if !finding.summary.is_empty() {
        writeln!(out, "<p>{}</p>", Text(&finding.summary))?;
    }
    writeln!(out, "<p>{}.</p>\n<p>{}</p>\n<ul>", Text(&view::remedy(finding)), Text(&finding.because))?;
    places(finding).iter().try_for_each(|place| found_at(place, layers, out))?;
    writeln!(out, "</ul>")?;
    let page = link::of_finding(finding);
    let pages =
        page.as_deref().into_iter().chain(link::references(finding).filter(|url| Some(*url) != page.as_deref()));
    for url in pages {
        writeln!(out, "<p><a href=\"{0}\" rel=\"noreferrer\">{0}</a></p>", Text(url))?;
    }
    Ok(())
}

fn found_at(place: &FindingPlace<'_>, layers: &[LayerInfo], out: &mut dyn Write) -> io::Result<()> {
    let names: Vec<String> = place.installed.iter().map(|i| format!("{} {}", i.name, i.version)).collect();
    let made = layers.get(place.layer).and_then(|layer| layer.created_by.as_deref()).unwrap_or_default();
    write!(out, "<li>{} in <code>{}</code>", Text(&names.join(", ")), Text(place.path))?;
    if let Some(number) = layer_number(place.layer) {
        write!(out, ", layer {number}")?;
    }
    if !made.is_empty() {
        write!(out, " (<code>{}</code>)", Text(made))?;
    }
    writeln!(out, "</li>")
}

fn suppressed(all: &[SuppressedFinding], out: &mut dyn Write) -> io::Result<()> {
    if all.is_empty() {
        return Ok(());
    }
    writeln!(out, "<section>\n<h2>Suppressed: {}</h2>\n<ul>", all.len())?;
    for one in all {
        let (finding, status) = (&one.finding, view::suppression(one.status));
        write!(out, "<li>{} ({}) in {}: ", Text(&finding.vulnerability), finding.severity, Text(&finding.package))?;
        writeln!(out, "<strong>{status}</strong>: {} (<code>{}</code>)</li>", Text(&one.reason), Text(&one.source))?;
    }
    writeln!(out, "</ul>\n</section>")
}

fn informational(all: &[Finding], out: &mut dyn Write) -> io::Result<()> {
    if all.is_empty() {
        return Ok(());
    }
    writeln!(out, "<section>\n<h2>Also to know: {}</h2>\n<ul>", all.len())?;
    for finding in all {
        let (name, package) = (Text(&finding.vulnerability), Text(&finding.package));
        writeln!(out, "<li>{name} in {package} {}: {}</li>", Text(&finding.installed_version), Text(&finding.summary))?;
    }
    writeln!(out, "</ul>\n</section>")
}

fn layers(all: &[LayerInfo], base: usize, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "<details class=\"list\">\n<summary>Layers: {}</summary>\n<ol>", all.len())?;
    for (place, layer) in all.iter().enumerate() {
        let (made, of_base) =
            (layer.created_by.as_deref().unwrap_or_default(), if place < base { " (base)" } else { "" });
        writeln!(out, "<li><code>{}</code>{of_base}<br><code>{}</code></li>", Text(made), layer.digest)?;
    }
    writeln!(out, "</ol>\n</details>")
}

fn packages(inventory: &Inventory, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "<details class=\"list\">\n<summary>Packages: {}</summary>\n<table>", inventory.packages.len())?;
    writeln!(
        out,
        "<thead><tr><th scope=\"col\">Package</th><th scope=\"col\">Version</th><th scope=\"col\">Type</th></tr></thead>\n<tbody>"
    )?;
    for package in &inventory.packages {
        let (name, version, kind) = (Text(&package.name), Text(&package.version), package.kind.purl_type());
        writeln!(out, "<tr><td>{name}</td><td>{version}</td><td>{kind}</td></tr>")?;
    }
    writeln!(out, "</tbody>\n</table>\n</details>")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_text() {
        let check = |text: &str, expected: &str| assert_eq!(Text(text).to_string(), expected);
        check("curl 1.0", "curl 1.0");
        check("</td><script>alert('x')</script>", "&lt;/td&gt;&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;");
        check("\" onclick=x & y", "&quot; onclick=x &amp; y");
        check("a\u{202e}\n", "a\u{fffd}\u{fffd}");
    }

    #[test]
    fn scripts_are_allowed_by_their_hashes() {
        // By `printf "" | openssl dgst -sha256 -binary | base64`.
        assert_eq!(csp_hash(""), "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='");
        // Otherwise the element would end in the middle of it.
        assert!(!SCRIPT.contains("</") && !STYLE.contains("</"));
    }
}
