//! Rules: one for each vulnerability.

use super::SarifMessage;
use crate::link;
use crate::text::shortened;
use crate::view::{JudgedReport, counting_rating};
use serde::Serialize;
use std::borrow::Cow;
use std::collections::HashMap;
use tidewaiter_core::advisory::AdvisoryClass;
use tidewaiter_core::finding::Finding;
use tidewaiter_core::severity::Severity;

/// What GitHub reads of a description, in characters.
const MAX_DESCRIPTION: usize = 1024;

/// The vulnerabilities of a report, in the order in which findings name them first.
pub(super) struct SarifRules<'a> {
    places: HashMap<&'a str, usize>,
    /// The finding of each that is rated worst: a rule has one severity.
    worst: Vec<&'a Finding>,
}

impl<'a> SarifRules<'a> {
    pub(super) fn new(judged: JudgedReport<'a>) -> Self {
        let mut rules = SarifRules { places: HashMap::new(), worst: Vec::new() };
        for shown in judged.findings() {
            let finding = shown.finding;
            let place = *rules.places.entry(&finding.vulnerability).or_insert(rules.worst.len());
            match rules.worst.get_mut(place) {
                None => rules.worst.push(finding),
                Some(worst) if worst.severity < finding.severity => *worst = finding,
                Some(_) => {}
            }
        }
        rules
    }

    /// The place of a finding's rule.
    pub(super) fn place(&self, finding: &Finding) -> usize {
        self.places.get(finding.vulnerability.as_str()).copied().unwrap_or_default()
    }

    pub(super) fn in_order(&self) -> impl Iterator<Item = &'a Finding> {
        self.worst.iter().copied()
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SarifRule<'a> {
    id: &'a str,
    name: &'static str,
    short_description: SarifMessage,
    full_description: SarifMessage,
    default_configuration: Configuration,
    #[serde(skip_serializing_if = "Option::is_none")]
    help_uri: Option<Cow<'a, str>>,
    help: SarifMessage,
    properties: Properties,
}

#[derive(Serialize)]
struct Configuration {
    level: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Properties {
    precision: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    security_severity: Option<String>,
    tags: [&'static str; 3],
}

impl<'a> SarifRule<'a> {
    pub(super) fn new(finding: &'a Finding) -> Self {
        let (name, what) = match finding.class {
            AdvisoryClass::Malware => ("MaliciousPackage", "malware"),
            _ => ("VulnerablePackage", "vulnerability"),
        };
        let id = finding.vulnerability.as_str();
        let (title, summary) = match finding.summary.as_str() {
            "" => (id.to_owned(), id),
            summary => (format!("{id}: {summary}"), summary),
        };
        SarifRule {
            id,
            name,
            short_description: SarifMessage::new(&shortened(&title, MAX_DESCRIPTION)),
            full_description: SarifMessage::new(&shortened(summary, MAX_DESCRIPTION)),
            default_configuration: Configuration { level: level(finding) },
            help_uri: link::of_finding(finding),
            help: SarifMessage::new(&help(finding, summary)),
            properties: Properties {
                precision: "very-high",
                security_severity: security_severity(finding).map(|score| format!("{score:.1}")),
                tags: ["security", what, finding.severity.word()],
            },
        }
    }
}

/// What it is, and where to read more.
fn help(finding: &Finding, summary: &str) -> String {
    let names = finding.aliases.iter().filter(|name| **name != finding.vulnerability);
    let names: Vec<&str> = names.map(String::as_str).collect();
    let mut out = format!("{summary}\nSeverity: {}", finding.severity);
    if !names.is_empty() {
        out.push_str(&format!("\nAlso known as: {}", names.join(", ")));
    }
    out.extend(link::references(finding).map(|reference| format!("\n{reference}")));
    out
}

/// A finding without rating is not a harmless one, and malware is worse than any.
pub(super) fn level(finding: &Finding) -> &'static str {
    match finding.severity {
        _ if finding.class == AdvisoryClass::Malware => "error",
        Severity::Critical | Severity::High => "error",
        Severity::Medium | Severity::Unknown => "warning",
        Severity::Low | Severity::Negligible => "note",
    }
}

/// The number by which GitHub orders and names severities (from 9.0 on critical, 7.0 high, 4.0 medium; 0.0 is none): the score of
/// the rating that counts, where it has one, else one in the middle of its level.
fn security_severity(finding: &Finding) -> Option<f64> {
    if finding.class == AdvisoryClass::Malware {
        return Some(10.0);
    }
    let scored = counting_rating(finding).and_then(|rating| rating.score);
    // A source may rate higher or lower than the score that it gives.
    let scored = scored.filter(|score| Severity::from_score(*score) == finding.severity);
    scored.or(match finding.severity {
        Severity::Critical => Some(9.5),
        Severity::High => Some(8.0),
        Severity::Medium => Some(5.5),
        Severity::Low => Some(2.0),
        Severity::Negligible => Some(0.0),
        Severity::Unknown => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidewaiter_core::severity::Rating;

    #[test]
    fn severities_are_levels_and_numbers() {
        let check = |class, severity, ratings: &[(Severity, f64)], expected: (&str, Option<f64>)| {
            let rating = |(severity, score): &(Severity, f64)| Rating {
                score: Some(*score),
                ..Rating::of_level("nvd", *severity)
            };
            let ratings = ratings.iter().map(rating).collect();
            let finding = Finding { class, severity, ratings, ..Finding::default() };
            assert_eq!((level(&finding), security_severity(&finding)), expected, "{severity}");
        };
        let plain = AdvisoryClass::Vulnerability;
        check(plain, Severity::Critical, &[(Severity::Critical, 9.8)], ("error", Some(9.8)));
        check(plain, Severity::Critical, &[], ("error", Some(9.5)));
        check(plain, Severity::High, &[(Severity::Critical, 9.8)], ("error", Some(8.0)));
        // A vendor's own level next to NVD's score.
        check(plain, Severity::High, &[(Severity::High, 9.8)], ("error", Some(8.0)));
        check(plain, Severity::Medium, &[], ("warning", Some(5.5)));
        check(plain, Severity::Low, &[(Severity::Low, 0.1)], ("note", Some(0.1)));
        check(plain, Severity::Negligible, &[], ("note", Some(0.0)));
        check(plain, Severity::Unknown, &[], ("warning", None));
        check(AdvisoryClass::Malware, Severity::Unknown, &[], ("error", Some(10.0)));
    }
}
