//! What a workload's record notes of the alerts that were delivered: so that none is told twice, and what happens again after it
//! was over is told again.

use tidewaiter_crd::workload_scan::WorkloadScanStatus;

/// Ids of delivered alerts: more than a workload has revisions.
const MAX_ALERTS: usize = 40;

/// How the ids of alerts begin that say that what was told before is over.
pub(crate) const END: &str = "over-";

fn is_end(id: &str) -> bool {
    id.starts_with(END)
}

/// Notes a delivered alert. What was told before an end is told again where it happens again.
pub(crate) fn note_alert(record: &mut WorkloadScanStatus, id: String) {
    if is_end(&id) {
        record.alerted.clear();
    }
    record.alerted.push(id);
    // The ids that follow are those after this end: it stays.
    let end = usize::from(record.alerted.first().is_some_and(|first| is_end(first)));
    let old = record.alerted.len().saturating_sub(end + MAX_ALERTS);
    record.alerted.drain(end..end + old);
}

/// The last end that a record notes.
pub(crate) fn last_end(alerted: &[String]) -> Option<&str> {
    alerted.iter().rev().map(String::as_str).find(|id| is_end(id))
}

/// What a record notes as told, from the last end on: what counts of it.
pub(crate) fn since_last_end(alerted: &[String]) -> &[String] {
    let from = alerted.iter().rposition(|id| is_end(id)).unwrap_or_default();
    alerted.get(from..).unwrap_or_default()
}

/// The alert that was told last, and is not over.
pub(crate) fn last_told(alerted: &[String]) -> Option<&str> {
    alerted.last().map(String::as_str).filter(|id| !is_end(id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn delivered_alerts_are_noted_within_bounds() {
        let mut record = WorkloadScanStatus::default();
        (0..MAX_ALERTS + 2).for_each(|i| note_alert(&mut record, i.to_string()));
        assert_eq!(record.alerted.len(), MAX_ALERTS);
        assert_eq!(record.alerted.first().map(String::as_str), Some("2"));
        // An end makes what was told before count no more, and is kept as long as it is the last one.
        note_alert(&mut record, "over-1".to_owned());
        assert_eq!(record.alerted, ["over-1"]);
        assert_eq!(last_told(&record.alerted), None);
        (0..MAX_ALERTS + 2).for_each(|i| note_alert(&mut record, i.to_string()));
        assert_eq!(record.alerted.len(), MAX_ALERTS + 1);
        assert_eq!((last_end(&record.alerted), record.alerted[1].as_str()), (Some("over-1"), "2"));
        let last = (MAX_ALERTS + 1).to_string();
        assert_eq!(last_told(&record.alerted), Some(last.as_str()));
        // A record from before that.
        let older = ["a", "over-1", "b", "over-2", "c"].map(str::to_owned);
        assert_eq!(since_last_end(&older), ["over-2", "c"]);
        assert_eq!(since_last_end(&older[..1]), ["a"]);
        // As it was written before.
        let old: WorkloadScanStatus =
            serde_json::from_value(json!({"imageStatus": "Scanning", "deploymentStatus": "Created", "alerted": "x"}))
                .unwrap();
        assert_eq!(old.alerted, ["x"]);
    }
}
