//! A team receives an alert: where it reads, once, and retried until delivered.

use crate::{create, lab, rolled_out, within};
use serde_json::Value;
use std::fs;
use tidewaiter_testkit::demo::{clean, vulnerable};
use tidewaiter_testkit::lab::{Lab, PATIENCE};
use tidewaiter_testkit::mail_server::MailServer;
use tidewaiter_testkit::receiver::{BadAnswer, Receiver};

#[test]
fn a_block_is_reported_once_and_retried_until_delivered() {
    let mut lab = lab();
    let receiver = Receiver::start(2, None);
    lab.policy(&format!(r#"{{"spec":{{"alerts":[{{"url":"{}"}}]}}}}"#, receiver.url()));
    let bad = lab.registry.push("bad", "v1", &vulnerable().build());
    create(&lab, "app", &bad);
    lab.until("app", "VulnerabilitiesFound Blocked");
    within(PATIENCE, "the alert is delivered after two refusals", || !receiver.received().is_empty());
    let event = receiver.received()[0].clone();
    assert_eq!(event["specversion"], "1.0");
    assert_eq!(event["type"], "dev.tidewaiter.workload.blocked");
    assert_eq!(event["source"], "/namespaces/default");
    assert_eq!(event["subject"], "deployment/app");
    assert!(event["data"]["message"].as_str().unwrap().contains("3 critical, 5 medium"), "{event}");
    assert!(event["data"]["reasons"][0].as_str().unwrap().contains("CVE-"), "{event}");
    // Neither a rescan nor a restart repeats it.
    within(PATIENCE, "the record notes the alert", || {
        !lab.field("workloadscans", ".items[0].status.alerted").is_empty()
    });
    lab.kill_server();
    lab.start_server();
    lab.kubectl(&["scan", "image", &bad]).refused();
    lab.until("app", "VulnerabilitiesFound Blocked");
    let good = lab.registry.push("good", "v1", &clean().build());
    create(&lab, "other", &good);
    lab.until("other", "Approved Deployed");
    assert_eq!(receiver.received().len(), 1, "{:?}", receiver.received());
    assert_eq!(receiver.kinds(), ["application/cloudevents+json; charset=utf-8"]);
}

/// A Secret for receivers, with these keys.
fn secret(lab: &Lab, name: &str, kind: &str, values: &[(&str, &str)]) {
    let data: Vec<String> = values.iter().map(|(key, value)| format!(r#""{key}":"{value}""#)).collect();
    let object = format!(
        r#"{{"apiVersion":"v1","kind":"Secret","metadata":{{"name":"{name}","namespace":"tidewaiter-system"}},"type":"{kind}","stringData":{{{}}}}}"#,
        data.join(",")
    );
    lab.cluster.apply(&object).ok();
}

#[test]
fn every_service_is_told_and_hears_of_the_end() {
    let lab = lab();
    let (chat, teams, pager, genie, prom) = (
        Receiver::start(0, None),
        Receiver::start(1, None),
        Receiver::start(0, None),
        Receiver::start(0, None),
        Receiver::start(0, None),
    );
    let mail = MailServer::plain();
    // It says when to come back, and is not asked before.
    chat.refuse(BadAnswer { retry_after: Some("2".to_owned()), ..BadAnswer::status(429) });
    let slack_url = format!("{}/services/T0/B0/very-secret", chat.base());
    let teams_url = format!("{}/workflows/very-secret", teams.base());
    secret(
        &lab,
        "receivers",
        "tidewaiter.dev/alerts",
        &[("slack", &slack_url), ("teams", &teams_url), ("key", "key-123")],
    );
    let from = |key: &str| format!(r#"{{"secret":"receivers","key":"{key}"}}"#);
    let alerts = [
        format!(r#"{{"name":"chat","type":"Slack","urlFrom":{}}}"#, from("slack")),
        format!(r#"{{"name":"teams","type":"MicrosoftTeams","urlFrom":{}}}"#, from("teams")),
        format!(
            r#"{{"name":"pager","type":"PagerDuty","url":"{}/v2/enqueue","tokenFrom":{}}}"#,
            pager.base(),
            from("key")
        ),
        format!(
            r#"{{"name":"genie","type":"Opsgenie","url":"{}/v2/alerts","tokenFrom":{}}}"#,
            genie.base(),
            from("key")
        ),
        format!(r#"{{"name":"prom","type":"Alertmanager","url":"{}"}}"#, prom.base()),
        format!(
            r#"{{"name":"mail","type":"Email","email":{{"server":"127.0.0.1:{}","tls":"None","from":"gate@shop.example","to":["team@shop.example"]}}}}"#,
            mail.port()
        ),
        format!(r#"{{"name":"quiet","url":"{}","namespaces":["other-*"]}}"#, chat.url()),
    ];
    lab.policy(&format!(r#"{{"spec":{{"alerts":[{}]}}}}"#, alerts.join(",")));
    let bad = lab.registry.push("bad", "v1", &vulnerable().build());
    create(&lab, "app", &bad);
    lab.until("app", "VulnerabilitiesFound Blocked");
    let title = "Held: deployment/app in default";
    within(PATIENCE, "everybody is told", || {
        let once = [&chat, &teams, &pager, &genie].iter().all(|one| one.received().len() == 1);
        once && mail.mails().len() == 1 && !prom.received().is_empty()
    });
    assert_eq!((chat.refused(), teams.refused()), (1, 1));
    assert_eq!(chat.received()[0]["text"], title);
    assert!(teams.received()[0].to_string().contains(title));
    let opened = pager.received()[0].clone();
    assert_eq!((&opened["event_action"], &opened["routing_key"]), (&"trigger".into(), &"key-123".into()));
    assert_eq!(opened["payload"]["severity"], "critical");
    assert_eq!(genie.deliveries()[0].headers["authorization"], "GenieKey key-123");
    assert_eq!(prom.received()[0][0]["labels"]["workload"], "deployment/app");
    assert!(mail.mails()[0].data.contains(title), "{}", mail.mails()[0].data);

    // What is released is no incident any more.
    let good = lab.registry.push("good", "v1", &clean().build());
    lab.kubectl(&["set", "image", "deployment/app", &format!("bad={good}")]).ok();
    rolled_out(&lab, "app");
    // Alertmanager hears of what is open again and again, until an end that has come.
    let ends = |event: &Value| event[0]["endsAt"].as_str().unwrap().to_owned();
    let first = ends(&prom.received()[0]);
    within(PATIENCE, "the incidents end", || {
        let resolved = [&pager, &genie].iter().all(|one| one.received().len() == 2);
        resolved && ends(prom.received().last().unwrap()) < first
    });
    let ended = pager.received()[1].clone();
    assert_eq!((&ended["event_action"], &ended["dedup_key"]), (&"resolve".into(), &opened["dedup_key"]));
    assert!(genie.deliveries()[1].path.ends_with("/close?identifierType=alias"), "{:?}", genie.deliveries());
    assert_eq!((chat.received().len(), mail.mails().len()), (1, 1));

    // People see that it works, and nobody sees the addresses.
    within(PATIENCE, "the status says so", || {
        lab.field("clusterscanpolicy/default", ".status.alerts[*].lastDelivered").split(' ').count() == 6
    });
    let listed = lab.admin(&["scan", "alert", "list"]).ok();
    for name in ["chat", "teams", "pager", "genie", "prom", "mail", "quiet"] {
        assert!(listed.contains(name), "{listed}");
    }
    let log = fs::read_to_string(lab.log()).unwrap();
    assert!(log.contains("receiver default/chat"), "{log}");
    assert!(!log.contains("very-secret") && !log.contains("key-123"), "{log}");
}

#[test]
fn what_is_not_delivered_is_seen_and_a_test_says_when_it_works() {
    let lab = lab();
    let (before, after, hook) = (Receiver::start(0, None), Receiver::start(0, None), Receiver::start(0, None));
    // What makes no sense is refused with the reason.
    let said = lab
        .admin(&[
            "patch",
            "clusterscanpolicy",
            "default",
            "--type=merge",
            "-p",
            r#"{"spec":{"alerts":[{"type":"Slack","url":"https://hooks.example/x"}]}}"#,
        ])
        .refused();
    assert!(said.contains("Slack and MicrosoftTeams need urlFrom"), "{said}");
    let twice = r#"{"spec":{"alerts":[{"name":"a","url":"http://a"},{"name":"a","url":"http://b"}]}}"#;
    let said = lab.admin(&["patch", "clusterscanpolicy", "default", "--type=merge", "-p", twice]).refused();
    assert!(said.contains("two receivers have the same name"), "{said}");

    let no = BadAnswer { words: "no such field".to_owned(), ..BadAnswer::status(400) };
    hook.refuse_always("deployment/app\"", no);
    lab.policy(&format!(
        r#"{{"spec":{{"alerts":[{{"name":"chat","type":"Slack","urlFrom":{{"secret":"chat","key":"url"}}}},{{"name":"hook","url":"{}"}}]}}}}"#,
        hook.url()
    ));
    let bad = lab.registry.push("bad", "v1", &vulnerable().build());
    create(&lab, "app", &bad);
    lab.until("app", "VulnerabilitiesFound Blocked");
    let status = |receiver: &str, path: &str| {
        lab.field("clusterscanpolicy/default", &format!(".status.alerts[?(@.name==\"{receiver}\")].{path}"))
    };
    create(&lab, "web", &bad);
    // What is refused is given up once the receiver takes another one; one without a Secret waits.
    within(PATIENCE, "the refused alert is counted", || status("hook", "undelivered") == "1");
    assert!(status("hook", "undeliveredSubjects[0]").contains("deployment/app in default"));
    assert!(status("hook", "lastFailure.cause").contains("status 400 (no such field)"));
    let taken = hook.received();
    assert_eq!((taken.len(), &taken[0]["subject"]), (1, &serde_json::json!("deployment/web")));
    within(PATIENCE, "the missing Secret is named", || {
        status("chat", "lastFailure.cause").contains("there is no Secret tidewaiter-system/chat")
            && !status("chat", "waiting").is_empty()
    });
    within(PATIENCE, "an Event says so", || {
        lab.admin(&["get", "events", "-A", "-o", "jsonpath={.items[*].reason}"]).text.contains("AlertNotDelivered")
    });

    // A test is asked for by who administers policies, and by nobody else.
    let said = lab.kubectl(&["scan", "alert", "test"]);
    assert!(said.code != 0 && said.text.contains("clusterscanpolicies"), "{}", said.text);
    let test = ["scan", "alert", "test", "default"];
    let said = lab.admin(&test);
    assert_eq!(said.code, 3, "{}", said.text);
    assert!(said.text.contains("default/hook (CloudEvents): delivered"), "{}", said.text);
    assert!(said.text.contains("default/chat (Slack): not delivered: there is no Secret"), "{}", said.text);
    assert_eq!(hook.received()[1]["type"], "dev.tidewaiter.alert.test");
    within(PATIENCE, "what was lost is looked at", || status("hook", "undelivered").is_empty());

    // No Secret leaves that is not meant to.
    secret(&lab, "chat", "Opaque", &[("url", &before.url())]);
    let said = lab.admin(&[&test[..], &["--receiver", "chat"]].concat());
    assert!(said.code == 3 && said.text.contains("only those of type tidewaiter.dev/alerts"), "{}", said.text);
    lab.admin(&["-n", "tidewaiter-system", "delete", "secret", "chat"]).ok();
    secret(&lab, "chat", "tidewaiter.dev/alerts", &[("url", &before.url())]);
    within(PATIENCE, "the alerts that waited are delivered", || before.received().len() == 2);
    // The next message goes where the Secret says by then.
    secret(&lab, "chat", "tidewaiter.dev/alerts", &[("url", &after.url())]);
    let said = lab.admin(&[&test[..], &["--receiver", "chat"]].concat()).ok();
    assert_eq!(said.trim(), "default/chat (Slack): delivered");
    assert_eq!((before.received().len(), after.received().len(), hook.received().len()), (2, 1, 2));
    // The request is gone from the policy, and no decision was made anew for it.
    assert_eq!(lab.field("clusterscanpolicy/default", r".metadata.annotations.tidewaiter\.dev/alert-test"), "");
    let said = lab.admin(&["scan", "alert", "test", "--receiver", "nobody"]);
    assert!(said.code == 2 && said.text.contains("no such receiver"), "{}", said.text);
}
