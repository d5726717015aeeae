//! The findings of an earlier report: what is not among them is new.

use crate::finding::Finding;
use std::collections::{BTreeMap, BTreeSet};

/// The findings of a report, by package and name. A package keeps its findings over its versions, and over the releases of its
/// distribution: who upgraded to another vulnerable version did not make a new one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KnownFindings(BTreeMap<(String, String), KnownNames>);

/// The names of the vulnerabilities of a package. A finding may have got a CVE since then, which its old name is an alias of; an
/// advisory may name several vulnerabilities, of which only some were there. So one of two names must be the finding's own.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct KnownNames {
    own: BTreeSet<String>,
    all: BTreeSet<String>,
}

impl KnownFindings {
    /// Those of a report. Suppressed ones are none of them: one whose exception ended is to be looked at again.
    pub fn of(findings: &[Finding]) -> Self {
        let mut known = KnownFindings::default();
        for finding in findings {
            let names = known.0.entry(package(finding)).or_default();
            names.own.insert(finding.vulnerability.clone());
            names.all.extend(finding.names().map(str::to_owned));
        }
        known
    }

    /// Whether a finding is one of them.
    pub fn has(&self, finding: &Finding) -> bool {
        let Some(known) = self.0.get(&package(finding)) else { return false };
        known.all.contains(&finding.vulnerability) || finding.names().any(|name| known.own.contains(name))
    }
}

/// Packages of two ecosystems may have one name.
fn package(finding: &Finding) -> (String, String) {
    (finding.ecosystem.base().as_str().to_owned(), finding.package.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::testing;
    use crate::severity::Severity;

    fn finding(ecosystem: &str, package: &str, names: &[&str], version: &str) -> Finding {
        Finding {
            ecosystem: ecosystem.into(),
            advisory: names.get(1).unwrap_or(&names[0]).to_string(),
            aliases: names.iter().skip(2).map(|name| (*name).to_owned()).collect(),
            installed_version: version.to_owned(),
            ..testing::finding(names[0], package, Severity::High)
        }
    }

    #[test]
    fn a_finding_is_known_by_its_package_and_a_name_of_its_own() {
        let known = KnownFindings::of(&[
            finding("Debian:12", "curl", &["CVE-1", "DSA-1"], "1"),
            finding("npm", "a", &["GHSA-1"], "1"),
            finding("npm", "b", &["CVE-5", "GHSA-5", "GHSA-6"], "1"),
        ]);
        let check = |found: Finding, expected: bool| assert_eq!(known.has(&found), expected, "{found:?}");
        check(finding("Debian:12", "curl", &["CVE-1", "DSA-1"], "1"), true);
        // Of another version, release or advisory.
        check(finding("Debian:13", "curl", &["CVE-1", "DSA-9"], "2"), true);
        // A vulnerability that the same advisory names was not there.
        check(finding("Debian:12", "curl", &["CVE-2", "DSA-1"], "1"), false);
        check(finding("Ubuntu:24.04", "curl", &["CVE-1"], "1"), false);
        check(finding("Debian:12", "zlib", &["CVE-1"], "1"), false);
        // It has a CVE by now, or has lost it.
        check(finding("npm", "a", &["CVE-9", "GHSA-1"], "1"), true);
        check(finding("npm", "b", &["GHSA-6"], "1"), true);
        check(finding("npm", "a", &["CVE-5"], "1"), false);
        assert!(!KnownFindings::default().has(&finding("npm", "a", &["GHSA-1"], "1")));
    }
}
