//! Outputs of several images: one document of all, or a file for each, by `{name}` in its path.

use super::prepared::{PreparedFormat, refusal};
use super::{OutputPlace, ReportOutputs, check, replace, write_each};
use crate::args::{OutputArgs, OutputTarget};
use crate::exit::UsageError;
use crate::source::ImageSource;
use anyhow::Result;
use std::io::Write;
use std::path::{Path, PathBuf};
use tidewaiter_core::report::Report;
use tidewaiter_formats::{JudgedReport, ReportFormat};

/// What stands for an image in the path of a file.
const NAME: &str = "{name}";

/// An image as the command line names it, and its reports.
pub(crate) type ReportedImage<'a> = (&'a str, Vec<JudgedReport<'a>>);

impl ReportOutputs {
    /// As [`ReportOutputs::prepare`], of these images.
    pub(crate) fn prepare_for(args: &OutputArgs, images: &[String]) -> Result<Self> {
        let targets: Vec<_> = match images {
            [image] => args.outputs.iter().map(|target| of_image(target, image)).collect(),
            _ => args.outputs.clone(),
        };
        let outputs = ReportOutputs::prepare(&targets, None)?.arranged(args.arrangement())?;
        if images.len() > 1
            && let Some(single) =
                outputs.all.iter().find(|target| !is_for_each(target) && !target.format.takes_several())
        {
            return Err(of_one_image(single.format.name(), images.len()).into());
        }
        let each =
            images.iter().flat_map(|image| targets.iter().filter(|t| is_for_each(t)).map(|t| of_image(t, image)));
        let places: Vec<_> = targets.iter().filter(|target| !is_for_each(target)).cloned().chain(each).collect();
        check(&places, None)?;
        images.iter().try_for_each(|image| check(&places, ImageSource::parse(image).path()))?;
        Ok(outputs)
    }

    /// Writes the reports of several images, and after their tables a summary. Where no image has a report, the summary is all.
    pub(crate) fn write_several(&self, images: &[ReportedImage<'_>], summary: &str) -> Result<()> {
        for target in self.all.iter().filter(|target| is_for_each(target)) {
            for (image, reports) in images {
                self.write_one(target, image, reports)?;
            }
        }
        let all: Vec<JudgedReport<'_>> = images.iter().flat_map(|(_, reports)| reports).copied().collect();
        let is_written = |target: &&OutputTarget<PreparedFormat>| {
            !is_for_each(target) && (!all.is_empty() || target.format.is_table())
        };
        write_each(self.all.iter().filter(is_written), |format, to, out| format.write_all(&all, summary, self, to, out))
    }

    fn write_one(
        &self,
        target: &OutputTarget<PreparedFormat>,
        image: &str,
        reports: &[JudgedReport<'_>],
    ) -> Result<()> {
        let Some(file) = &target.file else { return Ok(()) };
        if reports.len() != 1 && !target.format.takes_several() {
            return Err(refusal(&target.format, reports).into());
        }
        replace(&named(file, image), |out| target.format.write(reports, self, OutputPlace::File, out))
    }
}

impl PreparedFormat {
    fn is_table(&self) -> bool {
        matches!(self, PreparedFormat::Table)
    }

    fn write_all(
        &self,
        all: &[JudgedReport<'_>],
        summary: &str,
        how: &ReportOutputs,
        to: OutputPlace,
        out: &mut dyn Write,
    ) -> Result<()> {
        match self {
            PreparedFormat::Table => {
                for judged in all {
                    self.write(std::slice::from_ref(judged), how, to, out)?;
                    writeln!(out)?;
                }
                Ok(out.write_all(summary.as_bytes())?)
            }
            // A list, also where all images but one failed.
            PreparedFormat::Json => {
                let reports: Vec<&Report> = all.iter().map(|judged| judged.report).collect();
                Ok(Report::write_all_json(&reports, out)?)
            }
            PreparedFormat::Document(ReportFormat::Sarif) => self.write(all, how, to, out),
            PreparedFormat::Document(_) | PreparedFormat::Template(_) => {
                Err(of_one_image(self.name(), all.len()).into())
            }
        }
    }
}

fn of_one_image(format: &str, images: usize) -> UsageError {
    UsageError(format!(
        "{format} is about one image, and {images} are named; write a file for each, by {NAME} in its path, as in -o csv={NAME}.csv"
    ))
}

fn is_for_each<F>(target: &OutputTarget<F>) -> bool {
    target.file.as_ref().is_some_and(|file| file.to_string_lossy().contains(NAME))
}

fn of_image<F: Clone>(target: &OutputTarget<F>, image: &str) -> OutputTarget<F> {
    OutputTarget { file: target.file.as_ref().map(|file| named(file, image)), ..target.clone() }
}

/// The file of an image: its name, with `_` for whatever not every file system takes.
fn named(file: &Path, image: &str) -> PathBuf {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let name: String = image.chars().map(|c| if is_plain(c) { c } else { '_' }).collect();
    match file.to_str() {
        Some(text) => text.replace(NAME, &name).into(),
        None => file.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        output: OutputArgs,
    }

    #[test]
    fn files_are_named_as_images() {
        let check = |file: &str, image: &str, expected: &str| {
            assert_eq!(named(Path::new(file), image), Path::new(expected), "{file} {image}");
        };
        check("{name}.csv", "registry.example:5000/team/app:v1", "registry.example_5000_team_app_v1.csv");
        check("out/{name}-{name}", "oci:../x", "out/oci_.._x-oci_.._x");
        check("all.csv", "app", "all.csv");
    }

    #[test]
    fn a_document_of_one_image_needs_a_file_for_each() {
        let check = |outputs: &[&str], images: &[&str], expected: Option<&str>| {
            let words = outputs.iter().flat_map(|output| ["-o", output]);
            let args = Line::parse_from(std::iter::once("scan").chain(words)).output;
            let images: Vec<String> = images.iter().map(|image| (*image).to_owned()).collect();
            let said = ReportOutputs::prepare_for(&args, &images).err().map(|error| error.to_string());
            assert_eq!(said.is_some(), expected.is_some(), "{outputs:?} {images:?}: {said:?}");
            assert!(said.clone().unwrap_or_default().contains(expected.unwrap_or_default()), "{outputs:?}: {said:?}");
        };
        check(&["csv"], &["a:1"], None);
        check(&["csv={name}.csv"], &["a:1"], None);
        check(&["table", "json=all.json", "sarif=all.sarif"], &["a:1", "b:1"], None);
        check(&["csv={name}.csv", "cyclonedx={name}.json"], &["a:1", "b:1"], None);
        check(&["csv"], &["a:1", "b:1"], Some("csv is about one image, and 2 are named"));
        check(
            &["cyclonedx=all.json"],
            &["a:1", "b:1"],
            Some("cyclonedx is about one image, and 2 are named; write a file for each, by {name} in its path"),
        );
        check(&["csv={name}.csv"], &["a:1", "a_1"], Some("a_1.csv is named by two outputs"));
        check(&["csv=a_1.csv", "json={name}.csv"], &["a:1"], Some("a_1.csv is named by two outputs"));
    }
}
