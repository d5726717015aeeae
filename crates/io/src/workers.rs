//! A bounded number of threads that share one list of work.

use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

/// Runs `work` on every item with at most `threads` threads; returns the results in the order of the items. After a
/// failure no further item is started.
///
/// # Errors
/// The failure of the first item in order, of those that failed.
pub fn in_order<T, R, E>(threads: usize, items: &[T], work: impl Fn(&T) -> Result<R, E> + Sync) -> Result<Vec<R>, E>
where
    T: Sync,
    R: Send,
    E: Send,
{
    let next = AtomicUsize::new(0);
    let failed = AtomicBool::new(false);
    let results = Mutex::new(BTreeMap::new());
    thread::scope(|scope| {
        for _ in 0..threads.clamp(1, items.len().max(1)) {
            scope.spawn(|| take_turns(items, &next, &failed, &results, &work));
        }
    });
    // Every item before one that failed was started, so of several failures the first in order is among the results.
    results.into_inner().into_values().collect()
}

fn take_turns<T, R, E>(
    items: &[T],
    next: &AtomicUsize,
    failed: &AtomicBool,
    results: &Mutex<BTreeMap<usize, Result<R, E>>>,
    work: &impl Fn(&T) -> Result<R, E>,
) {
    loop {
        // Before an item is taken, never after: one that is taken is worked on, so none before a failure is left out.
        if failed.load(Ordering::Relaxed) {
            return;
        }
        let index = next.fetch_add(1, Ordering::Relaxed);
        let Some(item) = items.get(index) else { return };
        let result = work(item);
        failed.fetch_or(result.is_err(), Ordering::Relaxed);
        results.lock().insert(index, result);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_keep_the_order_of_their_items() {
        let check = |threads: usize, items: &[u32], expected: Result<Vec<u32>, u32>| {
            let even = |item: &u32| if item.is_multiple_of(2) { Ok(item * 10) } else { Err(*item) };
            assert_eq!(in_order(threads, items, even), expected, "{threads} {items:?}");
        };
        for threads in [0, 1, 2, 8] {
            check(threads, &[], Ok(vec![]));
            check(threads, &[2, 4, 6, 8], Ok(vec![20, 40, 60, 80]));
            check(threads, &[2, 3], Err(3));
        }
        check(1, &[2, 5, 4, 3], Err(5));
    }

    #[test]
    fn of_several_failures_the_first_in_order_is_returned() {
        let items: Vec<u32> = (0..64).collect();
        for _ in 0..200 {
            // Later items fail sooner.
            let failing = |item: &u32| {
                (*item..64).for_each(|_| std::thread::yield_now());
                Err::<(), _>(*item)
            };
            assert_eq!(in_order(4, &items, failing), Err(0));
        }
    }

    #[test]
    fn nothing_is_started_after_a_failure() {
        let started = AtomicUsize::new(0);
        let failing = |_: &u32| {
            started.fetch_add(1, Ordering::Relaxed);
            Err::<(), _>("failed")
        };
        assert_eq!(in_order(1, &[1, 2, 3], failing), Err("failed"));
        assert_eq!(started.into_inner(), 1);
    }
}
