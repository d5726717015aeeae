//! Judges reports of files, and images that are scanned here.

use super::outcome::JudgedTarget;
use crate::args::LocalArgs;
use crate::exit::UsageError;
use crate::{local, report_file};
use anyhow::Result;
use jiff::Timestamp;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread::available_parallelism;
use tidewaiter_core::policy::{CompiledPolicy, Policy};
use tidewaiter_core::report::Report;
use tidewaiter_io::in_order;

/// The present policy and the new one.
pub(super) struct PolicyPair<'a> {
    before: CompiledPolicy<'a>,
    after: CompiledPolicy<'a>,
    now: Timestamp,
}

impl<'a> PolicyPair<'a> {
    /// Both, ready to judge at this moment.
    pub(super) fn new(before: &'a Policy, after: &'a Policy, now: Timestamp) -> Self {
        PolicyPair { before: before.compile(), after: after.compile(), now }
    }

    /// Judges the reports of an image.
    pub(super) fn judge(&self, target: String, reports: &[Report]) -> JudgedTarget {
        let (before, after) = (self.before.decide_all(reports, self.now), self.after.decide_all(reports, self.now));
        JudgedTarget::new(target, &before, after)
    }
}

/// Judges every target.
pub(super) fn targets(targets: &[String], pair: &PolicyPair<'_>, args: &LocalArgs) -> Result<Vec<JudgedTarget>> {
    let mut all = Vec::new();
    for target in targets {
        match reports(Path::new(target))? {
            Some(files) => {
                let threads = available_parallelism().map_or(1, usize::from);
                all.extend(in_order(threads, &files, |file| {
                    Ok::<_, anyhow::Error>(pair.judge(file.display().to_string(), &report_file::read_for_policy(file)?))
                })?);
            }
            None => all.push(pair.judge(target.clone(), &[local::scan(target, args)?])),
        }
    }
    Ok(all)
}

/// The files of reports that a target means; `None`: it is an image.
fn reports(target: &Path) -> Result<Option<Vec<PathBuf>>> {
    let is_json = |path: &Path| path.extension().is_some_and(|end| end == "json");
    if !target.is_dir() {
        return Ok((is_json(target) && target.is_file()).then(|| vec![target.to_owned()]));
    }
    let listing = |e: std::io::Error| UsageError(format!("{}: {e}", target.display()));
    let mut files = Vec::new();
    for entry in fs::read_dir(target).map_err(listing)? {
        files.push(entry.map_err(listing)?.path());
    }
    files.retain(|file| is_json(file));
    files.sort();
    match files.is_empty() {
        true => Err(UsageError(format!("{} has no report (FILE.json)", target.display())).into()),
        false => Ok(Some(files)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy_file;
    use proptest::prelude::*;
    use serde_json::{Value, json};
    use tidewaiter_core::policy::{self, Outcome};
    use tidewaiter_testkit::generated;

    /// Writes a policy and a report as people have them, and compares `policy test` with `scan image --policy`.
    fn judges_as_scan_image(before: &Value, after: &Value, report: &Value) {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, content: &Value| {
            fs::write(dir.path().join(name), content.to_string()).unwrap();
            dir.path().join(name)
        };
        let object = |spec: &Value| json!({"kind": "ClusterScanPolicy", "metadata": {"name": "p"}, "spec": spec});
        let before = policy_file::read(&file("before.yaml", &object(before))).unwrap();
        let after = policy_file::read(&file("after.yaml", &object(after))).unwrap();
        let now = "2026-05-29T00:00:00Z".parse().unwrap();
        let file = file("report.json", report);
        let for_policy = report_file::read_for_policy(&file).unwrap();
        let judged = PolicyPair::new(&before, &after, now).judge("t".to_owned(), &for_policy);
        let reports = report_file::read(&file).unwrap();
        let outcome = |policy: &Policy| policy::decide(&reports[0], policy, now).outcome;
        let expected = json!({"before": outcome(&before), "after": outcome(&after)});
        let found = serde_json::to_value(judged).unwrap();
        assert_eq!(json!({"before": found["before"], "after": found["after"]}), expected);
    }

    proptest! {
        #[test]
        fn policy_test_judges_as_scan_image(
            before in generated::policy(), after in generated::policy(), report in generated::report()
        ) {
            judges_as_scan_image(&before, &after, &report);
        }
    }

    /// The generated cases are not all alike.
    #[test]
    fn generated_reports_have_every_verdict() {
        use proptest::strategy::ValueTree as _;
        let mut runner = proptest::test_runner::TestRunner::deterministic();
        let mut seen = [0; 3];
        for _ in 0..300 {
            let spec = generated::policy().new_tree(&mut runner).unwrap().current();
            let report = generated::report().new_tree(&mut runner).unwrap().current();
            let spec: tidewaiter_crd::policy::ClusterScanPolicySpec = serde_json::from_value(spec).unwrap();
            let report: Report = serde_json::from_value(report).unwrap();
            let outcome = policy::decide(&report, &spec.criteria(), "2026-05-29T00:00:00Z".parse().unwrap()).outcome;
            seen[match outcome {
                Outcome::Pass => 0,
                Outcome::Incomplete => 1,
                Outcome::Violated => 2,
            }] += 1;
        }
        assert!(seen.iter().all(|count| *count > 20), "{seen:?}");
    }
}
