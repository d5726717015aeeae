//! What a report says of one image: a result for each finding, for what could not be seen, and for an image without either.

use super::RevisionImage;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};
use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeMap, BTreeSet};
use tidewaiter_core::Reason;
use tidewaiter_core::advisory::AdvisoryClass;
use tidewaiter_core::finding::{Finding, SuppressedFinding};
use tidewaiter_core::policy::{CompiledPolicy, IncompleteAction, Policy, Violation};
use tidewaiter_core::report::{Gap, Report};
use tidewaiter_core::severity::Severity;

/// Bytes of a text in a report: an advisory's summary may be a page.
pub(super) const MAX_TEXT: usize = 500;
/// Rules of results that are not about a finding.
const SCAN_COMPLETE: &str = "scan-complete";
const NO_VULNERABILITIES: &str = "no-vulnerabilities";

/// The outcome of a rule, worst first; the words are those of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum RuleOutcome {
    /// It could not be seen.
    Error,
    /// The namespace's policy does not allow the finding.
    Fail,
    /// It does.
    Warn,
    /// An exception accepts the finding.
    Skip,
    /// Nothing was found.
    Pass,
}

/// What is said of one finding, or of an image without any.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct RuleResult {
    pub(super) result: RuleOutcome,
    policy: String,
    rule: String,
    category: &'static str,
    severity: Option<Severity>,
    message: String,
    properties: BTreeMap<&'static str, String>,
}

impl RuleResult {
    /// The same with texts that are no longer than they may be, and take no more memory.
    pub(super) fn shortened(mut self) -> Self {
        let texts = [&mut self.policy, &mut self.rule, &mut self.message];
        for text in texts.into_iter().chain(self.properties.values_mut()) {
            text.truncate(text.floor_char_boundary(MAX_TEXT));
            text.shrink_to_fit();
        }
        self
    }

    /// Worst first, then by name: the same findings are always in the same order.
    pub(super) fn order(a: &Self, b: &Self) -> Ordering {
        let exploited = |result: &Self| result.properties.contains_key("knownExploited");
        let key = |result: &Self| (result.result, Reverse(result.severity), Reverse(exploited(result)));
        let names = || (&a.rule, &a.properties, &a.message).cmp(&(&b.rule, &b.properties, &b.message));
        key(a).cmp(&key(b)).then_with(names)
    }

    /// As the APIs have it. Without a time: the day's scan of the same findings must not write every report again.
    pub(super) fn value(&self, source: &str) -> Value {
        let mut value = json!({
            "source": source,
            "policy": self.policy,
            "rule": self.rule,
            "category": self.category,
            "result": self.result,
            // What policy allows does not count against the workload.
            "scored": self.result != RuleOutcome::Warn,
            "message": self.message,
            "properties": self.properties,
        });
        if let Some(severity) = self.severity.and_then(severity_of_api) {
            value["severity"] = json!(severity);
        }
        value
    }
}

/// A severity as the APIs know it; none for what nobody rates.
fn severity_of_api(severity: Severity) -> Option<&'static str> {
    match severity {
        Severity::Critical => Some("critical"),
        Severity::High => Some("high"),
        Severity::Medium => Some("medium"),
        Severity::Low => Some("low"),
        Severity::Negligible => Some("info"),
        Severity::Unknown => None,
    }
}

/// What judges the findings of a namespace.
#[derive(Debug)]
pub(crate) struct ReportJudge<'a> {
    /// The names of the policies that apply, by commas.
    policies: String,
    criteria: &'a Policy,
    compiled: CompiledPolicy<'a>,
    now: Timestamp,
}

impl<'a> ReportJudge<'a> {
    /// The policies of these names, which say `criteria` together, `now`.
    pub(crate) fn new(policies: &[String], criteria: &'a Policy, now: Timestamp) -> Self {
        let names = if policies.is_empty() { "tidewaiter's defaults".to_owned() } else { policies.join(", ") };
        ReportJudge { policies: names, criteria, compiled: criteria.compile(), now }
    }

    /// What is said of an image without findings and gaps.
    pub(super) fn without_findings(&self, image: &RevisionImage) -> RuleResult {
        let message = format!("No vulnerabilities found in {}", image.image);
        self.about(image, RuleOutcome::Pass, NO_VULNERABILITIES, message)
    }

    /// What is said of a finding.
    pub(super) fn finding(&self, image: &RevisionImage, finding: &Finding) -> RuleResult {
        let violation = self.compiled.violation(finding, self.now);
        let outcome = if violation.is_some() { RuleOutcome::Fail } else { RuleOutcome::Warn };
        let by_rule = match violation {
            Some(Violation::Rule(rule) | Violation::UndecidedRule(rule)) => {
                format!("; not allowed by rule {}", rule.name)
            }
            Some(Violation::Malware | Violation::Severity) | None => String::new(),
        };
        let message = format!("{}{by_rule}", sentence(image, finding));
        let mut result = self.about(image, outcome, &finding.vulnerability, message);
        describe(&mut result, finding);
        result
    }

    /// What is said of a finding that an exception accepts.
    pub(super) fn excepted(&self, image: &RevisionImage, suppressed: &SuppressedFinding) -> RuleResult {
        let message = format!("excepted: {}; {}", suppressed.reason, sentence(image, &suppressed.finding));
        let mut result = self.about(image, RuleOutcome::Skip, &suppressed.finding.vulnerability, message);
        describe(&mut result, &suppressed.finding);
        result.properties.insert("exception", suppressed.source.clone());
        result
    }

    /// What policy cannot rely on `now` although the scan saw it.
    pub(super) fn gaps_of_this_day(&self, report: &Report) -> Vec<Gap> {
        self.compiled.decide_all(std::slice::from_ref(report), self.now).gaps
    }

    /// What the scan could not see, in one result: the report in the store has each gap.
    pub(super) fn incomplete(&self, image: &RevisionImage, number: usize, named: &BTreeSet<Gap>) -> RuleResult {
        let named: Vec<&str> = named.iter().map(|gap| gap.message.as_str()).collect();
        let outcome = match self.criteria.incomplete {
            IncompleteAction::Hold => RuleOutcome::Error,
            IncompleteAction::Allow => RuleOutcome::Warn,
        };
        let message = format!("{}: {number} gaps of the scan: {}", image.image, named.join("; "));
        self.about(image, outcome, SCAN_COMPLETE, message)
    }

    /// Why the scan of an image failed.
    pub(super) fn failed(&self, image: &RevisionImage) -> RuleResult {
        let status = &image.status;
        let reason = status.reason.as_ref().map_or("ScanFailed", Reason::as_str);
        let message = format!("{}: {}", image.image, status.message);
        let mut result = self.about(image, RuleOutcome::Error, SCAN_COMPLETE, message);
        result.properties.insert("reason", reason.to_owned());
        result
    }

    fn about(&self, image: &RevisionImage, result: RuleOutcome, rule: &str, message: String) -> RuleResult {
        let mut properties =
            BTreeMap::from([("image", image.image.clone()), ("containers", image.containers.join(", "))]);
        if let Some(digest) = &image.status.digest {
            properties.insert("digest", digest.clone());
        }
        let (policy, rule) = (self.policies.clone(), rule.to_owned());
        RuleResult { result, policy, rule, category: "Scan", severity: None, message, properties }
    }
}

/// With the image: Policy Reporter takes results of one workload, policy, rule and message for the same one.
fn sentence(image: &RevisionImage, finding: &Finding) -> String {
    let fix = finding.fixed_versions.first().map_or_else(|| "no fixed version".to_owned(), |v| format!("fixed in {v}"));
    let what = if finding.summary.is_empty() { &finding.vulnerability } else { &finding.summary };
    format!("{} {} in {}: {what}; {fix}", finding.package, finding.installed_version, image.image)
}

/// Adds what is known of a finding that no day changes: not the EPSS score.
fn describe(result: &mut RuleResult, finding: &Finding) {
    result.category = match finding.class {
        AdvisoryClass::Malware => "Malware",
        _ => "Vulnerability",
    };
    result.severity = Some(finding.severity);
    let properties = &mut result.properties;
    properties.insert("package", finding.package.clone());
    properties.insert("ecosystem", finding.ecosystem.to_string());
    properties.insert("installedVersion", finding.installed_version.clone());
    if let Some(fixed) = finding.fixed_versions.first() {
        properties.insert("fixedVersion", fixed.clone());
    }
    if finding.kev.is_some() {
        properties.insert("knownExploited", "true".to_owned());
    }
}
