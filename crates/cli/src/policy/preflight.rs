//! `kubectl scan policy preflight`: what would wait or be refused while the server is away.

use super::away::{self, ApiServerGate, PodFate, fate};
use super::templates::WorkloadTemplate;
use super::{enable, in_force, list_in, templates};
use crate::args::PreflightArgs;
use crate::cluster::{self, Cluster};
use crate::exit::Exit;
use crate::terminal::printable;
use crate::{render, stdout};
use anyhow::{Context as _, Result, anyhow};
use k8s_openapi::api::admissionregistration::v1::ValidatingAdmissionPolicyBinding;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{ApiResource, DynamicObject};
use kube::{Api, ResourceExt as _};
use std::collections::{BTreeMap, HashMap};
use tidewaiter_crd::ImageAllowlist;
use tidewaiter_crd::infrastructure::role_of;
use tidewaiter_crd::names::{NAMESPACE, SHAPE};

/// API group whose policies gate and pin in the API server.
const ADMISSION: &str = "admissionregistration.k8s.io/v1";
/// Resource of that group; Kubernetes has it from 1.36 on.
const GATE_BINDINGS: &str = "mutatingadmissionpolicybindings";

/// A workload whose Pods do not start while the server is away.
#[derive(Debug, Clone, PartialEq, Eq)]
struct StrandedWorkload {
    namespace: String,
    workload: String,
    fate: PodFate,
    why: String,
}

/// What was found.
#[derive(Debug)]
struct PreflightResult {
    gate: ApiServerGate,
    /// Workloads that were looked at.
    known: usize,
    stranded: Vec<StrandedWorkload>,
    /// Namespaces of infrastructure that are enforced → how it is known that they are.
    infrastructure: BTreeMap<String, String>,
}

/// Looks, and prints what was found.
pub(super) fn run(args: &PreflightArgs) -> Result<Exit> {
    let cluster = cluster::with_tidewaiter(&args.cluster)?;
    let mut namespaces = args.namespaces.clone();
    if namespaces.is_empty() {
        namespaces.extend(args.cluster.namespace.clone());
    }
    let result = cluster.run(look(&cluster, &namespaces))?;
    stdout::print(&result.text())?;
    Ok(result.exit())
}

/// Looks at these namespaces as if they were enforced; without any at those that are.
async fn look(cluster: &Cluster, namespaces: &[String]) -> Result<PreflightResult> {
    let gate = gate(cluster).await?;
    let (mut workloads, mut lists): (Vec<WorkloadTemplate>, Vec<ImageAllowlist>) = (Vec::new(), Vec::new());
    if namespaces.is_empty() {
        let binding = binding(cluster).await?;
        workloads = templates::read(cluster, None).await?;
        workloads.retain(|workload| in_force::binds(&binding, &workload.namespace));
        lists = list_in(cluster, None).await?;
    } else {
        let api: Api<Namespace> = Api::all(cluster.client.clone());
        for namespace in namespaces {
            enable::exists(api.get(namespace).await, namespace)?;
            workloads.extend(templates::read(cluster, Some(namespace)).await?);
            lists.extend(list_in::<ImageAllowlist>(cluster, Some(namespace)).await?);
        }
    }
    Ok(PreflightResult::of(gate, &workloads, &lists))
}

/// Whether the API server gates and pins by itself.
async fn gate(cluster: &Cluster) -> Result<ApiServerGate> {
    let resources = cluster.client.list_api_group_resources(ADMISSION).await;
    let resources = resources.with_context(|| format!("asking what the API server serves of {ADMISSION}"))?;
    let Some(served) = resources.resources.iter().find(|resource| resource.name == GATE_BINDINGS) else {
        return Ok(ApiServerGate::of(false, &[]));
    };
    let (group, version) = ADMISSION.split_once('/').unwrap_or_default();
    let resource = ApiResource {
        group: group.to_owned(),
        version: version.to_owned(),
        api_version: ADMISSION.to_owned(),
        kind: served.kind.clone(),
        plural: served.name.clone(),
    };
    let api: Api<DynamicObject> = Api::all_with(cluster.client.clone(), &resource);
    let mut bound = Vec::new();
    for name in away::BINDINGS {
        let found = api.get_opt(name).await;
        if found.with_context(|| format!("reading the {} {name}", served.kind))?.is_some() {
            bound.push(name);
        }
    }
    Ok(ApiServerGate::of(true, &bound))
}

/// The binding that names the enforced namespaces.
async fn binding(cluster: &Cluster) -> Result<ValidatingAdmissionPolicyBinding> {
    let api: Api<ValidatingAdmissionPolicyBinding> = Api::all(cluster.client.clone());
    let found = api.get_opt(SHAPE).await;
    let found = found.with_context(|| {
        format!(
            "reading the ValidatingAdmissionPolicyBinding {SHAPE}, which names the enforced namespaces; or name some"
        )
    })?;
    found.ok_or_else(|| {
        anyhow!("nothing is enforced: there is no ValidatingAdmissionPolicyBinding {SHAPE}; is the server running (kubectl -n {NAMESPACE} get pods)?")
    })
}

impl PreflightResult {
    /// Of workloads in namespaces that are enforced, or are looked at as if they were.
    fn of(gate: ApiServerGate, workloads: &[WorkloadTemplate], lists: &[ImageAllowlist]) -> Self {
        let lists: HashMap<String, &ImageAllowlist> =
            lists.iter().map(|list| (list.namespace().unwrap_or_default(), list)).collect();
        let stranded = |one: &WorkloadTemplate| {
            let (fate, why) = fate(&one.spec, lists.get(&one.namespace).copied(), gate);
            let (namespace, workload) = (one.namespace.clone(), one.workload.clone());
            (fate != PodFate::Starts).then_some(StrandedWorkload { namespace, workload, fate, why })
        };
        let mut stranded: Vec<StrandedWorkload> = workloads.iter().filter_map(stranded).collect();
        stranded.sort_by(|a, b| (&a.namespace, &a.workload).cmp(&(&b.namespace, &b.workload)));
        let mut infrastructure = BTreeMap::new();
        for one in workloads {
            if let Some(mark) = mark_of_infrastructure(one) {
                infrastructure.entry(one.namespace.clone()).or_insert(mark);
            }
        }
        PreflightResult { gate, known: workloads.len(), stranded, infrastructure }
    }

    fn exit(&self) -> Exit {
        let is_bound = self.gate != ApiServerGate::Unbound;
        if is_bound && self.stranded.is_empty() && self.infrastructure.is_empty() {
            Exit::Clean
        } else {
            Exit::Violated
        }
    }

    fn text(&self) -> String {
        let mut out = match self.gate {
            ApiServerGate::Bound => "The API server pins approved images and gates others while the server is away.\n",
            ApiServerGate::Unbound => {
                "The API server starts approved digests alone while the server is away: a MutatingAdmissionPolicyBinding \
                 (tidewaiter-gate, tidewaiter-gate-unlisted) is missing, which the server restores within a minute; is it \
                 running (kubectl -n tidewaiter-system get pods)?\n"
            }
            ApiServerGate::Absent => {
                "The API server (before Kubernetes 1.36) starts approved digests alone while the server is away.\n"
            }
        }
        .to_owned();
        if !self.stranded.is_empty() {
            let mut rows = vec![["NAMESPACE", "WORKLOAD", "A NEW POD", "WHY"].map(str::to_owned)];
            rows.extend(self.stranded.iter().map(row));
            out.push_str(&format!("\n{}\n", render::columns(&rows)));
        }
        out.push_str(&self.sum());
        if !self.infrastructure.is_empty() {
            out.push_str(
                "\nInfrastructure that is enforced: what nodes need to start should not wait for the server. To exclude it, add \
                 it to TIDEWAITER_EXCLUDE_NAMESPACES in deploy/tidewaiter.yaml (docs/operations.md):\n",
            );
            let line =
                |(namespace, mark): (&String, &String)| format!("  {}: {}\n", printable(namespace), printable(mark));
            out.extend(self.infrastructure.iter().map(line));
        }
        out
    }

    fn sum(&self) -> String {
        let count = |fate: PodFate| self.stranded.iter().filter(|one| one.fate == fate).count();
        match self.stranded.len() {
            0 => format!("New Pods of all {} workloads start.\n", self.known),
            number => format!(
                "New Pods of {number} of {} workloads do not start meanwhile: {} would wait, {} would be refused. What runs goes on.\n",
                self.known,
                count(PodFate::Waits),
                count(PodFate::Refused)
            ),
        }
    }
}

/// How it is known that a workload is infrastructure: the name of its namespace, or the priority that Kubernetes keeps for what
/// nodes and clusters cannot do without.
fn mark_of_infrastructure(one: &WorkloadTemplate) -> Option<String> {
    let by_priority = || {
        let class = one.spec.priority_class_name.as_deref()?;
        let is_critical = matches!(class, "system-node-critical" | "system-cluster-critical");
        is_critical.then(|| format!("{} has the priority {class}", one.workload))
    };
    role_of(&one.namespace).map(|role| role.to_string()).or_else(by_priority)
}

fn row(one: &StrandedWorkload) -> [String; 4] {
    let fate = match one.fate {
        PodFate::Starts => "starts",
        PodFate::Waits => "waits",
        PodFate::Refused => "is refused",
    };
    [printable(&one.namespace), printable(&one.workload), fate.to_owned(), printable(&one.why)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn workload(namespace: &str, workload: &str, spec: Value) -> WorkloadTemplate {
        let spec = serde_json::from_value(spec).unwrap();
        WorkloadTemplate { namespace: namespace.to_owned(), workload: workload.to_owned(), spec }
    }

    fn images(images: &[&str]) -> Value {
        let one = |image: &&str| json!({"name": "c", "image": image});
        json!({"containers": images.iter().map(one).collect::<Vec<_>>()})
    }

    fn all() -> (Vec<WorkloadTemplate>, Vec<ImageAllowlist>) {
        let approved = format!("r/app@sha256:{}", "a".repeat(64));
        let list = json!({"metadata": {"name": "images", "namespace": "shop"}, "spec": {
            "digests": {format!("sha256:{}", "a".repeat(64)): "approved"}, "images": {"r/app:v1": approved}}});
        let mut critical = images(&["r/net:v1"]);
        critical["priorityClassName"] = json!("system-node-critical");
        let workloads = vec![
            workload("shop", "deployment/web", images(&["r/app:v1"])),
            workload("shop", "deployment/new", images(&["r/new:v1"])),
            workload("shop", "cronjob/nightly", images(&[&approved])),
            workload("kyverno", "deployment/kyverno", images(&["r/kyverno:v1"])),
            workload("our-network", "daemonset/agent", critical),
        ];
        (workloads, vec![serde_json::from_value(list).unwrap()])
    }

    #[test]
    fn what_does_not_start_and_why() {
        let (workloads, lists) = all();
        let of = |gate: ApiServerGate| PreflightResult::of(gate, &workloads, &lists);
        insta::assert_snapshot!(of(ApiServerGate::Bound).text());
        insta::assert_snapshot!(of(ApiServerGate::Absent).text());
        assert_eq!(of(ApiServerGate::Bound).exit(), Exit::Violated);
    }

    #[test]
    fn where_everything_starts_nothing_is_wrong() {
        let (workloads, lists) = all();
        let result = PreflightResult::of(ApiServerGate::Bound, &workloads[..1], &lists);
        let text = "The API server pins approved images and gates others while the server is away.\nNew Pods of all 1 workloads \
                    start.\n";
        assert_eq!((result.text().as_str(), result.exit()), (text, Exit::Clean));
        // What is not bound is wrong by itself.
        let result = PreflightResult::of(ApiServerGate::Unbound, &workloads[2..3], &lists);
        assert!(result.text().contains("tidewaiter-gate-unlisted) is missing"), "{}", result.text());
        assert_eq!((result.stranded.len(), result.exit()), (0, Exit::Violated));
        // Approved infrastructure starts, too, but its next version may not.
        let approved = [workload("cert-manager", "deployment/webhook", images(&[]))];
        let result = PreflightResult::of(ApiServerGate::Bound, &approved, &lists);
        assert_eq!((result.stranded.len(), result.exit()), (0, Exit::Violated));
        assert!(result.text().ends_with("  cert-manager: certificates\n"), "{}", result.text());
    }
}
