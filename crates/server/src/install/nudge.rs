//! After the server was away: ReplicaSets whose Pods were refused try again at once, not after minutes of back-off.

use crate::context::Context;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::ReplicaSet;
use kube::api::{Patch, PatchParams};
use kube::{Api, ResourceExt as _};
use serde_json::json;

/// Annotation whose change makes a controller look again; it means nothing else.
pub(super) const NUDGED: &str = "tidewaiter.dev/nudged";

/// Touches every ReplicaSet in scope that could not make its Pods.
pub(crate) async fn nudge(ctx: &Context) {
    let failing = |set: &ReplicaSet| {
        let conditions = set.status.iter().flat_map(|s| s.conditions.iter().flatten());
        conditions.into_iter().any(|c| c.type_ == "ReplicaFailure" && c.status == "True")
    };
    for set in ctx.index.replica_sets.state_filter(failing) {
        let namespace = set.namespace().unwrap_or_default();
        if !ctx.in_scope(&namespace) {
            continue;
        }
        let api: Api<ReplicaSet> = Api::namespaced(ctx.client.clone(), &namespace);
        let patch = json!({"metadata": {"annotations": {NUDGED: Timestamp::now().to_string()}}});
        if let Err(e) = api.patch(&set.name_any(), &PatchParams::default(), &Patch::Merge(patch)).await {
            tracing::warn!("ReplicaSet {namespace}/{} was not nudged: {e}", set.name_any());
        }
    }
}
