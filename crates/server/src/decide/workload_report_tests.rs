use super::*;
use crate::decide::evaluation::KnownScans;
use crate::decide::fixtures::{digest, image_scan, now, pinned, revision, workload};
use serde_json::json;
use tidewaiter_core::advisory::KnownExploited;
use tidewaiter_core::finding::{Finding, SuppressedFinding, SuppressionStatus};
use tidewaiter_core::image::Digest;
use tidewaiter_core::policy::{IncompleteAction, Policy};
use tidewaiter_core::report::{DatabaseInfo, Gap, GapKind, ImageInfo, Inventory, Report};
use tidewaiter_core::severity::Severity;
use tidewaiter_crd::workload_scan::Decision;

pub(super) fn finding(vulnerability: &str, severity: Severity) -> Finding {
    Finding {
        vulnerability: vulnerability.to_owned(),
        package: "p".to_owned(),
        installed_version: "1".to_owned(),
        severity,
        ..Finding::default()
    }
}

pub(super) fn report(findings: Vec<Finding>, gaps: &[&str]) -> Report {
    let digest = Digest::from_sha256([1; 32]);
    let image = ImageInfo::new("i", digest.clone(), digest, "linux/amd64".parse().unwrap());
    let gap =
        |message: &&str| Gap { kind: GapKind::UnreadableFile, subject: "x".into(), message: (*message).to_owned() };
    let inventory = Inventory { image, layers: vec![], os: None, packages: vec![], gaps: vec![] };
    let database = DatabaseInfo { built: Some(now()), ..DatabaseInfo::default() };
    Report::new(inventory, database, findings, gaps.iter().map(gap).collect())
}

pub(super) fn scanned(image: &str) -> RevisionImage {
    let status = json!({"imageStatus": "VulnerabilitiesFound", "verdict": "Pass", "digest": digest(1)});
    RevisionImage {
        image: image.to_owned(),
        containers: vec!["c".to_owned()],
        status: serde_json::from_value(status).unwrap(),
    }
}

fn judged(images: &[(RevisionImage, Vec<Report>)], policy: &Policy) -> WorkloadReport {
    judged_by(images, &ReportJudge::new(&["default".to_owned()], policy, now()))
}

fn judged_by(images: &[(RevisionImage, Vec<Report>)], judge: &ReportJudge<'_>) -> WorkloadReport {
    let mut all = WorstResults::default();
    for (image, reports) in images {
        let mut tally = ImageTally::default();
        reports.iter().for_each(|report| tally.read(judge, image, report));
        all.add_all(tally.end(judge, image));
    }
    workload_report(&workload(), all)
}

/// One line for each result: outcome, severity, rule.
fn lines(report: &WorkloadReport) -> Vec<String> {
    let object = report.object(ReportApi::OpenReports).body;
    let text = |result: &Value, field: &str| result[field].as_str().unwrap_or("-").to_owned();
    let results = object["results"].as_array().unwrap().iter();
    results.map(|r| format!("{} {} {}", text(r, "result"), text(r, "severity"), text(r, "rule"))).collect()
}

#[test]
fn each_finding_is_a_result_worst_first() {
    let check = |reports: Vec<Report>, policy: &Policy, expected: &[&str]| {
        assert_eq!(lines(&judged(&[(scanned("i"), reports)], policy)), expected);
    };
    let policy = Policy::default();
    let all = || {
        vec![
            finding("CVE-1", Severity::Low),
            finding("CVE-2", Severity::Critical),
            finding("CVE-3", Severity::Unknown),
            finding("CVE-4", Severity::Negligible),
            Finding { kev: Some(KnownExploited::default()), ..finding("CVE-5", Severity::Low) },
        ]
    };
    let expected = ["fail critical CVE-2", "warn low CVE-5", "warn low CVE-1", "warn info CVE-4", "warn - CVE-3"];
    check(vec![report(all(), &[])], &policy, &expected);
    // On two platforms, once.
    check(vec![report(all(), &[]), report(all(), &[])], &policy, &expected);
    check(vec![report(vec![], &[])], &policy, &["pass - no-vulnerabilities"]);
    // What could not be seen comes first, and nothing passes with it.
    check(vec![report(vec![], &["a", "b"])], &policy, &["error - scan-complete"]);
    let incomplete = vec![report(vec![finding("CVE-2", Severity::Critical)], &["a"])];
    check(incomplete.clone(), &policy, &["error - scan-complete", "fail critical CVE-2"]);
    let lenient = Policy { incomplete: IncompleteAction::Allow, ..Policy::default() };
    check(incomplete, &lenient, &["fail critical CVE-2", "warn - scan-complete"]);
    // What an exception accepts.
    let mut excepted = report(vec![], &[]);
    let (status, reason) = (SuppressionStatus::Accepted, "r".to_owned());
    let accepted = SuppressedFinding {
        finding: finding("CVE-6", Severity::High),
        status,
        reason,
        source: "scanexception/e".to_owned(),
    };
    excepted.suppressed.push(accepted);
    check(vec![excepted], &policy, &["skip high CVE-6"]);
}

/// Policy Reporter takes results of one workload, policy, rule, result, category and message for one.
#[test]
fn the_same_finding_of_two_images_is_two_results() {
    let of = |image: &str| (scanned(image), vec![report(vec![finding("CVE-1", Severity::Low)], &[])]);
    let object = judged(&[of("a"), of("b")], &Policy::default()).object(ReportApi::OpenReports).body;
    let results = object["results"].as_array().unwrap();
    assert_eq!((results.len(), &object["summary"]["warn"]), (2, &json!(2)));
    assert_ne!(results[0]["message"], results[1]["message"]);
}

#[test]
fn a_scan_that_failed_is_an_error() {
    let status = json!({"imageStatus": "ScanFailed", "reason": "RegistryUnreachable", "message": "no answer"});
    let failed = RevisionImage { status: serde_json::from_value(status).unwrap(), ..scanned("i") };
    let object = judged(&[(failed, vec![])], &Policy::default()).object(ReportApi::PolicyWorkingGroup).body;
    assert_eq!(object["summary"], json!({"pass": 0, "fail": 0, "warn": 0, "error": 1, "skip": 0}));
    assert_eq!(object["results"][0]["message"], "i: no answer");
    assert_eq!(object["results"][0]["properties"]["reason"], "RegistryUnreachable");
}

/// However many findings there are, and however long their texts.
#[test]
fn a_report_is_bounded_and_says_what_it_leaves_out() {
    let long = "…".repeat(5000);
    let many = (0..1000).map(|number| Finding {
        summary: long.clone(),
        package: long.clone(),
        installed_version: format!("{number}{long}"),
        fixed_versions: vec![long.clone()],
        ..finding(&format!("CVE-{number:04}"), if number == 999 { Severity::Critical } else { Severity::High })
    });
    let report = judged(&[(scanned(&long), vec![report(many.collect(), &[])])], &Policy::default());
    let object = report.object(ReportApi::OpenReports).body;
    assert_eq!(object["summary"], json!({"pass": 0, "fail": 1, "warn": 999, "error": 0, "skip": 0}));
    let results = object["results"].as_array().unwrap();
    assert_eq!((results.len(), &results[0]["rule"]), (MAX_RESULTS, &json!("CVE-0999")));
    assert_eq!(object["metadata"]["annotations"][RESULTS_LEFT_OUT], "950");
    let said = |result: &&Value| result["properties"]["resultsLeftOut"] == "950";
    assert_eq!((results.iter().filter(said).count(), results.last().filter(said).is_some()), (1, true));
    assert_eq!(object["configuration"]["limits"]["maxResults"], 50);
    let bytes = object.to_string().len();
    assert!(bytes < 400 << 10, "{bytes}");
}

/// The same content is the same object whatever the day, and the two APIs differ in what they have.
#[test]
fn an_object_is_named_owned_and_hashed_by_what_it_says() {
    let images = |severity| [(scanned("i"), vec![report(vec![finding("CVE-1", severity)], &[])])];
    let policy = Policy { max_database_age_days: None, ..Policy::default() };
    let object = |api: ReportApi, severity: Severity| judged(&images(severity), &policy).object(api);
    let tomorrow = now() + jiff::SignedDuration::from_hours(24);
    let judge = ReportJudge::new(&["default".to_owned()], &policy, tomorrow);
    for api in ReportApi::ALL {
        let first = object(api, Severity::High);
        assert_eq!(judged_by(&images(Severity::High), &judge).object(api), first);
        assert_ne!(object(api, Severity::Critical).content, first.content);
        let body = first.body;
        assert_eq!(body["metadata"]["annotations"][REPORT_CONTENT], json!(first.content));
        assert_eq!((&body["metadata"]["name"], &body["metadata"]["namespace"]), (&json!("deployment-d-"), &json!("n")));
        assert_eq!((&body["scope"]["kind"], &body["scope"]["uid"]), (&json!("Deployment"), &json!("u")));
        assert_eq!(body["metadata"]["ownerReferences"][0]["uid"], "u");
        assert_eq!(body.get("source").is_some(), api == ReportApi::OpenReports);
        assert_eq!(body["apiVersion"], json!(api.api_version()));
        // A map of texts, as both definitions require.
        let properties = body["results"][0]["properties"].as_object().unwrap();
        assert!(properties.len() >= 6 && properties.values().all(Value::is_string), "{properties:?}");
    }
}

#[test]
fn a_report_waits_for_the_scans_of_all_images() {
    let done =
        json!({"imageStatus": "NoVulnerabilities", "verdict": "Pass", "digest": digest(1), "observedGeneration": 1});
    let failed = json!({"imageStatus": "ScanFailed", "reason": "RegistryUnreachable"});
    let check = |decision: Decision, pin: Option<&str>, scans: &[(&str, &Value)], expected: Option<&[&str]>| {
        let revision = revision(decision, &[("a", "r.example/x:1", pin), ("b", "r.example/x:1", pin)]);
        let known = scans.iter().map(|(image, status)| image_scan(image, (*status).clone()));
        let found = scanned_images(&revision, &KnownScans::new(known, vec![]));
        let found = found.map(|all| all.into_iter().map(|i| i.containers.join("+")).collect::<Vec<_>>());
        let expected = expected.map(|all| all.iter().map(|text| (*text).to_owned()).collect());
        assert_eq!(found, expected, "{decision:?} {pin:?} {scans:?}");
    };
    let (same, other) = (pinned("r.example/x:1", 1), pinned("r.example/x:1", 2));
    check(Decision::Held, None, &[("r.example/x:1", &done)], Some(&["a+b"]));
    check(Decision::Held, None, &[("r.example/x:1", &failed)], Some(&["a+b"]));
    check(Decision::Held, None, &[("r.example/x:1", &json!({"imageStatus": "Scanning"}))], None);
    check(Decision::Held, None, &[("r.example/x:1", &Value::Null)], None);
    check(Decision::Held, None, &[], None);
    check(Decision::Approved, Some(&same), &[("r.example/x:1", &done)], Some(&["a+b"]));
    // The tag moved: what runs has a scan of its own, or waits for it.
    check(Decision::Approved, Some(&other), &[("r.example/x:1", &done)], None);
    let of_other = json!({"imageStatus": "NoVulnerabilities", "verdict": "Pass", "digest": digest(2)});
    check(Decision::Approved, Some(&other), &[("r.example/x:1", &done), (&other, &of_other)], Some(&["a+b"]));
    // Nothing is known of it: there is no report of nothing.
    check(Decision::Approved, Some(&same), &[], None);
}

#[test]
fn which_apis_are_wanted() {
    let check = |setting: PolicyReportsSetting, expected: &[ReportApi]| {
        let wanted: Vec<ReportApi> = ReportApi::ALL.into_iter().filter(|api| api.is_wanted(setting)).collect();
        assert_eq!(wanted, expected, "{setting:?}");
    };
    check(PolicyReportsSetting::Off, &[]);
    check(PolicyReportsSetting::Openreports, &[ReportApi::OpenReports]);
    check(PolicyReportsSetting::Wgpolicyk8s, &[ReportApi::PolicyWorkingGroup]);
    check(PolicyReportsSetting::Both, &ReportApi::ALL);
}
