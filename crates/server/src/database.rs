//! The vulnerability database: a file on a volume, taken up when it is replaced.

use crate::index::Index;
use crate::queues::Queues;
use kube::runtime::reflector::ObjectRef;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tidewaiter_db::Database;

/// How often the file is looked at.
const LOOK: Duration = Duration::from_secs(1);

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
}

/// What tells one file from its successor.
type Stamp = Option<(u64, u64, i64, i64)>;

impl Databases {
    /// Looks once.
    pub(crate) fn open(path: &Path) -> Self {
        Databases { path: path.to_owned(), state: Arc::new(RwLock::new(look(path))) }
    }

    /// The file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Its state.
    pub(crate) fn state(&self) -> State {
        self.state.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Follows replacements for ever; each new database has every scan looked at again.
    pub(crate) async fn follow(self, index: Arc<Index>, queues: Queues) {
        let mut seen = stamp(&self.path);
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
            match &new {
                State::Ready(id) => tracing::info!(%id, "database loaded"),
                State::Missing(why) => tracing::error!("{why}"),
            }
            // New scans need the file that is there; what was judged with its predecessor stays.
            *self.state.write().unwrap_or_else(PoisonError::into_inner) = new;
            index.images.state().iter().for_each(|image| queues.images.add(ObjectRef::from_obj(&**image)));
        }
    }
}

fn stamp(path: &Path) -> Stamp {
    let meta = std::fs::metadata(path).ok()?;
    Some((meta.ino(), meta.size(), meta.mtime(), meta.mtime_nsec()))
}

fn look(path: &Path) -> State {
    match Database::open_verified(path) {
        Ok(database) => State::Ready(database.id().to_owned()),
        Err(error) => State::Missing(format!(
            "no vulnerability database: {error}; build one with `kubectl scan db build` and put it at {}",
            path.display()
        )),
    }
}
