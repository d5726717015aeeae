//! Our own file, `tidewaiter-exceptions.toml`: every exception has a reason and an end.
//!
//! ```toml
//! [[exception]]
//! vulnerability = "CVE-2024-1234"
//! package = "pkg:npm/lodash"      # or a name; optional
//! image = "registry.example/team/**"  # optional
//! path = "app/**"                 # optional
//! reason = "not reachable: the template engine is not used"
//! expires = "2026-12-31"          # the first day on which it no longer applies
//! ```

use super::day;
use serde::Deserialize;
use tidewaiter_core::exception::Exception;
use tidewaiter_core::finding::SuppressionStatus;
use tidewaiter_core::target::TargetPattern;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    exception: Vec<Rule>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    vulnerability: String,
    package: Option<String>,
    image: Option<String>,
    path: Option<String>,
    reason: String,
    expires: String,
}

pub(super) fn parse(text: &str, source: &str) -> Result<Vec<Exception>, String> {
    super::toml::<File>(text)?.exception.into_iter().map(|rule| exception(rule, source)).collect()
}

fn exception(rule: Rule, source: &str) -> Result<Exception, String> {
    if rule.reason.trim().is_empty() {
        return Err(format!("the exception for {} needs a reason", rule.vulnerability));
    }
    Ok(Exception {
        vulnerabilities: vec![rule.vulnerability.as_str().into()],
        packages: rule.package.iter().map(|p| TargetPattern::parse(p)).collect(),
        images: rule.image.iter().map(|i| TargetPattern::parse(i)).collect(),
        paths: rule.path.iter().map(|p| p.as_str().into()).collect(),
        expires: Some(day(&rule.expires)?),
        ..Exception::new(SuppressionStatus::Accepted, &rule.reason, source)
    })
}

#[cfg(test)]
mod tests {
    use crate::exceptions::tests::check;

    #[test]
    fn own_exceptions_have_a_reason_and_an_end() {
        let text =
            "[[exception]]\nvulnerability = 'CVE-1'\npackage = 'pkg:npm/a'\nreason = 'r'\nexpires = '2026-12-31'";
        check("tidewaiter-exceptions.toml", text, &[(&["CVE-1"], 1, Some("2026-12-31"))]);
    }
}
