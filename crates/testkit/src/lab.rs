//! ClusterFixture, registry, database and server together: the environment of the demo and the stories.

mod containers;
mod earlier;
mod freeze;
mod ports;
mod replicas;
mod scanner;

pub use replicas::LabReplica;

use crate::cluster::{ClusterFixture, Said, run};
use crate::confined::{self, Pod};
use crate::people::People;
use crate::quiet::{CheckedEnd, QuietEnd};
use crate::readme;
use crate::registry::Registry;
use crate::stranger;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// How long anything may take: two cores that also compile are slow, and a story that waits in vain fails anyway.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The default policy, enforced: one that is there is left alone by the server.
const ENFORCED: &str = r#"{"apiVersion":"tidewaiter.dev/v1alpha1","kind":"ClusterScanPolicy","metadata":{"name":"default"},
    "spec":{"mode":"Enforce"}}"#;

/// Where things are.
#[derive(Debug, Clone)]
pub struct Places {
    /// The project.
    pub root: PathBuf,
    /// The folder with `tidewaiter` and `kubectl-scan`.
    pub programs: PathBuf,
    /// The control plane's binary.
    pub controlplane: PathBuf,
    /// Whether it is asserted, when the lab is dropped, that the server's account writes nothing for five seconds.
    pub ends_quietly: bool,
}

/// A cluster with tidewaiter installed from `deploy/`.
#[derive(Debug)]
pub struct Lab {
    /// First, so that it is dropped while everything still runs.
    _quiet: Option<CheckedEnd>,
    /// The control plane.
    pub cluster: ClusterFixture,
    /// A registry on loopback.
    pub registry: Registry,
    people: People,
    places: Places,
    server: Option<Server>,
    scanner: Option<Server>,
    renewal: Option<Server>,
    stands: Stands,
    variables: Vec<(String, String)>,
    caches_layers: bool,
}

/// How the server runs.
#[derive(Debug)]
enum Stands {
    /// As `deploy/` has it, reached by its Service.
    Confined(Pod),
    /// As any program of this user, reached on loopback ports (API, webhook): where we are not root.
    Plain { kubeconfig: PathBuf, ports: (u16, u16) },
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
    /// A cluster as of [`Lab::fresh`] that is enforced everywhere from the server's first start on.
    pub fn new(places: Places) -> Self {
        let lab = Lab::fresh(places);
        lab.cluster.apply(ENFORCED).ok();
        lab
    }

    /// A cluster with `deploy/` applied, a registry and the demo's database, before the server is started.
    ///
    /// As root the calling thread enters a network of its own, and the server runs as `deploy/` has it.
    pub fn fresh(places: Places) -> Self {
        let install = |cluster: &ClusterFixture, places: &Places| {
            shell(cluster, places, &places.root, &install_script(places)).ok();
        };
        let lab = Lab::installed(places, &install);
        lab.build_database(&lab.places.root.join("demo/feeds.toml"));
        lab
    }

    /// A cluster in which `install` applied manifests, and a registry.
    fn installed(places: Places, install: &dyn Fn(&ClusterFixture, &Places)) -> Self {
        let confined = confined::is_possible();
        if confined {
            confined::enter_network();
        }
        let cluster = ClusterFixture::start(&places.controlplane);
        // There is no storage class here, as on many clusters.
        let volume = readme::script(&places.root.join("README.md"), "volume").replace("NODE", "node-0");
        shell(&cluster, &places, &places.root, &volume).ok();
        install(&cluster, &places);
        let stands = if confined {
            let token = cluster.token("tidewaiter-system", "tidewaiter");
            Stands::Confined(Pod::new(cluster.dir(), cluster.address(), &token, &cluster.ca()))
        } else {
            let kubeconfig = cluster.service_account("tidewaiter-system", "tidewaiter");
            Stands::Plain { kubeconfig, ports: (port(), port()) }
        };
        let people = People::new(&cluster);
        let registry = Registry::start();
        let quiet = places.ends_quietly.then(|| CheckedEnd(QuietEnd::new(cluster.dir())));
        Lab {
            _quiet: quiet,
            cluster,
            registry,
            people,
            places,
            server: None,
            scanner: None,
            renewal: None,
            stands,
            variables: Vec::new(),
            caches_layers: true,
        }
    }

    /// The same, with the server running and ready.
    pub fn start(places: Places) -> Self {
        let mut lab = Lab::new(places);
        lab.start_server();
        lab
    }

    /// Waits until the server's account has written nothing for five seconds.
    #[track_caller]
    pub fn comes_to_rest(&self) {
        QuietEnd::new(self.cluster.dir()).check();
    }

    /// Sends a review to the webhook at a path as any Pod can, and returns the response.
    pub fn forge(&self, path: &str, review: &str) -> String {
        let bundle = self.field("mutatingwebhookconfiguration/tidewaiter", ".webhooks[0].clientConfig.caBundle");
        let port = "127.0.0.1:8443".parse().unwrap();
        stranger::post(port, "tidewaiter.tidewaiter-system.svc", &bundle, path, review)
    }

    /// The project's folder.
    pub fn root(&self) -> &Path {
        &self.places.root
    }

    /// The database file that the server reads.
    pub fn database(&self) -> PathBuf {
        match &self.stands {
            Stands::Confined(pod) => pod.volume().join("db/tidewaiter.db"),
            Stands::Plain { .. } => self.cluster.dir().join("tidewaiter.db"),
        }
    }

    /// Sets an environment variable of the server's containers, from their next start on.
    pub fn set_variable(&mut self, name: &str, value: &str) {
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    /// Stores a file where the server finds it, and returns its path there. Where the server is not confined, that is here.
    pub fn mounted_file(&self, name: &str, content: &str) -> String {
        let (folder, path) = match &self.stands {
            Stands::Confined(pod) => (pod.feeds().to_owned(), Path::new("/etc/tidewaiter").join(name)),
            Stands::Plain { .. } => (self.cluster.dir().to_owned(), self.cluster.dir().join(name)),
        };
        fs::create_dir_all(folder.join(name).parent().unwrap()).unwrap();
        fs::write(folder.join(name), content).unwrap();
        path.display().to_string()
    }

    /// Stores a program where [`Lab::mounted_file`] stores files.
    pub fn mounted_program(&self, name: &str, program: &Path) {
        let folder = match &self.stands {
            Stands::Confined(pod) => pod.feeds(),
            Stands::Plain { .. } => self.cluster.dir(),
        };
        // Its permissions are copied, too.
        fs::copy(program, folder.join(name)).unwrap();
    }

    /// Builds the server's database once from a `feeds.toml`, as the container `database` of `deploy/` does on its schedule
    /// where the server is confined. Returns the output of the build.
    #[track_caller]
    pub fn build_database(&self, feeds: &Path) -> String {
        let mut command = match &self.stands {
            Stands::Confined(pod) => {
                self.mount_feeds(feeds);
                let mut words = self.words("database", "command");
                // The one renewal instead of the schedule.
                assert_eq!(words[..3], ["kubectl-scan", "db", "renew"], "{words:?}");
                words[2] = "build".to_owned();
                words.retain(|word| !word.starts_with("--every=") && !word.starts_with("--memory="));
                let ids = self.ids("database");
                pod.without_account().command(&self.places.programs, &self.variables, &words, ids)
            }
            Stands::Plain { .. } => {
                let mut command = Command::new(self.places.programs.join("kubectl-scan"));
                command.args(["db", "build", "--feeds"]).arg(feeds).arg("--db").arg(self.database());
                command.envs(self.variables.iter().cloned());
                command
            }
        };
        let said = run(&mut command).ok();
        assert!(self.database().is_file(), "no database was built: {said}");
        said
    }

    /// Puts a `feeds.toml` and the files next to it where the container `database` reads them.
    pub fn mount_feeds(&self, feeds: &Path) {
        let Stands::Confined(pod) = &self.stands else { return };
        copy(feeds.parent().unwrap(), pod.feeds());
        fs::rename(pod.feeds().join(feeds.file_name().unwrap()), pod.feeds().join("feeds.toml")).unwrap();
    }

    /// Starts the container `database` as `deploy/` has it, without the server's token, and with another pause between two
    /// renewals. It reads what [`Lab::mount_feeds`] put there, or `feeds` where the server is not confined.
    pub fn start_renewal(&mut self, every: &str, feeds: &Path) {
        let every = format!("--every={every}");
        let mut command = match &self.stands {
            Stands::Confined(pod) => {
                let mut words = self.words("database", "command");
                words.iter_mut().filter(|word| word.starts_with("--every=")).for_each(|word| word.clone_from(&every));
                let ids = self.ids("database");
                pod.without_account().command(&self.places.programs, &self.variables, &words, ids)
            }
            Stands::Plain { .. } => {
                let mut command = Command::new(self.places.programs.join("kubectl-scan"));
                command.args(["db", "renew", &every, "--feeds"]).arg(feeds).arg("--db").arg(self.database());
                command.envs(self.variables.iter().cloned());
                command
            }
        };
        let log = fs::File::options().create(true).append(true).open(self.renewal_log()).unwrap();
        let started = command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn();
        self.renewal = Some(Server(started.unwrap()));
    }

    /// What the container `database` prints.
    pub fn renewal_log(&self) -> PathBuf {
        self.cluster.dir().join("database.log")
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
        self.until_ready();
    }

    #[track_caller]
    fn until_ready(&self) {
        let began = std::time::Instant::now();
        while self.get("/readyz").0 != 200 {
            assert!(began.elapsed() < PATIENCE, "the server is not ready; it says:\n{}", self.log_tail());
            std::thread::park_timeout(Duration::from_millis(50));
        }
    }

    /// Starts the server and does not wait for it.
    pub fn spawn_server(&mut self) {
        self.spawn_server_with(&[]);
    }

    fn spawn_server_with(&mut self, more: &[&str]) {
        if self.scanner.is_none() {
            self.start_scanner();
        }
        let mut command = match &self.stands {
            Stands::Confined(pod) => {
                let mut words = vec!["/usr/local/bin/tidewaiter".to_owned()];
                words.extend(self.words("tidewaiter", "args"));
                words.extend(["--allow-registry-network", "127.0.0.0/8"].map(str::to_owned));
                words.extend(more.iter().map(|word| (*word).to_owned()));
                let environment = self.environment("tidewaiter");
                pod.command(&self.places.programs, &environment, &words, self.ids("tidewaiter"))
            }
            Stands::Plain { kubeconfig, ports: (api, webhook) } => {
                let mut command = Command::new(self.places.programs.join("tidewaiter"));
                command.arg("serve").env("KUBECONFIG", kubeconfig);
                command.arg("--db").arg(self.database()).arg("--store").arg(self.cluster.dir().join("store"));
                command.arg("--listen").arg(format!("127.0.0.1:{api}"));
                command.arg("--webhook-listen").arg(format!("127.0.0.1:{webhook}"));
                command.arg("--webhook-url").arg(format!("https://127.0.0.1:{webhook}"));
                command.args(["--metrics-listen", "127.0.0.1:0"]);
                command.arg("--scanner").arg(self.cluster.dir().join("scanner.sock"));
                command.args(["--allow-registry-network", "127.0.0.0/8"]).args(more);
                command.envs(self.variables.iter().cloned());
                command
            }
        };
        let log = fs::File::options().create(true).append(true).open(self.log()).unwrap();
        let started = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn();
        self.server = Some(Server(started.unwrap()));
    }

    /// `tidewaiter uninstall`, as an administrator runs it.
    pub fn uninstall(&self) -> Said {
        let mut command = Command::new(self.places.programs.join("tidewaiter"));
        run(command.arg("uninstall").env("KUBECONFIG", self.cluster.kubeconfig()))
    }

    /// Gives the server's next process what a new Pod gets: a token of the ServiceAccount that is there now.
    #[track_caller]
    pub fn new_account(&self) {
        match &self.stands {
            Stands::Confined(pod) => pod.set_token(&self.cluster.token("tidewaiter-system", "tidewaiter")),
            Stands::Plain { .. } => drop(self.cluster.service_account("tidewaiter-system", "tidewaiter")),
        }
    }

    /// Kills the server and the scanner, as a lost node would.
    pub fn kill_server(&mut self) {
        self.server = None;
        self.scanner = None;
    }

    /// The server's log.
    pub fn log(&self) -> PathBuf {
        self.cluster.dir().join("server.log")
    }

    /// The last lines of the server's log, the newest first.
    fn log_tail(&self) -> String {
        let log = fs::read_to_string(self.log()).unwrap_or_default();
        log.lines().rev().take(15).collect::<Vec<_>>().join("\n")
    }

    fn api_port(&self) -> u16 {
        match &self.stands {
            Stands::Confined(_) => 8080,
            Stands::Plain { ports, .. } => ports.0,
        }
    }

    /// GET of a path of the server's API: status and text; status 0 without a response.
    pub fn get(&self, path: &str) -> (u16, String) {
        get(([127, 0, 0, 1], self.api_port()).into(), path)
    }

    /// `kubectl ARGS` as the developer, who has role `edit`, with the plugin on PATH.
    pub fn kubectl(&self, args: &[&str]) -> Said {
        run(self.kubectl_command().args(args))
    }

    /// The developer's command before its arguments.
    pub fn kubectl_command(&self) -> Command {
        self.command_of(self.people.developer())
    }

    /// Another program that reads KUBECONFIG, as the developer; what it stores is the cluster's.
    pub fn tool(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env("KUBECONFIG", self.people.developer()).env("HOME", self.cluster.dir());
        command
    }

    /// `kubectl ARGS` as the lead, who has role `admin` and may approve.
    pub fn lead(&self, args: &[&str]) -> Said {
        run(self.lead_command().args(args))
    }

    /// The lead's command before its arguments.
    pub fn lead_command(&self) -> Command {
        self.command_of(self.people.lead())
    }

    /// `kubectl ARGS` as the administrator of the cluster, with the plugin on PATH.
    pub fn admin(&self, args: &[&str]) -> Said {
        run(self.admin_command().args(args))
    }

    /// The administrator's command before its arguments.
    pub fn admin_command(&self) -> Command {
        self.command_of(&self.cluster.kubeconfig())
    }

    /// Runs a script of a document in a folder, as the administrator.
    pub fn shell(&self, folder: &Path, script: &str) -> Said {
        shell(&self.cluster, &self.places, folder, script)
    }

    /// The same, as the lead.
    pub fn lead_shell(&self, folder: &Path, script: &str) -> Said {
        run(shell_command(&self.cluster, &self.places, folder, script).env("KUBECONFIG", self.people.lead()))
    }

    fn command_of(&self, kubeconfig: &Path) -> Command {
        let mut command = self.cluster.kubectl_command();
        command.env("PATH", path(&self.cluster, &self.places)).env("KUBECONFIG", kubeconfig);
        command
    }

    /// `kubectl apply` of a manifest as the developer.
    #[track_caller]
    pub fn apply(&self, manifest: &str) -> Said {
        let file = tempfile::NamedTempFile::new_in(self.cluster.dir()).unwrap();
        fs::write(file.path(), manifest).unwrap();
        self.kubectl(&["apply", "-f", &file.path().display().to_string()])
    }

    /// Makes a namespace for developer and lead, and makes it their current one.
    #[track_caller]
    pub fn new_namespace(&self, name: &str) {
        self.admin(&["create", "namespace", name]).ok();
        self.people.join(&self.cluster, name);
        self.people.work_in(&self.cluster, name);
    }

    /// Makes an existing namespace the current one.
    #[track_caller]
    pub fn work_in(&self, namespace: &str) {
        self.people.work_in(&self.cluster, namespace);
    }

    /// Manual or automatic approval everywhere.
    #[track_caller]
    pub fn approval(&self, mode: &str) {
        self.policy(&format!(r#"{{"spec":{{"approval":"{mode}"}}}}"#));
    }

    /// Changes the default policy by a merge patch.
    #[track_caller]
    pub fn policy(&self, patch: &str) {
        self.admin(&["patch", "clusterscanpolicy", "default", "--type=merge", "-p", patch]).ok();
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
        self.admin(&["patch", "node", name, "--subresource=status", "--type=merge", "-p", &info]).ok();
    }

    /// One field of an object, by JSONPath, as the administrator sees it; empty when it is not there.
    pub fn field(&self, object: &str, path: &str) -> String {
        let said = self.admin(&["get", object, "-o", &format!("jsonpath={{{path}}}")]);
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
        panic!("deployment/{deployment} is {last:?}, not {wanted:?}; the server says:\n{}", self.log_tail());
    }
}
/// Command or arguments of a container.
/// GET of a path over plain HTTP: status and text; status 0 without a response.
fn get(address: SocketAddr, path: &str) -> (u16, String) {
    use std::io::{Read as _, Write as _};
    let Ok(mut stream) = std::net::TcpStream::connect(address) else { return (0, String::new()) };
    let mut answer = String::new();
    let request = format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n");
    if stream.write_all(request.as_bytes()).and_then(|()| stream.read_to_string(&mut answer)).is_err() {
        return (0, String::new());
    }
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    (head.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0), body.to_owned())
}

/// What installs it, and upgrades it, by the README.
fn install_script(places: &Places) -> String {
    let install = readme::script(&places.root.join("README.md"), "install");
    let commands = install.lines().filter(|line| line.contains(" apply ") || line.contains(" set image "));
    let wait = "kubectl wait --for=condition=Established crd --all --timeout=30s";
    commands.flat_map(|line| [line, wait]).collect::<Vec<_>>().join("\n")
}

fn shell(cluster: &ClusterFixture, places: &Places, folder: &Path, script: &str) -> Said {
    run(&mut shell_command(cluster, places, folder, script))
}

/// A shell that stops at the first command that fails, with kubectl and both programs on PATH.
fn shell_command(cluster: &ClusterFixture, places: &Places, folder: &Path, script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-euc", script]).current_dir(folder);
    command.env("PATH", path(cluster, places)).env("KUBECONFIG", cluster.kubeconfig());
    command
}

fn path(cluster: &ClusterFixture, places: &Places) -> std::ffi::OsString {
    let before = std::env::var_os("PATH").unwrap_or_default();
    let own = [cluster.tools(), places.programs.clone()];
    std::env::join_paths(own.into_iter().chain(std::env::split_paths(&before))).unwrap()
}

fn port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The files of a folder.
fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let (path, target) = entry.map(|e| (e.path(), to.join(e.file_name()))).unwrap();
        if path.is_dir() {
            let _ = fs::remove_dir_all(&target);
            fs::create_dir_all(&target).unwrap();
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}
