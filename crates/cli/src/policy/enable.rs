//! `kubectl scan policy enable`: lists what enforcement would hold, asks, and enforces.

use super::labels;
use super::present::{PresentPolicies, approvals};
use super::would_hold::{self, by_image, would_hold};
use super::{enforced_by_its_own, in_force, list_in, named, own_policies, own_policies_of, patch, policies, to_change};
use crate::args::EnableArgs;
use crate::cluster::{self, Cluster};
use crate::exit::{Exit, UsageError};
use crate::terminal::printable;
use anyhow::{Context as _, Result};
use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, ResourceExt as _};
use serde_json::json;
use std::io::{self, IsTerminal as _, Write as _};
use tidewaiter_crd::policy::Mode;
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
    let how = "kubectl scan policy enable team-a; or --all";
    let namespaces = if args.all { Vec::new() } else { named(&args.namespaces, args.cluster.namespace.as_ref(), how)? };
    let cluster = cluster::with_tidewaiter(&args.cluster)?;
    cluster.run(async {
        let present = read(&cluster, if args.all { None } else { Some(&namespaces) }).await?;
        let plan = if args.all { plan_for_all(&present.of_cluster) } else { plan_for(&present, &namespaces) };
        let mut out = io::stdout();
        for namespace in &plan.enforced {
            writeln!(out, "{} is enforced already", printable(namespace))?;
        }
        if plan.changes.is_empty() {
            return Ok(Exit::Clean);
        }
        write!(out, "{}", preview(&cluster, &present, &plan, args.all).await?)?;
        if args.dry_run {
            return Ok(Exit::Clean);
        }
        if !args.yes && !confirmed()? {
            writeln!(out, "nothing was changed")?;
            return Ok(Exit::Clean);
        }
        let mut exit = Exit::Clean;
        for change in &plan.changes {
            let (said, of_change) = apply(&cluster, &present, change).await?;
            write!(out, "{said}")?;
            exit = if of_change == Exit::Clean { exit } else { of_change };
        }
        Ok(exit)
    })
}

/// The policies of the cluster, and those of the namespaces, which must be there, or of all.
async fn read(cluster: &Cluster, namespaces: Option<&[String]>) -> Result<PresentPolicies> {
    let of_cluster = policies(cluster).await?;
    let Some(namespaces) = namespaces else {
        let labels = labels::read(cluster, &of_cluster, None).await?;
        return Ok(PresentPolicies { of_cluster, own: own_policies(cluster, None).await?, labels });
    };
    let api: Api<Namespace> = Api::all(cluster.client.clone());
    for namespace in namespaces {
        exists(api.get(namespace).await, namespace)?;
    }
    let labels = labels::read(cluster, &of_cluster, Some(namespaces)).await?;
    Ok(PresentPolicies { of_cluster, own: own_policies_of(cluster, namespaces).await?, labels })
}

/// Refuses a namespace that there is not: its name would be enforced, and nothing else. Who may not read it may name it.
pub(super) fn exists(found: Result<Namespace, kube::Error>, name: &str) -> Result<()> {
    match found {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 404 => {
            let shown = printable(name);
            Err(UsageError(format!("there is no namespace {shown}; kubectl get namespaces lists them")).into())
        }
        Err(kube::Error::Api(status)) if status.code == 403 => Ok(()),
        Err(error) => Err(error).with_context(|| format!("reading the namespace {}", printable(name))),
    }
}

/// Which policies get which namespaces.
fn plan_for<'a>(present: &'a PresentPolicies, namespaces: &[String]) -> EnforcementPlan<'a> {
    let mut plan = EnforcementPlan { changes: Vec::new(), enforced: Vec::new() };
    for namespace in namespaces {
        let all = present.applying(namespace);
        let is_enforced = all.iter().any(|policy| policy.spec.mode_in(namespace) == Mode::Enforce)
            || enforced_by_its_own(&present.own, namespace).is_some();
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

/// The policy that chooses no namespace, where none of them is enforced.
fn plan_for_all(policies: &[ClusterScanPolicy]) -> EnforcementPlan<'_> {
    let all: Vec<&ClusterScanPolicy> = policies.iter().filter(|policy| policy.spec.is_for_others()).collect();
    let is_enforced = all.iter().any(|policy| policy.spec.mode == Mode::Enforce);
    match to_change(&all).filter(|_| !is_enforced) {
        Some(policy) => {
            EnforcementPlan { changes: vec![PolicyChange { policy, namespaces: Vec::new() }], enforced: Vec::new() }
        }
        None => {
            EnforcementPlan { changes: Vec::new(), enforced: vec!["every namespace that no policy chooses".to_owned()] }
        }
    }
}

/// What the plan would hold, as the cluster knows it.
async fn preview(
    cluster: &Cluster,
    present: &PresentPolicies,
    plan: &EnforcementPlan<'_>,
    everywhere: bool,
) -> Result<String> {
    let mut workloads: Vec<WorkloadScan> = Vec::new();
    let mut scans: Vec<ImageScan> = Vec::new();
    if everywhere {
        workloads = list_in(cluster, None).await?;
        workloads.retain(|workload| becomes_enforced(present, &workload.namespace().unwrap_or_default()));
        scans = list_in(cluster, None).await?;
    } else {
        for namespace in plan.changes.iter().flat_map(|change| &change.namespaces) {
            workloads.extend(list_in::<WorkloadScan>(cluster, Some(namespace)).await?);
            scans.extend(list_in::<ImageScan>(cluster, Some(namespace)).await?);
        }
    }
    let held = would_hold(&workloads, &by_image(&scans));
    let mut namespaces: Vec<String> = plan.changes.iter().flat_map(|change| change.namespaces.clone()).collect();
    if everywhere {
        // What applies to the empty name applies to every namespace without labels that no policy names.
        namespaces.push(String::new());
        namespaces
            .extend(present.own.iter().filter_map(|own| own.namespace()).filter(|n| becomes_enforced(present, n)));
    }
    Ok(would_hold::text(&held, workloads.len()) + &approvals(present, &namespaces))
}

/// Whether `--all` changes something in a namespace.
fn becomes_enforced(present: &PresentPolicies, namespace: &str) -> bool {
    let all = present.applying(namespace);
    all.iter().all(|policy| policy.spec.is_for_others() && policy.spec.mode_in(namespace) != Mode::Enforce)
        && enforced_by_its_own(&present.own, namespace).is_none()
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

/// The namespaces whose bindings show that the policy for all others is enforced. No namespace has an empty name: bindings treat
/// it as one that is made later, without labels, which a policy may choose that is not changed.
fn shown_by(present: &PresentPolicies) -> Vec<String> {
    let is_for_others = present.applying("").iter().all(|policy| policy.spec.is_for_others());
    is_for_others.then(String::new).into_iter().collect()
}

/// Changes a policy; returns what to say about it, and the exit code.
async fn apply(cluster: &Cluster, present: &PresentPolicies, change: &PolicyChange<'_>) -> Result<(String, Exit)> {
    let PolicyChange { policy, namespaces } = change;
    let name = format!("ClusterScanPolicy {}", policy.name_any());
    if namespaces.is_empty() {
        patch(cluster, policy, json!({"mode": Mode::Enforce})).await?;
        let state = in_force::wait(cluster, &shown_by(present), true).await;
        let done = format!("{name} is enforced in every namespace that no policy chooses");
        return Ok((state.message(&name, done) + "\n", state.exit()));
    }
    let mut all = policy.spec.enforced_namespaces.clone();
    all.extend(namespaces.iter().cloned());
    patch(cluster, policy, json!({"enforcedNamespaces": all})).await?;
    let state = in_force::wait(cluster, namespaces, true).await;
    let one = |namespace: &String| {
        format!("{name} is enforced in {namespace}; back: kubectl scan policy disable {namespace}")
    };
    let done: Vec<String> = namespaces.iter().map(one).collect();
    Ok((state.message(&name, done.join("\n")) + "\n", state.exit()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::present::tests::{policy, present, scan_policy};

    /// `present` with namespaces that have the label `gate=on`.
    fn labelled(of_cluster: &[ClusterScanPolicy], names: &[&str]) -> PresentPolicies {
        let mut all = present(of_cluster);
        for name in names {
            let object = json!({"metadata": {"name": name, "labels": {"gate": "on"}}});
            all.labels.add(serde_json::from_value(object).unwrap());
        }
        all
    }

    fn summary(plan: &EnforcementPlan<'_>) -> (Vec<String>, Vec<String>) {
        let changes = plan.changes.iter().map(|c| format!("{} {}", c.policy.name_any(), c.namespaces.join(",")));
        (changes.collect(), plan.enforced.clone())
    }

    #[test]
    fn the_policy_that_applies_is_changed() {
        let names = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let check = |policies: &[ClusterScanPolicy], changes: &[&str], enforced: &[&str]| {
            let found = summary(&plan_for(&present(policies), &names(&["a", "b"])));
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
        // The people of a namespace enforce it themselves.
        let mut all = present(&[warn()]);
        all.own = vec![scan_policy("a", json!({"mode": "Enforce"})), scan_policy("b", json!({"mode": "Warn"}))];
        let found = summary(&plan_for(&all, &names(&["a", "b"])));
        assert_eq!(found, (names(&["default b"]), names(&["a"])));
        assert!(!becomes_enforced(&all, "a") && becomes_enforced(&all, "b"));
        // A label chooses the policy of one of them.
        let by_label =
            |mode: &str| policy("on", json!({"mode": mode, "namespaceSelector": {"matchLabels": {"gate": "on"}}}));
        let check = |mode: &str, changes: &[&str], enforced: &[&str]| {
            let all = labelled(&[warn(), by_label(mode)], &["b"]);
            assert_eq!(summary(&plan_for(&all, &names(&["a", "b"]))), (names(changes), names(enforced)), "{mode}");
            assert!(becomes_enforced(&all, "a") && !becomes_enforced(&all, "b"));
        };
        check("Warn", &["default a", "on b"], &[]);
        check("Enforce", &["default a"], &["b"]);
    }

    #[test]
    fn a_namespace_that_there_is_not_is_refused() {
        let status = |code: u16| kube::core::Status::failure("no", "No").with_code(code);
        let error = |code: u16| Err(kube::Error::Api(Box::new(status(code))));
        assert!(exists(Ok(Namespace::default()), "shop").is_ok() && exists(error(403), "shop").is_ok());
        let missing = exists(error(404), "shpo").unwrap_err();
        assert!(
            missing.is::<UsageError>() && missing.to_string().starts_with("there is no namespace shpo"),
            "{missing}"
        );
        assert!(!exists(error(500), "shop").unwrap_err().is::<UsageError>());
    }

    #[test]
    fn all_is_the_policy_that_names_no_namespace() {
        let check = |policies: &[ClusterScanPolicy], change: Option<&str>, becomes: &[(&str, bool)]| {
            let plan = plan_for_all(policies);
            assert_eq!(plan.changes.first().map(|c| c.policy.name_any()).as_deref(), change);
            assert_eq!(plan.enforced.is_empty(), change.is_some());
            for (namespace, expected) in becomes {
                assert_eq!(becomes_enforced(&present(policies), namespace), *expected, "{namespace}");
            }
        };
        check(&[], None, &[]);
        check(&[policy("default", json!({}))], None, &[]);
        let warn = policy("default", json!({"mode": "Warn", "enforcedNamespaces": ["c"]}));
        let own = policy("own", json!({"mode": "Audit", "namespaces": ["b"]}));
        check(&[own.clone(), warn], Some("default"), &[("a", true), ("b", false), ("c", false)]);
        check(&[own], None, &[]);
        // One that selects by labels is none for all others.
        let unlabelled = json!({"mode": "Warn",
            "namespaceSelector": {"matchExpressions": [{"key": "gate", "operator": "DoesNotExist"}]}});
        let others = policy("default", json!({"mode": "Warn"}));
        assert_eq!(shown_by(&present(std::slice::from_ref(&others))), [""]);
        assert_eq!(shown_by(&present(&[others, policy("unlabelled", unlabelled)])), [""; 0]);
        check(&[policy("every", json!({"mode": "Warn", "namespaceSelector": {}}))], None, &[("a", false)]);
    }
}
