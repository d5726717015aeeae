//! The smallest upgrades after which no finding violates the policy. Pure.

use crate::ecosystem::Ecosystem;
use crate::finding::{Counts, Finding};
use crate::package::UNKNOWN_LAYER;
use crate::policy::{Outcome, Policy, Verdict};
use crate::report::Report;
use crate::version::VersionScheme;
use jiff::Timestamp;
use serde::{Serialize, Serializer};
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// The upgrades, and the state after them.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UpgradePlan {
    /// Upgrades, by layer, then by package.
    pub upgrades: Vec<Upgrade>,
    /// Blocking findings for which there is no fixed version.
    pub unfixed: Vec<UnfixedFinding>,
    /// Counts now.
    pub before: Counts,
    /// Counts once all upgrades are made.
    pub after: Counts,
    /// What policy will say of the image then; in JSON whether it passes.
    #[serde(rename = "passes", serialize_with = "passes")]
    pub verdict: Verdict,
}

fn passes<S: Serializer>(verdict: &Verdict, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bool(verdict.outcome == Outcome::Pass)
}

/// One package to upgrade.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Upgrade {
    /// Index of the layer that added it, from the bottom; none when it is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layer: Option<usize>,
    /// The instruction that made the layer, where the history names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    /// The package's ecosystem.
    pub ecosystem: Ecosystem,
    /// The package as advisories name it.
    pub package: String,
    /// The installed version.
    pub from: String,
    /// The smallest version that clears all blocking findings.
    pub to: String,
    /// Blocking vulnerabilities that the upgrade clears, sorted.
    pub clears: Vec<String>,
}

/// A finding that blocks and that no upgrade clears.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UnfixedFinding {
    /// The vulnerability.
    pub vulnerability: String,
    /// The package.
    pub package: String,
    /// Its version.
    pub installed_version: String,
}

/// Plans the upgrades of a report, and what policy will say of the image after them, `now`.
pub fn plan(report: &Report, policy: &Policy, now: Timestamp) -> UpgradePlan {
    let compiled = policy.compile();
    let mut by_package: BTreeMap<(&Ecosystem, &str, &str), Vec<&Finding>> = BTreeMap::new();
    for finding in &report.findings {
        let key = (&finding.ecosystem, finding.package.as_str(), finding.installed_version.as_str());
        by_package.entry(key).or_default().push(finding);
    }
    let (mut upgrades, mut unfixed, mut left) = (Vec::new(), Vec::new(), Vec::new());
    for findings in by_package.into_values() {
        let blocking = findings.iter().copied().filter(|f| compiled.violation(f, now).is_some());
        let (fixable, unfixable): (Vec<&Finding>, Vec<&Finding>) = blocking.partition(|f| !f.fixed_versions.is_empty());
        unfixed.extend(unfixable.into_iter().map(without_fix));
        match upgrade(report, &fixable) {
            Some((upgrade, scheme)) => {
                left.extend(findings.into_iter().filter(|f| !is_cleared(f, &upgrade.to, scheme)).cloned());
                upgrades.push(upgrade);
            }
            None => left.extend(findings.into_iter().cloned()),
        }
    }
    upgrades.sort_by(|a, b| (a.layer, &a.package, &a.from).cmp(&(b.layer, &b.package, &b.from)));
    let after = Report { counts: Counts::of(&left), findings: left, ..report.clone() };
    let verdict = compiled.decide(&after, now);
    UpgradePlan { upgrades, unfixed, before: report.counts, after: after.counts, verdict }
}

fn without_fix(finding: &Finding) -> UnfixedFinding {
    UnfixedFinding {
        vulnerability: finding.vulnerability.clone(),
        package: finding.package.clone(),
        installed_version: finding.installed_version.clone(),
    }
}

/// The upgrade of one package that clears all of these findings of it, and how its versions compare. `None` without a
/// finding, or for an ecosystem whose versions have no order.
fn upgrade(report: &Report, fixable: &[&Finding]) -> Option<(Upgrade, VersionScheme)> {
    let finding = fixable.first()?;
    let scheme = finding.ecosystem.version_scheme()?;
    let to = target(fixable, scheme)?.to_owned();
    let layer = fixable.iter().flat_map(|f| &f.installed).flat_map(|i| &i.locations).map(|l| l.layer).min();
    let layer = layer.filter(|layer| *layer != UNKNOWN_LAYER);
    let upgrade = Upgrade {
        layer,
        created_by: layer.and_then(|layer| report.inventory.layers.get(layer)?.created_by.clone()),
        ecosystem: finding.ecosystem.clone(),
        package: finding.package.clone(),
        from: finding.installed_version.clone(),
        to,
        clears: fixable.iter().map(|f| f.vulnerability.clone()).collect(),
    };
    Some((upgrade, scheme))
}

/// The smallest version that none of the findings applies to. Each names the fix of its own branch first, then those of
/// later branches: a version between two of them may lie in the vulnerable part of the later branch, so the next fix is
/// taken, until all agree.
fn target<'a>(findings: &[&'a Finding], order: VersionScheme) -> Option<&'a str> {
    let mut target = findings.iter().filter_map(|f| f.fixed_versions.first()).map(String::as_str);
    let first = target.next()?;
    let mut target = target.fold(first, |a, b| if order.compare(b, a) == Ordering::Greater { b } else { a });
    // Terminates: every round takes a later fix of a finite list.
    while let Some(next) = findings.iter().find(|f| !is_cleared(f, target, order)).and_then(|f| {
        f.fixed_versions.iter().map(String::as_str).find(|fixed| order.compare(fixed, target) == Ordering::Greater)
    }) {
        target = next;
    }
    Some(target)
}

/// Whether a finding certainly does not apply to a version.
fn is_cleared(finding: &Finding, version: &str, order: VersionScheme) -> bool {
    let compared = || finding.fixed_versions.iter().map(|fixed| order.compare(version, fixed));
    !finding.fixed_versions.is_empty()
        && (compared().any(|c| c == Ordering::Equal) || compared().all(|c| c == Ordering::Greater))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::IncompleteAction;
    use crate::report::testing::{finding, report};
    use crate::report::{Gap, GapKind};
    use crate::severity::Severity;

    fn found(id: &str, severity: Severity, fixed: &[&str]) -> Finding {
        let fixed_versions = fixed.iter().map(|v| (*v).to_owned()).collect();
        Finding {
            fixed_versions,
            ecosystem: "npm".into(),
            installed_version: "1.0.0".into(),
            ..finding(id, "a", severity)
        }
    }

    #[test]
    fn the_smallest_version_that_clears_what_blocks() {
        use Severity::{Critical, Medium};
        let check = |findings: Vec<Finding>, expected: Option<&str>, left: u32, passes: bool| {
            let plan = plan(&report(vec![], findings), &Policy::default(), Timestamp::UNIX_EPOCH);
            let to = plan.upgrades.first().map(|u| u.to.as_str());
            let found = (to, plan.after.total(), plan.verdict.outcome == Outcome::Pass);
            assert_eq!(found, (expected, left, passes), "{plan:?}");
        };
        check(vec![], None, 0, true);
        check(vec![found("CVE-1", Critical, &["1.0.2"]), found("CVE-2", Critical, &["1.0.5"])], Some("1.0.5"), 0, true);
        // Findings that do not block need no upgrade, and may be cleared by one.
        let mediums = || [found("CVE-2", Medium, &["1.0.1"]), found("CVE-3", Medium, &["9.0.0"])];
        check([vec![found("CVE-1", Critical, &["1.0.2"])], mediums().to_vec()].concat(), Some("1.0.2"), 1, true);
        check(vec![found("CVE-1", Critical, &[])], None, 1, false);
        // 2.0.1 clears the first, but the second was fixed on the 2.0 branch in 2.0.3 only.
        let two = vec![found("CVE-1", Critical, &["2.0.1"]), found("CVE-2", Critical, &["1.2.5", "2.0.3"])];
        check(two, Some("2.0.3"), 0, true);
    }

    #[test]
    fn the_plan_is_evaluated_as_a_scan_after_it_would_be() {
        let now: Timestamp = "2026-01-10T00:00:00Z".parse().unwrap();
        let check = |policy: Policy, built: &str, gap: bool, expected: Outcome| {
            let mut report = report(vec![], vec![found("CVE-1", Severity::Critical, &["1.0.2"])]);
            report.database.built = built.parse().ok();
            let gap = gap.then(|| Gap { kind: GapKind::NotCovered, subject: "s".into(), message: "m".into() });
            report.inventory.gaps.extend(gap);
            let plan = plan(&report, &policy, now);
            assert_eq!(plan.verdict.outcome, expected, "{policy:?} {built}");
            let json = serde_json::to_value(&plan).unwrap();
            assert_eq!(json["passes"], expected == Outcome::Pass);
        };
        let young = "2026-01-09T00:00:00Z";
        let limited = Policy { max_database_age_days: Some(5), ..Policy::default() };
        check(limited.clone(), young, false, Outcome::Pass);
        check(limited.clone(), "2026-01-01T00:00:00Z", false, Outcome::Incomplete);
        check(limited, "", false, Outcome::Incomplete);
        check(Policy::default(), young, true, Outcome::Incomplete);
        let lenient = Policy { incomplete: IncompleteAction::Allow, ..Policy::default() };
        check(lenient, young, true, Outcome::Pass);
        // Findings that block and have no fix are a violation before anything else.
        let unfixable = report(vec![], vec![found("CVE-1", Severity::Critical, &[])]);
        assert_eq!(plan(&unfixable, &Policy::default(), now).verdict.outcome, Outcome::Violated);
    }
}
