//! One connection, one process: starts `tidewaiter scan-worker` and copies between them. It reads nothing of what they say.

use super::protocol::{LIMIT, MAX_LOG, MAX_OUTPUT, WorkerLine};
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};

/// How long a process may leave what it asked for unread: meanwhile the end of the connection is not seen.
const UNREAD: Duration = Duration::from_secs(30);
/// The server ends a scan that takes too long and says so; this is for a server that does not.
const LONGEST: Duration = LIMIT.saturating_add(Duration::from_secs(60));
/// Size of the copies.
const CHUNK: usize = 64 << 10;

/// How workers are started.
#[derive(Debug, Clone)]
pub(super) struct WorkerProgram {
    /// This program.
    pub(super) path: PathBuf,
    /// The cache of layers, of which a worker uses the directory that its job names.
    pub(super) layer_cache: Option<PathBuf>,
}

/// Runs one worker for one peer. The process is killed when the peer closes its side, after the time limit, and when this
/// future is dropped.
///
/// # Errors
/// When the process cannot be started.
pub(super) async fn run(program: &WorkerProgram, peer: UnixStream) -> io::Result<()> {
    let mut child = spawn(program)?;
    let (Some(stdin), Some(stdout), Some(stderr)) = (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err(io::Error::other("it has no pipes"));
    };
    let (from, mut to) = peer.into_split();
    tokio::select! {
        () = feed(from, stdin) => {}
        () = drain(&mut child, stdout, stderr, &mut to) => {}
        () = tokio::time::sleep(LONGEST) => {}
    }
    // Ended already, or not wanted: its slot is free when it is gone, not before.
    let _ = child.kill().await;
    Ok(())
}

fn spawn(program: &WorkerProgram) -> io::Result<Child> {
    let mut command = Command::new(&program.path);
    command.arg("scan-worker");
    if let Some(dir) = &program.layer_cache {
        command.arg("--layer-cache").arg(dir);
    }
    command.env_clear().envs(variables()).kill_on_drop(true);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()
}

/// The environment of the child: how registries are reached, and nothing else of this process's.
fn variables() -> impl Iterator<Item = (&'static str, OsString)> {
    tidewaiter_http::proxy::VARIABLES.iter().filter_map(|name| Some((*name, std::env::var_os(name)?)))
}

/// Copies what the peer says, and returns when the peer is gone or the process reads nothing. A process that has ended does
/// not end this: its last words are still on their way.
async fn feed(mut from: impl AsyncRead + Unpin, stdin: ChildStdin) {
    let mut stdin = Some(stdin);
    let mut chunk = vec![0; CHUNK];
    loop {
        let Ok(read @ 1..) = from.read(&mut chunk).await else { return };
        let Some(open) = &mut stdin else { continue };
        match tokio::time::timeout(UNREAD, open.write_all(&chunk[..read])).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => stdin = None,
            Err(_) => return,
        }
    }
}

/// Copies what the process says, and how it ended.
async fn drain(child: &mut Child, stdout: ChildStdout, mut stderr: ChildStderr, to: &mut (impl AsyncWrite + Unpin)) {
    let mut log = Vec::new();
    let mut first = (&mut stderr).take(MAX_LOG);
    let mut stdout = stdout.take(MAX_OUTPUT);
    // Concurrently: a child that fills one pipe waits until it is read.
    let (copied, _) = tokio::join!(tokio::io::copy(&mut stdout, to), first.read_to_end(&mut log));
    if copied.is_err() {
        return;
    }
    // A child that says more than it may would wait for ever.
    drop((stdout, stderr));
    let Ok(status) = child.wait().await else { return };
    let last = String::from_utf8_lossy(&log).lines().last().unwrap_or_default().to_owned();
    let Ok(mut line) = serde_json::to_vec(&WorkerLine::Ended { status: status.to_string(), last }) else { return };
    // The process may have ended within a line.
    line.insert(0, b'\n');
    line.push(b'\n');
    let _ = to.write_all(&line).await;
    let _ = to.shutdown().await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;
    use std::time::Instant;

    /// A program that does this when it is started as a worker.
    fn program(dir: &Path, script: &str) -> WorkerProgram {
        let path = dir.join("program");
        fs::write(&path, format!("#!/bin/sh\nPATH=/usr/bin:/bin\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        WorkerProgram { path, layer_cache: None }
    }

    #[tokio::test]
    async fn the_end_of_a_process_is_the_last_line() {
        let check = async |script: &str, expected: &str| {
            let dir = tempfile::tempdir().unwrap();
            let program = program(dir.path(), script);
            let (mut ours, theirs) = UnixStream::pair().unwrap();
            ours.write_all(b"hello\n").await.unwrap();
            let mut said = String::new();
            let (ran, read) = tokio::join!(run(&program, theirs), ours.read_to_string(&mut said));
            ran.unwrap();
            read.unwrap();
            assert_eq!(said, expected, "{script}");
        };
        let ended =
            |status: &str, last: &str| format!("\n{{\"Ended\":{{\"status\":\"{status}\",\"last\":\"{last}\"}}}}\n");
        check("read a; echo \"$a, $*\"", &format!("hello, scan-worker\n{}", ended("exit status: 0", ""))).await;
        // Each reads its job: a socket that is closed with unread bytes in it ends with an error for its peer.
        check("read a; echo one >&2; echo two >&2; exit 3", &ended("exit status: 3", "two")).await;
        check("read a; printf '{'; kill -9 $$", &format!("{{{}", ended("signal: 9 (SIGKILL)", ""))).await;
    }

    #[tokio::test]
    async fn a_process_whose_peer_is_gone_is_killed() {
        let dir = tempfile::tempdir().unwrap();
        let pid = dir.path().join("pid");
        let program = program(dir.path(), &format!("echo $$ > {0}.new; mv {0}.new {0}; exec sleep 600", pid.display()));
        let (ours, theirs) = UnixStream::pair().unwrap();
        let running = tokio::spawn(async move { run(&program, theirs).await });
        let began = Instant::now();
        while !pid.exists() && began.elapsed() < Duration::from_secs(20) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let folder = PathBuf::from(format!("/proc/{}", fs::read_to_string(&pid).unwrap().trim()));
        assert!(folder.exists());
        drop(ours);
        running.await.unwrap().unwrap();
        assert!(!folder.exists(), "it is killed and reaped");
    }

    #[tokio::test]
    async fn a_program_that_does_not_start_is_an_error() {
        let (_ours, theirs) = UnixStream::pair().unwrap();
        let program = WorkerProgram { path: "/does/not/exist".into(), layer_cache: None };
        assert!(run(&program, theirs).await.is_err());
    }
}
