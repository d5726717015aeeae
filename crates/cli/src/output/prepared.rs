//! The formats of reports, ready to write.

use super::{OutputPlace, ReportOutputs};
use crate::args::ReportOutputFormat;
use crate::exit::UsageError;
#[cfg(not(feature = "templates"))]
use crate::no_template::NoTemplate as UserTemplate;
use crate::render;
#[cfg(feature = "templates")]
use crate::template::UserTemplate;
use crate::terminal::{Colour, printable};
use anyhow::Result;
use jiff::Timestamp;
use std::io::Write;
use tidewaiter_core::report::{ImageInfo, Report};
use tidewaiter_formats::{JudgedReport, ReportFormat, write_markdown, write_sarif};

/// A format with all that it needs.
pub(super) enum PreparedFormat {
    Table,
    Json,
    Document(ReportFormat),
    Template(UserTemplate),
}

/// Why a format of one report is not written for several.
pub(super) fn refusal(format: &PreparedFormat, reports: &[JudgedReport<'_>]) -> UsageError {
    let all: Vec<String> = reports.iter().map(|judged| named(&judged.report.inventory.image)).collect();
    UsageError(format!(
        "there are {} reports ({}), and {} is about one; choose it: kubectl scan convert REPORTS.json --image NAME --platform \
         PLATFORM -o ..., of reports written with -o json=REPORTS.json",
        reports.len(),
        all.join(", "),
        format.name(),
    ))
}

/// An image as a list of reports tells it from others.
pub(crate) fn named(image: &ImageInfo) -> String {
    format!("{} {}", printable(&image.name), image.platform)
}

impl PreparedFormat {
    /// Reads the template, if it is one.
    pub(super) fn read(format: &ReportOutputFormat) -> Result<Self> {
        Ok(match format {
            ReportOutputFormat::Table => PreparedFormat::Table,
            ReportOutputFormat::Json => PreparedFormat::Json,
            ReportOutputFormat::Document(format) => PreparedFormat::Document(*format),
            ReportOutputFormat::Template(path) => PreparedFormat::Template(UserTemplate::read(path)?),
        })
    }

    pub(super) fn name(&self) -> &str {
        match self {
            PreparedFormat::Table => "table",
            PreparedFormat::Json => "json",
            PreparedFormat::Document(format) => format.name(),
            PreparedFormat::Template(template) => template.name(),
        }
    }

    pub(super) fn takes_several(&self) -> bool {
        matches!(self, PreparedFormat::Table | PreparedFormat::Json | PreparedFormat::Document(ReportFormat::Sarif))
    }

    pub(super) fn is_arranged(&self) -> bool {
        matches!(self, PreparedFormat::Table | PreparedFormat::Document(ReportFormat::Markdown))
    }

    pub(super) fn write(
        &self,
        reports: &[JudgedReport<'_>],
        how: &ReportOutputs,
        to: OutputPlace,
        out: &mut dyn Write,
    ) -> Result<()> {
        let (stamp, arrangement) = (&how.stamp, &how.arrangement);
        match self {
            PreparedFormat::Table => {
                let colour = if to == OutputPlace::Stdout { Colour::of_stdout() } else { Colour::Off };
                let now = Timestamp::now();
                let table =
                    |judged: &JudgedReport<'_>| render::table(judged.report, judged.verdict, arrangement, colour, now);
                reports.iter().try_for_each(|judged| Ok(out.write_all(table(judged).as_bytes())?))
            }
            PreparedFormat::Json => match reports {
                [one] => Ok(one.report.write_json(out)?),
                several => {
                    let reports: Vec<&Report> = several.iter().map(|judged| judged.report).collect();
                    Ok(Report::write_all_json(&reports, out)?)
                }
            },
            PreparedFormat::Document(ReportFormat::Markdown) => {
                reports.iter().try_for_each(|judged| Ok(write_markdown(*judged, arrangement, out)?))
            }
            PreparedFormat::Document(ReportFormat::Sarif) => Ok(write_sarif(reports, stamp, out)?),
            PreparedFormat::Document(format) => {
                reports.iter().try_for_each(|judged| Ok(format.write(*judged, stamp, out)?))
            }
            PreparedFormat::Template(template) => {
                reports.iter().try_for_each(|judged| Ok(out.write_all(template.render(*judged, stamp)?.as_bytes())?))
            }
        }
    }
}
