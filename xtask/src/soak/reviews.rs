//! Reviews at a fixed rate, whether earlier ones are answered or not: a slow answer delays nothing that is sent later.

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use tidewaiter_testkit::https::{HttpsClient, HttpsServer};
use tidewaiter_testkit::lab::Lab;
use tidewaiter_testkit::noop_webhook::NoopWebhook;

/// Connections: an API server has a few, and a slow answer must not block the next review.
const CONNECTIONS: u32 = 16;
/// Live objects that reviews are made of.
const OBJECTS: usize = 100;
/// Each server is measured so often, in turn: what else the machine does disturbs both.
const ROUNDS: u32 = 3;

/// Reviews of live objects.
#[derive(Debug)]
pub(super) struct Bodies {
    pods: Vec<Vec<u8>>,
    deployments: Vec<Vec<u8>>,
}

/// How long answers took, from the moment that was planned.
#[derive(Debug, Clone)]
pub(super) struct ReviewTimes {
    /// `/pods`.
    pub(super) path: &'static str,
    pub(super) own: Percentiles,
    pub(super) noop: Percentiles,
}

/// Of many times.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Percentiles {
    pub(super) p50: Duration,
    pub(super) p99: Duration,
    pub(super) max: Duration,
    pub(super) count: usize,
}

impl Percentiles {
    fn of(mut all: Vec<Duration>) -> Self {
        all.sort();
        let at = |permille: usize| all.get((all.len() * permille / 1000).min(all.len().saturating_sub(1))).copied();
        Percentiles {
            p50: at(500).unwrap_or_default(),
            p99: at(990).unwrap_or_default(),
            max: all.last().copied().unwrap_or_default(),
            count: all.len(),
        }
    }
}

impl Bodies {
    /// Makes reviews of what runs in a namespace: Pods as their ReplicaSets create them, Deployments as they are updated.
    pub(super) fn of(lab: &Lab, namespace: &str) -> Result<Self> {
        let objects = |kind: &str| -> Result<Vec<Value>> {
            let said = lab.cluster.kubectl(&["get", kind, "-n", namespace, "-o", "json"]);
            let list: Value = serde_json::from_str(&said.ok())?;
            Ok(list["items"].as_array().into_iter().flatten().take(OBJECTS).cloned().collect())
        };
        let pods = objects("pods")?.into_iter().map(created_pod).collect::<Result<Vec<_>>>()?;
        let deployments = objects("deployments")?.into_iter().map(updated_deployment).collect::<Result<Vec<_>>>()?;
        if pods.is_empty() || deployments.is_empty() {
            bail!("nothing runs in {namespace}");
        }
        Ok(Bodies { pods, deployments })
    }
}

/// A Pod before admission: without a node, and with the image as its template names it.
fn created_pod(mut pod: Value) -> Result<Vec<u8>> {
    pod["spec"].as_object_mut().context("a spec")?.remove("nodeName");
    pod.as_object_mut().context("a Pod")?.remove("status");
    let image = pod["spec"]["containers"][0]["image"].as_str().unwrap_or_default();
    let image = image.split_once('@').map_or(image, |(tag, _)| tag).to_owned();
    pod["spec"]["containers"][0]["image"] = json!(image);
    pod["apiVersion"] = json!("v1");
    pod["kind"] = json!("Pod");
    review("CREATE", ("", "v1", "Pod", "pods"), &pod, None)
}

fn updated_deployment(mut old: Value) -> Result<Vec<u8>> {
    old["apiVersion"] = json!("apps/v1");
    old["kind"] = json!("Deployment");
    let mut new = old.clone();
    new["metadata"]["annotations"]["soak"] = json!("changed");
    review("UPDATE", ("apps", "v1", "Deployment", "deployments"), &new, Some(&old))
}

fn review(
    operation: &str,
    (group, version, kind, resource): (&str, &str, &str, &str),
    object: &Value,
    old: Option<&Value>,
) -> Result<Vec<u8>> {
    let namespace = &object["metadata"]["namespace"];
    let request = json!({"uid": "705ab4f5-6393-11e8-b7cc-42010a800002", "operation": operation,
        "kind": {"group": group, "version": version, "kind": kind},
        "resource": {"group": group, "version": version, "resource": resource},
        "name": object["metadata"]["name"], "namespace": namespace, "dryRun": false, "object": object, "oldObject": old,
        "userInfo": {"username": "system:serviceaccount:kube-system:replicaset-controller", "groups": ["system:authenticated"]}});
    Ok(serde_json::to_vec(
        &json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}),
    )?)
}

/// Measures the server and a webhook that does nothing, in turn.
pub(super) fn compare(lab: &Lab, bodies: &Bodies, rate: u32, seconds: u32) -> Result<Vec<ReviewTimes>> {
    let noop = NoopWebhook::start();
    let (own, noop) = (lab.webhook(), noop.server());
    let mut all = Vec::new();
    for (path, bodies) in [("/pods", &bodies.pods), ("/deployments", &bodies.deployments)] {
        // Both are warm: connections, caches, the allocator.
        open_loop(&own, path, bodies, rate, 1)?;
        open_loop(&noop, path, bodies, rate, 1)?;
        let (mut of_own, mut of_noop) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            of_own.extend(open_loop(&own, path, bodies, rate, seconds)?);
            of_noop.extend(open_loop(&noop, path, bodies, rate, seconds)?);
        }
        all.push(ReviewTimes { path, own: Percentiles::of(of_own), noop: Percentiles::of(of_noop) });
    }
    Ok(all)
}

fn open_loop(server: &HttpsServer, path: &str, bodies: &[Vec<u8>], rate: u32, seconds: u32) -> Result<Vec<Duration>> {
    let next = AtomicU32::new(0);
    let mut clients = (0..CONNECTIONS).map(|_| server.connect()).collect::<Result<Vec<_>, _>>()?;
    let plan = Plan { path, bodies, count: rate * seconds, every: Duration::from_secs(1) / rate, next: &next };
    let began = Instant::now() + Duration::from_millis(10);
    let times = thread::scope(|scope| {
        let senders: Vec<_> =
            clients.iter_mut().map(|client| scope.spawn(|| send_planned(client, &plan, began))).collect();
        senders
            .into_iter()
            .map(|sender| sender.join().unwrap_or_else(|_| bail!("a sender panicked")))
            .collect::<Vec<_>>()
    });
    Ok(times.into_iter().collect::<Result<Vec<_>>>()?.concat())
}

/// What is sent when.
#[derive(Debug)]
struct Plan<'a> {
    path: &'a str,
    bodies: &'a [Vec<u8>],
    count: u32,
    every: Duration,
    /// The next review that nobody has taken.
    next: &'a AtomicU32,
}

fn send_planned(client: &mut HttpsClient, plan: &Plan<'_>, began: Instant) -> Result<Vec<Duration>> {
    let mut times = Vec::new();
    loop {
        let number = plan.next.fetch_add(1, Ordering::Relaxed);
        if number >= plan.count {
            return Ok(times);
        }
        let due = began + plan.every * number;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let body = plan.bodies.get(usize::try_from(number)? % plan.bodies.len()).context("a body")?;
        let (status, answer) = client.send("POST", plan.path, body)?;
        times.push(due.elapsed());
        let allowed = answer.windows(14).any(|text| text == b"\"allowed\":true");
        if status != 200 || !allowed {
            bail!("{}: {status} {}", plan.path, String::from_utf8_lossy(&answer));
        }
    }
}

/// Sends reviews that no API server made: each names another namespace, object, user and resource.
pub(super) fn forge(lab: &Lab, count: u32) -> Result<()> {
    let server = lab.webhook();
    let next = AtomicU32::new(0);
    thread::scope(|scope| {
        let senders: Vec<_> = (0..CONNECTIONS).map(|_| scope.spawn(|| send_forged(&server, &next, count))).collect();
        senders.into_iter().try_for_each(|sender| sender.join().unwrap_or_else(|_| bail!("a sender panicked")))
    })
}

fn send_forged(server: &HttpsServer, next: &AtomicU32, count: u32) -> Result<()> {
    let mut client = server.connect()?;
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= count {
            return Ok(());
        }
        let (path, body) = forged(number)?;
        let (status, _) = client.send("POST", path, &body)?;
        if status >= 500 {
            bail!("a forged review of {path} was answered with {status}");
        }
    }
}

fn forged(number: u32) -> Result<(&'static str, Vec<u8>)> {
    let text = format!("forged-{number}-{}", "x".repeat(usize::try_from(number % 2000)?));
    let spec = json!({"containers": [{"name": "c", "image": format!("forged.example/{text}:1")}]});
    let labels = json!({ &text: text });
    let metadata = json!({"name": text, "namespace": text, "uid": text, "labels": labels, "ownerReferences":
        [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": text, "uid": text, "controller": true}]});
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec});
    let template = json!({"metadata": {"labels": labels}, "spec": spec});
    let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata,
        "spec": {"selector": {"matchLabels": labels}, "template": template}});
    Ok(match number % 3 {
        0 => ("/pods", review("CREATE", (&text, "v1", "Pod", &text), &pod, None)?),
        1 => ("/applied-pods", review("UPDATE", ("", "v1", "Pod", "pods"), &pod, Some(&pod))?),
        _ => ("/deployments", review("UPDATE", ("apps", &text, "Deployment", &text), &deployment, Some(&deployment))?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_sorted_times() {
        let check = |times: &[u64], p50: u64, p99: u64, max: u64| {
            let found = Percentiles::of(times.iter().rev().copied().map(Duration::from_millis).collect());
            let expected = [p50, p99, max].map(Duration::from_millis);
            assert_eq!([found.p50, found.p99, found.max], expected, "{times:?}");
        };
        check(&[], 0, 0, 0);
        check(&[7], 7, 7, 7);
        check(&(1..=1000).collect::<Vec<_>>(), 501, 991, 1000);
    }
}
