//! Rules: findings that violate a policy by more than their severity.

use super::condition::RuleCondition;
use super::known::KnownFindings;
use crate::finding::Finding;
use crate::severity::Severity;
use crate::target::TargetPattern;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A finding that fulfils all criteria of a rule violates the policy. A criterion that is absent is fulfilled by every finding.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rule {
    /// How verdicts name it.
    pub name: String,
    /// The lowest severity; findings without a rating have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
    /// The lowest CVSS base score, 0.0 to 10.0, by the highest that a source gives; without any the lowest score of the
    /// finding's severity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cvss: Option<f64>,
    /// The lowest EPSS probability of exploitation, 0.0 to 1.0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epss: Option<f64>,
    /// Whether CISA's catalog lists it as exploited (KEV).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known_exploited: Option<bool>,
    /// Whether a version without it exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fix_available: Option<bool>,
    /// Days since publication, so that there was time to upgrade: of the vendor's fix where its feed dates that, else of the
    /// vulnerability. One without a date counts as old.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub days_since_published: Option<u32>,
    /// Packages, by name with wildcards or by purl; one of them must fit.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub packages: Vec<String>,
    /// Paths in the image, with wildcards; one location of a package must match one of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<String>,
    /// An expression in CEL about `finding` that must be true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// Findings that it passes over: those of an earlier report. No object of a cluster has it: a command line does.
    #[serde(skip)]
    pub passes_over: Option<Arc<KnownFindings>>,
}

/// Why a rule is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("rule {rule:?}: {cause}")]
pub struct InvalidRule {
    rule: String,
    cause: String,
}

impl Rule {
    /// Checks what types do not: values that no finding has would let everything through.
    ///
    /// # Errors
    /// The first criterion that is out of its range.
    pub fn check(&self) -> Result<(), InvalidRule> {
        let invalid = |cause: String| Err(InvalidRule { rule: self.name.clone(), cause });
        let within = |value: Option<f64>, most: f64| value.is_none_or(|value| (0.0..=most).contains(&value));
        if self.name.is_empty() || self.name.chars().count() > MAX_NAME {
            return invalid(format!("name must have 1 to {MAX_NAME} characters"));
        }
        if self.severity == Some(Severity::Unknown) {
            return invalid(
                "severity UNKNOWN selects nothing; what no source rates is the policy's `unrated`".to_owned(),
            );
        }
        if !within(self.cvss, 10.0) {
            return invalid("cvss must be between 0 and 10".to_owned());
        }
        if !within(self.epss, 1.0) {
            return invalid("epss is a probability, between 0 and 1".to_owned());
        }
        if let Some(text) = self.packages.iter().find(|text| is_dead_purl(text)) {
            return invalid(format!("{text} is not a package URL, in which no wildcards are allowed"));
        }
        let condition = self.condition.as_deref().map_or(Ok(()), |text| RuleCondition::parse(text).map(|_| ()));
        condition.or_else(|error| invalid(error.to_string()))
    }
}

/// Characters of a name at most.
const MAX_NAME: usize = 63;

/// A text that is meant as a purl and fits nothing.
pub(super) fn is_dead_purl(text: &str) -> bool {
    text.starts_with("pkg:")
        && (text.contains('*') || !matches!(TargetPattern::parse(text), TargetPattern::PurlPattern(_)))
}

/// The highest score of all sources. Vendors rate by words alone: then the lowest score of the finding's level.
pub(super) fn highest_score(finding: &Finding) -> Option<f64> {
    let scores = finding.ratings.iter().filter_map(|rating| rating.score);
    scores.max_by(f64::total_cmp).or_else(|| finding.severity.lowest_score())
}

/// Whole days since publication. Days are those of UTC, so that the verdict of one moment is the same everywhere. A day that has not
/// come is no day: it would hide the finding until then.
pub(super) fn age_in_days(finding: &Finding, now: Timestamp) -> Option<i64> {
    let today = now.to_zoned(TimeZone::UTC).date();
    let age = finding.published?.until(today).ok()?.get_days();
    (age >= 0).then_some(i64::from(age))
}

/// What has no date counts as old.
pub(super) fn is_older(finding: &Finding, days: u32, now: Timestamp) -> bool {
    age_in_days(finding, now).is_none_or(|age| age >= i64::from(days))
}

#[cfg(test)]
mod tests {
    use super::super::compiled::{CompiledRule, JudgedFinding, RuleMatch};
    use super::*;
    use crate::advisory::{Epss, KnownExploited};
    use crate::finding::InstalledPackage;
    use crate::package::Location;
    use crate::report::testing;
    use crate::severity::Rating;
    use serde_json::{Value, json};

    /// Critical, CVSS 9.8, EPSS 0.4, exploited, fixed, published 2026-01-01, in `app/node_modules/a`.
    fn finding() -> Finding {
        let installed = InstalledPackage {
            name: "a".into(),
            version: "1".into(),
            purl: "pkg:npm/a@1".into(),
            locations: vec![Location { path: "app/node_modules/a/package.json".into(), layer: 0 }],
        };
        Finding {
            ratings: Rating::from_vector("nvd", "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H").into_iter().collect(),
            epss: Some(Epss { score: 0.4, percentile: 0.9 }),
            kev: Some(KnownExploited::default()),
            published: "2026-01-01".parse().ok(),
            installed: vec![installed],
            ..testing::finding("CVE-1", "a", Severity::Critical)
        }
    }

    fn rule(criteria: Value) -> Rule {
        let mut rule = criteria;
        rule["name"] = json!("r");
        serde_json::from_value(rule).unwrap()
    }

    fn selects(rule: &Rule, finding: &Finding, now: Timestamp) -> bool {
        CompiledRule::new(rule).matches(&JudgedFinding::new(finding), now).is_some()
    }

    #[test]
    fn all_criteria_must_be_fulfilled() {
        let now = "2026-01-08T01:00:00Z".parse().unwrap();
        let check = |criteria: Value, expected: bool| {
            assert_eq!(selects(&rule(criteria.clone()), &finding(), now), expected, "{criteria}");
        };
        check(json!({}), true);
        check(json!({"severity": "CRITICAL"}), true);
        check(json!({"severity": "LOW"}), true);
        check(json!({"cvss": 9.8}), true);
        check(json!({"cvss": 9.9}), false);
        check(json!({"epss": 0.4}), true);
        check(json!({"epss": 0.41}), false);
        check(json!({"knownExploited": true}), true);
        check(json!({"knownExploited": false}), false);
        check(json!({"fixAvailable": true}), true);
        check(json!({"fixAvailable": false}), false);
        check(json!({"daysSincePublished": 7}), true);
        check(json!({"daysSincePublished": 8}), false);
        check(json!({"packages": ["pkg:npm/a"]}), true);
        check(json!({"packages": ["b*", "a"]}), true);
        check(json!({"packages": ["pkg:npm/b"]}), false);
        check(json!({"packages": ["pkg:npm/b*"]}), true);
        check(json!({"paths": ["/app/**"]}), true);
        check(json!({"paths": ["opt/**"]}), false);
        check(json!({"severity": "HIGH", "epss": 0.5, "fixAvailable": true}), false);
        check(json!({"severity": "HIGH", "epss": 0.3, "fixAvailable": true}), true);
        check(json!({"severity": "HIGH", "condition": "finding.cvss > 9.0"}), true);
        check(json!({"severity": "HIGH", "condition": "finding.cvss > 9.9"}), false);
        check(json!({"epss": 0.5, "condition": "true"}), false);
    }

    #[test]
    fn what_is_not_known() {
        let now = Timestamp::UNIX_EPOCH;
        let bare = Finding { fixed_versions: vec![], ..testing::finding("CVE-1", "a", Severity::Unknown) };
        let check = |criteria: Value, expected: bool| {
            assert_eq!(selects(&rule(criteria.clone()), &bare, now), expected, "{criteria}");
        };
        // No rating is not a low one, and no date may hide an old vulnerability.
        check(json!({"severity": "UNKNOWN"}), false);
        check(json!({"cvss": 0.0}), false);
        let in_a_word = Finding { severity: Severity::High, ..bare.clone() };
        assert!(selects(&rule(json!({"cvss": 7.0})), &in_a_word, now));
        assert!(!selects(&rule(json!({"cvss": 7.1})), &in_a_word, now));
        let future = Finding { published: "2999-01-01".parse().ok(), ..bare.clone() };
        assert!(selects(&rule(json!({"daysSincePublished": 1})), &future, now));
        check(json!({"epss": 0.0}), false);
        check(json!({"daysSincePublished": 9999}), true);
        check(json!({"fixAvailable": false}), true);
    }

    #[test]
    fn a_rule_that_selects_nothing_by_mistake_is_refused() {
        let check = |criteria: Value, expected: &str| {
            let found = rule(criteria.clone()).check().map_err(|e| e.to_string());
            assert!(found.err().unwrap_or_default().contains(expected), "{criteria}");
            assert_eq!(rule(criteria.clone()).check().is_ok(), expected.is_empty(), "{criteria}");
        };
        check(json!({}), "");
        check(json!({"cvss": 10.0, "epss": 1.0, "packages": ["pkg:npm/a", "pkg:npm/%40s/a@1", "a*"]}), "");
        check(json!({"cvss": 98}), "between 0 and 10");
        check(json!({"epss": 50}), "between 0 and 1");
        check(json!({"epss": -0.1}), "between 0 and 1");
        check(json!({"severity": "UNKNOWN"}), "selects nothing");
        check(json!({"packages": ["pkg:npm/lod*"]}), "pkg:npm/lod* is not a package URL");
        check(json!({"packages": ["pkg:npm"]}), "pkg:npm is not a package URL");
        check(json!({"condition": "finding.epss > 0.5"}), "");
        check(json!({"condition": "finding.epss >"}), "condition, line 1, column 15");
        check(json!({"condition": "finding.epss"}), "true or false");
        assert!(Rule::default().check().is_err());
    }

    /// A cluster takes any text: what cannot be evaluated must not let everything through.
    #[test]
    fn a_condition_that_is_none_is_fulfilled() {
        let check = |condition: &str, expected: Option<RuleMatch>| {
            let rule = rule(json!({"condition": condition}));
            let found = CompiledRule::new(&rule).matches(&JudgedFinding::new(&finding()), Timestamp::UNIX_EPOCH);
            assert_eq!(found, expected, "{condition}");
        };
        check("finding.id == 'CVE-1'", Some(RuleMatch::Fulfilled));
        check("finding.id == 'CVE-2'", None);
        check("finding.id", Some(RuleMatch::Undecided));
        check("nonsense (", Some(RuleMatch::Undecided));
        // Of the sample that an expression is tried on the list has an item.
        check("finding.id == '' || finding.packages[1].name == 'a'", Some(RuleMatch::Undecided));
    }

    #[test]
    fn a_misspelt_criterion_is_an_error() {
        let error = serde_json::from_value::<Rule>(json!({"name": "r", "fixavailable": true})).unwrap_err().to_string();
        assert!(error.contains("fixavailable") && error.contains("fixAvailable"), "{error}");
    }
}
