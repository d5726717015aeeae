//! Users without an administrator's rights.

use crate::lab;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use tidewaiter_testkit::cluster::run;
use tidewaiter_testkit::demo::{clean, vulnerable};
use tidewaiter_testkit::lab::{Lab, PATIENCE};

/// The roles that Kubernetes ships are enough for everything a developer does.
#[test]
fn a_developer_reads_reports() {
    let lab = lab();
    let bad = lab.registry.push("bad", "v1", &vulnerable().build());
    let said = lab.kubectl(&["scan", "image", &bad]);
    assert_eq!(said.code, 1, "{}", said.text);
    assert!(
        said.text.contains("CVE-2022-1292   openssl") && said.text.contains("3 critical, 5 medium"),
        "{}",
        said.text
    );
    let said = lab.kubectl(&["scan", "report", &bad, "-o", "json"]).ok();
    assert!(said.contains("CVE-2022-1292"), "{said}");
    // They reach nothing in the server's namespace: no port of its Service.
    let proxy = "/api/v1/namespaces/tidewaiter-system/services";
    for path in
        ["https:tidewaiter:443/proxy/pods", "http:tidewaiter:9090/proxy/metrics", "http:tidewaiter:8080/proxy/readyz"]
    {
        let said = lab.kubectl(&["get", "--raw", &format!("{proxy}/{path}")]).refused();
        assert!(said.contains("forbidden"), "{path}: {said}");
    }
    let metrics = lab.admin(&["get", "--raw", &format!("{proxy}/http:tidewaiter:9090/proxy/metrics")]).ok();
    assert!(metrics.contains("tidewaiter_scans"), "{metrics}");
}

/// Who may scan, and read no reports, reads the verdict, as text and as exit code.
#[test]
fn a_verdict_without_its_report() {
    let lab = lab();
    let bad = lab.registry.push("bad", "v1", &vulnerable().build());
    let verbs = "--verb=get,list,watch,create,update,patch";
    lab.admin(&["create", "clusterrole", "scans", verbs, "--resource=imagescans.tidewaiter.dev"]).ok();
    lab.admin(&["create", "serviceaccount", "pipeline", "-n", "default"]).ok();
    let account = lab.cluster.service_account("default", "pipeline");
    let read = ["--verb=get,list", "--resource=workloadscans.tidewaiter.dev"];
    lab.admin(&[&["create", "clusterrole", "workloads"], &read[..]].concat()).ok();
    let subject = "--serviceaccount=default:pipeline";
    for role in ["scans", "workloads"] {
        let role = (role, format!("--clusterrole={role}"));
        lab.admin(&["create", "rolebinding", role.0, "-n", "default", &role.1, subject]).ok();
    }
    let kubectl = |args: &[&str]| run(lab.kubectl_command().env("KUBECONFIG", &account).args(args));
    let said = kubectl(&["scan", "image", &bad]);
    assert_eq!(said.code, 1, "{}", said.text);
    for word in ["only its summary", "the role view", "3 critical, 5 medium", "CVE-2022-1292"] {
        assert!(said.text.contains(word), "{word}: {}", said.text);
    }
    assert!(!said.text.contains("Status {"), "{}", said.text);
    let said = kubectl(&["scan", "report", &bad]);
    assert_eq!(said.code, 3, "{}", said.text);
    assert!(said.text.contains("the report cannot be read") && !said.text.contains("Status {"), "{}", said.text);
}

/// A report that a newer scan replaces during the request: the newer one is shown.
#[test]
fn a_report_that_is_replaced_meanwhile() {
    let lab = lab();
    let image = lab.registry.push("good", "v1", &clean().build());
    lab.kubectl(&["scan", "image", &image]).ok();
    let between = ReplacingProxy::new(&lab);
    let said = std::thread::scope(|scope| {
        scope.spawn(|| between.serve(&lab));
        let said =
            run(lab.kubectl_command().env("KUBECONFIG", between.kubeconfig(&lab)).args(["scan", "report", &image]));
        between.stop();
        said
    });
    assert!(between.replaced.load(Ordering::SeqCst), "no report was asked for: {}", said.text);
    assert_eq!(said.code, 0, "{}", said.text);
    assert!(said.text.contains("No vulnerabilities found"), "{}", said.text);
}

/// `kubectl proxy` with a listener in front, which lets a newer scan replace the report before the first question about it.
struct ReplacingProxy {
    listener: TcpListener,
    kubectl: Child,
    /// Address of `kubectl proxy`.
    behind: String,
    replaced: AtomicBool,
    stopped: AtomicBool,
}

impl Drop for ReplacingProxy {
    fn drop(&mut self) {
        let _ = self.kubectl.kill();
        let _ = self.kubectl.wait();
    }
}

impl ReplacingProxy {
    fn new(lab: &Lab) -> Self {
        let mut command = lab.kubectl_command();
        let mut kubectl = command.args(["proxy", "--port=0"]).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(kubectl.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let behind = line.trim().rsplit(' ').next().unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (replaced, stopped) = (AtomicBool::new(false), AtomicBool::new(false));
        ReplacingProxy { listener, kubectl, behind, replaced, stopped }
    }

    fn kubeconfig(&self, lab: &Lab) -> PathBuf {
        let path = lab.cluster.dir().join("between.kubeconfig");
        let address = self.listener.local_addr().unwrap();
        let config = format!(
            r#"{{"apiVersion":"v1","kind":"Config","current-context":"c","clusters":[{{"name":"c","cluster":{{"server":
            "http://{address}"}}}}],"users":[{{"name":"u","user":{{}}}}],"contexts":[{{"name":"c","context":{{"cluster":"c",
            "user":"u","namespace":"default"}}}}]}}"#
        );
        fs::write(&path, config).unwrap();
        path
    }

    fn serve(&self, lab: &Lab) {
        for client in self.listener.incoming() {
            if self.stopped.load(Ordering::SeqCst) {
                return;
            }
            self.pass_on(lab, client.unwrap());
        }
    }

    fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(self.listener.local_addr().unwrap()));
    }

    /// One request of a connection.
    fn pass_on(&self, lab: &Lab, mut client: TcpStream) {
        let mut reader = BufReader::new(client.try_clone().unwrap());
        let (mut head, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap() == 0 {
                return;
            }
            let lower = line.to_ascii_lowercase();
            if let Some(value) = lower.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if line.trim().is_empty() {
                break;
            }
            // The end of the response is the end of the connection.
            if !lower.starts_with("connection:") {
                head += &line;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        if head.starts_with("POST") && head.contains("/imagereports") && !self.replaced.swap(true, Ordering::SeqCst) {
            replace(lab);
        }
        let mut server = TcpStream::connect(&self.behind).unwrap();
        server.write_all(format!("{head}Connection: close\r\n\r\n").as_bytes()).unwrap();
        server.write_all(&body).unwrap();
        std::io::copy(&mut server, &mut client).unwrap();
    }
}

/// Has the report replaced by that of a newer scan.
fn replace(lab: &Lab) {
    let key = || lab.field("imagescans", ".items[0].status.platforms[0].reportKey");
    let (old, scan) = (key(), lab.field("imagescans", ".items[0].metadata.name"));
    lab.kubectl(&["patch", "imagescan", &scan, "--type=merge", "-p", r#"{"spec":{"rescan":"now"}}"#]).ok();
    crate::within(PATIENCE, "another report", || !key().is_empty() && key() != old);
}
