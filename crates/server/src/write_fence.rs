//! Lets no write to the API server pass unless this process leads (ADR 0031).
//!
//! A fence around the client, not a question that each controller asks: what forgets to ask, or was asleep while another process
//! took over, writes nothing either.

use crate::decide::lease::{LEASE_DURATION, RENEW_DEADLINE};
use axum::http::{Method, Request};
use futures::future::{BoxFuture, FutureExt as _};
use kube::client::Body;
use parking_lot::Mutex;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, TryAcquireError};
use tower::{BoxError, Layer, Service};

/// Writes under way at once, at most: far more than connections allow.
const MAX_WRITES: u32 = 1 << 20;

/// Pause between two looks whether the fence is open.
const LOOK: Duration = Duration::from_millis(200);

/// Why a write was not sent.
#[derive(Debug, thiserror::Error)]
#[error("not written: this process does not lead, or could not renew its Lease")]
pub(crate) struct WriteFenced;

/// Why nobody waits for the answer of a write any more.
#[derive(Debug, thiserror::Error)]
#[error("not answered in time: another process may lead by now")]
struct WriteTooLate;

/// How long a write that passed may take after the fence closed: then others may take the Lease.
const WRITE_LIMIT: Duration = LEASE_DURATION.saturating_sub(RENEW_DEADLINE);

/// Until when this process may write; clones share it. Closed at first.
#[derive(Debug, Clone)]
pub(crate) struct WriteFence {
    until: Arc<Mutex<Option<Instant>>>,
    writes: Arc<Semaphore>,
}

impl WriteFence {
    /// A closed fence.
    pub(crate) fn new() -> Self {
        WriteFence { until: Arc::default(), writes: Arc::new(Semaphore::new(MAX_WRITES as usize)) }
    }

    /// Lets writes pass until a moment, after which the fence closes by itself.
    pub(crate) fn open_until(&self, until: Instant) {
        *self.until.lock() = Some(until);
    }

    /// Lets nothing pass any more.
    pub(crate) fn close(&self) {
        *self.until.lock() = None;
    }

    /// Whether writes pass now: whether this process leads.
    pub(crate) fn is_open(&self) -> bool {
        self.open_for_now().is_some()
    }

    /// Until when writes pass; none where they do not.
    fn open_for_now(&self) -> Option<Instant> {
        self.until.lock().filter(|until| Instant::now() < *until)
    }

    /// Waits until this process may write.
    pub(crate) async fn opened(&self) {
        while !self.is_open() {
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Waits until the writes that passed are answered, `limit` at most; false when some are not.
    pub(crate) async fn settled(&self, limit: Duration) -> bool {
        tokio::time::timeout(limit, self.writes.acquire_many(MAX_WRITES)).await.is_ok()
    }
}

impl<S> Layer<S> for WriteFence {
    type Service = FencedService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        FencedService { inner, fence: self.clone() }
    }
}

/// A client's service behind the fence.
#[derive(Debug, Clone)]
pub(crate) struct FencedService<S> {
    inner: S,
    fence: WriteFence,
}

impl<S> Service<Request<Body>> for FencedService<S>
where
    S: Service<Request<Body>>,
    S::Error: Into<BoxError>,
    S::Response: 'static,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<S::Response, BoxError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        if !writes(request.method(), request.uri().query()) {
            return self.inner.call(request).map(|done| done.map_err(Into::into)).boxed();
        }
        // Before the fence is asked: who waits for the writes to end must see this one.
        let permit = match Arc::clone(&self.fence.writes).try_acquire_owned() {
            Ok(permit) => permit,
            Err(TryAcquireError::NoPermits | TryAcquireError::Closed) => return refused(),
        };
        let Some(until) = self.fence.open_for_now() else { return refused() };
        let (answer, fence) = (self.inner.call(request), self.fence.clone());
        async move {
            let done = in_time(answer, &fence, until, WRITE_LIMIT).await;
            drop(permit);
            done
        }
        .boxed()
    }
}

/// The answer of a write that passed, unless it comes when others may lead. Dropped, its connection closes, and an API server that
/// has not begun with it does not begin any more.
async fn in_time<T, E: Into<BoxError>>(
    answer: impl Future<Output = Result<T, E>>,
    fence: &WriteFence,
    mut until: Instant,
    limit: Duration,
) -> Result<T, BoxError> {
    let mut answer = pin!(answer);
    loop {
        tokio::select! {
            // The time first: a process that slept looks at it before it goes on with what it was sending.
            biased;
            () = tokio::time::sleep_until((until + limit).into()) => match *fence.until.lock() {
                Some(renewed) if renewed > until => until = renewed,
                _ => return Err(WriteTooLate.into()),
            },
            done = &mut answer => return done.map_err(Into::into),
        }
    }
}

fn refused<T: 'static>() -> BoxFuture<'static, Result<T, BoxError>> {
    async { Err(WriteFenced.into()) }.boxed()
}

/// Whether a request changes something: a dry run does not.
fn writes(method: &Method, query: Option<&str>) -> bool {
    let dry = query.is_some_and(|query| query.split('&').any(|pair| pair == "dryRun=All"));
    !dry && !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::Response;
    use futures::future::{Ready, ready};

    /// Answers everything.
    #[derive(Debug, Clone)]
    struct Answering;

    impl Service<Request<Body>> for Answering {
        type Response = Response<Body>;
        type Error = BoxError;
        type Future = Ready<Result<Response<Body>, BoxError>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: Request<Body>) -> Self::Future {
            ready(Ok(Response::new(Body::empty())))
        }
    }

    async fn passes(fence: &WriteFence, method: &str, uri: &str) -> bool {
        let request = Request::builder().method(method).uri(uri).body(Body::empty()).unwrap();
        fence.layer(Answering).call(request).await.is_ok()
    }

    #[tokio::test]
    async fn only_a_leader_writes() {
        const PODS: &str = "https://api/api/v1/namespaces/n/pods/p";
        const DRY: &str = "https://api/api/v1/namespaces/n/pods?fieldManager=m&dryRun=All";
        let fence = WriteFence::new();
        let check = async |method: &str, uri: &str, expected: bool| {
            assert_eq!(passes(&fence, method, uri).await, expected, "{method} {uri}");
        };
        let all = [("GET", PODS), ("POST", DRY), ("POST", PODS), ("PUT", PODS), ("PATCH", PODS), ("DELETE", PODS)];
        let open = |until: Duration| fence.open_until(Instant::now() + until);
        for (state, expected) in [("closed", false), ("open", true), ("over", false), ("again", true)] {
            match state {
                "open" | "again" => open(Duration::from_secs(60)),
                "over" => open(Duration::ZERO),
                _ => fence.close(),
            }
            assert_eq!(fence.is_open(), expected, "{state}");
            for (method, uri) in all {
                check(method, uri, expected || method == "GET" || uri == DRY).await;
            }
        }
        fence.close();
        check("PUT", PODS, false).await;
    }

    #[tokio::test]
    async fn who_does_not_lead_waits_until_it_does() {
        let fence = WriteFence::new();
        assert!(tokio::time::timeout(2 * LOOK, fence.opened()).await.is_err());
        fence.open_until(Instant::now() + Duration::from_secs(60));
        assert!(tokio::time::timeout(Duration::from_secs(5), fence.opened()).await.is_ok());
        fence.close();
        assert!(tokio::time::timeout(2 * LOOK, fence.opened()).await.is_err());
    }

    #[tokio::test]
    async fn who_stops_waits_for_what_is_under_way() {
        let fence = WriteFence::new();
        let under_way = Arc::clone(&fence.writes).try_acquire_owned().unwrap();
        assert!(!fence.settled(Duration::from_millis(20)).await);
        drop(under_way);
        assert!(fence.settled(Duration::from_secs(5)).await);
    }

    /// A write that is not answered ends when others may lead; a renewal in the meantime gives it more time.
    #[tokio::test]
    async fn a_write_ends_before_others_lead() {
        const LIMIT: Duration = Duration::from_millis(100);
        let check = async |renewed: Option<u64>, closed: bool, least: u64| {
            let (fence, began) = (WriteFence::new(), Instant::now());
            let after = |milliseconds: u64| began + Duration::from_millis(milliseconds);
            fence.open_until(after(renewed.unwrap_or(50)));
            if closed {
                fence.close();
            }
            let never = std::future::pending::<Result<(), BoxError>>();
            let error = in_time(never, &fence, after(50), LIMIT).await.unwrap_err();
            assert!(error.is::<WriteTooLate>(), "{error}");
            let took = began.elapsed();
            assert!(took >= Duration::from_millis(least), "{renewed:?} {closed}: {took:?}");
            assert!(took < Duration::from_millis(least + 2000), "{renewed:?} {closed}: {took:?}");
        };
        check(None, false, 150).await;
        check(None, true, 150).await;
        check(Some(3000), false, 3100).await;
        let answered = in_time(ready(Ok::<_, BoxError>(7)), &WriteFence::new(), Instant::now(), LIMIT).await;
        assert_eq!(answered.unwrap(), 7);
        // As the leader promises others: what passed last ends when its Lease lapses.
        assert_eq!(RENEW_DEADLINE + WRITE_LIMIT, LEASE_DURATION);
    }
}
