//! Whose the pause of a workload is: the server's, which ends with the hold, or that of anybody else.

use super::holdable::Holdable;
use super::marks::annotation;
use tidewaiter_crd::names::{HELD, USER_PAUSE};
use tidewaiter_crd::workload_scan::WorkloadScanStatus;

/// Whether the server pauses a workload that is held and not paused. It leaves those to the gate that another controller
/// owns, and those whose kind is not paused once it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LatePause {
    /// It does so next.
    Due,
    /// It does not.
    Never,
}

impl LatePause {
    /// For an object of a kind that `is_paused_late`, or is not.
    pub(crate) fn of<K: Holdable>(object: &K, is_paused_late: bool, enforced: bool) -> Self {
        let due = is_paused_late && enforced && !object.is_owned() && !object.paused();
        if due { LatePause::Due } else { LatePause::Never }
    }
}

/// Whether the pause of a held workload is the server's, or will be. A pause of the user's own, once noted, stays theirs; so
/// does one that others set later on what the server never paused.
pub(crate) fn is_paused_by_server<K: Holdable>(object: &K, record: &WorkloadScanStatus, late: LatePause) -> bool {
    let metadata = object.metadata();
    if annotation(metadata, USER_PAUSE) {
        return false;
    }
    if !object.paused() {
        return late == LatePause::Due;
    }
    // Nothing is marked that another controller owns: there a mark was copied.
    annotation(metadata, HELD) && !object.is_owned() || record.paused_by_server
}

/// Whether only a pause of the user's own keeps a workload from rolling out.
pub(crate) fn is_paused_by_user<K: Holdable>(object: &K, record: &WorkloadScanStatus) -> bool {
    object.paused() && !is_paused_by_server(object, record, LatePause::Never)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::fixtures::deployment;
    use serde_json::{from_value, json};

    #[test]
    fn whose_pause_it_is() {
        let check = |paused: bool, marks: &[&str], recorded: bool, expected: bool| {
            let record = WorkloadScanStatus { paused_by_server: recorded, ..WorkloadScanStatus::default() };
            let by_server = is_paused_by_server(&deployment(paused, marks), &record, LatePause::Never);
            assert_eq!(by_server, expected, "{paused} {marks:?} {recorded}");
        };
        // Never paused, or not any more: the next pause is another's.
        check(false, &[], false, false);
        check(false, &[], true, false);
        check(false, &[HELD], true, false);
        check(true, &[HELD], false, true);
        check(true, &[HELD], true, true);
        // Paused before the hold, and noted as the user's own.
        check(true, &[], false, false);
        check(true, &[HELD, USER_PAUSE], true, false);
        check(false, &[USER_PAUSE], true, false);
        // A user removed our annotation from a Deployment that we paused.
        check(true, &[], true, true);
    }

    #[test]
    fn the_servers_next_pause_is_its_own() {
        let check = |paused: bool, marks: &[&str], owned: bool, late: bool, enforced: bool, expected: bool| {
            let mut object = deployment(paused, marks);
            let owner =
                json!([{"kind": "App", "apiVersion": "example.com/v1", "name": "a", "uid": "u", "controller": true}]);
            object.metadata.owner_references = owned.then(|| from_value(owner).unwrap());
            let pause = LatePause::of(&object, late, enforced);
            let by_server = is_paused_by_server(&object, &WorkloadScanStatus::default(), pause);
            assert_eq!(by_server, expected, "{paused} {marks:?} owned: {owned} late: {late} enforced: {enforced}");
        };
        check(false, &[], false, true, true, true);
        check(false, &[USER_PAUSE], false, true, true, false);
        check(false, &[], true, true, true, false);
        check(false, &[], false, false, true, false);
        check(false, &[], false, true, false, false);
        // Paused by others before the server would do it.
        check(true, &[], false, true, true, false);
        check(true, &[], true, true, true, false);
        check(true, &[HELD], false, true, true, true);
        check(true, &[HELD], true, true, true, false);
    }
}
