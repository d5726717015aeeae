//! `tidewaiter`: the server that holds workloads until their images are scanned and approved.
//!
//! ```text
//! API server → http::webhook → admission            what may run now
//! API server → index → queues → controllers         scans, decisions, releases
//!   ImageScan → scan (another process) → store, ImageScan → WorkloadScan → ImageAllowlist, un-pause, un-gate
//! ```
//!
//! Every floor uses only those below it:
//!
//! ```text
//! args, serve
//! replica                            follows, leads, stops
//! harbor                             a program of its own: the scanner that Harbor asks
//! http · install                     what the server listens on; what it registers in the cluster
//! peers                              what servers say to each other
//! controllers                        read, ask `decide`, write
//! context                            holds all that is below
//! alert · index · scan · memory      delivery; watches; processes; what only saves work
//! queues · store · metrics · settings · log
//! unheld                             namespaces to be looked at
//! admission · election · authority   what a request may do; who leads; the webhooks' certificates
//! decide                             pure: what images and workloads may do
//! ```
//!
//! Decisions are read from WorkloadScans alone, which no other user can write. Everything that the server must know after a
//! restart is in objects of the cluster. It never links the feeds, and scans in a process without a token.
//!
//! A library, so that `benches` measures the store that the server uses.

mod admission;
mod alert;
mod api_reach;
mod args;
mod authority;
mod context;
mod controllers;
mod decide;
mod election;
mod error;
mod events;
mod harbor;
mod http;
mod index;
mod install;
mod log;
mod memory;
mod metrics;
mod patches;
mod peer_access;
mod peers;
mod queues;
mod replica;
mod scan;
mod serve;
mod settings;
mod signals;
pub mod store;
mod traces;
mod trusted_scans;
mod unheld;
mod watch_problems;
mod write_fence;

use anyhow::{Context as _, Result};
use args::{ServerArgs, ServerCommand};
use axum::http::HeaderValue;
use axum::http::header::USER_AGENT;
use clap::Parser as _;
use kube::{Client, Config};
use std::io::Write as _;
use std::process::ExitCode;
use tidewaiter_http::proxy::Proxies;

/// Runs the program with the arguments of the process.
pub fn main() -> ExitCode {
    // One TLS provider for the process: libraries are built without one.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    match run(ServerArgs::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: ServerCommand) -> Result<()> {
    match command {
        ServerCommand::ScanWorker { layer_cache } => return scan::worker::main(layer_cache.as_deref()),
        ServerCommand::RematchWorker => return scan::rematch::main(),
        ServerCommand::Serve(_)
        | ServerCommand::Scanner(_)
        | ServerCommand::HarborAdapter(_)
        | ServerCommand::Uninstall(_) => {}
    }
    log::start();
    let runtime = tokio::runtime::Runtime::new().context("starting the runtime")?;
    runtime.block_on(async {
        match command {
            ServerCommand::Serve(args) => serve::run(config().await?, *args).await,
            ServerCommand::Scanner(args) => signals::until_stopped(scan::scanner::run(args.settings()?)).await,
            ServerCommand::HarborAdapter(args) => harbor::run(*args).await,
            ServerCommand::Uninstall(args) if args.release_only => {
                install::uninstall::run_release(connect().await?).await
            }
            ServerCommand::Uninstall(_) => install::uninstall::run(connect().await?).await,
            ServerCommand::ScanWorker { .. } | ServerCommand::RematchWorker => Ok(()),
        }
    })
}

/// This program, as it names itself to API servers.
const AGENT: &str = concat!("tidewaiter/", env!("CARGO_PKG_VERSION"));

/// The cluster of the kubeconfig, or the one that the process runs in.
async fn config() -> Result<Config> {
    let mut config = Config::infer().await.context("no cluster: set KUBECONFIG, or run inside one")?;
    // Audit logs and managed fields name who writes by it.
    config.headers.push((USER_AGENT, HeaderValue::from_static(AGENT)));
    // Inside a cluster no proxy leads to the API server, and the client uses none.
    if config.proxy_url.is_some() {
        config.proxy_url = Proxies::from_env()?.for_cluster(&config.cluster_url, config.proxy_url.take());
    }
    Ok(config)
}

async fn connect() -> Result<Client> {
    Client::try_from(config().await?).context("connecting to the cluster")
}
