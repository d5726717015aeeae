//! Several processes of the server, as Deployments have them: each has a Pod, with an address, a volume, a scanner and a token of
//! its own, and a way to the API server that can be cut. The Service leads to all of them.

use super::containers::words;
use super::{Lab, PATIENCE, Server, Stands};
use crate::cluster::{eventually, run};
use crate::confined::Pod;
use crate::forwarder::Forwarder;
use crate::stranger;
use serde_json::json;
use std::fs;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const SYSTEM: &str = "tidewaiter-system";

/// One process of the server.
#[derive(Debug)]
pub struct LabReplica {
    /// Its Pod's name.
    pub name: String,
    /// Its Pod's address.
    pub address: IpAddr,
    /// Its way to the API server.
    pub way: Forwarder,
    /// What tells its requests from those of others in the audit log.
    pub credential: String,
    /// Whose containers it has.
    deployment: &'static str,
    pod: Pod,
    log: PathBuf,
    server: Option<Server>,
    scanner: Option<Server>,
}

impl Lab {
    /// Makes a Pod of this name and starts the server of the Deployment `tidewaiter` in it, with its database; returns it once it
    /// is ready.
    #[track_caller]
    pub fn start_replica(&mut self, name: &str) -> LabReplica {
        let mut replica = self.new_replica(name, "tidewaiter");
        fs::copy(self.database(), replica.database()).unwrap();
        self.run_replica(&mut replica);
        replica
    }

    /// The same with the server of the Deployment `tidewaiter-standby`, which has no database at first.
    #[track_caller]
    pub fn start_standby(&mut self, name: &str) -> LabReplica {
        let mut replica = self.new_replica(name, "tidewaiter-standby");
        self.run_replica(&mut replica);
        replica
    }

    /// The Deployments are scaled to none: their Pods are simulated, and nobody listens at their addresses.
    #[track_caller]
    fn new_replica(&mut self, name: &str, deployment: &'static str) -> LabReplica {
        let all = ["deployment/tidewaiter", "deployment/tidewaiter-standby"];
        self.admin(&[&["scale", "-n", SYSTEM, "--replicas=0"][..], &all].concat()).ok();
        let simulated = ["get", "pods", "-n", SYSTEM, "-l", "pod-template-hash", "-o", "name"];
        eventually("no simulated Pod is left", PATIENCE, || self.admin(&simulated).ok().is_empty().then_some(()));
        let address = self.pod_of_replica(name);
        let (host, port) = self.cluster.address();
        let way = Forwarder::start((host.parse::<IpAddr>().unwrap(), port).into());
        let token = self.cluster.token(SYSTEM, "tidewaiter");
        let folder = self.cluster.dir().join(name);
        let pod = Pod::new(&folder, ("127.0.0.1".to_owned(), way.address().port()), &token, &self.cluster.ca());
        let (log, credential) = (folder.join("server.log"), credential(&token));
        let name = name.to_owned();
        LabReplica { name, address, way, credential, deployment, pod, log, server: None, scanner: None }
    }

    /// Starts the server in the Pod of a replica, again, and waits until it is ready.
    #[track_caller]
    pub fn run_replica(&self, replica: &mut LabReplica) {
        let Stands::Confined(_) = &self.stands else {
            panic!("replicas have addresses of their own, which needs root")
        };
        let mut command = vec!["/usr/local/bin/tidewaiter".to_owned()];
        let container = self.container_of(replica.deployment, "scanner");
        command.extend(words(&container, "args"));
        let pod = replica.pod.of_scanner();
        let ids = |container: &str| self.ids_of(replica.deployment, container);
        let environment = self.environment_of(&container);
        let scanner = pod.command(&self.places.programs, &environment, &command, ids("scanner"));
        replica.scanner = Some(replica.spawn(scanner));
        let container = self.container_of(replica.deployment, "tidewaiter");
        let mut command = vec!["/usr/local/bin/tidewaiter".to_owned()];
        command.extend(words(&container, "args"));
        command.extend(["--allow-registry-network", "127.0.0.0/8"].map(str::to_owned));
        for (option, port) in [("--listen", 8080), ("--webhook-listen", 8443), ("--metrics-listen", 9090)] {
            command.push(format!("{option}={}:{port}", replica.address));
        }
        let mut variables = self.environment_of(&container);
        // As the kubelet fills it in.
        variables.push(("TIDEWAITER_IDENTITY".to_owned(), replica.name.clone()));
        let server = replica.pod.command(&self.places.programs, &variables, &command, ids("tidewaiter"));
        replica.server = Some(replica.spawn(server));
        let began = Instant::now();
        while replica.get(8080, "/readyz").0 != 200 {
            assert!(began.elapsed() < PATIENCE, "{} is not ready; it says:\n{}", replica.name, replica.said());
            std::thread::park_timeout(Duration::from_millis(50));
        }
    }

    /// Sends something to a path of a replica's webhooks as any Pod can, and returns the response.
    pub fn forge_at(&self, replica: &LabReplica, path: &str, body: &str) -> String {
        let bundle = self.field("mutatingwebhookconfiguration/tidewaiter", ".webhooks[0].clientConfig.caBundle");
        let address = (replica.address, 8443).into();
        stranger::post(address, "tidewaiter.tidewaiter-system.svc", &bundle, path, body)
    }

    /// Who leads, by the Lease.
    pub fn leader(&self) -> String {
        self.admin(&["get", "lease", "tidewaiter", "-n", SYSTEM, "-o", "jsonpath={.spec.holderIdentity}"]).ok()
    }

    /// Whether the Service leads to a replica, from when this returns on.
    #[track_caller]
    pub fn serve_by(&self, replica: &LabReplica, does: bool) {
        let value = if does { "server" } else { "nobody" };
        let label = format!("app.kubernetes.io/component={value}");
        self.admin(&["label", "pod", "-n", SYSTEM, "--overwrite", &replica.name, &label]).ok();
        self.wait_for_endpoint(replica.address, does);
    }

    /// Deletes a replica's Pod, as a rollout or a drain does, from the API server.
    #[track_caller]
    pub fn delete_pod_of(&self, replica: &LabReplica) {
        self.admin(&["delete", "pod", "-n", SYSTEM, &replica.name, "--wait=false"]).ok();
    }

    #[track_caller]
    fn wait_for_endpoint(&self, address: IpAddr, is_there: bool) {
        let list = ["get", "endpointslices", "-n", SYSTEM, "-o", "jsonpath={.items[*].endpoints[*].addresses[*]}"];
        eventually("the Service leads where it should", PATIENCE, || {
            let all = self.admin(&list).ok();
            (all.split_whitespace().any(|one| one == address.to_string()) == is_there).then_some(())
        });
    }

    #[track_caller]
    fn pod_of_replica(&self, name: &str) -> IpAddr {
        let labels = json!({"app.kubernetes.io/component": "server"});
        // The Service names its port.
        let ports = json!([{"name": "webhook", "containerPort": 8443}]);
        let container = json!({"name": "c", "image": "tidewaiter:0.1.0", "ports": ports});
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": SYSTEM, "labels": labels},
            "spec": {"containers": [container]}});
        self.cluster.apply(&pod.to_string()).ok();
        let address = eventually("the Pod has an address", PATIENCE, || {
            self.admin(&["get", "pod", "-n", SYSTEM, name, "-o", "jsonpath={.status.podIP}"]).ok().parse().ok()
        });
        self.wait_for_endpoint(address, true);
        address
    }
}

impl LabReplica {
    fn spawn(&self, mut command: Command) -> Server {
        let log = fs::File::options().create(true).append(true).open(&self.log).unwrap();
        Server(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap())
    }

    /// The database file that it reads.
    pub fn database(&self) -> PathBuf {
        self.pod.volume().join("db/tidewaiter.db")
    }

    /// What server and scanner have logged.
    pub fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// GET of a path of a port: status and text; status 0 without a response.
    pub fn get(&self, port: u16, path: &str) -> (u16, String) {
        super::get((self.address, port).into(), path)
    }

    /// Whether it leads, as its metrics say.
    pub fn leads(&self) -> bool {
        self.get(9090, "/metrics").1.lines().any(|line| line == "tidewaiter_leader 1")
    }

    /// Kills server and scanner, as a lost node would.
    pub fn kill(&mut self) {
        self.server = None;
        self.scanner = None;
    }

    /// Sends a signal to the server's process, such as `-TERM`.
    #[track_caller]
    pub fn signal(&self, signal: &str) {
        let id = self.server.as_ref().unwrap_or_else(|| panic!("{} does not run", self.name)).0.id();
        run(Command::new("kill").args([signal, &id.to_string()])).ok();
    }

    /// Waits until the server's process has ended by itself; returns its exit code.
    #[track_caller]
    pub fn ended(&mut self) -> Option<i32> {
        let server = self.server.as_mut().unwrap_or_else(|| panic!("it does not run"));
        let status = eventually("the server has ended", PATIENCE, || server.0.try_wait().unwrap());
        status.code()
    }
}

/// What audit logs name of a token: its `jti`.
fn credential(token: &str) -> String {
    use base64::Engine as _;
    let payload = token.split('.').nth(1).unwrap_or_default();
    let payload = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload).unwrap();
    let claims: serde_json::Value = serde_json::from_slice(&payload).unwrap();
    format!("JTI={}", claims["jti"].as_str().unwrap())
}
