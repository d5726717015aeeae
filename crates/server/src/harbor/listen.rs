//! The adapter from its start to its end.

use super::access::{self, AccessToken};
use super::adapter::HarborAdapter;
use super::args::HarborAdapterArgs;
use super::database::HarborDatabase;
use super::routes::{self, RouteState};
use crate::http::admission_limits::PeerConnections;
use crate::scan::sandbox;
use crate::settings::WorkerHost;
use crate::signals::{StopSignal, stopped};
use crate::store::SqliteStore;
use anyhow::{Context as _, Result, anyhow};
use axum_server::Handle;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use parking_lot::RwLock;
use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Time limit of a connection's first request.
const FIRST_REQUEST: Duration = Duration::from_secs(10);
/// Pause between two looks at the files that may change.
const LOOK: Duration = Duration::from_secs(30);
/// How long scans that run may go on, and their results be asked for, after the signal to stop: below the half minute after which
/// Kubernetes ends a container.
const LAST_SCANS: Duration = Duration::from_secs(20);
/// How long answers that are being sent may take at the end.
const LAST_ANSWERS: Duration = Duration::from_secs(5);
/// Pause between two looks whether all is done.
const PAUSE: Duration = Duration::from_millis(200);

/// Runs until a signal stops it.
///
/// # Errors
/// When an argument, a file or the address cannot be used.
pub(crate) async fn run(args: HarborAdapterArgs) -> Result<()> {
    let settings = args.settings()?;
    access::may_listen(args.listen, args.token_file.is_some(), args.allow_unauthenticated)
        .map_err(|why| anyhow!(why))?;
    // Workers may be of this user, and logins are in memory. Not earlier: a process that cannot be dumped may not ask for its own path.
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    let files = WatchedFiles::open(&args).await?;
    let store = SqliteStore::open(&args.store).with_context(|| format!("the store {}", args.store.display()))?;
    let listener = TcpListener::bind(args.listen).with_context(|| format!("listening on {}", args.listen))?;
    listener.set_nonblocking(true)?;
    if matches!(settings.workers, WorkerHost::Here(_)) {
        tracing::info!("{}", sandbox::support());
    }
    let address = listener.local_addr()?;
    let adapter = Arc::new(HarborAdapter::new(settings, HarborDatabase::new(args.db), Arc::new(store)));
    if let Err(problem) = adapter.database().await {
        tracing::warn!("Harbor shows the scanner as unhealthy: {}", problem.message);
    }
    tokio::spawn(Arc::clone(&adapter).sweep());
    let handle = Handle::new();
    let state = RouteState { adapter: Arc::clone(&adapter), token: Arc::clone(&files.token) };
    let serving = serve(listener, state, files.tls.clone(), handle.clone());
    let scheme = if files.tls.is_some() { "https" } else { "http" };
    tracing::info!("listening on {scheme}://{address}");
    tokio::spawn(files.keep_reading());
    tokio::select! {
        ended = serving => ended,
        () = stop(&adapter, &handle) => Ok(()),
    }
}

async fn serve(
    listener: TcpListener,
    state: RouteState,
    tls: Option<RustlsConfig>,
    handle: Handle<SocketAddr>,
) -> Result<()> {
    let app = routes::router(state).into_make_service();
    let server = axum_server::from_tcp(listener)?.first_request_timeout(FIRST_REQUEST).handle(handle);
    match tls {
        Some(tls) => server.acceptor(RustlsAcceptor::new(tls).acceptor(PeerConnections::new())).serve(app).await?,
        None => server.acceptor(PeerConnections::new()).serve(app).await?,
    }
    Ok(())
}

/// Waits for a signal, and then until nothing is lost, or a second signal, or the time is over.
async fn stop(adapter: &HarborAdapter, handle: &Handle<SocketAddr>) {
    let signal = stopped().await;
    tracing::info!("stopping");
    adapter.close();
    if signal == StopSignal::Terminate {
        tokio::select! {
            () = until_done(adapter) => {}
            _ = stopped() => {}
        }
    }
    handle.graceful_shutdown(Some(LAST_ANSWERS));
    let began = Instant::now();
    while handle.connection_count() > 0 && began.elapsed() < LAST_ANSWERS {
        tokio::time::sleep(PAUSE).await;
    }
    tracing::info!("stopped");
}

async fn until_done(adapter: &HarborAdapter) {
    let began = Instant::now();
    while !adapter.is_done() && began.elapsed() < LAST_SCANS {
        tokio::time::sleep(PAUSE).await;
    }
}

/// Files that others replace: the token, and the certificate with its key.
struct WatchedFiles {
    token_file: Option<PathBuf>,
    token: Arc<RwLock<Option<AccessToken>>>,
    certificates: Option<PathBuf>,
    tls: Option<RustlsConfig>,
}

impl WatchedFiles {
    async fn open(args: &HarborAdapterArgs) -> Result<Self> {
        let token = args.token_file.as_deref().map(read_token).transpose()?;
        let tls = match args.tls_cert_dir.as_deref().map(pair) {
            None => None,
            Some([certificate, key]) => {
                let hint = || format!("{} with its key {}", certificate.display(), key.display());
                Some(RustlsConfig::from_pem_file(&certificate, &key).await.with_context(hint)?)
            }
        };
        Ok(WatchedFiles {
            token_file: args.token_file.clone(),
            token: Arc::new(RwLock::new(token)),
            certificates: args.tls_cert_dir.clone(),
            tls,
        })
    }

    /// Reads them again and again. What cannot be used is said, and what was read before stays.
    async fn keep_reading(self) {
        loop {
            tokio::time::sleep(LOOK).await;
            match self.token_file.as_deref().map(read_token).transpose() {
                Ok(token) => *self.token.write() = token,
                Err(error) => tracing::error!("the former token stays: {error:#}"),
            }
            let (Some(tls), Some([certificate, key])) = (&self.tls, self.certificates.as_deref().map(pair)) else {
                continue;
            };
            if let Err(error) = tls.reload_from_pem_file(&certificate, &key).await {
                tracing::error!("the former certificate stays: {}: {error}", certificate.display());
            }
        }
    }
}

fn read_token(path: &Path) -> Result<AccessToken> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    AccessToken::parse(&text).map_err(|why| anyhow!("{}: {why}", path.display()))
}

fn pair(folder: &Path) -> [PathBuf; 2] {
    ["tls.crt", "tls.key"].map(|name| folder.join(name))
}
