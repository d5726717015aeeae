//! A throw-away cluster: the real control plane of `tests/controlplane`, driven by the real kubectl.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A running control plane; it stops when dropped.
#[derive(Debug)]
pub struct ClusterFixture {
    dir: tempfile::TempDir,
    process: Child,
    binary: PathBuf,
}

/// The output of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// Exit code; -1 when a signal ended it.
    pub code: i32,
    /// Standard output, then standard error.
    pub text: String,
}

impl Said {
    /// The text of a command that must succeed.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(self.code, 0, "{}", self.text);
        self.text
    }

    /// The text of a command that must fail.
    #[track_caller]
    pub fn refused(self) -> String {
        assert_ne!(self.code, 0, "it succeeded: {}", self.text);
        self.text
    }
}

/// Runs a command to its end.
pub fn run(command: &mut Command) -> Said {
    let out = command.stdin(Stdio::null()).output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let text = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
    Said { code: out.status.code().unwrap_or(-1), text }
}

/// Calls a function until it returns a value, at most this long.
#[track_caller]
pub fn eventually<T>(what: &str, limit: Duration, mut ask: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(began.elapsed() < limit, "not seen within {limit:?}: {what}");
        std::thread::park_timeout(Duration::from_millis(50));
    }
}

impl ClusterFixture {
    /// Starts the control plane that `binary` holds, with one simulated node.
    pub fn start(binary: &Path) -> Self {
        Self::start_with(binary, &["--fake-node", "node-0"])
    }

    /// Starts the control plane that `binary` holds, with these arguments of its `up`.
    pub fn start_with(binary: &Path, args: &[&str]) -> Self {
        let dir = tempfile::Builder::new().prefix("tidewaiter-").tempdir().unwrap();
        let mut command = Command::new(binary);
        command.arg("up").arg("--dir").arg(dir.path()).args(args);
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.starts_with("ready "), "the control plane did not start: see {}/log", dir.path().display());
        ClusterFixture { dir, process, binary: binary.to_owned() }
    }

    /// The control plane's process, whose network others can join.
    pub fn process_id(&self) -> u32 {
        self.process.id()
    }

    /// The administrator's kubeconfig.
    pub fn kubeconfig(&self) -> PathBuf {
        self.dir.path().join("kubeconfig")
    }

    /// A folder that is deleted with the cluster.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The real kubectl: from PATH, else the control plane's own.
    pub fn kubectl_command(&self) -> Command {
        let mut command = match which("kubectl") {
            Some(path) => Command::new(path),
            None => {
                let mut own = Command::new(&self.binary);
                own.arg("kubectl");
                own
            }
        };
        command.env("KUBECONFIG", self.kubeconfig());
        command
    }

    /// A folder with kubectl in it, whichever it is.
    pub fn tools(&self) -> PathBuf {
        let (folder, script) = (self.dir.path().join("tools"), self.dir.path().join("tools/kubectl"));
        if !script.exists() {
            let own = match which("kubectl") {
                Some(path) => path.display().to_string(),
                None => format!("{} kubectl", self.binary.display()),
            };
            std::fs::create_dir_all(&folder).unwrap();
            let new = folder.join("new");
            std::fs::write(&new, format!("#!/bin/sh\nexec {own} \"$@\"\n")).unwrap();
            std::fs::set_permissions(&new, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
            std::fs::rename(new, script).unwrap();
        }
        folder
    }

    /// `kubectl ARGS` as the administrator.
    pub fn kubectl(&self, args: &[&str]) -> Said {
        run(self.kubectl_command().args(args))
    }

    /// `kubectl apply -f -` of a manifest.
    #[track_caller]
    pub fn apply(&self, manifest: &str) -> Said {
        self.with_input(&["apply", "-f", "-"], manifest)
    }

    /// `kubectl ARGS` with a manifest on its standard input.
    pub fn with_input(&self, args: &[&str], manifest: &str) -> Said {
        let file = tempfile::NamedTempFile::new_in(self.dir.path()).unwrap();
        std::fs::write(file.path(), manifest).unwrap();
        let path = file.path().display().to_string();
        let args: Vec<&str> = args.iter().map(|a| if *a == "-" { path.as_str() } else { a }).collect();
        self.kubectl(&args)
    }

    /// Host and port of the API server.
    pub fn address(&self) -> (String, u16) {
        let url = self.kubectl(&["config", "view", "-o", "jsonpath={.clusters[0].cluster.server}"]).ok();
        let (host, port) = url.trim().trim_start_matches("https://").rsplit_once(':').unwrap();
        (host.to_owned(), port.parse().unwrap())
    }

    /// The certificate that signed the API server's, as PEM.
    pub fn ca(&self) -> Vec<u8> {
        std::fs::read(self.dir.path().join("pki/ca.crt")).unwrap()
    }

    /// A token of a ServiceAccount, which the API server issues.
    #[track_caller]
    pub fn token(&self, namespace: &str, name: &str) -> String {
        self.kubectl(&["create", "token", "-n", namespace, name, "--duration=24h"]).ok().trim().to_owned()
    }

    /// A kubeconfig of a ServiceAccount.
    #[track_caller]
    pub fn service_account(&self, namespace: &str, name: &str) -> PathBuf {
        let token = self.token(namespace, name);
        let path = self.dir.path().join(format!("{namespace}-{name}.kubeconfig"));
        std::fs::copy(self.kubeconfig(), &path).unwrap();
        let config = |args: &[&str]| run(self.kubectl_command().env("KUBECONFIG", &path).arg("config").args(args)).ok();
        config(&["set-credentials", name, &format!("--token={token}")]);
        config(&["set-context", "--current", &format!("--user={name}"), &format!("--namespace={namespace}")]);
        path
    }
}

impl Drop for ClusterFixture {
    fn drop(&mut self) {
        // It stops at the end of its standard input.
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

/// A program on PATH.
pub fn which(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file())
}
