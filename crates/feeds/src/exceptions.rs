//! Files of exceptions: VEX documents, the ignore files of other scanners, and our own.
//!
//! A file is recognised by its name, else by its content. A rule that is not understood is an error: an ignore file that is
//! read in part would suppress findings that its author did not mean to suppress, or show those that they did.

mod csaf;
mod cyclonedx;
mod grype;
mod openvex;
mod osv_scanner;
mod own;
pub mod repository;
mod trivy;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use std::path::{Path, PathBuf};
use tidewaiter_core::exception::Exception;
use tidewaiter_core::exception::ExceptionEffect;
use tidewaiter_core::finding::SuppressionStatus;

/// Why a file was refused.
#[derive(Debug, thiserror::Error)]
#[error("{}: {cause}", path.display())]
pub struct ExceptionError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub cause: String,
}

type Parse = fn(&str, &str) -> Result<Vec<Exception>, String>;

/// Reads a file's content; the path is used for its name alone.
///
/// # Errors
/// When the format is not known, or a rule is not understood.
pub fn parse(path: &Path, bytes: &[u8]) -> Result<Vec<Exception>, ExceptionError> {
    let refuse = |cause: String| ExceptionError { path: path.to_owned(), cause };
    let text = std::str::from_utf8(bytes).map_err(|e| refuse(format!("it is not UTF-8 ({e})")))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let Some(parse) = recognise(path, text) else {
        let known = "OpenVEX, CSAF or CycloneDX (JSON), .trivyignore, .trivyignore.yaml, .grype.yaml, osv-scanner.toml, \
                     tidewaiter-exceptions.toml";
        return Err(refuse(format!("its format is not supported; supported are {known}")));
    };
    parse(text, &path.display().to_string()).map_err(refuse)
}

fn recognise(path: &Path, text: &str) -> Option<Parse> {
    let name = path.file_name()?.to_str()?;
    match name {
        ".trivyignore" => return Some(trivy::lines),
        ".trivyignore.yaml" | ".trivyignore.yml" => return Some(trivy::yaml),
        ".grype.yaml" | ".grype.yml" | "grype.yaml" => return Some(grype::parse),
        "osv-scanner.toml" => return Some(osv_scanner::parse),
        _ => {}
    }
    if let Ok(json) = serde_json::from_str::<serde_json::Value>(text) {
        let text = |pointer: &str| json.pointer(pointer).and_then(serde_json::Value::as_str).unwrap_or_default();
        return match () {
            () if text("/@context").contains("openvex") => Some(openvex::parse),
            () if !text("/document/csaf_version").is_empty() => Some(csaf::parse),
            () if text("/bomFormat") == "CycloneDX" => Some(cyclonedx::parse),
            () => None,
        };
    }
    match path.extension()?.to_str()? {
        "toml" if text.contains("[[exception]]") => Some(own::parse),
        "toml" if text.contains("[[IgnoredVulns]]") || text.contains("[[PackageOverrides]]") => {
            Some(osv_scanner::parse)
        }
        "yaml" | "yml" if text.contains("vulnerabilities:") => Some(trivy::yaml),
        "yaml" | "yml" if text.contains("ignore:") => Some(grype::parse),
        _ => None,
    }
}

fn json<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_str(text).map_err(|e| format!("it cannot be read ({e})"))
}

fn yaml<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    tidewaiter_yaml::from_str(text).map_err(|e| format!("it cannot be read ({e})"))
}

fn toml<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    ::toml::from_str(text).map_err(|e| format!("it cannot be read ({e})"))
}

/// A day, as `2026-12-31` or with a time.
fn day(text: &str) -> Result<jiff::civil::Date, String> {
    let day = text.get(..10).unwrap_or(text);
    day.parse().map_err(|e| format!("{text:?} is not a date ({e})"))
}

/// The time of a statement: the first text that is one. One without any is older than all others.
fn stated_at(texts: &[Option<&str>]) -> Option<Timestamp> {
    let time = texts.iter().flatten().find_map(|text| text.parse().ok());
    Some(time.unwrap_or(Timestamp::MIN))
}

/// What a VEX status means for findings.
fn vex_effect(status: &str) -> Result<ExceptionEffect, String> {
    match status {
        "not_affected" | "known_not_affected" | "false_positive" => Ok(SuppressionStatus::NotAffected.into()),
        "fixed" | "first_fixed" | "resolved" | "resolved_with_pedigree" => Ok(SuppressionStatus::Fixed.into()),
        "affected"
        | "known_affected"
        | "under_investigation"
        | "exploitable"
        | "in_triage"
        | "recommended"
        | "first_affected"
        | "last_affected" => Ok(ExceptionEffect::Count),
        other => Err(format!("{other:?} is not a VEX status")),
    }
}

/// A reason from those of its parts that are present.
fn reason(parts: &[Option<&str>]) -> String {
    parts.iter().flatten().map(|p| p.trim()).filter(|p| !p.is_empty()).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The file's name, its text, and for each exception: its conditions, and its end.
    pub(super) fn check(name: &str, text: &str, expected: &[(&[&str], usize, Option<&str>)]) {
        let found = parse(Path::new(name), text.as_bytes()).unwrap();
        let is = |e: &Exception, names: &[&str]| names.iter().all(|n| e.vulnerabilities.contains(&(*n).into()));
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for (exception, (names, packages, expires)) in found.iter().zip(expected) {
            assert!(is(exception, names), "{exception:?} {names:?}");
            assert_eq!(exception.packages.len(), *packages, "{exception:?}");
            assert_eq!(exception.expires.map(|d| d.to_string()).as_deref(), *expires, "{exception:?}");
        }
    }

    #[test]
    fn what_cannot_be_understood_is_refused() {
        let refused = |name: &str, text: &str, cause: &str| {
            let error = parse(Path::new(name), text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains(cause), "{error}");
        };
        refused("notes.txt", "hello", "not supported");
        refused("a.json", "{}", "not supported");
        let unnamed = r#"{"document":{"csaf_version":"2.0"},"vulnerabilities":[{"product_status":{"fixed":["A"]}}]}"#;
        refused("x.json", unnamed, "neither cve nor ids");
        refused(".trivyignore", "CVE-1 exp:soon", "is not a date");
        refused(".trivyignore.yaml", "vulnerabilities: 7", "cannot be read");
        refused(".grype.yaml", "ignore:\n  - vulnerability: CVE-1\n    match-type: exact-indirect-match", "match-type");
        refused("x.toml", "[[exception]]\nvulnerability = 'CVE-1'", "reason");
        refused("x.toml", "[[exception]]\nvulnerability = 'CVE-1'\nreason = ' '\nexpires = '2027-01-01'", "reason");
    }
}
