//! Which formats a command writes, and where each goes: `-o FORMAT`, `-o FORMAT=FILE`.

use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, Command, Error};
use std::ffi::OsStr;
use std::marker::PhantomData;
use std::path::PathBuf;
use std::str::FromStr;
use tidewaiter_formats::{Arrangement, GroupKey, ReportFormat, SbomFormat, SortKey, UnknownKey};

/// The formats of a report.
#[derive(Debug, Clone, Args)]
pub(crate) struct OutputArgs {
    /// Format; FORMAT=FILE writes a file, template=TEMPLATE[=FILE] what a template makes of the report; repeatable
    #[arg(short, long = "output", value_name = "FORMAT[=FILE]", value_parser = OutputParser::<ReportOutputFormat>::new(), default_value = "table")]
    pub(crate) outputs: Vec<OutputTarget<ReportOutputFormat>>,
    /// Show only findings with a fixed version, in tables and Markdown; policy judges the others all the same, unless --fail-on
    /// says `fixable`
    #[arg(long)]
    pub(crate) only_fixed: bool,
    /// Order of the findings, in tables and Markdown
    #[arg(long, value_name = "KEY", value_parser = keys(&SortKey::ALL), default_value = "severity")]
    pub(crate) sort: SortKey,
    /// Show findings together that have this in common, in tables and Markdown
    #[arg(long, value_name = "KEY", value_parser = keys(&GroupKey::ALL))]
    pub(crate) group_by: Option<GroupKey>,
}

impl OutputArgs {
    /// How findings are shown.
    pub(crate) fn arrangement(&self) -> Arrangement {
        Arrangement { only_fixed: self.only_fixed, sort: self.sort, group_by: self.group_by }
    }
}

/// Reads a key by its name.
fn keys<T>(all: &[(&'static str, T)]) -> impl TypedValueParser<Value = T> + use<T>
where
    T: FromStr<Err = UnknownKey> + Clone + Send + Sync + 'static,
{
    PossibleValuesParser::new(all.iter().map(|(name, _)| *name)).try_map(|name| name.parse::<T>())
}

/// One format of a command, and where it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OutputTarget<F> {
    pub(crate) format: F,
    /// `None`: standard output.
    pub(crate) file: Option<PathBuf>,
}

/// A format of reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ReportOutputFormat {
    Table,
    Json,
    Document(ReportFormat),
    /// A template of the user, in this file.
    Template(PathBuf),
}

/// The formats that an option has.
pub(crate) trait OutputName: Clone + Send + Sync + 'static {
    /// Each name, with what help texts say of it.
    fn names() -> Vec<(&'static str, &'static str)>;

    /// The format of a name and of what follows it after `=`, and the file that remains of that; `None`: no format has
    /// this name.
    fn read<'a>(name: &str, rest: Option<&'a str>) -> Option<(Self, Option<&'a str>)>;
}

const TEMPLATE: &str = "template";

impl OutputName for ReportOutputFormat {
    fn names() -> Vec<(&'static str, &'static str)> {
        let own = [("table", "Text for people"), ("json", "JSON for programs, with all that is known")];
        let documents = ReportFormat::ALL.map(|format| (format.name(), about(format)));
        own.into_iter()
            .chain(documents)
            .chain([(TEMPLATE, "What a template makes of the report (cargo feature `templates`)")])
            .collect()
    }

    fn read<'a>(name: &str, rest: Option<&'a str>) -> Option<(Self, Option<&'a str>)> {
        Some(match name {
            "table" => (ReportOutputFormat::Table, rest),
            "json" => (ReportOutputFormat::Json, rest),
            TEMPLATE => {
                let (template, file) = rest.map_or(("", None), |rest| match rest.split_once('=') {
                    Some((template, file)) => (template, Some(file)),
                    None => (rest, None),
                });
                (ReportOutputFormat::Template(template.into()), file)
            }
            name => (ReportOutputFormat::Document(name.parse().ok()?), rest),
        })
    }
}

fn about(format: ReportFormat) -> &'static str {
    match format {
        ReportFormat::Sarif => "SARIF 2.1.0, for code scanning",
        ReportFormat::Sbom(format) => about_sbom(format),
        ReportFormat::Junit => "JUnit XML, for test reports",
        ReportFormat::GitLab => "GitLab's report of container scanning",
        ReportFormat::DefectDojo => "DefectDojo's Generic Findings Import",
        ReportFormat::Markdown => "Markdown, for job summaries and comments",
        ReportFormat::Csv => "CSV, for spreadsheets",
        ReportFormat::Html => "One HTML file, for people",
    }
}

impl OutputName for SbomFormat {
    fn names() -> Vec<(&'static str, &'static str)> {
        SbomFormat::ALL.map(|format| (format.name(), about_sbom(format))).to_vec()
    }

    fn read<'a>(name: &str, rest: Option<&'a str>) -> Option<(Self, Option<&'a str>)> {
        SbomFormat::ALL.into_iter().find(|format| format.name() == name).map(|format| (format, rest))
    }
}

fn about_sbom(format: SbomFormat) -> &'static str {
    match format {
        SbomFormat::CycloneDx => "CycloneDX 1.7, JSON",
        SbomFormat::CycloneDx16 => "CycloneDX 1.6, JSON",
        SbomFormat::Spdx2 => "SPDX 2.3, JSON",
        SbomFormat::Spdx3 => "SPDX 3.0.1, JSON-LD",
    }
}

/// Reads `FORMAT` and `FORMAT=FILE`; completion and help know the formats.
#[derive(Debug)]
pub(crate) struct OutputParser<F>(PhantomData<fn() -> F>);

impl<F> OutputParser<F> {
    pub(crate) const fn new() -> Self {
        OutputParser(PhantomData)
    }
}

impl<F> Clone for OutputParser<F> {
    fn clone(&self) -> Self {
        Self::new()
    }
}

impl<F: OutputName> TypedValueParser for OutputParser<F> {
    type Value = OutputTarget<F>;

    fn parse_ref(&self, command: &Command, arg: Option<&Arg>, value: &OsStr) -> Result<Self::Value, Error> {
        let text = value.to_string_lossy();
        let (name, rest) = text.split_once('=').map_or((text.as_ref(), None), |(name, rest)| (name, Some(rest)));
        let Some((format, file)) = F::read(name, rest) else { return Err(unknown::<F>(command, arg, name)) };
        // `template` and `template=` name none.
        let is_missing =
            file == Some("") || name == TEMPLATE && rest.is_none_or(|rest| rest.is_empty() || rest.starts_with('='));
        if is_missing || value.to_str().is_none() {
            let message = format!("{text:?} names no file; write FORMAT=FILE, or template=TEMPLATE\n");
            return Err(Error::raw(ErrorKind::ValueValidation, message).with_cmd(command));
        }
        Ok(OutputTarget { format, file: file.map(PathBuf::from) })
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(F::names().into_iter().map(|(name, about)| PossibleValue::new(name).help(about))))
    }
}

/// As clap says it of a value that is none of several.
fn unknown<F: OutputName>(command: &Command, arg: Option<&Arg>, name: &str) -> Error {
    let mut error = Error::new(ErrorKind::InvalidValue).with_cmd(command);
    if let Some(arg) = arg {
        error.insert(ContextKind::InvalidArg, ContextValue::String(arg.to_string()));
    }
    let names = F::names().into_iter().map(|(name, _)| name.to_owned()).collect();
    error.insert(ContextKind::InvalidValue, ContextValue::String(name.to_owned()));
    error.insert(ContextKind::ValidValue, ContextValue::Strings(names));
    error
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

    fn read(outputs: &[&str]) -> Result<Vec<OutputTarget<ReportOutputFormat>>, String> {
        let words = outputs.iter().flat_map(|output| ["-o", output]);
        let line = Line::try_parse_from(std::iter::once("scan").chain(words));
        line.map(|line| line.output.outputs).map_err(|error| error.to_string())
    }

    #[test]
    fn formats_and_files_are_read() {
        let check = |outputs: &[&str], expected: &[(ReportOutputFormat, Option<&str>)]| {
            let expected: Vec<_> = expected
                .iter()
                .map(|(format, file)| OutputTarget { format: format.clone(), file: file.map(PathBuf::from) })
                .collect();
            assert_eq!(read(outputs), Ok(expected), "{outputs:?}");
        };
        let template = || ReportOutputFormat::Template("a.j2".into());
        check(&[], &[(ReportOutputFormat::Table, None)]);
        check(&["json"], &[(ReportOutputFormat::Json, None)]);
        check(
            &["table", "sarif=a=b.sarif"],
            &[
                (ReportOutputFormat::Table, None),
                (ReportOutputFormat::Document(ReportFormat::Sarif), Some("a=b.sarif")),
            ],
        );
        check(&["template=a.j2"], &[(template(), None)]);
        check(&["template=a.j2=out.txt"], &[(template(), Some("out.txt"))]);
    }

    #[test]
    fn mistakes_list_the_formats_or_say_what_is_missing() {
        let check = |output: &str, words: &[&str]| {
            let said = read(&[output]).unwrap_err();
            words.iter().for_each(|word| assert!(said.contains(word), "{output}: {said}"));
        };
        check("pdf", &["invalid value 'pdf'", "table", "cyclonedx-1.6", "template"]);
        check("pdf=x", &["invalid value 'pdf'"]);
        check("sarif=", &["names no file"]);
        check("template", &["names no file"]);
        check("template=", &["names no file"]);
        check("template==x", &["names no file"]);
        check("template=a=", &["names no file"]);
    }
}
