//! The WorkloadScan of a workload: opened, changed as a draft, saved when it differs.

use super::{Error, Owner};
use crate::admission::images;
use crate::context::Context;
use crate::index;
use jiff::Timestamp;
use kube::api::PostParams;
use kube::{Api, ResourceExt as _};
use std::collections::{BTreeMap, BTreeSet};
use tidewaiter_core::status::WorkloadStatus;
use tidewaiter_crd::WorkloadScan;
use tidewaiter_crd::workload_scan::{
    self, Container, Decision, Revision, Transition, WorkloadScanSpec, WorkloadScanStatus,
};

/// Transitions kept.
const TRANSITIONS: usize = 10;
/// Revisions of single Pods that are kept: of bare Pods, other controllers' Pods, and Pods with injected containers.
const POD_REVISIONS: usize = 20;

/// One workload's record.
#[derive(Debug)]
pub(crate) struct Record {
    object: WorkloadScan,
    /// What will be saved.
    pub(crate) draft: WorkloadScanStatus,
}

impl Record {
    /// The record of a workload; a new one where there is none.
    pub(crate) async fn open(ctx: &Context, owner: &Owner) -> Result<Self, Error> {
        let known = ctx.index.workload(&owner.namespace, &owner.kind, &owner.name, &owner.uid);
        let object = match known {
            Some(known) => (*known).clone(),
            None => create(ctx, owner).await?,
        };
        let draft = object.status.clone().unwrap_or_default();
        Ok(Record { object, draft })
    }

    /// The revision of a template; a new one names its images and is held. Digests that were approved for this
    /// workload before need no new decision.
    pub(crate) fn revision(&mut self, hash: &str, wanted: &BTreeMap<String, String>) -> &mut Revision {
        use crate::admission::revisions::{Use, pins};
        let approved = pins(&self.draft, hash, wanted, Use::Rollout);
        self.draft.revisions.entry(hash.to_owned()).or_insert_with(|| {
            let container = |(name, image): (&String, &String)| {
                let pinned = approved.as_ref().and_then(|pins| pins.get(name).cloned());
                (name.clone(), Container { image: image.clone(), pinned, scan: None })
            };
            let decision = if approved.is_some() { Decision::Approved } else { Decision::Held };
            let containers = wanted.iter().map(container).collect();
            Revision { decision, containers, added: Timestamp::now().to_string(), lost: false }
        })
    }

    /// Takes up both statuses; true when they changed, which is a transition.
    pub(crate) fn transition(&mut self, to: WorkloadStatus) -> bool {
        let draft = &mut self.draft;
        let first = draft.transitions.is_empty();
        if !first && (draft.image_status, draft.deployment_status) == (to.image, to.deployment) {
            return false;
        }
        (draft.image_status, draft.deployment_status) = (to.image, to.deployment);
        let time = Timestamp::now().to_string();
        draft.transitions.push(Transition { time, image_status: to.image, deployment_status: to.deployment });
        let old = draft.transitions.len().saturating_sub(TRANSITIONS);
        draft.transitions.drain(..old);
        true
    }

    /// Drops revisions that nothing uses any more. Kept are those named, the current one, what a gated Pod waits for,
    /// and the newest of single Pods.
    pub(crate) fn prune(&mut self, ctx: &Context, namespace: &str, kept: &BTreeSet<String>) {
        let gated = ctx.index.gated.state_filter(|pod| pod.namespace().as_deref() == Some(namespace));
        let waiting: BTreeSet<String> =
            gated.iter().filter_map(|pod| Some(images::images_hash(&images::of(pod.spec.as_ref()?)))).collect();
        let mut of_pods: Vec<(&String, &String)> = self.draft.revisions.iter().map(|(h, r)| (&r.added, h)).collect();
        of_pods.retain(|(_, hash)| hash.starts_with("pods-"));
        of_pods.sort();
        let newest: BTreeSet<String> =
            of_pods.iter().rev().take(POD_REVISIONS).map(|(_, hash)| (*hash).clone()).collect();
        let current = self.draft.current.clone();
        self.draft.revisions.retain(|hash, _| {
            let listed = kept.contains(hash) || waiting.contains(hash) || newest.contains(hash);
            listed || current.as_ref() == Some(hash)
        });
    }

    /// Writes the draft when it differs. A write of somebody else in between is a conflict.
    pub(crate) async fn save(&mut self, ctx: &Context) -> Result<(), Error> {
        self.draft.observed_generation = self.object.metadata.generation.unwrap_or_default();
        self.draft.set_condition(&Timestamp::now().to_string());
        if self.object.status.as_ref() == Some(&self.draft) {
            return Ok(());
        }
        self.object.status = Some(self.draft.clone());
        let namespace = self.object.namespace().unwrap_or_default();
        let api: Api<WorkloadScan> = Api::namespaced(ctx.client.clone(), &namespace);
        let written = api.replace_status(&self.object.name_any(), &PostParams::default(), &self.object).await?;
        index::settled(&ctx.index.workloads, &written).await;
        self.object = written;
        Ok(())
    }
}

async fn create(ctx: &Context, owner: &Owner) -> Result<WorkloadScan, Error> {
    let spec = WorkloadScanSpec {
        api_version: owner.api_version.clone(),
        kind: owner.kind.clone(),
        name: owner.name.clone(),
        uid: owner.uid.clone(),
    };
    let mut new = WorkloadScan::new(&workload_scan::name(&owner.kind, &owner.name, &owner.uid), spec);
    new.metadata.owner_references = Some(vec![owner.reference()]);
    let api: Api<WorkloadScan> = Api::namespaced(ctx.client.clone(), &owner.namespace);
    match api.create(&PostParams::default(), &new).await {
        Ok(created) => Ok(created),
        Err(kube::Error::Api(status)) if status.code == 409 => {
            let found = api.get(&new.name_any()).await?;
            // Another object's record under the same name: it goes with its object.
            if found.spec.uid == owner.uid { Ok(found) } else { Err(kube::Error::Api(status).into()) }
        }
        Err(error) => Err(error.into()),
    }
}
