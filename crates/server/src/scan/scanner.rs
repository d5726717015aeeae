//! `tidewaiter scanner`: starts a worker for each connection to its socket. It runs in a container of its own, as another
//! user, without the server's token and without its store: what a hostile image can reach there is the database, to read.

use super::bridge::{self, WorkerProgram};
use super::layer_cache::{LayerCache, LayerCacheSettings};
use super::sandbox;
use anyhow::{Context as _, Result, bail};
use rustix::fs::Mode;
use rustix::process::{DumpableBehavior, getuid, set_dumpable_behavior, umask};
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;

/// Pause after a connection that could not be accepted: too many files are open, and some are closed soon.
const PAUSE: Duration = Duration::from_secs(1);

/// Pause between two looks at the socket: shorter than the server waits for a scanner that starts again.
const LOOK: Duration = Duration::from_secs(2);

/// How the scanner runs.
#[derive(Debug)]
pub(crate) struct ScannerSettings {
    /// The socket, which is created.
    pub(crate) socket: PathBuf,
    /// The user that may connect; without it, the scanner's own.
    pub(crate) user: Option<u32>,
    /// Maximum concurrent workers.
    pub(crate) scans: u16,
    /// The program of the workers: this one.
    pub(crate) program: PathBuf,
    /// Where layers are cached; none: every image is read as a whole.
    pub(crate) layer_cache: Option<LayerCacheSettings>,
}

/// Accepts connections until the process ends.
///
/// # Errors
/// When the socket cannot be created, or is gone.
pub(crate) async fn run(settings: ScannerSettings) -> Result<()> {
    // The workers are of this user. Not earlier: a process that cannot be dumped may not ask for its own path.
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    serve(settings).await
}

async fn serve(settings: ScannerSettings) -> Result<()> {
    let listener = listen(&settings.socket)?;
    let socket = settings.socket.clone();
    let created = identity(&socket).with_context(|| format!("the socket {}", socket.display()))?;
    tokio::select! {
        ended = accept(listener, settings) => ended,
        () = gone(&socket, created) => {
            bail!("the socket {} was removed or replaced: nobody can connect; the scanner must start again", socket.display())
        }
    }
}

/// Device and inode.
fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|meta| (meta.dev(), meta.ino()))
}

/// Waits until another file, or none, is where the socket was: its listener would wait for ever.
async fn gone(path: &Path, created: (u64, u64)) {
    while identity(path).is_ok_and(|found| found == created) {
        tokio::time::sleep(LOOK).await;
    }
}

async fn accept(listener: UnixListener, settings: ScannerSettings) -> Result<()> {
    let user = settings.user.unwrap_or_else(|| getuid().as_raw());
    let slots = Arc::new(Semaphore::new(settings.scans.max(1).into()));
    tracing::info!("listening on {}; {}", settings.socket.display(), sandbox::support());
    let layers = Arc::new(settings.layer_cache.as_ref().and_then(LayerCache::start));
    let layer_cache = layers.as_ref().as_ref().map(|cache| cache.dir().to_owned());
    let program = Arc::new(WorkerProgram { path: settings.program, layer_cache });
    loop {
        // First: connections beyond the limit wait to be accepted.
        let slot = Arc::clone(&slots).acquire_owned().await?;
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::error!("a connection was not accepted: {error}");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        if !is_of(&stream, user) {
            continue;
        }
        let (program, layers) = (Arc::clone(&program), Arc::clone(&layers));
        tokio::spawn(async move {
            let _slot = slot;
            let _writing = layers.as_ref().as_ref().map(LayerCache::worker);
            if let Err(error) = bridge::run(&program, stream).await {
                tracing::error!("a scan process does not start: {error}");
            }
        });
    }
}

/// Creates the socket for its user and its group alone: from its first moment on, since no other thread creates files yet.
fn listen(path: &Path) -> Result<UnixListener> {
    let what = || format!("the socket {}", path.display());
    match fs::symlink_metadata(path) {
        // Of a scanner that was killed.
        Ok(meta) if meta.file_type().is_socket() => fs::remove_file(path).with_context(what)?,
        Ok(_) => bail!("{} is a file that is no socket; choose another path", path.display()),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(what),
    }
    let before = umask(Mode::from_raw_mode(0o117));
    let listener = UnixListener::bind(path);
    umask(before);
    listener.with_context(what)
}

/// Whether the other side is a process of this user (`SO_PEERCRED`): its group has other members, the workers among them.
fn is_of(stream: &UnixStream, user: u32) -> bool {
    match stream.peer_cred() {
        Ok(peer) if peer.uid() == user => true,
        Ok(peer) => {
            tracing::warn!("a connection of user {} was refused", peer.uid());
            false
        }
        Err(error) => {
            tracing::warn!("a connection of an unknown user was refused: {error}");
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    fn start(socket: &Path, user: Option<u32>, scans: u16) {
        let program = "/bin/true".into();
        let settings = ScannerSettings { socket: socket.to_owned(), user, scans, program, layer_cache: None };
        tokio::spawn(serve(settings));
    }

    /// What the scanner says to a peer of this user.
    async fn said(socket: &Path) -> String {
        let mut stream = loop {
            match UnixStream::connect(socket).await {
                Ok(stream) => break stream,
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        };
        let _ = stream.write_all(b"{}\n").await;
        let mut text = String::new();
        let _ = stream.read_to_string(&mut text).await;
        text
    }

    #[tokio::test]
    async fn its_user_may_connect_and_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("socket");
        start(&socket, None, 1);
        // One after the other: the slot is given back.
        for _ in 0..3 {
            assert!(said(&socket).await.contains("exit status: 0"));
        }
        let mode = fs::metadata(&socket).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o660);
        let other = dir.path().join("other");
        start(&other, Some(getuid().as_raw() + 1), 1);
        for _ in 0..3 {
            assert_eq!(said(&other).await, "");
        }
    }

    #[tokio::test]
    async fn it_ends_when_its_socket_is_gone() {
        let check = async |change: fn(&Path)| {
            let dir = tempfile::tempdir().unwrap();
            let socket = dir.path().join("socket");
            let (socket, program) = (socket.clone(), "/bin/true".into());
            let settings = ScannerSettings { socket: socket.clone(), user: None, scans: 1, program, layer_cache: None };
            let running = tokio::spawn(serve(settings));
            assert!(said(&socket).await.contains("exit status: 0"));
            change(&socket);
            let ended = tokio::time::timeout(LOOK * 10, running).await.unwrap().unwrap();
            assert!(ended.unwrap_err().to_string().contains("was removed or replaced"));
        };
        check(|socket| fs::remove_file(socket).unwrap()).await;
        check(|socket| {
            // Beside it first: a file that is removed leaves its inode to the next one.
            let other = socket.with_extension("new");
            fs::write(&other, "").unwrap();
            fs::rename(&other, socket).unwrap();
        })
        .await;
    }

    #[tokio::test]
    async fn a_socket_is_replaced_and_a_file_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        drop(listen(&path).unwrap());
        assert!(path.exists());
        drop(listen(&path).unwrap());
        fs::remove_file(&path).unwrap();
        fs::write(&path, "text").unwrap();
        assert!(listen(&path).unwrap_err().to_string().contains("is no socket"));
        assert!(listen(&dir.path().join("none/socket")).is_err());
    }
}
