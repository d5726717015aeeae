//! Results: a vulnerability at a path of the image.

use super::SarifMessage;
use super::rule::{SarifRules, level};
use crate::fingerprint::fingerprint;
use crate::link::path_uri;
use crate::view::{self, FindingPlace, JudgedReport, ShownFinding, package_type, places};
use serde::Serialize;
use std::collections::HashMap;
use tidewaiter_core::finding::{Finding, SuppressedFinding};
use tidewaiter_core::package::layer_number;
use tidewaiter_core::report::LayerInfo;

/// The results of a report.
pub(super) struct SarifResults<'a> {
    judged: JudgedReport<'a>,
    rules: &'a SarifRules<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SarifResult<'a> {
    rule_id: &'a str,
    rule_index: usize,
    level: &'static str,
    message: SarifMessage,
    locations: [SarifLocation; 1],
    partial_fingerprints: Fingerprints,
    #[serde(skip_serializing_if = "Option::is_none")]
    suppressions: Option<[Suppression<'a>; 1]>,
    properties: Properties<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SarifLocation {
    #[serde(skip_serializing_if = "Option::is_none")]
    physical_location: Option<PhysicalLocation>,
    logical_locations: [LogicalLocation; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PhysicalLocation {
    artifact_location: ArtifactLocation,
    region: Region,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ArtifactLocation {
    uri: String,
    uri_base_id: &'static str,
}

/// GitHub takes no location without one.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Region {
    start_line: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LogicalLocation {
    name: String,
    fully_qualified_name: String,
    kind: &'static str,
}

/// GitHub knows results again by the first; the second is for tools that read all.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Fingerprints {
    primary_location_line_hash: String,
    #[serde(rename = "tidewaiter/v1")]
    own: String,
}

#[derive(Serialize)]
struct Suppression<'a> {
    kind: &'static str,
    status: &'static str,
    justification: String,
    properties: SuppressionSource<'a>,
}

#[derive(Serialize)]
struct SuppressionSource<'a> {
    source: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Properties<'a> {
    package: &'a str,
    installed_version: &'a str,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    fixed_versions: &'a [String],
    fix_state: &'static str,
    severity: &'static str,
    purls: Vec<&'a str>,
    #[serde(skip_serializing_if = "String::is_empty")]
    exploited: String,
    because: &'a str,
}

impl<'a> SarifResults<'a> {
    pub(super) fn new(judged: JudgedReport<'a>, rules: &'a SarifRules<'a>) -> Self {
        SarifResults { judged, rules }
    }

    pub(super) fn all(&self) -> impl Iterator<Item = SarifResult<'a>> {
        let mut seen = HashMap::new();
        self.judged.findings().flat_map(move |shown| self.of(shown, &mut seen))
    }

    fn of(&self, shown: ShownFinding<'a>, seen: &mut HashMap<String, u32>) -> Vec<SarifResult<'a>> {
        places(shown.finding).iter().map(|place| self.result(shown, place, seen)).collect()
    }

    fn result(
        &self,
        shown: ShownFinding<'a>,
        place: &FindingPlace<'a>,
        seen: &mut HashMap<String, u32>,
    ) -> SarifResult<'a> {
        let finding = shown.finding;
        let name = name(finding, place);
        // One file may list two versions of a package.
        let number = seen.entry(name.clone()).and_modify(|number| *number += 1).or_insert(1);
        SarifResult {
            rule_id: &finding.vulnerability,
            rule_index: self.rules.place(finding),
            level: level(finding),
            message: SarifMessage::new(&message(finding, place, &self.judged.report.inventory.layers)),
            locations: [SarifLocation::new(place)],
            partial_fingerprints: Fingerprints { primary_location_line_hash: format!("{name}:{number}"), own: name },
            suppressions: shown.suppressed.map(|suppressed| [Suppression::new(suppressed)]),
            properties: Properties {
                package: &finding.package,
                installed_version: &finding.installed_version,
                fixed_versions: &finding.fixed_versions,
                fix_state: view::fix_state(finding.fix_state),
                severity: finding.severity.word(),
                purls: place.installed.iter().map(|installed| installed.purl.as_str()).collect(),
                exploited: view::exploited(finding),
                because: &finding.because,
            },
        }
    }
}

/// What a result is known by in the next scan: not by versions, layers or the database, which change without it.
fn name(finding: &Finding, place: &FindingPlace<'_>) -> String {
    let kind = place.installed.first().map_or("", |installed| package_type(installed));
    fingerprint(&[&finding.vulnerability, &finding.package, kind, place.path])
}

fn message(finding: &Finding, place: &FindingPlace<'_>, layers: &[LayerInfo]) -> String {
    let others: Vec<&str> = place.installed.iter().map(|installed| installed.name.as_str()).collect();
    let installed = match others.as_slice() {
        [one] if *one == finding.package => String::new(),
        several => format!(" (installed: {})", several.join(", ")),
    };
    let layer = layer_number(place.layer).map(|number| format!(". Layer {number}")).unwrap_or_default();
    let made = layers.get(place.layer).and_then(|layer| layer.created_by.as_deref());
    let made = made.map(|made| format!(": {made}")).unwrap_or_default();
    format!(
        "{} {}{installed} has {} ({}); {}{layer}{made}",
        finding.package,
        finding.installed_version,
        finding.vulnerability,
        finding.severity,
        view::remedy(finding),
    )
}

impl SarifLocation {
    fn new(place: &FindingPlace<'_>) -> Self {
        // GitHub refuses a whole file for one result without a path.
        let uri = if place.path.is_empty() { "image".to_owned() } else { path_uri(place.path) };
        let (layer, kind) = match place.layer_name() {
            unknown if unknown.is_empty() => ("image".to_owned(), "namespace"),
            layer => (layer, "layer"),
        };
        SarifLocation {
            physical_location: (!uri.is_empty()).then_some(PhysicalLocation {
                artifact_location: ArtifactLocation { uri, uri_base_id: "IMAGE" },
                region: Region { start_line: 1 },
            }),
            logical_locations: [LogicalLocation {
                fully_qualified_name: format!("{layer}/{}", place.path),
                name: layer,
                kind,
            }],
        }
    }
}

impl<'a> Suppression<'a> {
    fn new(suppressed: &'a SuppressedFinding) -> Self {
        Suppression {
            kind: "external",
            status: "accepted",
            justification: format!("{}: {}", view::suppression(suppressed.status), suppressed.reason),
            properties: SuppressionSource { source: &suppressed.source },
        }
    }
}
