//! `kubectl scan policy`: where policies are enforced, and what new ones would change.
//!
//! ```text
//! policy file + reports, images or stored reports → judge, live → outcome
//! ClusterScanPolicies + WorkloadScans + ImageScans → would_hold → enable → in_force
//! templates + ImageAllowlists → away → preflight
//! ```

mod away;
mod disable;
mod enable;
mod in_force;
mod judge;
mod labels;
mod list;
mod live;
mod outcome;
mod preflight;
mod present;
mod templates;
mod test;
mod would_hold;

use crate::args::{PolicyArgs, PolicyCommand};
use crate::cluster::{self, Cluster};
use crate::exit::{Exit, UsageError};
use anyhow::{Context as _, Result, anyhow};
use kube::api::{ListParams, Patch, PatchParams};
use kube::core::NamespaceResourceScope;
use kube::{Api, Resource, ResourceExt as _};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::fmt::Debug;
use tidewaiter_crd::names::DEFAULT_POLICY;
use tidewaiter_crd::policy::Mode;
use tidewaiter_crd::{ClusterScanPolicy, ScanPolicy};

/// Runs one of its commands.
pub(crate) fn run(args: &PolicyArgs) -> Result<Exit> {
    match &args.command {
        PolicyCommand::Enable(enable) => enable::run(enable),
        PolicyCommand::Disable { namespaces, cluster } => {
            let how = "kubectl scan policy disable team-a";
            let namespaces = named(namespaces, cluster.namespace.as_ref(), how)?;
            let cluster = cluster::with_tidewaiter(cluster)?;
            cluster.run(disable::disable(&cluster, &namespaces))
        }
        PolicyCommand::Preflight(args) => preflight::run(args),
        PolicyCommand::Test(args) => test::run(args),
        PolicyCommand::List { cluster } => {
            let cluster = cluster::with_tidewaiter(cluster)?;
            cluster.run(list::list(&cluster))
        }
    }
}

/// The namespaces of a command line, each once; `how` is an example for a line that names none.
fn named(namespaces: &[String], option: Option<&String>, how: &str) -> Result<Vec<String>, UsageError> {
    let mut all: Vec<String> = namespaces.to_vec();
    if all.is_empty() {
        all.extend(option.cloned());
    }
    all.sort();
    all.dedup();
    if all.is_empty() { Err(UsageError(format!("name a namespace, as in: {how}"))) } else { Ok(all) }
}

/// The policies of the cluster, by name.
async fn policies(cluster: &Cluster) -> Result<Vec<ClusterScanPolicy>> {
    let api: Api<ClusterScanPolicy> = Api::all(cluster.client.clone());
    let listed = api.list(&ListParams::default()).await;
    let mut all = listed.map_err(|error| denied(error, "list")).context("listing ClusterScanPolicies")?.items;
    all.sort_by_key(|policy| policy.name_any());
    Ok(all)
}

/// The ScanPolicies of a namespace, or of all, by namespace and name. None where they cannot be listed by the caller or are
/// not served: the policies of the cluster are what is asked about.
async fn own_policies(cluster: &Cluster, namespace: Option<&str>) -> Result<Vec<ScanPolicy>> {
    match list_in::<ScanPolicy>(cluster, namespace).await {
        Ok(mut all) => {
            all.sort_by_key(|policy| (policy.namespace(), policy.name_any()));
            Ok(all)
        }
        Err(error) if matches!(error.downcast_ref(), Some(kube::Error::Api(status)) if matches!(status.code, 403 | 404)) => {
            Ok(Vec::new())
        }
        Err(error) => Err(error),
    }
}

/// The ScanPolicies of these namespaces.
async fn own_policies_of(cluster: &Cluster, namespaces: &[String]) -> Result<Vec<ScanPolicy>> {
    let mut all = Vec::new();
    for namespace in namespaces {
        all.extend(own_policies(cluster, Some(namespace)).await?);
    }
    Ok(all)
}

/// The ScanPolicy by which the people of a namespace enforce it themselves.
fn enforced_by_its_own<'a>(own: &'a [ScanPolicy], namespace: &str) -> Option<&'a ScanPolicy> {
    let is_here = |policy: &&ScanPolicy| policy.metadata.namespace.as_deref() == Some(namespace);
    own.iter().filter(is_here).find(|policy| policy.spec.mode == Some(Mode::Enforce))
}

/// The objects of a namespace, or of all.
async fn list_in<K>(cluster: &Cluster, namespace: Option<&str>) -> Result<Vec<K>>
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

/// The policy to change of those that apply: the default one, else the first by name.
fn to_change<'a>(applying: &[&'a ClusterScanPolicy]) -> Option<&'a ClusterScanPolicy> {
    let default = applying.iter().find(|policy| policy.name_any() == DEFAULT_POLICY);
    default.or_else(|| applying.iter().min_by_key(|policy| policy.name_any())).copied()
}

/// Changes fields of a policy, as long as it is the one that was read.
async fn patch(cluster: &Cluster, policy: &ClusterScanPolicy, spec: Value) -> Result<()> {
    let api: Api<ClusterScanPolicy> = Api::all(cluster.client.clone());
    let name = policy.name_any();
    let change = json!({"metadata": {"resourceVersion": policy.resource_version()}, "spec": spec});
    match api.patch(&name, &PatchParams::default(), &Patch::Merge(change)).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 409 => {
            Err(anyhow!("the ClusterScanPolicy {name} was changed meanwhile; run the command again"))
        }
        Err(error) => Err(denied(error, "patch")).with_context(|| format!("changing the ClusterScanPolicy {name}")),
    }
}

/// Says who may, where the API server only says who may not.
fn denied(error: kube::Error, verb: &str) -> anyhow::Error {
    match error {
        kube::Error::Api(status) if status.code == 403 => anyhow!(
            "you may not {verb} clusterscanpolicies.tidewaiter.dev ({}); who may patch them in the whole cluster decides where \
             policies are enforced: ask an administrator of the cluster",
            status.message
        ),
        error => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_policy_is_changed_before_others() {
        let check = |names: &[&str], expected: Option<&str>| {
            let one =
                |name: &&str| ClusterScanPolicy::new(name, tidewaiter_crd::policy::ClusterScanPolicySpec::default());
            let all: Vec<_> = names.iter().map(one).collect();
            let found = to_change(&all.iter().collect::<Vec<_>>()).map(|policy| policy.name_any());
            assert_eq!(found.as_deref(), expected, "{names:?}");
        };
        check(&[], None);
        check(&["z", "b"], Some("b"));
        check(&["a", "default"], Some("default"));
    }

    #[test]
    fn namespaces_are_named() {
        let all = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert_eq!(named(&all(&["b", "a", "b"]), Some(&"c".to_owned()), "").ok(), Some(all(&["a", "b"])));
        assert_eq!(named(&[], Some(&"c".to_owned()), "").ok(), Some(all(&["c"])));
        let error = named(&[], None, "do it").unwrap_err().to_string();
        assert_eq!(error, "name a namespace, as in: do it");
    }
}
