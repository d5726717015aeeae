//! The users of a cluster, with the roles that Kubernetes ships: none of them is its administrator.

use crate::cluster::ClusterFixture;
use std::path::{Path, PathBuf};

/// The namespace of their accounts, in which they have no rights.
const HOME: &str = "people";

/// A developer, who may `edit` namespaces, and their lead, who is their `admin`.
#[derive(Debug)]
pub struct People {
    developer: PathBuf,
    lead: PathBuf,
}

impl People {
    /// Makes both accounts, and binds them in namespace `default`.
    pub fn new(cluster: &ClusterFixture) -> Self {
        cluster.kubectl(&["create", "namespace", HOME]).ok();
        let account = |name: &str| {
            cluster.kubectl(&["create", "serviceaccount", "-n", HOME, name]).ok();
            cluster.service_account(HOME, name)
        };
        let people = People { developer: account("developer"), lead: account("lead") };
        people.join(cluster, "default");
        people.work_in(cluster, "default");
        people
    }

    /// Binds both in a namespace.
    #[track_caller]
    pub fn join(&self, cluster: &ClusterFixture, namespace: &str) {
        for (name, role) in [("developer", "edit"), ("lead", "admin")] {
            let (role, account) = (format!("--clusterrole={role}"), format!("--serviceaccount={HOME}:{name}"));
            cluster.kubectl(&["create", "rolebinding", name, "-n", namespace, &role, &account]).ok();
        }
    }

    /// Makes a namespace the current one of their kubeconfigs.
    #[track_caller]
    pub fn work_in(&self, cluster: &ClusterFixture, namespace: &str) {
        let administrator = cluster.kubeconfig();
        for config in [&self.developer, &self.lead, &administrator] {
            let mut command = cluster.kubectl_command();
            command.env("KUBECONFIG", config).args(["config", "set-context", "--current"]);
            crate::cluster::run(command.arg(format!("--namespace={namespace}"))).ok();
        }
    }

    /// The developer's kubeconfig.
    pub fn developer(&self) -> &Path {
        &self.developer
    }

    /// The lead's kubeconfig.
    pub fn lead(&self) -> &Path {
        &self.lead
    }
}
