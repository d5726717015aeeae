//! How many scans run at once, and whose turn it is: what holds a workload never waits behind what runs already.

use crate::context::Context;
use tidewaiter_crd::workload_scan::Decision;
use tidewaiter_crd::{ImageScan, WorkloadScan};
use tokio::sync::{Semaphore, SemaphorePermit};

/// The slots.
#[derive(Debug)]
pub(crate) struct Slots {
    all: Semaphore,
    /// One slot is left for urgent scans, where there are two.
    background: Semaphore,
}

/// A taken slot.
#[derive(Debug)]
pub(super) struct Taken<'a> {
    _background: Option<SemaphorePermit<'a>>,
    _slot: Option<SemaphorePermit<'a>>,
}

impl Slots {
    /// So many scans at once.
    pub(crate) fn new(scans: u16) -> Self {
        let all = usize::from(scans.max(1));
        Slots { all: Semaphore::new(all), background: Semaphore::new((all - 1).max(1)) }
    }

    /// Waits for a slot.
    pub(super) async fn take(&self, scan: &ImageScan, ctx: &Context) -> Taken<'_> {
        // The semaphores are never closed, so there is always a permit in the end.
        let background = if is_urgent(scan, ctx) { None } else { self.background.acquire().await.ok() };
        Taken { _background: background, _slot: self.all.acquire().await.ok() }
    }
}

/// Somebody waits: a workload is held, or a person asked for an image that no workload uses.
fn is_urgent(scan: &ImageScan, ctx: &Context) -> bool {
    if scan.spec.rescan.is_none() {
        return false;
    }
    let users = ctx.index.users(scan);
    let holds =
        |w: &WorkloadScan| w.status.iter().flat_map(|s| s.revisions.values()).any(|r| r.decision == Decision::Held);
    users.is_empty() || users.iter().any(|w| holds(w))
}
