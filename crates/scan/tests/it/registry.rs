//! The registry client against a loopback server that implements the distribution protocol and misbehaves on request.

use crate::fixture::{E, layer, write_layout};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;
use tidewaiter_scan::engine::{self, ScanOptions};
use tidewaiter_scan::limits::Limits;
use tidewaiter_scan::progress::Silent;
use tidewaiter_scan::source::registry::credentials::Credentials;
use tidewaiter_scan::source::registry::{self, RegistryConfig};
use tidewaiter_scan::source::sha256;

/// How the server behaves.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Open,
    Basic,
    Bearer,
    /// Two refusals with this status first.
    Busy(u16),
    /// 429 always, with a `Retry-After`.
    Limited(u32),
    /// Every blob is sent by halves.
    Cut,
    /// Blobs live on another host.
    Redirect,
}

struct Server {
    host: String,
    /// "path authorization" of each request.
    log: Arc<Mutex<Vec<String>>>,
}

/// Serves the layout in `dir` as repository `app`, tag `v1`.
fn serve(dir: &Path, mode: Mode) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let log = Arc::new(Mutex::new(Vec::new()));
    let other = (mode == Mode::Redirect).then(|| serve(dir, Mode::Open));
    let shared = Arc::new((dir.to_owned(), mode, host.clone(), Arc::clone(&log), other.map(|o| (o.host, o.log))));
    let log_of_other = shared.4.as_ref().map(|(_, log)| Arc::clone(log));
    thread::spawn(move || {
        for stream in listener.incoming() {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                let (dir, mode, host, log, other) = &*shared;
                answer(&stream.unwrap(), dir, *mode, host, log, other.as_ref().map(|o| o.0.as_str()));
            });
        }
    });
    Server { host, log: log_of_other.unwrap_or(log) }
}

fn answer(stream: &TcpStream, dir: &Path, mode: Mode, host: &str, log: &Mutex<Vec<String>>, other: Option<&str>) {
    let head: Vec<String> =
        BufReader::new(stream).lines().map_while(Result::ok).take_while(|l| !l.is_empty()).collect();
    let header = |name: &str| {
        let found = head.iter().filter_map(|l| l.split_once(": ")).find(|(n, _)| n.eq_ignore_ascii_case(name));
        found.map(|(_, v)| v.to_owned()).unwrap_or_default()
    };
    let path = head.first().and_then(|l| l.split(' ').nth(1)).unwrap_or_default().to_owned();
    let seen = {
        let mut log = log.lock().unwrap();
        log.push(format!("{path} {}", header("authorization")));
        log.len()
    };
    let reply = |status: &str, extra: &str, length: usize, body: &[u8]| {
        let mut stream = stream;
        let _ = write!(stream, "HTTP/1.1 {status}\r\n{extra}Content-Length: {length}\r\nConnection: close\r\n\r\n");
        let _ = stream.write_all(body);
    };
    if path.starts_with("/token") {
        let good = header("authorization") == "Basic dTpw";
        return reply(if good { "200 OK" } else { "401 No" }, "", 13, b"{\"token\":\"t\"}");
    }
    let wanted = match mode {
        Mode::Basic => "Basic dTpw",
        Mode::Bearer | Mode::Redirect => "Bearer t",
        _ => "",
    };
    if header("authorization") != wanted && !wanted.is_empty() {
        let challenge = match mode {
            Mode::Basic => "Basic realm=\"x\"".to_owned(),
            _ => format!("Bearer realm=\"http://{host}/token\",service=\"s\",scope=\"repository:app:pull,push\""),
        };
        return reply("401 No", &format!("WWW-Authenticate: {challenge}\r\n"), 0, b"");
    }
    if let Mode::Busy(status) = mode
        && seen <= 2
    {
        return reply(&format!("{status} Busy"), "", 0, b"");
    }
    if let Mode::Limited(seconds) = mode {
        return reply("429 Too Many Requests", &format!("Retry-After: {seconds}\r\n"), 0, b"");
    }
    let is_blob = path.contains("/blobs/");
    if let (true, Some(other)) = (is_blob, other) {
        return reply("307 There", &format!("Location: http://{other}{path}\r\n"), 0, b"");
    }
    let Ok(bytes) = fs::read(file(dir, &path)) else { return reply("404 No", "", 0, b"") };
    let from = header("range").trim_start_matches("bytes=").trim_end_matches('-').parse().unwrap_or(0);
    let rest = &bytes[from..];
    let sent = if mode == Mode::Cut && is_blob && from == 0 { rest.len() / 2 } else { rest.len() };
    let status = if from > 0 { "206 Partial Content" } else { "200 OK" };
    reply(status, "", rest.len(), &rest[..sent]);
}

fn file(dir: &Path, path: &str) -> PathBuf {
    match path.strip_prefix("/v2/app/manifests/") {
        Some("v1") => dir.join("index.json"),
        _ => dir.join("blobs/sha256").join(path.rsplit(':').next().unwrap_or_default()),
    }
}

fn config(login: &str, host: &str) -> RegistryConfig {
    let json = format!(r#"{{"auths":{{"{host}":{{"auth":"{login}"}}}}}}"#);
    let credentials =
        if login.is_empty() { Credentials::default() } else { Credentials::parse(json.as_bytes()).unwrap() };
    RegistryConfig { credentials, pause: Duration::from_millis(1), ..RegistryConfig::default() }
}

/// "clean" or the reason of the failure.
fn scan(host: &str, login: &str, image: &str) -> String {
    let config = config(login, host);
    let opened = registry::open(&config, &format!("{host}/{image}").parse().unwrap(), None);
    let cancel = AtomicBool::new(false);
    let options =
        ScanOptions { limits: Limits::default(), threads: 1, cancel: &cancel, progress: &Silent, cache: None };
    match opened.map_err(Into::into).and_then(|image| engine::inventory(&image, &options)) {
        Ok(inventory) => format!("{} packages", inventory.packages.len()),
        Err(error) => error.reason().to_string(),
    }
}

const GOOD: &str = "dTpw";
const WRONG: &str = "dTpx";

#[test]
fn registries_are_read_as_they_come() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let dir = tempfile::tempdir().unwrap();
    let os = E::File("etc/os-release", "ID=alpine\nVERSION_ID=3.18.4\n");
    let stored = layer(&[os, E::File("lib/apk/db/installed", "P:musl\nV:1.0-r0\n\n")]);
    write_layout(dir.path(), std::slice::from_ref(&stored), &[sha256(&stored).to_string()]);
    let check = |mode: Mode, login: &str, image: &str, expected: &str| {
        let server = serve(dir.path(), mode);
        assert_eq!(scan(&server.host, login, image), expected, "{image}");
        server
    };
    check(Mode::Open, "", "app:v1", "1 packages");
    check(Mode::Open, "", "app:v2", "ImageNotFound");
    check(Mode::Basic, GOOD, "app:v1", "1 packages");
    check(Mode::Basic, WRONG, "app:v1", "Unauthorized");
    check(Mode::Basic, "", "app:v1", "Unauthorized");
    check(Mode::Bearer, GOOD, "app:v1", "1 packages");
    check(Mode::Bearer, WRONG, "app:v1", "Unauthorized");
    check(Mode::Busy(429), "", "app:v1", "1 packages");
    check(Mode::Busy(503), "", "app:v1", "1 packages");
    check(Mode::Cut, "", "app:v1", "1 packages");
    let other = check(Mode::Redirect, GOOD, "app:v1", "1 packages");
    let log = other.log.lock().unwrap();
    assert!(!log.is_empty() && log.iter().all(|line| line.ends_with(' ')), "credentials left their host: {log:?}");
}

#[test]
fn a_registry_that_is_down_is_named_so() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert_eq!(scan(&port.to_string(), "", "app:v1"), "RegistryUnreachable");
}

/// Who asks for more than the caller waits is not waited for.
#[test]
fn a_registry_that_limits_requests_is_not_waited_for() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let dir = tempfile::tempdir().unwrap();
    let check = |seconds: u32, patience: u64, requests: usize| {
        let server = serve(dir.path(), Mode::Limited(seconds));
        let config = RegistryConfig { patience: Duration::from_secs(patience), tries: 2, ..config("", &server.host) };
        let error = registry::open(&config, &format!("{}/app:v1", server.host).parse().unwrap(), None).unwrap_err();
        assert_eq!(error.reason().to_string(), "RateLimited", "{error}");
        assert_eq!(error.retry_after(), Some(Duration::from_secs(seconds.into())));
        assert!(error.to_string().contains("rate limited: log in, or wait"), "{error}");
        // The client also asks a loopback host once whether it speaks TLS.
        let log = server.log.lock().unwrap();
        let asked = log.iter().filter(|line| line.starts_with("/v2/")).count();
        assert_eq!(asked, requests, "{seconds} {patience} {log:?}");
    };
    check(3600, 2, 1);
    check(3600, 30, 1);
    check(3, 2, 1);
    check(1, 2, 2);
    check(0, 1, 2);
}
