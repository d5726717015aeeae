//! The layers that scans know from earlier ones (ADR 0027): one directory for each namespace, in which its workers read and
//! write, bounded and swept here, in the scanner, which reads no image.
//!
//! ```text
//! DIR/UID OF A NAMESPACE/point    tidewaiter_scan::cache: the form of entries, and who reads a layer
//!                        fresh/   → sealed, once whole
//!                        sealed/  → deleted: unused, or over the limits
//! ```

mod folder;
mod limits;
mod sweep;

use super::sandbox;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use std::{fs, io};
use sweep::{LayerSweeper, SweptCache};
use tokio::sync::watch;

/// Pause between two looks while scans run: a worker that was taken over fills no volume in that time.
const WHILE_SCANNING: Duration = Duration::from_secs(1);
/// Pause while none runs.
const AT_REST: Duration = Duration::from_secs(3600);

/// Where layers are cached.
#[derive(Debug, Clone)]
pub(crate) struct LayerCacheSettings {
    /// The directory, for the scanner alone.
    pub(crate) dir: PathBuf,
    /// Bytes that it takes at most.
    pub(crate) limit: u64,
}

/// Whose layers they are: the UID of a namespace, so that one that is made again under the same name begins anew. It names a
/// directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct LayerOwner(String);

impl TryFrom<String> for LayerOwner {
    type Error = String;

    fn try_from(uid: String) -> Result<Self, String> {
        let is_good = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        if (1..=64).contains(&uid.len()) && uid.bytes().all(is_good) {
            Ok(LayerOwner(uid))
        } else {
            Err(format!("{uid:?} is not the UID of an object"))
        }
    }
}

impl From<LayerOwner> for String {
    fn from(owner: LayerOwner) -> String {
        owner.0
    }
}

impl LayerOwner {
    /// Its directory.
    pub(super) fn folder(&self, root: &Path) -> PathBuf {
        root.join(&self.0)
    }
}

/// A cache that is kept while this exists.
#[derive(Debug)]
pub(super) struct LayerCache {
    dir: PathBuf,
    workers: watch::Sender<usize>,
}

/// A worker that may write to the cache, until it is dropped.
#[derive(Debug)]
pub(super) struct WritingWorker<'a>(&'a LayerCache);

impl Drop for WritingWorker<'_> {
    fn drop(&mut self) {
        self.0.workers.send_modify(|workers| *workers -= 1);
    }
}

impl LayerCache {
    /// Keeps a cache from now on. `None`, and a line of the log, where there can be none: scans go on without.
    pub(super) fn start(settings: &LayerCacheSettings) -> Option<Self> {
        let (dir, mib) = (settings.dir.display(), settings.limit >> 20);
        if !sandbox::separates_files() {
            tracing::warn!(
                "layers are not cached: Landlock of Linux 6.2 or newer keeps the caches of namespaces apart"
            );
            return None;
        }
        if let Err(error) = prepare(&settings.dir) {
            let next = "let the scanner's user write there; until its next start every image is read as a whole";
            tracing::error!("layers are not cached: {dir}: {error}; {next}");
            return None;
        }
        tracing::info!("layers are cached in {dir}, {mib} MiB at most");
        let workers = watch::Sender::new(0);
        tokio::spawn(keep(LayerSweeper::new(&settings.dir, settings.limit), workers.subscribe(), settings.limit));
        Some(LayerCache { dir: settings.dir.clone(), workers })
    }

    /// The directory of all namespaces.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Notes that a worker runs.
    pub(super) fn worker(&self) -> WritingWorker<'_> {
        self.workers.send_modify(|workers| *workers += 1);
        WritingWorker(self)
    }
}

/// Makes the directory, and tries whether it can be written.
fn prepare(dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    tidewaiter_io::scratch(dir).map(drop)
}

/// Sweeps until the cache is dropped.
async fn keep(mut sweeper: LayerSweeper, mut workers: watch::Receiver<usize>, limit: u64) {
    let mut last = CacheState::Good;
    loop {
        let done = tokio::task::spawn_blocking(move || {
            let swept = sweeper.sweep(SystemTime::now());
            (sweeper, swept)
        });
        let Ok((back, swept)) = done.await else { return };
        sweeper = back;
        let state = CacheState::of(swept, limit, &last);
        if state != last {
            state.tell();
        }
        last = state;
        let is_at_rest = *workers.borrow_and_update() == 0;
        // One more look after the last worker: what it wrote is sealed.
        let pause = if is_at_rest { AT_REST } else { WHILE_SCANNING };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            changed = workers.changed(), if is_at_rest => match changed {
                Ok(()) => tokio::time::sleep(WHILE_SCANNING).await,
                Err(_) => return,
            }
        }
    }
}

/// What the log says, once.
#[derive(Debug, PartialEq, Eq)]
enum CacheState {
    Good,
    /// The volume is nearly full.
    Tight,
    Failing(String),
}

impl CacheState {
    /// The state after a look. It is tight when less than a quarter of what the volume has for the cache is free, and until half
    /// of it is: else the log would say both, again and again.
    fn of(swept: io::Result<SweptCache>, limit: u64, last: &CacheState) -> Self {
        let SweptCache { used, allowed } = match swept {
            Ok(swept) => swept,
            Err(error) => return CacheState::Failing(error.to_string()),
        };
        let most = if *last == CacheState::Tight { allowed / 2 } else { allowed - allowed / 4 };
        if allowed < limit && (used > most || allowed == 0) { CacheState::Tight } else { CacheState::Good }
    }

    fn tell(&self) {
        match self {
            CacheState::Good => tracing::info!("the cache of layers has its room again"),
            CacheState::Tight => tracing::warn!(
                "the volume is nearly full: the cache of layers makes room for the store and the database, and images are \
                 read as a whole; enlarge the volume"
            ),
            CacheState::Failing(error) => {
                tracing::error!(
                    "the cache of layers is not swept: {error}; scans go on; check the volume of the scanner"
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_names_one_directory() {
        let check = |uid: &str, is_good: bool| {
            let json = serde_json::to_string(uid).unwrap();
            let read = serde_json::from_str::<LayerOwner>(&json);
            assert_eq!(read.is_ok(), is_good, "{uid:?}");
            if let Ok(owner) = read {
                assert_eq!(owner.folder(Path::new("/c")), Path::new("/c").join(uid));
                assert_eq!(serde_json::to_string(&owner).unwrap(), json);
            }
        };
        check("0b1f7e1e-8a5c-4d9e-9d0c-2f3f4a5b6c7d", true);
        for wrong in ["", ".", "..", "a/b", "/etc", "a.b", "a\0", &"a".repeat(65)] {
            check(wrong, false);
        }
    }

    #[test]
    fn the_state_of_the_cache() {
        use CacheState::{Failing, Good, Tight};
        let check = |last: CacheState, used: u64, allowed: u64, expected: CacheState| {
            let found = CacheState::of(Ok(SweptCache { used, allowed }), 100, &last);
            assert_eq!(found, expected, "{last:?} {used} {allowed}");
        };
        // Full by its own limit.
        check(Good, 100, 100, Good);
        // A small volume with room.
        check(Good, 10, 50, Good);
        // What is left when a tenth was deleted to make room.
        check(Good, 45, 50, Tight);
        check(Good, 37, 50, Good);
        check(Good, 0, 0, Tight);
        check(Tight, 30, 50, Tight);
        check(Tight, 25, 50, Good);
        check(Tight, 100, 100, Good);
        check(Failing("why".to_owned()), 30, 50, Good);
        let failed = CacheState::of(Err(io::Error::other("why")), 100, &Good);
        assert_eq!(failed, Failing("why".to_owned()));
    }

    #[tokio::test]
    async fn a_cache_is_swept_while_workers_run_and_once_more() {
        if !sandbox::separates_files() {
            tidewaiter_testkit::skip::skipped("a_cache_is_swept_while_workers_run_and_once_more", "needs Landlock");
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let settings = LayerCacheSettings { dir: dir.path().join("layers"), limit: 1 << 30 };
        let cache = LayerCache::start(&settings).unwrap();
        let fresh = cache.dir().join("a/fresh");
        fs::create_dir_all(&fresh).unwrap();
        fs::create_dir_all(cache.dir().join("a/sealed")).unwrap();
        let file = fresh.join("not an entry");
        let write = || fs::write(&file, "text").unwrap();
        let is_emptied = async || {
            let began = tokio::time::Instant::now();
            while fs::metadata(&file).unwrap().len() > 0 && began.elapsed() < Duration::from_secs(20) {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            fs::metadata(&file).unwrap().len() == 0
        };
        let worker = cache.worker();
        for _ in 0..2 {
            write();
            assert!(is_emptied().await);
        }
        // After its end, too: what it wrote last.
        write();
        drop(worker);
        assert!(is_emptied().await);
    }

    #[tokio::test]
    async fn where_there_can_be_no_cache_scans_go_on_without() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("file"), "").unwrap();
        let settings = LayerCacheSettings { dir: dir.path().join("file/layers"), limit: 1 << 30 };
        assert!(LayerCache::start(&settings).is_none());
    }
}
