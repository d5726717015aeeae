//! The ScanExceptions of a namespace: which apply, and what uses them.

use jiff::civil::Date;
use jiff::{Timestamp, ToSpan as _, tz::TimeZone};
use std::collections::BTreeSet;
use std::time::Duration;
use tidewaiter_core::exception::Exception;
use tidewaiter_core::finding::SuppressionStatus;
use tidewaiter_core::pattern::Pattern;
use tidewaiter_core::report::Report;
use tidewaiter_core::target::TargetPattern;
use tidewaiter_crd::exception::{ExceptionState, ScanExceptionSpec, ScanExceptionStatus};
use tidewaiter_crd::{ImageScan, ScanException};

/// What reports name before the name of a ScanException.
const SOURCE: &str = "scanexception/";
/// Images in the status, of which etcd limits the size.
const MAX_USED_BY: usize = 50;
/// Days before its end from which on it is said: a week has a working day.
const ENDING_DAYS: i64 = 7;
/// The longest limit, as in the schema of policies: a hundred years.
const LONGEST_DAYS: u32 = 36_500;

/// Moves the findings that exceptions of its namespace accept out of a report's counts, `now`; none lasts longer than `max_days`
/// of its policy.
pub(crate) fn apply<'a>(
    report: &mut Report,
    all: impl IntoIterator<Item = &'a ScanException>,
    max_days: Option<u32>,
    now: Timestamp,
) {
    let today = day(now);
    let applying: Vec<Exception> = all.into_iter().filter_map(|object| of(object, max_days, today)).collect();
    if !applying.is_empty() {
        tidewaiter_core::exception::apply(report, &applying, today);
    }
}

/// The exception of an object that applies today.
fn of(object: &ScanException, max_days: Option<u32>, today: Date) -> Option<Exception> {
    let spec = &object.spec;
    let approver = spec.approved_by.as_ref()?;
    let end = ExceptionEnd::of(object, max_days);
    if !matches!(state(spec, end, today), ExceptionState::Active | ExceptionState::Ending) {
        return None;
    }
    let (name, until) = (object.metadata.name.as_deref().unwrap_or_default(), end.day?);
    let reason = format!("{} (requested by {}, approved by {approver}, until {until})", spec.reason, spec.requested_by);
    let targets = |texts: &[String]| texts.iter().map(|text| TargetPattern::parse(text)).collect();
    Some(Exception {
        vulnerabilities: spec.vulnerabilities.iter().map(|text| Pattern::from(text.as_str())).collect(),
        packages: targets(&spec.packages),
        images: targets(&spec.images),
        until_fixed: spec.until_fixed,
        expires: Some(until),
        ..Exception::new(SuppressionStatus::Accepted, &reason, &format!("{SOURCE}{name}"))
    })
}

/// When an exception ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct ExceptionEnd {
    /// The first day on which it no longer applies; `None`: it names none, which has passed.
    day: Option<Date>,
    /// Whether policy ends it, before the day it names.
    by_policy: bool,
}

impl ExceptionEnd {
    /// The day that an exception names, or `max_days` after its creation if that is earlier. One without a time of creation has
    /// no day that a limit allows: the API server gives every object one.
    fn of(object: &ScanException, max_days: Option<u32>) -> Self {
        let named = object.spec.expires.parse::<Date>().ok();
        let Some(max_days) = max_days else { return ExceptionEnd { day: named, by_policy: false } };
        let created = object.metadata.creation_timestamp.as_ref().map(|created| day(created.0));
        let limit =
            created.map_or(Date::MIN, |created| created.saturating_add(i64::from(max_days.min(LONGEST_DAYS)).days()));
        ExceptionEnd { day: named.map(|named| named.min(limit)), by_policy: named.is_some_and(|named| limit < named) }
    }
}

/// Whether an exception applies on a day. Fails closed: an admission policy refuses that somebody approves their own, and what
/// is no day has passed.
fn state(spec: &ScanExceptionSpec, end: ExceptionEnd, today: Date) -> ExceptionState {
    let Some(end) = end.day else { return ExceptionState::Expired };
    let approved = spec.approved_by.as_ref().is_some_and(|by| !by.is_empty() && *by != spec.requested_by);
    match () {
        () if end <= today => ExceptionState::Expired,
        () if !approved || spec.vulnerabilities.is_empty() => ExceptionState::Pending,
        () if end <= today.saturating_add(ENDING_DAYS.days()) => ExceptionState::Ending,
        () => ExceptionState::Active,
    }
}

/// The names of the ScanExceptions that some reports use, sorted.
pub(crate) fn used(reports: &[Report]) -> Vec<String> {
    let sources = reports.iter().flat_map(|report| &report.suppressed).map(|suppressed| suppressed.source.as_str());
    let names: BTreeSet<&str> = sources.filter_map(|source| source.strip_prefix(SOURCE)).collect();
    names.into_iter().map(str::to_owned).collect()
}

/// The status of an exception, from the scans of its namespace.
pub(crate) fn status<'a>(
    object: &ScanException,
    scans: impl IntoIterator<Item = &'a ImageScan>,
    max_days: Option<u32>,
    now: Timestamp,
) -> ScanExceptionStatus {
    let name = object.metadata.name.as_deref().unwrap_or_default();
    let uses = |scan: &&ImageScan| scan.status.as_ref().is_some_and(|s| s.exceptions.iter().any(|used| used == name));
    let images: BTreeSet<&str> = scans.into_iter().filter(uses).map(|scan| scan.spec.image.as_str()).collect();
    let used_by = images.into_iter().take(MAX_USED_BY).map(str::to_owned).collect();
    let end = ExceptionEnd::of(object, max_days);
    let ends_by_policy = end.day.filter(|_| end.by_policy).map(|day| day.to_string());
    ScanExceptionStatus { state: state(&object.spec, end, day(now)), ends_by_policy, used_by }
}

/// Pause until the state of some exception may change: exceptions begin and end with days.
pub(crate) fn next_change(now: Timestamp) -> Duration {
    let tomorrow = day(now).saturating_add(1.day()).to_zoned(TimeZone::UTC).map(|midnight| midnight.timestamp());
    let left = tomorrow.map(|midnight| midnight.duration_since(now)).unwrap_or_default();
    Duration::try_from(left).unwrap_or_default().max(Duration::from_secs(1))
}

/// Days are those of UTC, as for every date that policy compares.
fn day(now: Timestamp) -> Date {
    now.to_zoned(TimeZone::UTC).date()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use tidewaiter_core::finding::Finding;
    use tidewaiter_core::image::Digest;
    use tidewaiter_core::report::{DatabaseInfo, ImageInfo, Inventory};
    use tidewaiter_core::severity::Severity;

    fn now() -> Timestamp {
        "2026-06-01T12:00:00Z".parse().unwrap()
    }

    /// An exception for CVE-1 by ann, approved by bob, with these changes.
    fn exception(changes: &Value) -> ScanException {
        let mut spec = json!({"vulnerabilities": ["CVE-1"], "reason": "no input from outside", "expires": "2026-09-01",
            "requestedBy": "ann", "approvedBy": "bob"});
        changes.as_object().unwrap().iter().for_each(|(key, value)| spec[key] = value.clone());
        ScanException::new("e", serde_json::from_value(spec).unwrap())
    }

    /// A report with CVE-1 in `openssl`, fixed, and CVE-2 in `curl`, not fixed.
    fn report() -> Report {
        let finding = |id: &str, package: &str, fixed: &[&str]| Finding {
            vulnerability: id.into(),
            package: package.into(),
            severity: Severity::Critical,
            fixed_versions: fixed.iter().map(|version| (*version).to_owned()).collect(),
            installed: vec![tidewaiter_core::finding::InstalledPackage {
                name: package.into(),
                version: "1".into(),
                purl: format!("pkg:deb/debian/{package}@1"),
                locations: vec![],
            }],
            ..Finding::default()
        };
        let digest = |c: &str| format!("sha256:{}", c.repeat(64)).parse::<Digest>().unwrap();
        let platform = "linux/amd64".parse().unwrap();
        let image = ImageInfo::new("r.example/team/app:v1", digest("a"), digest("b"), platform);
        let inventory = Inventory { image, layers: vec![], os: None, packages: vec![], gaps: vec![] };
        let findings = vec![finding("CVE-1", "openssl", &["2"]), finding("CVE-2", "curl", &[])];
        Report::new(inventory, DatabaseInfo::default(), findings, vec![])
    }

    #[test]
    fn what_is_accepted_does_not_count() {
        let check = |changes: Value, counted: u32| {
            let mut report = report();
            apply(&mut report, [&exception(&changes)], None, now());
            assert_eq!(report.counts.critical, counted, "{changes}");
            assert_eq!(used(&[report]), if counted == 2 { vec![] } else { vec!["e".to_owned()] }, "{changes}");
        };
        check(json!({}), 1);
        check(json!({"vulnerabilities": ["CVE-1", "CVE-2"]}), 0);
        check(json!({"vulnerabilities": ["CVE-*"], "packages": ["curl"]}), 1);
        check(json!({"vulnerabilities": ["CVE-3"]}), 2);
        check(json!({"packages": ["curl"]}), 2);
        check(json!({"images": ["r.example/team/*:*"]}), 1);
        check(json!({"images": ["r.example/other/*"]}), 2);
        // It ends with the fix, which CVE-1 has.
        check(json!({"untilFixed": true}), 2);
        check(json!({"untilFixed": true, "vulnerabilities": ["CVE-2"]}), 1);
        check(json!({"approvedBy": null}), 2);
        check(json!({"approvedBy": "ann"}), 2);
        check(json!({"approvedBy": ""}), 2);
        check(json!({"expires": "2026-06-01"}), 2);
        check(json!({"expires": "soon"}), 2);
    }

    #[test]
    fn the_reason_names_who_and_until_when() {
        let mut report = report();
        apply(&mut report, [&exception(&json!({}))], None, now());
        let suppressed = &report.suppressed[0];
        let reason = "no input from outside (requested by ann, approved by bob, until 2026-09-01)";
        assert_eq!((suppressed.reason.as_str(), suppressed.source.as_str()), (reason, "scanexception/e"));
    }

    #[test]
    fn the_state_of_an_exception() {
        use ExceptionState::{Active, Ending, Expired, Pending};
        let check = |changes: Value, expected: ExceptionState| {
            assert_eq!(status(&exception(&changes), [], None, now()).state, expected, "{changes}");
        };
        check(json!({}), Active);
        check(json!({"approvedBy": null}), Pending);
        check(json!({"approvedBy": "ann"}), Pending);
        check(json!({"vulnerabilities": []}), Pending);
        check(json!({"expires": "2026-06-09"}), Active);
        check(json!({"expires": "2026-06-08"}), Ending);
        check(json!({"expires": "2026-06-02"}), Ending);
        check(json!({"expires": "2026-06-01"}), Expired);
        check(json!({"expires": "2026-06-01", "approvedBy": null}), Expired);
        check(json!({"expires": "2026-13-01"}), Expired);
    }

    /// On 2026-06-01, with an end on 2026-09-01.
    #[test]
    fn no_exception_lasts_longer_than_policy_allows() {
        use ExceptionState::{Active, Ending, Expired};
        let check = |created: &str, max_days: Option<u32>, expected: ExceptionState, by_policy: Option<&str>| {
            let mut object = exception(&json!({}));
            object.metadata.creation_timestamp = serde_json::from_value(json!(created)).unwrap();
            let found = status(&object, [], max_days, now());
            assert_eq!((found.state, found.ends_by_policy.as_deref()), (expected, by_policy), "{created} {max_days:?}");
            // What counts is what its status says.
            let mut report = report();
            apply(&mut report, [&object], max_days, now());
            assert_eq!(report.counts.critical == 1, expected != Expired, "{created} {max_days:?}");
            let reason = report.suppressed.first().map(|suppressed| suppressed.reason.clone()).unwrap_or_default();
            assert_eq!(reason.contains(&format!("until {})", by_policy.unwrap_or("2026-09-01"))), expected != Expired);
        };
        check("2026-05-31T23:00:00Z", None, Active, None);
        check("2026-05-31T23:00:00Z", Some(365), Active, None);
        check("2026-05-31T23:00:00Z", Some(93), Active, None);
        check("2026-05-31T23:00:00Z", Some(92), Active, Some("2026-08-31"));
        check("2026-05-31T23:00:00Z", Some(8), Ending, Some("2026-06-08"));
        check("2026-05-31T23:00:00Z", Some(1), Expired, Some("2026-06-01"));
        // From before there was a limit.
        check("2025-06-01T00:00:00Z", Some(30), Expired, Some("2025-07-01"));
        check("2026-05-31T23:00:00Z", Some(u32::MAX), Active, None);
    }

    #[test]
    fn what_has_no_time_of_creation_outlives_no_limit() {
        let found = |max_days: Option<u32>| status(&exception(&json!({})), [], max_days, now()).state;
        assert_eq!((found(None), found(Some(30))), (ExceptionState::Active, ExceptionState::Expired));
    }

    #[test]
    fn who_uses_an_exception() {
        let scan = |image: &str, used: &[&str]| -> ImageScan {
            serde_json::from_value(json!({"apiVersion": "tidewaiter.dev/v1alpha1", "kind": "ImageScan", "metadata": {},
                "spec": {"image": image}, "status": {"imageStatus": "NoVulnerabilities", "exceptions": used}}))
            .unwrap()
        };
        let scans = [scan("b", &["e"]), scan("a", &["e", "f"]), scan("c", &["f"]), scan("d", &[])];
        let found = status(&exception(&json!({})), &scans, None, now());
        let used_by = vec!["a".to_owned(), "b".to_owned()];
        assert_eq!(found, ScanExceptionStatus { state: ExceptionState::Active, ends_by_policy: None, used_by });
    }

    #[test]
    fn days_end_at_midnight() {
        let check = |now: &str, seconds: u64| assert_eq!(next_change(now.parse().unwrap()).as_secs(), seconds, "{now}");
        check("2026-06-01T12:00:00Z", 12 * 3600);
        check("2026-06-01T00:00:00Z", 24 * 3600);
        check("2026-06-01T23:59:59.5Z", 1);
    }
}
