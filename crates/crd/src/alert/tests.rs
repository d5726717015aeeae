//! Tables of the rules and routes of receivers.

use super::*;
use crate::namespace::{KnownLabels, Labels};
use cel::{Context, Program, Value as CelValue};
use serde_json::{Value, json};

/// The messages of the rules that an object breaks, with the defaults that an API server fills in before it asks.
fn broken(rules: &[(&str, &str)], object: &Value) -> Vec<String> {
    let mut context = Context::default();
    context.add_variable("self", object.clone()).expect("JSON is a value");
    let holds = |rule: &str| {
        let program = Program::compile(rule).expect(rule);
        program.execute(&context).expect(rule) == CelValue::Bool(true)
    };
    rules.iter().filter(|(rule, _)| !holds(rule)).map(|(_, message)| (*message).to_owned()).collect()
}

#[test]
fn a_receiver_has_what_its_type_needs() {
    let key = || json!({"secret": "s", "key": "k"});
    let mail = || json!({"server": "smtp.example:587", "from": "a@example", "to": ["b@example"]});
    let check = |mut receiver: Value, expected: &[&str]| {
        if receiver.get("type").is_none() {
            receiver["type"] = json!("CloudEvents");
        }
        let found = broken(schema::RECEIVER_RULES, &receiver);
        assert_eq!(found.len(), expected.len(), "{receiver} {found:?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.contains(expected), "{receiver} {found}");
        }
    };
    check(json!({"url": "https://a.example"}), &[]);
    check(json!({"urlFrom": key(), "tokenFrom": key(), "hmacFrom": key(), "headers": []}), &[]);
    check(json!({}), &["need url or urlFrom"]);
    check(json!({"url": "https://a.example", "urlFrom": key()}), &["exclude each other"]);
    check(json!({"url": "https://a.example", "email": mail()}), &["allowed for no other"]);
    check(json!({"url": "https://a.example", "digest": "10m", "repeatEvery": "24h"}), &[]);
    for service in ["Slack", "MicrosoftTeams"] {
        check(json!({"type": service, "urlFrom": key(), "digest": "10m"}), &[]);
        check(json!({"type": service, "url": "https://a.example"}), &["need urlFrom"]);
        check(json!({"type": service, "urlFrom": key(), "tokenFrom": key()}), &["tokenFrom is for"]);
        check(json!({"type": service, "urlFrom": key(), "hmacFrom": key()}), &["hmacFrom is for"]);
        check(json!({"type": service, "urlFrom": key(), "headers": []}), &["headers are for"]);
    }
    for service in ["PagerDuty", "Opsgenie"] {
        check(json!({"type": service, "tokenFrom": key()}), &[]);
        check(json!({"type": service, "tokenFrom": key(), "url": "https://eu.example"}), &[]);
        check(json!({"type": service}), &["need tokenFrom"]);
        check(json!({"type": service, "tokenFrom": key(), "digest": "10m"}), &["group and repeat"]);
    }
    check(json!({"type": "Alertmanager", "url": "http://a.example:9093"}), &[]);
    let all = ["Created", "Blocked", "PendingApproval", "RollingOut", "Deployed", "ApprovalLost", "BreakGlass"];
    for name in all {
        let state: AlertState = serde_json::from_value(json!(name)).expect("a state");
        let must_end = if state.waits_for_people() { &[][..] } else { &["must be able to end"][..] };
        check(json!({"type": "Alertmanager", "url": "http://a", "states": ["Blocked", name]}), must_end);
        check(json!({"type": "PagerDuty", "tokenFrom": key(), "states": [name]}), must_end);
        check(json!({"url": "http://a", "states": [name]}), &[]);
    }
    check(json!({"type": "Alertmanager", "url": "http://a.example", "repeatEvery": "1h"}), &["group and repeat"]);
    check(json!({"type": "Email", "email": mail()}), &[]);
    check(json!({"type": "Email"}), &["needed for type Email"]);
    check(json!({"type": "Email", "email": mail(), "url": "https://a.example"}), &["Email has no url"]);
}

#[test]
fn passwords_headers_and_names() {
    let check = |rules: &[(&str, &str)], object: Value, expected: bool| {
        assert_eq!(broken(rules, &object).is_empty(), expected, "{object}");
    };
    let key = json!({"secret": "s", "key": "k"});
    check(schema::MAIL_RULES, json!({"tls": "StartTls"}), true);
    check(schema::MAIL_RULES, json!({"tls": "StartTls", "username": "u", "passwordFrom": key}), true);
    check(schema::MAIL_RULES, json!({"tls": "StartTls", "username": "u"}), false);
    check(schema::MAIL_RULES, json!({"tls": "None", "username": "u", "passwordFrom": key}), false);
    check(schema::HEADER_RULES, json!({"name": "A", "value": "b"}), true);
    check(schema::HEADER_RULES, json!({"name": "A"}), false);
    check(schema::HEADER_RULES, json!({"name": "A", "value": "b", "valueFrom": key}), false);
    check(schema::RECEIVERS_RULES, json!([{"name": "a"}, {}, {"name": "b"}, {}]), true);
    check(schema::RECEIVERS_RULES, json!([{"name": "a"}, {"name": "a"}]), false);
}

#[test]
fn a_stored_receiver_keeps_its_meaning() {
    let old: AlertReceiver = serde_json::from_value(json!({"url": "https://a.example"})).expect("a receiver");
    assert_eq!((old.service, old.url.as_deref()), (AlertService::CloudEvents, Some("https://a.example")));
    assert_eq!(old.name(3), "alerts[3]");
    for state in [AlertState::Blocked, AlertState::ApprovalLost, AlertState::BreakGlass] {
        assert!(old.is_told(state), "{state:?}");
    }
    for state in [AlertState::Created, AlertState::PendingApproval, AlertState::RollingOut, AlertState::Deployed] {
        assert!(!old.is_told(state), "{state:?}");
    }
    // Before the rule about what must be able to end.
    let old: AlertReceiver =
        serde_json::from_value(json!({"type": "Opsgenie", "states": ["Deployed", "PendingApproval"]})).expect("one");
    let told = [AlertState::Deployed, AlertState::PendingApproval, AlertState::Blocked].map(|state| old.is_told(state));
    assert_eq!(told, [false, true, false]);
}

#[test]
fn routes() {
    let prod: Labels = [("env".to_owned(), "prod".to_owned())].into();
    let check = |receiver: Value, namespace: &str, labels: &Labels, expected: bool| {
        let receiver: AlertReceiver = serde_json::from_value(receiver.clone()).expect("a receiver");
        let known = ChosenNamespace { name: namespace, labels: KnownLabels::Are(labels) };
        assert_eq!(receiver.concerns(known), expected, "{receiver:?} {namespace}");
    };
    let none = Labels::new();
    check(json!({}), "a", &none, true);
    check(json!({"namespaces": ["team-*"]}), "team-a", &none, true);
    check(json!({"namespaces": ["team-*"]}), "a", &none, false);
    let by_label = json!({"namespaces": ["a"], "namespaceSelector": {"matchLabels": {"env": "prod"}}});
    check(by_label.clone(), "a", &none, true);
    check(by_label.clone(), "b", &prod, true);
    check(by_label, "b", &none, false);
    let severe = |minimum: &str, worst: Option<Severity>| {
        let receiver: AlertReceiver = serde_json::from_value(json!({"minimumSeverity": minimum})).expect("a receiver");
        receiver.is_told_of(worst)
    };
    assert!(severe("HIGH", Some(Severity::Critical)) && severe("HIGH", Some(Severity::High)));
    assert!(!severe("HIGH", Some(Severity::Medium)) && severe("HIGH", Some(Severity::Unknown)));
    // A scan that failed, or an approval that ended, is news whatever was found.
    assert!(severe("HIGH", None));
}

#[test]
fn durations() {
    let check = |text: &str, seconds: Option<u64>| {
        let receiver: AlertReceiver =
            serde_json::from_value(json!({"digest": text, "repeatEvery": text})).expect("a receiver");
        let expected = seconds.map(Duration::from_secs);
        assert_eq!((receiver.digest(), receiver.repeat_every()), (expected, expected), "{text}");
    };
    check("10m", Some(600));
    check("24h", Some(86_400));
    for bad in ["", "0m", "10", "h", "1d", "-1h", "99999999999h"] {
        check(bad, None);
    }
}

/// The fields of a value that another one lacks: what the types do not know is not in what they write.
fn lost(written: &Value, kept: &Value, path: &str, out: &mut Vec<String>) {
    match (written, kept) {
        (Value::Object(written), Value::Object(kept)) => {
            for (key, value) in written {
                match kept.get(key) {
                    Some(kept) => lost(value, kept, &format!("{path}.{key}"), out),
                    None => out.push(format!("{path}.{key}")),
                }
            }
        }
        (Value::Array(written), Value::Array(kept)) => {
            written.iter().zip(kept).for_each(|(written, kept)| lost(written, kept, path, out));
        }
        _ => {}
    }
}

#[test]
fn every_example_of_the_document_is_accepted() {
    let text = include_str!("../../../../docs/alerts.md");
    let mut services = std::collections::BTreeSet::new();
    for example in text.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()) {
        let value: Value = tidewaiter_yaml::from_str(example).expect(example);
        let written = value.pointer("/spec/alerts").cloned().unwrap_or(value);
        let read: Vec<AlertReceiver> = serde_json::from_value(written.clone()).expect(example);
        let kept = serde_json::to_value(&read).expect("receivers are JSON");
        let mut unknown = Vec::new();
        lost(&written, &kept, "", &mut unknown);
        assert!(unknown.is_empty(), "{unknown:?}\n{example}");
        assert!(broken(schema::RECEIVERS_RULES, &kept).is_empty(), "{example}");
        for (receiver, kept) in read.iter().zip(kept.as_array().expect("a list")) {
            services.insert(receiver.service);
            assert!(broken(schema::RECEIVER_RULES, kept).is_empty(), "{example}");
            kept.get("email").into_iter().for_each(|mail| assert!(broken(schema::MAIL_RULES, mail).is_empty()));
            let headers = kept.get("headers").and_then(Value::as_array).into_iter().flatten();
            headers.for_each(|header| assert!(broken(schema::HEADER_RULES, header).is_empty(), "{example}"));
            assert_eq!(receiver.digest.is_some(), receiver.digest().is_some(), "{example}");
        }
    }
    assert_eq!(services.len(), 7, "{services:?}");
}
