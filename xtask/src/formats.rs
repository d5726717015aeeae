//! Validates every format of a report by the reference validator from its registry package, or by a parser of its own, and reads
//! what can be read by a consumer. A validator that also takes a damaged document proves nothing, so each is given one.

mod validators;

use crate::install::{command, output, text};
use anyhow::{Context, Result, bail};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use tidewaiter_testkit::image::ImageBuilder;
use tidewaiter_testkit::layer::LayerBuilder;
use tidewaiter_testkit::layout;
use tidewaiter_testkit::packages::{debian, npm};
use validators::{FormatValidator, VALIDATORS};

#[derive(Debug, clap::Args)]
pub(crate) struct FormatsArgs {
    /// Format to validate; default: all
    #[arg(long, value_name = "FORMAT")]
    only: Option<String>,
    /// Report to write, as `-o json` writes it; default: the one of the tests
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

/// Writes and validates; true if every validator takes our documents and none takes a damaged one.
pub(crate) fn run(root: &Path, args: &FormatsArgs) -> Result<bool> {
    let chosen: Vec<&FormatValidator> =
        VALIDATORS.iter().filter(|row| args.only.as_deref().is_none_or(|only| only == row.format)).collect();
    if chosen.is_empty() {
        let known: Vec<&str> = VALIDATORS.iter().map(|row| row.format).collect();
        bail!("no validator of this format; use one of {}", known.join(", "));
    }
    let (tools, work) = (root.join("target/tools/formats"), root.join("target/formats"));
    fs::create_dir_all(&tools)?;
    fs::create_dir_all(&work)?;
    let documents = Documents { program: build(root)?, work };
    let report = args.report.clone().unwrap_or_else(|| root.join("crates/formats/tests/report.json"));
    println!("{:14} {:24} {:10} {:9} DAMAGED", "FORMAT", "VALIDATOR", "VERSION", "RESULT");
    let mut good = true;
    for row in chosen {
        let validator = row.installed(&tools)?;
        let mut problems: Vec<String> = Vec::new();
        for document in documents.all(row, &report)? {
            problems.extend(validator.problem(&document)?.map(|problem| format!("{}: {problem}", document.display())));
        }
        let damaged = documents.damaged(row)?;
        let is_refused = validator.problem(&damaged)?.is_some();
        let (result, refused) =
            (if problems.is_empty() { "valid" } else { "INVALID" }, if is_refused { "refused" } else { "TAKEN" });
        println!("{:14} {:24} {:10} {result:9} {refused}", row.format, row.package, row.version);
        problems.iter().for_each(|problem| println!("{problem}"));
        good &= problems.is_empty() && is_refused;
    }
    Ok(good)
}

/// Builds the program as tests do.
fn build(root: &Path) -> Result<PathBuf> {
    output(command(env!("CARGO"), &["build", "--quiet", "-p", "kubectl-scan"]).current_dir(root))?;
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    Ok(target.join("debug/kubectl-scan"))
}

/// The documents that the program writes.
struct Documents {
    program: PathBuf,
    work: PathBuf,
}

impl Documents {
    /// A report, one without findings, and the SBOM of an image, where the format has one.
    fn all(&self, row: &FormatValidator, report: &Path) -> Result<Vec<PathBuf>> {
        let report = fs::canonicalize(report).with_context(|| report.display().to_string())?;
        let clean = self.work.join("clean.json");
        fs::write(&clean, without_findings(&fs::read(&report)?)?)?;
        let mut all = vec![self.path(row, "report"), self.path(row, "clean")];
        self.write(&["convert", text(&report)?], row, &all[0])?;
        self.write(&["convert", text(&clean)?], row, &all[1])?;
        if row.is_sbom {
            let image = self.work.join("image");
            let files = npm(debian("12", &[("zlib", "1:1.2.0-1")]), "left-pad", "1.2.0");
            let layers =
                ImageBuilder::new().layer("ADD", files).layer("RUN", LayerBuilder::new().file("etc/motd", "x"));
            layout::write(&image, &layers.build());
            all.push(self.path(row, "sbom"));
            self.write(&["sbom", &format!("oci:{}", text(&image)?)], row, &all[2])?;
        }
        Ok(all)
    }

    fn path(&self, row: &FormatValidator, name: &str) -> PathBuf {
        self.work.join(format!("{name}.{}{}", row.format, row.extension))
    }

    fn write(&self, args: &[&str], row: &FormatValidator, to: &Path) -> Result<()> {
        let target = format!("{}={}", row.format, text(to)?);
        output(command(&self.program, args).args(["-o", &target]).env("SOURCE_DATE_EPOCH", "1769947200")).map(|_| ())
    }

    /// The report with one place changed so that it is not of the format any more.
    fn damaged(&self, row: &FormatValidator) -> Result<PathBuf> {
        let (before, after) = row.damage;
        let content = fs::read_to_string(self.path(row, "report"))?;
        if !content.contains(before) {
            bail!("{}: no {before:?} in the document, which is to be damaged", row.format);
        }
        let path = self.path(row, "damaged");
        fs::write(&path, content.replacen(before, after, 1))?;
        Ok(path)
    }
}

/// A report as of an image without vulnerabilities and gaps.
fn without_findings(report: &[u8]) -> Result<String> {
    let mut report: serde_json::Value = serde_json::from_slice(report).context("not a report")?;
    for list in ["findings", "suppressed", "informational", "gaps"] {
        report[list] = serde_json::json!([]);
    }
    report["complete"] = true.into();
    for (_, count) in report["counts"].as_object_mut().into_iter().flatten() {
        *count = 0.into();
    }
    Ok(report.to_string())
}
