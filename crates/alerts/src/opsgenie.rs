//! Opsgenie's Alert API (docs.opsgenie.com, "Create Alert", "Close Alert"): an alert for each workload, known by its alias, which is
//! closed when the workload is released.

use crate::alert::{Alert, Outgoing, TEST_TEXT, TEST_TITLE};
use crate::http_message::HttpMessage;
use crate::text::without_brackets;
use serde_json::json;
use tidewaiter_core::severity::Severity;
use tidewaiter_crd::alert::AlertState;

/// Where alerts go unless the receiver says otherwise (`https://api.eu.opsgenie.com/v2/alerts`).
pub(crate) const ADDRESS: &str = "https://api.opsgenie.com/v2/alerts";

/// Characters of the fields.
const MAX_MESSAGE: usize = 130;
const MAX_DESCRIPTION: usize = 15_000;
const MAX_ENTITY: usize = 512;
const MAX_DETAIL: usize = 250;

pub(crate) fn messages(what: Outgoing<'_>) -> Vec<HttpMessage> {
    match what {
        Outgoing::News(alert) => vec![create(alert)],
        Outgoing::Digest(all) | Outgoing::Open(all) => all.iter().map(create).collect(),
        Outgoing::Over(alert) => vec![close(&alert.workload.key(), &alert.message)],
        // It would wake somebody if it stayed open.
        Outgoing::Test(name, _) => {
            let alias = format!("tidewaiter-test-{name}");
            let body = json!({"message": TEST_TITLE, "alias": alias, "description": TEST_TEXT,
                "source": "tidewaiter", "priority": "P5"});
            vec![HttpMessage::json(body), close(&alias, TEST_TEXT)]
        }
    }
}

fn create(alert: &Alert) -> HttpMessage {
    HttpMessage::json(json!({
        "message": without_brackets(&alert.title(), MAX_MESSAGE),
        "alias": alert.workload.key(),
        "description": without_brackets(&description(alert), MAX_DESCRIPTION),
        "entity": without_brackets(&alert.workload.label, MAX_ENTITY),
        "source": "tidewaiter",
        "priority": priority(alert),
        "tags": ["tidewaiter", alert.state],
        "details": {
            "namespace": without_brackets(&alert.workload.namespace, MAX_DETAIL),
            "imageStatus": alert.status.image,
            "deploymentStatus": alert.status.deployment,
        },
    }))
}

fn description(alert: &Alert) -> String {
    [&alert.message].into_iter().chain(&alert.reasons).cloned().collect::<Vec<_>>().join("; ")
}

fn close(alias: &str, note: &str) -> HttpMessage {
    let path = format!("/{alias}/close?identifierType=alias");
    let body = json!({"source": "tidewaiter", "note": without_brackets(note, MAX_DESCRIPTION)});
    HttpMessage { path, ..HttpMessage::json(body) }
}

/// One of the five that the service knows.
fn priority(alert: &Alert) -> &'static str {
    match (alert.state, alert.severity) {
        (AlertState::RollingOut | AlertState::Deployed | AlertState::Created, _) => "P5",
        (AlertState::BreakGlass, _) => "P3",
        (_, Some(Severity::Critical)) => "P1",
        (_, Some(Severity::High) | None) => "P2",
        (_, Some(Severity::Medium)) => "P3",
        (_, Some(_)) => "P4",
    }
}

/// What authorises a request.
pub(crate) fn authorization(key: &str) -> String {
    format!("GenieKey {key}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::examples::{HOSTILE, alert};

    #[test]
    fn an_alert_is_created_and_closed_by_workload() {
        let held = &messages(Outgoing::News(&alert("3 critical")))[0];
        let expected = json!({
            "message": "Held: deployment/web in shop",
            "alias": alert("").workload.key(),
            "description": "3 critical; CVE-2025-1 in a 1 is CRITICAL",
            "entity": "deployment/web",
            "source": "tidewaiter",
            "priority": "P1",
            "tags": ["tidewaiter", "Blocked"],
            "details": {"namespace": "shop", "imageStatus": "VulnerabilitiesFound", "deploymentStatus": "Blocked"},
        });
        assert_eq!((held.path.as_str(), &held.body), ("", &expected));
        let over = &messages(Outgoing::Over(&alert("released")))[0];
        assert_eq!(over.path, format!("/{}/close?identifierType=alias", alert("").workload.key()));
        assert_eq!(over.body, json!({"source": "tidewaiter", "note": "released"}));
        let test = messages(Outgoing::Test("n1", "2026-11-30T12:00:00Z".parse().unwrap()));
        let paths: Vec<&str> = test.iter().map(|one| one.path.as_str()).collect();
        assert_eq!(paths, ["", "/tidewaiter-test-n1/close?identifierType=alias"]);
    }

    #[test]
    fn text_of_tenants_is_no_markup_and_within_the_limits() {
        let mut hostile = alert(&HOSTILE.repeat(500));
        hostile.workload.label = format!("deployment/{}", "x".repeat(300));
        let body = &messages(Outgoing::News(&hostile))[0].body;
        let length = |field: &str| body[field].as_str().unwrap().chars().count();
        assert_eq!((length("message"), length("description")), (MAX_MESSAGE, MAX_DESCRIPTION));
        assert!(!body.to_string().contains(['<', '>']), "{body}");
    }
}
