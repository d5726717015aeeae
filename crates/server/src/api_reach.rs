//! Whether what this process hears of the API server is what there is to hear.
//!
//! A connection that is silent without being closed looks like one on which nothing happens. The Lease is asked for every few seconds:
//! while that is not answered, nothing that was open before is believed; when it is answered again, all watches that are open end, and
//! go on from the last version that they saw, by other connections. Nothing is listed for it.

use crate::watch_problems::WatchProblems;
use anyhow::{Context as _, Result};
use axum::body::Body as AnswerBody;
use axum::http::{Request, Response, Uri};
use futures::StreamExt as _;
use futures::future::{BoxFuture, FutureExt as _};
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
/// Pause between two times that all watches are opened anew: an API server that is only slow gets no storm of them.
const RENEWAL_PAUSE: Duration = Duration::from_secs(60);

/// What the requests about the Lease say of the way to the API server; clones share it.
#[derive(Clone)]
pub(crate) struct ApiReach {
    config: Arc<Config>,
    connections: Arc<RwLock<Connections>>,
    is_silent: Arc<AtomicBool>,
    /// When all watches were opened anew.
    last: Arc<Mutex<Option<Instant>>>,
    pause: Duration,
    renewals: watch::Sender<()>,
    problems: WatchProblems,
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
        let problems = WatchProblems::default();
        Ok(ApiReach { config, connections, is_silent, last, pause: RENEWAL_PAUSE, renewals, problems })
    }

    /// What sends requests by the connections of the moment.
    pub(crate) fn service(&self, retries: bool) -> ReachService {
        let (connections, renewals) = (Arc::clone(&self.connections), self.renewals.clone());
        ReachService { connections, retries, renewals, problems: self.problems.clone() }
    }

    /// The watches that fail; one that starts again is forgotten.
    pub(crate) fn problems(&self) -> WatchProblems {
        self.problems.clone()
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

    /// Notes that a request was answered. After a silence all watches are opened anew.
    pub(crate) fn answered(&self) {
        let mut last = self.last.lock();
        let is_due = last.is_none_or(|last| last.elapsed() >= self.pause);
        if is_due && self.is_silent.swap(false, Ordering::Relaxed) {
            *last = Some(Instant::now());
            tracing::warn!("the API server did not answer for a while: all watches are opened anew");
            self.renewals.send_replace(());
        }
    }
}

/// Sends each request by the connections of the moment; a watch ends when it is to be opened anew.
#[derive(Clone)]
pub(crate) struct ReachService {
    connections: Arc<RwLock<Connections>>,
    retries: bool,
    renewals: watch::Sender<()>,
    problems: WatchProblems,
}

impl Service<Request<Body>> for ReachService {
    type Response = Response<AnswerBody>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Response<AnswerBody>, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let client = {
            let connections = self.connections.read();
            if self.retries { connections.retrying.clone() } else { connections.sending_once.clone() }
        };
        let Some(plural) = watched(request.uri()).map(str::to_owned) else {
            return async move { Ok(client.send(request).await?.map(AnswerBody::new)) }.boxed();
        };
        let (problems, renewed) = (self.problems.clone(), renewed(self.renewals.subscribe()).shared());
        async move {
            let answer = tokio::select! {
                answer = client.send(request) => answer?,
                () = renewed.clone() => return Err("the API server did not answer for a while".into()),
            };
            if answer.status().is_success() {
                problems.forget(&plural);
            }
            // Who reads a watch that ends goes on from the last version that it saw.
            Ok(answer.map(|body| AnswerBody::from_stream(AnswerBody::new(body).into_data_stream().take_until(renewed))))
        }
        .boxed()
    }
}

/// The plural of the kind that a request watches; none where it does something else.
fn watched(request: &Uri) -> Option<&str> {
    let is_watch = request.query()?.split('&').any(|parameter| parameter == "watch=true");
    request.path().rsplit('/').next().filter(|_| is_watch)
}

/// Until watches are opened anew.
async fn renewed(mut renewals: watch::Receiver<()>) {
    if renewals.changed().await.is_err() {
        std::future::pending().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::routing::get;
    use futures::stream;
    use std::convert::Infallible;
    use std::net::Ipv4Addr;
    use tokio::net::TcpListener;

    const SOON: Duration = Duration::from_millis(50);

    /// The way to a server of which every answer begins and does not end, except that of `hangs`, which does not begin.
    async fn reach() -> ApiReach {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let endless = || AnswerBody::from_stream(stream::iter([Ok::<_, Infallible>("line")]).chain(stream::pending()));
        let routes = Router::new().route("/api/v1/pods", get(async move || endless()));
        let routes = routes.route("/api/v1/hangs", get(std::future::pending::<()>));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, routes).await });
        let mut reach = ApiReach::new(Config::new(format!("http://{address}").parse().unwrap())).unwrap();
        reach.pause = Duration::ZERO;
        reach
    }

    fn request(path: &str) -> Request<Body> {
        Request::get(path).body(Body::empty()).unwrap()
    }

    #[tokio::test]
    async fn watches_end_after_a_silence_and_nothing_else_does() {
        let check = async |path: &str, notes: &[fn(&ApiReach)], ends: bool| {
            let reach = reach().await;
            let answer = reach.service(false).call(request(path)).await.unwrap();
            let mut lines = answer.into_body().into_data_stream();
            assert_eq!(lines.next().await.unwrap().unwrap(), "line");
            notes.iter().for_each(|note| note(&reach));
            let next = tokio::time::timeout(SOON, lines.next()).await;
            assert_eq!(matches!(next, Ok(None)), ends, "{path} {}", notes.len());
        };
        let (silent, answered) = (ApiReach::silent as fn(&ApiReach), ApiReach::answered as fn(&ApiReach));
        check("/api/v1/pods?&watch=true", &[], false).await;
        check("/api/v1/pods?&watch=true", &[answered], false).await;
        check("/api/v1/pods?&watch=true", &[silent], false).await;
        check("/api/v1/pods?&watch=true", &[silent, silent, answered], true).await;
        check("/api/v1/pods?limit=100", &[silent, answered], false).await;
        check("/api/v1/pods", &[silent, answered], false).await;
    }

    #[tokio::test]
    async fn watches_that_were_not_answered_end_too() {
        let reach = reach().await;
        let mut sent = reach.service(false).call(request("/api/v1/hangs?watch=true"));
        assert!(tokio::time::timeout(SOON, &mut sent).await.is_err());
        reach.silent();
        reach.answered();
        assert!(tokio::time::timeout(SOON, sent).await.unwrap().is_err());
    }

    /// One that was opened anew just now is believed for a while.
    #[tokio::test]
    async fn an_api_server_that_is_slow_is_not_asked_for_all_watches_again_and_again() {
        let mut reach = reach().await;
        let mut renewals = reach.renewals.subscribe();
        let mut check = |pause: u64, expected: bool| {
            reach.pause = Duration::from_secs(pause);
            reach.silent();
            reach.answered();
            assert_eq!(renewals.has_changed().unwrap(), expected, "{pause}");
            renewals.mark_unchanged();
        };
        check(3600, true);
        check(3600, false);
        check(0, true);
    }

    #[tokio::test]
    async fn a_watch_that_starts_again_is_no_problem() {
        let reach = reach().await;
        let check = async |path: &str, expected: usize| {
            reach.problems().note("pods", "fails".to_owned());
            let _ = reach.service(false).call(request(path)).await.unwrap();
            assert_eq!(reach.problems().all().len(), expected, "{path}");
        };
        check("/api/v1/pods", 1).await;
        check("/api/v1/nodes?watch=true", 1).await;
        check("/apis/none/pods?watch=true", 1).await;
        check("/api/v1/pods?watch=true", 0).await;
    }
}
