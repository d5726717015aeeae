//! What the servers of a cluster say to each other, over the port of the webhooks (ADR 0031).
//!
//! ```text
//! webhook of a process that follows → what controllers should look at → the process that leads → its queues
//! report, database                  ← who has it                      ← who does not
//! ```
//!
//! Who asks verifies the other by the installation's own authorities, and shows a secret in the path that follows from the key of
//! the one that signs: so only what may read the keys' Secret takes part.

mod ask;
mod copies;
pub(crate) mod database;
mod forward;
pub(crate) mod trust;
mod untold;

pub(crate) use copies::{copied, keep_copies};
pub(crate) use forward::forward;

use crate::context::ServerContext;
use crate::queues::updates::ReviewedUpdate;
use anyhow::{Context as _, Result, bail};
use axum::http::header::CONTENT_TYPE;
use axum::http::{Method, Request};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::client::Body;
use kube::runtime::reflector::ObjectRef;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tidewaiter_crd::WorkloadScan;
use tidewaiter_crd::names::NAMESPACE;

/// Time limit of what another server is told.
const LIMIT: Duration = Duration::from_secs(10);
/// What webhooks leave to controllers.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct WebhookNotices {
    /// Reviewed updates of DaemonSets and StatefulSets.
    #[serde(default)]
    pub(crate) updates: Vec<ReviewedUpdate>,
    /// Namespaces in which something starts without a decision, to be looked at now.
    #[serde(default)]
    pub(crate) unheld: Vec<String>,
    /// Records of held workloads of which a Pod starts all the same.
    #[serde(default)]
    pub(crate) returned: Vec<RecordName>,
}

/// A WorkloadScan by its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct RecordName {
    namespace: String,
    name: String,
}

impl From<ObjectRef<WorkloadScan>> for RecordName {
    fn from(key: ObjectRef<WorkloadScan>) -> Self {
        RecordName { namespace: key.namespace.unwrap_or_default(), name: key.name }
    }
}

impl From<RecordName> for ObjectRef<WorkloadScan> {
    fn from(name: RecordName) -> Self {
        ObjectRef::new(&name.name).within(&name.namespace)
    }
}

/// Takes up what a webhook of another process leaves to the controllers of this one.
pub(crate) fn take_up(ctx: &ServerContext, notices: WebhookNotices) {
    notices.updates.into_iter().for_each(|update| ctx.queues.updates.add(update));
    for namespace in &notices.unheld {
        ctx.queues.unheld.add_due(namespace, ctx.index.is_namespace(namespace));
    }
    let returned = notices.returned.into_iter().map(ObjectRef::from);
    // One that the watch does not show is gone, or was never there.
    ctx.queues.returned.add_all(returned.filter(|record| ctx.index.workloads.get(record).is_some()));
}

/// Tells the process that leads.
///
/// # Errors
/// When nobody leads, or who leads cannot be reached.
async fn tell_leader(ctx: &ServerContext, notices: &WebhookNotices) -> Result<()> {
    let leader = ctx.leader.get().context("no server leads at present")?;
    if leader == ctx.settings.identity {
        bail!("this server holds the Lease, and does not lead yet");
    }
    let body = serde_json::to_vec(notices)?;
    let told = tokio::time::timeout(LIMIT, post(ctx, &leader, "notices", body)).await;
    told.context("it does not answer in time").flatten().with_context(|| format!("the server {leader}, which leads"))
}

async fn post(ctx: &ServerContext, peer: &str, path: &str, body: Vec<u8>) -> Result<()> {
    let pods: Api<Pod> = Api::namespaced(ctx.client.clone(), NAMESPACE);
    let pod = pods.get(peer).await.with_context(|| format!("reading the Pod {NAMESPACE}/{peer}"))?;
    let address = pod.status.and_then(|status| status.pod_ip).context("its Pod has no address")?;
    let access = ctx.peers.get().context("it is starting")?;
    let (client, uri) = (access.client(address.parse()?)?, access.path(path)?);
    let request = Request::builder().method(Method::POST).uri(uri).header(CONTENT_TYPE, "application/json");
    let response = client.send(request.body(Body::from(body))?).await?;
    if !response.status().is_success() {
        bail!("it responds with status {}", response.status().as_u16());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notices_of_other_versions_are_read() {
        let check = |json: &str, expected: (usize, usize, usize)| {
            let read: WebhookNotices = serde_json::from_str(json).unwrap();
            assert_eq!((read.updates.len(), read.unheld.len(), read.returned.len()), expected, "{json}");
        };
        check("{}", (0, 0, 0));
        check(r#"{"unheld":["n"],"later":1}"#, (0, 1, 0));
        check(r#"{"returned":[{"namespace":"n","name":"w"}]}"#, (0, 0, 1));
        let update = r#"{"workload":{"namespace":"n","api_version":"apps/v1","kind":"DaemonSet","name":"a","uid":"u"},
            "wanted":{"c":"i"},"access":{"containers":[]},"before":"h","is_refused":true}"#;
        check(&format!(r#"{{"updates":[{update}]}}"#), (1, 0, 0));
    }

    #[test]
    fn a_record_keeps_its_name() {
        let key: ObjectRef<WorkloadScan> = ObjectRef::new("w").within("n");
        let name = RecordName::from(key.clone());
        assert_eq!(ObjectRef::from(name), key);
    }
}
