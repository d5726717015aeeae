//! `kubectl scan convert`: a stored report in other formats.

use crate::args::ConvertArgs;
use crate::exit::{self, Exit, UsageError};
use crate::output::ReportOutputs;
use crate::terminal::printable;
use crate::{output, report_file};
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
    let reports = report_file::read(&args.report)?;
    let reports = chosen(reports, args.image.as_deref(), args.platform.as_ref(), &name)?;
    let now = Timestamp::now();
    let judge = |report: &Report| Ok(policy::decide(report, &criteria.of_image(&report.inventory.image)?, now));
    let verdicts: Vec<Verdict> = reports.iter().map(judge).collect::<Result<_, UsageError>>()?;
    let judged: Vec<_> =
        reports.iter().zip(&verdicts).map(|(report, verdict)| JudgedReport { report, verdict }).collect();
    outputs.write(&judged)?;
    let worst = verdicts.iter().map(|verdict| verdict.outcome).max().filter(|_| args.judge.may_fail());
    Ok(worst.map_or(Exit::Clean, exit::of))
}

/// The reports of an image and a platform, where they are named.
fn chosen(
    mut reports: Vec<Report>,
    image: Option<&str>,
    platform: Option<&Platform>,
    name: &str,
) -> Result<Vec<Report>, UsageError> {
    let known: Vec<String> = reports.iter().map(|report| output::named(&report.inventory.image)).collect();
    reports.retain(|report| {
        let found = &report.inventory.image;
        image.is_none_or(|wanted| found.name == wanted)
            && platform.is_none_or(|wanted| found.platform.normalised() == wanted.normalised())
    });
    if reports.is_empty() {
        let platform = platform.map(Platform::to_string);
        let wanted: Vec<String> = image.map(printable).into_iter().chain(platform).collect();
        return Err(UsageError(format!("{name} has no report of {}; it has {}", wanted.join(" "), known.join(", "))));
    }
    Ok(reports)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidewaiter_core::image::Digest;
    use tidewaiter_core::report::{DatabaseInfo, ImageInfo, Inventory};

    fn report(name: &str, platform: &str) -> Report {
        let digest = Digest::from_sha256([0; 32]);
        let image = ImageInfo::new(name, digest.clone(), digest, platform.parse().unwrap());
        let inventory = Inventory { image, layers: vec![], os: None, packages: vec![], gaps: vec![] };
        Report::new(inventory, DatabaseInfo::default(), vec![], vec![])
    }

    #[test]
    fn an_image_and_a_platform_are_chosen() {
        let check = |image: Option<&str>, platform: Option<&str>, expected: Result<usize, &str>| {
            let platform: Option<Platform> = platform.map(|text| text.parse().unwrap());
            let reports =
                vec![report("app", "linux/amd64"), report("app", "linux/arm64/v8"), report("job", "linux/amd64")];
            let found =
                chosen(reports, image, platform.as_ref(), "r.json").map(|all| all.len()).map_err(|e| e.to_string());
            assert_eq!(found.as_ref().map_err(String::as_str), expected.as_ref().map_err(|e| *e));
        };
        check(None, None, Ok(3));
        check(None, Some("linux/amd64"), Ok(2));
        check(None, Some("linux/arm64"), Ok(1));
        check(Some("app"), None, Ok(2));
        check(Some("job"), Some("linux/amd64"), Ok(1));
        let known = "it has app linux/amd64, app linux/arm64/v8, job linux/amd64";
        check(None, Some("linux/s390x"), Err(&format!("r.json has no report of linux/s390x; {known}")));
        check(Some("job"), Some("linux/arm64"), Err(&format!("r.json has no report of job linux/arm64; {known}")));
    }
}
