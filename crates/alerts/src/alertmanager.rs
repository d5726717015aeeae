//! Prometheus' Alertmanager, API v2 (`POST /api/v2/alerts`; prometheus.io, "Alerting clients"). It keeps an alert until `endsAt`, in
//! memory: what is open is sent again before that, as Prometheus does.

use crate::alert::{Alert, Outgoing, TEST_TEXT, TEST_TITLE};
use crate::http_message::HttpMessage;
use crate::text::without_brackets;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tidewaiter_core::severity::Severity;

/// The path of its API, added to the receiver's address.
const PATH: &str = "/api/v2/alerts";

/// How long an alert stays without being sent again: three times the pause in which the server sends what is open, so that two
/// failures in a row resolve nothing.
const STAYS: SignedDuration = SignedDuration::from_mins(15);
/// A test is resolved by itself.
const TEST_STAYS: SignedDuration = SignedDuration::from_mins(1);

/// Characters of an annotation, and of a label's value.
const MAX_ANNOTATION: usize = 2000;
const MAX_LABEL: usize = 200;

pub(crate) fn message(what: Outgoing<'_>, now: Timestamp) -> HttpMessage {
    let until = now.saturating_add(STAYS).unwrap_or(now);
    let alerts: Vec<Value> = match what {
        Outgoing::News(alert) => vec![alert_until(alert, until)],
        Outgoing::Digest(all) | Outgoing::Open(all) => all.iter().map(|alert| alert_until(alert, until)).collect(),
        Outgoing::Over(alert) => vec![alert_until(alert, now)],
        Outgoing::Test(name, time) => vec![json!({
            "labels": {"alertname": "TidewaiterTest", "severity": "none", "nonce": name},
            "annotations": {"summary": TEST_TITLE, "description": TEST_TEXT},
            "startsAt": time.to_string(),
            "endsAt": now.saturating_add(TEST_STAYS).unwrap_or(now).to_string(),
        })],
    };
    HttpMessage { path: PATH.to_owned(), ..HttpMessage::json(json!(alerts)) }
}

/// Labels are what an alert is known by: nothing in them changes while a workload is held.
fn alert_until(alert: &Alert, until: Timestamp) -> Value {
    json!({
        "labels": {
            "alertname": "TidewaiterWorkload",
            "namespace": without_brackets(&alert.workload.namespace, MAX_LABEL),
            "workload": without_brackets(&alert.workload.label, MAX_LABEL),
            "uid": without_brackets(&alert.workload.uid, MAX_LABEL),
        },
        "annotations": {
            "summary": without_brackets(&alert.title(), MAX_ANNOTATION),
            "description": without_brackets(&alert.message, MAX_ANNOTATION),
            "severity": alert.severity.map_or("none", name),
            "state": alert.state,
        },
        "startsAt": alert.time.to_string(),
        "endsAt": until.to_string(),
    })
}

/// As the rules of Prometheus write them.
fn name(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "critical",
        Severity::High => "high",
        Severity::Medium => "medium",
        Severity::Low => "low",
        Severity::Negligible => "negligible",
        Severity::Unknown => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::examples::{HOSTILE, alert};

    fn now() -> Timestamp {
        "2026-11-30T13:00:00Z".parse().unwrap()
    }

    #[test]
    fn an_alert_lasts_until_it_is_over() {
        let held = message(Outgoing::News(&alert("3 critical")), now());
        let expected = json!([{
            "labels": {"alertname": "TidewaiterWorkload", "namespace": "shop", "workload": "deployment/web", "uid": "u-1"},
            "annotations": {"summary": "Held: deployment/web in shop", "description": "3 critical", "severity": "critical",
                "state": "Blocked"},
            "startsAt": "2026-11-30T12:00:00Z",
            "endsAt": "2026-11-30T13:15:00Z",
        }]);
        assert_eq!((held.path.as_str(), held.body), ("/api/v2/alerts", expected));
        let over = message(Outgoing::Over(&alert("released")), now());
        assert_eq!(over.body[0]["endsAt"], "2026-11-30T13:00:00Z");
        assert_eq!(message(Outgoing::Open(&[alert("a"), alert("b")]), now()).body.as_array().map(Vec::len), Some(2));
    }

    #[test]
    fn what_it_is_known_by_does_not_change() {
        let labels = |what: Outgoing<'_>| message(what, now()).body[0]["labels"].clone();
        let (before, mut after) = (alert("a"), alert("b"));
        (after.severity, after.state) = (None, tidewaiter_crd::alert::AlertState::BreakGlass);
        assert_eq!(labels(Outgoing::News(&before)), labels(Outgoing::News(&after)));
        assert_eq!(labels(Outgoing::News(&before)), labels(Outgoing::Over(&after)));
    }

    /// Its own receivers put annotations into HTML and into messages of Slack, which it does not escape.
    #[test]
    fn text_of_tenants_is_no_markup_and_within_the_limits() {
        let body = message(Outgoing::News(&alert(&HOSTILE.repeat(200))), now()).body;
        assert!(!body.to_string().contains(['<', '>']), "{body}");
        let text = body[0]["annotations"]["description"].as_str().unwrap();
        assert_eq!(text.chars().count(), MAX_ANNOTATION);
    }
}
