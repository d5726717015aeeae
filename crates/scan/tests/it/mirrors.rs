//! Mirrors of a registry, as containerd's `hosts.toml` names them.

use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;
use tidewaiter_scan::source::registry::address::Addresses;
use tidewaiter_scan::source::registry::credentials::Credentials;
use tidewaiter_scan::source::registry::hosts::RegistryHosts;
use tidewaiter_scan::source::registry::{self, RegistryConfig};
use tidewaiter_testkit::authority::Authority;
use tidewaiter_testkit::demo::{clean, vulnerable};
use tidewaiter_testkit::image::ImageFixture;
use tidewaiter_testkit::registry::Registry;

/// The settings by which `registry` has these hosts.
fn hosts_of(registry: &Registry, hosts: &str) -> RegistryConfig {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join(format!("127.0.0.1_{}_", registry.port()));
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("hosts.toml"), hosts).unwrap();
    RegistryConfig { hosts: RegistryHosts::read(dir.path()).unwrap(), tries: 1, ..RegistryConfig::default() }
}

/// The digest of what was opened, or the reason of the failure and its text.
fn open(config: &RegistryConfig, image: &str) -> Result<String, (String, String)> {
    let opened = registry::open(config, &image.parse().unwrap(), None);
    opened.map(|image| image.manifest_digest.to_string()).map_err(|e| (e.reason().to_string(), e.to_string()))
}

fn logins(auths: &Value) -> Credentials {
    Credentials::parse(json!({ "auths": auths }).to_string().as_bytes()).unwrap()
}

/// What this machine's registries serve as `team/app:v1`, and the settings with a table for each host before the last.
struct Case {
    mirrors: Vec<Registry>,
    server: Registry,
}

impl Case {
    fn new(mirrors: &[Option<&ImageFixture>], server: Option<&ImageFixture>) -> Self {
        let start = |image: &Option<&ImageFixture>| {
            let registry = Registry::start();
            image.iter().for_each(|image| drop(registry.push("team/app", "v1", image)));
            registry
        };
        Case { mirrors: mirrors.iter().map(start).collect(), server: start(&server) }
    }

    fn config(&self, table: &str) -> RegistryConfig {
        let hosts: Vec<String> =
            self.mirrors.iter().map(|mirror| format!("[host.\"http://{}\"]\n{table}\n", mirror.host())).collect();
        hosts_of(&self.server, &hosts.concat())
    }

    fn open(&self, config: &RegistryConfig) -> Result<String, (String, String)> {
        open(config, &format!("{}/team/app:v1", self.server.host()))
    }

    /// Whether each of them was asked, the server last.
    fn asked(&self) -> Vec<bool> {
        let asked = |registry: &Registry| registry.log().iter().any(|line| line.contains("/v2/team/app/"));
        self.mirrors.iter().chain([&self.server]).map(asked).collect()
    }
}

#[test]
fn the_first_host_that_has_it_gives_it() {
    let (one, two) = (clean().build(), vulnerable().build());
    let check = |mirrors: &[Option<&ImageFixture>], server: Option<&ImageFixture>, found: &str, asked: &[bool]| {
        let case = Case::new(mirrors, server);
        assert_eq!(case.open(&case.config("")).unwrap_or_else(|(reason, _)| reason), found);
        assert_eq!(case.asked(), asked);
    };
    // What a tag is at the mirror is what nodes with that mirror run.
    check(&[Some(&one)], Some(&two), &one.digest(), &[true, false]);
    check(&[Some(&two), Some(&one)], None, &two.digest(), &[true, false, false]);
    check(&[None, Some(&two)], Some(&one), &two.digest(), &[true, true, false]);
    check(&[None], Some(&one), &one.digest(), &[true, true]);
    check(&[None], None, "ImageNotFound", &[true, true]);
    check(&[], Some(&one), &one.digest(), &[true]);
}

#[test]
fn a_mirror_that_fails_costs_one_request() {
    let image = clean().build();
    let mut case = Case::new(&[None], Some(&image));
    let config = case.config("");
    case.mirrors[0].down();
    assert_eq!(case.open(&config), Ok(image.digest()));
    // Answers of every kind; and what a mirror is told.
    for answer in ["500 Failure", "503 Busy", "429 Too Many", "403 Forbidden", "401 Unauthorized", "404 Not Found"] {
        let (host, requests) = answering(answer);
        let config = hosts_of(&case.server, &format!("[host.\"http://{host}\"]"));
        assert_eq!(case.open(&config), Ok(image.digest()), "{answer}");
        let first = requests.recv().unwrap();
        let port = case.server.port();
        assert!(first.starts_with(&format!("GET /v2/team/app/manifests/v1?ns=127.0.0.1%3A{port} ")), "{first}");
        if answer.starts_with('5') {
            assert!(requests.try_recv().is_err(), "{answer}: it is not asked again");
        }
    }
    // Where nobody has it, everybody's answer is told.
    let (host, _requests) = answering("503 Busy");
    let config = hosts_of(&case.server, &format!("[host.\"http://{host}\"]"));
    let (reason, said) = open(&config, &format!("{}/team/other:v1", case.server.host())).unwrap_err();
    assert_eq!(reason, "ImageNotFound");
    assert!(said.contains(&format!("it answers 404; before it, http://{host}: it answers 503")), "{said}");
}

/// A server whose every answer is this, and its requests.
fn answering(status: &'static str) -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let head: Vec<String> =
                BufReader::new(&stream).lines().map_while(Result::ok).take_while(|l| !l.is_empty()).collect();
            let _ = write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            let _ = sender.send(head.first().cloned().unwrap_or_default());
        }
    });
    (host, receiver)
}

#[test]
fn a_registry_that_is_held_is_not_asked_and_its_mirrors_are() {
    let image = clean().build();
    let check = |mirrors: &[Option<&ImageFixture>], expected: Result<(), &str>, asked: &[bool]| {
        let case = Case::new(mirrors, Some(&image));
        let config = RegistryConfig { held: Some(Duration::from_secs(1800)), ..case.config("") };
        match (registry::open(&config, &format!("{}/team/app:v1", case.server.host()).parse().unwrap(), None), expected)
        {
            (Ok(_), Ok(())) => {}
            (Err(error), Err(words)) => {
                assert_eq!(error.retry_after(), Some(Duration::from_secs(1800)));
                assert!(error.to_string().contains(words), "{error}");
            }
            (found, expected) => panic!("{found:?}, not {expected:?}"),
        }
        assert_eq!(case.asked(), asked);
    };
    check(&[Some(&image)], Ok(()), &[true, false]);
    check(&[None, Some(&image)], Ok(()), &[true, true, false]);
    check(&[None], Err("is not asked for 1800 s; before it, http://127.0.0.1:"), &[true, false]);
    check(&[], Err("rate limited: log in, or wait"), &[false]);
}

#[test]
fn a_mirror_that_limits_requests_is_left_out() {
    let image = clean().build();
    let case = Case::new(&[], Some(&image));
    let (host, requests) = answering("429 Too Many");
    // All of an image: its manifest, its config and its layers.
    let opened = registry::open(
        &hosts_of(&case.server, &format!("[host.\"http://{host}\"]")),
        &format!("{}/team/app:v1", case.server.host()).parse().unwrap(),
        None,
    );
    assert!(opened.is_ok(), "{opened:?}");
    assert!(requests.recv().is_ok() && requests.try_recv().is_err());
}

#[test]
fn hosts_do_what_they_may() {
    let (one, two) = (clean().build(), vulnerable().build());
    let case = Case::new(&[Some(&two)], Some(&one));
    // The tag is asked for at the server alone.
    let config = case.config("capabilities = [\"pull\"]");
    assert_eq!(case.open(&config), Ok(one.digest()));
    let log = case.mirrors[0].log();
    assert!(!log.is_empty() && log.iter().all(|line| !line.contains("manifests/v1")), "{log:?}");
    let case = Case::new(&[Some(&two)], Some(&one));
    assert_eq!(case.open(&case.config("capabilities = [\"push\"]")), Ok(one.digest()));
    assert_eq!(case.asked(), [false, true]);
    // In place of the registry: that one is not asked.
    let case = Case::new(&[Some(&two)], Some(&one));
    let mirror = case.mirrors[0].host();
    assert_eq!(case.open(&hosts_of(&case.server, &format!("server = \"http://{mirror}\""))), Ok(two.digest()));
    assert_eq!(case.asked(), [true, false]);
    // With nobody who may say what a tag names.
    let nobody = hosts_of(&case.server, "capabilities = [\"pull\"]");
    let (reason, said) = case.open(&nobody).unwrap_err();
    assert!(reason == "BadNetworkSettings" && said.contains("pull and resolve"), "{said}");
    // A path of its own.
    case.mirrors[0].push("hub/team/app", "v2", &one);
    let table = format!("[host.\"http://{mirror}/v2/hub\"]\noverride_path = true\n");
    let image = format!("{}/team/app:v2", case.server.host());
    assert_eq!(open(&hosts_of(&case.server, &table), &image), Ok(one.digest()));
}

#[test]
fn bytes_of_a_mirror_are_verified() {
    let image = clean().build();
    let case = Case::new(&[Some(&image)], Some(&image));
    let manifest: Value = serde_json::from_slice(&case.server.manifest("team/app", "v1")).unwrap();
    let digest = manifest["config"]["digest"].as_str().unwrap();
    case.mirrors[0].forge_blob(digest, &vec![b' '; case.server.blob(digest).len()]);
    let (reason, said) = case.open(&case.config("")).unwrap_err();
    assert_eq!(reason, "DigestMismatch", "{said}");
    // By digest, whatever the mirror serves under it.
    let other = vulnerable().build();
    case.mirrors[0].put_manifest("team/app", &image.digest(), "application/json", &other.root.bytes);
    let by_digest = format!("{}/team/app@{}", case.server.host(), image.digest());
    let (reason, said) = open(&case.config(""), &by_digest).unwrap_err();
    assert_eq!(reason, "DigestMismatch", "{said}");
}

#[test]
fn logins_are_those_of_the_host() {
    let image = clean().build();
    let check = |key: &str, table: &str, found: Result<String, &str>| {
        let case = Case::new(&[Some(&image)], None);
        case.mirrors[0].require_login("user", "right");
        case.server.require_login("user", "right");
        let key = key.replace("MIRROR", &case.mirrors[0].host()).replace("SERVER", &case.server.host());
        let credentials = logins(&json!({ key: {"username": "user", "password": "right"} }));
        let config = RegistryConfig { credentials, ..case.config(table) };
        assert_eq!(case.open(&config).map_err(|(reason, _)| reason), found.map_err(str::to_owned), "{table}");
        case
    };
    let is_told = |registry: &Registry| registry.log().iter().any(|line| line.contains("Basic "));
    // What is stored for the registry is not for the mirror, and the other way round.
    let case = check("SERVER", "", Err("ImageNotFound"));
    assert_eq!((is_told(&case.mirrors[0]), is_told(&case.server)), (false, true));
    let case = check("MIRROR", "", Ok(image.digest()));
    assert_eq!((is_told(&case.mirrors[0]), is_told(&case.server)), (true, false));
    check("MIRROR/team", "", Ok(image.digest()));
    check("MIRROR/other", "", Err("Unauthorized"));
    // "user:right"
    let case = check("none.example", "header = {authorization = \"Basic dXNlcjpyaWdodA==\"}", Ok(image.digest()));
    assert!(!is_told(&case.server));
}

#[test]
fn the_address_of_a_named_host_is_its_owners_choice() {
    let image = clean().build();
    let guarded = |case: &Case, hosts: &str| RegistryConfig {
        addresses: Addresses::Public { allowed: vec![] },
        ..hosts_of(&case.server, hosts)
    };
    let case = Case::new(&[Some(&image)], Some(&image));
    let mirror = format!("[host.\"http://{}\"]", case.mirrors[0].host());
    assert_eq!(case.open(&guarded(&case, &mirror)), Ok(image.digest()));
    assert_eq!(case.asked(), [true, false]);
    // The registry itself is not named by that, and no port but the mirror's.
    let case = Case::new(&[None], Some(&image));
    let mirror = format!("[host.\"http://{}\"]", case.mirrors[0].host());
    let (reason, said) = case.open(&guarded(&case, &mirror)).unwrap_err();
    assert_eq!(reason, "HostNotAllowed", "{said}");
    assert_eq!(case.asked(), [true, false]);
    let server = format!("server = \"http://{}\"", case.server.host());
    assert_eq!(case.open(&guarded(&case, &server)), Ok(image.digest()));
    // Nor is what it redirects to.
    let (redirecting, _requests) = answering(redirect(&case.server));
    let said = case.open(&guarded(&case, &format!("server = \"http://{redirecting}\""))).unwrap_err();
    assert_eq!(said.0, "HostNotAllowed", "{}", said.1);
}

fn redirect(to: &Registry) -> &'static str {
    Box::leak(format!("307 There\r\nLocation: http://{}/v2/team/app/manifests/v1", to.host()).into_boxed_str())
}

#[test]
fn a_mirror_has_an_authority_of_its_own() {
    let (authority, image) = (Authority::new(), clean().build());
    let (mirror, server) = (Registry::start_tls(&authority), Registry::start());
    mirror.push("team/app", "v1", &image);
    let ca = tempfile::NamedTempFile::new().unwrap();
    fs::write(ca.path(), authority.pem()).unwrap();
    let table = format!("[host.\"https://{}\"]\n", mirror.host());
    let image_name = format!("{}/team/app:v1", server.host());
    let trusting = format!("{table}ca = {:?}\n", ca.path());
    assert_eq!(open(&hosts_of(&server, &trusting), &image_name), Ok(image.digest()));
    let (_, said) = open(&hosts_of(&server, &table), &image_name).unwrap_err();
    assert!(said.contains("no authority that is trusted here"), "{said}");
}
