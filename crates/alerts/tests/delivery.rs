//! Deliveries to receivers on loopback: what arrives, and what a bad answer means.
#![allow(clippy::unwrap_used, reason = "a test may panic, and says why")]

use serde_json::{Value, json};
use std::time::Duration;
use tidewaiter_alerts::{Alert, AlertedWorkload, Destination, FailureClass, Outgoing, deliver};
use tidewaiter_core::severity::Severity;
use tidewaiter_core::status::{DeploymentStatus, ImageStatus, WorkloadStatus};
use tidewaiter_crd::alert::AlertState;
use tidewaiter_testkit::authority::Authority;
use tidewaiter_testkit::mail_server::MailServer;
use tidewaiter_testkit::receiver::{BadAnswer, Receiver};

fn alert() -> Alert {
    Alert {
        id: "0123456789abcdef".to_owned(),
        workload: AlertedWorkload {
            namespace: "shop".to_owned(),
            label: "deployment/web".to_owned(),
            uid: "u-1".to_owned(),
        },
        state: AlertState::Blocked,
        event: "Blocked".to_owned(),
        severity: Some(Severity::Critical),
        status: WorkloadStatus { image: ImageStatus::VulnerabilitiesFound, deployment: DeploymentStatus::Blocked },
        reasons: vec!["CVE-2025-1".to_owned()],
        message: "3 critical".to_owned(),
        time: "2026-11-30T12:00:00Z".parse().unwrap(),
        is_over: false,
    }
}

/// The destination of a receiver, whose Secrets have a value for each key.
fn to(receiver: &Value, secrets: &[(&str, &str)]) -> Destination {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let receiver = serde_json::from_value(receiver.clone()).unwrap();
    Destination::of(&receiver, |key| {
        let found = secrets.iter().find(|(name, _)| *name == key.key);
        Ok(found.map(|(_, value)| (*value).to_owned()).unwrap())
    })
    .unwrap()
}

fn key(key: &str) -> Value {
    json!({"secret": "s", "key": key})
}

#[test]
fn each_service_is_posted_to_its_path() {
    let receiver = Receiver::start(0, None);
    let base = receiver.base();
    let (alert, url) = (alert(), format!("{base}/hook"));
    let secrets = [("url", url.as_str()), ("token", "t-123456")];
    let mut seen = 0;
    let mut check = |receiver_of: Value, what: Outgoing<'_>, paths: &[&str], authorization: Option<&str>| {
        deliver(&to(&receiver_of, &secrets), what).unwrap();
        let all = receiver.deliveries();
        let new = &all[seen..];
        assert_eq!(new.iter().map(|one| one.path.as_str()).collect::<Vec<_>>(), paths, "{receiver_of}");
        for one in new {
            let found = one.headers.get("authorization").map(|value| value.to_str().unwrap());
            assert_eq!(found, authorization, "{receiver_of}");
            assert!(one.headers["content-type"].to_str().unwrap().contains("json"), "{receiver_of}");
            assert!(one.body.is_object() || one.body.is_array(), "{receiver_of}");
        }
        seen = all.len();
    };
    let (news, over) = (Outgoing::News(&alert), Outgoing::Over(&alert));
    check(json!({"url": url}), news, &["/hook"], None);
    check(json!({"url": url, "tokenFrom": key("token")}), news, &["/hook"], Some("Bearer t-123456"));
    check(json!({"type": "Slack", "urlFrom": key("url")}), news, &["/hook"], None);
    check(json!({"type": "MicrosoftTeams", "urlFrom": key("url")}), news, &["/hook"], None);
    check(json!({"type": "PagerDuty", "url": url, "tokenFrom": key("token")}), over, &["/hook"], None);
    let opsgenie = json!({"type": "Opsgenie", "url": format!("{base}/v2/alerts"), "tokenFrom": key("token")});
    check(opsgenie.clone(), news, &["/v2/alerts"], Some("GenieKey t-123456"));
    let test = Outgoing::Test("n1", alert.time);
    let paths = ["/v2/alerts", "/v2/alerts/tidewaiter-test-n1/close?identifierType=alias"];
    check(opsgenie, test, &paths, Some("GenieKey t-123456"));
    for address in [base.clone(), format!("{base}/")] {
        check(
            json!({"type": "Alertmanager", "url": address}),
            Outgoing::Open(std::slice::from_ref(&alert)),
            &["/api/v2/alerts"],
            None,
        );
    }
}

#[test]
fn a_signature_is_of_the_bytes_that_arrive() {
    let receiver = Receiver::start(0, None);
    let of = json!({"url": receiver.url(), "hmacFrom": key("hmac"), "headers": [
        {"name": "X-Team", "value": "shop"}, {"name": "X-Key", "valueFrom": key("header")}]});
    deliver(&to(&of, &[("hmac", "secret"), ("header", "from-a-secret")]), Outgoing::News(&alert())).unwrap();
    let one = receiver.deliveries().remove(0);
    let header = |name: &str| one.headers[name].to_str().unwrap().to_owned();
    assert_eq!((header("x-team"), header("x-key")), ("shop".to_owned(), "from-a-secret".to_owned()));
    let signature = header("tidewaiter-signature");
    let (time, tag) = signature.strip_prefix("t=").unwrap().split_once(",v1=").unwrap();
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, b"secret");
    let tag: Vec<u8> = (0..tag.len()).step_by(2).map(|i| u8::from_str_radix(&tag[i..i + 2], 16).unwrap()).collect();
    aws_lc_rs::hmac::verify(&key, format!("{time}.{}", one.text).as_bytes(), &tag).unwrap();
}

#[test]
fn bad_answers() {
    let receiver = Receiver::start(0, None);
    let url = format!("{}/services/T0/B0/very-secret", receiver.base());
    let destination = to(&json!({"type": "Slack", "urlFrom": key("url")}), &[("url", &url)]);
    let check = |refusal: BadAnswer, class: FailureClass, cause: &str| {
        receiver.refuse(refusal.clone());
        let failure = deliver(&destination, Outgoing::News(&alert())).unwrap_err();
        assert_eq!(failure.class, class, "{refusal:?}");
        assert!(failure.cause.contains(cause), "{failure:?}");
        assert!(!failure.cause.contains("very-secret"), "{failure:?}");
    };
    let words = |status, words: &str| BadAnswer { words: words.to_owned(), ..BadAnswer::status(status) };
    check(words(400, "invalid_payload"), FailureClass::Refused, "status 400 (invalid_payload)");
    check(words(404, "no /services/T0/B0/very-secret"), FailureClass::Passing, "(no /[hidden])");
    check(BadAnswer::status(503), FailureClass::Passing, "status 503");
    let later = BadAnswer { retry_after: Some("7".to_owned()), ..BadAnswer::status(429) };
    check(later, FailureClass::Later(Duration::from_secs(7)), "status 429");
    let away = to(&json!({"type": "Slack", "urlFrom": key("url")}), &[("url", "http://127.0.0.1:9/very-secret")]);
    let failure = deliver(&away, Outgoing::News(&alert())).unwrap_err();
    assert!(failure.class == FailureClass::Passing && !failure.cause.contains("very-secret"), "{failure:?}");
}

#[test]
fn a_private_authority_is_trusted_where_it_is_named() {
    let authority = Authority::new();
    let receiver = Receiver::start(0, Some(&authority));
    let url = format!("https://127.0.0.1:{}/alerts", receiver.port());
    let failure = deliver(&to(&json!({"url": url}), &[]), Outgoing::News(&alert())).unwrap_err();
    assert!(failure.cause.contains("signed by no authority"), "{failure:?}");
    deliver(&to(&json!({"url": url, "caBundle": authority.pem()}), &[]), Outgoing::News(&alert())).unwrap();
    assert_eq!(receiver.received().len(), 1);
}

fn mail_to(server: &MailServer, change: Value) -> Value {
    let mut email = json!({"server": format!("127.0.0.1:{}", server.port()), "from": "tidewaiter <gate@shop.example>",
        "to": ["team@shop.example", "other@shop.example"]});
    change.as_object().unwrap().iter().for_each(|(key, value)| email[key] = value.clone());
    json!({"type": "Email", "email": email})
}

#[test]
fn mail_without_tls() {
    let server = MailServer::plain();
    let destination = to(&mail_to(&server, json!({"tls": "None"})), &[]);
    deliver(&destination, Outgoing::News(&alert())).unwrap();
    // One for each: servers refuse addresses one by one.
    let to_whom = || server.mails().iter().flat_map(|mail| mail.to.clone()).collect::<Vec<String>>();
    assert_eq!(to_whom(), ["team@shop.example", "other@shop.example"]);
    let mail = server.mails().remove(0);
    for part in [
        "Subject: [tidewaiter] Held: deployment/web in shop\n",
        "Message-ID: <0123456789abcdef@shop.example>\n",
        "Auto-Submitted: auto-generated\n",
        "Content-Type: text/plain; charset=utf-8\n",
        "\n3 critical\n",
    ] {
        assert!(mail.data.contains(part), "{part}\n{}", mail.data);
    }
    server.refuse("550 5.1.1 no such user");
    deliver(&destination, Outgoing::News(&alert())).unwrap();
    assert_eq!(to_whom().split_off(2), ["other@shop.example"]);
    (0..2).for_each(|_| server.refuse("550 5.1.1 no such user"));
    let failure = deliver(&destination, Outgoing::News(&alert())).unwrap_err();
    assert!(failure.class == FailureClass::Refused && failure.cause.contains("no such user"), "{failure:?}");
    server.refuse("451 4.3.0 later");
    assert_eq!(deliver(&destination, Outgoing::News(&alert())).unwrap_err().class, FailureClass::Passing);
    // One who offers no TLS gets nothing where it is wanted.
    let strict = to(&mail_to(&server, json!({})), &[]);
    assert_eq!(deliver(&strict, Outgoing::News(&alert())).unwrap_err().class, FailureClass::Passing);
    assert_eq!(server.mails().len(), 3);
}

#[test]
fn mail_with_tls_and_a_login() {
    let authority = Authority::new();
    for (wrapped, tls) in [(false, "StartTls"), (true, "Tls")] {
        // `printf '\0user\0password' | base64`
        let server = MailServer::with_tls(&authority, wrapped, Some("AHVzZXIAcGFzc3dvcmQ="));
        let mut of = mail_to(&server, json!({"tls": tls, "username": "user", "passwordFrom": key("password")}));
        let failure = deliver(&to(&of, &[("password", "password")]), Outgoing::News(&alert())).unwrap_err();
        assert_eq!((failure.class, server.mails().len()), (FailureClass::Passing, 0), "{failure:?}");
        of["caBundle"] = json!(authority.pem());
        deliver(&to(&of, &[("password", "password")]), Outgoing::News(&alert())).unwrap();
        assert!(server.mails().remove(0).encrypted);
        // A wrong password is corrected by people while the alert waits.
        let failure = deliver(&to(&of, &[("password", "wrong-one")]), Outgoing::News(&alert())).unwrap_err();
        assert_eq!(failure.class, FailureClass::Passing, "{failure:?}");
        assert!(failure.cause.contains("who is that"), "{failure:?}");
    }
}
