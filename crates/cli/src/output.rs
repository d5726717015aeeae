//! Writes reports in the formats that the command line asks for. Files are replaced as a whole; they come before standard
//! output, whose reader may leave early.

mod per_image;
mod prepared;

pub(crate) use self::prepared::named;

use self::prepared::{PreparedFormat, refusal};
use crate::args::{OutputTarget, ReportOutputFormat};
use crate::exit::UsageError;
use crate::stdout::{unless_reader_left, write_stdout};
use crate::terminal::printable;
use anyhow::{Context as _, Result};
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use tidewaiter_formats::{Arrangement, JudgedReport, Stamp};

/// What is written of a report, after everything that can be wrong with it before a scan was found.
pub(crate) struct ReportOutputs {
    all: Vec<OutputTarget<PreparedFormat>>,
    arrangement: Arrangement,
    stamp: Stamp,
}

impl ReportOutputs {
    /// Reads templates and looks for contradictions, so that a mistake is reported before minutes of work. `input` is the file that
    /// is read, if it is one.
    pub(crate) fn prepare(targets: &[OutputTarget<ReportOutputFormat>], input: Option<&Path>) -> Result<Self> {
        check(targets, input)?;
        let prepared = |target: &OutputTarget<_>| {
            Ok(OutputTarget { format: PreparedFormat::read(&target.format)?, file: target.file.clone() })
        };
        let all = targets.iter().map(prepared).collect::<Result<_>>()?;
        Ok(ReportOutputs { all, arrangement: Arrangement::default(), stamp: stamp()? })
    }

    /// The same with findings so arranged, where a person reads them.
    pub(crate) fn arranged(self, arrangement: Arrangement) -> Result<Self, UsageError> {
        let is_seen = self.all.iter().any(|target| target.format.is_arranged());
        if !is_seen && arrangement != Arrangement::default() {
            let names: Vec<&str> = self.all.iter().map(|target| target.format.name()).collect();
            return Err(UsageError(format!(
                "--only-fixed, --sort and --group-by are for table and markdown; {} has every finding, in the report's order",
                names.join(" or ")
            )));
        }
        Ok(ReportOutputs { arrangement, ..self })
    }

    /// The table on standard output.
    pub(crate) fn table() -> Result<Self> {
        Self::prepare(&[OutputTarget { format: ReportOutputFormat::Table, file: None }], None)
    }

    /// Whether it is a table for a person, and nothing else.
    pub(crate) fn is_table(&self) -> bool {
        matches!(self.all.as_slice(), [OutputTarget { format: PreparedFormat::Table, file: None }])
    }

    /// Whether it may be written for one image after the other: a second file would replace the first, and two documents in one
    /// place are none.
    pub(crate) fn may_be_repeated(&self) -> bool {
        let is_text = |format: &PreparedFormat| matches!(format, PreparedFormat::Table | PreparedFormat::Json);
        self.all.iter().all(|target| is_text(&target.format) && target.file.is_none())
    }

    /// Writes the reports of an image, one for each platform.
    pub(crate) fn write(&self, reports: &[JudgedReport<'_>]) -> Result<()> {
        if let Some(single) = self.all.iter().find(|target| !target.format.takes_several())
            && reports.len() != 1
        {
            return Err(refusal(&single.format, reports).into());
        }
        write_all(&self.all, |format, to, out| format.write(reports, self, to, out))
    }
}

/// Where something is written: only a terminal is coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OutputPlace {
    File,
    Stdout,
}

/// Writes each target by `write`: files first, then standard output.
pub(crate) fn write_all<F>(
    targets: &[OutputTarget<F>],
    write: impl Fn(&F, OutputPlace, &mut dyn Write) -> Result<()>,
) -> Result<()> {
    write_each(targets.iter(), write)
}

fn write_each<'a, F: 'a>(
    targets: impl Iterator<Item = &'a OutputTarget<F>> + Clone,
    write: impl Fn(&F, OutputPlace, &mut dyn Write) -> Result<()>,
) -> Result<()> {
    for target in targets.clone() {
        if let Some(file) = &target.file {
            replace(file, |out| write(&target.format, OutputPlace::File, out))?;
        }
    }
    for target in targets.filter(|target| target.file.is_none()) {
        write_stdout(|out| write(&target.format, OutputPlace::Stdout, out))?;
    }
    Ok(())
}

/// Writes a file next to the one that it replaces. A mistake of a template stays what it is. What is there and is no regular
/// file (a device, a pipe, a link) is written to and stays what it is; the reader of a pipe may leave early.
fn replace(path: &Path, write: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<()> {
    if path.symlink_metadata().is_ok_and(|there| !there.is_file()) {
        let file = File::options().write(true).truncate(true).open(path);
        let mut out = BufWriter::new(file.with_context(|| format!("{} cannot be written", path.display()))?);
        let written = write(&mut out);
        let flushed = |()| out.flush().with_context(|| format!("{} cannot be written", path.display()));
        return unless_reader_left(written.and_then(flushed));
    }
    let mut failed = None;
    let replaced = tidewaiter_io::replace(path, |file| {
        let mut out = BufWriter::with_capacity(64 << 10, file);
        if let Err(error) = write(&mut out) {
            failed = Some(error);
            return Err(io::Error::other("not written"));
        }
        out.flush()
    });
    match (failed, replaced) {
        (Some(error), _) => Err(error),
        (None, replaced) => replaced.with_context(|| format!("{} cannot be written", path.display())),
    }
}

/// Two documents in one place would be none, one in the place of what is read (`input`) would be the last that is read from there,
/// and a folder that is not there is better known before a scan than after it.
pub(crate) fn check<F>(targets: &[OutputTarget<F>], input: Option<&Path>) -> Result<()> {
    let input = input.and_then(|path| path.canonicalize().ok());
    let mut places: BTreeSet<PathBuf> = BTreeSet::new();
    for file in targets.iter().filter_map(|target| target.file.as_ref()) {
        let place = place(file)?;
        if input.as_ref() == Some(&place) {
            return Err(UsageError(format!("{} is what is read; name another file", file.display())).into());
        }
        if !places.insert(place) {
            return Err(UsageError(format!("{} is named by two outputs; name another file", file.display())).into());
        }
    }
    match targets.iter().filter(|target| target.file.is_none()).count() {
        0 | 1 => Ok(()),
        _ => {
            Err(UsageError("several outputs go to standard output; give all but one a file: -o FORMAT=FILE".to_owned())
                .into())
        }
    }
}

/// The place of a file by whichever path, whether it is there or not.
fn place(file: &Path) -> Result<PathBuf> {
    if let Ok(there) = file.canonicalize() {
        return Ok(there);
    }
    let unusable = || format!("{} cannot be written", file.display());
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = file.file_name().with_context(unusable)?;
    Ok(folder.canonicalize().with_context(unusable)?.join(name))
}

/// Who writes documents, and when: `SOURCE_DATE_EPOCH` (seconds; reproducible-builds.org), else now.
pub(crate) fn stamp() -> Result<Stamp, UsageError> {
    let given = std::env::var("SOURCE_DATE_EPOCH").ok();
    Ok(Stamp::new(env!("CARGO_PKG_VERSION"), time(given.as_deref(), Timestamp::now())?))
}

fn time(given: Option<&str>, now: Timestamp) -> Result<Timestamp, UsageError> {
    let Some(given) = given.filter(|given| !given.is_empty()) else { return Ok(now) };
    let time = given.parse().ok().and_then(|seconds: i64| Timestamp::from_second(seconds).ok());
    time.ok_or_else(|| UsageError(format!("SOURCE_DATE_EPOCH={}: not a number of seconds", printable(given))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use tidewaiter_formats::ReportFormat;

    #[test]
    fn outputs_go_to_different_places() {
        let check_all = |files: &[Option<&str>], expected: Option<&str>| {
            let targets: Vec<_> =
                files.iter().map(|file| OutputTarget { format: (), file: file.map(PathBuf::from) }).collect();
            let said = check(&targets, None).err().map(|error| error.to_string());
            assert_eq!(said.is_some(), expected.is_some(), "{files:?}");
            assert!(said.unwrap_or_default().contains(expected.unwrap_or_default()), "{files:?}");
        };
        check_all(&[None], None);
        check_all(&[None, Some("a"), Some("b")], None);
        check_all(&[Some("a"), Some("b"), Some("a")], Some("a is named by two outputs"));
        check_all(&[Some("a"), Some("./a")], Some("./a is named by two outputs"));
        check_all(&[Some("none/a")], Some("none/a cannot be written"));
        check_all(&[Some("..")], None);
        check_all(&[None, Some("a"), None], Some("standard output"));
    }

    #[test]
    fn what_is_read_is_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let input = dir.path().join("r.json");
        fs::write(&input, "{}").unwrap();
        let check = |name: &str, is_refused: bool| {
            let target = OutputTarget { format: (), file: Some(dir.path().join(name)) };
            assert_eq!(super::check(&[target], Some(&input)).is_err(), is_refused, "{name}");
        };
        check("r.json", true);
        check("./r.json", true);
        check("r.csv", false);
    }

    #[cfg(unix)]
    #[test]
    fn what_is_no_regular_file_stays_what_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("file"), dir.path().join("link"));
        fs::write(&file, "old content").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        replace(&link, |out| Ok(out.write_all(b"new")?)).unwrap();
        assert!(link.is_symlink());
        assert_eq!(fs::read_to_string(&file).unwrap(), "new");
    }

    #[test]
    fn what_is_written_for_one_image_after_the_other() {
        let check = |format: ReportOutputFormat, file: Option<&str>, expected: bool| {
            let target = OutputTarget { format, file: file.map(PathBuf::from) };
            let outputs = ReportOutputs::prepare(std::slice::from_ref(&target), None).unwrap();
            assert_eq!(outputs.may_be_repeated(), expected, "{target:?}");
        };
        check(ReportOutputFormat::Table, None, true);
        check(ReportOutputFormat::Json, None, true);
        check(ReportOutputFormat::Json, Some("a"), false);
        check(ReportOutputFormat::Document(ReportFormat::Csv), None, false);
    }

    #[test]
    fn the_time_of_documents_may_be_given() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let check = |given: Option<&str>, expected: Option<&str>| {
            let time = time(given, now).ok().map(|time| time.to_string());
            assert_eq!(time.as_deref(), expected, "{given:?}");
        };
        check(None, Some("2026-01-01T00:00:00Z"));
        check(Some(""), Some("2026-01-01T00:00:00Z"));
        check(Some("0"), Some("1970-01-01T00:00:00Z"));
        check(Some("yesterday"), None);
        check(Some("99999999999999999"), None);
    }

    #[test]
    fn a_file_is_replaced_as_a_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("report");
        fs::write(&path, "old").unwrap();
        let failed = replace(&path, |out| {
            out.write_all(b"half")?;
            Err(UsageError("x.j2:1: a mistake".to_owned()).into())
        });
        assert!(failed.unwrap_err().is::<UsageError>());
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        replace(&path, |out| Ok(out.write_all(b"new")?)).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        let nowhere = replace(&dir.path().join("none/report"), |_| Ok(())).unwrap_err();
        assert!(nowhere.to_string().contains("none/report cannot be written"));
    }
}
