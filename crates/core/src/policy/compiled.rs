//! A policy with its patterns parsed: once for all findings of all reports that it judges.

use super::condition::{FindingField, RuleCondition};
use super::rule::{highest_score, is_dead_purl, is_older};
use super::{Policy, Rule, UnratedAction, Violation};
use crate::advisory::AdvisoryClass;
use crate::finding::{Finding, InstalledPackage};
use crate::pattern::Pattern;
use crate::report::FeedContent;
use crate::severity::Severity;
use crate::target::{PurlPattern, TargetPattern};
use jiff::Timestamp;
use std::cell::OnceCell;

/// A policy that is ready to judge.
#[derive(Debug, Clone)]
pub struct CompiledPolicy<'a> {
    pub(super) policy: &'a Policy,
    pub(super) rules: Vec<CompiledRule<'a>>,
}

/// A rule whose packages and paths are parsed.
#[derive(Debug, Clone)]
pub(super) struct CompiledRule<'a> {
    rule: &'a Rule,
    /// Empty: every package.
    targets: Vec<TargetPattern>,
    /// Empty: every path.
    paths: Vec<Pattern>,
    condition: CompiledCondition,
}

/// The condition of a rule.
#[derive(Debug, Clone)]
enum CompiledCondition {
    None,
    Some(RuleCondition),
    /// A text that is no condition. A cluster takes any.
    Invalid,
}

impl CompiledCondition {
    fn reads(&self, field: FindingField) -> bool {
        matches!(self, CompiledCondition::Some(condition) if condition.reads(field))
    }
}

/// How a finding fulfils a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RuleMatch {
    /// All criteria are fulfilled.
    Fulfilled,
    /// All others are, and the condition cannot be evaluated: it must not let through what it was meant to block.
    Undecided,
}

impl Policy {
    /// Parses the patterns of all rules.
    #[must_use]
    pub fn compile(&self) -> CompiledPolicy<'_> {
        CompiledPolicy { policy: self, rules: self.rules.iter().map(CompiledRule::new).collect() }
    }
}

impl<'a> CompiledPolicy<'a> {
    /// Why a finding by itself violates the policy, `now`; `None`: it does not.
    pub fn violation(&self, finding: &Finding, now: Timestamp) -> Option<Violation<'a>> {
        let too_severe = match finding.severity {
            Severity::Unknown => self.policy.unrated == UnratedAction::Hold,
            rated => self.policy.block_at.is_some_and(|least| rated >= least.max(Severity::Negligible)),
        };
        if finding.class == AdvisoryClass::Malware {
            Some(Violation::Malware)
        } else if too_severe {
            Some(Violation::Severity)
        } else {
            let judged = JudgedFinding::new(finding);
            self.rules.iter().find_map(|compiled| compiled.violation(&judged, now))
        }
    }
}

impl<'a> CompiledRule<'a> {
    pub(super) fn new(rule: &'a Rule) -> Self {
        // A cluster takes any text: one that can fit nothing must not let everything through, and so fits every package.
        let any_dead = rule.packages.iter().any(|text| is_dead_purl(text));
        let packages = if any_dead { &[] } else { rule.packages.as_slice() };
        CompiledRule {
            rule,
            targets: packages.iter().map(|text| TargetPattern::parse(text)).collect(),
            paths: rule.paths.iter().map(|text| Pattern::from(text.as_str())).collect(),
            condition: match rule.condition.as_deref().map(RuleCondition::parse) {
                None => CompiledCondition::None,
                Some(Ok(condition)) => CompiledCondition::Some(condition),
                Some(Err(_)) => CompiledCondition::Invalid,
            },
        }
    }

    /// Its name.
    pub(super) fn name(&self) -> &'a str {
        &self.rule.name
    }

    /// Whether it needs facts of this kind: without them nothing would fulfil it, or everything.
    pub(super) fn needs(&self, content: FeedContent) -> bool {
        match content {
            FeedContent::KnownExploited => {
                self.rule.known_exploited.is_some() || self.condition.reads(FindingField::KnownExploited)
            }
            FeedContent::ExploitProbability => self.rule.epss.is_some() || self.condition.reads(FindingField::Epss),
            // Advisories have ratings of their own.
            FeedContent::Ratings | FeedContent::Advisories | FeedContent::EndsOfSupport => false,
        }
    }

    fn violation(&self, judged: &JudgedFinding<'_>, now: Timestamp) -> Option<Violation<'a>> {
        Some(match self.matches(judged, now)? {
            RuleMatch::Fulfilled => Violation::Rule(self.rule),
            RuleMatch::Undecided => Violation::UndecidedRule(self.rule),
        })
    }

    /// Whether and how a finding fulfils all criteria, `now`. The condition comes last: it costs most.
    pub(super) fn matches(&self, judged: &JudgedFinding<'_>, now: Timestamp) -> Option<RuleMatch> {
        if !self.selects(judged, now) {
            return None;
        }
        match &self.condition {
            CompiledCondition::None => Some(RuleMatch::Fulfilled),
            CompiledCondition::Invalid => Some(RuleMatch::Undecided),
            CompiledCondition::Some(condition) => match condition.selects(judged.finding, now) {
                Ok(true) => Some(RuleMatch::Fulfilled),
                Ok(false) => None,
                Err(_) => Some(RuleMatch::Undecided),
            },
        }
    }

    /// Whether a finding fulfils all criteria but the condition.
    fn selects(&self, judged: &JudgedFinding<'_>, now: Timestamp) -> bool {
        let (rule, finding) = (self.rule, judged.finding);
        let at_least = |limit: Option<f64>, value: Option<f64>| limit.is_none_or(|l| value.is_some_and(|v| v >= l));
        let is = |wanted: Option<bool>, value: bool| wanted.is_none_or(|wanted| wanted == value);
        rule.severity.is_none_or(|least| finding.severity >= least.max(Severity::Negligible))
            && at_least(rule.cvss, highest_score(finding))
            && at_least(rule.epss, finding.epss.map(|epss| epss.score))
            && is(rule.known_exploited, finding.kev.is_some())
            && is(rule.fix_available, !finding.fixed_versions.is_empty())
            && rule.days_since_published.is_none_or(|days| is_older(finding, days, now))
            && rule.passes_over.as_ref().is_none_or(|known| !known.has(finding))
            && self.concerns_package_of(judged)
    }

    fn concerns_package_of(&self, judged: &JudgedFinding<'_>) -> bool {
        // Of no list a finding without installed packages is fulfilled, too.
        let any = self.rule.packages.is_empty() && self.paths.is_empty();
        let mut installed = judged.finding.installed.iter().enumerate();
        any || installed.any(|(place, package)| self.is_package(judged, place, package) && self.is_at_path(package))
    }

    fn is_package(&self, judged: &JudgedFinding<'_>, place: usize, package: &InstalledPackage) -> bool {
        let is = |target: &TargetPattern| target.is_package_with(judged.finding, package, || judged.purl(place));
        self.targets.is_empty() || self.targets.iter().any(is)
    }

    fn is_at_path(&self, package: &InstalledPackage) -> bool {
        let fits = |path: &str| self.paths.iter().any(|pattern| pattern.matches(path));
        let mut paths = package.locations.iter().map(|location| &location.path);
        self.paths.is_empty() || paths.any(|path| fits(path) || fits(&format!("/{path}")))
    }
}

/// A finding with what is made of it when the first rule asks for it.
pub(super) struct JudgedFinding<'a> {
    finding: &'a Finding,
    /// Of its installed packages, in their order.
    purls: OnceCell<Vec<Option<PurlPattern>>>,
}

impl<'a> JudgedFinding<'a> {
    pub(super) fn new(finding: &'a Finding) -> Self {
        JudgedFinding { finding, purls: OnceCell::new() }
    }

    fn purl(&self, place: usize) -> Option<&PurlPattern> {
        let parse = || self.finding.installed.iter().map(|installed| PurlPattern::parse(&installed.purl)).collect();
        self.purls.get_or_init(parse).get(place)?.as_ref()
    }
}
