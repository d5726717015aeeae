//! How the servers of a cluster reach each other: by the installation's own authorities and a secret in the path.

use crate::authority::{AuthorityRing, WebhookTrust};
use anyhow::{Context as _, Result};
use kube::{Client, Config};
use parking_lot::Mutex;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tidewaiter_crd::names::{NAMESPACE, SERVER};
use tokio::sync::{MutexGuard, Semaphore};

/// Time limit of a connection: Pods of one cluster are near each other, and a node that is gone answers nothing.
const CONNECT_LIMIT: Duration = Duration::from_secs(2);

/// Reports that are copied at once, and that are read for others at once: one may have hundreds of megabytes, and a new leader
/// lacks all of them at once.
const COPIES: usize = 4;
/// Clients that are kept: Pods come and go with their addresses.
const MAX_CLIENTS: usize = 16;
/// How long a server that cannot be reached is not asked again.
const AWAY: Duration = Duration::from_secs(30);

/// What this process needs to reach others.
pub(crate) struct PeerAccess {
    /// The installation's authorities.
    trust: Arc<WebhookTrust>,
    /// The port of the webhooks, which all of them serve alike.
    pub(crate) port: u16,
    /// The addresses of others, and when they were listed.
    pub(crate) known: tokio::sync::Mutex<Option<(Instant, Vec<IpAddr>)>>,
    /// Turns of reports that others ask for.
    pub(crate) reads: Arc<Semaphore>,
    /// Turns of reports that are copied.
    copies: [tokio::sync::Mutex<()>; COPIES],
    /// One for each server: its connections are used again.
    clients: Mutex<PeerClients>,
    /// Servers that could not be reached, and until when they are not asked.
    away: Mutex<BTreeMap<IpAddr, Instant>>,
}

/// Clients of other servers, which trust the authorities of when they were made.
#[derive(Default)]
struct PeerClients {
    trusted: String,
    by_address: BTreeMap<IpAddr, Client>,
}

impl PeerAccess {
    /// No server is known yet.
    pub(crate) fn new(trust: Arc<WebhookTrust>, port: u16) -> Self {
        PeerAccess {
            trust,
            port,
            known: tokio::sync::Mutex::default(),
            reads: Arc::new(Semaphore::new(COPIES)),
            copies: Default::default(),
            clients: Mutex::default(),
            away: Mutex::default(),
        }
    }

    /// Waits for the turn of a report that is to be copied: a few at once, and each by one task.
    pub(crate) async fn copying(&self, key: &str) -> MutexGuard<'_, ()> {
        self.copies[turn_of(key)].lock().await
    }

    /// Whether a server could not be reached a moment ago.
    pub(crate) fn is_away(&self, address: IpAddr) -> bool {
        let mut away = self.away.lock();
        away.retain(|_, until| Instant::now() < *until);
        away.contains_key(&address)
    }

    /// Notes that a server cannot be reached.
    pub(crate) fn note_away(&self, address: IpAddr) {
        self.away.lock().insert(address, Instant::now() + AWAY);
    }

    /// Forgets the connections to a server: one of them is broken.
    pub(crate) fn forget(&self, address: IpAddr) {
        self.clients.lock().by_address.remove(&address);
    }

    /// A path below the one of servers, which begins with what they alone know.
    ///
    /// # Errors
    /// While this process starts.
    pub(crate) fn path(&self, path: &str) -> Result<String> {
        Ok(format!("/peers/{}/{path}", self.ring()?.signing.secrets.peers))
    }

    fn ring(&self) -> Result<Arc<AuthorityRing>> {
        self.trust.ring().context("this server is starting")
    }

    /// A client of the server at an address, which must have a certificate of one of the installation's authorities.
    ///
    /// # Errors
    /// When an authority's certificate or the address is unusable.
    pub(crate) fn client(&self, address: IpAddr) -> Result<Client> {
        let (ring, mut clients) = (self.ring()?, self.clients.lock());
        let trusted = self.trust.bundle(&ring);
        if clients.trusted != trusted || clients.by_address.len() >= MAX_CLIENTS {
            *clients = PeerClients { trusted, by_address: BTreeMap::new() };
        }
        if let Some(known) = clients.by_address.get(&address) {
            return Ok(known.clone());
        }
        let client = self.connect(address, &clients.trusted)?;
        clients.by_address.insert(address, client.clone());
        Ok(client)
    }

    fn connect(&self, address: IpAddr, trusted: &str) -> Result<Client> {
        let host = if address.is_ipv6() { format!("[{address}]") } else { address.to_string() };
        let mut config = Config::new(format!("https://{host}:{}", self.port).parse()?);
        let authorities: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(trusted.as_bytes()).collect();
        let authorities = authorities.context("the webhooks' authorities")?;
        config.root_cert = Some(authorities.iter().map(|authority| authority.to_vec()).collect());
        config.tls_server_name = Some(format!("{SERVER}.{NAMESPACE}.svc"));
        config.connect_timeout = Some(CONNECT_LIMIT);
        config.default_retry = false;
        Client::try_from(config).context("connecting to another server")
    }
}

/// The same one for the same report.
fn turn_of(key: &str) -> usize {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    usize::try_from(hasher.finish() % COPIES as u64).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn access() -> PeerAccess {
        PeerAccess::new(Arc::default(), 8443)
    }

    #[tokio::test]
    async fn a_report_is_copied_by_one_task_and_few_at_once() {
        let access = access();
        let first = access.copying("a").await;
        let soon = Duration::from_millis(20);
        assert!(tokio::time::timeout(soon, access.copying("a")).await.is_err());
        drop(first);
        assert!(tokio::time::timeout(soon, access.copying("a")).await.is_ok());
        // However many there are, they take turns; and all turns are used.
        let turns: BTreeSet<usize> = (0..100).map(|number| turn_of(&format!("report-{number}"))).collect();
        assert_eq!(turns.len(), COPIES);
    }

    #[test]
    fn who_cannot_be_reached_is_not_asked_for_a_while() {
        let (access, one, other) = (access(), IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        assert!(!access.is_away(one));
        access.note_away(one);
        assert!(access.is_away(one) && !access.is_away(other));
        access.away.lock().insert(one, Instant::now());
        assert!(!access.is_away(one));
        assert!(access.away.lock().is_empty());
    }
}
