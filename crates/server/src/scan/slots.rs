//! How many scans run concurrently, and whose turn it is: a held workload never waits behind what already runs.

use crate::decide::image_scan::Urgency;
use tokio::sync::{Semaphore, SemaphorePermit};

/// The slots of concurrent scans.
#[derive(Debug)]
pub(crate) struct ScanSlots {
    all: Semaphore,
    /// One fewer: the last slot is reserved for urgent scans, where there are two.
    background: Semaphore,
}

/// A slot, until it is dropped.
#[derive(Debug)]
pub(crate) struct ScanSlot<'a> {
    _background: Option<SemaphorePermit<'a>>,
    _slot: Option<SemaphorePermit<'a>>,
}

impl ScanSlots {
    /// As many slots as scans may run concurrently; at least one.
    pub(crate) fn new(scans: u16) -> Self {
        let all = usize::from(scans.max(1));
        ScanSlots { all: Semaphore::new(all), background: Semaphore::new((all - 1).max(1)) }
    }

    /// Waits for a slot.
    pub(crate) async fn take(&self, urgency: Urgency) -> ScanSlot<'_> {
        // The semaphores are never closed, so that acquiring cannot fail.
        let background = match urgency {
            Urgency::Urgent => None,
            // Its own semaphore first: whoever waits here holds no slot.
            Urgency::Background => self.background.acquire().await.ok(),
        };
        ScanSlot { _background: background, _slot: self.all.acquire().await.ok() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Urgency::{Background, Urgent};
    use futures::FutureExt as _;

    #[test]
    fn the_last_slot_is_for_urgent_scans() {
        let check = |scans: u16, taken: &[Urgency], next: Urgency, expected: bool| {
            let slots = ScanSlots::new(scans);
            let held: Vec<_> = taken.iter().map(|urgency| slots.take(*urgency).now_or_never().unwrap()).collect();
            assert_eq!(slots.take(next).now_or_never().is_some(), expected, "{scans} {taken:?} {next:?}");
            drop(held);
        };
        check(2, &[], Background, true);
        check(2, &[Background], Background, false);
        check(2, &[Background], Urgent, true);
        check(2, &[Urgent], Background, true);
        check(2, &[Background, Urgent], Urgent, false);
        check(3, &[Background, Background], Background, false);
        check(3, &[Background, Background], Urgent, true);
        // One slot is shared, and no slots mean one.
        check(1, &[], Background, true);
        check(1, &[Background], Urgent, false);
        check(0, &[], Background, true);
    }
}
