//! Serving a router on loopback, with TLS or without, until it is dropped.

use crate::authority::Authority;
use axum::Router;
use axum_server::tls_rustls::RustlsConfig;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

/// Names that every certificate made here is for; those below `.example` are reached through a [`crate::proxy::Proxy`].
const NAMES: [&str; 6] =
    ["localhost", "127.0.0.1", "registry.example", "feeds.example", "alerts.example", "other.example"];

/// Certificate and key, as PEM.
pub(crate) type Pair = (String, String);

/// A pair for the servers of this machine.
pub(crate) fn pair(authority: &Authority) -> Pair {
    authority.leaf(&NAMES)
}

/// A server that stops when it is dropped.
#[derive(Debug)]
pub(crate) struct Served {
    pub(crate) address: SocketAddr,
    runtime: Option<Runtime>,
}

impl Served {
    /// On a port of loopback; 0 is a free one.
    pub(crate) fn start(port: u16, app: Router, tls: Option<Pair>) -> Self {
        Self::start_at((IpAddr::from(Ipv4Addr::LOCALHOST), port).into(), app, tls)
    }

    /// At an address of this machine.
    pub(crate) fn start_at(address: SocketAddr, app: Router, tls: Option<Pair>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind(address)).unwrap();
        let address = listener.local_addr().unwrap();
        match tls {
            None => drop(runtime.spawn(async move { axum::serve(listener, app).await })),
            Some((certificate, key)) => {
                let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
                let config = RustlsConfig::from_pem(certificate.into_bytes(), key.into_bytes());
                let config = runtime.block_on(config).unwrap();
                let _inside = runtime.enter();
                let server = axum_server::from_tcp_rustls(listener.into_std().unwrap(), config).unwrap();
                runtime.spawn(async move { server.serve(app.into_make_service()).await });
            }
        }
        Served { address, runtime: Some(runtime) }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
