//! Several images of one call: what became of each, and how it is told. One that fails does not keep the others from their end.

use crate::exit::{self, Exit};
use crate::output::ReportOutputs;
use crate::render;
use crate::terminal::{self, printable};
use anyhow::Result;
use tidewaiter_core::policy::Verdict;
use tidewaiter_core::report::Report;
use tidewaiter_core::severity::Severity;
use tidewaiter_formats::JudgedReport;

/// An image as the command line names it, and what became of it: a report for each platform.
pub(crate) struct ImageResult {
    pub(crate) image: String,
    pub(crate) judged: Result<Vec<OwnJudgement>>,
}

/// A report, and what policy says of it.
pub(crate) struct OwnJudgement {
    pub(crate) report: Report,
    pub(crate) verdict: Verdict,
}

impl OwnJudgement {
    fn as_judged(&self) -> JudgedReport<'_> {
        JudgedReport { report: &self.report, verdict: &self.verdict }
    }
}

impl ImageResult {
    /// Says that an image is done, while others are not.
    pub(crate) fn say(&self) {
        let image = printable(&self.image);
        match &self.judged {
            Ok(all) => {
                for OwnJudgement { report, verdict } in all {
                    terminal::say(&format!("{image}: {}; policy: {}", report.counts.sentence(), verdict.outcome));
                }
            }
            Err(_) => terminal::say(&format!("{image}: failed")),
        }
    }
}

/// Prints errors, writes reports and a summary, in the order of the command line. The exit code is the worst.
pub(crate) fn finish(results: Vec<ImageResult>, outputs: &ReportOutputs) -> Result<Exit> {
    let (mut worst, mut images) = (Exit::Clean, Vec::new());
    let mut rows = vec![HEAD.map(str::to_owned)];
    for ImageResult { image, judged } in results {
        match judged {
            Ok(all) => {
                rows.extend(all.iter().map(|one| row(&image, one)));
                let exits = all.iter().map(|one| exit::of(one.verdict.outcome));
                worst = exits.fold(worst, Exit::worse);
                images.push((image, all));
            }
            Err(error) => {
                rows.push(failed(&image));
                let named = if format!("{error:#}").contains(&image) { error } else { error.context(image) };
                worst = worst.worse(exit::report(&named));
            }
        }
    }
    let images: Vec<(&str, Vec<JudgedReport<'_>>)> =
        images.iter().map(|(image, all)| (image.as_str(), all.iter().map(OwnJudgement::as_judged).collect())).collect();
    outputs.write_several(&images, &render::columns(&rows))?;
    Ok(worst)
}

const HEAD: [&str; 8] = ["IMAGE", "CRITICAL", "HIGH", "MEDIUM", "LOW", "OTHER", "FIXABLE", "POLICY"];

fn row(image: &str, OwnJudgement { report, verdict }: &OwnJudgement) -> [String; 8] {
    let counts = report.counts;
    let of = |severity: Severity| counts.get(severity).to_string();
    [
        printable(image),
        of(Severity::Critical),
        of(Severity::High),
        of(Severity::Medium),
        of(Severity::Low),
        (counts.negligible + counts.unknown).to_string(),
        counts.fixable.to_string(),
        verdict.outcome.to_string(),
    ]
}

fn failed(image: &str) -> [String; 8] {
    let mut row = [(); 8].map(|()| "-".to_owned());
    row[0] = printable(image);
    row[7] = "failed".to_owned();
    row
}
