//! Whether what was released has started: for workloads whose controllers tell no rollout, by their Pods.
//!
//! Pods are not watched (a cluster has many, and only gated ones wait for the server), so they are listed while a workload
//! is on its way, ever more rarely, and never again once it has arrived.

use super::Owner;
use super::record::Record;
use crate::context::Context;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use kube::{Api, ResourceExt as _};
use std::time::Duration;
use tidewaiter_core::status::{DeploymentStatus, RolloutProgress};
use tidewaiter_crd::workload_scan::Decision;

/// The first looks; the later ones come at a quarter of the time that has passed.
const SOON: Duration = Duration::from_secs(1);
/// No look comes later.
const LATE: Duration = Duration::from_secs(60);

/// How far a released workload is, and when to look again.
pub(super) async fn look(
    ctx: &Context,
    owner: &Owner,
    record: &Record,
    decision: Decision,
) -> Result<(RolloutProgress, Option<Duration>), kube::Error> {
    // What is retained ran before, and what arrived once has arrived.
    if decision != Decision::Approved || record.draft.deployment_status == DeploymentStatus::Deployed {
        return Ok((RolloutProgress::Complete, None));
    }
    let api: Api<Pod> = Api::namespaced(ctx.client.clone(), &owner.namespace);
    // As the API server's cache has it: a look that comes too early is repeated.
    let all = api.list(&ListParams::default().match_any()).await?;
    let rollout = of(all.iter().filter(|pod| is_of(pod, &owner.uid)));
    let last = record.draft.transitions.last().and_then(|t| t.time.parse::<Timestamp>().ok());
    let since = last.map_or(Duration::ZERO, |t| Timestamp::now().duration_since(t).unsigned_abs());
    Ok((rollout, (rollout == RolloutProgress::Running).then(|| (since / 4).clamp(SOON, LATE))))
}

/// A bare Pod is its own workload.
fn is_of(pod: &Pod, uid: &str) -> bool {
    pod.uid().as_deref() == Some(uid) || pod.owner_references().iter().any(|owner| owner.uid == uid)
}

/// On its way while any Pod has not started; with none left, it has run.
fn of<'a>(pods: impl Iterator<Item = &'a Pod>) -> RolloutProgress {
    let waits = |pod: &Pod| pod.status.as_ref().and_then(|s| s.phase.as_deref()).is_none_or(|phase| phase == "Pending");
    let waiting = pods.filter(|pod| pod.metadata.deletion_timestamp.is_none()).any(waits);
    if waiting { RolloutProgress::Running } else { RolloutProgress::Complete }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_workload_has_arrived_when_no_pod_of_it_waits() {
        let check = |pods: &[(&str, &str)], expected: RolloutProgress| {
            let pod = |(uid, phase): &(&str, &str)| -> Pod {
                let owner = json!([{"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "s", "uid": uid}]);
                serde_json::from_value(json!({"metadata": {"ownerReferences": owner}, "status": {"phase": phase}}))
                    .unwrap()
            };
            let pods: Vec<Pod> = pods.iter().map(pod).collect();
            assert_eq!(of(pods.iter().filter(|pod| is_of(pod, "a"))), expected, "{pods:?}");
        };
        check(&[("a", "Pending")], RolloutProgress::Running);
        check(&[("a", "Running"), ("a", "Pending")], RolloutProgress::Running);
        check(&[("a", "Running"), ("b", "Pending")], RolloutProgress::Complete);
        check(&[("a", "Succeeded"), ("a", "Failed")], RolloutProgress::Complete);
        check(&[], RolloutProgress::Complete);
    }
}
