//! Whether what this process hears of the API server is what there is to hear.
//!
//! A connection that is silent without being closed looks like one on which nothing happens. The Lease is asked for every few seconds:
//! while that is not answered, nothing that was open before is believed; when it is answered again, all watches begin anew.

use anyhow::{Context as _, Result};
use axum::http::{Request, Response};
use futures::future::{BoxFuture, FutureExt as _};
use futures::{Stream, StreamExt as _, stream};
use kube::client::Body;
use kube::{Client, Config};
use parking_lot::{Mutex, RwLock};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tower::{BoxError, Service};

/// How long a connection may say nothing. API servers send a bookmark to each watch about every minute, at most after 75 s; so a
/// single connection that goes silent, while others do not, is noticed too.
const SILENCE: Duration = Duration::from_secs(90);
/// Pause between two times that all watches begin anew: an API server that is only slow gets no storm of lists.
const RENEWAL_PAUSE: Duration = Duration::from_secs(60);

/// What the requests about the Lease say of the way to the API server; clones share it.
#[derive(Clone)]
pub(crate) struct ApiReach {
    config: Arc<Config>,
    connections: Arc<RwLock<Connections>>,
    is_silent: Arc<AtomicBool>,
    /// When all watches began anew.
    last: Arc<Mutex<Option<Instant>>>,
    pause: Duration,
    renewals: watch::Sender<()>,
}

/// Clients with their connections, of which none is older than the last silence.
struct Connections {
    /// Tries again by itself where the API server asks for it.
    retrying: Client,
    sending_once: Client,
}

impl Connections {
    fn new(config: &Config) -> Result<Self> {
        let client = |retries: bool| {
            let mut config = config.clone();
            config.default_retry = retries;
            Client::try_from(config).context("connecting to the cluster")
        };
        Ok(Connections { retrying: client(true)?, sending_once: client(false)? })
    }
}

impl ApiReach {
    /// The way to a cluster, which is believed at first.
    ///
    /// # Errors
    /// When no client can be made.
    pub(crate) fn new(mut config: Config) -> Result<Self> {
        config.read_timeout = Some(SILENCE);
        // A connection may have been idle for long before it is used again.
        config.reset_reader_on_write = true;
        let connections = Arc::new(RwLock::new(Connections::new(&config)?));
        let (is_silent, last, renewals) = (Arc::default(), Arc::default(), watch::Sender::new(()));
        let config = Arc::new(config);
        Ok(ApiReach { config, connections, is_silent, last, pause: RENEWAL_PAUSE, renewals })
    }

    /// What sends requests by the connections of the moment.
    pub(crate) fn service(&self, retries: bool) -> ReachService {
        ReachService { connections: Arc::clone(&self.connections), retries }
    }

    /// The namespace of requests that name none.
    pub(crate) fn default_namespace(&self) -> &str {
        &self.config.default_namespace
    }

    /// Notes that a request was not answered in time: no connection that is open is used for another one.
    pub(crate) fn silent(&self) {
        self.is_silent.store(true, Ordering::Relaxed);
        match Connections::new(&self.config) {
            Ok(new) => *self.connections.write() = new,
            Err(error) => tracing::error!("{error:#}"),
        }
    }

    /// Notes that a request was answered. After a silence all watches begin anew.
    pub(crate) fn answered(&self) {
        let mut last = self.last.lock();
        let is_due = last.is_none_or(|last| last.elapsed() >= self.pause);
        if is_due && self.is_silent.swap(false, Ordering::Relaxed) {
            *last = Some(Instant::now());
            tracing::warn!("the API server did not answer for a while: all watches begin anew");
            self.renewals.send_replace(());
        }
    }

    /// A watch that begins anew after each silence.
    pub(crate) fn watch<S, F>(&self, begin: F) -> impl Stream<Item = S::Item> + use<S, F>
    where
        S: Stream + Unpin,
        F: Fn() -> S,
    {
        let first = begin();
        stream::unfold((first, self.renewals.subscribe(), begin), async |(mut events, mut renewals, begin)| {
            loop {
                tokio::select! {
                    event = events.next() => return event.map(|event| (event, (events, renewals, begin))),
                    Ok(()) = renewals.changed() => events = begin(),
                }
            }
        })
    }
}

/// Sends each request by the connections of the moment.
#[derive(Clone)]
pub(crate) struct ReachService {
    connections: Arc<RwLock<Connections>>,
    retries: bool,
}

impl Service<Request<Body>> for ReachService {
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Response<Body>, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let client = {
            let connections = self.connections.read();
            if self.retries { connections.retrying.clone() } else { connections.sending_once.clone() }
        };
        async move { client.send(request).await.map_err(Into::into) }.boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU32;

    #[tokio::test]
    async fn watches_begin_anew_after_a_silence() {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let config = Config::new("https://192.0.2.1:6443".parse().unwrap());
        let mut reach = ApiReach::new(config).unwrap();
        reach.pause = Duration::ZERO;
        let begun = AtomicU32::new(0);
        // Each says which one it is, and then nothing.
        let begin = || stream::iter([begun.fetch_add(1, Ordering::Relaxed)]).chain(stream::pending());
        let mut watch = Box::pin(reach.watch(begin));
        assert_eq!(watch.next().await, Some(0));
        let soon = Duration::from_millis(20);
        let mut check = async |note: fn(&ApiReach), expected: Option<u32>| {
            note(&reach);
            let next = tokio::time::timeout(soon, watch.next()).await;
            assert_eq!(next.ok().flatten(), expected);
        };
        check(ApiReach::answered, None).await;
        check(ApiReach::silent, None).await;
        check(ApiReach::silent, None).await;
        check(ApiReach::answered, Some(1)).await;
        check(ApiReach::answered, None).await;
        check(
            |reach| {
                (0..3).for_each(|_| {
                    reach.silent();
                    reach.answered()
                })
            },
            Some(2),
        )
        .await;
        // One of which everything was said just now, is believed for a while.
        reach.pause = Duration::from_secs(3600);
        reach.silent();
        reach.answered();
        assert!(tokio::time::timeout(soon, watch.next()).await.is_err());
        reach.pause = Duration::ZERO;
        reach.answered();
        assert_eq!(watch.next().await, Some(3));
        // One that ends, ends.
        let mut watch = Box::pin(reach.watch(|| stream::iter([1])));
        assert_eq!((watch.next().await, watch.next().await), (Some(1), None));
    }
}
