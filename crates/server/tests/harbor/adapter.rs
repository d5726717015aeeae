//! The program, its database, and Harbor's side of the conversation.

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tidewaiter_core::advisory::{Advisory, Affected, CveFacts, KeyKind};
use tidewaiter_core::report::FeedContent;
use tidewaiter_core::severity::Rating;
use tidewaiter_db::meta::{FeedInfo, Meta};
use tidewaiter_db::writer::{self, BuildInput};
use tidewaiter_testkit::registry::Registry;

pub(crate) const TOKEN: &str = "testkit-token-of-harbor";
const PROGRAM: &str = env!("CARGO_BIN_EXE_tidewaiter");

/// The program; it is killed when dropped.
pub(crate) struct Adapter {
    child: Child,
    address: SocketAddr,
    log: Arc<Mutex<String>>,
    _dir: TempDir,
}

/// An answer of HTTP.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        self.headers.get(name).cloned()
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    /// Of an error.
    #[track_caller]
    pub(crate) fn message(&self) -> String {
        self.json()["error"]["message"].as_str().unwrap_or_else(|| panic!("{self:?}")).to_owned()
    }
}

impl Adapter {
    /// Starts it for this registry, with a database and a token; these arguments come last.
    pub(crate) fn start(registry: &Registry, args: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name).display().to_string();
        fs::write(dir.path().join("token"), format!("{TOKEN}\n")).unwrap();
        write_database(&dir.path().join("db"));
        let mut command = Command::new(PROGRAM);
        command.args(["harbor-adapter", "--listen=127.0.0.1:0"]).arg(format!("--registry=http://{}", registry.host()));
        command.arg(format!("--token-file={}", path("token"))).arg(format!("--store={}", path("store")));
        if !args.iter().any(|arg| arg.starts_with("--db=")) {
            command.arg(format!("--db={}", path("db")));
        }
        let mut child = command.args(args).env_clear().stderr(Stdio::piped()).spawn().unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let (lines, shared) = (BufReader::new(child.stderr.take().unwrap()).lines(), Arc::clone(&log));
        std::thread::spawn(move || {
            lines.map_while(Result::ok).for_each(|line| shared.lock().unwrap().push_str(&(line + "\n")))
        });
        let mut adapter = Adapter { child, address: ([127, 0, 0, 1], 0).into(), log, _dir: dir };
        let at = adapter.wait_for_log("listening on http://");
        adapter.address = at.split('"').next().unwrap().parse().unwrap();
        adapter
    }

    /// Waits until the log has a text; gives what follows it.
    #[track_caller]
    pub(crate) fn wait_for_log(&self, text: &str) -> String {
        let began = Instant::now();
        loop {
            if let Some((_, rest)) = self.log().split_once(text) {
                return rest.to_owned();
            }
            assert!(began.elapsed() < Duration::from_secs(30), "no {text:?} in: {}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    pub(crate) fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.send("GET", path, &[headers, &[("Authorization", &format!("Bearer {TOKEN}"))]].concat(), "")
    }

    pub(crate) fn post(&self, path: &str, media_type: &str, body: &str) -> Answer {
        let authorization = format!("Bearer {TOKEN}");
        self.send("POST", path, &[("Content-Type", media_type), ("Authorization", &authorization)], body)
    }

    /// As Harbor asks for a scan.
    pub(crate) fn scan(&self, request: &Value) -> Answer {
        let media_type = "application/vnd.scanner.adapter.scan.request+json; version=1.0";
        self.post("/api/v1/scan", media_type, &request.to_string())
    }

    /// One request on a connection of its own.
    #[track_caller]
    pub(crate) fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut stream = TcpStream::connect(self.address).unwrap_or_else(|e| panic!("{e}: {}", self.log()));
        let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n"
        );
        // It may be refused before its body was read.
        let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes()));
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        parsed(&String::from_utf8(answer).unwrap())
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Whether it ends well within this time.
    pub(crate) fn ends(&mut self, within: Duration) -> bool {
        let began = Instant::now();
        while began.elapsed() < within {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.success();
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        false
    }

    /// The processes that it started.
    pub(crate) fn workers(&self) -> Vec<u32> {
        let tasks = format!("/proc/{}/task", self.child.id());
        let tasks = fs::read_dir(tasks).into_iter().flatten().flatten();
        let children = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
        children.flat_map(|text| text.split_whitespace().map(|pid| pid.parse().unwrap()).collect::<Vec<_>>()).collect()
    }
}

impl Drop for Adapter {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether a process runs, and was not only left unreaped.
pub(crate) fn runs(pid: &u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

/// What a start says that is refused.
pub(crate) fn refused_start(args: &[&str]) -> String {
    let dir = tempfile::tempdir().unwrap();
    let mut command = Command::new(PROGRAM);
    command.arg("harbor-adapter").args(args).arg(format!("--store={}", dir.path().display())).env_clear();
    let said = command.output().unwrap();
    assert!(!said.status.success(), "{args:?}");
    String::from_utf8_lossy(&said.stderr).into_owned()
}

fn parsed(text: &str) -> Answer {
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers = lines.filter_map(|line| line.split_once(": "));
    let headers: BTreeMap<String, String> =
        headers.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
    assert!(!headers.contains_key("transfer-encoding"), "the body has a length: {head}");
    Answer { status, headers, body: body.to_owned() }
}

/// A database of this moment that knows one vulnerability, and is complete for npm.
fn write_database(path: &Path) {
    let row = Affected::new("npm".into(), "left-pad", KeyKind::Binary).fixed_in("2.0.0");
    let record = Advisory { id: "CVE-2026-1".into(), feed: "own".into(), affected: vec![row], ..Advisory::default() };
    let own = FeedInfo { name: "own".into(), ecosystems: vec!["npm".into()], ..FeedInfo::default() };
    let rating = FeedInfo {
        name: "nvd".into(),
        rates_all: true,
        rates: true,
        content: FeedContent::Ratings,
        ..FeedInfo::default()
    };
    let ratings = Rating::from_vector("nvd", "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H").into_iter().collect();
    let cves = BTreeMap::from([("CVE-2026-1".to_owned(), CveFacts { ratings, ..CveFacts::default() })]);
    let meta = Meta { feeds: vec![own, rating], built: Some(jiff::Timestamp::now()), ..Meta::default() };
    writer::write(path, &BuildInput { advisories: vec![record], cves, meta }).unwrap();
}
