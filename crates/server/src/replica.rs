//! What a process does in its life: it follows, it leads, it stops (ADR 0031). Admission, reports and metrics it always serves.
//!
//! ```text
//! cluster listed → webhooks answer → follows: tells the leader ─┐
//!                                      ↓ has the Lease          ├→ stops: writes end, Lease given up, requests answered
//!                                    leads: registers, decides ─┘
//! ```

use crate::context::{ServerContext, ServerStage};
use crate::controllers::{database, listed};
use crate::decide::database::DatabaseState;
use crate::election::Election;
use crate::{controllers, install, peers};
use anyhow::{Context as _, Result};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// How long the last writes of a leader may take before it gives the Lease up.
const LAST_WRITES: Duration = Duration::from_secs(5);
/// How long a process without a database lets others lead: until they have started, as in a new installation.
const DATABASE_PATIENCE: Duration = Duration::from_secs(60);
/// For how long a new leader tries to register everything, before it lets another process try.
const REGISTER_PATIENCE: Duration = Duration::from_secs(120);
/// Pauses between two attempts, which grow.
const FIRST_REGISTER_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_REGISTER_PAUSE: Duration = Duration::from_secs(15);
/// Pause before it is asked again whether the policies are in force, which another process registers.
const ASK_PAUSE: Duration = Duration::from_secs(2);

/// One process of the server.
pub(crate) struct Replica {
    ctx: Arc<ServerContext>,
    election: Election,
    /// What it does as the one that leads.
    leading: JoinSet<Result<()>>,
}

impl Replica {
    /// A process that answers admission requests, and does nothing else yet.
    pub(crate) fn new(ctx: Arc<ServerContext>, election: Election) -> Self {
        Replica { ctx, election, leading: JoinSet::new() }
    }

    /// Follows until it may lead, and leads.
    ///
    /// # Errors
    /// When it loses the Lease, or what a leader does fails.
    pub(crate) async fn run(&mut self) -> Result<()> {
        let began = Instant::now();
        let (ctx, election) = (&self.ctx, &mut self.election);
        let may = || may_lead(ctx.settings.database_from_peers, &ctx.database.state(), began.elapsed());
        if !election.leads_at_first(may()).await? {
            let following = follow(ctx, began);
            election.won(may).await;
            drop(following);
        }
        tracing::info!(identity = self.ctx.settings.identity, "this process leads");
        self.leading.spawn(lead(Arc::clone(&self.ctx)));
        tokio::select! {
            lost = self.election.lost() => lost.map(|never| match never {}),
            Some(ended) = self.leading.join_next() => ended.context("what a leader does ended")?,
        }
    }

    /// Writes nothing any more, and lets the next process lead: it is told of what webhooks leave to controllers until what is
    /// returned is dropped.
    #[must_use]
    pub(crate) async fn give_up(&mut self) -> JoinSet<()> {
        self.ctx.enter(ServerStage::Stopping);
        self.ctx.fence.close();
        let settled = self.ctx.fence.settled(LAST_WRITES).await;
        self.leading.shutdown().await;
        if !settled {
            // One of them may be carried out yet: nobody may lead before.
            tracing::warn!(
                "some writes were not answered within {LAST_WRITES:?}: the Lease is not given up, and lapses"
            );
        } else if let Err(error) = self.election.release().await {
            tracing::warn!("the Lease was not given up, and lapses: {error:#}");
        }
        peers::forward(&self.ctx)
    }
}

/// Whether a process may lead: one that expects its database from others lets one of those lead first, for a while. It would find
/// nothing in any image.
fn may_lead(from_peers: bool, database: &DatabaseState, waited: Duration) -> bool {
    !from_peers || matches!(database, DatabaseState::Ready(_)) || waited >= DATABASE_PATIENCE
}

/// What a process does that does not lead, until what is returned is dropped.
#[must_use]
fn follow(ctx: &Arc<ServerContext>, began: Instant) -> JoinSet<()> {
    let mut tasks = peers::forward(ctx);
    tasks.spawn(database::follow_quietly(Arc::clone(ctx)));
    tasks.spawn(listed::follow(Arc::clone(ctx)));
    tasks.spawn(peers::keep_copies(Arc::clone(ctx)));
    tasks.spawn(ready_when_enforced(Arc::clone(ctx), began));
    tasks
}

/// Ready means enforced (ADR 0001), whoever registered it; and able to lead: a rollout or a drain takes the leader away once this
/// one is ready.
async fn ready_when_enforced(ctx: Arc<ServerContext>, began: Instant) {
    while !may_lead(ctx.settings.database_from_peers, &ctx.database.state(), began.elapsed()) {
        tokio::time::sleep(ASK_PAUSE).await;
    }
    while let Err(error) = in_force(&ctx).await {
        tracing::warn!("not ready: {error:#}");
        tokio::time::sleep(ASK_PAUSE).await;
    }
    ctx.enter(ServerStage::Ready);
    tracing::info!(leader = ctx.leader.get(), "ready; another process leads");
}

async fn in_force(ctx: &ServerContext) -> Result<()> {
    install::in_force(ctx).await?;
    install::rotation::in_force(ctx).await
}

/// Everything from the Lease to the end of the leadership. In this order: nothing is enforced before the webhooks answer, and the
/// server is ready only when the policies are in force.
async fn lead(ctx: Arc<ServerContext>) -> Result<()> {
    ctx.queues.open();
    install::exclusions::report(&ctx).await;
    register_patiently(&ctx).await?;
    // As after a start: what this process saw of others' lists is no reason not to write them.
    ctx.written_allowlists.write_again();
    ctx.index.enqueue_all();
    let mut tasks = controllers::start(&ctx);
    tasks.spawn(install::keep(Arc::clone(&ctx)));
    ctx.enter(ServerStage::Ready);
    tracing::info!("ready");
    // Last: the Pods that are created then find the webhooks and the lists.
    install::nudge::nudge(&ctx).await;
    // They end with this one.
    while tasks.join_next().await.is_some() {}
    Ok(())
}

async fn register(ctx: &Arc<ServerContext>) -> Result<()> {
    // What another process that led has written since this one looked.
    install::rotation::look_before_registering(ctx).await;
    install::first_policy::create(ctx).await?;
    install::install(ctx).await
}

/// Registers everything; after a failure again, with pauses that grow. The API server may be away for a moment, and this process
/// answers requests that nobody else may answer.
///
/// # Errors
/// That of the last attempt, when another process should try.
async fn register_patiently(ctx: &Arc<ServerContext>) -> Result<()> {
    let (began, mut last) = (Instant::now(), None);
    loop {
        let Err(error) = register(ctx).await else { return Ok(()) };
        let Some(pause) = register_pause(began.elapsed(), last) else { return Err(error) };
        tracing::error!("not registered, and tried again in {pause:?}: {error:#}");
        tokio::time::sleep(pause).await;
        last = Some(pause);
    }
}

/// The pause after a failed attempt, by the time since the first one and the pause before; `None` when it was tried for long enough.
fn register_pause(since: Duration, last: Option<Duration>) -> Option<Duration> {
    let pause = last.map_or(FIRST_REGISTER_PAUSE, |last| (last * 2).min(LONGEST_REGISTER_PAUSE));
    (since + pause <= REGISTER_PATIENCE).then_some(pause)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidewaiter_core::report::DatabaseInfo;

    #[test]
    fn who_has_no_database_lets_others_lead_for_a_while() {
        let check = |from_peers: bool, has_one: bool, seconds: u64, expected: bool| {
            let database = match has_one {
                true => DatabaseState::Ready(DatabaseInfo::default()),
                false => DatabaseState::Missing("none".to_owned()),
            };
            let found = may_lead(from_peers, &database, Duration::from_secs(seconds));
            assert_eq!(found, expected, "{from_peers} {has_one} {seconds}");
        };
        // Next to it one is built.
        check(false, false, 0, true);
        check(false, true, 0, true);
        check(true, true, 0, true);
        check(true, false, 0, false);
        check(true, false, 59, false);
        // Nobody else does.
        check(true, false, 60, true);
    }

    #[test]
    fn a_leader_that_cannot_register_tries_again_for_a_while() {
        let check = |since: u64, last: Option<u64>, expected: Option<u64>| {
            let pause = register_pause(Duration::from_secs(since), last.map(Duration::from_secs));
            assert_eq!(pause.map(|pause| pause.as_secs()), expected, "{since} {last:?}");
        };
        check(0, None, Some(1));
        check(1, Some(1), Some(2));
        check(15, Some(8), Some(15));
        check(60, Some(15), Some(15));
        check(105, Some(15), Some(15));
        check(106, Some(15), None);
        // An attempt that took longer than all of it.
        check(300, None, None);
    }
}
