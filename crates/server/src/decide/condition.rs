//! When a Deployment's condition is written. Each write is a request, and wakes the controller of Deployments, whose own writes
//! it makes fail.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::DeploymentCondition;
use std::time::Duration;
use tidewaiter_core::status::{DeploymentStatus, ImageStatus};
use tidewaiter_crd::ObjectTime;
use tidewaiter_crd::condition;
use tidewaiter_crd::workload_scan::WorkloadScanStatus;

/// How long a state that leads to another one by itself lasts before the condition has it: most scans and rollouts are over
/// by then.
const PASSING: SignedDuration = SignedDuration::from_secs(2);

/// How long the condition may still say what it says: `None` where it says what the record does, or where nothing is known yet
/// and it says nothing.
pub(crate) fn due_after(
    record: &WorkloadScanStatus,
    published: Option<&DeploymentCondition>,
    now: Timestamp,
) -> Option<Duration> {
    let is_unknown = record.image_status == ImageStatus::NotScanned;
    if published.map_or(is_unknown, |published| says(published, record)) {
        return None;
    }
    let since = record.transitions.last().and_then(|transition| ObjectTime::timestamp(&transition.time));
    let age = since.map_or(PASSING, |since| now.duration_since(since));
    let left = match record.deployment_status {
        DeploymentStatus::Created | DeploymentStatus::RollingOut => PASSING - age,
        // Somebody must act, or waits for the end.
        _ => SignedDuration::ZERO,
    };
    // A clock that was set back must not keep it for long.
    Some(Duration::try_from(left.min(PASSING)).unwrap_or_default())
}

/// The condition's status, by what the record says of the images.
pub(crate) fn state(record: &WorkloadScanStatus) -> &'static str {
    condition::status(record.image_status, record.image_status == ImageStatus::Approved)
}

fn says(published: &DeploymentCondition, record: &WorkloadScanStatus) -> bool {
    let reason = record.image_status.to_string();
    published.status == state(record)
        && published.reason.as_ref() == Some(&reason)
        && published.message.as_ref() == Some(&record.message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::fixtures::now;
    use tidewaiter_crd::workload_scan::Transition;

    fn record(image_status: ImageStatus, deployment_status: DeploymentStatus, age: i64) -> WorkloadScanStatus {
        let time = (now() - SignedDuration::from_secs(age)).into();
        let transitions = vec![Transition { time, image_status, deployment_status }];
        let message = "m".to_owned();
        WorkloadScanStatus { image_status, deployment_status, message, transitions, ..WorkloadScanStatus::default() }
    }

    fn saying(reason: &str, message: &str) -> DeploymentCondition {
        DeploymentCondition {
            status: "True".to_owned(),
            reason: Some(reason.to_owned()),
            message: Some(message.to_owned()),
            ..DeploymentCondition::default()
        }
    }

    #[test]
    fn a_condition_waits_for_what_lasts() {
        use DeploymentStatus::{Blocked, Created, Deployed, PendingApproval, RollingOut};
        use ImageStatus::{Approved, NoVulnerabilities, NotScanned, Scanning, VulnerabilitiesFound};
        let check = |image, deployment, age: i64, published: Option<(&str, &str)>, expected: Option<u64>| {
            let published = published.map(|(reason, message)| saying(reason, message));
            let due = due_after(&record(image, deployment, age), published.as_ref(), now());
            assert_eq!(due, expected.map(Duration::from_secs), "{image} {deployment} {age} {published:?}");
        };
        // Nothing is known yet. What an earlier template had must not stand for this one.
        check(NotScanned, Created, 0, None, None);
        check(NotScanned, Created, 60, None, None);
        check(NotScanned, Created, 0, Some(("Approved", "m")), Some(2));
        check(NotScanned, Created, 60, Some(("Approved", "m")), Some(0));
        // What passes.
        check(Scanning, Created, 0, None, Some(2));
        check(Scanning, Created, 2, None, Some(0));
        check(Approved, RollingOut, 0, None, Some(2));
        check(Approved, RollingOut, 1, None, Some(1));
        check(Approved, RollingOut, 600, None, Some(0));
        check(Approved, RollingOut, -600, None, Some(2));
        // What lasts, or wants somebody to act.
        check(Approved, Deployed, 0, None, Some(0));
        check(VulnerabilitiesFound, Blocked, 0, None, Some(0));
        check(NoVulnerabilities, PendingApproval, 0, None, Some(0));
        check(VulnerabilitiesFound, Deployed, 0, Some(("Approved", "m")), Some(0));
        // It says so, or something else about the same.
        check(Approved, Deployed, 0, Some(("Approved", "m")), None);
        check(Approved, Deployed, 0, Some(("Approved", "other")), Some(0));
        check(Approved, RollingOut, 0, Some(("Approved", "m")), None);
    }
}
