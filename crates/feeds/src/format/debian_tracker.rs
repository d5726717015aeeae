//! Debian security tracker JSON: source package → CVE → release.

use super::{Drain, FeedContext, Problem, Records, json};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::io::Read;
use tidewaiter_core::advisory::{Advisory, Affected, FixState, Interval, IntervalEnd, KeyKind};
use tidewaiter_core::ecosystem::{Ecosystem, EcosystemBase};
use tidewaiter_core::severity::Severity;

#[derive(Deserialize)]
struct Vulnerability {
    #[serde(default)]
    description: String,
    #[serde(default)]
    releases: BTreeMap<String, TrackerRelease>,
}

#[derive(Deserialize)]
struct TrackerRelease {
    status: String,
    #[serde(default)]
    fixed_version: Option<String>,
    #[serde(default)]
    urgency: String,
    #[serde(default)]
    nodsa_reason: Option<String>,
}

/// Reads the tracker's export.
///
/// # Errors
/// When it is JSON of another shape.
pub(super) fn parse(
    name: &str,
    content: &mut dyn Read,
    feed: &FeedContext,
    records: &mut Records,
    drain: Drain<'_>,
) -> Result<bool, Problem> {
    if !(name.ends_with(".json") || name == "json") {
        return Ok(false);
    }
    // One record for each source package and CVE; those of a CVE are joined later.
    json::entries(content, |source, vulnerabilities: BTreeMap<String, Vulnerability>| {
        let advisories = vulnerabilities.into_iter().map(|(id, found)| advisory(&source, id, found, feed));
        records.advisories.extend(advisories);
        drain(records);
    })?;
    Ok(true)
}

fn advisory(source: &str, id: String, vulnerability: Vulnerability, feed: &FeedContext) -> Advisory {
    let rows = vulnerability.releases.iter().filter(|(codename, _)| is_wanted(codename, feed));
    Advisory {
        id,
        feed: feed.name.clone(),
        affected: rows.filter_map(|(codename, release)| affected(source, codename, release)).collect(),
        summary: vulnerability.description,
        ..Advisory::default()
    }
}

/// A feed that names releases is read for these alone: the tracker of extended support repeats all others, more or less up to
/// date.
fn is_wanted(codename: &str, feed: &FeedContext) -> bool {
    feed.ecosystems.is_empty() || feed.ecosystems.contains(&ecosystem(codename))
}

/// The row of one release. No row means "unknown", never "vulnerable": undetermined rows are dropped.
fn affected(source: &str, codename: &str, release: &TrackerRelease) -> Option<Affected> {
    let fixed = release.fixed_version.as_deref();
    let (end, fix_state) = match (release.status.as_str(), fixed) {
        // Version 0 is the tracker's word for a release that never had the flaw.
        ("resolved", Some("0")) => (None, FixState::Unknown),
        // A fixed version counts even where tags contradict it: tags become outdated.
        ("resolved" | "open", Some(version)) if version != "0" => {
            (Some(IntervalEnd::Fixed(version.to_owned())), FixState::Fixed)
        }
        ("open", _) => (Some(IntervalEnd::Open), open_state(release)),
        _ => return None,
    };
    Some(Affected {
        never_affected: end.is_none(),
        intervals: end.map(Interval::until).into_iter().collect(),
        fix_state,
        severity: urgency(&release.urgency),
        ..Affected::new(ecosystem(codename), source, KeyKind::Source)
    })
}

/// The ecosystem of a codename; sid and experimental keep their name.
pub(super) fn ecosystem(codename: &str) -> Ecosystem {
    Ecosystem::with_release(EcosystemBase::Debian, codename).canonical()
}

fn open_state(release: &TrackerRelease) -> FixState {
    match release.nodsa_reason.as_deref() {
        Some("ignored") => FixState::WontFix,
        Some("postponed") => FixState::Deferred,
        _ if release.urgency == "end-of-life" => FixState::EndOfLife,
        _ => FixState::NotFixed,
    }
}

/// `unimportant` does not concern the binary packages; a trailing `*` or `**` only marks who set the urgency.
fn urgency(text: &str) -> Severity {
    match text.trim_end_matches('*') {
        "unimportant" => Severity::Negligible,
        "low" => Severity::Low,
        "medium" => Severity::Medium,
        "high" => Severity::High,
        _ => Severity::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::testing::feed;

    #[test]
    fn rows_follow_the_tracker() {
        let check = |release: &str, expected: Option<(Option<IntervalEnd>, FixState, Severity)>| {
            let json = format!(r#"{{"openssl":{{"CVE-1":{{"releases":{{"bookworm":{release}}}}}}}}}"#);
            let mut records = Records::default();
            assert!(parse("data.json", &mut json.as_bytes(), &feed("debian", &[]), &mut records, &mut |_| {}).unwrap());
            let row = records.advisories[0].affected.first();
            let found = row.map(|r| (r.intervals.first().map(|i| i.end.clone()), r.fix_state, r.severity));
            assert_eq!(found, expected, "{release}");
            assert!(row.is_none_or(|r| r.ecosystem.to_string() == "Debian:12"));
        };
        let fixed = Some(IntervalEnd::Fixed("3.0-1".into()));
        check(
            r#"{"status":"resolved","fixed_version":"3.0-1","urgency":"high**"}"#,
            Some((fixed, FixState::Fixed, Severity::High)),
        );
        check(
            r#"{"status":"resolved","fixed_version":"0","urgency":"unimportant"}"#,
            Some((None, FixState::Unknown, Severity::Negligible)),
        );
        check(
            r#"{"status":"open","urgency":"not yet assigned"}"#,
            Some((Some(IntervalEnd::Open), FixState::NotFixed, Severity::Unknown)),
        );
        check(
            r#"{"status":"open","nodsa":"x","nodsa_reason":"ignored","urgency":"low"}"#,
            Some((Some(IntervalEnd::Open), FixState::WontFix, Severity::Low)),
        );
        check(
            r#"{"status":"open","nodsa_reason":"postponed","urgency":"low"}"#,
            Some((Some(IntervalEnd::Open), FixState::Deferred, Severity::Low)),
        );
        check(r#"{"status":"undetermined","urgency":""}"#, None);
    }
}
