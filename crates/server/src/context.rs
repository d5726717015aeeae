//! What all controllers and handlers share. Sits above everything that it holds, and below everything that uses it.

use crate::alert::AlertChannel;
use crate::decide::policy::{self, EffectivePolicy};
use crate::events::EventChannel;
use crate::index::Index;
use crate::memory::{LostResults, RegistryHolds, ScanRuns, WrittenAllowlists};
use crate::metrics::Metrics;
use crate::queues::Queues;
use crate::scan::credential_providers::CredentialProviders;
use crate::scan::database::DatabaseFile;
use crate::scan::slots::ScanSlots;
use crate::settings::ServerSettings;
use crate::store::Store;
use axum_server::tls_rustls::RustlsConfig;
use kube::Client;
use kube::runtime::events::Recorder;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};
use tidewaiter_crd::policy::Mode;

/// The server's parts.
pub(crate) struct ServerContext {
    pub(crate) client: Client,
    pub(crate) settings: ServerSettings,
    pub(crate) queues: Queues,
    pub(crate) index: Arc<Index>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) database: DatabaseFile,
    pub(crate) recorder: Recorder,
    pub(crate) events: EventChannel,
    pub(crate) metrics: Metrics,
    pub(crate) alerts: AlertChannel,
    pub(crate) written_allowlists: WrittenAllowlists,
    pub(crate) lost_results: LostResults,
    pub(crate) runs: ScanRuns,
    pub(crate) slots: ScanSlots,
    pub(crate) registry_holds: RegistryHolds,
    pub(crate) credential_providers: CredentialProviders,
    /// Whether admission and controllers run.
    pub(crate) ready: AtomicBool,
    /// What the paths of webhooks end with whose reviews are acted on: the API server alone knows it.
    pub(crate) webhook_token: OnceLock<String>,
    /// The same for the path of ImageReports, which API servers name to whoever asks in vain.
    pub(crate) reports_token: OnceLock<String>,
    /// The webhooks' certificate.
    pub(crate) tls: OnceLock<RustlsConfig>,
}

impl ServerContext {
    /// The policy of a namespace.
    pub(crate) fn policy(&self, namespace: &str) -> EffectivePolicy {
        let known = self.index.labels_of(namespace);
        policy::effective(&self.index.policies.state(), &self.index.policies_in(namespace), namespace, known.as_ref())
    }

    /// Whether the server does anything in a namespace.
    pub(crate) fn in_scope(&self, namespace: &str) -> bool {
        !self.settings.excluded.iter().any(|excluded| excluded == namespace)
    }

    /// Whether users of a namespace are told what would be held.
    pub(crate) fn warns(&self, namespace: &str) -> bool {
        self.in_scope(namespace) && self.policy(namespace).mode == Mode::Warn
    }

    /// Whether workloads of a namespace are held.
    pub(crate) fn enforced(&self, namespace: &str) -> bool {
        self.in_scope(namespace) && self.policy(namespace).mode == Mode::Enforce
    }
}
