//! `.grype.yaml`: the rules below `ignore`. Other settings configure Grype itself.

use serde::Deserialize;
use tidewaiter_core::advisory::FixState;
use tidewaiter_core::exception::Exception;
use tidewaiter_core::finding::SuppressionStatus;
use tidewaiter_core::pattern::Pattern;
use tidewaiter_core::target::TargetPattern;

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    ignore: Vec<Rule>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Rule {
    vulnerability: Option<String>,
    /// Accepted and ignored: aliases always count here.
    #[serde(default, rename = "include-aliases")]
    _include_aliases: bool,
    reason: Option<String>,
    fix_state: Option<String>,
    package: Option<Package>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Package {
    name: Option<String>,
    version: Option<String>,
    location: Option<String>,
    upstream_name: Option<String>,
}

pub(super) fn parse(text: &str, source: &str) -> Result<Vec<Exception>, String> {
    super::yaml::<File>(text)?.ignore.into_iter().map(|rule| exception(rule, source)).collect()
}

fn exception(rule: Rule, source: &str) -> Result<Exception, String> {
    let package = rule.package.unwrap_or(Package { name: None, version: None, location: None, upstream_name: None });
    let name = package.name.or(package.upstream_name);
    let named = match (name, package.version) {
        (None, None) => None,
        (name, version) => Some(TargetPattern::Named { name: pattern(name.as_deref().unwrap_or(".*"))?, version }),
    };
    let states = [
        ("fixed", FixState::Fixed),
        ("not-fixed", FixState::NotFixed),
        ("wont-fix", FixState::WontFix),
        ("unknown", FixState::Unknown),
    ];
    let state = |text: &str| {
        let known = states.iter().find(|(word, _)| *word == text).map(|(_, state)| *state);
        known.ok_or_else(|| format!("{text:?} is not a fix-state"))
    };
    Ok(Exception {
        vulnerabilities: rule.vulnerability.iter().map(|v| v.as_str().into()).collect(),
        packages: named.into_iter().collect(),
        paths: package.location.iter().map(|l| l.as_str().into()).collect(),
        fix_state: rule.fix_state.as_deref().map(state).transpose()?,
        ..Exception::new(SuppressionStatus::Accepted, rule.reason.as_deref().unwrap_or("ignored"), source)
    })
}

/// Names are regular expressions in Grype; those that are more than a name with `.*` are refused rather than misread.
fn pattern(name: &str) -> Result<Pattern, String> {
    let plain = name.trim_start_matches('^').trim_end_matches('$').replace(".*", "**");
    match plain.contains(['[', ']', '(', ')', '{', '}', '|', '\\', '+', '?', '^', '$']) {
        true => {
            Err(format!("the package name {name:?} is a regular expression of a kind that is not supported; use .*"))
        }
        false => Ok(plain.as_str().into()),
    }
}

#[cfg(test)]
mod tests {
    use crate::exceptions::tests::check;

    #[test]
    fn ignore_rules_are_read() {
        let text = "output: [json]\nignore:\n  - vulnerability: CVE-1\n    reason: r\n  - package:\n      name: lib.*\n      \
                    version: '1'\n      location: /usr/**\n  - fix-state: wont-fix\n";
        check(".grype.yaml", text, &[(&["CVE-1"], 0, None), (&[], 1, None), (&[], 0, None)]);
    }
}
