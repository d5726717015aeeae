//! What tells the process to stop.

use anyhow::Result;
use tokio::signal::unix::{SignalKind, signal};

/// Runs something until it ends or a signal stops it.
///
/// # Errors
/// Those of what runs.
pub(crate) async fn until_stopped(work: impl Future<Output = Result<()>>) -> Result<()> {
    tokio::select! {
        ended = work => ended,
        _ = stopped() => Ok(()),
    }
}

/// What told the process to stop, or how it stops by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StopSignal {
    /// The kubelet: the Pod is being deleted, and requests still come for a moment; so they do when it ends by itself.
    Terminate,
    /// Somebody at a terminal.
    Interrupt,
}

/// Waits for the signal that tells the process to stop.
pub(crate) async fn stopped() -> StopSignal {
    let (Ok(mut term), Ok(mut int)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = term.recv() => StopSignal::Terminate,
        _ = int.recv() => StopSignal::Interrupt,
    }
}
