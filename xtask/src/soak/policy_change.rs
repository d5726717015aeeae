//! A changed policy: how long until every workload that it concerns shows another decision, without a scan.

use super::known::{self, KnownRecord};
use super::start;
use super::watched::WatchedObjects;
use anyhow::{Result, bail};
use serde_json::{Value, json};
use std::thread;
use std::time::{Duration, Instant};
use tidewaiter_crd::image_scan;
use tidewaiter_testkit::demo;
use tidewaiter_testkit::https::{HttpsClient, HttpsServer};
use tidewaiter_testkit::lab::Lab;

/// Namespaces of the workloads, and images of each, which are scanned first.
const NAMESPACES: u32 = 25;
const IMAGES: u32 = 8;
/// Connections of the floor: as many as records that the server reconciles at once.
const WRITERS: u32 = 16;
/// Most time for any of it.
const LIMIT: Duration = Duration::from_secs(300);
const PAUSE: Duration = Duration::from_millis(100);

/// The records, by their names.
const RECORDS: &str = "deciding-";

/// What a changed policy took.
#[derive(Debug)]
pub(super) struct PolicyChange {
    /// Workloads, and ImageScans of their images.
    pub(super) workloads: u32,
    pub(super) scans: u32,
    /// From the command that changes the policy: until every ImageScan has its new verdict, and every workload its new decision.
    pub(super) stricter: ChangeTimes,
    /// The same back.
    pub(super) laxer: ChangeTimes,
    /// As many statuses written by a client that does nothing else.
    pub(super) floor: Duration,
}

/// Of one change.
#[derive(Debug, Clone, Copy)]
pub(super) struct ChangeTimes {
    pub(super) verdicts: Duration,
    pub(super) decisions: Duration,
}

/// Has the server know so many workloads of images with medium vulnerabilities, and blocks these, and allows them again.
pub(super) fn measure(lab: &mut Lab, workloads: u32) -> Result<PolicyChange> {
    let images: Vec<MediumImage> = (0..IMAGES).map(|number| MediumImage::push(lab, number)).collect();
    lab.kill_server();
    let api = lab.api_as_server();
    let mut uids = Vec::new();
    for number in 0..NAMESPACES {
        lab.admin(&["create", "namespace", &namespace(number)]).ok();
        let requested = images.iter().map(|image| image.request_scan(&api, &namespace(number)));
        uids.push(requested.collect::<Result<Vec<String>>>()?);
    }
    known::write_all(lab, workloads, |number| record(number, &images, &uids))?;
    let records = Watched::start(lab, "workloadscans", "{.status.revisions.h.decision}", workloads)?;
    let scans = IMAGES * NAMESPACES;
    let verdicts = Watched::start(lab, "imagescans", "{.status.verdict}", scans)?;
    start(lab);
    verdicts.until("Pass")?;
    records.until("Approved")?;
    lab.comes_to_rest();
    let change = |block_at: &str, verdict: &str, decision: &str| -> Result<ChangeTimes> {
        let began = Instant::now();
        lab.policy(&format!(r#"{{"spec":{{"blockAt":"{block_at}"}}}}"#));
        let decisions = records.until(decision)?.saturating_duration_since(began);
        let verdicts = verdicts.until(verdict)?.saturating_duration_since(began);
        lab.comes_to_rest();
        Ok(ChangeTimes { verdicts, decisions })
    };
    let stricter = change("MEDIUM", "Violated", "Retained")?;
    let laxer = change("CRITICAL", "Pass", "Approved")?;
    drop((records, verdicts));
    lab.kill_server();
    let floor = floor(lab, workloads)?;
    start(lab);
    Ok(PolicyChange { workloads, scans, stricter, laxer, floor })
}

fn namespace(number: u32) -> String {
    format!("deciding-{number}")
}

/// An image with three medium vulnerabilities, and none that is worse.
struct MediumImage {
    reference: String,
    pinned: String,
}

impl MediumImage {
    fn push(lab: &Lab, number: u32) -> Self {
        let name = format!("medium-{number}");
        let image = demo::medium().label("name", &name).build();
        let reference = lab.registry.push(&name, "v1", &image);
        MediumImage { pinned: format!("{reference}@{}", image.digest()), reference }
    }

    /// Returns the UID of its ImageScan.
    fn request_scan(&self, api: &HttpsServer, namespace: &str) -> Result<String> {
        let name = image_scan::name(&self.reference);
        let scan = json!({"apiVersion": "tidewaiter.dev/v1alpha1", "kind": "ImageScan", "metadata": {"name": name},
            "spec": {"image": self.reference}});
        let created = known::send(&mut api.connect()?, "POST", &path(namespace, "imagescans"), &scan)?;
        Ok(created["metadata"]["uid"].as_str().unwrap_or_default().to_owned())
    }
}

/// The record of an approved StatefulSet that runs, by the scan with one of the UIDs of its namespace. It needs no StatefulSet:
/// nothing waits for it.
fn record(number: u32, images: &[MediumImage], uids: &[Vec<String>]) -> KnownRecord {
    let at = |number: u32| usize::try_from(number).unwrap_or_default();
    let (of_namespace, place) = (&uids[at(number % NAMESPACES)], at(number / NAMESPACES) % images.len());
    let scan = json!({"uid": of_namespace[place], "generation": 1});
    let container = json!({"image": images[place].reference, "pinned": images[place].pinned, "scan": scan});
    let status = json!({"imageStatus": "Approved", "deploymentStatus": "Deployed", "current": "h", "message": "",
        "revisions": {"h": {"decision": "Approved", "containers": {"c": container}}}});
    KnownRecord {
        namespace: namespace(number % NAMESPACES),
        kind: "StatefulSet",
        name: format!("{RECORDS}{number}"),
        status,
    }
}

/// Objects of all namespaces of which so many are to get a state.
struct Watched {
    objects: WatchedObjects,
    number: usize,
}

impl Watched {
    fn start(lab: &Lab, kind: &str, state: &str, number: u32) -> Result<Self> {
        let name = "{.metadata.namespace}/{.metadata.name}";
        let objects = WatchedObjects::start(lab, None, kind, name, state)?;
        Ok(Watched { objects, number: usize::try_from(number)? })
    }

    /// When the last one got it.
    fn until(&self, state: &str) -> Result<Instant> {
        let began = Instant::now();
        loop {
            let last = self.objects.last();
            let ours = last.values().filter(|seen| seen.name.starts_with(RECORDS) && seen.state == state);
            let times: Vec<Instant> = ours.map(|seen| seen.at).collect();
            if times.len() >= self.number
                && let Some(end) = times.into_iter().max()
            {
                return Ok(end);
            }
            if began.elapsed() > LIMIT {
                bail!(
                    "{} of {} are {state} after {LIMIT:?}",
                    last.values().filter(|s| s.state == state).count(),
                    self.number
                );
            }
            thread::sleep(PAUSE);
        }
    }
}

/// The time of writing all of these statuses once, with another message, by a client that decides nothing.
fn floor(lab: &Lab, workloads: u32) -> Result<Duration> {
    let api = lab.api_as_server();
    let mut objects = Vec::new();
    for number in 0..NAMESPACES {
        let (status, body) = api.connect()?.send("GET", &path(&namespace(number), "workloadscans"), &[])?;
        let list: Value = serde_json::from_slice(&body)?;
        let Value::Array(items) = list["items"].clone() else { bail!("listing records: {status}") };
        objects.extend(items);
    }
    if objects.len() != usize::try_from(workloads)? {
        bail!("{} records, not {workloads}", objects.len());
    }
    let began = Instant::now();
    thread::scope(|scope| {
        let share = objects.len().div_ceil(usize::try_from(WRITERS)?).max(1);
        let writers: Vec<_> = objects.chunks(share).map(|part| scope.spawn(|| write(&api, part))).collect();
        writers.into_iter().try_for_each(|writer| writer.join().unwrap_or_else(|_| bail!("a writer panicked")))
    })?;
    Ok(began.elapsed())
}

fn write(api: &HttpsServer, objects: &[Value]) -> Result<()> {
    let mut client: HttpsClient = api.connect()?;
    for object in objects {
        let mut changed = object.clone();
        changed["status"]["message"] = json!("written to measure the API server");
        let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default();
        let path = format!("{}/{}/status", path(text("namespace"), "workloadscans"), text("name"));
        known::send(&mut client, "PUT", &path, &changed)?;
    }
    Ok(())
}

fn path(namespace: &str, kind: &str) -> String {
    format!("/apis/tidewaiter.dev/v1alpha1/namespaces/{namespace}/{kind}")
}
