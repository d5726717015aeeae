//! Removes the policy reports of all workloads, when tidewaiter is removed.

use crate::controllers::policy_reports::resource;
use crate::decide::workload_report::ReportApi;
use anyhow::{Context as _, Result};
use kube::api::{DeleteParams, DynamicObject, ListParams};
use kube::{Api, Client};
use tidewaiter_crd::names::MANAGED_BY;

/// Removes them; where the kind is not there, or the account may not see it, there are none.
///
/// # Errors
/// When they cannot be listed, or one cannot be deleted.
pub(super) async fn remove_all(client: &Client) -> Result<()> {
    for api in ReportApi::ALL {
        remove_of(client, api).await?;
    }
    Ok(())
}

async fn remove_of(client: &Client, report_api: ReportApi) -> Result<()> {
    let (label, value) = MANAGED_BY;
    let kind = resource(report_api);
    let own = ListParams::default().labels(&format!("{label}={value}"));
    let found = match Api::<DynamicObject>::all_with(client.clone(), &kind).list_metadata(&own).await {
        Err(kube::Error::Api(status)) if matches!(status.code, 403 | 404) => return Ok(()),
        other => other.with_context(|| format!("listing {}.{}", kind.plural, kind.group))?.items,
    };
    for report in &found {
        let (Some(namespace), Some(name)) = (&report.metadata.namespace, &report.metadata.name) else { continue };
        let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &kind);
        match api.delete(name, &DeleteParams::default()).await {
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            other => drop(other.with_context(|| format!("deleting {} {namespace}/{name}", kind.kind))?),
        }
    }
    if !found.is_empty() {
        tracing::info!("deleted {} {}.{}", found.len(), kind.plural, kind.group);
    }
    Ok(())
}
