//! Asks other servers, one after the other.

use crate::context::ServerContext;
use anyhow::{Context as _, Result, anyhow, ensure};
use axum::http::Request;
use futures::io::{AsyncRead, AsyncReadExt as _};
use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use kube::{Api, ResourceExt as _};
use std::net::IpAddr;
use std::time::{Duration, Instant};
use tidewaiter_crd::names::{NAMESPACE, SERVER_LABEL};

/// How long the addresses of others are believed: a new leader asks for many reports at once.
const ADDRESSES_AGE: Duration = Duration::from_secs(5);
/// Time limit of an answer's head.
const HEAD_LIMIT: Duration = Duration::from_secs(10);
/// Time limit of an answer that is read whole.
const LIMIT: Duration = Duration::from_secs(60);

/// Why another server did not answer with what it was asked for.
#[derive(Debug, thiserror::Error)]
pub(super) enum AskError {
    /// It does not have it.
    #[error("the server at {0} does not have it")]
    NotThere(IpAddr),
    /// Nothing is there, or it did not begin to answer.
    #[error("the server at {0} cannot be reached: {1:#}")]
    Away(IpAddr, anyhow::Error),
    /// It answered otherwise, or the answer broke off.
    #[error("the server at {0}: {1:#}")]
    Failed(IpAddr, anyhow::Error),
}

impl AskError {
    fn of(from: IpAddr, error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) if status.code == 404 => AskError::NotThere(from),
            kube::Error::Api(status) => AskError::Failed(from, anyhow!("it responds with status {}", status.code)),
            other => AskError::Away(from, other.into()),
        }
    }
}

/// The addresses of the other servers' Pods.
///
/// # Errors
/// When the Pods cannot be listed.
pub(super) async fn others(ctx: &ServerContext) -> Result<Vec<IpAddr>> {
    let access = ctx.peers.get().context("this server is starting")?;
    let mut known = access.known.lock().await;
    if let Some((since, addresses)) = known.as_ref()
        && since.elapsed() < ADDRESSES_AGE
    {
        return Ok(addresses.clone());
    }
    let (label, value) = SERVER_LABEL;
    let pods: Api<Pod> = Api::namespaced(ctx.client.clone(), NAMESPACE);
    // From the API server's cache.
    let params = ListParams::default().labels(&format!("{label}={value}")).match_any();
    let pods = pods.list(&params).await.with_context(|| format!("listing the Pods of {NAMESPACE}"))?;
    let others = pods.items.iter().filter(|pod| pod.name_any() != ctx.settings.identity);
    let addresses: Vec<IpAddr> = others.filter_map(address).collect();
    *known = Some((Instant::now(), addresses.clone()));
    Ok(addresses)
}

/// Where a Pod's server is; one that has ended has none any more.
fn address(pod: &Pod) -> Option<IpAddr> {
    let status = pod.status.as_ref().filter(|status| status.phase.as_deref() == Some("Running"))?;
    status.pod_ip.as_ref()?.parse().ok()
}

/// GET of a path below the one of servers.
///
/// # Errors
/// When there is no answer in time, or another one than a success.
pub(super) async fn get(
    ctx: &ServerContext,
    from: IpAddr,
    path: &str,
) -> Result<impl AsyncRead + Unpin + use<>, AskError> {
    let failed = |error| AskError::Failed(from, error);
    let access = ctx.peers.get().ok_or_else(|| failed(anyhow!("this server is starting")))?;
    let request = Request::get(access.path(path).map_err(failed)?).body(Vec::new());
    let request = request.map_err(|error| failed(error.into()))?;
    let client = access.client(from).map_err(failed)?;
    let answer = tokio::time::timeout(HEAD_LIMIT, client.request_stream(request)).await;
    let answer = match answer {
        Ok(answer) => answer.map_err(|error| AskError::of(from, error)),
        Err(_) => Err(AskError::Away(from, anyhow!("it does not answer within {HEAD_LIMIT:?}"))),
    };
    if matches!(answer, Err(AskError::Away(..))) {
        access.forget(from);
    }
    answer.map(Box::pin)
}

/// The same, read whole; at most `most` bytes.
///
/// # Errors
/// As those of [`get`], and when there are more.
pub(super) async fn get_all(ctx: &ServerContext, from: IpAddr, path: &str, most: u64) -> Result<Vec<u8>, AskError> {
    let body = get(ctx, from, path).await?;
    read(body, most).await.map_err(|error| AskError::Failed(from, error))
}

async fn read(body: impl AsyncRead + Unpin, most: u64) -> Result<Vec<u8>> {
    let mut all = Vec::new();
    let read = tokio::time::timeout(LIMIT, body.take(most + 1).read_to_end(&mut all)).await;
    read.context("it answers too slowly")??;
    ensure!(all.len() as u64 <= most, "it answers with more than {most} bytes");
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_what_runs_is_asked() {
        let check = |status: serde_json::Value, expected: Option<&str>| {
            let pod: Pod = serde_json::from_value(json!({"metadata": {"name": "p"}, "status": status})).unwrap();
            assert_eq!(address(&pod).map(|found| found.to_string()).as_deref(), expected, "{status}");
        };
        check(json!({"phase": "Running", "podIP": "10.0.0.1"}), Some("10.0.0.1"));
        check(json!({"phase": "Running", "podIP": "fd00::1"}), Some("fd00::1"));
        check(json!({"phase": "Running"}), None);
        check(json!({"phase": "Failed", "podIP": "10.0.0.1"}), None);
        check(json!({}), None);
    }

    #[test]
    fn what_is_not_there_is_told_from_what_failed() {
        let check = |code: u16, expected: fn(&AskError) -> bool| {
            let status = serde_json::from_value(json!({"code": code, "message": "m"})).unwrap();
            let error = AskError::of(IpAddr::from([10, 0, 0, 1]), kube::Error::Api(status));
            assert!(expected(&error), "{code}: {error}");
        };
        check(404, |error| matches!(error, AskError::NotThere(_)));
        check(503, |error| matches!(error, AskError::Failed(..)));
        check(429, |error| matches!(error, AskError::Failed(..)));
        let closed = kube::Error::Service("connection closed".into());
        assert!(matches!(AskError::of(IpAddr::from([10, 0, 0, 1]), closed), AskError::Away(..)));
    }
}
