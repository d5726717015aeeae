//! The server from its start to its end.

use crate::alert::AlertChannel;
use crate::api_reach::ApiReach;
use crate::args::ServeArgs;
use crate::authority::WebhookTrust;
use crate::context::{REPORT_READS, ServerContext};
use crate::controllers::garbage_collection;
use crate::election::{Election, KnownLeader, NewestDatabase};
use crate::events::EventChannel;
use crate::http::admission_limits::PeerConnections;
use crate::index::Index;
use crate::memory::{LostResults, RegistryHolds, ScanRuns, WrittenAllowlists};
use crate::metrics::Metrics;
use crate::peer_access::PeerAccess;
use crate::queues::Queues;
use crate::replica::Replica;
use crate::scan::database::DatabaseFile;
use crate::scan::sandbox;
use crate::scan::slots::ScanSlots;
use crate::signals::{StopSignal, stopped};
use crate::store::SqliteStore;
use crate::traces::Traces;
use crate::write_fence::WriteFence;
use crate::{http, install, peers};
use anyhow::{Context as _, Result};
use axum::Router;
use axum_server::Handle;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use kube::client::ClientBuilder;
use kube::runtime::events::{Recorder, Reporter};
use kube::{Client, Config};
use parking_lot::RwLock;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use tidewaiter_crd::names::FIELD_MANAGER;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// Time limit of a connection's first request to the webhooks: the API server connects when it has one.
const FIRST_REQUEST: Duration = Duration::from_secs(10);

/// Bytes of a connection to the webhooks that are held before its request is counted (`http::admission_limits`): its head in
/// HTTP/1.1, what came of all bodies in HTTP/2.
const BUFFER: usize = 64 << 10;
const WINDOW: u32 = 128 << 10;
/// Requests of one HTTP/2 connection at once; an API server opens another connection for more.
const STREAMS: u32 = 100;

/// How long a process that was told to stop answers new requests: until the endpoints of its Service have lost it, everywhere.
const DRAIN: Duration = Duration::from_secs(5);
/// Pause between two looks whether all are answered.
const ANSWERS_PAUSE: Duration = Duration::from_millis(50);
/// How long requests under way may take then; the API server waits for three seconds.
const LAST_ANSWERS: Duration = Duration::from_secs(5);

/// Runs until a signal stops it.
///
/// # Errors
/// When an address, the store or the cluster cannot be used, or this process led and another one does now.
pub(crate) async fn run(config: Config, args: ServeArgs) -> Result<()> {
    let traces = Traces::start()?;
    let mut settings = args.settings()?;
    let credential_providers = args.credential_providers()?;
    let (fence, leader) = (WriteFence::new(), KnownLeader::default());
    // Not behind the fence: what decides who leads, and the authority, which all processes need and one makes.
    let reach = ApiReach::new(config)?;
    let unfenced = ClientBuilder::new(reach.service(true), reach.default_namespace()).build();
    // Retries would be below the fence, which is asked once: each write that is sent must pass. Controllers try again by themselves.
    let client = ClientBuilder::new(reach.service(false), reach.default_namespace()).with_layer(&fence).build();
    let (identity, newest_database) = (settings.identity.clone(), NewestDatabase::default());
    // Without retries: an answer that asks to try again (429, 503) is an answer, and no silence.
    let election = Election::new(
        ClientBuilder::new(reach.service(false), reach.default_namespace()).build(),
        identity,
        fence.clone(),
        leader.clone(),
        newest_database.clone(),
        reach.clone(),
    );
    let queues = Queues::new();
    queues.close();
    // The watches start first: they list the cluster while the store and the database are opened. They only read, and by a client
    // that tries again at once where the API server is just beginning to serve a definition (429).
    let index = Index::start(&unfenced, &queues, &reach);
    let store = SqliteStore::open(&args.store).with_context(|| format!("the store {}", args.store.display()))?;
    let database = DatabaseFile::open(&args.db, &args.store, &settings.program);
    if settings.scanner.is_none() {
        tracing::info!("{}", sandbox::support());
    }
    let reporter = Reporter { controller: FIELD_MANAGER.to_owned(), instance: None };
    let recorder = Recorder::new(client.clone(), reporter);
    install::exclusions::settle(&unfenced, &mut settings).await?;
    let metrics = Metrics::new();
    let events = EventChannel::new(recorder.clone());
    let ctx = Arc::new(ServerContext {
        alerts: AlertChannel::new(Arc::clone(&index), metrics.clone(), client.clone(), events.clone(), fence.clone()),
        events,
        recorder,
        client,
        lost_results: LostResults::default(),
        runs: ScanRuns::default(),
        report_reads: Arc::new(Semaphore::new(REPORT_READS)),
        slots: ScanSlots::new(settings.scans, args.scans_per_registry),
        registry_holds: RegistryHolds::default(),
        credential_providers,
        settings,
        queues,
        index,
        store: Arc::new(store),
        database,
        metrics,
        written_allowlists: WrittenAllowlists::default(),
        fence,
        leader,
        newest_database,
        peers: OnceLock::new(),
        stage: RwLock::default(),
        trust: Arc::new(WebhookTrust::default()),
        tls: OnceLock::new(),
    });
    // First, so that probes are answered while the cluster is being listed.
    listen(args.listen, http::api::router(Arc::clone(&ctx))).await?;
    listen(args.metrics_listen, http::metrics::router(Arc::clone(&ctx))).await?;
    let webhooks = Handle::new();
    tokio::select! {
        started = start(&ctx, &args, &unfenced, webhooks.clone()) => started?,
        _ = stopped() => return Ok(()),
    }
    let mut replica = Replica::new(ctx, election);
    let (ended, signal) = tokio::select! {
        // Its Service leads here as before, and must not find a closed port.
        ended = replica.run() => (ended, StopSignal::Terminate),
        signal = stopped() => (Ok(()), signal),
    };
    if let Err(error) = &ended {
        tracing::error!("this process cannot go on: {error:#}");
    }
    stop(replica, signal, &webhooks).await;
    traces.end().await;
    ended
}

/// Ends without a gap: the next process leads at once, and admission requests are answered until no more come.
async fn stop(mut replica: Replica, signal: StopSignal, webhooks: &Handle<SocketAddr>) {
    tracing::info!("stopping");
    let forwarding = replica.give_up().await;
    if signal == StopSignal::Terminate {
        tokio::time::sleep(DRAIN).await;
    }
    webhooks.graceful_shutdown(Some(LAST_ANSWERS));
    let began = Instant::now();
    while webhooks.connection_count() > 0 && began.elapsed() < LAST_ANSWERS {
        tokio::time::sleep(ANSWERS_PAUSE).await;
    }
    drop(forwarding);
    tracing::info!("stopped");
}

/// Serves plain HTTP until the process ends.
async fn listen(address: SocketAddr, routes: Router) -> Result<()> {
    let listener = TcpListener::bind(address).await.with_context(|| format!("listening on {address}"))?;
    tokio::spawn(async move { axum::serve(listener, routes).await });
    Ok(())
}

/// Everything from listing the cluster to answering admission requests.
async fn start(
    ctx: &Arc<ServerContext>,
    args: &ServeArgs,
    unfenced: &Client,
    handle: Handle<SocketAddr>,
) -> Result<()> {
    ctx.index.ready().await;
    let tls = install::rotation::begin(ctx, unfenced).await?;
    let _ = ctx.peers.set(PeerAccess::new(Arc::clone(&ctx.trust), args.webhook_listen.port()));
    // Not before the cluster is listed: the Service leads here whether the Pod is ready or not, and the API server takes a
    // closed port as a server that is away.
    webhooks(ctx, args, tls, handle)?;
    tokio::spawn(install::rotation::keep(Arc::clone(ctx)));
    if ctx.settings.database_from_peers {
        tokio::spawn(peers::database::take_from_others(Arc::clone(ctx)));
    }
    // Of its own store, whoever leads.
    tokio::spawn(garbage_collection::run(Arc::clone(ctx)));
    Ok(())
}

fn webhooks(ctx: &Arc<ServerContext>, args: &ServeArgs, tls: RustlsConfig, handle: Handle<SocketAddr>) -> Result<()> {
    let listener = std::net::TcpListener::bind(args.webhook_listen);
    let listener = listener.with_context(|| format!("listening on {}", args.webhook_listen))?;
    listener.set_nonblocking(true)?;
    let app = http::webhook::router(Arc::clone(ctx)).into_make_service_with_connect_info::<SocketAddr>();
    let acceptor = RustlsAcceptor::new(tls).acceptor(PeerConnections::new());
    let mut server =
        axum_server::from_tcp(listener)?.acceptor(acceptor).first_request_timeout(FIRST_REQUEST).handle(handle);
    server.http_builder().http1().max_buf_size(BUFFER);
    let http2 = server.http_builder();
    http2
        .http2()
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .max_concurrent_streams(STREAMS);
    tokio::spawn(async move { server.serve(app).await });
    Ok(())
}
