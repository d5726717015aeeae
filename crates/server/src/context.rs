//! What all controllers and handlers share. Sits above everything that it holds, and below everything that uses it.

use crate::alert::AlertChannel;
use crate::authority::WebhookTrust;
use crate::decide::policy::{self, EffectivePolicy};
use crate::election::{KnownLeader, NewestDatabase};
use crate::events::EventChannel;
use crate::index::Index;
use crate::memory::{LostResults, RegistryHolds, ScanRuns, WrittenAllowlists};
use crate::metrics::Metrics;
use crate::peer_access::PeerAccess;
use crate::queues::Queues;
use crate::scan::credential_providers::CredentialProviders;
use crate::scan::database::DatabaseFile;
use crate::scan::slots::ScanSlots;
use crate::settings::ServerSettings;
use crate::store::Store;
use crate::write_fence::WriteFence;
use axum_server::tls_rustls::RustlsConfig;
use kube::Client;
use kube::runtime::events::Recorder;
use parking_lot::RwLock;
use std::sync::{Arc, OnceLock};
use tidewaiter_crd::policy::Mode;
use tokio::sync::Semaphore;

/// Reports that are in memory at once: one has tens of megabytes as JSON, and some times as much parsed.
pub(crate) const REPORT_READS: usize = 4;

/// Where a process is in its life.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum ServerStage {
    /// The cluster is listed, or the policies are not in force yet.
    #[default]
    Starting,
    /// Admission runs, and the policies are in force.
    Ready,
    /// No new requests should come; those that do are answered.
    Stopping,
}

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
    /// Turns of who reads a whole report for people and other tools, [`REPORT_READS`] at a time.
    pub(crate) report_reads: Arc<Semaphore>,
    pub(crate) slots: ScanSlots,
    pub(crate) registry_holds: RegistryHolds,
    pub(crate) credential_providers: CredentialProviders,
    /// Through which all of this process's writes go: open while it leads.
    pub(crate) fence: WriteFence,
    /// Who leads.
    pub(crate) leader: KnownLeader,
    /// The newest database by which any process has led.
    pub(crate) newest_database: NewestDatabase,
    /// How other processes are reached.
    pub(crate) peers: OnceLock<PeerAccess>,
    pub(crate) stage: RwLock<ServerStage>,
    /// The webhooks' authorities, and the certificate that this process shows.
    pub(crate) trust: Arc<WebhookTrust>,
    /// What shows that certificate.
    pub(crate) tls: OnceLock<RustlsConfig>,
}

impl ServerContext {
    /// Where the process is in its life.
    pub(crate) fn stage(&self) -> ServerStage {
        *self.stage.read()
    }

    /// Enters a stage; what stops does not become ready again.
    pub(crate) fn enter(&self, stage: ServerStage) {
        let mut now = self.stage.write();
        if *now != ServerStage::Stopping {
            *now = stage;
        }
    }

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
