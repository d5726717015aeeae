//! The server from start to end.

use crate::alert::Alerts;
use crate::args::Serve;
use crate::context::{Context, Young};
use crate::database::Databases;
use crate::index::Index;
use crate::install::certificate::Authority;
use crate::metrics::Metrics;
use crate::queues::Queues;
use crate::scans::slots::Slots;
use crate::{allowlist, api, controllers, install, scans, webhook};
use anyhow::{Context as _, Result};
use axum::Router;
use axum_server::tls_rustls::RustlsConfig;
use kube::Client;
use kube::runtime::events::{Recorder, Reporter};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tidewaiter::store::Sqlite;
use tidewaiter_crd::names::FIELD_MANAGER;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// How often the webhooks' certificate is made anew.
const ROTATION: Duration = Duration::from_secs(24 * 3600);

/// Runs until told to stop.
///
/// # Errors
/// When an address, the store or the cluster cannot be used.
pub(crate) async fn run(client: Client, args: Serve) -> Result<()> {
    let settings = args.settings()?;
    let queues = Queues::new();
    let index = Index::start(&client, &queues);
    let store = Sqlite::open(&args.store).with_context(|| format!("the store {}", args.store.display()))?;
    let databases = Databases::open(&args.db, &args.store, &settings.program);
    let reporter = Reporter { controller: FIELD_MANAGER.to_owned(), instance: None };
    let ctx = Arc::new(Context {
        recorder: Recorder::new(client.clone(), reporter),
        client,
        slots: Slots::new(settings.scans),
        settings,
        alerts: Alerts::new(queues.clone(), Arc::clone(&index)),
        queues: queues.clone(),
        index: Arc::clone(&index),
        store: Arc::new(store),
        databases: databases.clone(),
        metrics: Metrics::new(),
        approvals: Young::default(),
        lists: allowlist::Lists::default(),
        ready: AtomicBool::new(false),
        tls: OnceLock::new(),
    });
    answer(args.listen, api::router(Arc::clone(&ctx))).await?;
    answer(args.metrics_listen, api::metrics_router(Arc::clone(&ctx))).await?;
    tokio::select! {
        ready = start(&ctx, &args, databases) => ready?,
        () = stopped() => return Ok(()),
    }
    stopped().await;
    Ok(())
}

/// Serves plain HTTP until the process ends.
async fn answer(address: SocketAddr, routes: Router) -> Result<()> {
    let listener = TcpListener::bind(address).await.with_context(|| format!("listening on {address}"))?;
    tokio::spawn(async move { axum::serve(listener, routes).await });
    Ok(())
}

/// Everything from the first look at the cluster to ready.
async fn start(ctx: &Arc<Context>, args: &Serve, databases: Databases) -> Result<()> {
    ctx.index.ready().await;
    let authority = Authority::open(&ctx.client).await?;
    webhooks(ctx, args, &authority).await?;
    install::install(ctx, &authority.pem).await?;
    controllers::start(ctx);
    tokio::spawn(databases.follow(Arc::clone(ctx)));
    tokio::spawn(install::keep(Arc::clone(ctx), authority.pem.clone()));
    tokio::spawn(scans::sweep::sweep(Arc::clone(ctx)));
    tokio::spawn(rotate(Arc::clone(ctx), authority));
    ctx.ready.store(true, Ordering::Release);
    tracing::info!("ready");
    install::nudge::nudge(ctx).await;
    Ok(())
}

async fn webhooks(ctx: &Arc<Context>, args: &Serve, authority: &Authority) -> Result<()> {
    let leaf = authority.leaf(&ctx.settings)?;
    let tls = RustlsConfig::from_pem(leaf.certificate.into_bytes(), leaf.key.into_bytes()).await?;
    let _ = ctx.tls.set(tls.clone());
    let listener = std::net::TcpListener::bind(args.webhook_listen);
    let listener = listener.with_context(|| format!("listening on {}", args.webhook_listen))?;
    listener.set_nonblocking(true)?;
    let app = webhook::router(Arc::clone(ctx)).into_make_service();
    let server = axum_server::from_tcp_rustls(listener, tls)?;
    tokio::spawn(async move { server.serve(app).await });
    Ok(())
}

/// A leaf is used as long as its server runs, and no longer than a day.
async fn rotate(ctx: Arc<Context>, authority: Authority) {
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

async fn stopped() {
    let (Ok(mut term), Ok(mut int)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
}
