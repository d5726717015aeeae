//! Namespaces that are on the list of excluded ones, and were enforced: a list that grew with an upgrade ends no enforcement.

use super::{enforced, manifests};
use crate::context::ServerContext;
use crate::decide::enforced::{NamespaceSelection, keep_enforced};
use crate::events;
use crate::settings::ServerSettings;
use anyhow::{Context as _, Result};
use k8s_openapi::api::admissionregistration::v1::ValidatingAdmissionPolicyBinding;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::ListParams;
use kube::runtime::events::{Event, EventType};
use kube::{Api, Client, ResourceExt as _};
use std::collections::BTreeSet;

/// Takes out of the settings what is enforced and is to stay so. Before anything acts by the settings, which hold
/// for the life of the process.
///
/// # Errors
/// When the cluster cannot be asked what is enforced.
pub(crate) async fn settle(client: &Client, settings: &mut ServerSettings) -> Result<()> {
    let remembered = match enforced::remembered(client).await? {
        Some(remembered) => Some(remembered),
        None => bound(client).await?,
    };
    let Some(before) = remembered else { return Ok(()) };
    if settings.exclude_enforced || settings.excluded.iter().all(|name| !before.contains(name)) {
        return Ok(());
    }
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let exist = namespaces.list_metadata(&ListParams::default()).await.context("listing namespaces")?;
    let exist: BTreeSet<String> = exist.iter().map(|namespace| namespace.name_any()).collect();
    settings.kept_enforced = keep_enforced(&mut settings.excluded, &exist, &before);
    Ok(())
}

/// The namespaces that a version without memory bound.
async fn bound(client: &Client) -> Result<Option<NamespaceSelection>> {
    let bindings: Api<ValidatingAdmissionPolicyBinding> = Api::all(client.clone());
    let binding = bindings.get_opt(manifests::SHAPE).await.context("reading the bindings (see deploy/rbac.yaml)")?;
    Ok(binding.as_ref().and_then(manifests::bound))
}

/// Says what stays enforced: the process that leads does.
pub(crate) async fn report(ctx: &ServerContext) {
    let kept = &ctx.settings.kept_enforced[..];
    if kept.is_empty() {
        return;
    }
    let note = format!(
        "{} on the list of excluded namespaces, and enforced until now: enforced further. To exclude what is enforced, start the \
         server with --exclude-enforced-namespaces; otherwise take it out of TIDEWAITER_EXCLUDE_NAMESPACES",
        match kept {
            [one] => format!("{one} is"),
            more => format!("{} are", more.join(", ")),
        }
    );
    tracing::warn!("{note}");
    let event = Event {
        type_: EventType::Warning,
        reason: "ExclusionNotApplied".to_owned(),
        note: Some(events::note(&note)),
        action: "Enforce".to_owned(),
        secondary: None,
    };
    if let Err(e) = ctx.recorder.publish(&event, &enforced::memory()).await {
        tracing::warn!("an Event was not written: {e}");
    }
}
