//! Deliveries to a receiver on loopback, by a process that leads or does not.

use super::*;
use crate::alert::news::news;
use crate::decide::alert_route::all_of;
use crate::decide::evaluation::Evaluation;
use crate::decide::message::WorkloadNews;
use crate::events::EventChannel;
use crate::index::Index;
use crate::metrics::Metrics;
use crate::write_fence::WriteFence;
use axum::http::{Request, Response, StatusCode};
use kube::Client;
use kube::client::Body;
use kube::runtime::events::{Recorder, Reporter};
use serde_json::json;
use std::convert::Infallible;
use std::sync::Arc;
use tidewaiter_core::status::{DeploymentStatus, ImageStatus, WorkloadStatus};
use tidewaiter_crd::ClusterScanPolicy;
use tidewaiter_testkit::receiver::Receiver;
use tokio::runtime::Runtime;
use tower::service_fn;

/// Long enough for a delivery on loopback.
const PATIENCE: Duration = Duration::from_secs(20);
/// Within it a delivery that is not allowed would have happened.
const MOMENT: Duration = Duration::from_millis(500);

/// An API server that has nothing.
async fn nothing(_: Request<Body>) -> Result<Response<Body>, Infallible> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NOT_FOUND;
    Ok(response)
}

fn policy(url: &str) -> ClusterScanPolicy {
    ClusterScanPolicy::new("p", serde_json::from_value(json!({"alerts": [{"name": "r", "url": url}]})).unwrap())
}

fn channel(policy: &ClusterScanPolicy, fence: &WriteFence) -> AlertChannel {
    let client = Client::new(service_fn(nothing), "default");
    let reporter = Reporter { controller: "test".to_owned(), instance: None };
    let events = EventChannel::new(Recorder::new(client.clone(), reporter));
    let index = Arc::new(Index::of_policies(vec![policy.clone()]));
    AlertChannel::new(index, Metrics::new(), client, events, fence.clone())
}

fn alert(workload: &WorkloadRef) -> Alert {
    let status = WorkloadStatus { image: ImageStatus::VulnerabilitiesFound, deployment: DeploymentStatus::Blocked };
    let evaluation = Evaluation::default();
    news(&WorkloadNews::new(workload, "t", &evaluation, status), "text", Timestamp::now(), &[])
}

async fn received(receiver: &Receiver, number: usize) {
    let done = async {
        while receiver.received().len() < number {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, done).await.expect("it is delivered");
}

#[test]
fn only_the_process_that_leads_sends() {
    // It has a runtime of its own.
    let receiver = Receiver::start(0, None);
    Runtime::new().unwrap().block_on(send_when_leading(&receiver));
}

async fn send_when_leading(receiver: &Receiver) {
    let (policy, fence) = (policy(&receiver.url()), WriteFence::new());
    let channel = channel(&policy, &fence);
    let all: Vec<PolicyReceiver> = all_of(&policy).collect();
    let workload = WorkloadRef::of_kind("apps/v1", "Deployment");
    let alert = alert(&workload);
    assert!(!channel.send(&workload, &alert, &all));
    channel.clone().refresh(all[0].key.clone(), vec![alert.clone()]).await;
    tokio::time::sleep(MOMENT).await;
    assert_eq!(receiver.received().len(), 0);
    fence.open_until(Instant::now() + Duration::from_secs(600));
    received(receiver, 1).await;
    // It is said as often as the record cannot be written, and not sent again.
    let noted = async {
        while !channel.send(&workload, &alert, &all) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, noted).await.expect("it is noted");
    assert!(channel.send(&workload, &alert, &all) && channel.is_under_way(&alert.id));
    channel.noted(std::slice::from_ref(&alert.id));
    assert!(!channel.is_under_way(&alert.id));
    assert_eq!(receiver.received().len(), 1);
}

#[test]
fn what_has_no_room_is_not_given_up() {
    // It has a runtime of its own.
    let receiver = Receiver::start(0, None);
    Runtime::new().unwrap().block_on(fill_the_queue(&receiver));
}

async fn fill_the_queue(receiver: &Receiver) {
    let (policy, fence) = (policy(&receiver.url()), WriteFence::new());
    let channel = channel(&policy, &fence);
    let all: Vec<PolicyReceiver> = all_of(&policy).collect();
    let key = &all[0].key;
    let workload = |number: usize| WorkloadRef {
        name: number.to_string(),
        uid: number.to_string(),
        ..WorkloadRef::of_kind("apps/v1", "Deployment")
    };
    // Until the queue is full: nothing leaves it.
    let mut number = 0;
    while channel.waiting(key) == number {
        let workload = workload(number);
        assert!(!channel.send(&workload, &alert(&workload), &all));
        number += 1;
    }
    let (without_room, full) = (workload(number - 1), channel.waiting(key));
    assert!(channel.is_under_way(&alert(&without_room).id));
    assert!(channel.shared.states.lock().changed().is_empty(), "nothing is given up");
    // One is delivered: the one without room has its place.
    let first = alert(&workload(0));
    channel.with_queue(key, |queue| queue.delivered(std::slice::from_ref(&first)));
    assert_eq!(channel.index.take_deployments(), Vec::<String>::new());
    channel.made_room(key, 1);
    assert_eq!(channel.index.take_deployments(), [without_room.name.as_str()]);
    assert!(!channel.send(&without_room, &alert(&without_room), &all));
    assert_eq!(channel.waiting(key), full);
}
