//! Reads and writes the Lease by which one process leads; what to do about it is decided in `decide::lease`.

use crate::api_reach::ApiReach;
use crate::decide::lease::{LOOK_PAUSE, LeaseStep, LeaseWatch, RENEW_DEADLINE, RENEW_PAUSE};
use crate::write_fence::WriteFence;
use anyhow::{Context as _, Result, bail};
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use parking_lot::Mutex;
use serde_json::json;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tidewaiter_crd::names::{DATABASE_BUILT, FIELD_MANAGER, LEASE, NAMESPACE};

/// Time limit of a request about the Lease: a renewal that hangs leaves time for another one.
const REQUEST_LIMIT: Duration = Duration::from_secs(4);

/// Who leads, as this process knows; clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct KnownLeader(Arc<Mutex<Option<String>>>);

impl KnownLeader {
    /// The identity of the process that leads; none while nobody does.
    pub(crate) fn get(&self) -> Option<String> {
        self.0.lock().clone()
    }
}

/// When the newest database was built by which any process has led, as the Lease says and this process knows; clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct NewestDatabase(Arc<Mutex<Option<Timestamp>>>);

impl NewestDatabase {
    /// When it was built; none where nobody said so.
    pub(crate) fn get(&self) -> Option<Timestamp> {
        *self.0.lock()
    }

    /// Notes a database by which this process leads.
    pub(crate) fn note(&self, built: Option<Timestamp>) {
        let mut newest = self.0.lock();
        *newest = (*newest).max(built);
    }

    /// Notes what the Lease says.
    fn read(&self, lease: &Lease) {
        let said = lease.metadata.annotations.as_ref().and_then(|all| all.get(DATABASE_BUILT));
        self.note(said.and_then(|built| built.parse().ok()));
    }

    /// Makes the Lease say it.
    fn write(&self, lease: &mut Lease) {
        if let Some(newest) = self.get() {
            let annotations = lease.metadata.annotations.get_or_insert_default();
            annotations.insert(DATABASE_BUILT.to_owned(), newest.to_string());
        }
    }
}

/// A process's part in choosing the leader.
pub(crate) struct Election {
    api: Api<Lease>,
    watch: LeaseWatch,
    fence: WriteFence,
    leader: KnownLeader,
    newest: NewestDatabase,
    reach: ApiReach,
    began: Instant,
}

impl Election {
    /// Takes part as `identity`; the fence is open while this process leads. The client must not be behind it.
    pub(crate) fn new(
        client: Client,
        identity: String,
        fence: WriteFence,
        leader: KnownLeader,
        newest: NewestDatabase,
        reach: ApiReach,
    ) -> Self {
        let (api, watch) = (Api::namespaced(client, NAMESPACE), LeaseWatch::new(identity));
        Election { api, watch, fence, leader, newest, reach, began: Instant::now() }
    }

    /// Whether this process leads now, or takes the Lease by this look at it, if it `may`.
    pub(crate) async fn leads(&mut self, may: bool) -> Result<bool> {
        let step = self.step(may).await?;
        Ok(matches!(step, LeaseStep::Take | LeaseStep::Renew))
    }

    /// The same for the first look: an API server that is busy or just starting is asked again later, by [`Election::won`].
    pub(crate) async fn leads_at_first(&mut self, may: bool) -> Result<bool> {
        match self.leads(may).await {
            Err(error) if error.downcast_ref().is_some_and(is_busy) => {
                tracing::warn!("who leads is not known yet: {error:#}");
                Ok(false)
            }
            known => known,
        }
    }

    /// Waits until this process leads, which it may take the Lease for whenever `may` says so.
    pub(crate) async fn won(&mut self, may: impl Fn() -> bool) {
        loop {
            tokio::time::sleep(LOOK_PAUSE).await;
            match self.leads(may()).await {
                Ok(true) => return,
                Ok(false) => {}
                Err(error) => tracing::warn!("who leads is not known: {error:#}"),
            }
        }
    }

    /// Renews the Lease until another process has it. While it cannot be renewed, the fence closes by itself, and opens again by
    /// a renewal: as long as the record names this process, no other one has led.
    ///
    /// # Errors
    /// Always in the end: what this process does as the leader must end with it.
    pub(crate) async fn lost(&mut self) -> Result<Infallible> {
        loop {
            tokio::time::sleep(RENEW_PAUSE).await;
            let was_open = self.fence.is_open();
            match self.step(true).await {
                Ok(LeaseStep::Take | LeaseStep::Renew) if was_open => {}
                Ok(LeaseStep::Take | LeaseStep::Renew) => {
                    tracing::info!("the Lease is renewed: this process writes again")
                }
                Ok(LeaseStep::Wait) => tracing::warn!("the Lease changed while it was renewed; it is read again"),
                Ok(LeaseStep::Lost) => {
                    self.fence.close();
                    bail!(
                        "the Lease {NAMESPACE}/{LEASE} is held by {}: this process led and must not write any more; it ends, and \
                         follows once it is started again",
                        self.watch.holder().unwrap_or("nobody")
                    );
                }
                Err(error) => {
                    let state = if self.fence.is_open() { "" } else { "; nothing is written until it is" };
                    tracing::error!("the Lease was not renewed{state}: {error:#}");
                }
            }
        }
    }

    /// Looks at the Lease, and writes it where it is this process's, or may become it. `Wait` where somebody else wrote at the same
    /// time.
    async fn step(&mut self, may_take: bool) -> Result<LeaseStep> {
        let mut lease = self.read().await?;
        self.newest.read(&lease);
        self.newest.write(&mut lease);
        let record = lease.spec.clone().unwrap_or_default();
        let step = self.watch.look(&record, self.began.elapsed());
        *self.leader.0.lock() = self.watch.holder().map(str::to_owned);
        match step {
            LeaseStep::Wait | LeaseStep::Lost => return Ok(step),
            LeaseStep::Take if !may_take => return Ok(LeaseStep::Wait),
            LeaseStep::Take | LeaseStep::Renew => {}
        }
        // Others count from when they see the record, which is later.
        let asked = Instant::now();
        let next = self.watch.next(&record, step, Timestamp::now());
        let Some(written) = self.write(lease, next).await? else { return Ok(LeaseStep::Wait) };
        self.watch.written(written, self.began.elapsed());
        *self.leader.0.lock() = self.watch.holder().map(str::to_owned);
        self.fence.open_until(asked + RENEW_DEADLINE);
        Ok(step)
    }

    /// Gives the Lease up, so that the next process need not wait until it has lapsed. After the last write.
    pub(crate) async fn release(&mut self) -> Result<()> {
        if !self.watch.leads() {
            return Ok(());
        }
        let lease = self.read().await?;
        let record = lease.spec.clone().unwrap_or_default();
        if let Some(released) = self.watch.released(&record) {
            self.write(lease, released).await?;
        }
        Ok(())
    }

    async fn limited<T>(&self, request: impl Future<Output = kube::Result<T>>) -> Result<T> {
        self.answered(request).await?.with_context(hint)
    }

    /// What the API server answers, in time. What is not answered at all says something about all connections.
    async fn answered<T>(&self, request: impl Future<Output = kube::Result<T>>) -> Result<kube::Result<T>> {
        let answer = tokio::time::timeout(REQUEST_LIMIT, request).await;
        match &answer {
            Err(_) => self.reach.silent(),
            Ok(Ok(_) | Err(kube::Error::Api(_))) => self.reach.answered(),
            // Refused, or closed: so are the watches, which see it themselves.
            Ok(Err(_)) => {}
        }
        answer.with_context(hint)
    }

    async fn read(&self) -> Result<Lease> {
        match self.limited(self.api.get_opt(LEASE)).await? {
            Some(lease) => Ok(lease),
            None => self.create().await,
        }
    }

    /// Creates the Lease, held by nobody. Applied, not posted: so the permission to create it can be one for this name alone; two
    /// processes that do so at once make the same.
    async fn create(&self) -> Result<Lease> {
        let none =
            json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": LEASE}, "spec": {}});
        self.limited(self.api.patch(LEASE, &PatchParams::apply(FIELD_MANAGER), &Patch::Apply(&none))).await
    }

    /// Replaces the record that was read; `None` where it is another one by now.
    async fn write(&self, lease: Lease, record: LeaseSpec) -> Result<Option<LeaseSpec>> {
        let params = PostParams { dry_run: false, field_manager: Some(FIELD_MANAGER.to_owned()) };
        // With the version that was read, which the API server compares.
        let lease = Lease { spec: Some(record), ..lease };
        match self.answered(self.api.replace(LEASE, &params, &lease)).await? {
            Ok(written) => Ok(written.spec),
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(None),
            Err(error) => Err(error).with_context(hint),
        }
    }
}

/// Whether the API server asks to try again.
fn is_busy(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if matches!(status.code, 429 | 503 | 504))
}

fn hint() -> String {
    format!("the Lease {NAMESPACE}/{LEASE} (see deploy/rbac.yaml)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_api_server_that_is_busy_is_asked_again() {
        let check = |code: u16, expected: bool| {
            let status = kube::core::Status { code, ..kube::core::Status::default() };
            let error = anyhow::Error::from(kube::Error::Api(status.boxed())).context(hint());
            assert_eq!(error.downcast_ref().is_some_and(is_busy), expected, "{code}");
        };
        check(429, true);
        check(503, true);
        check(504, true);
        check(403, false);
        check(404, false);
    }

    #[test]
    fn the_lease_says_which_database_was_the_newest() {
        let check = |said: Option<&str>, own: Option<&str>, expected: Option<&str>| {
            let mut lease = Lease::default();
            if let Some(said) = said {
                lease.metadata.annotations.get_or_insert_default().insert(DATABASE_BUILT.to_owned(), said.to_owned());
            }
            let newest = NewestDatabase::default();
            newest.note(own.map(|own| own.parse().unwrap()));
            newest.read(&lease);
            newest.write(&mut lease);
            let written = lease.metadata.annotations.and_then(|mut all| all.remove(DATABASE_BUILT));
            assert_eq!(written.as_deref(), expected, "{said:?} {own:?}");
            assert_eq!(
                newest.get().map(|newest| newest.to_string()),
                expected.filter(|_| said != Some("odd")).map(str::to_owned)
            );
        };
        const OLD: &str = "2026-01-01T00:00:00Z";
        const NEW: &str = "2026-01-02T00:00:00Z";
        check(None, None, None);
        check(Some(OLD), None, Some(OLD));
        check(None, Some(OLD), Some(OLD));
        check(Some(OLD), Some(NEW), Some(NEW));
        check(Some(NEW), Some(OLD), Some(NEW));
        check(Some("odd"), None, Some("odd"));
    }
}
