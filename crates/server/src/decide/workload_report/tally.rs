//! What is kept of reports once they are read: how many results there are, and the worst ones. One report has tens of megabytes,
//! and anybody may run images of many platforms in one workload: no two of them are needed at once.

use super::image_results::{ReportJudge, RuleOutcome, RuleResult};
use super::{MAX_RESULTS, OutcomeCounts, RevisionImage};
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeSet, HashSet};
use tidewaiter_core::finding::Finding;
use tidewaiter_core::report::{Gap, Report};

/// Gaps that are named.
const NAMED_GAPS: usize = 3;

/// The worst results, and how many have each outcome.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct WorstResults {
    counts: OutcomeCounts,
    /// Fewer than twice [`MAX_RESULTS`], so that most additions need no sorting.
    results: Vec<RuleResult>,
}

impl WorstResults {
    /// Counts a result, and keeps it as long as there are not enough worse ones.
    fn add(&mut self, result: RuleResult) {
        self.counts.add(result.result);
        self.results.push(result.shortened());
        if self.results.len() == 2 * MAX_RESULTS {
            self.trim();
        }
    }

    /// Adds those of another image.
    pub(crate) fn add_all(&mut self, others: WorstResults) {
        self.counts.add_all(others.counts);
        self.results.extend(others.results);
        self.trim();
    }

    /// The counts of all, and the worst [`MAX_RESULTS`], worst first.
    pub(super) fn sorted(mut self) -> (OutcomeCounts, Vec<RuleResult>) {
        self.trim();
        (self.counts, self.results)
    }

    fn trim(&mut self) {
        self.results.sort_by(RuleResult::order);
        self.results.truncate(MAX_RESULTS);
    }
}

/// What an image's reports say, of those that were read: one for each platform. A finding of several platforms is one.
#[derive(Debug, Default)]
pub(crate) struct ImageTally {
    worst: WorstResults,
    /// Hashes of the findings, and of the gaps, that were counted.
    findings: HashSet<[u8; 32]>,
    gaps: HashSet<[u8; 32]>,
    /// The first ones by their order.
    named_gaps: BTreeSet<Gap>,
}

impl ImageTally {
    /// Takes up what a report says.
    pub(crate) fn read(&mut self, judge: &ReportJudge<'_>, image: &RevisionImage, report: &Report) {
        for finding in &report.findings {
            if self.findings.insert(hash(&key("found", finding))) {
                self.worst.add(judge.finding(image, finding));
            }
        }
        for suppressed in &report.suppressed {
            if self.findings.insert(hash(&key("excepted", &suppressed.finding))) {
                self.worst.add(judge.excepted(image, suppressed));
            }
        }
        for gap in report.inventory.gaps.iter().chain(&judge.gaps_of_this_day(report)) {
            self.note(gap);
        }
    }

    fn note(&mut self, gap: &Gap) {
        if self.gaps.insert(hash(&[&format!("{:?}", gap.kind), &gap.subject, &gap.message])) {
            self.named_gaps.insert(gap.clone());
            if self.named_gaps.len() > NAMED_GAPS {
                self.named_gaps.pop_last();
            }
        }
    }

    /// What is said of the image when all its reports are read; one whose scan failed has none.
    pub(crate) fn end(mut self, judge: &ReportJudge<'_>, image: &RevisionImage) -> WorstResults {
        if image.status.verdict.is_none() {
            self.worst.add(judge.failed(image));
        } else if !self.gaps.is_empty() {
            self.worst.add(judge.incomplete(image, self.gaps.len(), &self.named_gaps));
        }
        if self.worst.counts == OutcomeCounts::default() {
            self.worst.add(judge.without_findings(image));
        }
        self.worst
    }
}

fn key<'a>(said: &'a str, finding: &'a Finding) -> [&'a str; 4] {
    [said, &finding.vulnerability, &finding.package, &finding.installed_version]
}

/// In place of the texts, which may be long; nobody makes two of one hash, and hides a finding by that.
fn hash(parts: &[&str]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part.len().to_le_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.finalize().into()
}

impl OutcomeCounts {
    fn add(&mut self, outcome: RuleOutcome) {
        *match outcome {
            RuleOutcome::Pass => &mut self.pass,
            RuleOutcome::Fail => &mut self.fail,
            RuleOutcome::Warn => &mut self.warn,
            RuleOutcome::Error => &mut self.error,
            RuleOutcome::Skip => &mut self.skip,
        } += 1;
    }

    fn add_all(&mut self, others: OutcomeCounts) {
        let OutcomeCounts { pass, fail, warn, error, skip } = others;
        self.pass += pass;
        self.fail += fail;
        self.warn += warn;
        self.error += error;
        self.skip += skip;
    }

    /// How many there are.
    pub(super) fn all(&self) -> usize {
        self.pass + self.fail + self.warn + self.error + self.skip
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::fixtures::now;
    use crate::decide::workload_report::tests::{finding, report, scanned};
    use tidewaiter_core::policy::Policy;
    use tidewaiter_core::severity::Severity;

    /// However much there is in the reports, and however long the texts are.
    #[test]
    fn what_is_kept_of_reports_is_bounded() {
        let policy = Policy::default();
        let judge = ReportJudge::new(&["default".to_owned()], &policy, now());
        let long = "…".repeat(5000);
        let image = scanned(&long);
        let mut tally = ImageTally::default();
        for platform in 0..3 {
            let of = |number| Finding { summary: long.clone(), package: format!("{platform}{long}"), ..number };
            let findings = (0..200).map(|number| of(finding(&format!("CVE-{number}"), Severity::High))).collect();
            tally.read(&judge, &image, &report(findings, &[&format!("gap {platform}"), &long]));
            assert!(tally.worst.results.len() < 2 * MAX_RESULTS, "{}", tally.worst.results.len());
            assert!(tally.named_gaps.len() <= NAMED_GAPS);
        }
        let worst = tally.end(&judge, &image);
        let bytes: usize = worst.results.iter().map(|result| result.value("s").to_string().len()).sum();
        assert!(bytes < 2 * MAX_RESULTS * (8 << 10), "{bytes}");
        let (counts, results) = worst.sorted();
        assert_eq!((counts, counts.all()), (OutcomeCounts { warn: 600, error: 1, ..OutcomeCounts::default() }, 601));
        assert_eq!(results.len(), MAX_RESULTS);
        assert_eq!(results[0].value("s")["result"], "error", "the gaps come first");
    }
}
