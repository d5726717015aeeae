//! DefectDojo's "Generic Findings Import" as JSON. It refuses a document with a field that it does not know, and so has those alone
//! that it knew in 2021.

use crate::fingerprint::fingerprint;
use crate::json::{self, Streamed};
use crate::link;
use crate::stamp::{Stamp, TOOL};
use crate::text::{printable, shortened};
use crate::view::{self, JudgedReport, ShownFinding, counting_rating};
use serde::Serialize;
use std::io::{self, Write};
use tidewaiter_core::finding::{Finding, SuppressionStatus};
use tidewaiter_core::image::without_tag;
use tidewaiter_core::report::{ImageInfo, Report};
use tidewaiter_core::severity::Severity;

/// Characters that its database has room for.
const MAX_TITLE: usize = 511;
const MAX_NAME: usize = 500;
const MAX_VERSION: usize = 100;
const MAX_PATH: usize = 4000;

#[derive(Serialize)]
struct Document<V> {
    /// The type of the test: `tidewaiter (Generic Findings Import)`.
    name: &'static str,
    version: &'static str,
    findings: V,
}

#[derive(Serialize, Default)]
struct DojoFinding {
    title: String,
    severity: &'static str,
    description: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    mitigation: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    impact: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    references: String,
    /// The evidence.
    #[serde(skip_serializing_if = "String::is_empty")]
    steps_to_reproduce: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    vulnerability_ids: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cvssv3: Option<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    component_name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    component_version: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    file_path: String,
    active: bool,
    false_p: bool,
    risk_accepted: bool,
    is_mitigated: bool,
    static_finding: bool,
    dynamic_finding: bool,
    unique_id_from_tool: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    vuln_id_from_tool: String,
}

pub(crate) fn write(judged: JudgedReport<'_>, stamp: &Stamp, out: &mut dyn Write) -> io::Result<()> {
    let gaps = judged.gap_lines();
    let findings = || {
        let all = judged.findings().map(|shown| finding(judged.report, shown));
        incomplete(judged.report, &gaps).into_iter().chain(all)
    };
    json::write(&Document { name: TOOL, version: stamp.version, findings: Streamed(findings) }, out)
}

fn finding(report: &Report, shown: ShownFinding<'_>) -> DojoFinding {
    let (image, of) = (&report.inventory.image, shown.finding);
    let names = view::names(of).into_iter().map(|name| printable(name).into_owned()).collect();
    let places = view::places(of);
    let paths: Vec<&str> = places.iter().map(|place| place.path).filter(|path| !path.is_empty()).collect();
    let vector = counting_rating(of).and_then(|rating| rating.vector.clone());
    let is = |status| shown.suppressed.is_some_and(|suppressed| suppressed.status == status);
    DojoFinding {
        title: text(&format!("{} in {} {}", of.vulnerability, of.package, of.installed_version), MAX_TITLE),
        severity: severity(of.severity),
        description: description(image, of),
        steps_to_reproduce: evidence(image, shown, &paths),
        mitigation: literal(&[view::remedy(of)]),
        impact: impact(of),
        references: link::references(of).collect::<Vec<_>>().join("\n"),
        vulnerability_ids: names,
        cvssv3: vector.filter(|vector| vector.starts_with("CVSS:3.")),
        component_name: text(&of.package, MAX_NAME),
        component_version: text(&of.installed_version, MAX_VERSION),
        file_path: paths.first().map(|path| text(path, MAX_PATH)).unwrap_or_default(),
        active: shown.suppressed.is_none(),
        false_p: is(SuppressionStatus::NotAffected),
        risk_accepted: is(SuppressionStatus::Accepted),
        is_mitigated: is(SuppressionStatus::Fixed),
        static_finding: true,
        dynamic_finding: false,
        unique_id_from_tool: unique_id(image, &[&of.vulnerability, &of.package, &of.installed_version]),
        vuln_id_from_tool: text(&of.vulnerability, MAX_NAME),
    }
}

/// The same finding of the same repository and platform has one id, whatever the tag.
fn unique_id(image: &ImageInfo, parts: &[&str]) -> String {
    let platform = image.platform.to_string();
    fingerprint(&[&[without_tag(&image.name), &platform], parts].concat())
}

/// A scan that could not see everything is a finding of its own: the import has no other place where anybody would read it.
fn incomplete(report: &Report, gaps: &[String]) -> Option<DojoFinding> {
    let image = &report.inventory.image;
    (!gaps.is_empty()).then(|| DojoFinding {
        title: text(&format!("The scan of {} is incomplete", without_tag(&image.name)), MAX_TITLE),
        severity: "Info",
        description: format!("The image cannot be called clean:\n\n{}", literal(gaps)),
        active: true,
        static_finding: true,
        unique_id_from_tool: unique_id(image, &["incomplete"]),
        ..DojoFinding::default()
    })
}

/// What stays the same from tag to tag: by title, path and description DefectDojo recognizes a finding, unless it is set to do so by
/// the id.
fn description(image: &ImageInfo, of: &Finding) -> String {
    let summary = if of.summary.is_empty() { &of.vulnerability } else { &of.summary };
    literal(&[summary.clone(), format!("Image: {} ({})", without_tag(&image.name), image.platform)])
}

/// Where it was seen, and why it is one, or none any more.
fn evidence(image: &ImageInfo, shown: ShownFinding<'_>, paths: &[&str]) -> String {
    let of = shown.finding;
    let because = Some(format!("Because: {}", of.because)).filter(|_| !of.because.is_empty());
    let reason = shown.suppressed.map(|s| format!("{}: {} ({})", view::suppression(s.status), s.reason, s.source));
    let mut lines = vec![format!("Image: {} ({}, {})", image.name, image.platform, image.digest)];
    lines.extend((!paths.is_empty()).then(|| format!("Found in: {}", paths.join(", "))));
    lines.extend(because.into_iter().chain(reason));
    literal(&lines)
}

/// Lines that stand for themselves: DefectDojo shows these fields as Markdown, where an indented block has neither marks nor HTML
/// (CommonMark, 4.4).
fn literal(lines: &[String]) -> String {
    lines.iter().map(|line| format!("    {}", printable(line))).collect::<Vec<_>>().join("\n")
}

fn impact(finding: &Finding) -> String {
    match view::exploited(finding) {
        known if known.is_empty() => String::new(),
        known if finding.kev.is_some() => format!("Exploited (CISA KEV): {known}"),
        probability => format!("Probability of exploitation in the next 30 days (EPSS): {probability}"),
    }
}

fn text(text: &str, most: usize) -> String {
    shortened(&printable(text), most).into_owned()
}

/// One of the five that it has.
fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "Critical",
        Severity::High => "High",
        Severity::Medium => "Medium",
        Severity::Low => "Low",
        Severity::Negligible | Severity::Unknown => "Info",
    }
}
