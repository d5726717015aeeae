use super::*;
use crate::decide::fixtures::{NOW, digest, image_scan, image_scan_with, now, record, revision};
use serde_json::{Value, json};
use tidewaiter_core::image::Digest;
use tidewaiter_core::report::{DatabaseInfo, Gap, GapKind, ImageInfo, Inventory};
use tidewaiter_core::severity::Severity;

fn list(platforms: &[&str]) -> Vec<Platform> {
    platforms.iter().map(|p| p.parse().unwrap()).collect()
}

/// A finished status of generation 1, changed.
fn status(change: &Value) -> Value {
    let mut status = json!({"imageStatus": "NoVulnerabilities", "observedGeneration": 1, "digest": digest(1),
        "nodePlatforms": ["linux/amd64"], "database": "one", "finished": NOW});
    change.as_object().unwrap().iter().for_each(|(key, value)| status[key] = value.clone());
    status
}

/// A failure without a result.
fn failure(finished: &str, failures: u32) -> Value {
    status(&json!({"imageStatus": "ScanFailed", "digest": null, "nodePlatforms": [], "finished": finished,
        "failures": failures, "reason": "RegistryUnreachable"}))
}

#[test]
fn users_can_add_platforms_and_remove_none() {
    let check = |requested: &[&str], nodes: &[&str], expected: &[&str]| {
        let scan = image_scan_with("i", Value::Null, |scan| {
            scan.spec.platforms = requested.iter().map(|p| (*p).to_owned()).collect();
        });
        assert_eq!(platforms(&scan, &list(nodes)), list(expected), "{requested:?}");
    };
    check(&[], &["linux/amd64"], &["linux/amd64"]);
    check(&["linux/arm64"], &["linux/amd64"], &["linux/amd64", "linux/arm64"]);
    check(&["linux/amd64"], &["linux/amd64"], &["linux/amd64"]);
    check(&["nonsense"], &["linux/amd64"], &["linux/amd64"]);
}

#[test]
fn a_status_is_current_until_something_changes() {
    let check = |status: Value, nodes: &[&str], database: &str, expected: bool| {
        let scan = image_scan("i", status);
        assert_eq!(is_current(&scan, &list(nodes), database, now()), expected, "{:?}", scan.status);
    };
    let amd64 = &["linux/amd64"][..];
    check(status(&json!({})), amd64, "one", true);
    check(status(&json!({})), amd64, "two", false);
    check(status(&json!({})), &["linux/amd64", "linux/arm64"], "one", false);
    check(status(&json!({"observedGeneration": 0})), amd64, "one", false);
    check(status(&json!({"imageStatus": "Scanning"})), amd64, "one", false);
    check(status(&json!({"imageStatus": "NotScanned"})), amd64, "one", false);
    check(Value::Null, amd64, "one", false);
    // An incomplete report is a result.
    check(status(&json!({"imageStatus": "ScanFailed"})), amd64, "one", true);
    // A failure counts until its retry is due: 30 s after the first, 60 s after the second one.
    check(failure("2026-01-01T23:59:31Z", 1), amd64, "one", true);
    check(failure("2026-01-01T23:59:30Z", 1), amd64, "one", false);
    check(failure("2026-01-01T23:59:30Z", 2), amd64, "one", true);
    check(failure("2026-01-01T23:59:59Z", 1), amd64, "two", false);
    check(failure("nonsense", 1), amd64, "one", false);
}

#[test]
fn the_pause_doubles_and_is_bounded() {
    let check = |failures: Option<u32>, seconds: u64| {
        let status = ImageScanStatus { failures, ..ImageScanStatus::default() };
        assert_eq!(retry_after(&status), Duration::from_secs(seconds), "{failures:?}");
    };
    check(None, 30);
    check(Some(1), 30);
    check(Some(2), 60);
    check(Some(3), 120);
    check(Some(7), 1920);
    check(Some(8), 1920);
    check(Some(u32::MAX), 1920);
}

#[test]
fn a_registry_that_limits_requests_is_asked_when_it_allows() {
    let check = |before: u32, requested: Option<u64>, seconds: u64| {
        let scan = image_scan("i", failure(NOW, before));
        let (reason, message) = (Reason::RateLimited, "rate limited".to_owned());
        let failure = FailedScan { reason, message, retry_after: requested.map(Duration::from_secs), tried: true };
        let status = failed(&scan, failure, None, now());
        assert_eq!(retry_after(&status), Duration::from_secs(seconds), "{before} {requested:?}");
    };
    check(0, None, 30);
    check(0, Some(10), 30);
    check(0, Some(3600), 3600);
    check(3, Some(100), 240);
    // A registry must not end the scans of an image for ever.
    check(0, Some(1 << 40), 6 * 3600);
}

#[test]
fn what_waits_for_its_registry_has_not_failed_once_more() {
    let check = |before: u32, milliseconds: u64, failures: u32, seconds: u64| {
        let scan = image_scan("i", failure(NOW, before));
        let status = failed(&scan, held_registry("r.example", Duration::from_millis(milliseconds)), None, now());
        assert_eq!((status.failures, retry_after(&status)), (Some(failures), Duration::from_secs(seconds)), "{before}");
        let said = "r.example: rate limited: log in, or wait (it is asked again in ";
        assert!(has_failed(&status) && status.message.starts_with(said), "{}", status.message);
    };
    check(0, 3_600_000, 0, 3600);
    check(2, 3_599_001, 2, 3600);
    check(0, 500, 0, 30);
    check(3, 1_000, 3, 120);
}

#[test]
fn a_scan_that_nobody_wants_is_not_wanted() {
    let with = |uid: &str, rescan: Option<&str>| {
        let mut scan = ImageScan::clone(&image_scan("i", Value::Null));
        scan.metadata.uid = Some(uid.to_owned());
        scan.spec.rescan = rescan.map(str::to_owned);
        scan
    };
    let scan = with("u", Some("1"));
    let check = |now: Option<ImageScan>, expected: bool| assert_eq!(is_wanted(&scan, now.as_ref()), expected);
    check(Some(with("u", Some("1"))), true);
    check(None, false);
    check(Some(with("v", Some("1"))), false);
    // Another run was requested: that one begins when this one ends.
    check(Some(with("u", Some("2"))), true);
    let mut written = with("u", Some("1"));
    written.status = Some(scanning(&written));
    check(Some(written), true);
    let mut deleted = with("u", Some("1"));
    deleted.metadata.deletion_timestamp = serde_json::from_value(json!(NOW)).unwrap();
    check(Some(deleted), false);
}

#[test]
fn failures_in_a_row_are_counted_by_generation() {
    let check = |before: Value, failures: u32| {
        let scan = image_scan("i", before);
        let (reason, message) = (Reason::RegistryUnreachable, "no route".to_owned());
        let status = failed(
            &scan,
            FailedScan { reason, message, retry_after: None, tried: true },
            Some("one".to_owned()),
            now(),
        );
        assert_eq!(status.failures, Some(failures), "{:?}", scan.status);
        assert_eq!((status.image_status, status.observed_generation), (ImageStatus::ScanFailed, 1));
        assert_eq!(
            (status.reason.clone(), status.finished.clone()),
            (Some(Reason::RegistryUnreachable), Some(now().into()))
        );
        assert!(has_failed(&status) && status.verdict.is_none());
    };
    check(Value::Null, 1);
    check(failure(NOW, 4), 5);
    check(failure(NOW, u32::MAX), u32::MAX);
    check(status(&json!({"observedGeneration": 0, "failures": 4})), 1);
}

#[test]
fn unused_scans_are_deleted_after_a_day() {
    let check = |status: Value, used: bool, expected: Upkeep| {
        let scan = image_scan("i", status);
        assert_eq!(upkeep(&scan, used, now()), expected, "{:?} {used}", scan.status);
    };
    let after = |seconds: u64| Upkeep::Requeue(Duration::from_secs(seconds));
    let at = |finished: &str| status(&json!({"finished": finished}));
    check(at(NOW), false, after(86_400));
    check(at(NOW), true, after(86_400));
    check(at("2026-01-01T12:00:00Z"), false, after(43_200));
    check(at("2026-01-01T00:30:00Z"), false, after(3600));
    check(at("2026-01-01T00:00:00Z"), false, Upkeep::Delete);
    check(at("2026-01-01T00:00:00Z"), true, after(3600));
    check(at("2025-01-01T00:00:00Z"), true, after(3600));
    check(at("nonsense"), false, Upkeep::Delete);
    check(Value::Null, false, after(86_400));
    check(failure(NOW, 2), false, after(60));
}

#[test]
fn who_waits_comes_first() {
    let check = |rescan: bool, users: &[Decision], expected: Urgency| {
        let scan = image_scan_with("i", Value::Null, |scan| scan.spec.rescan = rescan.then(|| NOW.to_owned()));
        let users: Vec<_> = users.iter().map(|d| record(&[("h", revision(*d, &[("c", "i", None)]))])).collect();
        assert_eq!(urgency(&scan, &users), expected, "{rescan} {users:?}");
    };
    use Decision::{Approved, Held, Retained};
    check(true, &[], Urgency::Urgent);
    check(true, &[Held], Urgency::Urgent);
    check(true, &[Approved, Held], Urgency::Urgent);
    check(true, &[Approved, Retained], Urgency::Background);
    check(false, &[], Urgency::Background);
    check(false, &[Held], Urgency::Background);
}

#[test]
fn without_a_database_results_remain() {
    let check = |before: Value, expected: bool| {
        let scan = image_scan("i", before);
        let status = without_database(&scan, "no database".to_owned());
        assert_eq!(status.is_some(), expected, "{:?}", scan.status);
        assert!(status.is_none_or(|s| s.reason == Some(Reason::NoDatabase) && s.message == "no database"));
    };
    check(Value::Null, true);
    check(status(&json!({})), false);
    check(status(&json!({"observedGeneration": 0})), true);
    check(status(&json!({"imageStatus": "Scanning"})), true);
    check(failure(NOW, 1), true);
    let said = |message: &str| json!({"imageStatus": "NotScanned", "reason": "NoDatabase", "message": message});
    check(said("no database"), false);
    check(said("another cause"), true);
}

#[test]
fn the_result_remains_while_a_scan_runs() {
    let scan = image_scan("i", status(&json!({"reason": "Incomplete", "verdict": "Incomplete"})));
    let status = scanning(&scan);
    assert_eq!((status.image_status, status.reason), (ImageStatus::Scanning, None));
    assert_eq!((status.digest, status.verdict), (Some(digest(1)), Some(Outcome::Incomplete)));
}

#[test]
fn a_rematch_without_changes_is_no_news() {
    let result = |key: &str| PlatformResult {
        platform: "linux/amd64".into(),
        digest: digest(1),
        report_key: key.into(),
        signed_by: None,
    };
    let check = |key: &str, finished: &str| {
        let before = "2026-01-01T00:00:00Z";
        let old = ImageScanStatus {
            database: Some("one".to_owned()),
            platforms: vec![result("a")],
            finished: Some(before.to_owned().into()),
            ..ImageScanStatus::default()
        };
        let new = rematched(&old, vec![result(key)], "two", now());
        assert_eq!((new.database.as_deref(), new.finished), (Some("two"), Some(finished.to_owned().into())), "{key}");
    };
    check("a", "2026-01-01T00:00:00Z");
    check("b", NOW);
}

/// A report of findings (vulnerability, severity), with a gap where it is not complete.
fn report(findings: &[(&str, Severity)], complete: bool) -> Report {
    let digest = |figure| Digest::from_sha256([figure; 32]);
    let image = ImageInfo::new("i", digest(1), digest(2), "linux/amd64".parse().unwrap());
    let inventory = Inventory { image, layers: vec![], os: None, packages: vec![], gaps: vec![] };
    let finding = |(vulnerability, severity): &(&str, Severity)| Finding {
        vulnerability: (*vulnerability).to_owned(),
        package: "p".to_owned(),
        severity: *severity,
        ..Finding::default()
    };
    let gap = Gap { kind: GapKind::UnreadableFile, subject: "x".into(), message: "y".into() };
    let gaps = if complete { vec![] } else { vec![gap] };
    let database =
        DatabaseInfo { id: "one".into(), built: "2026-01-01T00:00:00Z".parse().ok(), ..DatabaseInfo::default() };
    Report::new(inventory, database, findings.iter().map(finding).collect(), gaps)
}

#[test]
fn the_verdict_of_all_platforms() {
    use ImageStatus::{NoVulnerabilities, ScanFailed, VulnerabilitiesFound};
    use Severity::{Critical, Low};
    let check = |reports: &[Report], outcome: Outcome, image: ImageStatus, total: u32, reasons: usize| {
        let status = with_verdict(ImageScanStatus::default(), reports, &Policy::default(), now());
        assert_eq!((status.verdict, status.image_status), (Some(outcome), image), "{}", status.message);
        assert_eq!((status.counts.unwrap().total(), status.reasons.len()), (total, reasons), "{:?}", status.reasons);
        assert_eq!(status.reason.is_some(), outcome == Outcome::Incomplete);
    };
    check(&[report(&[], true)], Outcome::Pass, NoVulnerabilities, 0, 0);
    check(&[report(&[("A", Low)], true)], Outcome::Pass, VulnerabilitiesFound, 1, 0);
    check(&[report(&[("A", Critical)], true)], Outcome::Violated, VulnerabilitiesFound, 1, 1);
    // The same finding on two platforms is one, with one reason.
    check(
        &[report(&[("A", Critical)], true), report(&[("A", Critical)], true)],
        Outcome::Violated,
        VulnerabilitiesFound,
        1,
        1,
    );
    check(
        &[report(&[("A", Critical)], true), report(&[("B", Low)], true)],
        Outcome::Violated,
        VulnerabilitiesFound,
        2,
        1,
    );
    check(&[report(&[], true), report(&[], false)], Outcome::Incomplete, ScanFailed, 0, 1);
    // A violation is certain, whatever else was not seen.
    check(&[report(&[("A", Critical)], true), report(&[], false)], Outcome::Violated, VulnerabilitiesFound, 1, 2);
    check(&[], Outcome::Incomplete, ScanFailed, 0, 0);
}

#[test]
fn a_database_ages_while_its_report_stays_the_same() {
    let check = |days: Option<u32>, outcome: Outcome| {
        let policy = Policy { max_database_age_days: days, ..Policy::default() };
        let at: Timestamp = "2026-01-09T00:00:00Z".parse().unwrap();
        let status = with_verdict(ImageScanStatus::default(), &[report(&[], true)], &policy, at);
        assert_eq!(status.verdict, Some(outcome), "{days:?}");
    };
    check(None, Outcome::Pass);
    check(Some(30), Outcome::Pass);
    check(Some(7), Outcome::Incomplete);
}

#[test]
fn reasons_are_bounded() {
    let names: Vec<String> = (0..MAX_REASONS + 5).map(|i| format!("CVE-{i}")).collect();
    let findings: Vec<(&str, Severity)> = names.iter().map(|name| (name.as_str(), Severity::Critical)).collect();
    let status = with_verdict(ImageScanStatus::default(), &[report(&findings, true)], &Policy::default(), now());
    assert_eq!(status.reasons.len(), MAX_REASONS);
}

#[test]
fn a_run_that_has_not_begun_can_be_joined() {
    let check = |generation: i64, status: Value, expected: bool| {
        let scan = image_scan_with("i", status, |scan| scan.metadata.generation = Some(generation));
        assert_eq!(is_pending(&scan), expected, "{generation} {:?}", scan.status);
    };
    check(1, Value::Null, true);
    check(1, status(&json!({})), false);
    check(2, status(&json!({})), true);
    // It may have resolved the tag already.
    check(1, status(&json!({"imageStatus": "Scanning", "observedGeneration": 0})), false);
    check(2, status(&json!({"imageStatus": "Scanning"})), false);
    check(2, failure(NOW, 3), true);
    check(1, failure(NOW, 3), false);
    // It waits for a database.
    check(1, status(&json!({"imageStatus": "NotScanned", "observedGeneration": 0, "reason": "NoDatabase"})), true);
}

/// What `kubectl scan policy test` and `kubectl scan image --policy` say is what the server decides.
fn judges_as_the_commands(spec: &serde_json::Value, report: serde_json::Value) {
    let now = "2026-05-29T00:00:00Z".parse().unwrap();
    let report: Report = serde_json::from_value(report).unwrap();
    let object: tidewaiter_crd::policy::ClusterScanPolicySpec = serde_json::from_value(spec.clone()).unwrap();
    let policies = [std::sync::Arc::new(tidewaiter_crd::ClusterScanPolicy::new("p", object))];
    let namespace = tidewaiter_crd::ChosenNamespace::without_labels("a");
    let criteria = crate::decide::policy::effective(&policies, &[], "a", None).criteria;
    assert_eq!(criteria, tidewaiter_crd::policy::criteria_in(&policies, namespace));
    let status = with_verdict(ImageScanStatus::default(), std::slice::from_ref(&report), &criteria, now);
    let verdict = tidewaiter_core::policy::decide(&report, &criteria, now);
    assert_eq!(status.verdict, Some(verdict.outcome));
    let mut reasons = verdict.reasons;
    reasons.dedup();
    assert!(
        status.reasons.iter().all(|reason| reasons.contains(reason)) && status.reasons.is_empty() == reasons.is_empty()
    );
}

proptest::proptest! {
    #[test]
    fn the_gate_decides_as_the_commands(
        spec in tidewaiter_testkit::generated::policy(),
        report in tidewaiter_testkit::generated::report(),
    ) {
        judges_as_the_commands(&spec, report);
    }
}
