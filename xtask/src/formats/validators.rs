//! The validators: what each is, how it is installed and asked.

use crate::install::{command, npm, once, pip_with_dependencies, program, text};
use anyhow::{Context, Result};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What validates a format.
pub(super) struct FormatValidator {
    /// As `-o` names it.
    pub(super) format: &'static str,
    /// The end of a file's name, by which some validators choose a parser.
    pub(super) extension: &'static str,
    pub(super) package: &'static str,
    pub(super) version: &'static str,
    /// Whether SBOMs are in this format.
    pub(super) is_sbom: bool,
    /// A text of the document, and one in its place that the format does not allow.
    pub(super) damage: (&'static str, &'static str),
    kind: ValidatorKind,
}

/// The multitool's warning that a tool names no page about itself: there is none yet.
const NO_PAGE: &str = "SARIF2005";

/// Where a validator is from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ValidatorKind {
    /// A package of PyPI, asked by a function of `validate.py`.
    Python,
    /// Python's own library, likewise.
    PythonItself,
    /// Microsoft's tool for SARIF, in a package of npm.
    SarifMultitool,
    /// The Nu Html Checker of the W3C, in a package of npm; needs Java.
    Vnu,
}

const fn python(format: &'static str, package: &'static str, version: &'static str) -> FormatValidator {
    FormatValidator {
        format,
        extension: ".json",
        package,
        version,
        is_sbom: false,
        damage: ("", ""),
        kind: ValidatorKind::Python,
    }
}

pub(super) const VALIDATORS: &[FormatValidator] = &[
    FormatValidator {
        extension: ".sarif",
        damage: ("\"text\": \"", "\"words\": \""),
        kind: ValidatorKind::SarifMultitool,
        ..python("sarif", "@microsoft/sarif-multitool", "5.7.0")
    },
    FormatValidator {
        is_sbom: true,
        damage: ("\"type\": \"library\"", "\"type\": \"book\""),
        ..python("cyclonedx", "cyclonedx-python-lib", "11.12.0")
    },
    FormatValidator {
        is_sbom: true,
        damage: ("\"type\": \"library\"", "\"type\": \"book\""),
        ..python("cyclonedx-1.6", "cyclonedx-python-lib", "11.12.0")
    },
    FormatValidator {
        extension: ".spdx.json",
        is_sbom: true,
        damage: ("SPDXRef-Image", "SPDXRef-Other"),
        ..python("spdx", "spdx-tools", "0.8.5")
    },
    FormatValidator {
        is_sbom: true,
        damage: ("\"security_actionStatement\"", "\"summary\""),
        ..python("spdx-3", "spdx-python-model", "0.0.6")
    },
    FormatValidator { extension: ".xml", damage: ("<skipped", "<omitted"), ..python("junit", "junitparser", "5.0.3") },
    FormatValidator {
        extension: ".csv",
        damage: ("critical,", "critical,,"),
        kind: ValidatorKind::PythonItself,
        ..python("csv", "csv, of Python", "-")
    },
    FormatValidator {
        extension: ".html",
        damage: ("<tbody>", "<tbody><p>"),
        kind: ValidatorKind::Vnu,
        ..python("html", "vnu-jar", "26.9.27")
    },
];

/// A validator that can be asked.
pub(super) struct InstalledValidator<'a> {
    row: &'a FormatValidator,
    folder: PathBuf,
}

impl FormatValidator {
    pub(super) fn installed(&self, tools: &Path) -> Result<InstalledValidator<'_>> {
        if self.kind == ValidatorKind::PythonItself {
            return Ok(InstalledValidator { row: self, folder: tools.to_owned() });
        }
        let name = format!("{}-{}", self.package, self.version);
        let folder = once(tools, &name, |dir| match self.kind {
            // The extra brings the validator of JSON; for other packages it is none.
            ValidatorKind::Python if self.package == "cyclonedx-python-lib" => {
                pip_with_dependencies(dir, &format!("{}[json-validation]=={}", self.package, self.version))
            }
            ValidatorKind::Python | ValidatorKind::PythonItself => {
                pip_with_dependencies(dir, &format!("{}=={}", self.package, self.version))
            }
            ValidatorKind::SarifMultitool | ValidatorKind::Vnu => {
                npm(dir, &format!("{}@{}", self.package, self.version))
            }
        })?;
        Ok(InstalledValidator { row: self, folder })
    }
}

impl InstalledValidator<'_> {
    /// What it says against a document; `None`: it is valid.
    pub(super) fn problem(&self, document: &Path) -> Result<Option<String>> {
        match self.row.kind {
            ValidatorKind::Python | ValidatorKind::PythonItself => {
                let mut python =
                    command(program("python3", "python3")?, &["-c", include_str!("validate.py"), self.row.format]);
                said(python.arg(document).env("PYTHONPATH", &self.folder))
            }
            ValidatorKind::Vnu => {
                let jar = self.folder.join("node_modules/vnu-jar/build/dist/vnu.jar");
                let java = program("java", "default-jre-headless")?;
                said(command(java, &["-jar", text(&jar)?, "--errors-only"]).arg(document))
            }
            ValidatorKind::SarifMultitool => self.multitool(document),
        }
    }

    /// It exits with success whatever it finds, and writes its own SARIF.
    fn multitool(&self, document: &Path) -> Result<Option<String>> {
        let program = self.folder.join("node_modules/@microsoft/sarif-multitool-linux/Sarif.Multitool");
        // The package's own script would do this.
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
        let found = document.with_extension("validation");
        let mut validate = command(&program, &["validate", text(document)?, "--output", text(&found)?]);
        validate.args(["--rule-kind", "Sarif;Ghas", "--level", "Error;Warning", "--log", "ForceOverwrite"]);
        if let Some(problem) = said(&mut validate)? {
            return Ok(Some(problem));
        }
        let log: Value = serde_json::from_slice(&fs::read(&found)?).context("the multitool's own SARIF")?;
        let results = log["runs"][0]["results"].as_array().cloned().unwrap_or_default();
        let (known, problems): (Vec<&Value>, Vec<&Value>) =
            results.iter().partition(|result| result["ruleId"] == NO_PAGE);
        // What it cannot read at all it calls a success without results.
        if known.is_empty() {
            return Ok(Some("it was not analysed".to_owned()));
        }
        let problems: Vec<String> = problems.iter().map(|result| result["message"].to_string()).collect();
        Ok((!problems.is_empty()).then(|| problems.join("\n")))
    }
}

/// What a validator prints when it fails.
fn said(command: &mut Command) -> Result<Option<String>> {
    let out = command.output().context("the validator cannot be run")?;
    let text = [out.stdout, out.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    Ok((!out.status.success()).then(|| text.trim().to_owned()))
}
