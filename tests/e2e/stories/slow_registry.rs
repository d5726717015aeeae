//! Registries that limit requests or send a byte now and then: their images wait, the others go on.

use crate::{create, lab, rolled_out, within};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;
use tidewaiter_testkit::demo::clean;
use tidewaiter_testkit::lab::{Lab, PATIENCE};

/// A registry on loopback whose every answer is this; returns its host.
fn registry(answer: impl Fn(TcpStream) + Clone + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let answer = answer.clone();
            thread::spawn(move || {
                let mut lines = BufReader::new(&stream).lines().map_while(Result::ok);
                lines.by_ref().find(String::is_empty);
                answer(stream);
            });
        }
    });
    host
}

fn limited(mut stream: TcpStream) {
    let _ = stream.write_all(
        b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 3600\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    );
}

/// As long as the client listens.
fn dripping(mut stream: TcpStream) {
    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\nConnection: close\r\n\r\n");
    while stream.write_all(b" ").is_ok() {
        thread::park_timeout(Duration::from_secs(1));
    }
}

#[test]
fn a_registry_that_limits_requests_keeps_no_slot() {
    let lab = lab();
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let host = registry(move |stream| {
        counted.fetch_add(1, Ordering::Relaxed);
        limited(stream);
    });
    create(&lab, "first", &format!("{host}/a:v1"));
    lab.until("first", "ScanFailed Blocked");
    let before = asked.load(Ordering::Relaxed);
    // It is held for all who share its limit: without a login, all namespaces. Others go on.
    create(&lab, "second", &format!("{host}/b:v1"));
    lab.new_namespace("other");
    create(&lab, "third", &format!("{host}/c:v1"));
    let good = lab.registry.push("good", "v1", &clean().build());
    create(&lab, "app", &good);
    lab.until("third", "ScanFailed Blocked");
    rolled_out(&lab, "app");
    let said = |namespace: &str, field: &str| {
        let failed = format!(r#"jsonpath={{.items[?(@.status.imageStatus=="ScanFailed")].status.{field}}}"#);
        lab.admin(&["get", "imagescans", "-n", namespace, "-o", &failed]).ok()
    };
    within(PATIENCE, "the second waits", || said("default", "reason") == "RateLimited RateLimited");
    assert_eq!(asked.load(Ordering::Relaxed), before, "nobody asks a registry that is held");
    for namespace in ["default", "other"] {
        assert!(said(namespace, "message").contains("rate limited: log in, or wait"), "{}", said(namespace, "message"));
        assert!(said(namespace, "message").contains("it is asked again in"), "{}", said(namespace, "message"));
        // It is asked again when it allows, and not before.
        for seconds in said(namespace, "retryAfterSeconds").split(' ') {
            assert!((3500..=3600).contains(&seconds.parse().unwrap()), "{seconds}");
        }
    }
    // Who logs in has limits of their own: what waits is asked for with the login that its ServiceAccount has now.
    let server = format!("--docker-server={host}");
    let secret = ["create", "secret", "docker-registry", "pull", &server, "--docker-username=u", "--docker-password=p"];
    lab.kubectl(&secret).ok();
    let patch = r#"{"imagePullSecrets":[{"name":"pull"}]}"#;
    lab.kubectl(&["patch", "serviceaccount", "default", "-p", patch]).ok();
    within(PATIENCE, "the third is asked for again", || asked.load(Ordering::Relaxed) > before);
    let waiting = format!(r#"jsonpath={{.items[?(@.spec.image=="{host}/c:v1")].spec.pullSecrets}}"#);
    let secrets = || lab.admin(&["get", "imagescans", "-n", "other", "-o", &waiting]).text;
    within(PATIENCE, "with its login", || secrets().contains("pull"));
}

/// A user's urgent ImageScan of an image.
fn urgent_scan(lab: &Lab, name: &str, image: &str) {
    lab.apply(&format!(
        r#"{{"apiVersion":"tidewaiter.dev/v1alpha1","kind":"ImageScan","metadata":{{"name":"{name}"}},"spec":{{"image":"{image}","rescan":"now"}}}}"#
    ))
    .ok();
}

#[test]
fn slots_of_one_namespace_are_free_for_others_when_its_scans_end() {
    let lab = lab();
    let host = registry(dripping);
    let scanning = |namespace: &str, wanted: usize| {
        let states =
            lab.admin(&["get", "imagescans", "-n", namespace, "-o", "jsonpath={.items[*].status.imageStatus}"]);
        states.text.matches("Scanning").count() == wanted
    };
    urgent_scan(&lab, "one", &format!("{host}/a:v1"));
    urgent_scan(&lab, "two", &format!("{host}/b:v1"));
    within(PATIENCE, "both slots are taken", || scanning("default", 2));
    // Nobody wants the results any more: the slots are free at once.
    lab.kubectl(&["delete", "imagescan", "one", "two"]).ok();
    let good = lab.registry.push("good", "v1", &clean().build());
    create(&lab, "app", &good);
    within(Duration::from_secs(20), "the scan goes on", || lab.statuses("app") == "Approved Deployed");
    // A flood of one namespace: another one waits for one scan, which ends because its registry drips.
    for number in 0..6 {
        urgent_scan(&lab, &format!("flood-{number}"), &format!("{host}/flood-{number}:v1"));
    }
    within(PATIENCE, "both slots are taken", || scanning("default", 2));
    lab.new_namespace("other");
    create(&lab, "app", &lab.registry.push("better", "v1", &clean().label("for", "other").build()));
    lab.until("app", "Approved Deployed");
    let failed = r#"jsonpath={.items[?(@.status.reason=="RegistryUnreachable")].status.message}"#;
    let said = lab.admin(&["get", "imagescans", "-n", "default", "-o", failed]).ok();
    assert!(said.contains("sends less than") && said.matches("sends less than").count() <= 2, "{said}");
}
