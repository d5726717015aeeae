//! `osv-scanner.toml`: `IgnoredVulns` and those `PackageOverrides` that ignore.

use super::day;
use serde::Deserialize;
use tidewaiter_core::exception::Exception;
use tidewaiter_core::finding::SuppressionStatus;
use tidewaiter_core::target::TargetPattern;

#[derive(Deserialize)]
struct File {
    #[serde(default, rename = "IgnoredVulns")]
    vulnerabilities: Vec<Vulnerability>,
    #[serde(default, rename = "PackageOverrides")]
    packages: Vec<Package>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Vulnerability {
    id: String,
    ignore_until: Option<toml::Value>,
    #[serde(default)]
    reason: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Package {
    name: Option<String>,
    version: Option<String>,
    #[serde(default)]
    ignore: bool,
    vulnerability: Option<Ignore>,
    effective_until: Option<toml::Value>,
    #[serde(default)]
    reason: String,
}

#[derive(Deserialize)]
struct Ignore {
    #[serde(default)]
    ignore: bool,
}

pub(super) fn parse(text: &str, source: &str) -> Result<Vec<Exception>, String> {
    let file: File = super::toml(text)?;
    let mut out = Vec::new();
    for rule in file.vulnerabilities {
        out.push(Exception {
            vulnerabilities: vec![rule.id.as_str().into()],
            expires: until(rule.ignore_until.as_ref())?,
            ..Exception::new(SuppressionStatus::Accepted, said(&rule.reason), source)
        });
    }
    for rule in file.packages.into_iter().filter(|p| p.ignore || p.vulnerability.as_ref().is_some_and(|v| v.ignore)) {
        let name = rule.name.as_deref().unwrap_or("**").into();
        out.push(Exception {
            packages: vec![TargetPattern::Named { name, version: rule.version }],
            expires: until(rule.effective_until.as_ref())?,
            ..Exception::new(SuppressionStatus::Accepted, said(&rule.reason), source)
        });
    }
    Ok(out)
}

/// A TOML date, or one as text.
fn until(value: Option<&toml::Value>) -> Result<Option<jiff::civil::Date>, String> {
    value.map(|v| day(&v.as_str().map_or_else(|| v.to_string(), str::to_owned))).transpose()
}

fn said(reason: &str) -> &str {
    if reason.trim().is_empty() { "ignored" } else { reason }
}

#[cfg(test)]
mod tests {
    use crate::exceptions::tests::check;

    #[test]
    fn ignored_vulnerabilities_and_packages_are_read() {
        let text = "[[IgnoredVulns]]\nid = 'GHSA-1'\nignoreUntil = 2026-12-31\nreason = 'r'\n[[PackageOverrides]]\nname = \
                    'a'\nversion = '1'\necosystem = 'Go'\nignore = true\n[[PackageOverrides]]\nname = 'b'\n";
        check("osv-scanner.toml", text, &[(&["GHSA-1"], 0, Some("2026-12-31")), (&[], 1, None)]);
    }
}
