//! The smallest upgrades after which a policy no longer blocks. Pure.

use crate::ecosystem::Ecosystem;
use crate::finding::{Counts, Finding};
use crate::policy::{self, Policy};
use crate::report::Report;
use crate::version::Order;
use serde::Serialize;
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// What to do, and what is left after it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// Upgrades, by layer, then by package.
    pub upgrades: Vec<Upgrade>,
    /// Blocking findings for which there is no fixed version.
    pub unfixed: Vec<Unfixed>,
    /// Counts now.
    pub before: Counts,
    /// Counts once all upgrades are made.
    pub after: Counts,
    /// Whether the policy lets the image pass then.
    pub passes: bool,
}

/// One package to upgrade.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Upgrade {
    /// Index of the layer that brought it, from the bottom; none when it is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layer: Option<usize>,
    /// The instruction that made the layer, where the history tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    /// Ecosystem that judges the package.
    pub ecosystem: String,
    /// The package as advisories name it.
    pub package: String,
    /// The installed version.
    pub from: String,
    /// The smallest version that clears what blocks.
    pub to: String,
    /// Blocking vulnerabilities that the upgrade clears, sorted.
    pub clears: Vec<String>,
}

/// A finding that blocks and that no upgrade clears.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Unfixed {
    /// The vulnerability.
    pub vulnerability: String,
    /// The package.
    pub package: String,
    /// Its version.
    pub installed_version: String,
}

/// Plans the upgrades of a report under a policy.
pub fn plan(report: &Report, policy: &Policy) -> Plan {
    let mut subjects: BTreeMap<(&str, &str, &str), Vec<&Finding>> = BTreeMap::new();
    for finding in &report.findings {
        let key = (finding.ecosystem.as_str(), finding.package.as_str(), finding.installed_version.as_str());
        subjects.entry(key).or_default().push(finding);
    }
    let (mut upgrades, mut unfixed, mut left) = (Vec::new(), Vec::new(), Vec::new());
    for ((ecosystem, package, from), findings) in subjects {
        let blocking: Vec<&Finding> = findings.iter().copied().filter(|f| policy::blocks(f, policy)).collect();
        let (fixable, hopeless): (Vec<&Finding>, Vec<&Finding>) =
            blocking.into_iter().partition(|f| !f.fixed_versions.is_empty());
        unfixed.extend(hopeless.iter().map(|f| Unfixed {
            vulnerability: f.vulnerability.clone(),
            package: package.to_owned(),
            installed_version: from.to_owned(),
        }));
        let order = Ecosystem::from(ecosystem).order();
        let Some((order, to)) = order.and_then(|order| Some((order, target(&fixable, order)?))) else {
            left.extend(findings);
            continue;
        };
        let layer = fixable.iter().flat_map(|f| &f.installed).flat_map(|i| &i.locations).map(|l| l.layer).min();
        upgrades.push(Upgrade {
            layer,
            created_by: layer.and_then(|l| report.inventory.layers.get(l)?.created_by.clone()),
            ecosystem: ecosystem.to_owned(),
            package: package.to_owned(),
            from: from.to_owned(),
            to: to.to_owned(),
            clears: fixable.iter().map(|f| f.vulnerability.clone()).collect(),
        });
        left.extend(findings.into_iter().filter(|f| !is_cleared(f, to, order)));
    }
    upgrades.sort_by(|a, b| (a.layer, &a.package, &a.from).cmp(&(b.layer, &b.package, &b.from)));
    let left: Vec<Finding> = left.into_iter().cloned().collect();
    let passes = report.complete && !left.iter().any(|f| policy::blocks(f, policy));
    Plan { upgrades, unfixed, before: report.counts, after: Counts::of(&left), passes }
}

/// The smallest version at which none of the findings holds. Each names the fix of its own branch first, then those of
/// later branches: a version between two of them may lie in the vulnerable part of the later branch, so the next fix is
/// taken, until all agree.
fn target<'a>(findings: &[&'a Finding], order: Order) -> Option<&'a str> {
    let mut target = findings.iter().filter_map(|f| f.fixed_versions.first()).map(String::as_str);
    let first = target.next()?;
    let mut target = target.fold(first, |a, b| if order.compare(b, a) == Ordering::Greater { b } else { a });
    // Every round takes a later fix of a finite list.
    while let Some(next) = findings.iter().find(|f| !is_cleared(f, target, order)).and_then(|f| {
        f.fixed_versions.iter().map(String::as_str).find(|fixed| order.compare(fixed, target) == Ordering::Greater)
    }) {
        target = next;
    }
    Some(target)
}

/// Whether a finding surely no longer holds at a version.
fn is_cleared(finding: &Finding, version: &str, order: Order) -> bool {
    let compared = || finding.fixed_versions.iter().map(|fixed| order.compare(version, fixed));
    !finding.fixed_versions.is_empty()
        && (compared().any(|c| c == Ordering::Equal) || compared().all(|c| c == Ordering::Greater))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::testing::{finding, report};
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
            let plan = plan(&report(vec![], findings), &Policy::default());
            let to = plan.upgrades.first().map(|u| u.to.as_str());
            assert_eq!((to, plan.after.total(), plan.passes), (expected, left, passes), "{plan:?}");
        };
        check(vec![], None, 0, true);
        check(vec![found("CVE-1", Critical, &["1.0.2"]), found("CVE-2", Critical, &["1.0.5"])], Some("1.0.5"), 0, true);
        // What does not block asks for nothing, but may go with the rest.
        let mediums = || [found("CVE-2", Medium, &["1.0.1"]), found("CVE-3", Medium, &["9.0.0"])];
        check([vec![found("CVE-1", Critical, &["1.0.2"])], mediums().to_vec()].concat(), Some("1.0.2"), 1, true);
        check(vec![found("CVE-1", Critical, &[])], None, 1, false);
        // 2.0.1 clears the first, but the second was fixed on the 2.0 branch in 2.0.3 only.
        let two = vec![found("CVE-1", Critical, &["2.0.1"]), found("CVE-2", Critical, &["1.2.5", "2.0.3"])];
        check(two, Some("2.0.3"), 0, true);
    }
}
