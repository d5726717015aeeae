//! How long an update that admission refused is remembered.

use jiff::Timestamp;
use std::time::Duration;
use tidewaiter_crd::workload_scan::RefusedUpdate;

/// From the last attempt to apply it: longer than tools that apply from Git wait between two attempts. What nobody wants any
/// more must not be shown as the state of what runs.
const REMEMBERED: Duration = Duration::from_secs(3600);

/// How long a refused update is remembered from now on.
pub(crate) fn remaining(refused: &RefusedUpdate, now: Timestamp) -> Duration {
    let age = refused.at.timestamp().map_or(REMEMBERED, |at| now.duration_since(at).unsigned_abs());
    REMEMBERED.saturating_sub(age)
}

/// Whether it is not remembered any more.
pub(crate) fn is_over(refused: &RefusedUpdate, now: Timestamp) -> bool {
    remaining(refused, now).is_zero()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::fixtures::now;

    #[test]
    fn an_update_is_remembered_for_an_hour() {
        let check = |at: &str, expected: u64| {
            let refused = RefusedUpdate { revision: "h".to_owned(), at: at.to_owned().into() };
            assert_eq!(remaining(&refused, now()), Duration::from_secs(expected), "{at}");
            assert_eq!(is_over(&refused, now()), expected == 0, "{at}");
        };
        check("2026-01-02T00:00:00Z", 3600);
        check("2026-01-01T23:30:00Z", 1800);
        check("2026-01-01T23:00:00Z", 0);
        check("2026-01-01T00:00:00Z", 0);
        check("no time", 0);
    }
}
