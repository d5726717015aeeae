//! Policy: what a report must look like for its image to be approved. The one place where "fail closed" is decided.

use crate::finding::{Counts, Finding};
use crate::report::{Gap, Report};
use crate::severity::Severity;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What is asked of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Policy {
    /// Findings of this severity or worse block. `Unknown` findings are judged by `unrated` alone.
    pub block_at: Severity,
    /// What a finding nobody rated does.
    pub unrated: Unrated,
    /// What an incomplete report does.
    pub incomplete: Incomplete,
}

impl Default for Policy {
    /// No critical vulnerability; unrated findings warn; incomplete reports are held.
    fn default() -> Self {
        Policy { block_at: Severity::Critical, unrated: Unrated::Warn, incomplete: Incomplete::Hold }
    }
}

/// What a finding without any rating does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default, PartialOrd, Ord)]
pub enum Unrated {
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
pub enum Incomplete {
    /// It is mentioned.
    Allow,
    /// It blocks.
    #[default]
    Hold,
}

impl Policy {
    /// The stricter of two policies in every field: what applies where both do.
    pub fn strictest(&self, other: &Policy) -> Policy {
        Policy {
            block_at: self.block_at.min(other.block_at),
            unrated: self.unrated.max(other.unrated),
            incomplete: self.incomplete.max(other.incomplete),
        }
    }
}

/// The answer to one report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// The answer.
    pub outcome: Outcome,
    /// Why, one sentence each; empty for a clean pass.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
    /// What was let through but deserves a look.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// The kinds of answers. Violations win over incompleteness: they are certain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, PartialOrd, Ord)]
pub enum Outcome {
    /// Nothing stands against it.
    Pass,
    /// Not everything was seen.
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

/// Judges a report.
pub fn decide(report: &Report, policy: &Policy) -> Verdict {
    let mut reasons = Vec::new();
    let mut warnings = Vec::new();
    let blocking: Vec<&Finding> = report
        .findings
        .iter()
        .filter(|f| f.severity != Severity::Unknown && f.severity >= policy.block_at.max(Severity::Negligible))
        .collect();
    reasons.extend(blocking.iter().map(|f| sentence(f)));
    for finding in report.findings.iter().filter(|f| f.severity == Severity::Unknown) {
        match policy.unrated {
            Unrated::Hold => reasons.push(sentence(finding)),
            Unrated::Warn => warnings.push(sentence(finding)),
            Unrated::Allow => {}
        }
    }
    let violated = !reasons.is_empty();
    let incomplete = report.inventory.gaps.iter().map(gap_sentence);
    let held = match policy.incomplete {
        Incomplete::Hold if !report.complete => {
            reasons.extend(incomplete);
            true
        }
        _ => {
            warnings.extend(incomplete);
            false
        }
    };
    let outcome = match (violated, held) {
        (true, _) => Outcome::Violated,
        (false, true) => Outcome::Incomplete,
        (false, false) => Outcome::Pass,
    };
    Verdict { outcome, reasons, warnings }
}

/// How many findings the policy blocks on.
pub fn blocking(counts: Counts, policy: &Policy) -> u32 {
    let rated = Severity::WORST_FIRST.into_iter().filter(|s| *s != Severity::Unknown && *s >= policy.block_at);
    let unrated = if policy.unrated == Unrated::Hold { counts.unknown } else { 0 };
    rated.map(|s| counts.get(s)).sum::<u32>() + unrated
}

fn sentence(f: &Finding) -> String {
    let fix = f.fixed_versions.first().map_or_else(|| "no fixed version".to_owned(), |v| format!("fixed in {v}"));
    format!("{} ({}) in {} {}, {fix}", f.vulnerability, f.severity, f.package, f.installed_version)
}

fn gap_sentence(gap: &Gap) -> String {
    format!("{:?}: {}", gap.kind, gap.message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advisory::FixState;
    use crate::ecosystem::Os;
    use crate::report::{DatabaseInfo, GapKind, ImageInfo, Inventory};

    fn report(severities: &[Severity], gaps: &[GapKind]) -> Report {
        let digest = || format!("sha256:{}", "0".repeat(64)).parse().unwrap();
        let image = ImageInfo {
            name: "x".into(),
            digest: digest(),
            index_digest: None,
            config_digest: digest(),
            platform: "linux/amd64".parse().unwrap(),
        };
        let gap = |kind: &GapKind| Gap { kind: *kind, subject: "s".into(), message: "m".into() };
        let gaps = gaps.iter().map(gap).collect();
        let inventory = Inventory { image, layers: vec![], os: Some(Os::default()), packages: vec![], gaps };
        Report::new(inventory, DatabaseInfo::default(), severities.iter().map(|s| finding(*s)).collect(), vec![])
    }

    fn finding(severity: Severity) -> Finding {
        Finding {
            vulnerability: "CVE-1".into(),
            advisory: "CVE-1".into(),
            ecosystem: "Debian:12".into(),
            package: "p".into(),
            installed_version: "1".into(),
            fixed_versions: vec!["2".into()],
            fix_state: FixState::Fixed,
            severity,
            ..Finding::default()
        }
    }

    #[test]
    fn the_policy_decides() {
        use Severity::{Critical, High, Medium, Unknown};
        let check = |policy: &Policy, found: &[Severity], gaps: &[GapKind], expected: Outcome| {
            let verdict = decide(&report(found, gaps), policy);
            assert_eq!(verdict.outcome, expected, "{found:?} {gaps:?}");
            assert_eq!(verdict.reasons.is_empty(), expected == Outcome::Pass);
        };
        let default = Policy::default();
        check(&default, &[], &[], Outcome::Pass);
        check(&default, &[Medium, High], &[], Outcome::Pass);
        check(&default, &[Critical], &[], Outcome::Violated);
        check(&default, &[Unknown], &[], Outcome::Pass);
        check(&default, &[], &[GapKind::NotCovered], Outcome::Incomplete);
        check(&default, &[Critical], &[GapKind::NotCovered], Outcome::Violated);
        check(&Policy { unrated: Unrated::Hold, ..default.clone() }, &[Unknown], &[], Outcome::Violated);
        check(&Policy { block_at: Medium, ..default.clone() }, &[Medium], &[], Outcome::Violated);
        check(&Policy { block_at: Unknown, ..default.clone() }, &[Unknown], &[], Outcome::Pass);
        check(&Policy { incomplete: Incomplete::Allow, ..default }, &[], &[GapKind::NotCovered], Outcome::Pass);
    }

    #[test]
    fn the_strictest_of_two_takes_the_worse_of_each_field() {
        let a = Policy { block_at: Severity::High, unrated: Unrated::Allow, incomplete: Incomplete::Hold };
        let b = Policy { block_at: Severity::Critical, unrated: Unrated::Hold, incomplete: Incomplete::Allow };
        let both = Policy { block_at: Severity::High, unrated: Unrated::Hold, incomplete: Incomplete::Hold };
        assert_eq!(a.strictest(&b), both);
        assert_eq!(b.strictest(&a), both);
    }
}
