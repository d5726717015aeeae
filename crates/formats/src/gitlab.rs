//! GitLab's report of container scanning, schema 15.2.4. Suppressed findings are not in it: GitLab has dismissals of its own.

use crate::fingerprint::uuid;
use crate::json::{self, Streamed};
use crate::link;
use crate::stamp::{Stamp, TOOL};
use crate::text::shortened;
use crate::view::{self, JudgedReport};
use serde::Serialize;
use std::borrow::Cow;
use std::collections::HashMap;
use std::io::{self, Write};
use tidewaiter_core::ecosystem::Os;
use tidewaiter_core::finding::Finding;
use tidewaiter_core::report::Report;
use tidewaiter_core::severity::{Rating, Severity};

const VERSION: &str = "15.2.4";
const SCHEMA: &str = "https://gitlab.com/gitlab-org/security-products/security-report-schemas/-/raw/v15.2.4/dist/container-scanning-report-format.json";
/// The longest name of a vulnerability, and solution, in characters, by the schema.
const MAX_NAME: usize = 255;
const MAX_SOLUTION: usize = 7000;
/// CVSS vectors of a vulnerability at most, and their lengths of versions 2 and 3, by the schema.
const MAX_VECTORS: usize = 10;
const LENGTHS: [std::ops::RangeInclusive<usize>; 2] = [16..=128, 32..=128];

#[derive(Serialize)]
struct Document<'a, V> {
    version: &'static str,
    schema: &'static str,
    scan: Scan<'a>,
    vulnerabilities: V,
}

#[derive(Serialize)]
struct Scan<'a> {
    analyzer: Program<'a>,
    scanner: Program<'a>,
    #[serde(rename = "type")]
    kind: &'static str,
    start_time: &'a str,
    end_time: &'a str,
    status: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    messages: Vec<ScanMessage>,
}

#[derive(Serialize)]
struct Program<'a> {
    id: &'static str,
    name: &'static str,
    version: &'a str,
    vendor: Vendor,
}

#[derive(Serialize)]
struct Vendor {
    name: &'static str,
}

#[derive(Serialize)]
struct ScanMessage {
    level: &'static str,
    value: String,
}

#[derive(Serialize)]
struct Vulnerability<'a> {
    id: String,
    name: Cow<'a, str>,
    description: &'a str,
    severity: &'static str,
    solution: Cow<'a, str>,
    identifiers: Vec<Identifier<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cvss_vectors: Vec<Vector<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    links: Vec<Link<'a>>,
    location: Location<'a>,
}

#[derive(Serialize)]
struct Identifier<'a> {
    #[serde(rename = "type")]
    kind: String,
    name: &'a str,
    value: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
}

#[derive(Serialize)]
struct Vector<'a> {
    vendor: &'a str,
    vector: &'a str,
}

#[derive(Serialize)]
struct Link<'a> {
    url: &'a str,
}

#[derive(Serialize)]
struct Location<'a> {
    dependency: Dependency<'a>,
    operating_system: &'a str,
    image: &'a str,
}

#[derive(Serialize)]
struct Dependency<'a> {
    package: Package<'a>,
    version: &'a str,
}

#[derive(Serialize)]
struct Package<'a> {
    name: &'a str,
}

pub(crate) fn write(judged: JudgedReport<'_>, stamp: &Stamp, out: &mut dyn Write) -> io::Result<()> {
    let (report, time) = (judged.report, stamp.rfc3339());
    let time = time.trim_end_matches('Z');
    let program = || Program { id: TOOL, name: TOOL, version: stamp.version, vendor: Vendor { name: TOOL } };
    let scan = Scan {
        analyzer: program(),
        scanner: program(),
        kind: "container_scanning",
        start_time: time,
        end_time: time,
        status: if judged.is_complete() { "success" } else { "failure" },
        messages: messages(judged),
    };
    let os = operating_system(report.inventory.os.as_ref());
    let vulnerabilities = || {
        let mut seen = HashMap::new();
        let os = os.as_str();
        report.findings.iter().map(move |finding| vulnerability(report, finding, os, &mut seen))
    };
    json::write(&Document { version: VERSION, schema: SCHEMA, scan, vulnerabilities: Streamed(vulnerabilities) }, out)
}

fn messages(judged: JudgedReport<'_>) -> Vec<ScanMessage> {
    let gap = |value| ScanMessage { level: "warn", value };
    let suppressed = judged.report.suppressed.len();
    let left_out = (suppressed > 0).then(|| ScanMessage {
        level: "info",
        value: format!("{suppressed} findings are suppressed by exceptions, and not in this report"),
    });
    judged.gap_lines().into_iter().map(gap).chain(left_out).collect()
}

/// As GitLab's own scanner writes it: `debian 12`.
fn operating_system(os: Option<&Os>) -> String {
    let named = os.map(|os| format!("{} {}", os.id, os.version_id).trim().to_owned());
    named.filter(|name| !name.is_empty()).unwrap_or_else(|| "unknown".to_owned())
}

fn vulnerability<'a>(
    report: &'a Report,
    finding: &'a Finding,
    os: &'a str,
    seen: &mut HashMap<[&'a str; 4], u32>,
) -> Vulnerability<'a> {
    let image = report.inventory.image.name.as_str();
    let name = [image, &finding.vulnerability, &finding.package, &finding.installed_version];
    // Two ecosystems may have a package of one name and version.
    let number = seen.entry(name).and_modify(|number| *number += 1).or_insert(1).to_string();
    let title = format!("{} in {}", finding.vulnerability, finding.package);
    Vulnerability {
        id: uuid(&[&name[..], &[&number]].concat()),
        name: shortened(&title, MAX_NAME).into_owned().into(),
        description: if finding.summary.is_empty() { &finding.because } else { &finding.summary },
        severity: severity(finding.severity),
        solution: shortened(&view::remedy(finding), MAX_SOLUTION).into_owned().into(),
        identifiers: identifiers(finding),
        cvss_vectors: finding.ratings.iter().filter_map(vector).take(MAX_VECTORS).collect(),
        links: link::references(finding).map(|url| Link { url }).collect(),
        location: Location {
            dependency: Dependency { package: Package { name: &finding.package }, version: &finding.installed_version },
            operating_system: os,
            // The schema wants a name, and a folder that was scanned may have none.
            image: if image.is_empty() { "unknown" } else { image },
        },
    }
}

fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "Critical",
        Severity::High => "High",
        Severity::Medium => "Medium",
        Severity::Low => "Low",
        Severity::Negligible => "Info",
        Severity::Unknown => "Unknown",
    }
}

/// All names; GitLab compares findings by the first.
fn identifiers(finding: &Finding) -> Vec<Identifier<'_>> {
    let identifier =
        |name| Identifier { kind: identifier_type(name), name, value: name, url: link::of_vulnerability(name) };
    view::names(finding).into_iter().map(identifier).collect()
}

/// `cve`, `ghsa`: what stands before the first hyphen.
fn identifier_type(name: &str) -> String {
    let prefix = name.split_once('-').map_or("", |(prefix, _)| prefix);
    let is_word = !prefix.is_empty() && prefix.bytes().all(|b| b.is_ascii_alphabetic());
    if is_word { prefix.to_ascii_lowercase() } else { TOOL.to_owned() }
}

/// A vector of the versions that the schema knows: 2 without prefix, 3.0 and 3.1.
fn vector(rating: &Rating) -> Option<Vector<'_>> {
    let vector = rating.vector.as_deref()?;
    let metrics = vector.strip_prefix("CVSS:3.0/").or_else(|| vector.strip_prefix("CVSS:3.1/"));
    let lengths = &LENGTHS[usize::from(metrics.is_some())];
    let is_metric = |metric: &str| {
        metric.split_once(':').is_some_and(|(name, value)| {
            let is_word = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphabetic());
            is_word(name) && is_word(value)
        })
    };
    let is_known = lengths.contains(&vector.len()) && metrics.unwrap_or(vector).split('/').all(is_metric);
    let vendor = if rating.source.is_empty() { "unknown" } else { &rating.source };
    is_known.then_some(Vector { vendor, vector })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_types() {
        let check = |name: &str, expected: &str| assert_eq!(identifier_type(name), expected, "{name}");
        check("CVE-2025-1", "cve");
        check("GHSA-a-b-c", "ghsa");
        check("X", "tidewaiter");
        check("1-x", "tidewaiter");
        check("-x", "tidewaiter");
    }

    #[test]
    fn vectors_are_those_of_the_schema() {
        let check = |text: &str, expected: bool| {
            let rating = Rating { vector: Some(text.to_owned()), ..Rating::of_level("nvd", Severity::High) };
            assert_eq!(vector(&rating).is_some(), expected, "{text}");
        };
        check("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", true);
        check("CVSS:3.0/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", true);
        check("AV:N/AC:L/Au:N/C:P/I:P/A:P", true);
        check("(AV:N/AC:L/Au:N/C:P/I:P/A:P)", false);
        check("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N", false);
        check("CVSS:3.1/AV:N", false);
        check("AV:N", false);
        assert!(vector(&Rating::of_level("nvd", Severity::High)).is_none());
    }

    #[test]
    fn systems_are_named_or_unknown() {
        let check = |os: Option<(&str, &str)>, expected: &str| {
            let os = os.map(|(id, version)| Os { id: id.into(), version_id: version.into(), ..Os::default() });
            assert_eq!(operating_system(os.as_ref()), expected);
        };
        check(Some(("debian", "12")), "debian 12");
        check(Some(("arch", "")), "arch");
        check(Some(("", "")), "unknown");
        check(None, "unknown");
    }
}
