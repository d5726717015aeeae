//! Alerts: CloudEvents 1.0 as JSON, sent by POST until delivered. The id follows from the content, so that a receiver can
//! recognise a repetition.

use crate::decide::message::WorkloadNews;
use crate::decide::workload_ref::WorkloadRef;
use crate::index::Index;
use crate::metrics::{AlertAttempt, Metrics};
use backon::{BackoffBuilder as _, ExponentialBuilder};
use jiff::Timestamp;
use parking_lot::Mutex;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tidewaiter_core::hex;
use tidewaiter_crd::policy::AlertReceiver;
use tidewaiter_http::{Client, Settings};

/// Pause before the second attempt; doubled for each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// Longest pause: a receiver that is back should hear of what happened within minutes.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// Attempts, about an hour and a half in all; by then the outage of the receiver has been noticed, and the record of
/// the workload still shows the state.
const MAX_ATTEMPTS: usize = 25;
/// Time limit of one attempt.
const LIMIT: Duration = Duration::from_secs(15);
/// Characters of the text: chat systems cut longer ones, and the report holds all.
const MAX_TEXT: usize = 2000;

/// One alert.
#[derive(Debug, Clone)]
pub(crate) struct Alert {
    /// Hash of the content.
    pub(crate) id: String,
    workload: WorkloadRef,
    event: Value,
}

impl Alert {
    /// An alert with this text about a workload's template.
    pub(crate) fn new(news: &WorkloadNews<'_>, text: &str) -> Self {
        let (workload, template, status, reasons) =
            (news.workload, news.template, news.status, &news.evaluation.reasons);
        let event = news.event();
        let by = news.evaluation.break_glass.as_ref().map(|given| given.name.as_str()).unwrap_or_default();
        // Not the time: the same news twice are one alert.
        let content = format!("{}\n{template}\n{}\n{event}{by}\n{}", workload.uid, status.image, reasons.join("\n"));
        let hash: [u8; 32] = Sha256::digest(content.as_bytes()).into();
        // 128 bits, as a UUID has: receivers compare ids of one sender only.
        let id = hex(&hash[..16]);
        let subject = workload.label();
        let event = json!({
            "specversion": "1.0",
            "id": id,
            "type": format!("dev.tidewaiter.workload.{}", event.to_ascii_lowercase()),
            "source": format!("/namespaces/{}", workload.namespace),
            "subject": subject,
            "time": Timestamp::now().to_string(),
            "datacontenttype": "application/json",
            "data": {
                "namespace": workload.namespace,
                "workload": subject,
                "imageStatus": status.image,
                "deploymentStatus": status.deployment,
                "reasons": reasons,
                "message": text.chars().take(MAX_TEXT).collect::<String>(),
            },
        });
        Alert { id, workload: workload.clone(), event }
    }
}

/// Delivery of alerts; clones share it.
#[derive(Debug, Clone)]
pub(crate) struct AlertChannel {
    index: Arc<Index>,
    metrics: Metrics,
    progress: Arc<Mutex<AlertProgress>>,
}

#[derive(Debug, Default)]
struct AlertProgress {
    under_way: BTreeSet<String>,
    /// Delivered, and not yet noted in the workload's record.
    delivered: BTreeSet<String>,
}

impl AlertChannel {
    /// A channel; a delivered alert enqueues its workload, whose record then notes it.
    pub(crate) fn new(index: Arc<Index>, metrics: Metrics) -> Self {
        AlertChannel { index, metrics, progress: Arc::default() }
    }

    /// Whether an alert was delivered. Says so once: the caller notes it in the record.
    pub(crate) fn take_delivered(&self, id: &str) -> bool {
        self.progress.lock().delivered.remove(id)
    }

    /// Delivers in the background to every receiver; an alert that is under way is not sent twice.
    pub(crate) fn send(&self, alert: Alert, receivers: Vec<AlertReceiver>) {
        if self.progress.lock().under_way.insert(alert.id.clone()) {
            tokio::spawn(self.clone().deliver_to_all(alert, receivers));
        }
    }

    async fn deliver_to_all(self, alert: Alert, receivers: Vec<AlertReceiver>) {
        // Concurrently: an unreachable receiver does not delay the others.
        let all = receivers.iter().map(|receiver| deliver(&self.metrics, &receiver.url, &alert.event));
        futures::future::join_all(all).await;
        {
            let mut progress = self.progress.lock();
            progress.under_way.remove(&alert.id);
            // Given up counts as well: the record must not send it again for ever.
            progress.delivered.insert(alert.id.clone());
        }
        self.index.enqueue_workload(&alert.workload);
    }
}

fn pauses() -> impl Iterator<Item = Duration> {
    let builder = ExponentialBuilder::default().with_min_delay(FIRST_PAUSE).with_max_delay(LONGEST_PAUSE);
    builder.with_factor(2.0).with_max_times(MAX_ATTEMPTS).build()
}

async fn deliver(metrics: &Metrics, url: &str, event: &Value) {
    for pause in pauses() {
        let (to, body) = (url.to_owned(), event.to_string());
        match tokio::task::spawn_blocking(move || post(&to, &body)).await {
            Ok(Ok(())) => return metrics.alert(AlertAttempt::Delivered),
            Ok(Err(cause)) => tracing::warn!("alert not delivered to {url}, retrying: {cause}"),
            Err(e) => tracing::warn!("alert not delivered to {url}, retrying: {e}"),
        }
        metrics.alert(AlertAttempt::Failed);
        tokio::time::sleep(pause).await;
    }
    metrics.alert(AlertAttempt::GivenUp);
    tracing::error!("alert not delivered to {url} in {MAX_ATTEMPTS} attempts; giving up");
}

fn post(url: &str, body: &str) -> Result<(), String> {
    let client = Client::new(&Settings { total: Some(LIMIT), ..Settings::default() }).map_err(|e| e.to_string())?;
    let request = client.post(url).header("Content-Type", "application/cloudevents+json; charset=utf-8");
    match request.send(body) {
        Ok(response) if response.status().is_success() => Ok(()),
        Ok(response) => Err(format!("it responds with status {}", response.status().as_u16())),
        Err(error) => Err(client.failure(url, &error).to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::evaluation::Evaluation;
    use tidewaiter_core::status::{DeploymentStatus, ImageStatus, WorkloadStatus};

    fn alert(uid: &str, template: &str, deployment: DeploymentStatus, reasons: &[&str], text: &str) -> Alert {
        let workload = WorkloadRef {
            namespace: "n".to_owned(),
            api_version: "apps/v1".to_owned(),
            kind: "Deployment".into(),
            name: "web".to_owned(),
            uid: uid.to_owned(),
        };
        let status = WorkloadStatus { image: ImageStatus::VulnerabilitiesFound, deployment };
        let reasons: Vec<String> = reasons.iter().map(|reason| (*reason).to_owned()).collect();
        let evaluation = Evaluation { reasons, ..Evaluation::default() };
        Alert::new(&WorkloadNews::new(&workload, template, &evaluation, status), text)
    }

    #[test]
    fn the_id_follows_from_the_content() {
        use DeploymentStatus::{Blocked, Deployed};
        let one = alert("u", "t", Blocked, &["A"], "text");
        let check = |other: Alert, same: bool| assert_eq!(one.id == other.id, same, "{:?}", other.event);
        check(alert("u", "t", Blocked, &["A"], "text"), true);
        // Another wording of the same reasons is not another alert.
        check(alert("u", "t", Blocked, &["A"], "reworded"), true);
        check(alert("v", "t", Blocked, &["A"], "text"), false);
        check(alert("u", "s", Blocked, &["A"], "text"), false);
        check(alert("u", "t", Deployed, &["A"], "text"), false);
        check(alert("u", "t", Blocked, &["A", "B"], "text"), false);
    }

    #[test]
    fn an_alert_is_a_cloud_event() {
        let event = alert("u", "t", DeploymentStatus::Blocked, &["A"], &"x".repeat(MAX_TEXT + 1)).event;
        let check = |pointer: &str, expected: &str| {
            assert_eq!(event.pointer(pointer).and_then(Value::as_str), Some(expected), "{pointer}");
        };
        check("/specversion", "1.0");
        check("/type", "dev.tidewaiter.workload.blocked");
        check("/source", "/namespaces/n");
        check("/subject", "deployment/web");
        check("/data/workload", "deployment/web");
        check("/data/imageStatus", "VulnerabilitiesFound");
        check("/data/message", &"x".repeat(MAX_TEXT));
    }

    #[test]
    fn pauses_double_up_to_a_limit() {
        let all: Vec<Duration> = pauses().collect();
        assert_eq!(all.len(), MAX_ATTEMPTS);
        assert_eq!(all[..3], [500, 1000, 2000].map(Duration::from_millis));
        assert_eq!(all.last(), Some(&LONGEST_PAUSE));
        let hours = all.iter().sum::<Duration>().as_secs_f64() / 3600.0;
        assert!((1.0..2.0).contains(&hours), "{hours}");
    }
}
