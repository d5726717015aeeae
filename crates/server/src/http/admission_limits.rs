//! Bounds of the admission port. The API server identifies itself to a webhook only where an administrator gave it a client
//! certificate, so that any Pod may reach the port: what one peer can take is limited, and memory with it.
//!
//! ```text
//! connection → connections of its peer, of all → TLS → declared length → bytes of its peer, of all, as they come → webhook
//! ```

use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::CONTENT_LENGTH;
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use axum_server::accept::Accept;
use futures::StreamExt as _;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::future::{Ready, ready};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The API server accepts objects of 3 MiB; a review holds the old one and the new one.
const MAX_BODY: usize = 8 << 20;
/// Bytes of bodies in memory; parsed they take some times as much. Four of the largest, and thousands of usual ones.
const MAX_BYTES: usize = 32 << 20;
/// Bytes of one peer: an API server alone needs no more, and a flood from one Pod leaves the rest to it.
const MAX_PEER_BYTES: usize = 16 << 20;
/// Connections of one peer. An API server opens a few; behind one address may be several.
const MAX_PEER_CONNECTIONS: usize = 128;
/// The webhooks' time limit at the API server (see `install::manifests`): an answer after it is read by nobody.
const TIME_LIMIT: Duration = Duration::from_secs(3);
/// Bytes of a body that are taken at once: a usual review takes one step.
const STEP: usize = 16 << 10;
/// Unit of the semaphores, which count in `u32`.
const UNIT: usize = 1024;

/// One semaphore per address, as long as something holds a permit of it.
#[derive(Debug, Clone)]
struct PerPeer {
    permits: usize,
    peers: Arc<Mutex<BTreeMap<IpAddr, Arc<Semaphore>>>>,
}

impl PerPeer {
    fn new(permits: usize) -> Self {
        PerPeer { permits, peers: Arc::default() }
    }

    fn of(&self, peer: IpAddr) -> Arc<Semaphore> {
        let mut peers = self.peers.lock();
        // Or a stranger with many addresses (IPv6) makes the map grow.
        peers.retain(|_, semaphore| Arc::strong_count(semaphore) > 1);
        Arc::clone(peers.entry(peer).or_insert_with(|| Arc::new(Semaphore::new(self.permits))))
    }
}

/// What is taken of a peer's share and of the whole, until it is dropped.
type BothPermits = (OwnedSemaphorePermit, OwnedSemaphorePermit);

/// The bytes of bodies that may be in memory.
#[derive(Debug, Clone)]
pub(crate) struct BodyBudget {
    all: Arc<Semaphore>,
    per_peer: PerPeer,
}

impl BodyBudget {
    /// The whole budget, unused.
    pub(crate) fn new() -> Self {
        Self::of(MAX_BYTES, MAX_PEER_BYTES)
    }

    fn of(all: usize, of_a_peer: usize) -> Self {
        BodyBudget { all: Arc::new(Semaphore::new(all / UNIT)), per_peer: PerPeer::new(of_a_peer / UNIT) }
    }

    /// Reads a body, whose bytes are taken as they come: what was only declared takes nothing from others. `None` if it is longer
    /// than `longest`, or breaks.
    async fn read(&self, peer: IpAddr, body: Body, longest: usize) -> Option<(Vec<BothPermits>, Vec<u8>)> {
        let mut frames = body.into_data_stream();
        let (mut permits, mut bytes, mut budgeted) = (Vec::new(), Vec::new(), 0);
        while let Some(frame) = frames.next().await {
            let frame = frame.ok()?;
            if bytes.len() + frame.len() > longest {
                return None;
            }
            bytes.extend_from_slice(&frame);
            if bytes.len() > budgeted {
                let more = (bytes.len() - budgeted).next_multiple_of(STEP);
                permits.push(self.take(peer, more).await?);
                budgeted += more;
            }
        }
        Some((permits, bytes))
    }

    /// Waits for the bytes of a body; its peer's first, so that a peer that waits for its own takes nothing from others.
    async fn take(&self, peer: IpAddr, bytes: usize) -> Option<BothPermits> {
        let units = u32::try_from(bytes.div_ceil(UNIT)).ok()?;
        let of_peer = self.per_peer.of(peer).acquire_many_owned(units).await.ok()?;
        Some((of_peer, Arc::clone(&self.all).acquire_many_owned(units).await.ok()?))
    }
}

/// Reads a body within the budget and the time limit, then lets the webhook answer.
pub(crate) async fn limit_bodies(
    State(budget): State<BodyBudget>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    let length = longest(request.headers());
    if length > MAX_BODY {
        return TOO_LARGE.into_response();
    }
    let (parts, body) = request.into_parts();
    match tokio::time::timeout(TIME_LIMIT, budget.read(peer.ip(), body, length)).await {
        Ok(Some((_permits, bytes))) => next.run(Request::from_parts(parts, Body::from(bytes))).await,
        // Longer than it declared, or than any may be; or it broke, and nobody reads the answer.
        Ok(None) => TOO_LARGE.into_response(),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "the body did not come in time, or too many are read at once\n")
            .into_response(),
    }
}

const TOO_LARGE: (StatusCode, &str) = (StatusCode::PAYLOAD_TOO_LARGE, "the body is larger than 8 MiB\n");

/// The longest body that a request can have. API servers declare its length; what comes through a proxy may not.
fn longest(headers: &HeaderMap) -> usize {
    let declared = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    declared.unwrap_or(MAX_BODY)
}

/// Connections of all peers. Each may hold some hundred kilobytes before its request is budgeted.
const MAX_CONNECTIONS: usize = 512;

/// Accepts connections while their peer has few. Stands before TLS, so that those refused cost no handshake.
#[derive(Debug, Clone)]
pub(crate) struct PeerConnections {
    all: Arc<Semaphore>,
    per_peer: PerPeer,
}

impl PeerConnections {
    /// No connection yet.
    pub(crate) fn new() -> Self {
        Self::of(MAX_CONNECTIONS, MAX_PEER_CONNECTIONS)
    }

    fn of(all: usize, of_a_peer: usize) -> Self {
        PeerConnections { all: Arc::new(Semaphore::new(all)), per_peer: PerPeer::new(of_a_peer) }
    }

    fn admit(&self, stream: TcpStream) -> io::Result<CountedStream> {
        let peer = stream.peer_addr()?.ip();
        let full = |_| io::Error::other(format!("too many connections; {peer} is refused another one"));
        let of_peer = self.per_peer.of(peer).try_acquire_owned().map_err(full)?;
        let of_all = Arc::clone(&self.all).try_acquire_owned().map_err(full)?;
        Ok(CountedStream { stream, _permits: (of_peer, of_all) })
    }
}

impl<S> Accept<TcpStream, S> for PeerConnections {
    type Stream = CountedStream;
    type Service = S;
    type Future = Ready<io::Result<(CountedStream, S)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        ready(self.admit(stream).map(|stream| (stream, service)))
    }
}

/// A connection that counts until it is closed.
#[derive(Debug)]
pub(crate) struct CountedStream {
    stream: TcpStream,
    _permits: BothPermits,
}

impl AsyncRead for CountedStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for CountedStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;
    use std::net::Ipv4Addr;

    const ONE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
    const TWO: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));

    #[test]
    fn a_peer_takes_no_more_than_its_share() {
        let check = |taken: &[(IpAddr, usize)], next: (IpAddr, usize), expected: bool| {
            let budget = BodyBudget::of(4 * UNIT, 3 * UNIT);
            let held: Vec<_> = taken.iter().map(|(peer, bytes)| budget.take(*peer, *bytes).now_or_never()).collect();
            let found = budget.take(next.0, next.1).now_or_never().flatten().is_some();
            assert_eq!(found, expected, "{taken:?} {next:?}");
            drop(held);
        };
        check(&[], (ONE, 3 * UNIT), true);
        check(&[], (ONE, 3 * UNIT + 1), false);
        check(&[(ONE, 3 * UNIT)], (ONE, 1), false);
        check(&[(ONE, 3 * UNIT)], (TWO, UNIT), true);
        check(&[(ONE, 3 * UNIT)], (TWO, UNIT + 1), false);
        // What waits for its peer's share takes nothing.
        check(&[(ONE, 2 * UNIT), (ONE, 2 * UNIT)], (TWO, 2 * UNIT), true);
        check(&[(ONE, 0)], (ONE, 0), true);
    }

    #[tokio::test]
    async fn a_body_takes_what_came_of_it() {
        let budget = BodyBudget::of(4 * STEP, 2 * STEP);
        let check = async |size: usize, longest: usize, expected: Option<usize>| {
            let read = budget.read(ONE, Body::from(vec![b'x'; size]), longest).await;
            assert_eq!(read.map(|(_, bytes)| bytes.len()), expected, "{size} {longest}");
        };
        check(0, MAX_BODY, Some(0)).await;
        check(100, MAX_BODY, Some(100)).await;
        check(2 * STEP, MAX_BODY, Some(2 * STEP)).await;
        check(100, 99, None).await;
        // Nothing of it is taken while nothing comes.
        let silent = Body::from_stream(futures::stream::pending::<io::Result<Vec<u8>>>());
        assert!(budget.read(ONE, silent, MAX_BODY).now_or_never().is_none());
        assert_eq!(budget.all.available_permits(), 4 * STEP / UNIT);
    }

    #[test]
    fn peers_are_forgotten() {
        let per_peer = PerPeer::new(1);
        let held = per_peer.of(ONE);
        (0..100).for_each(|i| drop(per_peer.of(IpAddr::V4(Ipv4Addr::new(10, 1, 0, i)))));
        assert!(per_peer.peers.lock().len() <= 2, "{:?}", per_peer.peers);
        assert!(Arc::ptr_eq(&held, &per_peer.of(ONE)));
    }

    #[test]
    fn a_length_that_is_not_declared_is_the_longest() {
        let check = |declared: Option<&str>, expected: usize| {
            let mut headers = HeaderMap::new();
            declared.map(|value| headers.insert(CONTENT_LENGTH, value.parse().unwrap()));
            assert_eq!(longest(&headers), expected, "{declared:?}");
        };
        check(Some("7"), 7);
        check(Some("8388609"), MAX_BODY + 1);
        check(Some("-1"), MAX_BODY);
        check(None, MAX_BODY);
    }

    #[tokio::test]
    async fn connections_of_a_peer_are_counted() {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let connections = PeerConnections::of(10, 2);
        let mut open = Vec::new();
        for expected in [true, true, false, false] {
            let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            let admitted = connections.admit(listener.accept().await.unwrap().0);
            assert_eq!(admitted.is_ok(), expected);
            open.push((client, admitted));
        }
        // One that closes makes room.
        drop(open.remove(0));
        let _client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        assert!(connections.admit(listener.accept().await.unwrap().0).is_ok());
    }
}
