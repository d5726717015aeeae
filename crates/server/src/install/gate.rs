//! The gate in the API server: policies that gate and pin new Pods while the server is away (ADR 0020). Kubernetes has them from
//! 1.36 on; where it does not serve them, nothing is installed, and new Pods by tag are refused meanwhile.

use super::{IN_FORCE_ATTEMPTS, IN_FORCE_PAUSE, manifests, registration};
use crate::context::ServerContext;
use crate::decide::enforced::NamespaceSelection;
use crate::decide::marks::annotation;
use anyhow::{Context as _, Result};
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{APIResourceList, OwnerReference};
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use std::sync::Arc;
pub(super) use tidewaiter_crd::names::GATE_POLICIES as GATES;
use tidewaiter_crd::names::{ALLOWLIST, FIELD_MANAGER, IN_FORCE_PROBE, NAMESPACE, UNREVIEWED};

const GATE: &str = include_str!("gate.yaml");
/// The policy that pins by the ImageAllowlist, and gates what it does not name.
const LISTED: &str = GATES[0];
/// The policy that gates where there is no ImageAllowlist.
const UNLISTED: &str = GATES[1];
/// The policy whose mark shows that all others are in force: it is bound last.
const IN_FORCE: &str = GATES[2];

const VERSION: &str = "admissionregistration.k8s.io/v1";

/// The kinds by their plural names; the bindings first, as they are deleted.
pub(super) const KINDS: [(&str, &str); 2] = [
    ("MutatingAdmissionPolicyBinding", "mutatingadmissionpolicybindings"),
    ("MutatingAdmissionPolicy", "mutatingadmissionpolicies"),
];

/// Access to the objects of one of [`KINDS`].
pub(super) fn api(client: &Client, (kind, plural): (&str, &str)) -> Api<DynamicObject> {
    let (group, version) = VERSION.split_once('/').unwrap_or_default();
    let resource = ApiResource {
        group: group.to_owned(),
        version: version.to_owned(),
        api_version: VERSION.to_owned(),
        kind: kind.to_owned(),
        plural: plural.to_owned(),
    };
    Api::all_with(client.clone(), &resource)
}

/// Whether this API server has such policies.
pub(super) async fn is_served(client: &Client) -> Result<bool> {
    let resources = client.list_api_group_resources(VERSION).await;
    Ok(serves(&resources.with_context(|| format!("asking what the API server serves of {VERSION}"))?))
}

fn serves(resources: &APIResourceList) -> bool {
    KINDS.iter().all(|(_, plural)| resources.resources.iter().any(|resource| resource.name == *plural))
}

/// Says what is promised while the server is away, once it is in force.
pub(super) async fn report(ctx: Arc<ServerContext>) {
    let is_in_force = match is_served(&ctx.client).await {
        Ok(true) => in_force(&ctx.client).await.map(Some),
        Ok(false) => Ok(None),
        Err(error) => Err(error),
    };
    match is_in_force {
        Ok(Some(true)) => {
            tracing::info!("while tidewaiter is away, the API server pins approved images and gates others")
        }
        Ok(Some(false)) => tracing::warn!(
            "the API server does not apply the policies {}: while tidewaiter is away, new Pods may be refused that should \
             start or wait; see: kubectl describe mutatingadmissionpolicies",
            GATES.join(", ")
        ),
        Ok(None) => tracing::info!(
            "this API server has no MutatingAdmissionPolicies (Kubernetes 1.36 and later): while tidewaiter is away, new Pods \
             start by approved digests alone, and others are refused until it is back; see docs/operations.md"
        ),
        Err(error) => tracing::warn!("{error:#}"),
    }
}

/// Waits until the API server applies the policies, which it compiles asynchronously: the one that is bound last marks a dry run.
/// Nothing depends on it while the server runs, so that its absence stops nothing.
async fn in_force(client: &Client) -> Result<bool> {
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), NAMESPACE);
    let probe = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": IN_FORCE_PROBE}});
    // Applied, not posted: the server may create by name alone.
    let dry = PatchParams { dry_run: true, ..PatchParams::apply(FIELD_MANAGER) };
    for _ in 0..IN_FORCE_ATTEMPTS {
        let made = api
            .patch(IN_FORCE_PROBE, &dry, &Patch::Apply(&probe))
            .await
            .context("asking whether the gate in the API server is in force")?;
        if annotation(&made.metadata, UNREVIEWED) {
            return Ok(true);
        }
        tokio::time::sleep(IN_FORCE_PAUSE).await;
    }
    Ok(false)
}

/// Applies the policies and their bindings, where the API server has them.
pub(super) async fn apply(
    ctx: &ServerContext,
    enforced: &NamespaceSelection,
    owner: Option<&[OwnerReference]>,
) -> Result<()> {
    if !is_served(&ctx.client).await? {
        return Ok(());
    }
    let [binding, policy] = KINDS;
    let policies = policies()?.into_iter().map(|object| (policy, object));
    for (kind, object) in policies.chain(bindings(enforced).into_iter().map(|object| (binding, object))) {
        registration::put(&api(&ctx.client, kind), kind.0, object, owner).await?;
    }
    Ok(())
}

/// The policies of the gate.
///
/// # Errors
/// When the compiled-in file is not YAML.
fn policies() -> Result<Vec<Value>> {
    serde_saphyr::from_multiple(GATE).context("gate.yaml")
}

/// One binding per policy, for the namespaces that the backstop enforces.
fn bindings(enforced: &NamespaceSelection) -> Vec<Value> {
    let enforced = json!({"namespaceSelector": manifests::requirement(enforced)});
    let here = NamespaceSelection::Only(vec![NAMESPACE.to_owned()]);
    let listed = json!({"name": ALLOWLIST, "parameterNotFoundAction": "Allow"});
    vec![
        binding(LISTED, json!({"matchResources": enforced, "paramRef": listed})),
        binding(UNLISTED, json!({"matchResources": enforced})),
        binding(IN_FORCE, json!({"matchResources": {"namespaceSelector": manifests::requirement(&here)}})),
    ]
}

fn binding(name: &str, mut spec: Value) -> Value {
    spec["policyName"] = json!(name);
    json!({"apiVersion": VERSION, "kind": KINDS[0].0, "metadata": {"name": name}, "spec": spec})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::marks::metadata_path;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::APIResource;
    use tidewaiter_crd::names::{GATE as SCHEDULING_GATE, GATED};

    #[test]
    fn where_it_is_served() {
        let check = |names: &[&str], expected: bool| {
            let one = |name: &&str| APIResource { name: (*name).to_owned(), ..APIResource::default() };
            let resources =
                APIResourceList { resources: names.iter().map(one).collect(), ..APIResourceList::default() };
            assert_eq!(serves(&resources), expected, "{names:?}");
        };
        check(&[], false);
        // 1.30 to 1.35.
        check(
            &["mutatingwebhookconfigurations", "validatingadmissionpolicies", "validatingadmissionpolicies/status"],
            false,
        );
        check(&["mutatingadmissionpolicies"], false);
        check(&["mutatingadmissionpolicies", "validatingadmissionpolicies", "mutatingadmissionpolicybindings"], true);
    }

    #[test]
    fn the_policies_are_bound_as_the_backstop_is() {
        let names = |list: &[Value]| list.iter().map(|v| v["metadata"]["name"].clone()).collect::<Vec<_>>();
        let policies = policies().unwrap();
        assert_eq!(names(&policies), GATES);
        let check = |enforced: &NamespaceSelection| {
            let bindings = bindings(enforced);
            assert_eq!(names(&bindings), GATES);
            let backstop = manifests::bindings(enforced);
            let shape = backstop.iter().find(|b| b["metadata"]["name"] == manifests::SHAPE).unwrap();
            let same = |b: &Value| b["spec"]["matchResources"] == shape["spec"]["matchResources"];
            assert!(bindings[..2].iter().all(same), "{bindings:?}");
        };
        check(&NamespaceSelection::AllBut(vec!["kube-system".to_owned()]));
        check(&NamespaceSelection::Only(vec![]));
        check(&NamespaceSelection::Only(vec!["a".to_owned()]));
    }

    /// What fails in them is for the webhook and the backstop; both passes are needed; names are those of the code.
    #[test]
    fn the_policies_refuse_nothing_themselves() {
        let policies = policies().unwrap();
        for policy in &policies {
            assert_eq!(policy["spec"]["failurePolicy"], "Ignore");
            assert_eq!(policy["spec"]["reinvocationPolicy"], "IfNeeded");
        }
        for policy in &policies[..2] {
            let text = policy.to_string();
            for name in [SCHEDULING_GATE, GATED, UNREVIEWED, &metadata_path("annotations", UNREVIEWED)] {
                assert!(text.contains(name), "{name}");
            }
        }
    }
}
