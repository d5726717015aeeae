//! Policy: what a report must fulfil for its image to be approved. The one place where "fail closed" is decided.

use crate::advisory::AdvisoryClass;
use crate::ecosystem;
use crate::finding::Finding;
use crate::report::{DatabaseInfo, Gap, GapKind, Report, StaleFeed};
use crate::severity::Severity;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The conditions for an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Policy {
    /// Findings of this severity or worse block. For `Unknown` findings `unrated` alone counts.
    pub block_at: Severity,
    /// What a finding without a rating does.
    pub unrated: UnratedAction,
    /// What an incomplete report does.
    pub incomplete: IncompleteAction,
    /// Days after which a database is too old to know what matters: its reports are incomplete. `None`: it may be of
    /// any age.
    pub max_database_age_days: Option<u32>,
}

/// The age limit of a database in days where a policy says none, as Grype's `max-allowed-built-age` (120 h): long enough for a
/// weekend's failure of a daily renewal, and short enough that a new vulnerability is found within a week.
pub const MAX_DATABASE_AGE_DAYS: u32 = 5;

impl Default for Policy {
    /// No critical vulnerability; unrated findings warn; incomplete reports are held; a database of five days is too old.
    fn default() -> Self {
        Policy {
            block_at: Severity::Critical,
            unrated: UnratedAction::Warn,
            incomplete: IncompleteAction::Hold,
            max_database_age_days: Some(MAX_DATABASE_AGE_DAYS),
        }
    }
}

/// What a finding without any rating does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default, PartialOrd, Ord)]
pub enum UnratedAction {
    /// Nothing.
    Allow,
    /// It is mentioned.
    #[default]
    Warn,
    /// It blocks.
    Hold,
}

/// What a report that could not see everything does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default, PartialOrd, Ord)]
pub enum IncompleteAction {
    /// It is mentioned.
    Allow,
    /// It blocks.
    #[default]
    Hold,
}

impl Policy {
    /// The stricter of two policies in every field: what applies where both do.
    pub fn strictest(&self, other: &Policy) -> Policy {
        Policy {
            block_at: self.block_at.min(other.block_at),
            unrated: self.unrated.max(other.unrated),
            incomplete: self.incomplete.max(other.incomplete),
            max_database_age_days: [self.max_database_age_days, other.max_database_age_days]
                .into_iter()
                .flatten()
                .min(),
        }
    }
}

/// What policy says of a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// The result.
    pub outcome: Outcome,
    /// Why, one sentence each; empty for a clean pass.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
    /// Findings and gaps that the policy allows and that deserve attention.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// The gaps that the day of the evaluation makes, which reasons or warnings name too: the report depends on no clock.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gaps: Vec<Gap>,
}

/// The results of policy, least severe first. A violation wins over incompleteness: it is certain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, PartialOrd, Ord)]
pub enum Outcome {
    /// The image may be approved.
    Pass,
    /// The report has gaps, or its database is too old.
    Incomplete,
    /// The policy is violated.
    Violated,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Outcome::Pass => "pass",
            Outcome::Incomplete => "incomplete",
            Outcome::Violated => "violated",
        })
    }
}

/// Whether a finding by itself violates a policy.
pub fn blocks(finding: &Finding, policy: &Policy) -> bool {
    match finding.severity {
        _ if finding.class == AdvisoryClass::Malware => true,
        Severity::Unknown => policy.unrated == UnratedAction::Hold,
        rated => rated >= policy.block_at.max(Severity::Negligible),
    }
}

/// Evaluates a report, `now`.
pub fn decide(report: &Report, policy: &Policy, now: Timestamp) -> Verdict {
    let mut reasons = Vec::new();
    let mut warnings = Vec::new();
    for finding in &report.findings {
        if blocks(finding, policy) {
            reasons.push(sentence(finding));
        } else if finding.severity == Severity::Unknown && policy.unrated == UnratedAction::Warn {
            warnings.push(sentence(finding));
        }
    }
    let violated = !reasons.is_empty();
    let by_age = old_database(&report.database, policy, now).into_iter().chain(stale_feeds(report, policy, now));
    let gaps: Vec<Gap> = by_age.chain(end_of_support(report, now)).collect();
    let incomplete: Vec<String> = report.inventory.gaps.iter().chain(&gaps).map(gap_sentence).collect();
    let held = policy.incomplete == IncompleteAction::Hold && !incomplete.is_empty();
    if held { &mut reasons } else { &mut warnings }.extend(incomplete);
    let outcome = match (violated, held) {
        (true, _) => Outcome::Violated,
        (false, true) => Outcome::Incomplete,
        (false, false) => Outcome::Pass,
    };
    Verdict { outcome, reasons, warnings, gaps }
}

fn sentence(f: &Finding) -> String {
    let fix = f.fixed_versions.first().map_or_else(|| "no fixed version".to_owned(), |v| format!("fixed in {v}"));
    format!("{} ({}) in {} {}, {fix}", f.vulnerability, f.severity, f.package, f.installed_version)
}

/// The gap of a database that is too old, or whose age is not known.
fn old_database(database: &DatabaseInfo, policy: &Policy, now: Timestamp) -> Option<Gap> {
    let most = policy.max_database_age_days?;
    let why = match database.built.map(|built| (built, days_since(built, now))) {
        None => "the database does not say when it was built".to_owned(),
        Some((built, _)) if database.is_from_the_future(now) => {
            format!(
                "the database says that it was built {built}, and the clock says {now}; correct the clock that is wrong"
            )
        }
        Some((_, days)) if days >= i64::from(most) => {
            format!("the database is {days} days old; the limit is {most} days")
        }
        Some(_) => return None,
    };
    let message = format!("{why}; build a new one, or import it");
    Some(Gap { kind: GapKind::OldDatabase, subject: "database".to_owned(), message })
}

/// The gaps of feeds that cover the image and were not read for too long: a database that is built again every day knows of
/// their ecosystems what it knew then.
fn stale_feeds(report: &Report, policy: &Policy, now: Timestamp) -> Vec<Gap> {
    let Some(most) = policy.max_database_age_days else { return Vec::new() };
    let of_image = report.database.clone().for_inventory(&report.inventory).stale;
    let old = of_image.into_iter().filter(|feed| days_since(feed.read, now) >= i64::from(most));
    old.map(|feed| stale_feed(&feed, most, now)).collect()
}

fn stale_feed(feed: &StaleFeed, most: u32, now: Timestamp) -> Gap {
    let (days, subject) = (days_since(feed.read, now), ecosystem::listed(&feed.ecosystems));
    let (name, read) = (&feed.name, feed.read);
    let message = format!(
        "the advisories of {subject} are {days} days old: feed {name} was last read {read}; the limit is {most} days; \
         why it fails: kubectl scan db status"
    );
    Gap { kind: GapKind::OldDatabase, subject, message }
}

fn days_since(then: Timestamp, now: Timestamp) -> i64 {
    now.duration_since(then).as_hours() / 24
}

/// The gap of a release without advisories: none tells of a new vulnerability. Days are those of UTC, so that the verdict
/// of one moment is the same everywhere.
fn end_of_support(report: &Report, now: Timestamp) -> Option<Gap> {
    let support = report.support.as_ref()?;
    let (until, release) = (support.advisories_until(), &support.ecosystem);
    (until < now.to_zoned(TimeZone::UTC).date()).then(|| Gap {
        kind: GapKind::EndOfSupport,
        subject: release.to_string(),
        message: format!("{release} has had no advisories since {until}; move to a release that is supported"),
    })
}

fn gap_sentence(gap: &Gap) -> String {
    format!("{:?}: {}", gap.kind, gap.message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{SupportPeriod, testing};

    fn report(severities: &[Severity], gaps: &[GapKind]) -> Report {
        let gap = |kind: &GapKind| Gap { kind: *kind, subject: "s".into(), message: "m".into() };
        let findings = severities.iter().map(|s| testing::finding("CVE-1", "p", *s)).collect();
        let mut report = testing::report(vec![], findings);
        report.inventory.gaps = gaps.iter().map(gap).collect();
        report.complete = gaps.is_empty();
        report
    }

    #[test]
    fn the_policy_decides() {
        use Severity::{Critical, High, Medium, Unknown};
        let check = |policy: &Policy, found: &[Severity], gaps: &[GapKind], expected: Outcome| {
            let verdict = decide(&report(found, gaps), policy, Timestamp::UNIX_EPOCH);
            assert_eq!(verdict.outcome, expected, "{found:?} {gaps:?}");
            assert_eq!(verdict.reasons.is_empty(), expected == Outcome::Pass);
        };
        let default = Policy::default();
        check(&default, &[], &[], Outcome::Pass);
        check(&default, &[Medium, High], &[], Outcome::Pass);
        check(&default, &[Critical], &[], Outcome::Violated);
        check(&default, &[Unknown], &[], Outcome::Pass);
        check(&default, &[], &[GapKind::NotCovered], Outcome::Incomplete);
        check(&default, &[Critical], &[GapKind::NotCovered], Outcome::Violated);
        check(&Policy { unrated: UnratedAction::Hold, ..default.clone() }, &[Unknown], &[], Outcome::Violated);
        check(&Policy { block_at: Medium, ..default.clone() }, &[Medium], &[], Outcome::Violated);
        check(&Policy { block_at: Unknown, ..default.clone() }, &[Unknown], &[], Outcome::Pass);
        check(&Policy { incomplete: IncompleteAction::Allow, ..default }, &[], &[GapKind::NotCovered], Outcome::Pass);
    }

    #[test]
    fn a_release_without_advisories_is_a_gap() {
        let check = |release: &str, extended: Option<&str>, today: &str, expected: Outcome| {
            let day = |text: &str| text.parse().unwrap();
            let mut report = report(&[], &[]);
            let (ecosystem, extended_until) = (release.into(), extended.map(day));
            report.support = Some(SupportPeriod { ecosystem, until: day("2024-08-14"), extended_until });
            let now = format!("{today}T12:00:00Z").parse().unwrap();
            report.database.built = Some(now);
            assert_eq!(decide(&report, &Policy::default(), now).outcome, expected, "{release} {today}");
        };
        check("Debian:11", Some("2026-08-31"), "2026-08-31", Outcome::Pass);
        check("Debian:11", Some("2026-08-31"), "2026-09-01", Outcome::Incomplete);
        check("Ubuntu:20.04:LTS", Some("2030-04-30"), "2026-09-01", Outcome::Pass);
        check("Red Hat:enterprise_linux:7::server", Some("2028-06-30"), "2026-09-01", Outcome::Incomplete);
        check("Alpine:v3.18", None, "2024-08-14", Outcome::Pass);
        check("Alpine:v3.18", None, "2024-08-15", Outcome::Incomplete);
    }

    #[test]
    fn malware_violates_every_policy() {
        let mut report = report(&[Severity::Unknown], &[]);
        report.findings[0].class = AdvisoryClass::Malware;
        let lenient = Policy { unrated: UnratedAction::Allow, ..Policy::default() };
        assert_eq!(decide(&report, &lenient, Timestamp::UNIX_EPOCH).outcome, Outcome::Violated);
    }

    #[test]
    fn a_database_may_be_too_old() {
        let check = |most: Option<u32>, built: &str, expected: Outcome| {
            let mut report = report(&[], &[]);
            report.database.built = built.parse().ok();
            let policy = Policy { max_database_age_days: most, ..Policy::default() };
            let now = "2026-01-06T00:00:00Z".parse().unwrap();
            let verdict = decide(&report, &policy, now);
            assert_eq!(verdict.outcome, expected, "{most:?} {built}");
            assert_eq!(verdict.reasons, verdict.gaps.iter().map(gap_sentence).collect::<Vec<_>>(), "{most:?} {built}");
        };
        check(None, "2001-01-01T00:00:00Z", Outcome::Pass);
        check(Some(5), "2026-01-01T00:00:01Z", Outcome::Pass);
        check(Some(5), "2026-01-01T00:00:00Z", Outcome::Incomplete);
        // Clocks differ; a time that no clock can have hides any age.
        check(Some(5), "2026-01-07T00:00:00Z", Outcome::Pass);
        check(Some(5), "2026-01-07T00:00:01Z", Outcome::Incomplete);
        check(Some(5), "2099-01-01T00:00:00Z", Outcome::Incomplete);
        check(None, "2099-01-01T00:00:00Z", Outcome::Pass);
        check(Some(5), "", Outcome::Incomplete);
    }

    #[test]
    fn a_feed_that_covers_the_image_may_be_too_old() {
        let check = |most: Option<u32>, read: &str, ecosystem: &str, expected: Option<&str>| {
            let mut report = testing::report(vec![testing::package("a", "1")], vec![]);
            let ecosystems = vec!["Debian:12".into(), ecosystem.into()];
            let now: Timestamp = "2026-03-01T00:00:00Z".parse().unwrap();
            report.database.built = Some(now);
            report.database.stale = vec![StaleFeed { name: "far".into(), read: read.parse().unwrap(), ecosystems }];
            let verdict = decide(&report, &Policy { max_database_age_days: most, ..Policy::default() }, now);
            assert_eq!(verdict.reasons.is_empty(), expected.is_none(), "{verdict:?}");
            assert!(verdict.reasons.concat().contains(expected.unwrap_or_default()), "{verdict:?}");
        };
        let said =
            "the advisories of npm are 59 days old: feed far was last read 2026-01-01T00:00:00Z; the limit is 5 days";
        check(Some(5), "2026-01-01T00:00:00Z", "npm", Some(said));
        check(Some(5), "2026-02-24T00:00:00Z", "npm", Some("5 days old"));
        check(Some(5), "2026-02-24T00:00:01Z", "npm", None);
        check(Some(60), "2026-01-01T00:00:00Z", "npm", None);
        check(None, "2026-01-01T00:00:00Z", "npm", None);
        // Nothing in the image is of it.
        check(Some(5), "2026-01-01T00:00:00Z", "PyPI", None);
    }

    #[test]
    fn the_strictest_of_two_takes_the_worse_of_each_field() {
        let policy = |block_at, unrated, incomplete, max_database_age_days| Policy {
            block_at,
            unrated,
            incomplete,
            max_database_age_days,
        };
        let a = policy(Severity::High, UnratedAction::Allow, IncompleteAction::Hold, None);
        let b = policy(Severity::Critical, UnratedAction::Hold, IncompleteAction::Allow, Some(3));
        let both = policy(Severity::High, UnratedAction::Hold, IncompleteAction::Hold, Some(3));
        assert_eq!(a.strictest(&b), both);
        assert_eq!(b.strictest(&a), both);
    }
}
