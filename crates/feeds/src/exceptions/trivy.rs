//! `.trivyignore` (ids, one a line, with `exp:DATE`) and `.trivyignore.yaml`.

use super::day;
use serde::Deserialize;
use tidewaiter_core::exception::Exception;
use tidewaiter_core::finding::SuppressionStatus;
use tidewaiter_core::target::TargetPattern;

/// The reason where the file gives none.
const REASON: &str = "ignored";

/// The plain form. Lines about other kinds of findings (`AVD-…`, secrets) match no vulnerability and are harmless.
pub(super) fn lines(text: &str, source: &str) -> Result<Vec<Exception>, String> {
    let mut out = Vec::new();
    let mut comment = "";
    for line in text.lines() {
        let (rule, remark) = line.split_once('#').map_or((line, ""), |(rule, remark)| (rule, remark));
        let mut words = rule.split_whitespace();
        let Some(id) = words.next() else {
            // A comment above a rule is its reason.
            comment = remark.trim();
            continue;
        };
        let expires = words.find_map(|word| word.strip_prefix("exp:")).map(day).transpose()?;
        let reason = [remark.trim(), comment, REASON].into_iter().find(|r| !r.is_empty()).unwrap_or_default();
        let exception = Exception::new(SuppressionStatus::Accepted, reason, source);
        out.push(Exception { vulnerabilities: vec![id.into()], expires, ..exception });
        comment = "";
    }
    Ok(out)
}

#[derive(Deserialize)]
struct File {
    /// Other kinds of findings have their own sections.
    #[serde(default)]
    vulnerabilities: Vec<Rule>,
}

#[derive(Deserialize)]
struct Rule {
    id: String,
    #[serde(default)]
    paths: Vec<String>,
    #[serde(default)]
    purls: Vec<String>,
    expired_at: Option<String>,
    statement: Option<String>,
}

/// The structured form.
pub(super) fn yaml(text: &str, source: &str) -> Result<Vec<Exception>, String> {
    super::yaml::<File>(text)?.vulnerabilities.into_iter().map(|rule| exception(rule, source)).collect()
}

fn exception(rule: Rule, source: &str) -> Result<Exception, String> {
    let reason = rule.statement.filter(|s| !s.trim().is_empty());
    Ok(Exception {
        vulnerabilities: vec![rule.id.as_str().into()],
        packages: rule.purls.iter().map(|p| TargetPattern::parse(p)).collect(),
        paths: rule.paths.iter().map(|p| p.as_str().into()).collect(),
        expires: rule.expired_at.as_deref().map(day).transpose()?,
        ..Exception::new(SuppressionStatus::Accepted, reason.as_deref().unwrap_or(REASON), source)
    })
}

#[cfg(test)]
mod tests {
    use crate::exceptions::tests::check;

    #[test]
    fn both_forms_are_read() {
        let text = "# why\nCVE-1\n\nCVE-2 exp:2026-12-31 # later\n";
        check(".trivyignore", text, &[(&["CVE-1"], 0, None), (&["CVE-2"], 0, Some("2026-12-31"))]);
        let text = "vulnerabilities:\n  - id: CVE-1\n    paths: [app/x]\n    purls: ['pkg:npm/a@1']\n    \
                    expired_at: 2026-12-31\n    statement: s\nsecrets:\n  - id: x\n";
        check(".trivyignore.yaml", text, &[(&["CVE-1"], 1, Some("2026-12-31"))]);
    }
}
