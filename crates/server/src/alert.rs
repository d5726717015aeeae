//! Alerts: CloudEvents 1.0 as JSON, by POST, tried until delivered. The id follows from what is told, so that a
//! receiver can tell a repetition.

use crate::index::Index;
use crate::queues::Queues;
use crate::workload::Owner;
use jiff::Timestamp;
use kube::runtime::reflector::ObjectRef;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tidewaiter_core::status::WorkloadStatus;
use tidewaiter_crd::policy::Alert as Route;
use tidewaiter_http::{Client, Settings};

/// Pause before the second try; doubled for each further one.
const PAUSE: Duration = Duration::from_millis(500);
/// Longest pause.
const MAX_PAUSE: Duration = Duration::from_secs(300);
/// Tries; about an hour and a half in all.
const TRIES: u32 = 25;
/// Longest time for one try.
const LIMIT: Duration = Duration::from_secs(15);
/// Characters of text; what is longer is in the report.
const MAX_TEXT: usize = 2000;

/// One alert.
#[derive(Debug, Clone)]
pub(crate) struct Alert {
    /// A hash of what it tells.
    pub(crate) id: String,
    owner: Owner,
    event: Value,
}

impl Alert {
    /// An alert about a workload's template.
    pub(crate) fn new(owner: &Owner, hash: &str, status: WorkloadStatus, reasons: &[String], text: &str) -> Self {
        let told = format!("{}\n{hash}\n{}\n{}\n{}", owner.uid, status.image, status.deployment, reasons.join("\n"));
        let id = Sha256::digest(told.as_bytes()).iter().take(16).fold(String::new(), |mut id, byte| {
            let _ = write!(id, "{byte:02x}");
            id
        });
        let subject = owner.label();
        let event = json!({
            "specversion": "1.0",
            "id": id,
            "type": format!("dev.tidewaiter.workload.{}", status.deployment.to_string().to_ascii_lowercase()),
            "source": format!("/namespaces/{}", owner.namespace),
            "subject": subject,
            "time": Timestamp::now().to_string(),
            "datacontenttype": "application/json",
            "data": {
                "namespace": owner.namespace,
                "workload": subject,
                "imageStatus": status.image,
                "deploymentStatus": status.deployment,
                "reasons": reasons,
                "message": text.chars().take(MAX_TEXT).collect::<String>(),
            },
        });
        Alert { id, owner: owner.clone(), event }
    }
}

/// The channel; clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Alerts {
    queues: Queues,
    index: Arc<Index>,
    /// Ids on their way, and delivered ones that their record does not name yet.
    sent: Arc<Mutex<Sent>>,
}

#[derive(Debug, Default)]
struct Sent {
    under_way: BTreeSet<String>,
    delivered: BTreeSet<String>,
}

impl Alerts {
    /// A channel; delivered alerts have their workload looked at again.
    pub(crate) fn new(queues: Queues, index: Arc<Index>) -> Self {
        Alerts { queues, index, sent: Arc::default() }
    }

    /// Whether an alert was delivered; asked once, for the record to remember.
    pub(crate) fn was_delivered(&self, id: &str) -> bool {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).delivered.remove(id)
    }

    /// Delivers in the background, to every route; an alert that is on its way is not sent twice.
    pub(crate) fn send(&self, alert: Alert, routes: Vec<Route>) {
        if !self.sent.lock().unwrap_or_else(PoisonError::into_inner).under_way.insert(alert.id.clone()) {
            return;
        }
        let this = self.clone();
        tokio::spawn(async move {
            // A receiver that is away keeps no other one waiting.
            futures::future::join_all(routes.iter().map(|route| deliver(&route.url, &alert.event))).await;
            {
                let mut sent = this.sent.lock().unwrap_or_else(PoisonError::into_inner);
                sent.under_way.remove(&alert.id);
                sent.delivered.insert(alert.id.clone());
            }
            let Owner { kind, name, namespace, .. } = &alert.owner;
            match kind.as_str() {
                "Deployment" => this.queues.deployments.add(ObjectRef::new(name).within(namespace)),
                _ => this.index.poke_pods(&this.queues, namespace),
            }
        });
    }
}

async fn deliver(url: &str, event: &Value) {
    let mut pause = PAUSE;
    for _ in 0..TRIES {
        let (to, body) = (url.to_owned(), event.to_string());
        match tokio::task::spawn_blocking(move || post(&to, &body)).await {
            Ok(Ok(())) => return,
            Ok(Err(cause)) => tracing::warn!("alert not delivered to {url}, trying again: {cause}"),
            Err(e) => tracing::warn!("alert not delivered to {url}, trying again: {e}"),
        }
        tokio::time::sleep(pause).await;
        pause = pause.saturating_mul(2).min(MAX_PAUSE);
    }
    tracing::error!("alert given up after {TRIES} tries: {url}");
}

fn post(url: &str, body: &str) -> Result<(), String> {
    let client = Client::new(&Settings { total: Some(LIMIT), ..Settings::default() }).map_err(|e| e.to_string())?;
    let request = client.post(url).header("Content-Type", "application/cloudevents+json; charset=utf-8");
    match request.send(body) {
        Ok(answer) if answer.status().is_success() => Ok(()),
        Ok(answer) => Err(format!("it answers {}", answer.status().as_u16())),
        Err(error) => Err(client.failure(url, &error).to_string()),
    }
}
