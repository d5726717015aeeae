//! Two reports compared: packages and findings that were added, removed or changed. Pure.

use crate::finding::{Counts, Finding};
use crate::package::PackageType;
use crate::report::Report;
use crate::severity::Severity;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// What changed from one image to another.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReportDiff {
    /// Packages whose versions differ, by type and name.
    pub packages: Vec<PackageChange>,
    /// Findings that differ, worst first.
    pub findings: Vec<FindingChange>,
    /// Counts of the old image.
    pub old: Counts,
    /// Counts of the new image.
    pub new: Counts,
    /// Whether both reports saw everything; otherwise what is missing may only not have been seen.
    pub complete: bool,
}

/// One package of which other versions are installed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PackageChange {
    /// Its type.
    #[serde(rename = "type")]
    pub kind: PackageType,
    /// Its name.
    pub name: String,
    /// Versions in the old image, sorted as text; empty when it was added.
    pub old: Vec<String>,
    /// Versions in the new image; empty when it was removed.
    pub new: Vec<String>,
}

/// One (vulnerability, package) pair that is not the same in both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FindingChange {
    /// The vulnerability.
    pub vulnerability: String,
    /// The package.
    pub package: String,
    /// Its severity in the old image; none when it was added.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old: Option<Severity>,
    /// Its severity in the new image; none when it was removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new: Option<Severity>,
}

impl FindingChange {
    fn worst(&self) -> Option<Severity> {
        self.old.max(self.new)
    }
}

/// Compares two reports.
pub fn diff(old: &Report, new: &Report) -> ReportDiff {
    ReportDiff {
        packages: packages(old, new),
        findings: findings(&old.findings, &new.findings),
        old: old.counts,
        new: new.counts,
        complete: old.complete && new.complete,
    }
}

fn packages(old: &Report, new: &Report) -> Vec<PackageChange> {
    let mut versions: BTreeMap<(PackageType, &str), [BTreeSet<&str>; 2]> = BTreeMap::new();
    for (side, report) in [old, new].into_iter().enumerate() {
        for package in &report.inventory.packages {
            let both = versions.entry((package.kind, &package.name)).or_default();
            if let Some(set) = both.get_mut(side) {
                set.insert(&package.version);
            }
        }
    }
    let owned = |set: BTreeSet<&str>| set.into_iter().map(str::to_owned).collect();
    let changed = versions.into_iter().filter(|(_, [old, new])| old != new);
    changed
        .map(|((kind, name), [old, new])| PackageChange {
            kind,
            name: name.to_owned(),
            old: owned(old),
            new: owned(new),
        })
        .collect()
}

fn findings(old: &[Finding], new: &[Finding]) -> Vec<FindingChange> {
    let worst = |findings: &[Finding]| {
        let mut out: BTreeMap<(String, String), Severity> = BTreeMap::new();
        for finding in findings {
            let slot = out.entry((finding.vulnerability.clone(), finding.package.clone())).or_insert(finding.severity);
            *slot = (*slot).max(finding.severity);
        }
        out
    };
    let (old, new) = (worst(old), worst(new));
    let keys: BTreeSet<_> = old.keys().chain(new.keys()).collect();
    let change = |key: &(String, String)| FindingChange {
        vulnerability: key.0.clone(),
        package: key.1.clone(),
        old: old.get(key).copied(),
        new: new.get(key).copied(),
    };
    let mut out: Vec<FindingChange> = keys.into_iter().map(change).filter(|c| c.old != c.new).collect();
    out.sort_by(|a, b| b.worst().cmp(&a.worst()).then_with(|| a.vulnerability.cmp(&b.vulnerability)));
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::testing::{finding, package, report};

    #[test]
    fn what_came_went_and_changed_is_told() {
        let old = report(
            vec![package("a", "1"), package("b", "1"), package("c", "1")],
            vec![finding("CVE-1", "a", Severity::High), finding("CVE-2", "b", Severity::Low)],
        );
        let new = report(
            vec![package("a", "2"), package("c", "1"), package("d", "1")],
            vec![finding("CVE-2", "b", Severity::Medium), finding("CVE-3", "d", Severity::Critical)],
        );
        let diff = diff(&old, &new);
        let packages: Vec<_> =
            diff.packages.iter().map(|p| (p.name.as_str(), p.old.join(","), p.new.join(","))).collect();
        let text = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        let expected = [("a", text("1", "2")), ("b", text("1", "")), ("d", text("", "1"))];
        assert_eq!(packages, expected.map(|(name, (old, new))| (name, old, new)));
        let findings: Vec<_> = diff.findings.iter().map(|f| (f.vulnerability.as_str(), f.old, f.new)).collect();
        let expected = [
            ("CVE-3", None, Some(Severity::Critical)),
            ("CVE-1", Some(Severity::High), None),
            ("CVE-2", Some(Severity::Low), Some(Severity::Medium)),
        ];
        assert_eq!(findings, expected);
    }
}
