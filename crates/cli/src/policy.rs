//! `kubectl scan policy`: where policies are enforced, and what new ones would change.
//!
//! ```text
//! ClusterScanPolicies + WorkloadScans + ImageScans → would_hold → enable → in_force
//! ```

mod disable;
mod enable;
mod in_force;
mod list;
mod would_hold;

use crate::args::{PolicyArgs, PolicyCommand};
use crate::cluster::{self, Cluster};
use crate::exit::{Exit, UsageError};
use anyhow::{Context as _, Result, anyhow};
use kube::api::{ListParams, Patch, PatchParams};
use kube::{Api, ResourceExt as _};
use serde_json::{Value, json};
use tidewaiter_crd::ClusterScanPolicy;
use tidewaiter_crd::names::DEFAULT_POLICY;

/// Runs one of its commands.
pub(crate) fn run(args: &PolicyArgs) -> Result<Exit> {
    match &args.command {
        PolicyCommand::Enable(enable) => enable::run(enable),
        PolicyCommand::Disable { namespaces, cluster } => {
            let namespaces = named(namespaces, cluster.namespace.as_ref())?;
            let cluster = cluster::with_tidewaiter(cluster)?;
            cluster.run(disable::disable(&cluster, &namespaces))
        }
        PolicyCommand::List { cluster } => {
            let cluster = cluster::with_tidewaiter(cluster)?;
            cluster.run(list::list(&cluster))
        }
    }
}

/// The namespaces of a command line, each once.
fn named(namespaces: &[String], option: Option<&String>) -> Result<Vec<String>, UsageError> {
    let mut all: Vec<String> = namespaces.to_vec();
    if all.is_empty() {
        all.extend(option.cloned());
    }
    all.sort();
    all.dedup();
    if all.is_empty() { Err(UsageError("name a namespace".to_owned())) } else { Ok(all) }
}

/// The policies of the cluster, by name.
async fn policies(cluster: &Cluster) -> Result<Vec<ClusterScanPolicy>> {
    let api: Api<ClusterScanPolicy> = Api::all(cluster.client.clone());
    let listed = api.list(&ListParams::default()).await;
    let mut all = listed.map_err(|error| denied(error, "list")).context("listing ClusterScanPolicies")?.items;
    all.sort_by_key(|policy| policy.name_any());
    Ok(all)
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
        assert_eq!(named(&all(&["b", "a", "b"]), Some(&"c".to_owned())).ok(), Some(all(&["a", "b"])));
        assert_eq!(named(&[], Some(&"c".to_owned())).ok(), Some(all(&["c"])));
        assert!(named(&[], None).is_err());
    }
}
