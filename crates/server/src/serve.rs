//! The server from its start to its end.

use crate::alert::AlertChannel;
use crate::args::ServeArgs;
use crate::context::ServerContext;
use crate::events::EventChannel;
use crate::http::admission_limits::PeerConnections;
use crate::index::Index;
use crate::install::certificate::{WebhookAuthority, reports_token};
use crate::memory::{LostResults, ScanRuns, WrittenAllowlists};
use crate::metrics::Metrics;
use crate::queues::Queues;
use crate::scan::database::DatabaseFile;
use crate::scan::sandbox;
use crate::scan::slots::ScanSlots;
use crate::store::SqliteStore;
use crate::{controllers, http, install};
use anyhow::{Context as _, Result};
use axum::Router;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use kube::Client;
use kube::runtime::events::{Recorder, Reporter};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tidewaiter_crd::names::FIELD_MANAGER;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// Age at which the webhooks' certificate is replaced: a day, so that a leaked key is of little use.
const ROTATION: Duration = Duration::from_secs(24 * 3600);

/// Time limit of a connection's first request to the webhooks: the API server connects when it has one.
const FIRST_REQUEST: Duration = Duration::from_secs(10);

/// Bytes of a connection to the webhooks that are held before its request is counted (`http::admission_limits`): its head in
/// HTTP/1.1, what came of all bodies in HTTP/2.
const BUFFER: usize = 64 << 10;
const WINDOW: u32 = 128 << 10;
/// Requests of one HTTP/2 connection at once; an API server opens another connection for more.
const STREAMS: u32 = 100;

/// Runs until a signal stops it.
///
/// # Errors
/// When an address, the store or the cluster cannot be used.
pub(crate) async fn run(client: Client, args: ServeArgs) -> Result<()> {
    let mut settings = args.settings()?;
    let queues = Queues::new();
    // The watches start first: they list the cluster while the store and the database are opened.
    let index = Index::start(&client, &queues);
    let store = SqliteStore::open(&args.store).with_context(|| format!("the store {}", args.store.display()))?;
    let database = DatabaseFile::open(&args.db, &args.store, &settings.program);
    if settings.scanner.is_none() {
        tracing::info!("{}", sandbox::support());
    }
    let reporter = Reporter { controller: FIELD_MANAGER.to_owned(), instance: None };
    let recorder = Recorder::new(client.clone(), reporter);
    install::exclusions::settle(&client, &recorder, &mut settings).await?;
    let metrics = Metrics::new();
    let events = EventChannel::new(recorder.clone());
    let ctx = Arc::new(ServerContext {
        alerts: AlertChannel::new(Arc::clone(&index), metrics.clone(), client.clone(), events.clone()),
        events,
        recorder,
        client,
        lost_results: LostResults::default(),
        runs: ScanRuns::default(),
        slots: ScanSlots::new(settings.scans),
        settings,
        queues,
        index,
        store: Arc::new(store),
        database,
        metrics,
        written_allowlists: WrittenAllowlists::default(),
        ready: AtomicBool::new(false),
        webhook_token: OnceLock::new(),
        reports_token: OnceLock::new(),
        tls: OnceLock::new(),
    });
    // First, so that probes are answered while the cluster is being listed.
    listen(args.listen, http::api::router(Arc::clone(&ctx))).await?;
    listen(args.metrics_listen, http::metrics::router(Arc::clone(&ctx))).await?;
    until_stopped(async {
        start(&ctx, &args).await?;
        std::future::pending().await
    })
    .await
}

/// Serves plain HTTP until the process ends.
async fn listen(address: SocketAddr, routes: Router) -> Result<()> {
    let listener = TcpListener::bind(address).await.with_context(|| format!("listening on {address}"))?;
    tokio::spawn(async move { axum::serve(listener, routes).await });
    Ok(())
}

/// Everything from listing the cluster to ready. In this order: nothing is enforced before the webhooks answer, and the
/// server is ready only when the policies are in force.
async fn start(ctx: &Arc<ServerContext>, args: &ServeArgs) -> Result<()> {
    ctx.index.ready().await;
    let authority = WebhookAuthority::open(&ctx.client).await?;
    let _ = ctx.webhook_token.set(authority.token.clone());
    let _ = ctx.reports_token.set(reports_token(&authority.token));
    // Not before the cluster is listed: the Service leads here whether the Pod is ready or not, and the API server takes a
    // closed port as a server that is away.
    webhooks(ctx, args, &authority).await?;
    install::first_policy::create(ctx).await?;
    install::install(ctx, &authority.pem).await?;
    controllers::start(ctx);
    tokio::spawn(install::keep(Arc::clone(ctx), authority.pem.clone()));
    tokio::spawn(rotate(Arc::clone(ctx), authority));
    ctx.ready.store(true, Ordering::Release);
    tracing::info!("ready");
    // Last: the Pods that are created then find the webhooks and the lists.
    install::nudge::nudge(ctx).await;
    Ok(())
}

async fn webhooks(ctx: &Arc<ServerContext>, args: &ServeArgs, authority: &WebhookAuthority) -> Result<()> {
    let leaf = authority.leaf(&ctx.settings)?;
    let tls = RustlsConfig::from_pem(leaf.certificate.into_bytes(), leaf.key.into_bytes()).await?;
    let _ = ctx.tls.set(tls.clone());
    let listener = std::net::TcpListener::bind(args.webhook_listen);
    let listener = listener.with_context(|| format!("listening on {}", args.webhook_listen))?;
    listener.set_nonblocking(true)?;
    let app = http::webhook::router(Arc::clone(ctx)).into_make_service_with_connect_info::<SocketAddr>();
    let acceptor = RustlsAcceptor::new(tls).acceptor(PeerConnections::new());
    let mut server = axum_server::from_tcp(listener)?.acceptor(acceptor).first_request_timeout(FIRST_REQUEST);
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

/// Replaces the leaf certificate every day.
async fn rotate(ctx: Arc<ServerContext>, authority: WebhookAuthority) {
    loop {
        tokio::time::sleep(ROTATION).await;
        let Some(tls) = ctx.tls.get() else { continue };
        let renewed = match authority.leaf(&ctx.settings) {
            Ok(leaf) => {
                tls.reload_from_pem(leaf.certificate.into_bytes(), leaf.key.into_bytes()).await.map_err(Into::into)
            }
            Err(error) => Err(error),
        };
        if let Err(error) = renewed {
            tracing::error!("the webhooks' certificate was not renewed: {error:#}");
        }
    }
}

/// Runs something until it ends or a signal stops it.
///
/// # Errors
/// Those of what runs.
pub(crate) async fn until_stopped(work: impl Future<Output = Result<()>>) -> Result<()> {
    tokio::select! {
        ended = work => ended,
        () = stopped() => Ok(()),
    }
}

async fn stopped() {
    let (Ok(mut term), Ok(mut int)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
}
