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

/// Moves the findings that exceptions of its namespace accept out of a report's counts, `now`.
pub(crate) fn apply<'a>(report: &mut Report, all: impl IntoIterator<Item = &'a ScanException>, now: Timestamp) {
    let today = day(now);
    let applying: Vec<Exception> = all.into_iter().filter_map(|object| of(object, today)).collect();
    if !applying.is_empty() {
        tidewaiter_core::exception::apply(report, &applying, today);
    }
}

/// The exception of an object that applies today.
fn of(object: &ScanException, today: Date) -> Option<Exception> {
    let spec = &object.spec;
    let approver = spec.approved_by.as_ref()?;
    if !matches!(state(spec, today), ExceptionState::Active | ExceptionState::Ending) {
        return None;
    }
    let name = object.metadata.name.as_deref().unwrap_or_default();
    let reason =
        format!("{} (requested by {}, approved by {approver}, until {})", spec.reason, spec.requested_by, spec.expires);
    let targets = |texts: &[String]| texts.iter().map(|text| TargetPattern::parse(text)).collect();
    Some(Exception {
        vulnerabilities: spec.vulnerabilities.iter().map(|text| Pattern::from(text.as_str())).collect(),
        packages: targets(&spec.packages),
        images: targets(&spec.images),
        until_fixed: spec.until_fixed,
        expires: spec.expires.parse().ok(),
        ..Exception::new(SuppressionStatus::Accepted, &reason, &format!("{SOURCE}{name}"))
    })
}

/// Whether an exception applies on a day. Fails closed: an admission policy refuses that somebody approves their own, and what
/// is no day has passed.
pub(crate) fn state(spec: &ScanExceptionSpec, today: Date) -> ExceptionState {
    let Ok(end) = spec.expires.parse::<Date>() else { return ExceptionState::Expired };
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
    now: Timestamp,
) -> ScanExceptionStatus {
    let name = object.metadata.name.as_deref().unwrap_or_default();
    let uses = |scan: &&ImageScan| scan.status.as_ref().is_some_and(|s| s.exceptions.iter().any(|used| used == name));
    let images: BTreeSet<&str> = scans.into_iter().filter(uses).map(|scan| scan.spec.image.as_str()).collect();
    let used_by = images.into_iter().take(MAX_USED_BY).map(str::to_owned).collect();
    ScanExceptionStatus { state: state(&object.spec, day(now)), used_by }
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
            apply(&mut report, [&exception(&changes)], now());
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
        apply(&mut report, [&exception(&json!({}))], now());
        let suppressed = &report.suppressed[0];
        let reason = "no input from outside (requested by ann, approved by bob, until 2026-09-01)";
        assert_eq!((suppressed.reason.as_str(), suppressed.source.as_str()), (reason, "scanexception/e"));
    }

    #[test]
    fn the_state_of_an_exception() {
        use ExceptionState::{Active, Ending, Expired, Pending};
        let check = |changes: Value, expected: ExceptionState| {
            assert_eq!(state(&exception(&changes).spec, day(now())), expected, "{changes}");
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

    #[test]
    fn who_uses_an_exception() {
        let scan = |image: &str, used: &[&str]| -> ImageScan {
            serde_json::from_value(json!({"apiVersion": "tidewaiter.dev/v1alpha1", "kind": "ImageScan", "metadata": {},
                "spec": {"image": image}, "status": {"imageStatus": "NoVulnerabilities", "exceptions": used}}))
            .unwrap()
        };
        let scans = [scan("b", &["e"]), scan("a", &["e", "f"]), scan("c", &["f"]), scan("d", &[])];
        let found = status(&exception(&json!({})), &scans, now());
        assert_eq!(found, ScanExceptionStatus { state: ExceptionState::Active, used_by: vec!["a".into(), "b".into()] });
    }

    #[test]
    fn days_end_at_midnight() {
        let check = |now: &str, seconds: u64| assert_eq!(next_change(now.parse().unwrap()).as_secs(), seconds, "{now}");
        check("2026-06-01T12:00:00Z", 12 * 3600);
        check("2026-06-01T00:00:00Z", 24 * 3600);
        check("2026-06-01T23:59:59.5Z", 1);
    }
}
