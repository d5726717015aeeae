//! The controller of gated Pods: finds the workload, waits for its decision, pins and releases.

use crate::admission::images;
use crate::admission::pod::{is_gated, pin, strip};
use crate::admission::revisions::{self, Use};
use crate::allowlist;
use crate::context::Context;
use crate::patches;
use crate::workload::decide::revise;
use crate::workload::display::{self, Change};
use crate::workload::evaluate::{evaluate, request_scans};
use crate::workload::record::Record;
use crate::workload::{Error, Owner, approval};
use k8s_openapi::api::core::v1::{Pod, PodSpec};
use kube::runtime::controller::Action;
use kube::{Api, ResourceExt as _};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tidewaiter_core::status::{RolloutProgress, derive};

/// A Pod whose ReplicaSet is not known yet is looked at again this soon.
const SOON: Duration = Duration::from_millis(200);

/// Who a Pod belongs to.
#[derive(Debug, Clone)]
pub(crate) enum Belongs {
    /// To a Deployment's template.
    Deployment { owner: Owner, hash: String },
    /// To anything else; a bare Pod belongs to itself.
    Other(Owner),
    /// To a ReplicaSet that the watch has not brought yet.
    Unknown,
}

/// Finds out who a Pod belongs to. References are believed only where the object they name says the same by UID.
pub(crate) fn belongs(pod: &Pod, namespace: &str, ctx: &Context) -> Belongs {
    // No controller makes Pods for a Deployment itself: such a reference is somebody's claim, and gains nothing.
    let controller = pod.owner_references().iter().find(|o| o.controller == Some(true));
    let Some(reference) = controller.filter(|o| o.kind != "Deployment") else {
        return Belongs::Other(Owner {
            namespace: namespace.to_owned(),
            api_version: "v1".to_owned(),
            kind: "Pod".to_owned(),
            name: pod.name_any(),
            uid: pod.uid().unwrap_or_default(),
        });
    };
    let owner = |api_version: &str, kind: &str, name: &str, uid: &str| Owner {
        namespace: namespace.to_owned(),
        api_version: api_version.to_owned(),
        kind: kind.to_owned(),
        name: name.to_owned(),
        uid: uid.to_owned(),
    };
    if reference.kind == "ReplicaSet" && reference.api_version.starts_with("apps/") {
        if let Some(rollout) = ctx.index.rollout(namespace, &reference.name, &reference.uid) {
            let deployment = owner("apps/v1", "Deployment", &rollout.deployment, &rollout.uid);
            return Belongs::Deployment { owner: deployment, hash: rollout.hash };
        }
        let key = kube::runtime::reflector::ObjectRef::new(&reference.name).within(namespace);
        if ctx.index.replica_sets.get(&key).is_none_or(|set| set.uid().as_ref() != Some(&reference.uid)) {
            return Belongs::Unknown;
        }
    }
    Belongs::Other(owner(&reference.api_version, &reference.kind, &reference.name, &reference.uid))
}

/// What a Pod may run at once, for admission.
pub(crate) fn pins(pod: &Pod, namespace: &str, ctx: &Context) -> Option<BTreeMap<String, String>> {
    let wanted = images::of(pod.spec.as_ref()?);
    let own = images::images_hash(&wanted);
    let (owner, hash) = match belongs(pod, namespace, ctx) {
        Belongs::Deployment { owner, hash } => (owner, hash),
        Belongs::Other(owner) => (owner, own.clone()),
        Belongs::Unknown => return None,
    };
    let workload = ctx.index.workload(namespace, &owner.kind, &owner.name, &owner.uid)?;
    let status = workload.status.as_ref()?;
    revisions::pins(status, &hash, &wanted, Use::Pod).or_else(|| revisions::pins(status, &own, &wanted, Use::Pod))
}

/// Looks at one gated Pod.
pub(crate) async fn reconcile(pod: Arc<Pod>, ctx: Arc<Context>) -> Result<Action, Error> {
    let namespace = pod.namespace().unwrap_or_default();
    let Some(spec) = pod.spec.as_ref().filter(|_| pod.metadata.deletion_timestamp.is_none() && is_gated(&pod)) else {
        return Ok(Action::await_change());
    };
    let outcome = if !ctx.enforced(&namespace) {
        release(&pod, &BTreeMap::new(), &ctx).await
    } else if let Some(pins) = pins(&pod, &namespace, &ctx) {
        release(&pod, &pins, &ctx).await
    } else {
        wait(&pod, spec, &namespace, &ctx).await
    };
    match outcome {
        Err(error) if error.is_gone() => Ok(Action::await_change()),
        other => other,
    }
}

/// Brings the decision about forward that the Pod waits for.
async fn wait(pod: &Pod, spec: &PodSpec, namespace: &str, ctx: &Context) -> Result<Action, Error> {
    let wanted = images::of(spec);
    match belongs(pod, namespace, ctx) {
        Belongs::Unknown => Ok(Action::requeue(SOON)),
        Belongs::Deployment { owner, hash } => {
            let workload = ctx.index.workload(namespace, &owner.kind, &owner.name, &owner.uid);
            let revision = workload.as_ref().and_then(|w| w.status.as_ref()?.revisions.get(&hash));
            // Containers that something put in beside the template's are judged with the Pod.
            let injected =
                revision.is_some_and(|r| wanted.iter().any(|(n, i)| r.containers.get(n).is_none_or(|c| c.image != *i)));
            if injected {
                return decide(&owner, &wanted, spec, ctx, Shows::Nothing).await;
            }
            Ok(Action::await_change())
        }
        Belongs::Other(owner) => decide(&owner, &wanted, spec, ctx, Shows::Statuses).await,
    }
}

/// Whether a Pod's decision is its workload's state too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shows {
    /// It is: nothing else decides about the workload.
    Statuses,
    /// The Deployment controller shows the workload's state.
    Nothing,
}

async fn decide(
    owner: &Owner,
    wanted: &BTreeMap<String, String>,
    spec: &PodSpec,
    ctx: &Context,
    shows: Shows,
) -> Result<Action, Error> {
    let hash = images::images_hash(wanted);
    let mut record = Record::open(ctx, owner).await?;
    let mut revision = record.revision(&hash, wanted).clone();
    request_scans(ctx, &owner.namespace, &mut revision, spec).await?;
    let seen = evaluate(ctx, &owner.namespace, &revision, &record.draft);
    let word = approval(ctx, owner, &seen.pins);
    // Released is not started; the workload's own controller sees to that.
    let status = derive(&seen.facts, word, RolloutProgress::Running);
    let approved = revise(&mut revision, &seen, word, true);
    record.draft.revisions.insert(hash.clone(), revision);
    if shows == Shows::Statuses {
        record.draft.current = Some(hash.clone());
        let change = Change { owner, hash: &hash, seen: &seen, status, lost: false };
        display::apply(ctx, &mut record, &change).await?;
    }
    record.save(ctx).await?;
    if approved {
        ctx.approvals.note(&owner.namespace);
        allowlist::update(ctx, &owner.namespace).await?;
    }
    // The record's own change brings the Pod back.
    Ok(Action::await_change())
}

/// Pins the images and removes gate and label, in one patch that tests what was read.
async fn release(pod: &Pod, pins: &BTreeMap<String, String>, ctx: &Context) -> Result<Action, Error> {
    let mut patch: Vec<Value> =
        vec![json!({"op": "test", "path": "/metadata/resourceVersion", "value": pod.resource_version()})];
    let places = pod.spec.as_ref().map(images::places).unwrap_or_default();
    patch.extend(places.iter().map(|(path, _, image)| json!({"op": "test", "path": path, "value": image})));
    let gates = pod.spec.as_ref().and_then(|s| s.scheduling_gates.clone()).unwrap_or_default();
    patch.push(json!({"op": "test", "path": "/spec/schedulingGates", "value": gates}));
    // Volumes cannot be changed any more: they name a digest, or they were refused.
    let pinned = pin(pod, pins);
    patch.extend(
        pinned.into_iter().filter(|op| op["path"].as_str().is_some_and(|path| !path.starts_with(images::VOLUMES))),
    );
    patch.extend(strip(pod));
    let api: Api<Pod> = Api::namespaced(ctx.client.clone(), &pod.namespace().unwrap_or_default());
    patches::object(&api, &pod.name_any(), patch).await?;
    Ok(Action::await_change())
}
