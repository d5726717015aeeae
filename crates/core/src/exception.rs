//! Exceptions and VEX statements: they suppress findings, which stay in the report with the reason and do not count.
//! Pure: callers pass in the day and read the files.

mod target;

use crate::advisory::FixState;
use crate::finding::{Counts, Finding, InstalledPackage, SuppressedFinding, SuppressionStatus};
use crate::pattern::Pattern;
use crate::report::{ImageInfo, Report};
use jiff::civil::Date;

pub use target::{ExceptionTarget, PurlPattern};

/// Suppresses the findings that fulfil all of its conditions. An empty condition is always fulfilled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exception {
    /// Names of vulnerabilities, aliases included.
    pub vulnerabilities: Vec<Pattern>,
    /// Packages, by purl or name; one of them must fit.
    pub packages: Vec<ExceptionTarget>,
    /// Paths in the image; every location of a package must match one of them.
    pub paths: Vec<Pattern>,
    /// Image references or digests.
    pub images: Vec<ExceptionTarget>,
    /// Whether the vendor has fixed it, or will.
    pub fix_state: Option<FixState>,
    /// The status to give them.
    pub status: SuppressionStatus,
    /// Why.
    pub reason: String,
    /// The first day on which it no longer applies.
    pub expires: Option<Date>,
    /// The file with the exception.
    pub source: String,
}

impl Exception {
    /// An exception without conditions.
    pub fn new(status: SuppressionStatus, reason: &str, source: &str) -> Self {
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

    fn applies_on(&self, today: Date) -> bool {
        self.expires.is_none_or(|expires| today < expires)
    }

    fn selects(&self, finding: &Finding, image: &ImageInfo) -> bool {
        let named = self.vulnerabilities.is_empty()
            || finding.names().any(|n| self.vulnerabilities.iter().any(|p| p.matches(n)));
        named
            && self.fix_state.is_none_or(|state| state == finding.fix_state)
            && (self.images.is_empty() || self.images.iter().any(|t| t.is_image(image)))
    }

    fn covers(&self, finding: &Finding, installed: &InstalledPackage) -> bool {
        let package = self.packages.is_empty() || self.packages.iter().any(|t| t.is_package(finding, installed));
        let at = |path: &str| self.paths.iter().any(|p| p.matches(path) || p.matches(&format!("/{path}")));
        // All locations must match: another one may be the vulnerable one.
        let placed = || !installed.locations.is_empty() && installed.locations.iter().all(|l| at(&l.path));
        package && (self.paths.is_empty() || placed())
    }
}

/// Applies exceptions to a report: findings that one of them covers move to [`Report::suppressed`]. A finding that is
/// covered in part is split.
pub fn apply(report: &mut Report, exceptions: &[Exception], today: Date) {
    let valid: Vec<&Exception> = exceptions.iter().filter(|e| e.applies_on(today)).collect();
    let image = report.inventory.image.clone();
    let mut counted = Vec::new();
    for mut finding in std::mem::take(&mut report.findings) {
        let all = std::mem::take(&mut finding.installed);
        let whole = all.is_empty();
        let mut left = all;
        for exception in valid.iter().filter(|e| e.selects(&finding, &image)) {
            let (covered, rest): (Vec<_>, Vec<_>) = left.into_iter().partition(|i| exception.covers(&finding, i));
            left = rest;
            if !covered.is_empty() {
                report.suppressed.push(SuppressedFinding {
                    finding: Finding { installed: covered, ..finding.clone() },
                    status: exception.status,
                    reason: exception.reason.clone(),
                    source: exception.source.clone(),
                });
            }
        }
        if whole || !left.is_empty() {
            counted.push(Finding { installed: left, ..finding });
        }
    }
    report.findings = counted;
    report.counts = Counts::of(&report.findings);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::package::Location;
    use crate::report::testing;
    use crate::severity::Severity;

    fn found() -> Report {
        let installed = |path: &str| InstalledPackage {
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
    fn suppressed_findings_do_not_count() {
        let day = |text: &str| text.parse::<Date>().unwrap();
        let check = |change: &dyn Fn(&mut Exception), counted: u32, suppressed: usize| {
            let mut exception = Exception::new(SuppressionStatus::NotAffected, "no", "file");
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
        check(&|e| e.packages = vec![ExceptionTarget::parse("pkg:npm/a")], 0, 1);
        check(&|e| e.packages = vec![ExceptionTarget::parse("pkg:npm/b")], 1, 0);
        check(&|e| e.fix_state = Some(FixState::WontFix), 1, 0);
        check(&|e| e.images = vec![ExceptionTarget::parse("registry.example/team/app:v1")], 0, 1);
        check(&|e| e.images = vec![ExceptionTarget::parse("registry.example/team/other:*")], 1, 0);
        // Other locations still count.
        check(&|e| e.paths = vec!["app/**".into()], 1, 1);
        check(&|e| e.paths = vec!["/app/**".into(), "opt/**".into()], 0, 1);
    }

    #[test]
    fn a_package_without_a_location_is_at_no_path() {
        let mut report = found();
        report.findings.iter_mut().flat_map(|f| &mut f.installed).for_each(|i| i.locations.clear());
        let exception =
            Exception { paths: vec!["**".into()], ..Exception::new(SuppressionStatus::Accepted, "r", "file") };
        apply(&mut report, &[exception], "2026-06-01".parse().unwrap());
        assert_eq!((report.counts.critical, report.suppressed.len()), (1, 0));
    }
}
