//! Starts a scan in its own process: with the namespace's pull secrets, and no other credentials.

use super::worker::{ScanFailure, ScanJob, ScanOutput, ScanResult};
use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tidewaiter_core::Reason;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;

/// Time limit of a scan: the largest public images need two minutes on a slow line; a registry that sends a byte a second
/// must not occupy a slot for hours.
const LIMIT: Duration = Duration::from_secs(15 * 60);
/// Largest output that is read: the child is not trusted. A report of 10,000 packages has about 20 MiB.
const MAX_OUTPUT: u64 = 256 << 20;
/// Largest text of the child's log; its last line explains an early end.
const MAX_LOG: u64 = 64 << 10;

/// Runs one scan of this program.
///
/// # Errors
/// When the image cannot be scanned, or the process fails.
pub(crate) async fn scan(program: &Path, job: &ScanJob) -> Result<ScanOutput, ScanFailure> {
    let job_text = serde_json::to_vec(job).map_err(|e| ScanFailure::new(Reason::Internal, e))?;
    let result = tokio::time::timeout(LIMIT, run_child(program, &job_text, job.memory)).await;
    let timed_out = |_| ScanFailure::new(Reason::ScanTimeout, format!("the scan took longer than {LIMIT:?}"));
    match result.map_err(timed_out)?? {
        ScanResult::Done(output) => Ok(output),
        ScanResult::Failed(failure) => Err(failure),
    }
}

/// Runs the child; dropped (by the time limit), it is killed.
async fn run_child(program: &Path, job: &[u8], memory: u64) -> Result<ScanResult, ScanFailure> {
    let internal = |e: std::io::Error| ScanFailure::new(Reason::Internal, format!("the scan process: {e}"));
    let mut command = Command::new(program);
    command.arg("scan-worker").env_clear().envs(proxy_variables()).kill_on_drop(true);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(internal)?;
    let (Some(mut stdin), Some(stdout), Some(stderr)) = (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err(ScanFailure::new(Reason::Internal, "the scan process has no pipes"));
    };
    match stdin.write_all(job).await {
        // It ended without reading: its status explains more than the pipe.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
        other => other.map_err(internal)?,
    }
    drop(stdin);
    let (mut out, mut log) = (Vec::new(), Vec::new());
    let (mut stdout, mut stderr) = (stdout.take(MAX_OUTPUT), stderr.take(MAX_LOG));
    // Concurrently: a child that fills one pipe waits until it is read.
    let (read, _) = tokio::join!(stdout.read_to_end(&mut out), stderr.read_to_end(&mut log));
    read.map_err(internal)?;
    let status = child.wait().await.map_err(internal)?;
    serde_json::from_slice(&out).map_err(|_| stopped(&status.to_string(), &log, memory))
}

/// The environment of the child: how registries are reached, and nothing else of this process's.
fn proxy_variables() -> impl Iterator<Item = (&'static str, OsString)> {
    tidewaiter_http::proxy::VARIABLES.iter().filter_map(|name| Some((*name, std::env::var_os(name)?)))
}

/// A child that ended without a result. Most often it reached its memory limit, which ends it without a word.
fn stopped(status: &str, log: &[u8], memory: u64) -> ScanFailure {
    let last = String::from_utf8_lossy(log).lines().last().unwrap_or_default().to_owned();
    let limit = memory >> 20;
    let text =
        format!("the scan process ended early ({status}; {last}); its memory limit is {limit} MiB (--scan-memory)");
    ScanFailure::new(Reason::ScannerStopped, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_early_end_is_explained() {
        let check = |log: &[u8], expected: &str| {
            let failure = stopped("signal: 9 (SIGKILL)", log, 512 << 20);
            assert_eq!((failure.reason, failure.message.as_str()), (Reason::ScannerStopped, expected));
        };
        let end = "its memory limit is 512 MiB (--scan-memory)";
        check(b"", &format!("the scan process ended early (signal: 9 (SIGKILL); ); {end}"));
        check(b"a\nlast\n", &format!("the scan process ended early (signal: 9 (SIGKILL); last); {end}"));
    }

    #[tokio::test]
    async fn a_process_that_says_nothing_has_stopped() {
        let check = async |program: &str, expected: Reason| {
            let job = ScanJob::for_tests("r.example/x:1");
            let failure = scan(Path::new(program), &job).await.unwrap_err();
            assert_eq!(failure.reason, expected, "{}", failure.message);
        };
        check("/bin/true", Reason::ScannerStopped).await;
        check("/bin/false", Reason::ScannerStopped).await;
        // It echoes its argument, which is not a result.
        check("/bin/echo", Reason::ScannerStopped).await;
        check("/does/not/exist", Reason::Internal).await;
    }
}
