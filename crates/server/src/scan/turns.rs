//! Whose turn it is to scan: namespaces share the slots, and urgency counts within that share. A registry has no more of them than
//! the administrator allows.

use crate::decide::image_scan::Urgency;
use std::collections::BTreeMap;

/// Namespaces of which the last turn is remembered: more than wait at any time.
const MAX_REMEMBERED: usize = 10_000;

/// A scan that waits for a slot.
#[derive(Debug, Clone)]
pub(super) struct WaitingScan {
    pub(super) namespace: String,
    pub(super) urgency: Urgency,
    /// The registry of its image.
    pub(super) registry: String,
}

/// A scan in a slot.
pub(super) type RunningScan = WaitingScan;

/// The turns of the namespaces. A free slot is for the namespace with the fewest running scans; of several, for the one
/// whose last turn is the longest ago: however many scans a namespace requests, another one waits for the end of one scan.
/// Whoever may create an ImageScan can make it urgent; that counts only among the scans of its namespace, and for the last
/// slot, which background scans leave free.
#[derive(Debug)]
pub(super) struct Turns {
    slots: usize,
    /// Slots for images of one registry at most.
    per_registry: usize,
    /// Namespace → number of its last turn.
    last: BTreeMap<String, u64>,
    turns: u64,
}

impl Turns {
    /// Turns at this many slots, of which images of one registry have so many at most.
    pub(super) fn new(slots: usize, per_registry: usize) -> Self {
        Turns { slots, per_registry, last: BTreeMap::new(), turns: 0 }
    }

    /// The index of the waiting scan whose turn it is, if a slot is free for one. `waiting` is in the order of arrival.
    pub(super) fn next(&mut self, running: &[&RunningScan], waiting: &[&WaitingScan]) -> Option<usize> {
        if running.len() >= self.slots {
            return None;
        }
        let of_background = running.iter().filter(|scan| scan.urgency == Urgency::Background).count();
        // The last slot is for urgent scans, where there are two.
        let background = of_background < (self.slots - 1).max(1);
        let of_registry = |scan: &WaitingScan| running.iter().filter(|other| other.registry == scan.registry).count();
        let may_run = |scan: &WaitingScan| {
            (scan.urgency == Urgency::Urgent || background) && of_registry(scan) < self.per_registry
        };
        let index = (0..waiting.len()).filter(|i| may_run(waiting[*i])).min_by_key(|i| {
            let scan = waiting[*i];
            let share = running.iter().filter(|other| other.namespace == scan.namespace).count();
            let last = self.last.get(&scan.namespace).copied();
            // Of one namespace, what waits for another registry than those that run: one may be slow.
            (share, last, scan.urgency != Urgency::Urgent, of_registry(scan), *i)
        })?;
        self.note(&waiting[index].namespace);
        Some(index)
    }

    fn note(&mut self, namespace: &str) {
        self.turns += 1;
        self.last.insert(namespace.to_owned(), self.turns);
        if self.last.len() > MAX_REMEMBERED
            && let Some(oldest) = self.last.iter().min_by_key(|(_, turn)| **turn).map(|(name, _)| name.clone())
        {
            self.last.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `a` is a background scan of namespace a, `A` an urgent one of the same namespace; with a digit after it, of that registry.
    fn scans(text: &str) -> Vec<WaitingScan> {
        let letters = text.char_indices().filter(|(_, letter)| letter.is_ascii_alphabetic());
        let one = |(at, letter): (usize, char)| WaitingScan {
            namespace: letter.to_ascii_lowercase().to_string(),
            urgency: if letter.is_ascii_uppercase() { Urgency::Urgent } else { Urgency::Background },
            registry: text[at + 1..].chars().next().filter(char::is_ascii_digit).map(String::from).unwrap_or_default(),
        };
        letters.map(one).collect()
    }

    fn letter(scan: &WaitingScan) -> String {
        if scan.urgency == Urgency::Urgent { scan.namespace.to_ascii_uppercase() } else { scan.namespace.clone() }
    }

    fn next(turns: &mut Turns, running: &[WaitingScan], waiting: &[WaitingScan]) -> Option<usize> {
        turns.next(&running.iter().collect::<Vec<_>>(), &waiting.iter().collect::<Vec<_>>())
    }

    #[test]
    fn whose_turn_it_is() {
        let check = |slots: usize, running: &str, waiting: &str, expected: Option<usize>| {
            let found = next(&mut Turns::new(slots, slots), &scans(running), &scans(waiting));
            assert_eq!(found, expected, "{slots} {running:?} {waiting:?}");
        };
        check(2, "", "", None);
        check(2, "", "ab", Some(0));
        check(2, "AB", "C", None);
        // Urgent within a namespace, and between namespaces that had no turn; then who came first.
        check(2, "", "aA", Some(1));
        check(2, "", "aB", Some(1));
        check(2, "", "AB", Some(0));
        // The last slot is for urgent scans; one slot is shared.
        check(2, "a", "b", None);
        check(2, "a", "bC", Some(1));
        check(2, "A", "b", Some(0));
        check(3, "ab", "c", None);
        check(1, "", "a", Some(0));
        // Who has a slot already goes after who has none, however urgent.
        check(2, "A", "AAAb", Some(3));
        check(3, "AA", "AB", Some(1));
        check(4, "AAB", "ABC", Some(2));
        check(4, "AAB", "AB", Some(1));
        // Alone, a namespace uses all slots.
        check(2, "A", "A", Some(0));
        // Of one namespace another registry first, and whoever is urgent before.
        check(2, "A1", "A1A2", Some(1));
        check(3, "A1", "a2A1", Some(1));
        // Of namespaces that had no turn, too.
        check(3, "A1", "B1C2", Some(1));
    }

    #[test]
    fn a_registry_has_as_many_slots_as_it_may() {
        let check = |per_registry: usize, running: &str, waiting: &str, expected: Option<usize>| {
            let found = next(&mut Turns::new(4, per_registry), &scans(running), &scans(waiting));
            assert_eq!(found, expected, "{per_registry} {running:?} {waiting:?}");
        };
        check(1, "A1", "A1", None);
        check(1, "A1", "B1", None);
        check(1, "A1", "B1A2", Some(1));
        check(2, "A1", "B1", Some(0));
        check(2, "A1B1", "C1C2", Some(1));
        check(4, "A1A1A1", "A1", Some(0));
    }

    /// Each scan takes one unit of time; every namespace waits for one of its scans to begin.
    #[test]
    fn a_flood_of_one_namespace_costs_the_others_one_scan() {
        let check = |slots: usize, flood: &str, one: &str| {
            let mut turns = Turns::new(slots, slots);
            let mut waiting = scans(&flood.repeat(20));
            let mut running: Vec<WaitingScan> = Vec::new();
            for time in 0..6 {
                if time >= 1 && time % 2 == 1 {
                    waiting.extend(scans(one));
                }
                while let Some(index) = next(&mut turns, &running, &waiting) {
                    running.push(waiting.remove(index));
                }
                assert!(running.len() <= slots);
                // The oldest ends.
                running.remove(0);
                let late = waiting.iter().filter(|scan| letter(scan) == one).count();
                assert!(late <= 1, "{slots} {flood} {one} at {time}");
                if time % 2 == 0 {
                    assert_eq!(late, 0, "{slots} {flood} {one} at {time}");
                }
            }
        };
        check(1, "A", "b");
        check(1, "A", "B");
        check(2, "A", "B");
        check(2, "A", "b");
        check(3, "AAa", "b");
    }

    #[test]
    fn a_namespace_that_always_comes_back_has_its_turns_only() {
        let mut turns = Turns::new(1, 1);
        let mut waiting = scans("bcA");
        let order: String = (0..6)
            .map(|_| {
                let scan = waiting.remove(next(&mut turns, &[], &waiting).unwrap());
                waiting.push(scan.clone());
                letter(&scan)
            })
            .collect();
        assert_eq!(order, "AbcAbc");
    }
}
