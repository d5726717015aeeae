//! `kubectl scan convert`: a stored report in other formats.

use crate::args::ConvertArgs;
use crate::exit::{self, Exit, UsageError};
use crate::output::ReportOutputs;
use crate::report_file;
use anyhow::Result;
use jiff::Timestamp;
use tidewaiter_core::image::Platform;
use tidewaiter_core::policy::{self, Verdict};
use tidewaiter_core::report::Report;
use tidewaiter_formats::JudgedReport;

/// Reads, judges and writes.
pub(crate) fn run(args: &ConvertArgs) -> Result<Exit> {
    let criteria = args.judge.criteria()?;
    let outputs = ReportOutputs::prepare(&args.output.outputs, Some(&args.report))?;
    let outputs = outputs.arranged(args.output.arrangement())?;
    let name = args.report.display().to_string();
    let reports = chosen(report_file::read(&args.report)?, args.platform.as_ref(), &name)?;
    let now = Timestamp::now();
    let judge = |report: &Report| Ok(policy::decide(report, &criteria.of_image(&report.inventory.image)?, now));
    let verdicts: Vec<Verdict> = reports.iter().map(judge).collect::<Result<_, UsageError>>()?;
    let judged: Vec<_> =
        reports.iter().zip(&verdicts).map(|(report, verdict)| JudgedReport { report, verdict }).collect();
    outputs.write(&judged)?;
    let worst = verdicts.iter().map(|verdict| verdict.outcome).max().filter(|_| args.judge.may_fail());
    Ok(worst.map_or(Exit::Clean, exit::of))
}

/// The reports of a platform, where one is named.
fn chosen(reports: Vec<Report>, platform: Option<&Platform>, name: &str) -> Result<Vec<Report>, UsageError> {
    let Some(wanted) = platform else { return Ok(reports) };
    let known: Vec<String> = reports.iter().map(|report| report.inventory.image.platform.to_string()).collect();
    let fitting: Vec<Report> = reports
        .into_iter()
        .filter(|report| report.inventory.image.platform.normalised() == wanted.normalised())
        .collect();
    if fitting.is_empty() {
        return Err(UsageError(format!("{name} has no report of {wanted}; it has {}", known.join(", "))));
    }
    Ok(fitting)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidewaiter_core::image::Digest;
    use tidewaiter_core::report::{DatabaseInfo, ImageInfo, Inventory};

    fn report(platform: &str) -> Report {
        let digest = Digest::from_sha256([0; 32]);
        let image = ImageInfo::new("app", digest.clone(), digest, platform.parse().unwrap());
        let inventory = Inventory { image, layers: vec![], os: None, packages: vec![], gaps: vec![] };
        Report::new(inventory, DatabaseInfo::default(), vec![], vec![])
    }

    #[test]
    fn a_platform_is_chosen() {
        let check = |platform: Option<&str>, expected: Result<usize, &str>| {
            let platform: Option<Platform> = platform.map(|text| text.parse().unwrap());
            let reports = vec![report("linux/amd64"), report("linux/arm64/v8")];
            let found = chosen(reports, platform.as_ref(), "r.json").map(|all| all.len()).map_err(|e| e.to_string());
            assert_eq!(found.as_ref().map_err(String::as_str), expected.as_ref().map_err(|e| *e));
        };
        check(None, Ok(2));
        check(Some("linux/amd64"), Ok(1));
        check(Some("linux/arm64"), Ok(1));
        check(Some("linux/s390x"), Err("r.json has no report of linux/s390x; it has linux/amd64, linux/arm64/v8"));
    }
}
