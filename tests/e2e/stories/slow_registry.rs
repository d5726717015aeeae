//! Registries that limit requests or send a byte now and then: their images wait, the others go on.

use crate::{create, lab, rolled_out, within};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;
use tidewaiter_testkit::demo::clean;
use tidewaiter_testkit::lab::{Lab, PATIENCE};

/// A registry on loopback whose every answer is this; returns its host.
fn registry(answer: fn(TcpStream)) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
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
    let host = registry(limited);
    create(&lab, "first", &format!("{host}/a:v1"));
    create(&lab, "second", &format!("{host}/b:v1"));
    let good = lab.registry.push("good", "v1", &clean().build());
    create(&lab, "app", &good);
    lab.until("first", "ScanFailed Blocked");
    lab.until("second", "ScanFailed Blocked");
    rolled_out(&lab, "app");
    let status = lab.kubectl(&["scan", "status", "deployment/first"]).ok();
    assert!(status.contains("rate limited: log in, or wait"), "{status}");
    let failed = r#".items[?(@.status.imageStatus=="ScanFailed")].status"#;
    assert_eq!(lab.field("imagescans", &format!("{failed}.reason")), "RateLimited RateLimited");
    // It is asked again when it allows, and not before.
    assert_eq!(lab.field("imagescans", &format!("{failed}.retryAfterSeconds")), "3600 3600");
    assert_eq!(lab.field("imagescans", &format!("{failed}.failures")), "1 1");
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
