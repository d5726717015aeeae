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
    check(&Policy { block_at: Some(Medium), ..default.clone() }, &[Medium], &[], Outcome::Violated);
    check(&Policy { block_at: Some(Unknown), ..default.clone() }, &[Unknown], &[], Outcome::Pass);
    check(&Policy { incomplete: IncompleteAction::Allow, ..default }, &[], &[GapKind::NotCovered], Outcome::Pass);
}

#[test]
fn rules_block_beside_the_severity_or_instead_of_it() {
    let fixable = Rule { name: "fixable".into(), fix_available: Some(true), ..Rule::default() };
    let check = |block_at: Option<Severity>, severity: Severity, expected: &str| {
        let policy = Policy { block_at, rules: vec![fixable.clone()], ..Policy::default() };
        let verdict = decide(&report(&[severity], &[]), &policy, Timestamp::UNIX_EPOCH);
        assert_eq!(verdict.reasons, [format!("CVE-1 ({severity}) in p 1, fixed in 2{expected}")]);
    };
    check(Some(Severity::High), Severity::Critical, "");
    check(Some(Severity::High), Severity::Medium, ", by rule fixable");
    check(None, Severity::Critical, ", by rule fixable");
    let policy = Policy { block_at: None, ..Policy::default() };
    let verdict = decide(&report(&[Severity::Critical], &[]), &policy, Timestamp::UNIX_EPOCH);
    assert_eq!(verdict.outcome, Outcome::Pass);
}

#[test]
fn a_policy_is_read_as_it_is_written() {
    let rule = Rule { name: "r".into(), epss: Some(0.5), ..Rule::default() };
    let check = |policy: &Policy, expected: &str| {
        let json = serde_json::to_value(policy).unwrap();
        assert_eq!(json["blockAt"], expected);
        assert_eq!(serde_json::from_value::<Policy>(json).unwrap(), *policy);
    };
    check(&Policy::default(), "CRITICAL");
    check(&Policy { block_at: None, rules: vec![rule], ..Policy::default() }, "NEVER");
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
fn what_nobody_rated_says_how_it_counts() {
    let check = |unrated: UnratedAction, class: AdvisoryClass, outcome: Outcome, reason: &str, warning: &str| {
        let mut report = report(&[Severity::Unknown], &[]);
        report.findings[0].class = class;
        // However low the limit is: unknown is not low.
        let policy = Policy { unrated, block_at: Some(Severity::Negligible), ..Policy::default() };
        let verdict = decide(&report, &policy, Timestamp::UNIX_EPOCH);
        let said = (verdict.outcome, verdict.reasons.concat(), verdict.warnings.concat());
        assert_eq!(said, (outcome, reason.to_owned(), warning.to_owned()));
        assert_eq!((report.counts.unknown, report.counts.total()), (1, 1));
    };
    use AdvisoryClass::{Malware, Vulnerability};
    let held = "CVE-1 (unknown: no source rates it, which the policy holds) in p 1, fixed in 2";
    let allowed = "CVE-1 (unknown: no source rates it, which the policy allows) in p 1, fixed in 2";
    let malware = "CVE-1 (unknown: malware blocks without a rating) in p 1, fixed in 2";
    check(UnratedAction::Hold, Vulnerability, Outcome::Violated, held, "");
    check(UnratedAction::Warn, Vulnerability, Outcome::Pass, "", allowed);
    check(UnratedAction::Allow, Vulnerability, Outcome::Pass, "", "");
    check(UnratedAction::Allow, Malware, Outcome::Violated, malware, "");
}

#[test]
fn malware_violates_every_policy() {
    let mut report = report(&[Severity::Unknown], &[]);
    report.findings[0].class = AdvisoryClass::Malware;
    let lenient = Policy { unrated: UnratedAction::Allow, ..Policy::default() };
    assert_eq!(decide(&report, &lenient, Timestamp::UNIX_EPOCH).outcome, Outcome::Violated);
}

#[test]
fn the_strictest_of_two_takes_the_worse_of_each_field() {
    let policy = |block_at: Option<Severity>, rules: &[&str], unrated, incomplete, days| Policy {
        block_at,
        rules: rules.iter().map(|name| Rule { name: (*name).to_owned(), ..Rule::default() }).collect(),
        unrated,
        incomplete,
        max_database_age_days: days,
    };
    let high = Some(Severity::High);
    let a = policy(high, &["a", "both"], UnratedAction::Allow, IncompleteAction::Hold, None);
    let b = policy(Some(Severity::Critical), &["both"], UnratedAction::Hold, IncompleteAction::Allow, Some(3));
    let both = policy(high, &["a", "both"], UnratedAction::Hold, IncompleteAction::Hold, Some(3));
    assert_eq!(a.strictest(&b), both);
    let mut other = b.strictest(&a);
    other.rules.sort_by(|x, y| x.name.cmp(&y.name));
    assert_eq!(other, both);
    let never = policy(None, &[], UnratedAction::Allow, IncompleteAction::Allow, None);
    assert_eq!(never.strictest(&a).block_at, high);
}
