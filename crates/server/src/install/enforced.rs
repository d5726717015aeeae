//! The memory of what is enforced, and what is done about an interruption.

use super::{Application, manifests};
use crate::context::ServerContext;
use crate::decide::enforced::NamespaceSelection;
use crate::events;
use anyhow::{Context as _, Result};
use jiff::Timestamp;
use k8s_openapi::api::admissionregistration::v1::{ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding};
use k8s_openapi::api::core::v1::{ConfigMap, ObjectReference, Pod};
use kube::api::{ListParams, Patch, PatchParams};
use kube::runtime::events::{Event, EventType};
use kube::{Api, Client, ResourceExt as _};
use serde_json::json;
use tidewaiter_crd::names::{ENFORCED, FIELD_MANAGER, NAMESPACE};

/// Key of the namespaces in the ConfigMap.
const NAMESPACES: &str = "namespaces";
/// Names of Pods in one message.
const MAX_NAMES: usize = 20;

/// The namespaces that are enforced since the server bound them.
pub(super) async fn remembered(client: &Client) -> Result<Option<NamespaceSelection>> {
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), NAMESPACE);
    let hint = || format!("the ConfigMap {NAMESPACE}/{ENFORCED} (see deploy/rbac.yaml)");
    let Some(text) = api.get_opt(ENFORCED).await.with_context(hint)?.and_then(|map| map.data?.remove(NAMESPACES))
    else {
        return Ok(None);
    };
    Ok(Some(serde_json::from_str(&text).with_context(hint)?))
}

/// Remembers what is enforced from now on.
pub(super) async fn remember(ctx: &ServerContext, namespaces: &NamespaceSelection) -> Result<()> {
    let api: Api<ConfigMap> = Api::namespaced(ctx.client.clone(), NAMESPACE);
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": ENFORCED},
        "data": {NAMESPACES: serde_json::to_string(namespaces)?, "since": Timestamp::now().to_string()}});
    let applied = api.patch(ENFORCED, &PatchParams::apply(FIELD_MANAGER).force(), &Patch::Apply(&map)).await;
    applied.with_context(|| format!("the ConfigMap {NAMESPACE}/{ENFORCED} (see deploy/rbac.yaml)"))?;
    Ok(())
}

/// The namespaces that the cluster enforces now; `None` when a policy or binding that does it is missing, or is not as a server
/// writes it: a selector or a condition that somebody added lets Pods pass as a deletion does.
pub(super) async fn bound(ctx: &ServerContext, application: Application) -> Result<Option<NamespaceSelection>> {
    let hint = "reading the policies and bindings (see deploy/rbac.yaml)";
    let bindings: Api<ValidatingAdmissionPolicyBinding> = Api::all(ctx.client.clone());
    let policies: Api<ValidatingAdmissionPolicy> = Api::all(ctx.client.clone());
    let wanted = manifests::policies(&ctx.settings.excluded)?;
    let mut enforced = None;
    // The binding that says it is the last.
    for name in [manifests::LIST, manifests::SHAPE] {
        let Some(policy) = policies.get_opt(name).await.context(hint)? else { return Ok(None) };
        if application == Application::Repeated && !manifests::is_one_of(&wanted, &serde_json::to_value(policy)?) {
            return Ok(None);
        }
        enforced = bindings.get_opt(name).await.context(hint)?.as_ref().and_then(manifests::bound);
        if enforced.is_none() {
            return Ok(None);
        }
    }
    Ok(enforced)
}

/// Reports that enforcement was interrupted, and what may have started meanwhile.
pub(super) async fn report_interruption(ctx: &ServerContext, enforced: &NamespaceSelection) {
    ctx.metrics.enforcement_interrupted();
    let started = match undecided(ctx, enforced).await {
        Ok(pods) => names(&pods),
        Err(error) => format!("the Pods that started meanwhile cannot be listed: {error}"),
    };
    let note = format!(
        "a policy or binding of tidewaiter was deleted or changed, and is restored; what started meanwhile was not decided \
         and is not retained: {started}"
    );
    tracing::error!("{note}");
    let event = Event {
        type_: EventType::Warning,
        reason: "EnforcementInterrupted".to_owned(),
        note: Some(events::note(&note)),
        action: "Enforce".to_owned(),
        secondary: None,
    };
    if let Err(e) = ctx.recorder.publish(&event, &memory()).await {
        tracing::warn!("an Event was not written: {e}");
    }
}

/// What Events about enforcement as a whole are about.
pub(super) fn memory() -> ObjectReference {
    ObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some("ConfigMap".to_owned()),
        name: Some(ENFORCED.to_owned()),
        namespace: Some(NAMESPACE.to_owned()),
        ..ObjectReference::default()
    }
}

/// Pods that run in enforced namespaces and that no record allows.
async fn undecided(ctx: &ServerContext, enforced: &NamespaceSelection) -> Result<Vec<String>, kube::Error> {
    let api: Api<Pod> = Api::all(ctx.client.clone());
    let pods = api.list(&ListParams::default().match_any()).await?;
    let here = |pod: &&Pod| enforced.contains(&pod.namespace().unwrap_or_default());
    let waits = |pod: &Pod| crate::decide::pod::is_gated(pod);
    let decided = |pod: &Pod| ctx.index.allowed_pins(pod, &pod.namespace().unwrap_or_default()).is_some();
    let pods = pods.items.iter().filter(here).filter(|pod| !waits(pod) && !decided(pod));
    Ok(pods.map(|pod| format!("{}/{}", pod.namespace().unwrap_or_default(), pod.name_any())).collect())
}

fn names(pods: &[String]) -> String {
    match pods {
        [] => "no Pod runs that was not decided".to_owned(),
        pods => {
            let more = pods.len().saturating_sub(MAX_NAMES);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let first: Vec<&str> = pods.iter().take(MAX_NAMES).map(String::as_str).collect();
            format!("Pods {}{more}; delete those that should not run", first.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_started_is_named_within_bounds() {
        let check = |pods: usize, start: &str, end: &str| {
            let text = names(&(0..pods).map(|i| format!("n/p{i}")).collect::<Vec<_>>());
            assert!(text.starts_with(start) && text.ends_with(end), "{text}");
        };
        check(0, "no Pod", "not decided");
        check(1, "Pods n/p0;", "should not run");
        check(20, "Pods n/p0, n/p1,", "n/p19; delete those that should not run");
        check(23, "Pods n/p0,", "n/p19 and 3 more; delete those that should not run");
    }
}
