//! `tidewaiter uninstall`: removes everything. Bindings first, so that nothing is refused any more; then gates and holds; the
//! custom resources, the roles and the namespace last. Runs with an administrator's kubeconfig, or, where it releases only, with
//! the account of the chart's hook.

use super::stop::stop_server;
use super::{gate, manifests, reports};
use crate::controllers::disown::disown;
use crate::decide::holdable::Holdable;
use crate::decide::job::cron_job_of;
use crate::decide::marks::{annotation, metadata_path};
use crate::decide::pod::{is_gated, ungate_patch};
use crate::decide::rollout::is_marked;
use crate::patches;
use anyhow::{Context as _, Result, bail};
use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
};
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod, Secret};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use kube::core::NamespaceResourceScope;
use kube::{Api, Client, Resource, ResourceExt as _};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::fmt::Debug;
use std::time::Duration;
use tidewaiter_crd::WorkloadScan;
use tidewaiter_crd::names::{
    CA_SECRET, CLUSTER_ROLES, CONDITION, ENFORCED, GATED, HELD, IN_FORCE_PROBE, LEASE, NAMESPACE, NUDGED, REPORTS_ROLE,
    USER_PAUSE, WEBHOOKS,
};

/// Looks whether a definition is gone: a minute.
const DELETED_ATTEMPTS: u32 = 120;
/// Attempts while the API server still enforces a deleted policy: half a minute.
const UNGATE_ATTEMPTS: u32 = 60;
/// Pause between two attempts.
const PAUSE: Duration = Duration::from_millis(500);

/// Removes tidewaiter from the cluster; every workload continues to run.
///
/// # Errors
/// When a step fails; running it again continues where it stopped.
pub(crate) async fn run(client: Client) -> Result<()> {
    release_all(&client).await?;
    for crd in tidewaiter_crd::all() {
        delete::<CustomResourceDefinition>(&client, &crd.name_any()).await?;
    }
    for crd in tidewaiter_crd::all() {
        deleted::<CustomResourceDefinition>(&client, &crd.name_any()).await?;
    }
    // The API server went on gating for a moment after its policies were deleted.
    remove_gates(&client).await?;
    for binding in [CLUSTER_ROLES[0], REPORTS_ROLE] {
        delete::<ClusterRoleBinding>(&client, binding).await?;
    }
    for role in CLUSTER_ROLES.into_iter().chain([REPORTS_ROLE]) {
        delete::<ClusterRole>(&client, role).await?;
    }
    delete::<Namespace>(&client, NAMESPACE).await?;
    tracing::info!("done: nothing of tidewaiter is left but the namespace {NAMESPACE}, which the cluster is deleting");
    Ok(())
}

/// Removes what the server made and releases what it holds, and leaves the objects of the manifests.
///
/// # Errors
/// When a step fails; running it again continues where it stopped.
pub(crate) async fn run_release(client: Client) -> Result<()> {
    release_all(&client).await?;
    // Once more: the API server went on gating for a moment after its policies were deleted.
    remove_gates(&client).await?;
    delete_in::<Secret>(&Api::namespaced(client.clone(), NAMESPACE), CA_SECRET).await?;
    delete_in::<Lease>(&Api::namespaced(client.clone(), NAMESPACE), LEASE).await?;
    for name in [ENFORCED, IN_FORCE_PROBE] {
        delete_in::<ConfigMap>(&Api::namespaced(client.clone(), NAMESPACE), name).await?;
    }
    tracing::info!("done: nothing is held, and no request is refused any more");
    Ok(())
}

/// Stops the server; then nothing is refused any more, and nothing held.
async fn release_all(client: &Client) -> Result<()> {
    stop_server(client).await?;
    delete_gate(client).await?;
    for name in manifests::POLICIES {
        delete::<ValidatingAdmissionPolicyBinding>(client, name).await?;
        delete::<ValidatingAdmissionPolicy>(client, name).await?;
    }
    delete::<MutatingWebhookConfiguration>(client, WEBHOOKS).await?;
    remove_gates(client).await?;
    release_holds(client).await?;
    reports::remove_all(client).await?;
    remove_marks(client).await
}

async fn delete<K>(client: &Client, name: &str) -> Result<()>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug,
{
    delete_in::<K>(&Api::all(client.clone()), name).await
}

async fn delete_in<K>(api: &Api<K>, name: &str) -> Result<()>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug,
{
    match api.delete(name, &DeleteParams::default()).await {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        other => {
            other.with_context(|| format!("deleting {} {name}", K::kind(&())))?;
            tracing::info!("deleted {} {name}", K::kind(&()));
            Ok(())
        }
    }
}

/// Deletes the gate in the API server. One that has no such kinds answers as if the objects were not there.
async fn delete_gate(client: &Client) -> Result<()> {
    for kind in gate::KINDS {
        for name in gate::GATES {
            match gate::api(client, kind).delete(name, &DeleteParams::default()).await {
                Err(kube::Error::Api(status)) if status.code == 404 => {}
                other => {
                    other.with_context(|| format!("deleting {} {name}", kind.0))?;
                    tracing::info!("deleted {} {name}", kind.0);
                }
            }
        }
    }
    Ok(())
}

/// Waits until an object is deleted: a definition remains until all of its custom resources are deleted.
async fn deleted<K>(client: &Client, name: &str) -> Result<()>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug,
{
    for _ in 0..DELETED_ATTEMPTS {
        if Api::<K>::all(client.clone()).get_opt(name).await?.is_none() {
            return Ok(());
        }
        tokio::time::sleep(PAUSE).await;
    }
    bail!("{} {name} is not deleted; see its finalizers, then run this again", K::kind(&()))
}

async fn remove_gates(client: &Client) -> Result<()> {
    let all: Api<Pod> = Api::all(client.clone());
    for pod in all.list(&ListParams::default().labels(GATED)).await? {
        if !is_gated(&pod) {
            continue;
        }
        remove_gate(client, &pod).await?;
    }
    Ok(())
}

/// Removes a gate. The API server enforces a deleted policy for a moment longer, and refuses the removal until then.
async fn remove_gate(client: &Client, pod: &Pod) -> Result<()> {
    let api: Api<Pod> = Api::namespaced(client.clone(), &pod.namespace().unwrap_or_default());
    for _ in 0..UNGATE_ATTEMPTS {
        match patches::object(&api, &pod.name_any(), ungate_patch(pod)).await {
            Err(kube::Error::Api(status)) if status.message.contains(manifests::SHAPE) => {
                tokio::time::sleep(PAUSE).await;
            }
            Err(kube::Error::Api(status)) if status.code == 404 => return Ok(()),
            other => return other.map(drop).with_context(|| format!("releasing pod {}", pod.name_any())),
        }
    }
    bail!("pod {} cannot be released, although the policies are deleted; run this again", pod.name_any())
}

/// Removes what was for display only: conditions, and marks on ReplicaSets.
async fn remove_marks(client: &Client) -> Result<()> {
    let deployments: Api<Deployment> = Api::all(client.clone());
    for deployment in deployments.list(&ListParams::default()).await? {
        let conditions = deployment.status.iter().flat_map(|s| s.conditions.iter().flatten());
        if conditions.into_iter().any(|c| c.type_ == CONDITION) {
            let api: Api<Deployment> = Api::namespaced(client.clone(), &deployment.namespace().unwrap_or_default());
            let patch = json!({"status": {"conditions": [{"type": CONDITION, "$patch": "delete"}]}});
            ignore_deleted(
                api.patch_status(&deployment.name_any(), &PatchParams::default(), &Patch::Strategic(patch)).await,
            )?;
        }
    }
    let sets: Api<ReplicaSet> = Api::all(client.clone());
    // The Deployment controller copies its Deployment's annotations to each ReplicaSet that it creates or scales.
    let marks = [NUDGED, HELD, USER_PAUSE];
    let marked = |set: &&ReplicaSet| marks.iter().any(|mark| set.annotations().contains_key(*mark));
    for set in sets.list(&ListParams::default()).await?.iter().filter(marked) {
        let api: Api<ReplicaSet> = Api::namespaced(client.clone(), &set.namespace().unwrap_or_default());
        let patch = json!({"metadata": {"annotations": {NUDGED: null, HELD: null, USER_PAUSE: null}}});
        ignore_deleted(api.patch(&set.name_any(), &PatchParams::default(), &Patch::Merge(patch)).await)?;
    }
    Ok(())
}

fn ignore_deleted<K>(answer: kube::Result<K>) -> Result<()> {
    match answer {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        other => other.map(drop).context("removing conditions and annotations"),
    }
}

/// Ends the pauses that are the server's: according to the records, or where they are gone, to the marks of a hold.
async fn release_holds(client: &Client) -> Result<()> {
    let records: Api<WorkloadScan> = Api::all(client.clone());
    let ours = |w: &WorkloadScan| w.status.as_ref().is_some_and(|s| s.paused_by_server).then(|| w.spec.uid.clone());
    let recorded: Option<Vec<String>> = match records.list(&ListParams::default()).await {
        // The custom resources were deleted first, as by `kubectl delete -f deploy/`.
        Err(kube::Error::Api(status)) if status.code == 404 => None,
        other => Some(other.context("listing the records")?.iter().filter_map(ours).collect()),
    };
    release_kind::<Deployment>(client, recorded.as_deref()).await?;
    release_kind::<Job>(client, recorded.as_deref()).await?;
    release_kind::<CronJob>(client, recorded.as_deref()).await
}

async fn release_kind<K>(client: &Client, recorded: Option<&[String]>) -> Result<()>
where
    K: Holdable + MarkedKind + Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    K: Clone + DeserializeOwned + Debug,
{
    for object in Api::<K>::all(client.clone()).list(&ListParams::default()).await? {
        let patch = release_hold(&object, recorded);
        if !patch.is_empty() {
            let api: Api<K> = Api::namespaced(client.clone(), &object.namespace().unwrap_or_default());
            ignore_deleted(release(&api, &object.name_any(), patch).await)?;
        }
    }
    Ok(())
}

/// Applies a release and gives up its fields: `suspend: false` would else conflict with whoever applies `suspend: true`.
async fn release<K>(api: &Api<K>, name: &str, patch: Vec<Value>) -> kube::Result<K>
where
    K: Holdable + Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug,
{
    let written = patches::object(api, name, patch).await?;
    disown(api, written).await
}

/// Ends the server's pause of a workload and removes its marks; `recorded` are the UIDs of those that it paused.
fn release_hold<K: Holdable + MarkedKind>(object: &K, recorded: Option<&[String]>) -> Vec<Value> {
    let ours = match recorded {
        Some(uids) => {
            object.metadata().uid.as_ref().is_some_and(|uid| uids.contains(uid)) || object.is_unrecorded_run()
        }
        None => object.shows_hold(),
    };
    let mut patch: Vec<Value> = Vec::new();
    if object.paused() && ours {
        patch.push(K::unpause());
    }
    for key in [HELD, USER_PAUSE] {
        if annotation(object.metadata(), key) {
            patch.push(json!({"op": "remove", "path": metadata_path("annotations", key)}));
        }
    }
    patch
}

/// What the marks of a hold are on each kind.
trait MarkedKind: Holdable {
    /// Whether an object shows a hold, where no record says so.
    fn shows_hold(&self) -> bool {
        is_marked(self)
    }

    /// Whether it has no record because it is a run of a CronJob, and shows a hold.
    fn is_unrecorded_run(&self) -> bool {
        false
    }
}

impl MarkedKind for Deployment {
    /// Both marks: a manifest that was copied from a held Deployment has the annotation, and a user's own pause is marked as
    /// such.
    fn shows_hold(&self) -> bool {
        let conditions = self.status.iter().flat_map(|s| s.conditions.iter().flatten());
        conditions.into_iter().any(|c| c.type_ == CONDITION && c.status != "True") && is_marked(self)
    }
}

impl MarkedKind for CronJob {}

impl MarkedKind for Job {
    fn is_unrecorded_run(&self) -> bool {
        cron_job_of(self).is_some() && is_marked(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hold_is_released_by_its_record_or_by_its_marks() {
        let deployment = |paused: bool, marks: &[&str], condition: Option<&str>| -> Deployment {
            let marks: serde_json::Map<String, Value> = marks.iter().map(|m| ((*m).to_owned(), json!("h"))).collect();
            let conditions: Vec<Value> =
                condition.iter().map(|status| json!({"type": CONDITION, "status": status})).collect();
            serde_json::from_value(json!({"metadata": {"name": "d", "uid": "u", "annotations": marks},
                "spec": {"paused": paused, "selector": {}, "template": {}}, "status": {"conditions": conditions}}))
            .unwrap()
        };
        let check = |deployment: Deployment, recorded: Option<&[&str]>, expected: &[&str]| {
            let recorded: Option<Vec<String>> = recorded.map(|uids| uids.iter().map(|u| (*u).to_owned()).collect());
            let patch = release_hold(&deployment, recorded.as_deref());
            let removed: Vec<&str> =
                patch.iter().map(|op| op["path"].as_str().unwrap().rsplit('/').next().unwrap()).collect();
            assert_eq!(removed, expected, "{deployment:?} {recorded:?}");
        };
        let (held, user) = ("tidewaiter.dev~1held-for", "tidewaiter.dev~1user-pause");
        // By the record.
        check(deployment(true, &[HELD], None), Some(&["u"]), &["paused", held]);
        check(deployment(true, &[HELD], Some("False")), Some(&["other"]), &[held]);
        check(deployment(false, &[], None), Some(&["u"]), &[]);
        check(deployment(true, &[], None), Some(&[]), &[]);
        // By the marks.
        check(deployment(true, &[HELD], Some("False")), None, &["paused", held]);
        check(deployment(true, &[HELD], Some("Unknown")), None, &["paused", held]);
        check(deployment(true, &[HELD, USER_PAUSE], Some("False")), None, &[held, user]);
        check(deployment(true, &[HELD], None), None, &[held]);
        check(deployment(true, &[HELD], Some("True")), None, &[held]);
        check(deployment(true, &[], Some("False")), None, &[]);
        check(deployment(false, &[HELD], Some("False")), None, &[held]);
    }
}
