//! What every format shows of a report, in the same order and words.

use std::collections::BTreeMap;
use tidewaiter_core::advisory::{AdvisoryClass, FixState, KnownExploited};
use tidewaiter_core::finding::{Finding, InstalledPackage, SuppressedFinding, SuppressionStatus};
use tidewaiter_core::package::{Location, UNKNOWN_LAYER, layer_number};
use tidewaiter_core::policy::{Outcome, Verdict};
use tidewaiter_core::report::{Gap, Inventory, Report};
use tidewaiter_core::severity::Rating;

/// A report and what policy says of it.
#[derive(Debug, Clone, Copy)]
pub struct JudgedReport<'a> {
    /// The report.
    pub report: &'a Report,
    /// The verdict, which may add gaps that depend on the day.
    pub verdict: &'a Verdict,
}

impl<'a> JudgedReport<'a> {
    /// Everything that the scan did not see, and what the day of the verdict adds.
    pub(crate) fn gaps(self) -> impl Iterator<Item = &'a Gap> {
        self.report.inventory.gaps.iter().chain(&self.verdict.gaps)
    }

    /// A line for each gap; of an incomplete verdict without gaps its reasons, or that it is one. Empty for a complete report.
    pub(crate) fn gap_lines(self) -> Vec<String> {
        let lines: Vec<String> = self.gaps().map(gap_line).collect();
        match (self.is_complete(), lines.is_empty(), self.verdict.reasons.as_slice()) {
            (false, true, []) => vec!["policy calls the report incomplete".to_owned()],
            (false, true, reasons) => reasons.to_vec(),
            _ => lines,
        }
    }

    /// Whether it may be called clean. A cluster's verdict is known without its gaps.
    pub(crate) fn is_complete(self) -> bool {
        self.report.complete && self.verdict.gaps.is_empty() && self.verdict.outcome != Outcome::Incomplete
    }

    /// The findings, then those that are suppressed.
    pub(crate) fn findings(self) -> impl Iterator<Item = ShownFinding<'a>> {
        let counted = self.report.findings.iter().map(|finding| ShownFinding { finding, suppressed: None });
        let suppressed = self.report.suppressed.iter();
        counted.chain(suppressed.map(|of| ShownFinding { finding: &of.finding, suppressed: Some(of) }))
    }
}

/// A finding, and what suppresses it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ShownFinding<'a> {
    pub(crate) finding: &'a Finding,
    pub(crate) suppressed: Option<&'a SuppressedFinding>,
}

/// A path in the image, with the packages there that a finding is about.
#[derive(Debug)]
pub(crate) struct FindingPlace<'a> {
    /// Empty for a package without location.
    pub(crate) path: &'a str,
    /// The lowest layer, counted from 0; [`UNKNOWN_LAYER`] where none is told.
    pub(crate) layer: usize,
    pub(crate) installed: Vec<&'a InstalledPackage>,
}

/// The places of a finding, by path.
pub(crate) fn places(finding: &Finding) -> Vec<FindingPlace<'_>> {
    let mut places: BTreeMap<&str, FindingPlace<'_>> = BTreeMap::new();
    for installed in &finding.installed {
        let found = installed.locations.iter().map(|location| (location.path.as_str(), location.layer));
        let nowhere = installed.locations.is_empty().then_some(("", UNKNOWN_LAYER));
        for (path, layer) in found.chain(nowhere) {
            let place = places.entry(path).or_insert(FindingPlace { path, layer, installed: Vec::new() });
            place.layer = place.layer.min(layer);
            if !place.installed.contains(&installed) {
                place.installed.push(installed);
            }
        }
    }
    places.into_values().collect()
}

impl FindingPlace<'_> {
    /// `layer 3`; empty where none is told.
    pub(crate) fn layer_name(&self) -> String {
        layer_number(self.layer).map(|number| format!("layer {number}")).unwrap_or_default()
    }
}

/// ` (layer 3)` behind a path; empty where no layer is told.
pub fn in_layer(location: &Location) -> String {
    layer_number(location.layer).map(|number| format!(" (layer {number})")).unwrap_or_default()
}

/// How many layers an inventory was read from, or the SBOM that it was read from.
pub fn read_from(inventory: &Inventory) -> String {
    match &inventory.image.sbom {
        Some(sbom) => format!("in its SBOM ({})", sbom.format),
        None => format!("in {} layers", inventory.layers.len()),
    }
}

/// The type of an installed package, as its purl says: `deb`, `npm`.
pub(crate) fn package_type(installed: &InstalledPackage) -> &str {
    let rest = installed.purl.strip_prefix("pkg:").unwrap_or_default();
    rest.split_once('/').map_or("", |(kind, _)| kind)
}

/// The lowest layer of a finding, counted from 1: from there on it is in every image that is built on that layer.
pub fn lowest_layer(finding: &Finding) -> Option<usize> {
    let all = finding.installed.iter().flat_map(|installed| &installed.locations);
    all.filter_map(|location| layer_number(location.layer)).min()
}

/// How bad a finding is, for people: no rating says of malware what it is.
pub(crate) fn level(finding: &Finding) -> &'static str {
    match finding.class {
        AdvisoryClass::Malware => "malware",
        _ => finding.severity.word(),
    }
}

/// All names of a finding, each once, its own first.
pub(crate) fn names(finding: &Finding) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for name in finding.names().filter(|name| !name.is_empty()) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// A gap in one line.
pub(crate) fn gap_line(gap: &Gap) -> String {
    format!("{:?}: {}: {}", gap.kind, gap.subject, gap.message)
}

/// What is to be done about a finding.
pub(crate) fn remedy(finding: &Finding) -> String {
    match (finding.fixed_versions.first(), finding.fix_state) {
        (Some(version), _) => format!("upgrade {} to {version}", finding.package),
        (None, FixState::WontFix) => "the vendor will not fix it".to_owned(),
        (None, FixState::Deferred) => "the vendor postponed the fix".to_owned(),
        (None, FixState::EndOfLife) => "the release gets no fixes any more".to_owned(),
        (None, FixState::NotFixed) => "there is no fixed version yet".to_owned(),
        (None, FixState::Fixed | FixState::Unknown) => "no fixed version is known".to_owned(),
    }
}

/// The fixed version, or why there is none, for a narrow column.
pub fn fixed_in(finding: &Finding) -> &str {
    match (finding.fixed_versions.first(), finding.fix_state) {
        (Some(version), _) => version,
        (None, FixState::WontFix) => "won't fix",
        (None, FixState::Deferred) => "deferred",
        (None, FixState::EndOfLife) => "end of life",
        (None, _) => "-",
    }
}

/// The word of a fix state, as the report's JSON has it.
pub(crate) fn fix_state(state: FixState) -> &'static str {
    match state {
        FixState::Unknown => "unknown",
        FixState::Fixed => "fixed",
        FixState::NotFixed => "not-fixed",
        FixState::WontFix => "wont-fix",
        FixState::Deferred => "deferred",
        FixState::EndOfLife => "end-of-life",
    }
}

/// The words of why a finding is suppressed.
pub fn suppression(status: SuppressionStatus) -> &'static str {
    match status {
        SuppressionStatus::NotAffected => "not affected",
        SuppressionStatus::Fixed => "fixed",
        SuppressionStatus::Accepted => "accepted",
    }
}

/// KEV or, where it is not listed there, EPSS: the probability of exploitation in the next 30 days. Empty without either.
pub fn exploited(finding: &Finding) -> String {
    match (&finding.kev, &finding.epss) {
        (Some(KnownExploited { since: Some(date) }), _) => format!("known since {date}"),
        (Some(KnownExploited { since: None }), _) => "known".to_owned(),
        (None, Some(epss)) => format!("{:.1} %", epss.score * 100.0),
        (None, None) => String::new(),
    }
}

/// The rating that the severity is from, with a score where one of its level has one.
pub(crate) fn counting_rating(finding: &Finding) -> Option<&Rating> {
    let same = finding.ratings.iter().filter(|rating| rating.severity == finding.severity);
    same.max_by_key(|rating| (rating.score.is_some(), rating.source == finding.severity_source))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidewaiter_core::advisory::Epss;
    use tidewaiter_core::package::Location;
    use tidewaiter_core::severity::Severity;

    fn installed(name: &str, places: &[(&str, usize)]) -> InstalledPackage {
        InstalledPackage {
            name: name.into(),
            version: "1".into(),
            purl: format!("pkg:deb/debian/{name}@1"),
            locations: places.iter().map(|(path, layer)| Location { path: (*path).into(), layer: *layer }).collect(),
        }
    }

    #[test]
    fn places_are_grouped_by_path() {
        let check = |all: &[InstalledPackage], expected: &[(&str, usize, usize)]| {
            let finding = Finding { installed: all.to_vec(), ..Finding::default() };
            let found: Vec<_> = places(&finding).iter().map(|p| (p.path, p.layer, p.installed.len())).collect();
            assert_eq!(found, expected);
        };
        check(&[], &[]);
        check(&[installed("a", &[])], &[("", UNKNOWN_LAYER, 1)]);
        check(&[installed("a", &[("x", 2)]), installed("b", &[("x", 1), ("y", 3)])], &[("x", 1, 2), ("y", 3, 1)]);
        check(&[installed("a", &[("x", 2), ("x", 4)])], &[("x", 2, 1)]);
    }

    #[test]
    fn types_are_those_of_purls() {
        let check = |purl: &str, expected: &str| {
            assert_eq!(package_type(&InstalledPackage { purl: purl.into(), ..installed("a", &[]) }), expected);
        };
        check("pkg:deb/debian/a@1", "deb");
        check("pkg:npm/%40a/b@1", "npm");
        check("", "");
    }

    #[test]
    fn malware_is_called_so() {
        let check = |class, severity, expected: &str| {
            assert_eq!(level(&Finding { class, severity, ..Finding::default() }), expected);
        };
        check(AdvisoryClass::Vulnerability, Severity::High, "high");
        check(AdvisoryClass::Malware, Severity::Unknown, "malware");
    }

    #[test]
    fn each_name_is_there_once() {
        let check = |vulnerability: &str, advisory: &str, aliases: &[&str], expected: &[&str]| {
            let aliases = aliases.iter().map(|name| (*name).to_owned()).collect();
            let (vulnerability, advisory) = (vulnerability.to_owned(), advisory.to_owned());
            let finding = Finding { vulnerability, advisory, aliases, ..Finding::default() };
            assert_eq!(names(&finding), expected);
        };
        check("CVE-1", "CVE-1", &[], &["CVE-1"]);
        check("CVE-1", "GHSA-1", &["GHSA-1", "X"], &["CVE-1", "GHSA-1", "X"]);
        check("", "", &["X"], &["X"]);
    }

    #[test]
    fn remedies_name_the_version_or_why_there_is_none() {
        let check = |fixed: &[&str], state: FixState, sentence: &str, column: &str| {
            let fixed_versions = fixed.iter().map(|v| (*v).to_owned()).collect();
            let finding = Finding { package: "curl".into(), fixed_versions, fix_state: state, ..Finding::default() };
            assert_eq!((remedy(&finding).as_str(), fixed_in(&finding)), (sentence, column));
        };
        check(&["2", "3"], FixState::Fixed, "upgrade curl to 2", "2");
        check(&[], FixState::WontFix, "the vendor will not fix it", "won't fix");
        check(&[], FixState::Deferred, "the vendor postponed the fix", "deferred");
        check(&[], FixState::EndOfLife, "the release gets no fixes any more", "end of life");
        check(&[], FixState::NotFixed, "there is no fixed version yet", "-");
        check(&[], FixState::Unknown, "no fixed version is known", "-");
    }

    #[test]
    fn what_is_exploited_says_since_when_if_that_is_known() {
        let check = |kev: Option<Option<&str>>, epss: Option<f64>, expected: &str| {
            let kev = kev.map(|since| KnownExploited { since: since.and_then(|date| date.parse().ok()) });
            let epss = epss.map(|score| Epss { score, percentile: 0.9 });
            assert_eq!(exploited(&Finding { kev, epss, ..Finding::default() }), expected);
        };
        check(Some(Some("2025-02-03")), Some(0.5), "known since 2025-02-03");
        check(Some(None), Some(0.5), "known");
        check(None, Some(0.5), "50.0 %");
        check(None, None, "");
    }

    #[test]
    fn the_counting_rating_has_the_severity_and_if_possible_a_score() {
        let rating = |source: &str, severity, score| Rating { score, ..Rating::of_level(source, severity) };
        let check = |ratings: &[Rating], expected: Option<&str>| {
            let finding = Finding {
                ratings: ratings.to_vec(),
                severity: Severity::High,
                severity_source: "debian".into(),
                ..Finding::default()
            };
            assert_eq!(counting_rating(&finding).map(|r| r.source.as_str()), expected);
        };
        check(&[], None);
        check(&[rating("nvd", Severity::Critical, Some(9.8))], None);
        check(&[rating("debian", Severity::High, None), rating("nvd", Severity::High, Some(7.5))], Some("nvd"));
        check(&[rating("debian", Severity::High, Some(7.1)), rating("nvd", Severity::High, Some(7.5))], Some("debian"));
    }
}
