//! `kubectl scan policy enable`: lists what enforcement would hold, asks, and enforces.

use super::would_hold::{self, by_image, would_hold};
use super::{in_force, named, patch, policies, to_change};
use crate::args::EnableArgs;
use crate::cluster::{self, Cluster};
use crate::exit::{Exit, UsageError};
use crate::terminal::printable;
use anyhow::{Context as _, Result};
use kube::api::ListParams;
use kube::core::NamespaceResourceScope;
use kube::{Api, Resource, ResourceExt as _};
use serde::de::DeserializeOwned;
use serde_json::json;
use std::fmt::Debug;
use std::io::{self, IsTerminal as _, Write as _};
use tidewaiter_crd::policy::{ApprovalMode, Mode, applying};
use tidewaiter_crd::{ClusterScanPolicy, ImageScan, WorkloadScan};

/// A policy that is to be enforced in more namespaces.
#[derive(Debug)]
struct PolicyChange<'a> {
    policy: &'a ClusterScanPolicy,
    /// Its namespaces to enforce; none: all that it applies to.
    namespaces: Vec<String>,
}

/// What a command line asks for.
#[derive(Debug)]
struct EnforcementPlan<'a> {
    changes: Vec<PolicyChange<'a>>,
    /// Namespaces that are enforced already.
    enforced: Vec<String>,
}

/// Lists, asks and changes.
pub(crate) fn run(args: &EnableArgs) -> Result<Exit> {
    let namespaces = if args.all { Vec::new() } else { named(&args.namespaces, args.cluster.namespace.as_ref())? };
    let cluster = cluster::with_tidewaiter(&args.cluster)?;
    cluster.run(async {
        let policies = policies(&cluster).await?;
        let plan = if args.all { plan_for_all(&policies) } else { plan_for(&policies, &namespaces) };
        let mut out = io::stdout();
        for namespace in &plan.enforced {
            writeln!(out, "{} is enforced already", printable(namespace))?;
        }
        if plan.changes.is_empty() {
            return Ok(Exit::Clean);
        }
        write!(out, "{}", preview(&cluster, &policies, &plan, args.all).await?)?;
        if args.dry_run {
            return Ok(Exit::Clean);
        }
        if !args.yes && !confirmed()? {
            writeln!(out, "nothing was changed")?;
            return Ok(Exit::Clean);
        }
        for change in &plan.changes {
            write!(out, "{}", apply(&cluster, change).await?)?;
        }
        Ok(Exit::Clean)
    })
}

/// Which policies get which namespaces.
fn plan_for<'a>(policies: &'a [ClusterScanPolicy], namespaces: &[String]) -> EnforcementPlan<'a> {
    let mut plan = EnforcementPlan { changes: Vec::new(), enforced: Vec::new() };
    for namespace in namespaces {
        let all = applying(policies, namespace);
        let is_enforced = all.iter().any(|policy| policy.spec.mode_in(namespace) == Mode::Enforce);
        match to_change(&all).filter(|_| !is_enforced) {
            None => plan.enforced.push(namespace.clone()),
            Some(policy) => {
                match plan.changes.iter_mut().find(|change| change.policy.name_any() == policy.name_any()) {
                    Some(change) => change.namespaces.push(namespace.clone()),
                    None => plan.changes.push(PolicyChange { policy, namespaces: vec![namespace.clone()] }),
                }
            }
        }
    }
    plan
}

/// The policy that names no namespace, where none of them is enforced.
fn plan_for_all(policies: &[ClusterScanPolicy]) -> EnforcementPlan<'_> {
    // No policy names an empty name.
    let all = applying(policies, "");
    let is_enforced = all.iter().any(|policy| policy.spec.mode == Mode::Enforce);
    match to_change(&all).filter(|_| !is_enforced) {
        Some(policy) => {
            EnforcementPlan { changes: vec![PolicyChange { policy, namespaces: Vec::new() }], enforced: Vec::new() }
        }
        None => {
            EnforcementPlan { changes: Vec::new(), enforced: vec!["every namespace that no policy names".to_owned()] }
        }
    }
}

/// What the plan would hold, as the cluster knows it.
async fn preview(
    cluster: &Cluster,
    policies: &[ClusterScanPolicy],
    plan: &EnforcementPlan<'_>,
    everywhere: bool,
) -> Result<String> {
    let mut workloads: Vec<WorkloadScan> = Vec::new();
    let mut scans: Vec<ImageScan> = Vec::new();
    if everywhere {
        workloads = list(cluster, None).await?;
        workloads.retain(|workload| becomes_enforced(policies, &workload.namespace().unwrap_or_default()));
        scans = list(cluster, None).await?;
    } else {
        for namespace in plan.changes.iter().flat_map(|change| &change.namespaces) {
            workloads.extend(list::<WorkloadScan>(cluster, Some(namespace)).await?);
            scans.extend(list::<ImageScan>(cluster, Some(namespace)).await?);
        }
    }
    let held = would_hold(&workloads, &by_image(&scans));
    let mut text = would_hold::text(&held, workloads.len());
    for PolicyChange { policy, .. } in plan.changes.iter().filter(|c| c.policy.spec.approval == ApprovalMode::Manual) {
        text.push_str(&format!(
            "By ClusterScanPolicy {} every rollout waits for a person's approval, too.\n",
            policy.name_any()
        ));
    }
    Ok(text)
}

/// Whether `--all` changes something in a namespace.
fn becomes_enforced(policies: &[ClusterScanPolicy], namespace: &str) -> bool {
    let all = applying(policies, namespace);
    all.iter().all(|policy| policy.spec.namespaces.is_empty() && policy.spec.mode_in(namespace) != Mode::Enforce)
}

async fn list<K>(cluster: &Cluster, namespace: Option<&str>) -> Result<Vec<K>>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + DeserializeOwned + Debug,
{
    let api: Api<K> = match namespace {
        Some(namespace) => Api::namespaced(cluster.client.clone(), namespace),
        None => Api::all(cluster.client.clone()),
    };
    let found = api.list(&ListParams::default()).await;
    Ok(found.with_context(|| format!("listing {}", K::plural(&())))?.items)
}

/// Asks on a terminal; nobody else answers.
fn confirmed() -> Result<bool> {
    if !io::stdin().is_terminal() {
        return Err(
            UsageError("nothing was changed; add --yes to enforce it, or --dry-run to list only".to_owned()).into()
        );
    }
    write!(io::stderr(), "Enforce it? [y/N] ")?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

/// Changes a policy; returns what to say about it.
async fn apply(cluster: &Cluster, change: &PolicyChange<'_>) -> Result<String> {
    let PolicyChange { policy, namespaces } = change;
    let name = policy.name_any();
    if namespaces.is_empty() {
        patch(cluster, policy, json!({"mode": Mode::Enforce})).await?;
        // No namespace has an empty name: no policy names it.
        in_force::wait(cluster, &[String::new()], true).await;
        return Ok(format!("ClusterScanPolicy {name} is enforced in every namespace that no policy names\n"));
    }
    let mut all = policy.spec.enforced_namespaces.clone();
    all.extend(namespaces.iter().cloned());
    patch(cluster, policy, json!({"enforcedNamespaces": all})).await?;
    in_force::wait(cluster, namespaces, true).await;
    let one = |namespace: &String| {
        format!("ClusterScanPolicy {name} is enforced in {namespace}; back: kubectl scan policy disable {namespace}\n")
    };
    Ok(namespaces.iter().map(one).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn policy(name: &str, spec: Value) -> ClusterScanPolicy {
        ClusterScanPolicy::new(name, serde_json::from_value(spec).unwrap())
    }

    fn summary(plan: &EnforcementPlan<'_>) -> (Vec<String>, Vec<String>) {
        let changes = plan.changes.iter().map(|c| format!("{} {}", c.policy.name_any(), c.namespaces.join(",")));
        (changes.collect(), plan.enforced.clone())
    }

    #[test]
    fn the_policy_that_applies_is_changed() {
        let names = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let check = |policies: &[ClusterScanPolicy], changes: &[&str], enforced: &[&str]| {
            let found = summary(&plan_for(policies, &names(&["a", "b"])));
            assert_eq!(found, (names(changes), names(enforced)));
        };
        let warn = || policy("default", json!({"mode": "Warn"}));
        check(&[warn()], &["default a,b"], &[]);
        // Without a policy everything is enforced.
        check(&[], &[], &["a", "b"]);
        check(&[policy("default", json!({}))], &[], &["a", "b"]);
        check(&[policy("default", json!({"mode": "Warn", "enforcedNamespaces": ["a"]}))], &["default b"], &["a"]);
        let own = |mode: &str| policy("own", json!({"mode": mode, "namespaces": ["b"]}));
        check(&[warn(), own("Audit")], &["default a", "own b"], &[]);
        check(&[warn(), own("Enforce")], &["default a"], &["b"]);
        // One of several that is enforced makes the namespace so.
        check(&[warn(), policy("strict", json!({}))], &[], &["a", "b"]);
    }

    #[test]
    fn all_is_the_policy_that_names_no_namespace() {
        let check = |policies: &[ClusterScanPolicy], change: Option<&str>, becomes: &[(&str, bool)]| {
            let plan = plan_for_all(policies);
            assert_eq!(plan.changes.first().map(|c| c.policy.name_any()).as_deref(), change);
            assert_eq!(plan.enforced.is_empty(), change.is_some());
            for (namespace, expected) in becomes {
                assert_eq!(becomes_enforced(policies, namespace), *expected, "{namespace}");
            }
        };
        check(&[], None, &[]);
        check(&[policy("default", json!({}))], None, &[]);
        let warn = policy("default", json!({"mode": "Warn", "enforcedNamespaces": ["c"]}));
        let own = policy("own", json!({"mode": "Audit", "namespaces": ["b"]}));
        check(&[own.clone(), warn], Some("default"), &[("a", true), ("b", false), ("c", false)]);
        check(&[own], None, &[]);
    }
}
