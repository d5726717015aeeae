//! How the servers of a cluster reach each other: by the installation's own authority and a secret in the path.

use anyhow::{Context as _, Result};
use kube::{Client, Config};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use std::net::IpAddr;
use std::time::{Duration, Instant};
use tidewaiter_crd::names::{NAMESPACE, SERVER};

/// Time limit of a connection: Pods of one cluster are near each other, and a node that is gone answers nothing.
const CONNECT_LIMIT: Duration = Duration::from_secs(2);

/// What this process needs to reach others.
#[derive(Debug)]
pub(crate) struct PeerAccess {
    /// The certificate of the installation's authority, as PEM.
    pub(crate) authority: String,
    /// What the paths of servers begin with.
    pub(crate) token: String,
    /// The port of the webhooks, which all of them serve alike.
    pub(crate) port: u16,
    /// The addresses of others, and when they were listed.
    pub(crate) known: tokio::sync::Mutex<Option<(Instant, Vec<IpAddr>)>>,
}

impl PeerAccess {
    /// A client of the server at an address, which must have a certificate of the installation's authority.
    pub(crate) fn client(&self, address: IpAddr) -> Result<Client> {
        let host = if address.is_ipv6() { format!("[{address}]") } else { address.to_string() };
        let mut config = Config::new(format!("https://{host}:{}", self.port).parse()?);
        let authority = CertificateDer::from_pem_slice(self.authority.as_bytes()).context("the webhooks' authority")?;
        config.root_cert = Some(vec![authority.to_vec()]);
        config.tls_server_name = Some(format!("{SERVER}.{NAMESPACE}.svc"));
        config.connect_timeout = Some(CONNECT_LIMIT);
        config.default_retry = false;
        Client::try_from(config).context("connecting to another server")
    }
}
