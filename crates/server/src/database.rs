//! The vulnerability database: a file on a volume, taken up when it is replaced.

use crate::context::Context;
use crate::rematch::{Judged, Moved};
use kube::Resource as _;
use kube::runtime::events::{Event, EventType};
use kube::runtime::reflector::ObjectRef;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tidewaiter_core::Reason;
use tidewaiter_crd::names::NAMESPACE;
use tidewaiter_db::Database;

/// How often the file is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Characters that an Event's note may have, with room for other scripts.
const MAX_NOTE: usize = 1000;

/// What is known of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum State {
    /// Its id.
    Ready(String),
    /// Why there is none, and what to do.
    Missing(String),
}

/// The file and its state.
#[derive(Debug, Clone)]
pub(crate) struct Databases {
    path: PathBuf,
    state: Arc<RwLock<State>>,
    judged: Judged,
    moving: Arc<RwLock<Move>>,
}

/// How far what was judged with the database before is on its way to the one that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Move {
    /// Nothing is known: what another database judged is scanned again.
    None,
    /// The two are compared now.
    Running {
        /// Id of the database before.
        from: String,
    },
    /// It is known what changed.
    Done(Arc<Moved>),
}

/// What tells one file from its successor.
type Stamp = Option<(u64, u64, i64, i64)>;

impl Databases {
    /// Looks once. The program is the one that judges.
    pub(crate) fn open(path: &Path, store: &Path, program: &Path) -> Self {
        let (state, judged) = (look(path), Judged::new(store));
        let from = judged.id(program).filter(|id| state != State::Ready(id.clone()));
        let moving = from.map_or(Move::None, |from| Move::Running { from });
        let (state, moving) = (Arc::new(RwLock::new(state)), Arc::new(RwLock::new(moving)));
        Databases { path: path.to_owned(), state, judged, moving }
    }

    /// The file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Its state.
    pub(crate) fn state(&self) -> State {
        self.state.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What becomes of what was judged with the database before.
    pub(crate) fn moving(&self) -> Move {
        self.moving.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Compares the database with the one before, in a process of its own, and has every scan looked at again.
    async fn bring_up(&self, ctx: &Arc<Context>) {
        let (judged, path, shared) = (self.judged.clone(), self.path.clone(), Arc::clone(ctx));
        let work = move || judged.bring_up(&*shared.store, &path, &shared.settings);
        let moved = tokio::task::spawn_blocking(work).await.map_err(anyhow::Error::from).flatten();
        let moving = match moved {
            Ok(Some(moved)) => {
                let seen = &moved.seen;
                let (all, visited, changed) = (seen.inventories, seen.visited, seen.changed);
                tracing::info!("the new database changes {changed} of {all} inventories ({visited} were judged again)");
                Move::Done(Arc::new(moved))
            }
            Ok(None) => Move::None,
            Err(error) => {
                tracing::warn!("every image is judged again by a scan, because re-matching failed: {error:#}");
                Move::None
            }
        };
        self.set_moving(moving);
        wake(ctx);
    }

    fn set_moving(&self, moving: Move) {
        *self.moving.write().unwrap_or_else(PoisonError::into_inner) = moving;
    }

    /// Follows replacements for ever; each new database has every scan looked at again.
    pub(crate) async fn follow(self, ctx: Arc<Context>) {
        let mut seen = stamp(&self.path);
        tell(&ctx, &self.state()).await;
        self.bring_up(&ctx).await;
        loop {
            tokio::time::sleep(LOOK).await;
            let now = stamp(&self.path);
            if now == seen {
                continue;
            }
            seen = now;
            let path = self.path.clone();
            let new = tokio::task::spawn_blocking(move || look(&path)).await;
            let new = new.unwrap_or_else(|e| State::Missing(format!("the database could not be looked at: {e}")));
            let ready = matches!(new, State::Ready(_));
            let (judged, program) = (self.judged.clone(), ctx.settings.program.clone());
            let from = tokio::task::spawn_blocking(move || judged.id(&program)).await.ok().flatten();
            self.set_moving(from.map_or(Move::None, |from| Move::Running { from }));
            // New scans need the file that is there; what was judged with its predecessor stays.
            *self.state.write().unwrap_or_else(PoisonError::into_inner) = new.clone();
            wake(&ctx);
            tell(&ctx, &new).await;
            if ready {
                self.bring_up(&ctx).await;
            }
        }
    }
}

/// Tells whoever installs or operates: by the log, and by an Event of the server's own Deployment, which is what they look
/// at. Without a database the server is ready, because admission is, and everything new waits.
async fn tell(ctx: &Context, state: &State) {
    let why = match state {
        State::Ready(id) => return tracing::info!(%id, "database loaded"),
        State::Missing(why) => why,
    };
    tracing::error!("{why}");
    let Some(own) = ctx.index.deployments.get(&ObjectRef::new("tidewaiter").within(NAMESPACE)) else { return };
    let event = Event {
        type_: EventType::Warning,
        reason: Reason::NoDatabase.to_string(),
        note: Some(format!("everything new is held: {why}").chars().take(MAX_NOTE).collect()),
        action: "Scan".to_owned(),
        secondary: None,
    };
    if let Err(error) = ctx.recorder.publish(&event, &own.object_ref(&())).await {
        tracing::warn!("an Event was not written: {error}");
    }
}

/// Has every scan looked at again.
fn wake(ctx: &Context) {
    ctx.index.images.state().iter().for_each(|image| ctx.queues.images.add(ObjectRef::from_obj(&**image)));
}

fn stamp(path: &Path) -> Stamp {
    let meta = std::fs::metadata(path).ok()?;
    Some((meta.ino(), meta.size(), meta.mtime(), meta.mtime_nsec()))
}

fn look(path: &Path) -> State {
    match Database::open_verified(path) {
        Ok(database) => State::Ready(database.id().to_owned()),
        Err(error) => State::Missing(format!(
            "no vulnerability database: {error}; see what its build said: kubectl -n {NAMESPACE} logs deployment/tidewaiter \
             -c database; mend the feeds (docs/user-guide.md, The database), then: kubectl -n {NAMESPACE} rollout restart \
             deployment/tidewaiter"
        )),
    }
}
