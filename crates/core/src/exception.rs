//! Exceptions and VEX statements: findings that somebody answered. They stay in the report, with the reason, and no longer
//! count. Pure: the day is passed in, files are read elsewhere.

mod target;

use crate::advisory::FixState;
use crate::finding::{Counts, Finding, Installed};
use crate::pattern::Pattern;
use crate::report::{ImageInfo, Report};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

pub use target::{Purl, Target};

/// One answer to findings. Empty conditions hold for everything; all of those given must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exception {
    /// Names of vulnerabilities, aliases included.
    pub vulnerabilities: Vec<Pattern>,
    /// Packages, by purl or name; one of them must fit.
    pub packages: Vec<Target>,
    /// Places in the image, one of which a package must be at.
    pub paths: Vec<Pattern>,
    /// Image references or digests.
    pub images: Vec<Target>,
    /// What the vendor does about it.
    pub fix_state: Option<FixState>,
    /// What is said of them.
    pub status: Status,
    /// Why.
    pub reason: String,
    /// The first day on which it no longer holds.
    pub expires: Option<Date>,
    /// The file that says so.
    pub source: String,
}

/// What is said of a suppressed finding (VEX: OpenVEX, CSAF, CycloneDX).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// The vulnerability cannot be used here.
    NotAffected,
    /// It is fixed already.
    Fixed,
    /// It is known and accepted.
    Accepted,
}

/// A finding that no longer counts, and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Suppressed {
    /// What was found.
    pub finding: Finding,
    /// What is said of it.
    pub status: Status,
    /// Why.
    pub reason: String,
    /// The file that says so.
    pub source: String,
}

impl Exception {
    /// An exception without conditions.
    pub fn new(status: Status, reason: &str, source: &str) -> Self {
        Exception {
            vulnerabilities: Vec::new(),
            packages: Vec::new(),
            paths: Vec::new(),
            images: Vec::new(),
            fix_state: None,
            status,
            reason: reason.to_owned(),
            expires: None,
            source: source.to_owned(),
        }
    }

    fn holds_on(&self, today: Date) -> bool {
        self.expires.is_none_or(|expires| today < expires)
    }

    fn speaks_of(&self, finding: &Finding, image: &ImageInfo) -> bool {
        let named = self.vulnerabilities.is_empty()
            || finding.names().any(|n| self.vulnerabilities.iter().any(|p| p.matches(n)));
        named
            && self.fix_state.is_none_or(|state| state == finding.fix_state)
            && (self.images.is_empty() || self.images.iter().any(|t| t.is_image(image)))
    }

    fn covers(&self, finding: &Finding, installed: &Installed) -> bool {
        let package = self.packages.is_empty() || self.packages.iter().any(|t| t.is_package(finding, installed));
        let at = |path: &str| self.paths.iter().any(|p| p.matches(path) || p.matches(&format!("/{path}")));
        // All places must be covered: one that is not may be the vulnerable one.
        let placed = || !installed.locations.is_empty() && installed.locations.iter().all(|l| at(&l.path));
        package && (self.paths.is_empty() || placed())
    }
}

/// Applies exceptions to a report: what one of them covers moves to [`Report::suppressed`]. Of a finding that is covered
/// in part, the rest stays.
pub fn apply(report: &mut Report, exceptions: &[Exception], today: Date) {
    let valid: Vec<&Exception> = exceptions.iter().filter(|e| e.holds_on(today)).collect();
    let image = report.inventory.image.clone();
    let mut kept = Vec::new();
    for mut finding in std::mem::take(&mut report.findings) {
        let all = std::mem::take(&mut finding.installed);
        let whole = all.is_empty();
        let mut left = all;
        for exception in valid.iter().filter(|e| e.speaks_of(&finding, &image)) {
            let (covered, rest): (Vec<_>, Vec<_>) = left.into_iter().partition(|i| exception.covers(&finding, i));
            left = rest;
            if !covered.is_empty() {
                report.suppressed.push(Suppressed {
                    finding: Finding { installed: covered, ..finding.clone() },
                    status: exception.status,
                    reason: exception.reason.clone(),
                    source: exception.source.clone(),
                });
            }
        }
        if whole || !left.is_empty() {
            kept.push(Finding { installed: left, ..finding });
        }
    }
    report.findings = kept;
    report.counts = Counts::of(&report.findings);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::package::Location;
    use crate::report::testing;
    use crate::severity::Severity;

    fn found() -> Report {
        let installed = |path: &str| Installed {
            name: "a".into(),
            version: "1".into(),
            purl: "pkg:npm/a@1".into(),
            locations: vec![Location { path: path.into(), layer: 0 }],
        };
        let both = vec![installed("app/node_modules/a/package.json"), installed("opt/node_modules/a/package.json")];
        let aliases = vec!["GHSA-x".to_owned()];
        let finding = Finding { installed: both, aliases, ..testing::finding("CVE-1", "a", Severity::Critical) };
        testing::report(vec![], vec![finding])
    }

    #[test]
    fn what_is_answered_no_longer_counts() {
        let day = |text: &str| text.parse::<Date>().unwrap();
        let check = |change: &dyn Fn(&mut Exception), counted: u32, suppressed: usize| {
            let mut exception = Exception::new(Status::NotAffected, "no", "file");
            change(&mut exception);
            let mut report = found();
            apply(&mut report, &[exception.clone()], day("2026-06-01"));
            assert_eq!((report.counts.critical, report.suppressed.len()), (counted, suppressed), "{exception:?}");
        };
        check(&|_| {}, 0, 1);
        check(&|e| e.vulnerabilities = vec!["CVE-1".into()], 0, 1);
        check(&|e| e.vulnerabilities = vec!["GHSA-x".into()], 0, 1);
        check(&|e| e.vulnerabilities = vec!["CVE-2".into()], 1, 0);
        check(&|e| e.expires = Some(day("2026-06-02")), 0, 1);
        check(&|e| e.expires = Some(day("2026-06-01")), 1, 0);
        check(&|e| e.packages = vec![Target::parse("pkg:npm/a")], 0, 1);
        check(&|e| e.packages = vec![Target::parse("pkg:npm/b")], 1, 0);
        check(&|e| e.fix_state = Some(FixState::WontFix), 1, 0);
        check(&|e| e.images = vec![Target::parse("registry.example/team/app:v1")], 0, 1);
        check(&|e| e.images = vec![Target::parse("registry.example/team/other:*")], 1, 0);
        // What lies elsewhere still counts.
        check(&|e| e.paths = vec!["app/**".into()], 1, 1);
        check(&|e| e.paths = vec!["/app/**".into(), "opt/**".into()], 0, 1);
    }

    #[test]
    fn what_is_nowhere_is_at_no_path() {
        let mut report = found();
        report.findings.iter_mut().flat_map(|f| &mut f.installed).for_each(|i| i.locations.clear());
        let exception = Exception { paths: vec!["**".into()], ..Exception::new(Status::Accepted, "r", "file") };
        apply(&mut report, &[exception], "2026-06-01".parse().unwrap());
        assert_eq!((report.counts.critical, report.suppressed.len()), (1, 0));
    }
}
