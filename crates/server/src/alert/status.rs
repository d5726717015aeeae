//! Writes what became of alerts into the status of their policies, and an Event about those that were given up: at most once in ten
//! seconds for each policy, and never without news.

use super::AlertChannel;
use crate::decide::alert_route::{ReceiverKey, all_of};
use crate::events;
use jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use kube::runtime::events::{Event, EventType};
use kube::runtime::reflector::ObjectRef;
use kube::{Api, Resource as _, ResourceExt as _};
use serde_json::json;
use tidewaiter_crd::ClusterScanPolicy;

impl AlertChannel {
    /// Writes what has changed.
    pub(super) async fn write_statuses(&self) {
        // One after the other: of two writes at once the older one could be the last.
        let _writing = self.shared.writing.lock().await;
        let changed = {
            let mut states = self.shared.states.lock();
            states.count(Timestamp::now(), |key| self.waiting(key));
            states.changed()
        };
        for name in changed {
            match self.index.policies.get(&ObjectRef::new(&name)) {
                Some(policy) => self.write_status(&policy).await,
                None => self.shared.states.lock().retain(|policy| policy != name),
            }
        }
    }

    async fn write_status(&self, policy: &ClusterScanPolicy) {
        let name = policy.name_any();
        let receivers: Vec<ReceiverKey> = all_of(policy).map(|one| one.key).collect();
        let shown = policy.status.clone().unwrap_or_default().alerts;
        let report = self.shared.states.lock().report(&name, &receivers, &shown, |key| self.waiting(key));
        for (_, note) in &report.events {
            let event = Event {
                type_: EventType::Warning,
                reason: "AlertNotDelivered".to_owned(),
                note: Some(events::note(note)),
                action: "Alert".to_owned(),
                secondary: None,
            };
            self.events.send(event, policy.object_ref(&()));
        }
        if report.statuses == shown {
            return;
        }
        let api: Api<ClusterScanPolicy> = Api::all(self.client.clone());
        let patch = Patch::Merge(json!({"status": {"alerts": report.statuses}}));
        match api.patch_status(&name, &PatchParams::default(), &patch).await {
            Ok(_) => {}
            Err(kube::Error::Api(status)) if status.code == 404 => {
                // Deleted meanwhile; else its kind has no status.
                if let Ok(Some(_)) = api.get_opt(&name).await {
                    self.not_written(&name, "its CustomResourceDefinition has none: apply deploy/crds.yaml");
                }
            }
            Err(error) => self.not_written(&name, &format!("see deploy/rbac.yaml: {error}")),
        }
    }

    fn not_written(&self, policy: &str, why: &str) {
        tracing::warn!("the status of the ClusterScanPolicy {policy} was not written: {why}");
        self.shared.states.lock().not_written(policy);
    }
}
