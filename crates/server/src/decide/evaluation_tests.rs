use super::*;
use crate::decide::fixtures::{digest, image_scan, image_scan_with, pinned, record, revision};
use ImageStatus::{NoVulnerabilities, NotScanned, ScanFailed, Scanning, VulnerabilitiesFound};
use serde_json::{Value, json};
use tidewaiter_crd::workload_scan::ScanRef;

/// The image of every container, as its template names it and fully qualified.
const IMAGE: &str = "r.example/x:1";

fn amd64() -> Vec<Platform> {
    vec!["linux/amd64".parse().unwrap()]
}

/// A finished status whose digest is of this figure, changed.
fn status(figure: u8, change: Value) -> Value {
    let mut status = json!({"imageStatus": "NoVulnerabilities", "observedGeneration": 1, "digest": digest(figure),
        "nodePlatforms": ["linux/amd64"], "verdict": "Pass", "counts": counts(0), "message": "said"});
    change.as_object().unwrap().iter().for_each(|(key, value)| status[key] = value.clone());
    status
}

fn counts(critical: u32) -> Value {
    json!({"critical": critical, "high": 0, "medium": 0, "low": 0, "negligible": 0, "unknown": 0, "fixable": 0})
}

fn blocked(figure: u8) -> Value {
    status(
        figure,
        json!({"imageStatus": "VulnerabilitiesFound", "verdict": "Violated", "counts": counts(1),
        "reasons": ["CVE-1 is critical"]}),
    )
}

fn unreachable() -> Value {
    json!({"imageStatus": "ScanFailed", "observedGeneration": 1, "reason": "RegistryUnreachable", "message": "no route"})
}

/// A container of [`IMAGE`] whose scan of this generation was requested.
fn container(pin: Option<u8>, generation: Option<i64>) -> Container {
    Container {
        image: IMAGE.to_owned(),
        pinned: pin.map(|figure| pinned(IMAGE, figure)),
        scan: generation.map(|generation| ScanRef { uid: "scan".to_owned(), generation }),
    }
}

fn evaluated(decision: Decision, container: Container, scans: &[(&str, Value)]) -> Evaluation {
    let scans = scans.iter().map(|(image, status)| image_scan(image, status.clone()));
    let mut revision = Revision { decision, ..Revision::default() };
    revision.containers.insert("c".to_owned(), container);
    evaluate(&revision, &WorkloadScanStatus::default(), &KnownScans::new(scans, amd64()))
}

#[test]
fn a_held_image_is_what_its_scan_says() {
    let check = |scan: Value, scanned: ImageStatus, allowed: bool, pin: Option<u8>, line: Option<&str>| {
        let found = evaluated(Decision::Held, container(None, Some(1)), &[(IMAGE, scan.clone())]);
        assert_eq!(found.facts, [EvaluatedImage { scan: scanned, allowed }], "{scan}");
        assert_eq!(found.pins.get("c"), pin.map(|figure| pinned(IMAGE, figure)).as_ref(), "{scan}");
        let expected: Vec<String> = line.map(|line| format!("c ({IMAGE}): {line}")).into_iter().collect();
        assert_eq!(found.lines, expected, "{scan}");
    };
    let waits = Some("waits for its scan");
    check(status(1, json!({})), NoVulnerabilities, true, Some(1), None);
    check(status(1, json!({"imageStatus": "VulnerabilitiesFound"})), VulnerabilitiesFound, true, Some(1), Some("said"));
    check(blocked(1), VulnerabilitiesFound, false, Some(1), Some("said"));
    check(
        status(1, json!({"imageStatus": "ScanFailed", "verdict": "Incomplete"})),
        ScanFailed,
        false,
        Some(1),
        Some("said"),
    );
    check(unreachable(), ScanFailed, false, None, Some("no route"));
    check(Value::Null, NotScanned, false, None, waits);
    check(json!({"imageStatus": "NotScanned"}), NotScanned, false, None, waits);
    check(json!({"imageStatus": "Scanning", "message": "runs"}), Scanning, false, None, Some("runs"));
    // Without a database: the message says what to do.
    let reason = json!({"imageStatus": "NotScanned", "reason": "NoDatabase", "message": "build one"});
    check(reason, NotScanned, false, None, Some("build one"));
    // Of an earlier generation than the requested one.
    check(status(1, json!({"observedGeneration": 0})), NotScanned, false, None, waits);
    // A node of another platform joined after the scan.
    check(status(1, json!({"nodePlatforms": []})), NotScanned, false, None, waits);
}

/// What the namespace approved by the same image string counts while the registry cannot be asked, and only then.
#[test]
fn a_new_workload_without_its_registry() {
    let check = |scan: Value, approved: &[(&str, u8)], expected: Option<u8>| {
        let approved = approved.iter().map(|(image, figure)| ((*image).to_owned(), pinned(IMAGE, *figure))).collect();
        let known = KnownScans::new([image_scan(IMAGE, scan.clone())], amd64());
        let is_asked = known.lacks_registry();
        let mut revision = Revision { decision: Decision::Held, ..Revision::default() };
        revision.containers.insert("c".to_owned(), container(None, Some(1)));
        let found = evaluate(&revision, &WorkloadScanStatus::default(), &known.with_approved(approved));
        let by_namespace = found.lines.iter().any(|line| line.ends_with(UNREACHABLE_NEW));
        assert_eq!(
            (found.pins.get("c"), by_namespace),
            (expected.map(|f| pinned(IMAGE, f)).as_ref(), is_asked && expected.is_some())
        );
        assert_eq!(found.facts[0].allowed, expected.is_some(), "{scan}");
    };
    let scanner = json!({"imageStatus": "ScanFailed", "observedGeneration": 1, "reason": "ScannerUnreachable",
        "message": "gone"});
    let limited =
        json!({"imageStatus": "ScanFailed", "observedGeneration": 1, "reason": "RateLimited", "message": "429"});
    let other =
        json!({"imageStatus": "ScanFailed", "observedGeneration": 1, "reason": "Unauthorized", "message": "401"});
    check(unreachable(), &[(IMAGE, 1)], Some(1));
    check(limited, &[(IMAGE, 1)], Some(1));
    check(scanner.clone(), &[(IMAGE, 1)], Some(1));
    check(scanner, &[], None);
    check(unreachable(), &[("other", 1)], None);
    check(unreachable(), &[], None);
    // A registry that answers is believed.
    check(other, &[(IMAGE, 1)], None);
    check(status(2, json!({})), &[(IMAGE, 1)], Some(2));
}

/// An image that its own workload may run: a line says who cannot be asked, and that its digest is used.
#[test]
fn who_cannot_be_asked_is_named() {
    let check = |reason: &str, expected: Option<&str>| {
        let scan = json!({"imageStatus": "ScanFailed", "observedGeneration": 1, "reason": reason, "message": "said"});
        let found = evaluated(Decision::Approved, container(Some(1), Some(1)), &[(IMAGE, scan)]);
        let line = |away| format!("c ({IMAGE}): {away}; the approved digest continues to be used");
        assert_eq!(found.lines, expected.map(line).into_iter().collect::<Vec<_>>(), "{reason}");
    };
    check("RegistryUnreachable", Some("the registry cannot be reached"));
    check("RateLimited", Some("the registry cannot be reached"));
    check("ScannerUnreachable", Some("the scanner cannot be reached"));
    check("ScannerStopped", None);
    check("Unauthorized", None);
}

#[test]
fn the_policys_reasons_are_those_against_blocked_images() {
    let reasons = |scan: Value| evaluated(Decision::Held, container(None, Some(1)), &[(IMAGE, scan)]).reasons;
    assert_eq!(reasons(blocked(1)), ["CVE-1 is critical"]);
    assert_eq!(reasons(status(1, json!({"reasons": ["a warning"]}))), [""; 0]);
}

#[test]
fn only_the_requested_scan_counts_for_a_held_image() {
    let check = |requested: Option<ScanRef>, expected: ImageStatus| {
        let container = Container { scan: requested.clone(), ..container(None, None) };
        let found = evaluated(Decision::Held, container, &[(IMAGE, status(1, json!({})))]);
        assert_eq!(found.facts[0].scan, expected, "{requested:?}");
    };
    let scan = |uid: &str, generation: i64| Some(ScanRef { uid: uid.to_owned(), generation });
    check(scan("scan", 1), NoVulnerabilities);
    check(scan("scan", 0), NoVulnerabilities);
    check(scan("scan", 2), NotScanned);
    check(scan("another", 1), NotScanned);
    check(None, NotScanned);
}

#[test]
fn a_completed_result_is_valid_while_a_rescan_runs() {
    let check = |generation: i64, verdict: Value, counts: Value, expected: (ImageStatus, bool)| {
        let scan = status(1, json!({"imageStatus": "Scanning", "verdict": verdict, "counts": counts}));
        let found = evaluated(Decision::Held, container(None, Some(generation)), &[(IMAGE, scan)]);
        assert_eq!((found.facts[0].scan, found.facts[0].allowed), expected, "{generation} {verdict}");
    };
    check(1, json!("Pass"), counts(0), (NoVulnerabilities, true));
    check(1, json!("Violated"), counts(1), (VulnerabilitiesFound, false));
    check(1, json!("Incomplete"), counts(0), (ScanFailed, false));
    // Requested later than the result, or there never was one.
    check(2, json!("Violated"), counts(1), (Scanning, false));
    check(1, json!(null), json!(null), (Scanning, false));
}

#[test]
fn what_runs_is_evaluated_by_results_for_its_digest_alone() {
    let check = |decision, pin: u8, scans: &[(&str, Value)], scanned: ImageStatus, allowed: bool| {
        let found = evaluated(decision, container(Some(pin), Some(1)), scans);
        assert_eq!(found.facts, [EvaluatedImage { scan: scanned, allowed }], "{decision:?} {scans:?}");
        // The pin stays, whatever the tag names now.
        assert_eq!(found.pins.get("c"), Some(&pinned(IMAGE, pin)));
    };
    use Decision::{Approved, Retained};
    let by_digest = pinned(IMAGE, 1);
    check(Approved, 1, &[(IMAGE, blocked(1))], VulnerabilitiesFound, false);
    check(Approved, 1, &[(IMAGE, status(1, json!({})))], NoVulnerabilities, true);
    // The tag moved: what it names now neither condemns nor acquits.
    check(Approved, 1, &[(IMAGE, blocked(2))], NotScanned, true);
    check(Retained, 1, &[(IMAGE, status(2, json!({})))], NotScanned, true);
    // The scan of the digest itself does.
    check(Approved, 1, &[(IMAGE, status(2, json!({}))), (&by_digest, blocked(1))], VulnerabilitiesFound, false);
    check(Retained, 1, &[(&by_digest, status(1, json!({})))], NoVulnerabilities, true);
    // Failures take no approval away.
    check(Approved, 1, &[(IMAGE, unreachable())], NotScanned, true);
    check(Approved, 1, &[], NotScanned, true);
    check(
        Approved,
        1,
        &[(IMAGE, status(1, json!({"verdict": "Incomplete", "imageStatus": "ScanFailed"})))],
        ScanFailed,
        false,
    );
}

#[test]
fn what_started_in_audit_mode_is_pinned_by_its_scan() {
    let found = evaluated(Decision::Retained, container(None, Some(1)), &[(IMAGE, status(1, json!({})))]);
    assert_eq!(found.pins.get("c"), Some(&pinned(IMAGE, 1)));
    assert_eq!(found.facts, [EvaluatedImage { scan: NoVulnerabilities, allowed: true }]);
}

#[test]
fn an_approved_digest_may_restart_while_the_registry_is_away() {
    let check = |known: Decision, name: &str, image: &str, expected: Option<u8>| {
        let pin = pinned(image, 3);
        let record = record(&[("old", revision(known, &[(name, image, Some(&pin))]))]);
        let mut new = Revision::default();
        new.containers.insert("c".to_owned(), container(None, Some(1)));
        let known_scans = KnownScans::new([image_scan(IMAGE, unreachable())], amd64());
        let found = evaluate(&new, &record, &known_scans);
        assert_eq!(
            found.pins.get("c"),
            expected.map(|figure| pinned(image, figure)).as_ref(),
            "{known:?} {name} {image}"
        );
        assert_eq!(found.facts[0].allowed, expected.is_some());
    };
    check(Decision::Approved, "c", IMAGE, Some(3));
    check(Decision::Retained, "c", IMAGE, None);
    check(Decision::Held, "c", IMAGE, None);
    check(Decision::Approved, "other", IMAGE, None);
    check(Decision::Approved, "c", "r.example/x:2", None);
}

#[test]
fn every_container_has_a_fact() {
    let revision = revision(Decision::Held, &[("a", "r.example/a:1", None), ("b", "r.example/b:1", None)]);
    let found = evaluate(&revision, &WorkloadScanStatus::default(), &KnownScans::default());
    assert_eq!((found.facts.len(), found.lines.len(), found.pins.len()), (2, 2, 0));
}

#[test]
fn which_reference_is_scanned() {
    let check = |decision, pin: Option<u8>, requested: bool, scan: Option<Value>, by_tag: bool| {
        let container = container(pin, requested.then_some(1));
        let known = KnownScans::new(scan.map(|status| image_scan(IMAGE, status)), amd64());
        let expected = if by_tag { IMAGE.to_owned() } else { pinned(IMAGE, 1) };
        assert_eq!(scanned_image(&container, decision, &known), expected, "{decision:?} {pin:?} {requested} {known:?}");
    };
    use Decision::{Approved, Held, Retained};
    check(Held, None, false, None, true);
    check(Held, Some(1), false, None, true);
    check(Retained, None, false, None, true);
    check(Retained, Some(1), false, None, false);
    check(Approved, Some(1), false, None, false);
    check(Approved, Some(1), true, Some(status(1, json!({}))), true);
    check(Approved, Some(1), true, Some(status(2, json!({}))), false);
    // Without a result yet.
    check(Approved, Some(1), false, Some(Value::Null), true);
    check(Retained, Some(1), true, Some(Value::Null), true);
    check(Retained, Some(1), false, Some(Value::Null), false);
}

#[test]
fn a_requested_scan_is_present_absent_or_unseen() {
    let check = |requested: Option<i64>, scan: Option<&str>, expected: RequestedScan| {
        let scan = scan.map(|uid| image_scan_with(IMAGE, Value::Null, |scan| scan.metadata.uid = Some(uid.to_owned())));
        assert_eq!(requested_scan(&container(None, requested), scan.as_deref()), expected, "{requested:?} {scan:?}");
    };
    check(None, None, RequestedScan::Absent);
    check(None, Some("scan"), RequestedScan::Absent);
    check(Some(1), None, RequestedScan::Unseen);
    check(Some(1), Some("scan"), RequestedScan::Present);
    check(Some(1), Some("another"), RequestedScan::Absent);
}

#[test]
fn scans_are_found_by_their_image_and_not_by_their_name() {
    let impostor = image_scan_with("r.example/evil:1", status(1, json!({})), |scan| {
        scan.metadata.name = Some(tidewaiter_crd::image_scan::name(IMAGE));
    });
    let known = KnownScans::new([impostor], amd64());
    assert_eq!((known.get(IMAGE).is_some(), known.get("r.example/evil:1").is_some()), (false, true));
}

#[test]
fn only_a_refusal_asks_for_other_secrets() {
    let check = |status: Value, expected: bool| {
        assert_eq!(lacks_credentials(&image_scan(IMAGE, status.clone())), expected, "{status}")
    };
    check(json!({"imageStatus": "ScanFailed", "reason": "Unauthorized"}), true);
    check(json!({"imageStatus": "ScanFailed", "reason": "CredentialProviderFailed"}), true);
    // A login has limits of its own.
    check(json!({"imageStatus": "ScanFailed", "reason": "RateLimited"}), true);
    check(unreachable(), false);
    check(status(1, json!({})), false);
    check(Value::Null, false);
}

#[test]
fn the_worst_severity_is_that_of_all_images() {
    let check = |scan: Value, expected: Option<Severity>| {
        let found = evaluated(Decision::Held, container(None, Some(1)), &[(IMAGE, scan.clone())]);
        assert_eq!(found.severity, expected, "{scan}");
    };
    check(blocked(1), Some(Severity::Critical));
    check(status(1, json!({})), None);
    check(unreachable(), None);
    let unrated = json!({"critical": 0, "high": 0, "medium": 0, "low": 0, "negligible": 0, "unknown": 2, "fixable": 0});
    check(status(1, json!({"counts": unrated})), Some(Severity::Unknown));
}

/// What no source rates must not be told with the low rating of something else.
#[test]
fn what_is_held_for_an_unrated_finding_has_no_severity() {
    // As `tidewaiter_core::policy` writes them.
    let unrated = "CVE-1 (unknown: no source rates it, which the policy holds) in p 1, fixed in 2";
    let malware = "MAL-1 (unknown: malware blocks without a rating) in p 1, no fixed version";
    let (low, critical) = ("CVE-2 (low) in p 1, fixed in 2", "CVE-3 (critical) in p 1, fixed in 2");
    let check = |counts: (u32, u32, u32), reasons: &[&str], expected: Option<Severity>| {
        let mut all = self::counts(counts.0);
        (all["low"], all["unknown"]) = (counts.1.into(), counts.2.into());
        let scan = status(
            1,
            json!({"imageStatus": "VulnerabilitiesFound", "counts": all, "reasons": reasons,
            "verdict": "Violated"}),
        );
        let found = evaluated(Decision::Held, container(None, Some(1)), &[(IMAGE, scan)]);
        assert_eq!(found.severity, expected, "{counts:?} {reasons:?}");
    };
    check((0, 1, 1), &[unrated], None);
    check((0, 1, 1), &[low, malware], None);
    check((0, 1, 1), &[low], Some(Severity::Low));
    check((1, 1, 1), &[unrated, critical], Some(Severity::Critical));
}
