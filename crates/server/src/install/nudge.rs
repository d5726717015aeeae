//! Nudges ReplicaSets whose Pods were refused while the server was unreachable: they retry immediately, not after a back-off of
//! minutes.

use crate::context::ServerContext;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::ReplicaSet;
use kube::api::{Patch, PatchParams};
use kube::{Api, ResourceExt as _};
use serde_json::json;
use tidewaiter_crd::names::NUDGED;

/// Changes an annotation of every ReplicaSet in scope that could not create its Pods; any change makes its controller retry.
pub(crate) async fn nudge(ctx: &ServerContext) {
    for set in ctx.index.replica_sets.state_filter(is_failing) {
        let namespace = set.namespace().unwrap_or_default();
        // Elsewhere something else refused its Pods.
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

fn is_failing(set: &ReplicaSet) -> bool {
    let conditions = set.status.iter().flat_map(|s| s.conditions.iter().flatten());
    conditions.into_iter().any(|c| c.type_ == "ReplicaFailure" && c.status == "True")
}
