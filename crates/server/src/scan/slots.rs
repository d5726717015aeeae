//! How many scans run concurrently, and whose turn it is.

use super::turns::{RunningScan, Turns, WaitingScan};
use crate::decide::image_scan::Urgency;
use parking_lot::Mutex;
use std::sync::Arc;
use tokio::sync::oneshot;

/// The slots of concurrent scans.
#[derive(Debug, Clone)]
pub(crate) struct ScanSlots {
    state: Arc<Mutex<SlotState>>,
}

#[derive(Debug)]
struct SlotState {
    turns: Turns,
    running: Vec<(u64, RunningScan)>,
    /// In the order of their arrival.
    waiting: Vec<(WaitingScan, oneshot::Sender<ScanSlot>)>,
    next: u64,
}

/// A slot, until it is dropped.
#[derive(Debug)]
pub(crate) struct ScanSlot {
    slots: ScanSlots,
    number: u64,
}

impl Drop for ScanSlot {
    fn drop(&mut self) {
        self.slots.state.lock().running.retain(|(number, _)| *number != self.number);
        self.slots.give();
    }
}

impl ScanSlots {
    /// As many slots as scans may run concurrently; at least one. Images of one registry have so many of them at most.
    pub(crate) fn new(scans: u16, per_registry: Option<u16>) -> Self {
        let turns = Turns::new(scans.max(1).into(), per_registry.unwrap_or(scans).max(1).into());
        let state = SlotState { turns, running: Vec::new(), waiting: Vec::new(), next: 0 };
        ScanSlots { state: Arc::new(Mutex::new(state)) }
    }

    /// Waits for a slot. Who stops waiting (drops the future) gives up the place, or the slot.
    pub(crate) async fn take(&self, namespace: &str, registry: &str, urgency: Urgency) -> ScanSlot {
        let (namespace, registry) = (namespace.to_owned(), registry.to_owned());
        let waiting = WaitingScan { namespace, urgency, registry };
        loop {
            let (sender, receiver) = oneshot::channel();
            self.state.lock().waiting.push((waiting.clone(), sender));
            self.give();
            // The sender is dropped only together with a slot in it.
            if let Ok(slot) = receiver.await {
                return slot;
            }
        }
    }

    /// How many wait for a slot.
    pub(crate) fn waiting(&self) -> usize {
        self.state.lock().waiting.iter().filter(|(_, sender)| !sender.is_closed()).count()
    }

    /// Gives free slots to those whose turn it is.
    fn give(&self) {
        loop {
            let mut state = self.state.lock();
            let Some((sender, number)) = state.next() else { return };
            drop(state);
            // Unlocked: a slot for one who does not wait any more is dropped here, and given to the next one.
            let _ = sender.send(ScanSlot { slots: self.clone(), number });
        }
    }
}

impl SlotState {
    fn next(&mut self) -> Option<(oneshot::Sender<ScanSlot>, u64)> {
        self.waiting.retain(|(_, sender)| !sender.is_closed());
        let running: Vec<&RunningScan> = self.running.iter().map(|(_, running)| running).collect();
        let waiting: Vec<&WaitingScan> = self.waiting.iter().map(|(waiting, _)| waiting).collect();
        let index = self.turns.next(&running, &waiting)?;
        let (scan, sender) = self.waiting.remove(index);
        self.next += 1;
        self.running.push((self.next, scan));
        Some((sender, self.next))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Urgency::{Background, Urgent};
    use futures::FutureExt as _;

    #[test]
    fn a_slot_is_held_until_it_is_dropped() {
        let slots = ScanSlots::new(1, None);
        let first = slots.take("a", "r.example", Urgent).now_or_never().unwrap();
        let mut second = Box::pin(slots.take("a", "r.example", Urgent));
        let mut third = Box::pin(slots.take("b", "r.example", Background));
        assert!((&mut second).now_or_never().is_none() && (&mut third).now_or_never().is_none());
        drop(first);
        // Namespace a had its turn.
        assert!((&mut second).now_or_never().is_none());
        let slot = (&mut third).now_or_never().unwrap();
        drop(slot);
        assert!((&mut second).now_or_never().is_some());
    }

    #[test]
    fn who_stops_waiting_keeps_no_slot() {
        let slots = ScanSlots::new(1, None);
        let first = slots.take("a", "r.example", Urgent).now_or_never().unwrap();
        let mut gone = Box::pin(slots.take("b", "r.example", Urgent));
        let mut given = Box::pin(slots.take("c", "r.example", Urgent));
        assert!((&mut gone).now_or_never().is_none() && (&mut given).now_or_never().is_none());
        assert_eq!(slots.waiting(), 2);
        drop(gone);
        assert_eq!(slots.waiting(), 1);
        drop(first);
        // It was given to c, which stops before it sees it.
        drop(given);
        assert!(slots.take("d", "r.example", Urgent).now_or_never().is_some());
        assert!(slots.state.lock().running.is_empty() && slots.state.lock().waiting.is_empty());
    }
}
