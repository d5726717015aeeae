//! By what reports are judged on this machine: a policy of options, of a file, or of both. One function judges,
//! `core::policy::decide`: `--fail-on` and `--baseline` become rules of that policy.

use crate::args::{FailCriterion, FailRule, JudgeArgs};
use crate::exit::UsageError;
use crate::source::ImageSource;
use crate::terminal::printable;
use crate::{policy_file, report_file};
use anyhow::Result;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tidewaiter_core::image::{Platform, is_same_image};
use tidewaiter_core::policy::{IncompleteAction, KnownFindings, Policy, Rule, UnratedAction};
use tidewaiter_core::report::{ImageInfo, Report};

/// What the options say, with the files that they name.
#[derive(Debug)]
pub(crate) struct JudgingCriteria {
    policy: Policy,
    about_new: Vec<Rule>,
    baseline: Option<Baseline>,
}

/// Earlier reports, of one image or of several.
#[derive(Debug)]
struct Baseline {
    path: PathBuf,
    reports: Vec<BaselineReport>,
}

/// What is asked of an earlier report.
#[derive(Debug)]
struct BaselineReport {
    name: String,
    platform: Platform,
    known: Arc<KnownFindings>,
}

impl JudgeArgs {
    /// Whether an option says what violates the policy: a command that only shows reports fails by that, and not by the default.
    pub(crate) fn may_fail(&self) -> bool {
        !self.fail_on.is_empty() || self.block_at.is_some() || self.policy.is_some()
    }

    /// Reads the files that the options name.
    pub(crate) fn criteria(&self) -> Result<JudgingCriteria> {
        let base = self.policy.as_deref().map(policy_file::read).transpose()?;
        let policy = match (base, self.fail_on.as_slice()) {
            (Some(base), criteria) => base.strictest(&of_criteria(criteria)),
            (None, []) => Policy { block_at: self.block_at.or(Policy::default().block_at), ..Policy::default() },
            // In place of the severity that fails by default; all else stays as it is.
            (None, criteria) => Policy { block_at: None, ..Policy::default() }.strictest(&of_criteria(criteria)),
        };
        let days = self.max_database_age.or(policy.max_database_age_days).filter(|days| *days > 0);
        let about_new: Vec<Rule> =
            rules(&self.fail_on).filter(|rule| rule.is_new).map(|rule| rule.rule.clone()).collect();
        let baseline = match (&self.baseline, about_new.is_empty()) {
            (Some(_), true) => Err(UsageError(
                "--baseline says what is new, and nothing asks for that: add --fail-on new, or high+new".to_owned(),
            )),
            (None, false) => Err(UsageError(
                "--fail-on new needs the report that has what is not new: --baseline REPORT.json".to_owned(),
            )),
            (Some(path), false) => Baseline::read(path).map(Some),
            (None, true) => Ok(None),
        }?;
        Ok(JudgingCriteria { policy: Policy { max_database_age_days: days, ..policy }, about_new, baseline })
    }
}

/// The policy that has these criteria and asks for nothing else.
fn of_criteria(criteria: &[FailCriterion]) -> Policy {
    let severities = criteria.iter().filter_map(|criterion| match criterion {
        FailCriterion::Severity(severity) => Some(*severity),
        _ => None,
    });
    Policy {
        block_at: severities.min(),
        rules: rules(criteria).filter(|rule| !rule.is_new).map(|rule| rule.rule.clone()).collect(),
        unrated: if criteria.contains(&FailCriterion::Unrated) { UnratedAction::Hold } else { UnratedAction::Allow },
        incomplete: IncompleteAction::Allow,
        max_database_age_days: None,
    }
}

fn rules(criteria: &[FailCriterion]) -> impl Iterator<Item = &FailRule> {
    criteria.iter().filter_map(|criterion| match criterion {
        FailCriterion::Rule(rule) => Some(rule.as_ref()),
        _ => None,
    })
}

impl JudgingCriteria {
    /// The policy for an image.
    pub(crate) fn of_image(&self, image: &ImageInfo) -> Result<Policy, UsageError> {
        let Some(baseline) = &self.baseline else { return Ok(self.policy.clone()) };
        let known = baseline.of_image(image)?;
        let mut policy = self.policy.clone();
        policy
            .rules
            .extend(self.about_new.iter().map(|rule| Rule { passes_over: Some(known.clone()), ..rule.clone() }));
        Ok(policy)
    }

    /// The policy for every image; what is new is said of one.
    pub(crate) fn of_every_image(self) -> Result<Policy, UsageError> {
        match self.baseline {
            None => Ok(self.policy),
            Some(_) => {
                Err(UsageError("--fail-on new is about the image of --baseline, and no other policy is".to_owned()))
            }
        }
    }

    /// Refuses a baseline of another image before this one is read, where its name is known by then: reports name an image of
    /// this machine by its path alone.
    pub(crate) fn check_name(&self, image: &str) -> Result<(), UsageError> {
        match (&self.baseline, ImageSource::parse(image)) {
            (Some(baseline), ImageSource::Reference(name) | ImageSource::Registry(name)) => {
                baseline.of_name(name).map(drop)
            }
            _ => Ok(()),
        }
    }
}

impl Baseline {
    fn read(path: &Path) -> Result<Self, UsageError> {
        let reports = report_file::read(path)?.into_iter().map(BaselineReport::of).collect();
        Ok(Baseline { path: path.to_owned(), reports })
    }

    /// The reports of an image by this name.
    fn of_name(&self, name: &str) -> Result<Vec<&BaselineReport>, UsageError> {
        let all: Vec<_> = self.reports.iter().filter(|report| is_same_image(&report.name, name)).collect();
        match all.is_empty() {
            false => Ok(all),
            true => Err(UsageError(format!(
                "{} is a report of {}, and {} is another image; a baseline is an earlier report of the same one",
                self.path.display(),
                listed(self.reports.iter().map(|report| &report.name)),
                printable(name),
            ))),
        }
    }

    /// What is known of an image: by the report of the same name, else by that of another version.
    fn of_image(&self, image: &ImageInfo) -> Result<Arc<KnownFindings>, UsageError> {
        let named = self.of_name(&image.name)?;
        let is_here = |report: &&BaselineReport| report.platform.normalised() == image.platform.normalised();
        let here: Vec<_> = named.iter().copied().filter(is_here).collect();
        let exact: Vec<_> = here.iter().copied().filter(|report| report.name == image.name).collect();
        let chosen = if exact.is_empty() { here } else { exact };
        match chosen.as_slice() {
            [] => Err(UsageError(format!(
                "{} has no report of {} for {}; it has {}",
                self.path.display(),
                printable(&image.name),
                image.platform,
                listed(named.iter().map(|report| &report.platform)),
            ))),
            // Which is the earlier one does not matter where they say the same.
            [first, others @ ..] if others.iter().all(|other| other.known == first.known) => Ok(first.known.clone()),
            several => Err(UsageError(format!(
                "{} has {} reports with different findings that may be the baseline of {} for {}: of {}; name a file with one of them, as \
                 `kubectl scan convert --image NAME -o json=FILE` writes it",
                self.path.display(),
                several.len(),
                printable(&image.name),
                image.platform,
                listed(several.iter().map(|report| &report.name)),
            ))),
        }
    }
}

impl BaselineReport {
    fn of(report: Report) -> Self {
        let image = report.inventory.image;
        let known = Arc::new(KnownFindings::of(&report.findings));
        BaselineReport { name: image.name, platform: image.platform, known }
    }
}

/// Texts of a file, each once.
fn listed<T: ToString>(texts: impl Iterator<Item = T>) -> String {
    let all: BTreeSet<String> = texts.map(|text| printable(text.to_string())).collect();
    all.into_iter().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use tidewaiter_core::finding::Finding;
    use tidewaiter_core::image::Digest;
    use tidewaiter_core::severity::Severity;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        judge: JudgeArgs,
    }

    fn criteria(words: &[&str]) -> Result<JudgingCriteria, String> {
        let line = Line::try_parse_from(std::iter::once(&"scan").chain(words)).map_err(|error| error.to_string())?;
        line.judge.criteria().map_err(|error| error.to_string())
    }

    /// The fields of the policy that options make; a rule by its name.
    fn policy(words: &[&str]) -> (Option<Severity>, Vec<String>, UnratedAction, Option<u32>) {
        let policy = criteria(words).and_then(|all| all.of_every_image().map_err(|e| e.to_string())).unwrap();
        assert_eq!(policy.incomplete, IncompleteAction::Hold, "{words:?}");
        let rules = policy.rules.into_iter().map(|rule| rule.name).collect();
        (policy.block_at, rules, policy.unrated, policy.max_database_age_days)
    }

    #[test]
    fn options_are_one_policy() {
        let days = Policy::default().max_database_age_days;
        let check = |words: &[&str], block_at: Option<Severity>, rules: &[&str], unrated: UnratedAction| {
            let rules = rules.iter().map(|rule| (*rule).to_owned()).collect();
            assert_eq!(policy(words), (block_at, rules, unrated, days), "{words:?}");
        };
        use Severity::{Critical, High, Low, Medium};
        use UnratedAction::{Hold, Warn};
        check(&[], Some(Critical), &[], Warn);
        check(&["--block-at", "high"], Some(High), &[], Warn);
        check(&["--fail-on", "high"], Some(High), &[], Warn);
        check(&["--fail-on", "high,low"], Some(Low), &[], Warn);
        check(&["--fail-on", "high", "--fail-on", "kev,epss>=0.5"], Some(High), &["kev", "epss>=0.5"], Warn);
        // What fails by default is replaced.
        check(&["--fail-on", "kev"], None, &["kev"], Warn);
        check(&["--fail-on", "unknown,medium"], Some(Medium), &[], Hold);
    }

    #[test]
    fn a_policy_of_a_file_is_never_weakened() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("p.yaml");
        std::fs::write(&file, "kind: ClusterScanPolicy\nspec: {blockAt: HIGH, maxDatabaseAgeDays: 3}\n").unwrap();
        let file = file.display().to_string();
        let check = |fail_on: &str, block_at: Severity, rules: usize| {
            let found = policy(&["--policy", &file, "--fail-on", fail_on]);
            assert_eq!((found.0, found.1.len(), found.3), (Some(block_at), rules, Some(3)), "{fail_on}");
        };
        check("critical", Severity::High, 0);
        check("medium", Severity::Medium, 0);
        check("kev,low+fixable", Severity::High, 2);
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        let check = |words: &[&str], expected: &str| {
            let said = criteria(words).map(|all| format!("{all:?}")).unwrap_err();
            assert!(said.contains(expected), "{words:?}: {said}");
        };
        check(&["--fail-on", "new"], "--baseline REPORT.json");
        check(&["--baseline", "r.json"], "--baseline says what is new");
        check(&["--baseline", "none.json", "--fail-on", "new"], "none.json");
        check(&["--block-at", "high", "--fail-on", "low"], "cannot be used with");
        check(&["--fail-on", "hihg"], "none of the criteria");
    }

    #[test]
    fn of_several_versions_the_baseline_is_the_one_of_the_same_name() {
        let known = |ids: &[&str]| {
            let finding = |id: &&str| Finding { vulnerability: (*id).to_owned(), ..Finding::default() };
            Arc::new(KnownFindings::of(&ids.iter().map(finding).collect::<Vec<_>>()))
        };
        let all = [
            ("r.example/a:v1", "linux/amd64", &["CVE-1"][..]),
            ("r.example/a:v2", "linux/amd64", &["CVE-2"]),
            ("r.example/a:v2", "linux/arm64", &["CVE-3"]),
            ("r.example/b:v1", "linux/amd64", &["CVE-4"]),
            ("r.example/b:v2", "linux/amd64", &["CVE-4"]),
            ("r.example/c:v1", "linux/amd64", &["CVE-5"]),
            ("r.example/c:v1", "linux/amd64", &["CVE-6"]),
        ];
        let report = |(name, platform, ids): &(&str, &str, &[&str])| BaselineReport {
            name: (*name).to_owned(),
            platform: platform.parse().unwrap(),
            known: known(ids),
        };
        let baseline = Baseline { path: "old.json".into(), reports: all.iter().map(report).collect() };
        let check = |name: &str, platform: &str, expected: Result<&str, &str>| match (
            baseline.of_image(&image(name, platform)),
            expected,
        ) {
            (Ok(found), Ok(id)) => assert_eq!(found, known(&[id]), "{name} {platform}"),
            (Err(error), Err(words)) => assert!(error.to_string().contains(words), "{name} {platform}: {error}"),
            (found, expected) => panic!("{name} {platform}: {found:?}, not {expected:?}"),
        };
        check("r.example/a:v1", "linux/amd64", Ok("CVE-1"));
        check("r.example/a:v2", "linux/amd64", Ok("CVE-2"));
        check("r.example/a:v2", "linux/arm64", Ok("CVE-3"));
        // One of that platform.
        check("r.example/a:v3", "linux/arm64", Ok("CVE-3"));
        check("r.example/a:v3", "linux/amd64", Err("old.json has 2 reports with different findings"));
        check("r.example/a:v3", "linux/amd64", Err("of r.example/a:v1, r.example/a:v2; name a file with one"));
        // Whichever: they say the same.
        check("r.example/b:v3", "linux/amd64", Ok("CVE-4"));
        check("r.example/c:v1", "linux/amd64", Err("may be the baseline of r.example/c:v1 for linux/amd64"));
    }

    fn image(name: &str, platform: &str) -> ImageInfo {
        let digest = Digest::from_sha256([0; 32]);
        ImageInfo::new(name, digest.clone(), digest, platform.parse().unwrap())
    }

    #[test]
    fn a_baseline_is_of_the_same_image_and_platform() {
        let report = |name: &str, platform: &str| BaselineReport {
            name: name.to_owned(),
            platform: platform.parse().unwrap(),
            known: Arc::default(),
        };
        let baseline = Baseline {
            path: "old.json".into(),
            reports: vec![report("r.example/a:v1", "linux/amd64"), report("r.example/b:v1", "linux/arm64")],
        };
        let check = |name: &str, platform: &str, expected: Option<&str>| {
            let said = baseline.of_image(&image(name, platform)).err().map(|error| error.to_string());
            assert_eq!(said.is_some(), expected.is_some(), "{name} {platform}: {said:?}");
            assert!(said.unwrap_or_default().contains(expected.unwrap_or_default()), "{name} {platform}");
        };
        check("r.example/a:v2", "linux/amd64", None);
        check("r.example/b:v1", "linux/arm64/v8", None);
        check(
            "r.example/c:v1",
            "linux/amd64",
            Some("old.json is a report of r.example/a:v1, r.example/b:v1, and r.example/c:v1 is"),
        );
        check("r.example/a:v1", "linux/arm64", Some("no report of r.example/a:v1 for linux/arm64; it has linux/amd64"));
    }
}
