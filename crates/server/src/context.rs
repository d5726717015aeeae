//! What every part of the server shares.

use crate::alert::Alerts;
use crate::allowlist::Lists;
use crate::database::Databases;
use crate::index::Index;
use crate::metrics::Metrics;
use crate::policy::{self, Effective};
use crate::queues::Queues;
use crate::scans::slots::Slots;
use crate::worker::Registries;
use axum_server::tls_rustls::RustlsConfig;
use kube::Client;
use kube::runtime::events::Recorder;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use tidewaiter::store::Store;
use tidewaiter_crd::policy::Mode;

/// What the server was told at its start.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// Namespaces that are never touched.
    pub(crate) excluded: Vec<String>,
    /// How registries are reached.
    pub(crate) registries: Registries,
    /// Memory of one scan, in bytes.
    pub(crate) scan_memory: u64,
    /// Scans at once.
    pub(crate) scans: u16,
    /// Where the API server reaches the webhooks; none: through the Service.
    pub(crate) webhook_url: Option<String>,
    /// The program that scans: this one.
    pub(crate) program: PathBuf,
}

/// Shared by all controllers and handlers.
pub(crate) struct Context {
    pub(crate) client: Client,
    pub(crate) settings: Settings,
    pub(crate) queues: Queues,
    pub(crate) index: Arc<Index>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) databases: Databases,
    pub(crate) recorder: Recorder,
    pub(crate) metrics: Metrics,
    pub(crate) alerts: Alerts,
    pub(crate) approvals: Young,
    pub(crate) lists: Lists,
    pub(crate) slots: Slots,
    /// Whether admission and controllers run.
    pub(crate) ready: AtomicBool,
    /// The webhooks' certificate.
    pub(crate) tls: OnceLock<RustlsConfig>,
}

impl Context {
    /// The policy of a namespace.
    pub(crate) fn policy(&self, namespace: &str) -> Effective {
        policy::effective(&self.index.policies.state(), namespace)
    }

    /// Whether the server does anything in a namespace.
    pub(crate) fn in_scope(&self, namespace: &str) -> bool {
        !self.settings.excluded.iter().any(|excluded| excluded == namespace)
    }

    /// Whether workloads of a namespace are held.
    pub(crate) fn enforced(&self, namespace: &str) -> bool {
        self.in_scope(namespace) && self.policy(namespace).mode == Mode::Enforce
    }
}

/// Approvals so young that the API server may not know the ImageAllowlist they are on.
#[derive(Debug, Default)]
pub(crate) struct Young {
    since: Mutex<BTreeMap<String, Instant>>,
}

/// How long the API server may take to see a new ImageAllowlist.
const YOUTH: Duration = Duration::from_secs(5);

impl Young {
    /// Notes a namespace in which something was just approved.
    pub(crate) fn note(&self, namespace: &str) {
        let mut since = self.since.lock().unwrap_or_else(PoisonError::into_inner);
        since.retain(|_, at| at.elapsed() < YOUTH);
        since.insert(namespace.to_owned(), Instant::now());
    }

    /// Whether that was just now.
    pub(crate) fn is_young(&self, namespace: &str) -> bool {
        let since = self.since.lock().unwrap_or_else(PoisonError::into_inner);
        since.get(namespace).is_some_and(|at| at.elapsed() < YOUTH)
    }
}
