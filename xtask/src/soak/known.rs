//! Records of workloads, written as the server writes them while it does not run: many are known after its next start.

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::thread;
use tidewaiter_testkit::https::{HttpsClient, HttpsServer};
use tidewaiter_testkit::lab::Lab;
use tidewaiter_testkit::sha256;

/// Digests of one namespace: its ImageAllowlist has room for no more.
const OF_A_NAMESPACE: u32 = 2000;
/// Connections that write.
const WRITERS: u32 = 4;

/// A record, with its status.
#[derive(Debug)]
pub(super) struct KnownRecord {
    pub(super) namespace: String,
    /// Of the group `apps`.
    pub(super) kind: &'static str,
    /// The workload's.
    pub(super) name: String,
    pub(super) status: Value,
}

/// Creates the records of `workloads`, each with `digests` approved ones.
pub(super) fn create(lab: &Lab, workloads: u32, digests: u32) -> Result<()> {
    let each = (OF_A_NAMESPACE / digests).max(1);
    let namespaces = workloads.div_ceil(each);
    for number in 0..namespaces {
        lab.admin(&["create", "namespace", &namespace(number)]).ok();
    }
    write_all(lab, workloads, |number| KnownRecord {
        namespace: namespace(number / each),
        kind: "Deployment",
        name: format!("known-{number}"),
        status: status(number, digests),
    })
}

/// Creates as many records, whose namespaces there are.
pub(super) fn write_all(lab: &Lab, workloads: u32, record: impl Fn(u32) -> KnownRecord + Sync) -> Result<()> {
    let api = lab.api_as_server();
    thread::scope(|scope| {
        let (api, record) = (&api, &record);
        let numbers = |writer: u32| (writer..workloads).step_by(WRITERS as usize);
        let writers: Vec<_> =
            (0..WRITERS).map(|writer| scope.spawn(move || write(api, numbers(writer), record))).collect();
        writers.into_iter().try_for_each(|writer| writer.join().unwrap_or_else(|_| bail!("a writer panicked")))
    })
}

fn namespace(number: u32) -> String {
    format!("known-{number}")
}

fn write(api: &HttpsServer, numbers: impl Iterator<Item = u32>, record: &impl Fn(u32) -> KnownRecord) -> Result<()> {
    let mut client = api.connect()?;
    for number in numbers {
        let KnownRecord { namespace, kind, name, status } = record(number);
        let path = format!("/apis/tidewaiter.dev/v1alpha1/namespaces/{namespace}/workloadscans");
        let uid = format!("{number:08x}-0000-4000-8000-000000000000");
        let object = format!("{}-{name}-{number:08x}", kind.to_lowercase());
        let record = json!({"apiVersion": "tidewaiter.dev/v1alpha1", "kind": "WorkloadScan", "metadata": {"name": object},
            "spec": {"apiVersion": "apps/v1", "kind": kind, "name": name, "uid": uid}});
        let mut created = send(&mut client, "POST", &path, &record)?;
        created["status"] = status;
        send(&mut client, "PUT", &format!("{path}/{object}/status"), &created)?;
    }
    Ok(())
}

fn status(number: u32, digests: u32) -> Value {
    let revisions = (0..digests).map(|revision| {
        let image = format!("registry.example/known-{number}:{revision}");
        let pinned = format!("{image}@{}", sha256(image.as_bytes()));
        let container = json!({"image": image, "pinned": pinned});
        (format!("h{revision}"), json!({"decision": "Approved", "containers": {"c": container}}))
    });
    json!({"imageStatus": "Approved", "deploymentStatus": "Deployed", "current": "h0",
        "message": "every image is approved", "revisions": revisions.collect::<serde_json::Map<_, _>>()})
}

/// Sends an object, and returns the answer.
pub(super) fn send(client: &mut HttpsClient, method: &str, path: &str, object: &Value) -> Result<Value> {
    let (status, body) = client.send(method, path, &serde_json::to_vec(object)?).context("the API server")?;
    if !(200..300).contains(&status) {
        bail!("{method} {path}: {status} {}", String::from_utf8_lossy(&body));
    }
    Ok(serde_json::from_slice(&body)?)
}
