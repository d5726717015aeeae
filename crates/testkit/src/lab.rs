//! Everything at once: cluster, registry, database, server. What the demo and the stories stand on.

use crate::cluster::{Cluster, Said, eventually, run};
use crate::registry::Registry;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// How long anything may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Where things are.
#[derive(Debug, Clone)]
pub struct Places {
    /// The project.
    pub root: PathBuf,
    /// The folder with `tidewaiter` and `kubectl-scan`.
    pub programs: PathBuf,
    /// The control plane's binary.
    pub controlplane: PathBuf,
}

/// A cluster with tidewaiter installed from `deploy/`.
#[derive(Debug)]
pub struct Lab {
    /// The control plane.
    pub cluster: Cluster,
    /// A registry on loopback.
    pub registry: Registry,
    places: Places,
    server: Option<Server>,
    kubeconfig: PathBuf,
    ports: (u16, u16),
}

/// The server's process; it is killed when dropped.
#[derive(Debug)]
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Lab {
    /// A cluster with `deploy/` applied, a registry and the demo's database; the server does not run yet.
    pub fn new(places: Places) -> Self {
        let cluster = Cluster::start(&places.controlplane);
        let deploy = places.root.join("deploy");
        let apply = |path: &Path| cluster.kubectl(&["apply", "-f", &path.display().to_string()]).ok();
        apply(&deploy.join("crds.yaml"));
        cluster.kubectl(&["wait", "--for=condition=Established", "crd", "--all", "--timeout=30s"]).ok();
        apply(&deploy);
        let kubeconfig = cluster.service_account("tidewaiter-system", "tidewaiter");
        let lab =
            Lab { cluster, registry: Registry::start(), places, server: None, kubeconfig, ports: (port(), port()) };
        lab.build_database(&lab.places.root.join("demo/feeds.toml"));
        lab
    }

    /// The same, with the server running and ready.
    pub fn start(places: Places) -> Self {
        let mut lab = Lab::new(places);
        lab.start_server();
        lab
    }

    /// The project's folder.
    pub fn root(&self) -> &Path {
        &self.places.root
    }

    /// The database file that the server reads.
    pub fn database(&self) -> PathBuf {
        self.cluster.dir().join("tidewaiter.db")
    }

    /// Builds the database from a `feeds.toml` and puts it in the server's place.
    #[track_caller]
    pub fn build_database(&self, feeds: &Path) {
        let mut command = Command::new(self.places.programs.join("kubectl-scan"));
        command.args(["db", "build", "--feeds"]).arg(feeds).arg("--db").arg(self.database());
        run(&mut command).ok();
    }

    /// Starts the server and waits until it is ready.
    #[track_caller]
    pub fn start_server(&mut self) {
        self.start_server_with(&[]);
    }

    /// The same, with more arguments.
    #[track_caller]
    pub fn start_server_with(&mut self, more: &[&str]) {
        self.spawn_server_with(more);
        eventually("the server is ready", PATIENCE, || (self.get("/readyz").0 == 200).then_some(()));
    }

    /// Starts the server and does not wait for it.
    pub fn spawn_server(&mut self) {
        self.spawn_server_with(&[]);
    }

    fn spawn_server_with(&mut self, more: &[&str]) {
        let (api, webhook) = self.ports;
        let log = fs::File::options().create(true).append(true).open(self.log()).unwrap();
        let mut command = Command::new(self.places.programs.join("tidewaiter"));
        command.arg("serve").env("KUBECONFIG", &self.kubeconfig).stdout(Stdio::null()).stderr(log);
        command.arg("--db").arg(self.database()).arg("--store").arg(self.cluster.dir().join("store"));
        command.args(["--listen", &format!("127.0.0.1:{api}"), "--webhook-listen", &format!("127.0.0.1:{webhook}")]);
        command.args(["--webhook-url", &format!("https://127.0.0.1:{webhook}")]);
        command.args(["--allow-registry-network", "127.0.0.0/8"]).args(more);
        self.server = Some(Server(command.spawn().unwrap()));
    }

    /// `tidewaiter uninstall`, as an administrator runs it.
    pub fn uninstall(&self) -> Said {
        let mut command = Command::new(self.places.programs.join("tidewaiter"));
        run(command.arg("uninstall").env("KUBECONFIG", self.cluster.kubeconfig()))
    }

    /// Kills the server, as a lost node would.
    pub fn kill_server(&mut self) {
        self.server = None;
    }

    /// Where the server writes what it does.
    pub fn log(&self) -> PathBuf {
        self.cluster.dir().join("server.log")
    }

    /// Address of the server's API.
    pub fn server_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports.0)
    }

    /// GET of a path of the server's API: status and text; status 0 when nobody answers.
    pub fn get(&self, path: &str) -> (u16, String) {
        use std::io::{Read as _, Write as _};
        let Ok(mut stream) = std::net::TcpStream::connect(("127.0.0.1", self.ports.0)) else {
            return (0, String::new());
        };
        let mut answer = String::new();
        let request = format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n");
        if stream.write_all(request.as_bytes()).and_then(|()| stream.read_to_string(&mut answer)).is_err() {
            return (0, String::new());
        }
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        (head.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0), body.to_owned())
    }

    /// `kubectl ARGS`, with the plugin on PATH.
    pub fn kubectl(&self, args: &[&str]) -> Said {
        run(self.kubectl_command().args(args))
    }

    /// The command before its arguments.
    pub fn kubectl_command(&self) -> Command {
        let mut command = self.cluster.kubectl_command();
        let path = std::env::var_os("PATH").unwrap_or_default();
        let all = std::iter::once(self.places.programs.clone()).chain(std::env::split_paths(&path));
        command.env("PATH", std::env::join_paths(all).unwrap()).env("TIDEWAITER_SERVER", self.server_url());
        command
    }

    /// Manual or automatic approval everywhere.
    #[track_caller]
    pub fn approval(&self, mode: &str) {
        self.policy(&format!(r#"{{"spec":{{"approval":"{mode}"}}}}"#));
    }

    /// Changes the default policy by a merge patch.
    #[track_caller]
    pub fn policy(&self, patch: &str) {
        self.kubectl(&["patch", "clusterscanpolicy", "default", "--type=merge", "-p", patch]).ok();
    }

    /// Has a node of another architecture join.
    #[track_caller]
    pub fn add_node(&self, name: &str, architecture: &str) {
        let node = format!(r#"{{"apiVersion":"v1","kind":"Node","metadata":{{"name":"{name}"}}}}"#);
        self.cluster.apply(&node).ok();
        let empty =
            ["bootID", "containerRuntimeVersion", "kernelVersion", "kubeProxyVersion", "kubeletVersion", "machineID"];
        let empty: String = empty.iter().map(|field| format!(r#""{field}":"","#)).collect();
        let info = format!(
            r#"{{"status":{{"nodeInfo":{{{empty}"osImage":"","systemUUID":"","operatingSystem":"linux","architecture":"{architecture}"}}}}}}"#
        );
        self.kubectl(&["patch", "node", name, "--subresource=status", "--type=merge", "-p", &info]).ok();
    }

    /// One field of an object, by JSONPath; empty when it is not there.
    pub fn field(&self, object: &str, path: &str) -> String {
        let said = self.kubectl(&["get", object, "-o", &format!("jsonpath={{{path}}}")]);
        if said.code == 0 { said.text } else { String::new() }
    }

    /// Both statuses of a Deployment: `image deployment`.
    pub fn statuses(&self, deployment: &str) -> String {
        let said = self.kubectl(&["scan", "status", &format!("deployment/{deployment}")]);
        let word = |title: &str| {
            let line = said.text.lines().find_map(|l| l.trim().strip_prefix(title))?;
            Some(line.trim().to_owned())
        };
        match (word("image status"), word("deployment status")) {
            (Some(image), Some(deployment)) => format!("{image} {deployment}"),
            _ => said.text,
        }
    }

    /// Waits until both statuses are these.
    #[track_caller]
    pub fn until(&self, deployment: &str, wanted: &str) {
        let mut last = String::new();
        let began = std::time::Instant::now();
        while began.elapsed() < PATIENCE {
            last = self.statuses(deployment);
            if last == wanted {
                return;
            }
            std::thread::park_timeout(Duration::from_millis(50));
        }
        let log = fs::read_to_string(self.log()).unwrap_or_default();
        let tail: Vec<&str> = log.lines().rev().take(15).collect();
        panic!("deployment/{deployment} is {last:?}, not {wanted:?}; the server says:\n{}", tail.join("\n"));
    }
}

fn port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
