//! Many Deployments at once: how long it takes, what it costs, and whether anything ran that should not.

use super::fleet::Fleet;
use super::usage::Usage;
use super::watched::{Seen, WatchedObjects};
use super::{APART, start};
use anyhow::{Context, Result, bail};
use std::collections::{BTreeMap, BTreeSet};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tidewaiter_testkit::lab::Lab;

/// Pause between two looks: memory is sampled that often.
const PAUSE: Duration = Duration::from_millis(100);
/// How long a wave may take, and each of its Deployments in addition.
const LIMIT: Duration = Duration::from_secs(180);
const LIMIT_EACH: Duration = Duration::from_millis(300);
/// First kill after the start, and the pause between two: the server is back by then.
const FIRST_KILL: Duration = Duration::from_secs(4);
const KILL_PAUSE: Duration = Duration::from_secs(5);
/// The components of the control plane whose CPU time is reported.
const COMPONENTS: [&str; 3] = ["kube-apiserver", "etcd", "kube-controller-manager"];

/// What a wave took.
#[derive(Debug, Clone, Default)]
pub(super) struct WaveResult {
    /// Until `kubectl apply` ended.
    pub(super) applied: Duration,
    /// Until the last Deployment was available or blocked.
    pub(super) done: Duration,
    pub(super) available: usize,
    pub(super) blocked: usize,
    /// Component → CPU seconds.
    pub(super) plane: BTreeMap<&'static str, f64>,
    /// The server's own CPU seconds, and those of its scans.
    pub(super) server: f64,
    pub(super) scans: f64,
    /// The most anonymous memory of the server, in MiB.
    pub(super) anonymous: f64,
    /// Requests of the server's account about the namespace, by verb and resource.
    pub(super) requests: BTreeMap<String, usize>,
    /// Runs of ImageScans of the wave's images.
    pub(super) runs: u64,
    /// Bytes of their layers that the registry sent.
    pub(super) pulled: u64,
    /// The most runs of one image.
    pub(super) most_runs: u64,
    /// Pods that had no gate and did not name the digest of an image that policy allows.
    pub(super) violations: BTreeSet<String>,
    pub(super) kills: u32,
}

impl WaveResult {
    /// All requests.
    pub(super) fn all_requests(&self) -> usize {
        self.requests.values().sum()
    }
}

/// Applies the Deployments and waits until each is available or blocked.
pub(super) fn run(lab: &mut Lab, fleet: &Fleet, namespace: &str, deployments: u32, kills: u32) -> Result<WaveResult> {
    let folder = lab.cluster.dir().join(format!("wave-{namespace}"));
    fleet.write(&folder, namespace, deployments)?;
    let state = "{.spec.schedulingGates[*].name}|{.spec.containers[*].image}";
    let pods = WatchedObjects::start(lab, Some(namespace), "pods", "{.metadata.name}", state)?;
    let available =
        WatchedObjects::start(lab, Some(namespace), "deployments", "{.metadata.name}", "{.status.availableReplicas}")?;
    let records =
        WatchedObjects::start(lab, Some(namespace), "workloadscans", "{.spec.name}", "{.status.deploymentStatus}")?;
    let before = (lab.requests_about(namespace).len(), Usage::of_server(lab), plane(lab), fleet.pulled(lab));
    let mut wave = Wave { began: Instant::now(), server: before.1, result: WaveResult::default() };
    let mut apply = spawn_apply(lab, &folder)?;
    let wanted = if namespace == APART { usize::try_from(deployments)? } else { fleet.allowed(deployments) };
    let blocked = usize::try_from(deployments)? - wanted;
    let limit = LIMIT + LIMIT_EACH * deployments;
    loop {
        wave.look(lab, &mut apply)?;
        wave.kill(lab, kills);
        wave.result.available = available.last().values().filter(|seen| seen.state == "1").count();
        wave.result.blocked = records.last().values().filter(|seen| seen.state == "Blocked").count();
        let applied = wave.result.applied > Duration::ZERO;
        if applied && wave.result.available >= wanted && wave.result.blocked >= blocked {
            break;
        }
        if wave.began.elapsed() > limit {
            let WaveResult { available, blocked, .. } = wave.result;
            bail!("after {limit:?} {available} of {wanted} are available and {blocked} are blocked");
        }
        std::thread::sleep(PAUSE);
    }
    let last = available.seen().into_iter().chain(records.seen()).filter(is_end).map(|seen| seen.at).max();
    wave.result.done = last.map_or(wave.began.elapsed(), |at| at.saturating_duration_since(wave.began));
    lab.comes_to_rest();
    wave.end(lab, &before.2);
    wave.result.violations = violations(&pods.seen(), fleet, namespace);
    wave.result.pulled = fleet.pulled(lab) - before.3;
    wave.result.requests = requests(lab, namespace, before.0);
    (wave.result.runs, wave.result.most_runs) = runs(lab, fleet, namespace)?;
    Ok(wave.result)
}

/// A wave that runs.
struct Wave {
    began: Instant,
    /// What the server's process had taken when it was looked at first.
    server: Usage,
    result: WaveResult,
}

impl Wave {
    fn look(&mut self, lab: &Lab, apply: &mut Child) -> Result<()> {
        self.result.anonymous = self.result.anonymous.max(Usage::of_server(lab).anonymous);
        if self.result.applied.is_zero()
            && let Some(status) = apply.try_wait()?
        {
            if !status.success() {
                bail!("kubectl apply failed");
            }
            self.result.applied = self.began.elapsed();
        }
        Ok(())
    }

    /// Kills the server, if it is time, and starts it again at once.
    fn kill(&mut self, lab: &mut Lab, kills: u32) {
        let due = FIRST_KILL + KILL_PAUSE * self.result.kills;
        if self.result.kills >= kills || self.began.elapsed() < due {
            return;
        }
        self.add_server(lab);
        lab.kill_server();
        start(lab);
        self.server = Usage::default();
        self.result.kills += 1;
    }

    fn add_server(&mut self, lab: &Lab) {
        let used = Usage::of_server(lab).since(self.server);
        self.result.server += used.cpu;
        self.result.scans += used.children;
    }

    fn end(&mut self, lab: &Lab, before: &BTreeMap<&'static str, Usage>) {
        self.add_server(lab);
        for (name, after) in plane(lab) {
            let used = after.since(before.get(name).copied().unwrap_or_default());
            self.result.plane.insert(name, used.cpu);
        }
    }
}

fn is_end(seen: &Seen) -> bool {
    matches!(seen.state.as_str(), "1" | "Blocked")
}

fn plane(lab: &Lab) -> BTreeMap<&'static str, Usage> {
    COMPONENTS.into_iter().map(|name| (name, Usage::of_component(lab, name))).collect()
}

fn spawn_apply(lab: &Lab, folder: &std::path::Path) -> Result<Child> {
    let mut command: Command = lab.cluster.kubectl_command();
    command.args(["apply", "-f"]).arg(folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().context("kubectl apply")
}

/// Pods that were seen without a gate and do not name the digest of an allowed image. Where nothing is gated, none is.
fn violations(seen: &[Seen], fleet: &Fleet, namespace: &str) -> BTreeSet<String> {
    if namespace == APART {
        return BTreeSet::new();
    }
    let allowed: BTreeSet<&str> =
        fleet.images.iter().filter(|image| image.good).map(|image| image.pinned.as_str()).collect();
    let runs = |seen: &&Seen| {
        let (gates, image) = seen.state.split_once('|').unwrap_or_default();
        gates.is_empty() && !allowed.contains(image)
    };
    seen.iter().filter(runs).map(|seen| format!("{} {}", seen.name, seen.state)).collect()
}

fn requests(lab: &Lab, namespace: &str, before: usize) -> BTreeMap<String, usize> {
    let mut all = BTreeMap::new();
    for request in lab.requests_about(namespace).into_iter().skip(before) {
        let failed = if request.code >= 400 { format!(" → {}", request.code) } else { String::new() };
        *all.entry(format!("{} {}{failed}", request.verb, request.resource)).or_default() += 1;
    }
    all
}

/// How often the wave's images were scanned: each request raises the generation of their ImageScan.
fn runs(lab: &Lab, fleet: &Fleet, namespace: &str) -> Result<(u64, u64)> {
    let path = "jsonpath={range .items[*]}{.spec.image} {.metadata.generation}{\"\\n\"}{end}";
    let said = lab.admin(&["get", "imagescans", "-n", namespace, "-o", path]).ok();
    let ours: BTreeSet<&str> = fleet.images.iter().map(|image| image.reference.as_str()).collect();
    let mut all = Vec::new();
    for line in said.lines() {
        let (image, generation) = line.split_once(' ').context("an image and a generation")?;
        if ours.contains(image) {
            all.push(generation.parse::<u64>()?);
        }
    }
    Ok((all.iter().sum(), all.iter().copied().max().unwrap_or_default()))
}

/// Deletes all Deployments of a namespace, and waits for their Pods.
pub(super) fn remove(lab: &Lab, namespace: &str) -> Result<()> {
    lab.admin(&["delete", "deployments", "--all", "-n", namespace, "--wait"]).ok();
    let began = Instant::now();
    let pods = || lab.admin(&["get", "pods", "-n", namespace, "-o", "name"]).ok();
    while pods().contains("pod/") {
        if began.elapsed() > LIMIT {
            bail!("the Pods of {namespace} are not deleted after {LIMIT:?}");
        }
        std::thread::sleep(Duration::from_secs(1));
    }
    Ok(())
}
