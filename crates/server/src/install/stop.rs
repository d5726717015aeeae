//! Stops the server before it is uninstalled: all of its processes, since the one that remained would lead.

use anyhow::{Context as _, Result, bail};
use k8s_openapi::api::apps::v1::Deployment;
use kube::api::DeleteParams;
use kube::{Api, Client};
use std::time::Duration;
use tidewaiter_crd::names::{NAMESPACE, SERVER, STANDBY};

/// The server's processes.
const DEPLOYMENTS: [&str; 2] = [SERVER, STANDBY];
/// Looks whether the server's Pods are gone: a minute, twice the grace period of a Pod.
const STOP_ATTEMPTS: u32 = 120;
/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(500);

/// Deletes the server, which would register everything again.
pub(super) async fn stop_server(client: &Client) -> Result<()> {
    let api: Api<Deployment> = Api::namespaced(client.clone(), NAMESPACE);
    // Both before either is waited for: the one that remained would lead.
    for name in DEPLOYMENTS {
        match api.delete(name, &DeleteParams::foreground()).await {
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            other => drop(other.context("stopping the server")?),
        }
    }
    for name in DEPLOYMENTS {
        gone(&api, name).await?;
    }
    Ok(())
}

async fn gone(api: &Api<Deployment>, name: &str) -> Result<()> {
    for _ in 0..STOP_ATTEMPTS {
        if api.get_opt(name).await?.is_none() {
            return Ok(());
        }
        tokio::time::sleep(PAUSE).await;
    }
    bail!("the server's Deployment {NAMESPACE}/{name} is not deleted; delete it and run this again")
}
