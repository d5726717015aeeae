//! `tidewaiter harbor-adapter` by the real program: what Harbor does, against a registry on loopback that wants a login.
//!
//! Each answer is compared with the specification's OpenAPI document where that is next to the project; without it those comparisons
//! are skipped, and the others are made.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may panic, and says why")]

mod adapter;
mod openapi;

use adapter::{Adapter, Answer, TOKEN};
use openapi::OpenApi;
use rustix::process::Signal;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tidewaiter_testkit::image::{INDEX, ImageBuilder, ImageFixture, MANIFEST};
use tidewaiter_testkit::packages::{debian, npm};
use tidewaiter_testkit::registry::Registry;

const VULNERABILITIES: &str = "application/vnd.security.vulnerability.report; version=1.1";
const SBOM: &str = "application/vnd.security.sbom.report+json; version=1.0";
const REPORT_PATH: &str = "/scan/{scan_request_id}/report";
/// `robot:hunter2`
const LOGIN: &str = "Basic cm9ib3Q6aHVudGVyMg==";
const WRONG_LOGIN: &str = "Basic cm9ib3Q6aHVudGVyMw==";

/// An image with a package of npm that has a vulnerability, on a release that the database does not cover.
fn image() -> ImageFixture {
    ImageBuilder::new().layer("COPY", npm(debian("12", &[("curl", "7.88.1-10")]), "left-pad", "1.0.0")).build()
}

/// The digest of its layer.
fn layer_of(image: &ImageFixture) -> String {
    let manifest: Value = serde_json::from_slice(&image.root.bytes).unwrap();
    manifest["layers"][0]["digest"].as_str().unwrap().to_owned()
}

fn registry(image: &ImageFixture) -> Registry {
    let registry = Registry::start();
    registry.push("library/app", "1", image);
    registry.require_login("robot", "hunter2");
    registry
}

fn request(registry: &Registry, digest: &str, authorization: &str) -> Value {
    json!({
        "registry": {"url": format!("http://{}", registry.host()), "authorization": authorization},
        "artifact": {"repository": "library/app", "digest": digest, "tag": "1", "mime_type": MANIFEST},
        "enabled_capabilities": [{"type": "vulnerability", "produces_mime_types": [VULNERABILITIES]}],
    })
}

/// Asks for a scan; gives its id.
#[track_caller]
fn accepted(adapter: &Adapter, request: &Value) -> String {
    let answer = adapter.scan(request);
    assert_eq!(answer.status, 202, "{answer:?}");
    OpenApi::check("post", "/scan", &answer);
    answer.json()["id"].as_str().unwrap().to_owned()
}

/// Asks for a report as Harbor does, until it is there or has failed.
#[track_caller]
fn report(adapter: &Adapter, id: &str, accept: &str) -> Answer {
    finished(adapter, &format!("/api/v1/scan/{id}/report"), accept)
}

#[track_caller]
fn finished(adapter: &Adapter, path: &str, accept: &str) -> Answer {
    let began = Instant::now();
    loop {
        let answer = adapter.get(path, &[("Accept", accept)]);
        OpenApi::check("get", REPORT_PATH, &answer);
        if answer.status != 302 {
            return answer;
        }
        // Harbor reads it as a number of eight bits.
        assert!(answer.header("refresh-after").unwrap().parse::<i8>().unwrap() > 0, "{answer:?}");
        assert!(began.elapsed() < Duration::from_secs(60), "it takes too long: {}", adapter.log());
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn what_harbor_does() {
    let image = image();
    let registry = registry(&image);
    let adapter = Adapter::start(&registry, &[]);
    let metadata =
        adapter.get("/api/v1/metadata", &[("Accept", "application/vnd.scanner.adapter.metadata+json; version=1.0")]);
    assert_eq!(metadata.status, 200, "{metadata:?}");
    OpenApi::check("get", "/metadata", &metadata);
    let updated = &metadata.json()["properties"]["harbor.scanner-adapter/vulnerability-database-updated-at"];
    assert!(updated.as_str().is_some_and(|time| time.ends_with('Z')), "{metadata:?}");

    registry.delay_blobs(Duration::from_secs(1));
    let id = accepted(&adapter, &request(&registry, &image.digest(), LOGIN));
    let early = adapter.get(&format!("/api/v1/scan/{id}/report"), &[("Accept", VULNERABILITIES)]);
    assert_eq!((early.status, early.header("refresh-after").as_deref()), (302, Some("5")), "{early:?}");
    let found = report(&adapter, &id, VULNERABILITIES);
    assert_eq!((found.status, found.header("content-type").as_deref()), (200, Some(VULNERABILITIES)), "{found:?}");
    let document = found.json();
    assert_eq!(document["artifact"]["digest"], image.digest());
    // What the database does not cover is not clean.
    assert_eq!(document["severity"], "Critical");
    let entries: Vec<&str> =
        document["vulnerabilities"].as_array().unwrap().iter().map(|entry| entry["id"].as_str().unwrap()).collect();
    assert_eq!(entries, ["INCOMPLETE-NotCovered", "CVE-2026-1"]);
    let entry = &document["vulnerabilities"][1];
    assert_eq!((&entry["package"], &entry["version"]), (&json!("left-pad"), &json!("1.0.0")));
    assert_eq!((&entry["severity"], &entry["fix_version"]), (&json!("High"), &json!("2.0.0")));

    // Of the same scan, as Harbor asks for it.
    let bills = [("application%2Fspdx%2Bjson", "spdxVersion"), ("application/vnd.cyclonedx+json", "bomFormat")];
    for (format, member) in bills {
        let path = format!("/api/v1/scan/{id}/report?sbom_media_type={format}");
        let bill = finished(&adapter, &path, SBOM);
        assert_eq!((bill.status, bill.header("content-type").as_deref()), (200, Some(SBOM)), "{bill:?}");
        assert!(bill.json()["sbom"][member].is_string() && bill.body.contains("left-pad"), "{bill:?}");
    }

    // The image was read once, and the registry lets in whoever asks again.
    registry.delay_blobs(Duration::ZERO);
    let read = registry.sent(&layer_of(&image));
    assert!(read > 0);
    let again = accepted(&adapter, &request(&registry, &image.digest(), LOGIN));
    assert_eq!(report(&adapter, &again, VULNERABILITIES).status, 200);
    assert_eq!(registry.sent(&layer_of(&image)), read);
    let refused = accepted(&adapter, &request(&registry, &image.digest(), WRONG_LOGIN));
    let refused = report(&adapter, &refused, VULNERABILITIES);
    assert_eq!(refused.status, 500, "{refused:?}");
    assert!(refused.message().starts_with("Unauthorized: "), "{refused:?}");
    // No log has a login, nor has what is stored.
    let log = adapter.log();
    for secret in ["hunter", "cm9ib3Q6", TOKEN] {
        assert!(!log.contains(secret), "{log}");
    }
    assert!(log.contains("library/app@sha256:"), "{log}");
}

#[test]
fn what_is_refused() {
    let image = image();
    let registry = registry(&image);
    let adapter = Adapter::start(&registry, &[]);
    let good = request(&registry, &image.digest(), LOGIN);
    let media_type = "application/vnd.scanner.adapter.scan.request+json; version=1.0";
    let check = |answer: Answer, status: u16, word: &str| {
        assert_eq!(answer.status, status, "{answer:?}");
        assert_eq!(
            answer.header("content-type").as_deref(),
            Some("application/vnd.scanner.adapter.error+json; version=1.0")
        );
        assert!(answer.message().contains(word) && !answer.body.contains("hunter"), "{answer:?}");
        answer
    };
    // Without the token, or with another one.
    for headers in [&[][..], &[("Authorization", "Bearer 0123456789abcdef0")], &[("X-ScannerAdapter-API-Key", "no")]] {
        let answer = check(adapter.send("GET", "/api/v1/metadata", headers, ""), 401, "token");
        assert_eq!(answer.header("www-authenticate").as_deref(), Some("Bearer"));
        check(adapter.send("POST", "/api/v1/scan", headers, &good.to_string()), 401, "token");
    }
    assert_eq!(adapter.send("GET", "/api/v1/metadata", &[("X-ScannerAdapter-API-Key", TOKEN)], "").status, 200);
    assert_eq!(adapter.send("GET", "/healthz", &[], "").status, 200);

    let post = |body: &str, media_type: &str| adapter.post("/api/v1/scan", media_type, body);
    OpenApi::check("post", "/scan", &check(post("{", media_type), 400, "not a scan request"));
    check(post(&good.to_string(), "text/plain"), 415, "scan.request+json");
    let large = json!({"registry": {"url": "x".repeat(65 << 10)}}).to_string();
    check(post(&large, media_type), 413, "64 KiB");
    let other = Registry::start();
    let mut elsewhere = good.clone();
    elsewhere["registry"]["url"] = json!(format!("http://{}", other.host()));
    OpenApi::check("post", "/scan", &check(adapter.scan(&elsewhere), 422, "--registry"));
    assert_eq!(other.requests(), 0);
    let mut index = good.clone();
    index["artifact"]["mime_type"] = json!(INDEX);
    OpenApi::check("post", "/scan", &check(adapter.scan(&index), 501, "one image"));

    let unknown = adapter.get("/api/v1/scan/0123/report", &[("Accept", VULNERABILITIES)]);
    check(unknown, 404, "no scan has this id");
    check(adapter.get("/api/v1/other", &[]), 404, "no such path");
    check(adapter.get("/api/v1/scan", &[]), 405, "another method");
    let id = accepted(&adapter, &good);
    assert_eq!(report(&adapter, &id, VULNERABILITIES).status, 200);
    let path = format!("/api/v1/scan/{id}/report");
    OpenApi::check("get", REPORT_PATH, &check(adapter.get(&path, &[("Accept", "text/html")]), 501, "media type"));
    OpenApi::check("get", REPORT_PATH, &check(adapter.get(&path, &[("Accept", SBOM)]), 400, "sbom_media_type"));
}

/// Artifacts that Harbor calls images, and that are not one.
#[test]
fn what_is_not_one_image_has_an_error() {
    let image = image();
    let registry = registry(&image);
    let index = ImageFixture::index(&[image.clone(), ImageBuilder::new().architecture("arm64").build()]);
    registry.push("library/app", "index", &index);
    let chart = json!({"schemaVersion": 2, "mediaType": MANIFEST, "layers": [],
        "config": {"mediaType": "application/vnd.cncf.helm.config.v1+json", "digest": image.digest(), "size": 2}});
    let chart = ImageFixture::of(
        tidewaiter_testkit::image::Manifest { media_type: MANIFEST.into(), bytes: chart.to_string().into_bytes() },
        Default::default(),
        Default::default(),
    );
    registry.push("library/app", "chart", &chart);
    let adapter = Adapter::start(&registry, &[]);
    let check = |digest: &str, reason: &str| {
        let id = accepted(&adapter, &request(&registry, digest, LOGIN));
        let answer = report(&adapter, &id, VULNERABILITIES);
        assert_eq!(answer.status, 500, "{answer:?}");
        assert!(answer.message().starts_with(reason), "{answer:?}");
    };
    check(&index.digest(), "UnsupportedMediaType: the artifact is an index");
    check(&chart.digest(), "UnsupportedMediaType: ");
    check(&format!("sha256:{}", "0".repeat(64)), "ImageNotFound: ");
}

#[test]
fn scans_wait_and_a_full_queue_refuses() {
    let images: Vec<ImageFixture> = ["a", "b", "c"]
        .map(|name| ImageBuilder::new().label("name", name).layer("COPY", debian("12", &[])).build())
        .into();
    let registry = registry(&images[0]);
    images.iter().for_each(|image| drop(registry.push("library/app", "x", image)));
    registry.delay_blobs(Duration::from_secs(2));
    let adapter = Adapter::start(&registry, &["--scans=1", "--waiting-scans=1"]);
    let ask = |image: &ImageFixture| adapter.scan(&request(&registry, &image.digest(), LOGIN));
    let first = accepted(&adapter, &request(&registry, &images[0].digest(), LOGIN));
    let second = accepted(&adapter, &request(&registry, &images[1].digest(), LOGIN));
    let refused = ask(&images[2]);
    assert_eq!((refused.status, refused.header("retry-after").as_deref()), (503, Some("30")), "{refused:?}");
    assert!(refused.message().contains("1 scans wait"), "{refused:?}");
    for id in [first, second] {
        assert_eq!(report(&adapter, &id, VULNERABILITIES).status, 200);
    }
    assert_eq!(ask(&images[2]).status, 202);
}

#[test]
fn told_to_stop_it_finishes_what_runs() {
    let image = image();
    let registry = registry(&image);
    registry.delay_blobs(Duration::from_secs(2));
    let mut adapter = Adapter::start(&registry, &[]);
    let id = accepted(&adapter, &request(&registry, &image.digest(), LOGIN));
    adapter.signal(Signal::TERM);
    adapter.wait_for_log("stopping");
    let refused = adapter.scan(&request(&registry, &image.digest(), LOGIN));
    assert_eq!((refused.status, refused.header("retry-after").is_some()), (503, true), "{refused:?}");
    assert_eq!(report(&adapter, &id, VULNERABILITIES).status, 200);
    assert!(adapter.ends(Duration::from_secs(8)), "all was asked for, and it goes on: {}", adapter.log());
}

#[test]
fn interrupted_it_ends_at_once_with_its_workers() {
    let image = image();
    let registry = registry(&image);
    registry.delay_blobs(Duration::from_secs(60));
    let mut adapter = Adapter::start(&registry, &[]);
    accepted(&adapter, &request(&registry, &image.digest(), LOGIN));
    let began = Instant::now();
    while adapter.workers().is_empty() && began.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(50));
    }
    let workers = adapter.workers();
    assert_eq!(workers.len(), 1);
    adapter.signal(Signal::INT);
    assert!(adapter.ends(Duration::from_secs(8)), "{}", adapter.log());
    let began = Instant::now();
    while workers.iter().any(adapter::runs) && began.elapsed() < Duration::from_secs(5) {
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(!workers.iter().any(adapter::runs), "a worker goes on");
}

#[test]
fn a_start_that_would_be_open_or_wrong_is_refused() {
    let check = |args: &[&str], words: &str| {
        let said = adapter::refused_start(args);
        assert!(said.contains(words), "{args:?}: {said}");
    };
    check(&["--registry=https://harbor.example", "--listen=0.0.0.0:0"], "--token-file");
    check(&["--registry=harbor.example"], "neither https:// nor http://");
    check(&[], "--registry");
    check(&["--registry=https://harbor.example", "--token-file=/does/not/exist"], "/does/not/exist");
    check(&["--registry=https://harbor.example", "--tls-cert-dir=/does/not/exist"], "/does/not/exist/tls.crt");
    check(&["--registry=https://harbor.example", "--token-file=/dev/null"], "0 characters");
}

#[test]
fn without_a_database_it_is_unhealthy_and_says_why() {
    let image = image();
    let registry = registry(&image);
    let adapter = Adapter::start(&registry, &["--db=/does/not/exist"]);
    let metadata = adapter.get("/api/v1/metadata", &[]);
    OpenApi::check("get", "/metadata", &metadata);
    assert_eq!(metadata.status, 500, "{metadata:?}");
    assert!(metadata.message().contains("no vulnerability database") && metadata.message().contains("db update"));
    let id = accepted(&adapter, &request(&registry, &image.digest(), LOGIN));
    let answer = report(&adapter, &id, VULNERABILITIES);
    assert_eq!(answer.status, 500, "{answer:?}");
    assert!(answer.message().contains("/does/not/exist"), "{answer:?}");
}
