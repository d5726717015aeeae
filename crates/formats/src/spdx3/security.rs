//! Elements of the security profile: vulnerabilities, and what is said of them.

use super::element::{CREATION, Spdx3Identifier, Spdx3Ids, Spdx3Relationship};
use crate::bill::BillOfMaterials;
use crate::link;
use crate::view::{self, JudgedReport, ShownFinding, counting_rating};
use serde::Serialize;
use std::collections::BTreeMap;
use tidewaiter_core::finding::{Finding, SuppressionStatus};
use tidewaiter_core::severity::{Rating, Severity};

#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Spdx3SecurityNode<'a> {
    Vulnerability(Spdx3Vulnerability<'a>),
    Statement(Spdx3Relationship<'a>),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Spdx3Vulnerability<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    spdx_id: String,
    creation_info: &'static str,
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    description: &'a str,
    external_identifier: Vec<Spdx3Identifier<'a>>,
    #[serde(rename = "security_publishedTime", skip_serializing_if = "Option::is_none")]
    published: Option<String>,
}

/// The vulnerabilities of a report, each once, by its name.
pub(super) struct Spdx3Vulnerabilities<'a> {
    bill: &'a BillOfMaterials<'a>,
    ids: &'a Spdx3Ids,
    /// The place of each, and its first finding.
    by_name: BTreeMap<&'a str, (usize, &'a Finding)>,
}

impl<'a> Spdx3Vulnerabilities<'a> {
    pub(super) fn new(bill: &'a BillOfMaterials<'a>, ids: &'a Spdx3Ids) -> Self {
        let mut by_name = BTreeMap::new();
        for shown in bill.judged.into_iter().flat_map(JudgedReport::findings) {
            let place = by_name.len();
            by_name.entry(shown.finding.vulnerability.as_str()).or_insert((place, shown.finding));
        }
        Spdx3Vulnerabilities { bill, ids, by_name }
    }

    pub(super) fn nodes(&self) -> impl Iterator<Item = Spdx3SecurityNode<'a>> {
        let each = self
            .by_name
            .values()
            .map(|(place, finding)| Spdx3SecurityNode::Vulnerability(self.element(*place, finding)));
        let findings = self.bill.judged.into_iter().flat_map(JudgedReport::findings).enumerate();
        each.chain(
            findings.flat_map(|(number, shown)| self.statements(number, shown)).map(Spdx3SecurityNode::Statement),
        )
    }

    fn id(&self, place: usize) -> String {
        self.ids.of(&format!("vulnerability/{place}"))
    }

    fn element(&self, place: usize, finding: &'a Finding) -> Spdx3Vulnerability<'a> {
        Spdx3Vulnerability {
            kind: "security_Vulnerability",
            spdx_id: self.id(place),
            creation_info: CREATION,
            name: &finding.vulnerability,
            description: &finding.summary,
            external_identifier: view::names(finding)
                .into_iter()
                .map(|name| Spdx3Identifier::vulnerability(name, link::of_vulnerability(name)))
                .collect(),
            published: finding.published.map(|day| format!("{day}T00:00:00Z")),
        }
    }

    /// What is said of a finding; nothing where its packages are not in the document.
    fn statements(&self, number: usize, shown: ShownFinding<'a>) -> Vec<Spdx3Relationship<'a>> {
        let finding = shown.finding;
        let packages: Vec<String> =
            self.bill.packages.of(finding).into_iter().map(|place| self.ids.package(place)).collect();
        let place = self.by_name.get(finding.vulnerability.as_str()).map(|(place, _)| *place);
        let (Some(place), false) = (place, packages.is_empty()) else { return Vec::new() };
        let new = |kind, relation, name: &str| {
            let id = self.ids.of(&format!("finding/{number}/{name}"));
            Spdx3Relationship::new(kind, relation, id, self.id(place), packages.clone())
        };
        let mut statements = vec![status(shown, new)];
        statements.extend(counting_rating(finding).and_then(|rating| cvss(rating, new)));
        statements.extend(finding.epss.map(|epss| Spdx3Relationship {
            probability: Some(epss.score),
            percentile: Some(epss.percentile),
            ..new("security_EpssVulnAssessmentRelationship", "hasAssessmentFor", "epss")
        }));
        statements
    }
}

/// Whether the packages are affected.
fn status<'a>(
    shown: ShownFinding<'a>,
    new: impl Fn(&'static str, &'static str, &str) -> Spdx3Relationship<'a>,
) -> Spdx3Relationship<'a> {
    let affected = |action: String| Spdx3Relationship {
        action: Some(action),
        notes: Some(format!("{}: {}", shown.finding.severity, shown.finding.because)),
        ..new("security_VexAffectedVulnAssessmentRelationship", "affects", "status")
    };
    let Some(suppressed) = shown.suppressed else { return affected(view::remedy(shown.finding)) };
    let notes = Some(format!("{} ({})", suppressed.reason, suppressed.source));
    match suppressed.status {
        SuppressionStatus::NotAffected => Spdx3Relationship {
            impact: Some(&suppressed.reason),
            notes,
            ..new("security_VexNotAffectedVulnAssessmentRelationship", "doesNotAffect", "status")
        },
        SuppressionStatus::Fixed => {
            Spdx3Relationship { notes, ..new("security_VexFixedVulnAssessmentRelationship", "fixedIn", "status") }
        }
        SuppressionStatus::Accepted => Spdx3Relationship { notes, ..affected("accepted".to_owned()) },
    }
}

/// The assessment of a rating that has a score and a vector, which the specification requires.
fn cvss<'a>(
    rating: &'a Rating,
    new: impl Fn(&'static str, &'static str, &str) -> Spdx3Relationship<'a>,
) -> Option<Spdx3Relationship<'a>> {
    let (score, vector) = (rating.score?, rating.vector.as_deref()?);
    let kind = match vector {
        v if v.starts_with("CVSS:4") => "security_CvssV4VulnAssessmentRelationship",
        v if v.starts_with("CVSS:3") => "security_CvssV3VulnAssessmentRelationship",
        _ => "security_CvssV2VulnAssessmentRelationship",
    };
    // Version 2 has no levels (CVSS 2.0).
    let severity = (!kind.contains("V2")).then(|| severity(score));
    let base = new(kind, "hasAssessmentFor", "cvss");
    Some(Spdx3Relationship { score: Some(score), vector: Some(vector), severity, ..base })
}

/// The level of a score, by CVSS's own words.
fn severity(score: f64) -> &'static str {
    match Severity::from_score(score) {
        Severity::Negligible | Severity::Unknown => "none",
        rated => rated.word(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratings_with_score_and_vector_are_assessments() {
        let check = |vector: Option<&str>, score: Option<f64>, expected: Option<(&str, Option<&str>)>| {
            let rating = Rating { vector: vector.map(str::to_owned), score, ..Rating::of_level("nvd", Severity::High) };
            let mut kinds = std::cell::Cell::new("");
            let assessment = cvss(&rating, |kind, relation, name| {
                kinds.set(kind);
                Spdx3Relationship::new(kind, relation, name.to_owned(), String::new(), vec![])
            });
            assert_eq!(assessment.map(|a| (*kinds.get_mut(), a.severity)), expected, "{vector:?}");
        };
        let name = |version: &str| format!("security_CvssV{version}VulnAssessmentRelationship");
        check(Some("CVSS:4.0/AV:N"), Some(9.3), Some((&name("4"), Some("critical"))));
        check(Some("CVSS:3.1/AV:N"), Some(0.0), Some((&name("3"), Some("none"))));
        check(Some("AV:N/AC:L"), Some(7.5), Some((&name("2"), None)));
        check(None, Some(7.5), None);
        check(Some("CVSS:3.1/AV:N"), None, None);
    }
}
