//! `tidewaiter`: the server that holds workloads until their images are scanned and approved.
//!
//! ```text
//! API server → webhook → admission (pure)            what may run now
//! API server → index → queues → controllers          scans, decisions, releases
//!   scans (child process) → ImageScan → workload, pods → WorkloadScan → ImageAllowlist, un-pause, un-gate
//! ```
//!
//! Decisions are read from WorkloadScans alone, which nobody else can write. Everything the server must know after a
//! restart is in its objects. It never links the feeds, and scans in a process without a token.

mod admission;
mod alert;
mod allowlist;
mod api;
mod args;
mod context;
mod controllers;
mod database;
mod index;
mod install;
mod metrics;
mod patches;
mod pods;
mod policy;
mod pull_secrets;
mod queues;
mod rematch;
mod scans;
mod serve;
mod webhook;
mod worker;
mod workload;

use anyhow::{Context as _, Result};
use args::{Args, Command};
use clap::Parser as _;
use kube::{Client, Config};
use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;
use tidewaiter_http::proxy::Proxies;

fn main() -> ExitCode {
    // One TLS provider for the process; libraries bring none.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    match run(Args::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    match command {
        Command::ScanWorker => return worker::main(),
        Command::RematchWorker => return rematch::main(),
        Command::Serve(_) | Command::Uninstall => {}
    }
    log();
    let runtime = tokio::runtime::Runtime::new().context("starting the runtime")?;
    runtime.block_on(async {
        let client = connect().await?;
        match command {
            Command::Serve(args) => serve::run(client, *args).await,
            Command::Uninstall => install::uninstall::run(client).await,
            Command::ScanWorker | Command::RematchWorker => Ok(()),
        }
    })
}

/// The cluster of the kubeconfig, or the one that this runs in.
async fn connect() -> Result<Client> {
    let mut config = Config::infer().await.context("no cluster: set KUBECONFIG, or run inside one")?;
    // Inside, the API server is next door: no proxy leads there, and the client looks for none.
    if config.proxy_url.is_some() {
        config.proxy_url = Proxies::from_env()?.for_cluster(&config.cluster_url, config.proxy_url.take());
    }
    Client::try_from(config).context("connecting to the cluster")
}

/// Lines for people on a terminal, JSON for collectors.
fn log() {
    let builder = tracing_subscriber::fmt().with_max_level(tracing::Level::INFO).with_writer(std::io::stderr);
    if std::io::stderr().is_terminal() {
        builder.init();
    } else {
        builder.json().init();
    }
}
