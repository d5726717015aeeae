//! The alert of a workload's news. Its id follows from the content, so that the same news are told once, and a receiver can recognise a
//! repetition.

use crate::decide::alerted::{END, last_end, last_told};
use crate::decide::message::WorkloadNews;
use crate::decide::workload_ref::WorkloadRef;
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use tidewaiter_alerts::{Alert, AlertedWorkload};
use tidewaiter_core::hex;

/// The alert of these news, with their text; `since` is when the state began, `alerted` what the record notes as told.
pub(crate) fn news(news: &WorkloadNews<'_>, text: &str, since: Timestamp, alerted: &[String]) -> Alert {
    let (workload, template, status, reasons) = (news.workload, news.template, news.status, &news.evaluation.reasons);
    let event = news.event();
    let by = news.evaluation.break_glass.as_ref().map(|given| given.name.as_str()).unwrap_or_default();
    // Not the time: the same news twice are one alert, unless what was told was over in between.
    let after = last_end(alerted).unwrap_or_default();
    let content = format!("{}\n{template}\n{}\n{event}{by}\n{}{after}", workload.uid, status.image, reasons.join("\n"));
    Alert {
        id: id(&content),
        workload: about(workload),
        state: news.alert_state(),
        event,
        severity: news.severity(),
        status,
        reasons: reasons.clone(),
        message: text.to_owned(),
        time: since,
        is_over: false,
    }
}

/// The alert that says that what was told is over; none where the last of those that a record notes said so, or there is none.
pub(crate) fn over(news: &WorkloadNews<'_>, text: &str, since: Timestamp, alerted: &[String]) -> Option<Alert> {
    let id = end_id(news.workload, alerted)?;
    Some(Alert { id, is_over: true, ..self::news(news, text, since, alerted) })
}

/// The id of the alert that says that what was told last is over.
pub(crate) fn end_id(workload: &WorkloadRef, alerted: &[String]) -> Option<String> {
    let last = last_told(alerted)?;
    Some(format!("{END}{}", id(&format!("{}\n{last}", workload.uid))))
}

/// 128 bits, as a UUID has: receivers compare ids of one sender only.
fn id(content: &str) -> String {
    let hash: [u8; 32] = Sha256::digest(content.as_bytes()).into();
    hex(&hash[..16])
}

fn about(workload: &WorkloadRef) -> AlertedWorkload {
    AlertedWorkload { namespace: workload.namespace.clone(), label: workload.label(), uid: workload.uid.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::alerted::note_alert;
    use crate::decide::evaluation::Evaluation;
    use std::collections::BTreeSet;
    use tidewaiter_core::status::{DeploymentStatus, ImageStatus, WorkloadStatus};
    use tidewaiter_crd::workload_scan::WorkloadScanStatus;

    fn told(uid: &str, template: &str, deployment: DeploymentStatus, reasons: &[&str], text: &str) -> Alert {
        told_after(&[], uid, template, deployment, reasons, text)
    }

    fn told_after(
        alerted: &[String],
        uid: &str,
        template: &str,
        deployment: DeploymentStatus,
        reasons: &[&str],
        text: &str,
    ) -> Alert {
        let workload = WorkloadRef {
            namespace: "n".to_owned(),
            api_version: "apps/v1".to_owned(),
            kind: "Deployment".into(),
            name: "web".to_owned(),
            uid: uid.to_owned(),
        };
        let status = WorkloadStatus { image: ImageStatus::VulnerabilitiesFound, deployment };
        let reasons: Vec<String> = reasons.iter().map(|reason| (*reason).to_owned()).collect();
        let evaluation = Evaluation { reasons, ..Evaluation::default() };
        news(&WorkloadNews::new(&workload, template, &evaluation, status), text, Timestamp::now(), alerted)
    }

    #[test]
    fn the_id_follows_from_the_content() {
        use DeploymentStatus::{Blocked, Deployed};
        let one = told("u", "t", Blocked, &["A"], "text");
        let check = |other: Alert, same: bool| assert_eq!(one.id == other.id, same, "{other:?}");
        check(told("u", "t", Blocked, &["A"], "text"), true);
        // Another wording of the same reasons is not another alert.
        check(told("u", "t", Blocked, &["A"], "reworded"), true);
        check(told("v", "t", Blocked, &["A"], "text"), false);
        check(told("u", "s", Blocked, &["A"], "text"), false);
        check(told("u", "t", Deployed, &["A"], "text"), false);
        check(told("u", "t", Blocked, &["A", "B"], "text"), false);
    }

    /// An incident that was resolved is opened again by the same cause.
    #[test]
    fn what_is_over_and_happens_again_is_told_again() {
        let blocked = |alerted: &[String]| told_after(alerted, "u", "t", DeploymentStatus::Blocked, &["A"], "text").id;
        let workload = WorkloadRef { uid: "u".to_owned(), ..WorkloadRef::of_kind("apps/v1", "Deployment") };
        let mut record = WorkloadScanStatus::default();
        let mut all = BTreeSet::new();
        for round in 0..3 {
            let id = blocked(&record.alerted);
            assert!(!record.alerted.contains(&id), "{round}");
            note_alert(&mut record, id.clone());
            assert_eq!(blocked(&record.alerted), id, "told once: {round}");
            let end = end_id(&workload, &record.alerted).unwrap();
            assert!(!record.alerted.contains(&end), "{round}");
            all.extend([id, end.clone()]);
            note_alert(&mut record, end);
            assert_eq!(end_id(&workload, &record.alerted), None, "{round}");
        }
        assert_eq!(all.len(), 6, "{all:?}");
    }

    #[test]
    fn the_end_of_what_was_told_is_told_once() {
        let workload = WorkloadRef {
            namespace: "n".to_owned(),
            api_version: "apps/v1".to_owned(),
            kind: "Deployment".into(),
            name: "web".to_owned(),
            uid: "u".to_owned(),
        };
        let status = WorkloadStatus { image: ImageStatus::Approved, deployment: DeploymentStatus::Deployed };
        let evaluation = Evaluation::default();
        let now = WorkloadNews::new(&workload, "t", &evaluation, status);
        let ended = |alerted: &[&str]| {
            let alerted: Vec<String> = alerted.iter().map(|id| (*id).to_owned()).collect();
            over(&now, "approved", Timestamp::now(), &alerted)
        };
        assert_eq!(ended(&[]), None);
        let first = ended(&["a"]).unwrap();
        assert!(first.is_over);
        assert_eq!(ended(&["a", &first.id]), None);
        // Held again, and released again.
        assert_ne!(ended(&["a", &first.id, "b"]).unwrap().id, first.id);
    }
}
