//! A cluster in which an earlier version was installed, and its upgrade.

use super::{Lab, Places, Server, Stands, install_script, shell};
use crate::cluster::{ClusterFixture, Said, run};
use crate::earlier::EarlierVersion;
use crate::program_image::USER;
use nix::unistd::{Gid, Uid, chown};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// Of the server before the upgrade: in the network of this lab, as the addresses of its Pod are after it.
const LISTEN: &str = "127.0.0.1:8080";
const WEBHOOK_LISTEN: &str = "127.0.0.1:8443";

/// As the README of that version says it.
const INSTALL: &str = "
kubectl apply -f deploy/crds.yaml
kubectl wait --for=condition=Established crd --all --timeout=30s
kubectl apply -f deploy/
kubectl -n tidewaiter-system set image deployment/tidewaiter '*=registry.example/tidewaiter:0.1.0'
";

impl Lab {
    /// A cluster in which an earlier version was installed from its manifests, with the database that its own program builds, before
    /// its server is started.
    ///
    /// # Panics
    /// Where the server is not confined.
    pub fn of_earlier(places: Places, version: &EarlierVersion) -> Self {
        let install = |cluster: &ClusterFixture, places: &Places| {
            let folder = version.deploy();
            shell(cluster, places, folder.parent().unwrap(), INSTALL).ok();
        };
        let lab = Lab::installed(places, &install);
        let mut build = Command::new(version.program("kubectl-scan"));
        build.args(["db", "build", "--feeds"]).arg(version.feeds()).arg("--db").arg(lab.database());
        run(&mut build).ok();
        lab.owned_by_server();
        lab
    }

    /// Starts the server of an earlier version, which has one container, over the volume and by the account of the lab, and waits
    /// until it is ready.
    #[track_caller]
    pub fn start_earlier_server(&mut self, version: &EarlierVersion) {
        let mut command = Command::new(version.program("tidewaiter"));
        command.arg("serve").env("KUBECONFIG", self.cluster.service_account("tidewaiter-system", "tidewaiter"));
        command.arg("--db").arg(self.database()).arg("--store").arg(self.volume().join("store"));
        command.args(["--listen", LISTEN, "--webhook-listen", WEBHOOK_LISTEN]);
        command.args(["--webhook-url", &format!("https://{WEBHOOK_LISTEN}")]);
        command.args(["--allow-registry-network", "127.0.0.0/8"]);
        let log = fs::File::options().create(true).append(true).open(self.log()).unwrap();
        let started = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn();
        self.server = Some(Server(started.unwrap()));
        self.until_ready();
    }

    /// Ends the server of an earlier version; what it wrote is then the user's of the Pod, as it would have been from the start.
    pub fn stop_earlier_server(&mut self) {
        self.kill_server();
        self.owned_by_server();
    }

    /// Applies this version's `deploy/` as the README installs it, which is how it is upgraded.
    pub fn apply_manifests(&self) -> Said {
        shell(&self.cluster, &self.places, &self.places.root, &install_script(&self.places))
    }

    /// The folder at `/var/lib/tidewaiter` of the server.
    ///
    /// # Panics
    /// Where the server is not confined.
    pub fn volume(&self) -> &Path {
        match &self.stands {
            Stands::Confined(pod) => pod.volume(),
            Stands::Plain { .. } => panic!("only a confined server has a volume of its own"),
        }
    }

    /// As `fsGroup` and the user of the Pod have it.
    fn owned_by_server(&self) {
        for folder in [self.volume().join("db"), self.volume().join("store")] {
            let files = fs::read_dir(&folder).into_iter().flatten().map(|entry| entry.unwrap().path());
            for path in files.chain([folder.clone()]).filter(|path| path.exists()) {
                chown(&path, Some(Uid::from_raw(USER)), Some(Gid::from_raw(USER))).unwrap();
            }
        }
    }
}
