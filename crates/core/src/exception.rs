//! Exceptions and VEX statements: they suppress findings, which stay in the report with the reason and do not count.
//! Pure: callers pass in the day and read the files.

use crate::advisory::{AdvisoryClass, FixState};
use crate::finding::{Counts, Finding, InstalledPackage, SuppressedFinding, SuppressionStatus};
use crate::package::Package;
use crate::pattern::Pattern;
use crate::report::{Inventory, Report};
use crate::target::TargetPattern;
use jiff::Timestamp;
use jiff::civil::Date;

/// Concerns the findings that fulfil all of its conditions. An empty condition is always fulfilled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exception {
    /// Names of vulnerabilities, aliases included.
    pub vulnerabilities: Vec<Pattern>,
    /// Packages, by purl or name; one of them must fit.
    pub packages: Vec<TargetPattern>,
    /// Paths in the image; every location of a package must match one of them.
    pub paths: Vec<Pattern>,
    /// Image references or digests.
    pub images: Vec<TargetPattern>,
    /// The program that has the package built in: another one in the same image is not meant.
    pub program: Option<TargetPattern>,
    /// Whether the vendor has fixed it, or will.
    pub fix_state: Option<FixState>,
    /// Whether it ends for a finding as soon as a version without it exists.
    pub until_fixed: bool,
    /// What it says of them.
    pub effect: ExceptionEffect,
    /// When a statement of VEX was made; `None`: a rule, which no statement replaces.
    pub stated_at: Option<Timestamp>,
    /// Why.
    pub reason: String,
    /// The first day on which it no longer applies.
    pub expires: Option<Date>,
    /// The file with the exception.
    pub source: String,
}

/// What an exception says of findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExceptionEffect {
    /// They do not count.
    Suppress(SuppressionStatus),
    /// They count: an earlier statement that they do not is replaced.
    Count,
}

impl From<SuppressionStatus> for ExceptionEffect {
    fn from(status: SuppressionStatus) -> Self {
        ExceptionEffect::Suppress(status)
    }
}

impl Exception {
    /// An exception without conditions.
    pub fn new(effect: impl Into<ExceptionEffect>, reason: &str, source: &str) -> Self {
        Exception {
            vulnerabilities: Vec::new(),
            packages: Vec::new(),
            paths: Vec::new(),
            images: Vec::new(),
            program: None,
            fix_state: None,
            until_fixed: false,
            effect: effect.into(),
            stated_at: None,
            reason: reason.to_owned(),
            expires: None,
            source: source.to_owned(),
        }
    }

    fn is_valid_on(&self, today: Date) -> bool {
        self.expires.is_none_or(|expires| today < expires)
    }

    fn selects(&self, finding: &Finding, inventory: &Inventory) -> bool {
        let named = match finding.class {
            // A wildcard, or no name at all, was not written about malware that became known later.
            AdvisoryClass::Malware => finding.names().any(|n| self.vulnerabilities.contains(&Pattern::from(n))),
            _ if self.vulnerabilities.is_empty() => true,
            _ => finding.names().any(|n| self.vulnerabilities.iter().any(|p| p.matches(n))),
        };
        named
            && self.fix_state.is_none_or(|state| state == finding.fix_state)
            && (!self.until_fixed || finding.fixed_versions.is_empty())
            && (self.images.is_empty() || self.images.iter().any(|t| t.is_image(&inventory.image)))
    }

    fn covers(&self, finding: &Finding, installed: &InstalledPackage, inventory: &Inventory) -> bool {
        let package = self.packages.is_empty() || self.packages.iter().any(|t| t.is_package(finding, installed));
        let at = |path: &str| self.paths.iter().any(|p| p.matches(path) || p.matches(&format!("/{path}")));
        // All locations must match: another one may be the vulnerable one.
        let placed = || !installed.locations.is_empty() && installed.locations.iter().all(|l| at(&l.path));
        let built_in = |program: &TargetPattern| is_built_into(program, installed, inventory);
        package && (self.paths.is_empty() || placed()) && self.program.as_ref().is_none_or(built_in)
    }

    /// A statement on a package in one image, or one program, is not replaced by one on the package wherever it is.
    fn specificity(&self) -> (bool, bool) {
        (!self.images.is_empty() || self.program.is_some(), !self.packages.is_empty())
    }
}

/// Whether a package is only in files of this program.
fn is_built_into(program: &TargetPattern, installed: &InstalledPackage, inventory: &Inventory) -> bool {
    let os = inventory.os.as_ref();
    let programs: Vec<&Package> = inventory.packages.iter().filter(|p| program.is_purl(&p.purl(os))).collect();
    let in_program = |path: &str| programs.iter().flat_map(|p| &p.locations).any(|location| location.path == path);
    !installed.locations.is_empty() && installed.locations.iter().all(|location| in_program(&location.path))
}

/// The exception that suppresses a finding in one package. Of statements on the same product the latest one holds, and of two
/// of one time the one that is read last (OpenVEX 0.2.0, "Updating Statements").
fn suppressing<'a>(
    exceptions: &[&'a Exception],
    finding: &Finding,
    installed: &InstalledPackage,
    inventory: &Inventory,
) -> Option<&'a Exception> {
    let covering = || exceptions.iter().copied().filter(|e| e.covers(finding, installed, inventory));
    let rule = covering().find(|exception| exception.stated_at.is_none());
    let statement = || covering().max_by_key(|exception| (exception.specificity(), exception.stated_at));
    rule.or_else(statement).filter(|exception| exception.effect != ExceptionEffect::Count)
}

/// Applies exceptions to a report: findings that one of them covers move to [`Report::suppressed`]. A finding that is
/// covered in part is split.
pub fn apply(report: &mut Report, exceptions: &[Exception], today: Date) {
    let valid: Vec<&Exception> = exceptions.iter().filter(|e| e.is_valid_on(today)).collect();
    let mut counted = Vec::new();
    for mut finding in std::mem::take(&mut report.findings) {
        let all = std::mem::take(&mut finding.installed);
        let whole = all.is_empty();
        let selected: Vec<&Exception> =
            valid.iter().copied().filter(|e| e.selects(&finding, &report.inventory)).collect();
        let mut left = Vec::new();
        let mut covered: Vec<(&Exception, Vec<InstalledPackage>)> = Vec::new();
        for installed in all {
            match suppressing(&selected, &finding, &installed, &report.inventory) {
                None => left.push(installed),
                Some(by) => match covered.iter_mut().find(|(exception, _)| std::ptr::eq(*exception, by)) {
                    Some((_, packages)) => packages.push(installed),
                    None => covered.push((by, vec![installed])),
                },
            }
        }
        for (exception, installed) in covered {
            let ExceptionEffect::Suppress(status) = exception.effect else { continue };
            report.suppressed.push(SuppressedFinding {
                finding: Finding { installed, ..finding.clone() },
                status,
                reason: exception.reason.clone(),
                source: exception.source.clone(),
            });
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
        check(&|e| e.packages = vec![TargetPattern::parse("pkg:npm/a")], 0, 1);
        check(&|e| e.packages = vec![TargetPattern::parse("pkg:npm/b")], 1, 0);
        check(&|e| e.fix_state = Some(FixState::WontFix), 1, 0);
        check(&|e| e.images = vec![TargetPattern::parse("registry.example/team/app:v1")], 0, 1);
        check(&|e| e.images = vec![TargetPattern::parse("registry.example/team/other:*")], 1, 0);
        check(&|e| e.images = vec![TargetPattern::parse("*:*")], 1, 0);
        // Other locations still count.
        check(&|e| e.paths = vec!["app/**".into()], 1, 1);
        check(&|e| e.paths = vec!["/app/**".into(), "opt/**".into()], 0, 1);
    }

    #[test]
    fn an_image_is_meant_by_its_tag_also_where_it_is_pinned() {
        let check = |pattern: &str, counted: u32| {
            let mut report = found();
            let digest = report.inventory.image.digest.clone();
            report.inventory.image.name = format!("registry.example/team/app:v1@{digest}");
            let images = vec![TargetPattern::parse(pattern)];
            let exception = Exception { images, ..Exception::new(SuppressionStatus::Accepted, "r", "file") };
            apply(&mut report, &[exception], "2026-06-01".parse().unwrap());
            assert_eq!(report.counts.critical, counted, "{pattern}");
        };
        check("registry.example/team/app:v1", 0);
        check("registry.example/team/*:v1", 0);
        check("registry.example/team/app:v2", 1);
        // A wildcard is about names, not about digests.
        check("*", 1);
        check("sha256:*", 1);
        check(found().inventory.image.digest.as_str(), 0);
    }

    #[test]
    fn malware_is_accepted_by_its_own_name_alone() {
        let check = |vulnerabilities: &[&str], counted: u32| {
            let mut report = found();
            report.findings[0].class = AdvisoryClass::Malware;
            let vulnerabilities = vulnerabilities.iter().map(|name| Pattern::from(*name)).collect();
            let exception = Exception { vulnerabilities, ..Exception::new(SuppressionStatus::Accepted, "r", "file") };
            apply(&mut report, &[exception], "2026-06-01".parse().unwrap());
            assert_eq!(report.counts.critical, counted);
        };
        check(&[], 1);
        check(&["*"], 1);
        check(&["CVE-*"], 1);
        check(&["CVE-1"], 0);
    }

    #[test]
    fn the_latest_statement_on_a_product_holds() {
        let time = |text: &str| Some(text.parse::<Timestamp>().unwrap());
        let (early, late) = (time("2026-01-10T00:00:00Z"), time("2026-06-10T00:00:00Z"));
        let safe = |at| Exception {
            packages: vec![TargetPattern::parse("pkg:npm/a@1")],
            stated_at: at,
            ..Exception::new(SuppressionStatus::NotAffected, "no", "file")
        };
        let affected = |at| Exception { effect: ExceptionEffect::Count, ..safe(at) };
        let check = |exceptions: &[Exception], counted: u32| {
            let mut report = found();
            apply(&mut report, exceptions, "2026-06-11".parse().unwrap());
            assert_eq!(report.counts.critical, counted, "{exceptions:?}");
        };
        check(&[safe(early), affected(late)], 1);
        check(&[affected(late), safe(early)], 1);
        check(&[affected(early), safe(late)], 0);
        check(&[affected(early), safe(early)], 0);
        check(&[safe(early), affected(early)], 1);
        // A rule is a person's decision, and one image is another product than the package everywhere.
        check(&[Exception { stated_at: None, ..safe(None) }, affected(late)], 0);
        let image = vec![TargetPattern::parse("registry.example/team/app:v1")];
        check(&[Exception { images: image.clone(), ..safe(early) }, affected(late)], 0);
        check(&[Exception { images: image, ..affected(early) }, safe(late)], 1);
    }

    #[test]
    fn a_statement_on_a_program_is_on_what_is_built_into_it() {
        let program = |path: &str| Package {
            locations: vec![Location { path: path.into(), layer: 0 }],
            ..Package::new(crate::package::PackageType::Golang, "example.org/tool", "v1.0.0")
        };
        let exception = Exception {
            program: Some(TargetPattern::parse("pkg:golang/example.org/tool")),
            packages: vec![TargetPattern::parse("pkg:npm/a")],
            stated_at: Some(Timestamp::UNIX_EPOCH),
            ..Exception::new(SuppressionStatus::NotAffected, "no", "file")
        };
        let mut report = found();
        report.inventory.packages = vec![program("app/node_modules/a/package.json")];
        apply(&mut report, std::slice::from_ref(&exception), "2026-06-01".parse().unwrap());
        assert_eq!((report.counts.critical, report.suppressed.len()), (1, 1));
        assert_eq!(report.suppressed[0].finding.installed[0].locations[0].path, "app/node_modules/a/package.json");
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
