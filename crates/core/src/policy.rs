//! Policy: what a report must fulfil for its image to be approved. The one place where "fail closed" is decided.

mod age;
pub mod block_at;
mod compiled;
mod condition;
mod known;
mod rule;
#[cfg(test)]
mod tests;

pub use compiled::CompiledPolicy;
pub use condition::MAX_CONDITION;
pub use known::KnownFindings;
pub use rule::{InvalidRule, Rule};

use crate::advisory::AdvisoryClass;
use crate::finding::Finding;
use crate::report::{Gap, GapKind, Report};
use crate::severity::Severity;
use age::TooOld;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The conditions for an image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Policy {
    /// Findings of this severity or worse block; `None`, in JSON `NEVER`: the rules alone say which. For `Unknown` findings
    /// `unrated` alone counts.
    #[serde(with = "block_at")]
    pub block_at: Option<Severity>,
    /// Findings that one of these selects block.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Rule>,
    /// What a finding without a rating does.
    pub unrated: UnratedAction,
    /// What an incomplete report does.
    pub incomplete: IncompleteAction,
    /// Days after which a database is too old to know what matters: its reports are incomplete. `None`: it may be of
    /// any age.
    pub max_database_age_days: Option<u32>,
}

/// The age limit of a database in days where a policy says none, as Grype's `max-allowed-built-age` (120 h): long enough for a
/// weekend's failure of a daily renewal, and short enough that a new vulnerability is found within a week.
pub const MAX_DATABASE_AGE_DAYS: u32 = 5;

impl Default for Policy {
    /// No critical vulnerability; unrated findings warn; incomplete reports are held; a database of five days is too old.
    fn default() -> Self {
        Policy {
            block_at: Some(Severity::Critical),
            rules: Vec::new(),
            unrated: UnratedAction::Warn,
            incomplete: IncompleteAction::Hold,
            max_database_age_days: Some(MAX_DATABASE_AGE_DAYS),
        }
    }
}

/// What a finding without any rating does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default, PartialOrd, Ord)]
pub enum UnratedAction {
    /// Nothing.
    Allow,
    /// It is mentioned.
    #[default]
    Warn,
    /// It blocks.
    Hold,
}

/// What a report that could not see everything does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default, PartialOrd, Ord)]
pub enum IncompleteAction {
    /// It is mentioned.
    Allow,
    /// It blocks.
    #[default]
    Hold,
}

impl Policy {
    /// The stricter of two policies in every field, and the rules of both: what applies where both do.
    #[must_use]
    pub fn strictest(&self, other: &Policy) -> Policy {
        let mut rules = self.rules.clone();
        rules.extend(other.rules.iter().filter(|rule| !self.rules.contains(rule)).cloned());
        Policy {
            block_at: [self.block_at, other.block_at].into_iter().flatten().min(),
            rules,
            unrated: self.unrated.max(other.unrated),
            incomplete: self.incomplete.max(other.incomplete),
            max_database_age_days: [self.max_database_age_days, other.max_database_age_days]
                .into_iter()
                .flatten()
                .min(),
        }
    }
}

/// What policy says of a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// The result.
    pub outcome: Outcome,
    /// Why, one sentence each; empty for a clean pass.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
    /// The reasons that rules give, which `reasons` has too: the severity of a finding does not explain them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub by_rules: Vec<String>,
    /// Findings and gaps that the policy allows and that deserve attention.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// The gaps that the day of the evaluation makes, which reasons or warnings name too: the report depends on no clock.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gaps: Vec<Gap>,
    /// Facts that are too old and that the policy does not use, which warnings name too: which findings are exploited.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<String>,
}

impl Verdict {
    /// A verdict that another program made, of which only the outcome is known.
    pub fn of(outcome: Outcome) -> Self {
        Verdict { outcome, reasons: vec![], by_rules: vec![], warnings: vec![], gaps: vec![], remarks: vec![] }
    }
}

/// The results of policy, least severe first. A violation wins over incompleteness: it is certain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, PartialOrd, Ord)]
pub enum Outcome {
    /// The image may be approved.
    Pass,
    /// The report has gaps, or its database is too old.
    Incomplete,
    /// The policy is violated.
    Violated,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Outcome::Pass => "pass",
            Outcome::Incomplete => "incomplete",
            Outcome::Violated => "violated",
        })
    }
}

/// Why a finding by itself violates a policy.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Violation<'a> {
    /// The package is malicious.
    Malware,
    /// By its severity, or for having none.
    Severity,
    /// By a rule.
    Rule(&'a Rule),
    /// By a rule whose condition cannot be evaluated.
    UndecidedRule(&'a Rule),
}

/// Evaluates a report, `now`; [`CompiledPolicy::decide`] for many reports.
pub fn decide(report: &Report, policy: &Policy, now: Timestamp) -> Verdict {
    policy.compile().decide(report, now)
}

impl CompiledPolicy<'_> {
    /// Evaluates a report, `now`: what the gate, reports and every command decide by.
    pub fn decide(&self, report: &Report, now: Timestamp) -> Verdict {
        let policy = self.policy;
        let (mut reasons, mut by_rules, mut warnings) = (Vec::new(), Vec::new(), Vec::new());
        for finding in &report.findings {
            match self.violation(finding, now) {
                Some(Violation::Rule(rule)) => {
                    by_rules.push(format!("{}, by rule {}", sentence(finding, policy), rule.name));
                }
                Some(Violation::UndecidedRule(rule)) => by_rules.push(format!(
                    "{}, by rule {}, whose condition cannot be evaluated; kubectl scan policy test FILE says why",
                    sentence(finding, policy),
                    rule.name
                )),
                Some(Violation::Malware | Violation::Severity) => reasons.push(sentence(finding, policy)),
                None if finding.severity == Severity::Unknown && policy.unrated == UnratedAction::Warn => {
                    warnings.push(sentence(finding, policy));
                }
                None => {}
            }
        }
        reasons.extend(by_rules.iter().cloned());
        let violated = !reasons.is_empty();
        let TooOld { mut gaps, remarks } = age::too_old(report, self, now);
        gaps.extend(end_of_support(report, now));
        warnings.extend(remarks.iter().cloned());
        let incomplete: Vec<String> = report.inventory.gaps.iter().chain(&gaps).map(gap_sentence).collect();
        let held = policy.incomplete == IncompleteAction::Hold && !incomplete.is_empty();
        if held { &mut reasons } else { &mut warnings }.extend(incomplete);
        let outcome = match (violated, held) {
            (true, _) => Outcome::Violated,
            (false, true) => Outcome::Incomplete,
            (false, false) => Outcome::Pass,
        };
        Verdict { outcome, reasons, by_rules, warnings, gaps, remarks }
    }
}

impl CompiledPolicy<'_> {
    /// Evaluates all reports of an image, one for each platform: the worst outcome, and every reason once. Without any report
    /// nothing is known.
    pub fn decide_all(&self, reports: &[Report], now: Timestamp) -> Verdict {
        let mut all = Verdict::of(Outcome::Incomplete);
        for (place, verdict) in reports.iter().map(|report| self.decide(report, now)).enumerate() {
            all.outcome = if place == 0 { verdict.outcome } else { all.outcome.max(verdict.outcome) };
            add_new(&mut all.reasons, verdict.reasons);
            add_new(&mut all.by_rules, verdict.by_rules);
            add_new(&mut all.warnings, verdict.warnings);
            add_new(&mut all.gaps, verdict.gaps);
            add_new(&mut all.remarks, verdict.remarks);
        }
        all
    }
}

fn add_new<T: PartialEq>(all: &mut Vec<T>, more: Vec<T>) {
    for one in more {
        if !all.contains(&one) {
            all.push(one);
        }
    }
}

fn sentence(f: &Finding, policy: &Policy) -> String {
    let fix = f.fixed_versions.first().map_or_else(|| "no fixed version".to_owned(), |v| format!("fixed in {v}"));
    let counts = if f.severity == Severity::Unknown { counts_unrated(f, policy) } else { "" };
    format!("{} ({}{counts}) in {} {}, {fix}", f.vulnerability, f.severity, f.package, f.installed_version)
}

/// What policy does with a finding that no source rates.
fn counts_unrated(finding: &Finding, policy: &Policy) -> &'static str {
    match policy.unrated {
        _ if finding.class == AdvisoryClass::Malware => ": malware blocks without a rating",
        UnratedAction::Hold => ": no source rates it, which the policy holds",
        UnratedAction::Warn | UnratedAction::Allow => ": no source rates it, which the policy allows",
    }
}

/// The gap of a release without advisories: none tells of a new vulnerability. Days are those of UTC, so that the verdict
/// of one moment is the same everywhere.
fn end_of_support(report: &Report, now: Timestamp) -> Option<Gap> {
    let support = report.support.as_ref()?;
    let (until, release) = (support.advisories_until(), &support.ecosystem);
    (until < now.to_zoned(TimeZone::UTC).date()).then(|| Gap {
        kind: GapKind::EndOfSupport,
        subject: release.to_string(),
        message: format!("{release} has had no advisories since {until}; move to a release that is supported"),
    })
}

fn gap_sentence(gap: &Gap) -> String {
    format!("{:?}: {}", gap.kind, gap.message)
}
