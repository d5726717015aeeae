//! The age of what is known: of the database, and of each feed that a verdict needs. A database that is built again every day
//! knows of a feed that fails what it knew then.

use super::CompiledPolicy;
use crate::advisory::AdvisoryClass;
use crate::ecosystem::{self, Ecosystem};
use crate::finding::Finding;
use crate::report::{DatabaseInfo, FeedContent, Gap, GapKind, Report, StaleFeed};
use crate::severity::Severity;
use jiff::Timestamp;
use std::collections::BTreeSet;

/// What is too old.
pub(super) struct TooOld {
    /// What the verdict depends on.
    pub(super) gaps: Vec<Gap>,
    /// What the report shows and the verdict does not depend on, a sentence each.
    pub(super) remarks: Vec<String>,
}

/// Compares ages with the limit of a policy; nothing is too old where it has none.
pub(super) fn too_old(report: &Report, policy: &CompiledPolicy<'_>, now: Timestamp) -> TooOld {
    let missing = missing(report, policy);
    let Some(most) = policy.policy.max_database_age_days else { return TooOld { gaps: missing, remarks: vec![] } };
    let mut stale = report.database.clone().for_inventory(&report.inventory).stale;
    stale.retain(|feed| days_since(feed.read, now) >= i64::from(most));
    let of = |content: FeedContent| stale.iter().filter(move |feed| feed.content == content);
    let mut gaps: Vec<Gap> = missing.into_iter().chain(old_database(&report.database, most, now)).collect();
    gaps.extend(of(FeedContent::Advisories).map(|feed| advisories(feed, most, now)));
    let mut remarks = Vec::new();
    for content in FACTS {
        let feeds: Vec<&StaleFeed> = of(content).collect();
        let Some(age) = age(&feeds, most, now) else { continue };
        match needed_for(content, report, policy) {
            Use::Verdict(subject) => gaps.push(Gap {
                kind: GapKind::OldDatabase,
                message: format!("the {} of {subject} {age}", facts(content)),
                subject,
            }),
            Use::Report => remarks.push(format!("the {} {age}", facts(content))),
            Use::Nothing => {}
        }
    }
    TooOld { gaps, remarks }
}

/// The gaps of rules about facts that no feed of the database tells: nothing would fulfil them.
fn missing(report: &Report, policy: &CompiledPolicy<'_>) -> Vec<Gap> {
    let absent = FACTS.into_iter().filter(|content| !report.database.facts.contains(content));
    let needed = absent.filter_map(|content| Some((content, rule_with(content, report, policy)?)));
    needed.map(|(content, rule)| without(content, rule)).collect()
}

fn without(content: FeedContent, rule: &str) -> Gap {
    let facts = facts(content);
    Gap {
        kind: GapKind::NotCovered,
        subject: format!("rule {rule}"),
        message: format!(
            "rule {rule} needs {facts}, and no feed of the database has them: add one to feeds.toml, and build the database again"
        ),
    }
}

/// The name of a rule that needs facts of a kind to judge this report.
fn rule_with<'a>(content: FeedContent, report: &Report, policy: &CompiledPolicy<'a>) -> Option<&'a str> {
    let needing = policy.rules.iter().find(|rule| rule.needs(content)).filter(|_| !report.findings.is_empty());
    needing.map(|rule| rule.name())
}

/// What a database may tell beside advisories.
const FACTS: [FeedContent; 4] =
    [FeedContent::Ratings, FeedContent::KnownExploited, FeedContent::ExploitProbability, FeedContent::EndsOfSupport];

/// What facts of a kind are for.
enum Use {
    /// The verdict depends on them, for these ecosystems.
    Verdict(String),
    /// The report shows them.
    Report,
    /// Nothing in this report.
    Nothing,
}

/// Policy compares severities, and what its rules name. Ratings by CVE decide about findings that no feed of their own ecosystem
/// rates; exploitation is shown beside findings. The end of a support period is announced years before, so a date of some days
/// ago is good.
fn needed_for(content: FeedContent, report: &Report, policy: &CompiledPolicy<'_>) -> Use {
    let unrated = || report.findings.iter().filter(|finding| is_rated_by_others(finding));
    if let Some(rule) = rule_with(content, report, policy) {
        return Use::Verdict(format!("rule {rule}"));
    }
    match content {
        FeedContent::Advisories => Use::Nothing,
        FeedContent::EndsOfSupport if report.inventory.os.is_some() => Use::Report,
        FeedContent::EndsOfSupport => Use::Nothing,
        FeedContent::Ratings if unrated().next().is_some() => {
            let all: BTreeSet<&Ecosystem> = unrated().map(|finding| &finding.ecosystem).collect();
            Use::Verdict(ecosystem::listed(&all.into_iter().cloned().collect::<Vec<_>>()))
        }
        _ if report.findings.is_empty() => Use::Nothing,
        _ => Use::Report,
    }
}

/// Whether the severity is not that of the feed which the finding is from. Malware blocks without one.
fn is_rated_by_others(finding: &Finding) -> bool {
    let own = finding.severity != Severity::Unknown && finding.severity_source == finding.feed;
    !own && finding.class != AdvisoryClass::Malware
}

fn facts(content: FeedContent) -> &'static str {
    match content {
        FeedContent::Advisories => "advisories",
        FeedContent::Ratings => "ratings",
        FeedContent::KnownExploited => "known exploited vulnerabilities",
        FeedContent::ExploitProbability => "probabilities of exploitation",
        FeedContent::EndsOfSupport => "ends of support",
    }
}

/// The gap of a feed that covers the image.
fn advisories(feed: &StaleFeed, most: u32, now: Timestamp) -> Gap {
    let subject = ecosystem::listed(&feed.ecosystems);
    let age = age(&[feed], most, now).unwrap_or_default();
    Gap { kind: GapKind::OldDatabase, message: format!("the advisories of {subject} {age}"), subject }
}

/// How old the oldest of some feeds is; NVD is a feed for each year. `None` without a feed.
fn age(feeds: &[&StaleFeed], most: u32, now: Timestamp) -> Option<String> {
    let oldest = feeds.iter().min_by_key(|feed| feed.read)?;
    let (days, name, read) = (days_since(oldest.read, now), &oldest.name, oldest.read);
    let others = match feeds.len() - 1 {
        0 => String::new(),
        others => format!(" ({others} more are too old)"),
    };
    Some(format!(
        "are {days} days old: feed {name} was last read {read}{others}; the limit is {most} days; why it fails: kubectl scan \
         db status"
    ))
}

/// The gap of a database that is too old, or whose age is not known.
fn old_database(database: &DatabaseInfo, most: u32, now: Timestamp) -> Option<Gap> {
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

fn days_since(then: Timestamp, now: Timestamp) -> i64 {
    now.duration_since(then).as_hours() / 24
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{IncompleteAction, Outcome, decide, gap_sentence};
    use crate::policy::{Policy, Rule};
    use crate::report::testing;

    #[test]
    fn a_database_may_be_too_old() {
        let check = |most: Option<u32>, built: &str, expected: Outcome| {
            let mut report = testing::report(vec![], vec![]);
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
            report.database.stale = vec![StaleFeed {
                name: "far".into(),
                read: read.parse().unwrap(),
                ecosystems,
                content: FeedContent::Advisories,
            }];
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
    fn rules_need_their_facts() {
        let check = |rule: &Rule, facts: &[FeedContent], findings: usize, expected: Option<&str>| {
            let finding = testing::finding("CVE-1", "a", Severity::Low);
            let mut report = testing::report(vec![testing::package("a", "1")], vec![finding; findings]);
            report.database.facts = facts.to_vec();
            let policy = Policy { rules: vec![rule.clone()], max_database_age_days: None, ..Policy::default() };
            let verdict = decide(&report, &policy, Timestamp::UNIX_EPOCH);
            assert_eq!(verdict.gaps.first().map(|gap| gap.message.as_str()), expected, "{rule:?} {facts:?}");
            assert_eq!(verdict.outcome == Outcome::Incomplete, expected.is_some());
        };
        let exploited = Rule { name: "kev".into(), known_exploited: Some(true), ..Rule::default() };
        let probable = Rule { name: "epss".into(), epss: Some(0.5), ..Rule::default() };
        let missing = "rule kev needs known exploited vulnerabilities, and no feed of the database has them: add one to \
                       feeds.toml, and build the database again";
        check(&exploited, &[], 1, Some(missing));
        check(&exploited, &[FeedContent::ExploitProbability], 1, Some(missing));
        check(&exploited, &[FeedContent::KnownExploited], 1, None);
        check(&probable, &[FeedContent::ExploitProbability], 1, None);
        // An image without any vulnerability has none that is exploited.
        check(&exploited, &[], 0, None);
        check(&Rule { name: "cvss".into(), cvss: Some(9.9), ..Rule::default() }, &[], 1, None);
    }

    /// A report of an image with npm's packages, whose feed of this content was read 2026-01-01; and a finding per triple:
    /// severity, the feed that rated it, class.
    fn stale(content: FeedContent, feeds: &[&str], findings: &[(Severity, &str, AdvisoryClass)]) -> Report {
        let finding = |(severity, source, class): &(Severity, &str, AdvisoryClass)| Finding {
            feed: "npm".into(),
            severity_source: (*source).to_owned(),
            class: *class,
            ..testing::finding("CVE-1", "a", *severity)
        };
        let mut report = testing::report(vec![testing::package("a", "1")], findings.iter().map(finding).collect());
        report.database.built = NOW.parse().ok();
        let read: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let feed = |name: &&str| StaleFeed { name: (*name).to_owned(), read, ecosystems: vec![], content };
        report.database.stale = feeds.iter().map(feed).collect();
        report
    }

    const NOW: &str = "2026-03-01T00:00:00Z";

    #[test]
    fn old_ratings_are_a_gap_where_findings_need_them() {
        use AdvisoryClass::{Malware, Vulnerability};
        let check = |findings: &[(Severity, &str, AdvisoryClass)], policy: &Policy, outcome: Outcome, said: &str| {
            let report = stale(FeedContent::Ratings, &["nvd-2025", "nvd-2026"], findings);
            let verdict = decide(&report, policy, NOW.parse().unwrap());
            assert_eq!(
                (verdict.outcome, verdict.gaps.len()),
                (outcome, usize::from(said.contains("npm"))),
                "{verdict:?}"
            );
            let all = [verdict.reasons, verdict.warnings].concat().concat();
            assert!(all.contains(said) && said.is_empty() != all.contains("ratings"), "{all}");
        };
        let default = Policy::default();
        let gap = "OldDatabase: the ratings of npm are 59 days old: feed nvd-2025 was last read 2026-01-01T00:00:00Z (1 more \
                   are too old); the limit is 5 days";
        check(&[(Severity::High, "nvd", Vulnerability)], &default, Outcome::Incomplete, gap);
        check(&[(Severity::Unknown, "", Vulnerability)], &default, Outcome::Incomplete, gap);
        check(&[(Severity::Critical, "nvd", Vulnerability)], &default, Outcome::Violated, gap);
        let own = (Severity::High, "npm", Vulnerability);
        check(&[own, (Severity::Low, "security@example.org", Vulnerability)], &default, Outcome::Incomplete, gap);
        // Its own feed rates it; the other ratings are shown.
        check(&[own], &default, Outcome::Pass, "the ratings are 59 days old");
        check(&[(Severity::Unknown, "", Malware)], &default, Outcome::Violated, "the ratings are 59 days old");
        check(&[], &default, Outcome::Pass, "");
        let allow = Policy { incomplete: IncompleteAction::Allow, ..default.clone() };
        check(&[(Severity::High, "nvd", Vulnerability)], &allow, Outcome::Pass, gap);
        let any_age = Policy { max_database_age_days: None, ..default };
        check(&[(Severity::High, "nvd", Vulnerability)], &any_age, Outcome::Pass, "");
    }

    #[test]
    fn old_facts_that_policy_does_not_use_are_remarked() {
        let check = |content: FeedContent, findings: &[(Severity, &str, AdvisoryClass)], now: &str, expected: &str| {
            let mut report = stale(content, &["far"], findings);
            report.database.built = now.parse().ok();
            let verdict = decide(&report, &Policy::default(), now.parse().unwrap());
            let said = verdict.remarks.concat();
            assert!(said.starts_with(expected) && said.is_empty() == expected.is_empty(), "{said}");
            assert_eq!((verdict.outcome, &verdict.warnings), (Outcome::Pass, &verdict.remarks), "{verdict:?}");
        };
        let found = [(Severity::High, "npm", AdvisoryClass::Vulnerability)];
        let exploited =
            "the known exploited vulnerabilities are 5 days old: feed far was last read 2026-01-01T00:00:00Z; ";
        check(FeedContent::KnownExploited, &found, "2026-01-06T00:00:00Z", exploited);
        check(FeedContent::KnownExploited, &found, "2026-01-05T23:00:00Z", "");
        check(FeedContent::KnownExploited, &[], "2026-01-06T00:00:00Z", "");
        let probable = "the probabilities of exploitation are 6 days old";
        check(FeedContent::ExploitProbability, &found, "2026-01-07T00:00:00Z", probable);
        check(FeedContent::EndsOfSupport, &[], "2026-01-07T00:00:00Z", "the ends of support are 6 days old");
    }
}
