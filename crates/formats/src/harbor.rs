//! Reports of Harbor's scanner adapters (pluggable-scanner-spec 1.2): `application/vnd.security.vulnerability.report; version=1.1` and
//! `application/vnd.security.sbom.report+json; version=1.0`.
//!
//! Harbor stores an entry once for all artifacts in which a scanner found the same vulnerability, package and version, and keeps
//! the texts of the first one. So each triple is written once, and nothing of an entry may depend on the image: a path of one
//! project's image would be shown to the users of another one.

use crate::format::SbomFormat;
use crate::link;
use crate::stamp::{Stamp, TOOL};
use crate::text::{printable, shortened};
use crate::view::{self, JudgedReport};
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::io::{self, Write};
use tidewaiter_core::advisory::AdvisoryClass;
use tidewaiter_core::finding::Finding;
use tidewaiter_core::report::{GapKind, Inventory};
use tidewaiter_core::severity::{Rating, Severity};

/// Characters of a description; the largest texts of advisories have some thousand.
const MAX_DESCRIPTION: usize = 4000;
/// Characters of a name or version: Harbor's database indexes them together, and PostgreSQL's indexes take 2,704 bytes.
const MAX_NAME: usize = 255;
/// Links of an entry.
const MAX_LINKS: usize = 20;
/// Gaps of one kind that are described; the others are counted.
const MAX_GAPS: usize = 20;
/// Digits of the image's digest that tell one image's gaps from another's.
const DIGEST_DIGITS: usize = 12;
/// The identifiers of entries that say what was not seen begin with this; projects may allow them by name.
const INCOMPLETE: &str = "INCOMPLETE";

/// The artifact of a report, as Harbor named it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HarborArtifact {
    /// Its repository within Harbor.
    pub repository: String,
    /// The digest of its manifest.
    pub digest: String,
    /// The tag, where Harbor named one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// The media type of its manifest, where Harbor named one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mime_type: Option<String>,
}

/// Who scans, as Harbor shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct HarborScanner {
    name: &'static str,
    vendor: &'static str,
    version: &'static str,
}

impl HarborScanner {
    /// This program in a version.
    pub const fn new(version: &'static str) -> Self {
        HarborScanner { name: TOOL, vendor: TOOL, version }
    }
}

#[derive(Serialize)]
struct VulnerabilityReport<'a> {
    generated_at: String,
    artifact: &'a HarborArtifact,
    scanner: HarborScanner,
    severity: &'static str,
    vulnerabilities: Vec<Item>,
}

#[derive(Serialize)]
struct ReportHead<'a> {
    generated_at: String,
    artifact: &'a HarborArtifact,
    scanner: HarborScanner,
    media_type: &'a str,
}

/// One entry.
#[derive(Debug, Serialize)]
struct Item {
    id: String,
    package: String,
    version: String,
    fix_version: String,
    #[serde(serialize_with = "word_of")]
    severity: Severity,
    description: String,
    links: Vec<String>,
    #[serde(skip_serializing_if = "PreferredCvss::is_empty")]
    preferred_cvss: PreferredCvss,
    vendor_attributes: Map<String, Value>,
}

/// The score and vector that Harbor shows. It has no place for CVSS 4.0, which is among the vendor's attributes.
#[derive(Debug, Default, PartialEq, Serialize)]
struct PreferredCvss {
    #[serde(skip_serializing_if = "Option::is_none")]
    score_v3: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vector_v3: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    score_v2: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vector_v2: Option<String>,
}

impl PreferredCvss {
    fn is_empty(&self) -> bool {
        *self == PreferredCvss::default()
    }
}

/// Writes the vulnerabilities of an artifact. What the scan did not see is an entry for each kind of gap, of the severity
/// `incomplete`: Harbor has no other place for it, and a report without entries is a clean one there.
///
/// # Errors
/// When `out` cannot be written.
pub fn write_harbor_report(
    judged: JudgedReport<'_>,
    artifact: &HarborArtifact,
    incomplete: Severity,
    stamp: &Stamp,
    out: &mut dyn Write,
) -> io::Result<()> {
    let vulnerabilities = items(judged, incomplete);
    let worst = vulnerabilities.iter().map(|item| item.severity).max().unwrap_or_default();
    let report = VulnerabilityReport {
        generated_at: stamp.rfc3339(),
        artifact,
        scanner: HarborScanner::new(stamp.version),
        severity: word(worst),
        vulnerabilities,
    };
    Ok(serde_json::to_writer(out, &report)?)
}

/// Writes the SBOM of an artifact. `media_type` is what Harbor calls its format.
///
/// # Errors
/// When `out` cannot be written.
pub fn write_harbor_sbom(
    inventory: &Inventory,
    artifact: &HarborArtifact,
    (format, media_type): (SbomFormat, &str),
    stamp: &Stamp,
    out: &mut dyn Write,
) -> io::Result<()> {
    let scanner = HarborScanner::new(stamp.version);
    let head = ReportHead { generated_at: stamp.rfc3339(), artifact, scanner, media_type };
    let mut head = serde_json::to_vec(&head)?;
    // The document is the last member, written as it is made: as a value it would be in memory as a whole.
    head.pop();
    out.write_all(&head)?;
    out.write_all(b",\"sbom\":")?;
    format.write(inventory, stamp, out)?;
    out.write_all(b"}")
}

/// All entries, the worst first, each triple once.
fn items(judged: JudgedReport<'_>, incomplete: Severity) -> Vec<Item> {
    let found = judged.report.findings.iter().map(item);
    let mut all: BTreeMap<(String, String, String), Item> = BTreeMap::new();
    for item in found.chain(incomplete_items(judged, incomplete)) {
        let key = (item.id.clone(), item.package.clone(), item.version.clone());
        // The same name in two ecosystems, or by two advisories.
        match all.get(&key) {
            Some(known) if known.severity >= item.severity => {}
            _ => drop(all.insert(key, item)),
        }
    }
    let mut all: Vec<Item> = all.into_values().collect();
    all.sort_by_key(|item| std::cmp::Reverse(item.severity));
    all
}

fn item(finding: &Finding) -> Item {
    let described = match finding.summary.as_str() {
        "" => format!("{} in {}", finding.vulnerability, finding.package),
        summary => summary.to_owned(),
    };
    let page = link::of_finding(finding).map(|page| page.into_owned());
    let mut links: Vec<String> = Vec::new();
    // Harbor joins them with `|`, which is no character of a URI.
    for link in page.into_iter().chain(link::references(finding).map(str::to_owned)).take(MAX_LINKS) {
        if !links.contains(&link) {
            links.push(link);
        }
    }
    Item {
        id: text(&finding.vulnerability, MAX_NAME),
        package: text(&finding.package, MAX_NAME),
        version: text(&finding.installed_version, MAX_NAME),
        fix_version: finding.fixed_versions.first().map(|fixed| text(fixed, MAX_NAME)).unwrap_or_default(),
        severity: severity(finding),
        description: text(&described, MAX_DESCRIPTION),
        links,
        preferred_cvss: preferred_cvss(finding),
        vendor_attributes: attributes(finding),
    }
}

/// No rating says of malware what it is; Harbor lets unrated entries pass.
fn severity(finding: &Finding) -> Severity {
    match finding.class {
        AdvisoryClass::Malware => Severity::Critical,
        _ => finding.severity,
    }
}

/// The words of the specification.
const fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Unknown => "Unknown",
        Severity::Negligible => "Negligible",
        Severity::Low => "Low",
        Severity::Medium => "Medium",
        Severity::High => "High",
        Severity::Critical => "Critical",
    }
}

fn word_of<S: serde::Serializer>(severity: &Severity, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(word(*severity))
}

/// The version of CVSS of a rating: 2, 3 or 4.
fn version(rating: &Rating) -> Option<u8> {
    match rating.vector.as_deref()? {
        vector if vector.starts_with("CVSS:3") => Some(3),
        vector if vector.starts_with("CVSS:4") => Some(4),
        vector if vector.starts_with("CVSS:") => None,
        _ => Some(2),
    }
}

/// Of the rating that counts, else of the source that is closest to the CVE's record.
fn preferred_cvss(finding: &Finding) -> PreferredCvss {
    let of = |wanted: u8| {
        let rated = finding.ratings.iter().filter(|rating| rating.score.is_some() && version(rating) == Some(wanted));
        rated.min_by_key(|rating| (rating.source != finding.severity_source, rating.role.is_none(), rating.role))
    };
    let (v3, v2) = (of(3), of(2));
    PreferredCvss {
        score_v3: v3.and_then(|rating| rating.score),
        vector_v3: v3.and_then(|rating| rating.vector.clone()),
        score_v2: v2.and_then(|rating| rating.score),
        vector_v2: v2.and_then(|rating| rating.vector.clone()),
    }
}

/// What follows from the vulnerability and its package alone. `CVSS` is read by Harbor, in the form of Trivy.
fn attributes(finding: &Finding) -> Map<String, Value> {
    let mut all = Map::new();
    let mut cvss: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for rating in &finding.ratings {
        // Harbor takes a score for a number without looking.
        let (Some(version), Some(score)) = (version(rating), rating.score.filter(|score| score.is_finite())) else {
            continue;
        };
        let of_source = cvss.entry(rating.source.as_str()).or_default();
        of_source.insert(format!("V{version}Score"), json!(score));
        of_source.insert(format!("V{version}Vector"), json!(rating.vector));
    }
    if !cvss.is_empty() {
        all.insert("CVSS".to_owned(), json!(cvss));
    }
    let mut add = |name: &str, value: String| {
        if !value.is_empty() {
            all.insert(name.to_owned(), Value::String(value));
        }
    };
    add("severity_source", text(&finding.severity_source, MAX_NAME));
    add("fix_state", view::fix_state(finding.fix_state).to_owned());
    add("ecosystem", finding.ecosystem.to_string());
    add("advisory", text(&finding.advisory, MAX_NAME));
    add("exploited", view::exploited(finding));
    let malware = matches!(finding.class, AdvisoryClass::Malware);
    add("class", if malware { "malware" } else { "" }.to_owned());
    all
}

/// An entry for each kind of gap, whose version is the image's digest: with it, no other image has the same triple.
fn incomplete_items(judged: JudgedReport<'_>, severity: Severity) -> Vec<Item> {
    let mut kinds: BTreeMap<GapKind, Vec<String>> = BTreeMap::new();
    for gap in judged.gaps() {
        kinds.entry(gap.kind).or_default().push(format!("{}: {}", gap.subject, gap.message));
    }
    let digest = judged.report.inventory.image.digest.hex();
    let version = digest.get(..DIGEST_DIGITS).unwrap_or(digest);
    let item = |id: String, lines: &[String]| Item {
        id,
        package: "(incomplete scan)".to_owned(),
        version: version.to_owned(),
        fix_version: String::new(),
        severity,
        description: text(&described(lines), MAX_DESCRIPTION),
        links: Vec::new(),
        preferred_cvss: PreferredCvss::default(),
        vendor_attributes: Map::new(),
    };
    let mut all: Vec<Item> = kinds.iter().map(|(kind, lines)| item(format!("{INCOMPLETE}-{kind:?}"), lines)).collect();
    if all.is_empty() && !judged.is_complete() {
        all.push(item(INCOMPLETE.to_owned(), &judged.gap_lines()));
    }
    all
}

fn described(lines: &[String]) -> String {
    let shown = lines.iter().take(MAX_GAPS).map(String::as_str).collect::<Vec<_>>().join("; ");
    let more = match lines.len().saturating_sub(MAX_GAPS) {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    format!("The image cannot be called clean, because the scan could not see everything: {shown}{more}")
}

/// Without controls: PostgreSQL refuses a text with a NUL, and the whole report with it.
fn text(text: &str, most: usize) -> String {
    shortened(&printable(text), most).into_owned()
}

#[cfg(test)]
mod tests;
