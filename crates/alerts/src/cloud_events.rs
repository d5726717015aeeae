//! CloudEvents 1.0 in JSON (CloudEvents specification, JSON event format). Its text is data of a program, and nothing in it is
//! escaped beyond JSON.

use crate::alert::{Alert, MAX_TEXT, Outgoing, TEST_TEXT};
use crate::http_message::HttpMessage;
use serde_json::{Value, json};

const KIND: &str = "application/cloudevents+json; charset=utf-8";

/// News are an event each, a digest is one event with the data of all.
pub(crate) fn messages(what: Outgoing<'_>) -> Vec<HttpMessage> {
    let events = match what {
        Outgoing::News(alert) => vec![event(alert, &alert.event)],
        Outgoing::Over(alert) => vec![event(alert, "over")],
        Outgoing::Open(all) => all.iter().map(|alert| event(alert, &alert.event)).collect(),
        Outgoing::Digest(all) => digest(all).into_iter().collect(),
        Outgoing::Test(name, time) => vec![json!({
            "specversion": "1.0",
            "id": format!("test-{name}"),
            "type": "dev.tidewaiter.alert.test",
            "source": "/tidewaiter",
            "time": time.to_string(),
            "datacontenttype": "application/json",
            "data": {"message": TEST_TEXT},
        })],
    };
    let one = |body| HttpMessage { path: String::new(), content_type: KIND, body };
    events.into_iter().map(one).collect()
}

fn event(alert: &Alert, kind: &str) -> Value {
    json!({
        "specversion": "1.0",
        "id": alert.id,
        "type": format!("dev.tidewaiter.workload.{}", kind.to_ascii_lowercase()),
        "source": format!("/namespaces/{}", alert.workload.namespace),
        "subject": alert.workload.label,
        "time": alert.time.to_string(),
        "datacontenttype": "application/json",
        "data": data(alert),
    })
}

/// Its id follows from those of the news.
fn digest(all: &[Alert]) -> Option<Value> {
    let (first, last) = (all.first()?, all.last()?);
    Some(json!({
        "specversion": "1.0",
        "id": format!("digest-{}-{}", first.id, last.id),
        "type": "dev.tidewaiter.workload.digest",
        "source": "/tidewaiter",
        "time": last.time.to_string(),
        "datacontenttype": "application/json",
        "data": {"count": all.len(), "news": all.iter().map(data).collect::<Vec<_>>()},
    }))
}

fn data(alert: &Alert) -> Value {
    json!({
        "namespace": alert.workload.namespace,
        "workload": alert.workload.label,
        "state": alert.state,
        "severity": alert.severity,
        "imageStatus": alert.status.image,
        "deploymentStatus": alert.status.deployment,
        "reasons": alert.reasons,
        "message": alert.message.chars().take(MAX_TEXT).collect::<String>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::examples::alert;

    #[test]
    fn an_alert_is_a_cloud_event() {
        let alert = alert(&"x".repeat(MAX_TEXT + 1));
        let all = messages(Outgoing::News(&alert));
        assert_eq!(all[0].content_type, KIND);
        let check = |pointer: &str, expected: &str| {
            assert_eq!(all[0].body.pointer(pointer).and_then(Value::as_str), Some(expected), "{pointer}");
        };
        check("/specversion", "1.0");
        check("/id", &alert.id);
        check("/type", "dev.tidewaiter.workload.blocked");
        check("/source", "/namespaces/shop");
        check("/subject", "deployment/web");
        check("/time", "2026-11-30T12:00:00Z");
        check("/data/workload", "deployment/web");
        check("/data/state", "Blocked");
        check("/data/severity", "CRITICAL");
        check("/data/imageStatus", "VulnerabilitiesFound");
        check("/data/deploymentStatus", "Blocked");
        check("/data/reasons/0", "CVE-2025-1 in a 1 is CRITICAL");
        check("/data/message", &"x".repeat(MAX_TEXT));
    }

    #[test]
    fn a_digest_is_one_event() {
        let (one, two) = (alert("one"), Alert { id: "2".to_owned(), ..alert("two") });
        let all = messages(Outgoing::Digest(&[one, two]));
        assert_eq!(all.len(), 1);
        assert_eq!(all[0].body["data"]["count"], 2);
        assert_eq!(all[0].body["data"]["news"][1]["message"], "two");
        assert!(messages(Outgoing::Digest(&[])).is_empty());
    }

    #[test]
    fn the_end_and_a_test_are_told_apart() {
        let over = messages(Outgoing::Over(&alert("released")));
        assert_eq!(over[0].body["type"], "dev.tidewaiter.workload.over");
        let test = messages(Outgoing::Test("n1", "2026-11-30T12:00:00Z".parse().unwrap()));
        assert_eq!(
            (&test[0].body["type"], &test[0].body["id"]),
            (&json!("dev.tidewaiter.alert.test"), &json!("test-n1"))
        );
    }
}
