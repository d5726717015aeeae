//! PagerDuty's Events API v2 (developer.pagerduty.com, "Send an alert event"): an incident for each workload, which is resolved when
//! the workload is released.

use crate::alert::{Alert, Outgoing, TEST_TEXT, TEST_TITLE};
use crate::http_message::HttpMessage;
use crate::text::{clean, short};
use jiff::Timestamp;
use serde_json::{Value, json};
use tidewaiter_core::severity::Severity;
use tidewaiter_crd::alert::AlertState;

/// Where events go unless the receiver says otherwise (a region, a proxy).
pub(crate) const ADDRESS: &str = "https://events.pagerduty.com/v2/enqueue";

/// Characters of a summary; an event has at most 512 kB.
const MAX_SUMMARY: usize = 1024;
const MAX_REASONS: usize = 50;
const MAX_REASON: usize = 500;

pub(crate) fn messages(what: Outgoing<'_>, routing_key: &str) -> Vec<HttpMessage> {
    let events = match what {
        Outgoing::News(alert) => vec![trigger(alert)],
        Outgoing::Digest(all) | Outgoing::Open(all) => all.iter().map(trigger).collect(),
        Outgoing::Over(alert) => vec![resolve(&alert.workload.key())],
        // It would wake somebody if it stayed open.
        Outgoing::Test(name, time) => vec![test(name, time), resolve(&test_key(name))],
    };
    let with_key = |mut event: Value| {
        event["routing_key"] = json!(routing_key);
        HttpMessage::json(event)
    };
    events.into_iter().map(with_key).collect()
}

fn trigger(alert: &Alert) -> Value {
    json!({
        "event_action": "trigger",
        "dedup_key": alert.workload.key(),
        "client": "tidewaiter",
        "payload": {
            "summary": short(&format!("{}. {}", alert.title(), alert.message), MAX_SUMMARY),
            "source": short(&alert.workload.label, MAX_SUMMARY),
            "severity": severity(alert),
            "timestamp": alert.time.to_string(),
            "component": short(&alert.workload.label, MAX_SUMMARY),
            "group": alert.workload.namespace,
            "class": alert.state,
            "custom_details": {
                "message": clean(&alert.message),
                "reasons": alert.reasons.iter().take(MAX_REASONS).map(|r| short(r, MAX_REASON)).collect::<Vec<_>>(),
                "image_status": alert.status.image,
                "deployment_status": alert.status.deployment,
            },
        },
    })
}

fn resolve(key: &str) -> Value {
    json!({"event_action": "resolve", "dedup_key": key})
}

fn test(name: &str, time: Timestamp) -> Value {
    json!({
        "event_action": "trigger",
        "dedup_key": test_key(name),
        "client": "tidewaiter",
        "payload": {
            "summary": format!("{TEST_TITLE}. {TEST_TEXT}"),
            "source": "tidewaiter",
            "severity": "info",
            "timestamp": time.to_string(),
        },
    })
}

fn test_key(name: &str) -> String {
    format!("tidewaiter-test-{name}")
}

/// One of the four that the service knows. What is not known may be bad.
fn severity(alert: &Alert) -> &'static str {
    match (alert.state, alert.severity) {
        (AlertState::RollingOut | AlertState::Deployed | AlertState::Created, _) => "info",
        (AlertState::BreakGlass, _) => "warning",
        (_, Some(Severity::Critical)) => "critical",
        (_, Some(Severity::High) | None) => "error",
        (_, Some(_)) => "warning",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::examples::{HOSTILE, alert};

    #[test]
    fn an_incident_is_opened_and_resolved_by_workload() {
        let held = messages(Outgoing::News(&alert("3 critical")), "key");
        let check = |pointer: &str, expected: &str| {
            assert_eq!(held[0].body.pointer(pointer).and_then(Value::as_str), Some(expected), "{pointer}");
        };
        check("/routing_key", "key");
        check("/event_action", "trigger");
        check("/dedup_key", &alert("").workload.key());
        check("/payload/summary", "Held: deployment/web in shop. 3 critical");
        check("/payload/source", "deployment/web");
        check("/payload/severity", "critical");
        check("/payload/timestamp", "2026-11-30T12:00:00Z");
        check("/payload/group", "shop");
        check("/payload/custom_details/reasons/0", "CVE-2025-1 in a 1 is CRITICAL");
        let over = messages(Outgoing::Over(&alert("released")), "key");
        let expected = json!({"routing_key": "key", "event_action": "resolve", "dedup_key": alert("").workload.key()});
        assert_eq!(over[0].body, expected);
    }

    #[test]
    fn a_test_leaves_no_incident() {
        let all = messages(Outgoing::Test("n1", "2026-11-30T12:00:00Z".parse().unwrap()), "key");
        let actions: Vec<_> = all.iter().map(|one| (&one.body["event_action"], &one.body["dedup_key"])).collect();
        let key = json!("tidewaiter-test-n1");
        assert_eq!(actions, [(&json!("trigger"), &key), (&json!("resolve"), &key)]);
        assert_eq!(all[0].body["payload"]["severity"], "info");
    }

    #[test]
    fn text_of_tenants_is_one_line_within_the_limits() {
        let hostile = alert(&format!("{HOSTILE}{}", "x".repeat(5000)));
        let body = &messages(Outgoing::News(&hostile), "key")[0].body;
        let summary = body.pointer("/payload/summary").and_then(Value::as_str).unwrap();
        assert_eq!(summary.chars().count(), MAX_SUMMARY);
        assert!(!summary.contains(['\r', '\n', '\u{202e}']), "{summary}");
    }

    #[test]
    fn severities_are_those_of_the_service() {
        let check = |state: AlertState, found: Option<Severity>, expected: &str| {
            let alert = Alert { state, severity: found, ..alert("") };
            assert_eq!(severity(&alert), expected, "{state:?} {found:?}");
        };
        check(AlertState::Blocked, Some(Severity::High), "error");
        check(AlertState::Blocked, Some(Severity::Low), "warning");
        check(AlertState::Blocked, None, "error");
        check(AlertState::ApprovalLost, Some(Severity::Critical), "critical");
        check(AlertState::BreakGlass, Some(Severity::Critical), "warning");
        check(AlertState::Deployed, Some(Severity::Critical), "info");
    }
}
