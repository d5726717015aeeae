//! Workloads as people name them, and what is recorded of them.

use crate::cluster::Cluster;
use crate::exit::UsageError;
use anyhow::{Context as _, Result, bail};
use k8s_openapi::api::apps::v1::Deployment;
use kube::core::PartialObjectMeta;
use kube::{Api, ResourceExt as _};
use std::fmt;
use tidewaiter_crd::WorkloadScan;

/// `deployment/myapp`: kind and name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Workload<'a> {
    /// As Kubernetes spells it.
    pub(crate) kind: &'static str,
    pub(crate) name: &'a str,
}

/// What kubectl calls each kind.
const KINDS: [(&str, [&str; 3]); 6] = [
    ("Deployment", ["deployment", "deployments", "deploy"]),
    ("ReplicaSet", ["replicaset", "replicasets", "rs"]),
    ("StatefulSet", ["statefulset", "statefulsets", "sts"]),
    ("DaemonSet", ["daemonset", "daemonsets", "ds"]),
    ("Job", ["job", "jobs", "job"]),
    ("Pod", ["pod", "pods", "po"]),
];

impl<'a> Workload<'a> {
    /// Reads `KIND/NAME`; a name alone is a Deployment's.
    pub(crate) fn parse(text: &'a str) -> Result<Self, UsageError> {
        let Some((kind, name)) = text.split_once('/') else { return Ok(Workload { kind: "Deployment", name: text }) };
        match KINDS.iter().find(|(_, words)| words.contains(&kind)) {
            Some((kind, _)) if !name.is_empty() => Ok(Workload { kind, name }),
            _ => Err(UsageError(format!("{text} names no workload; give KIND/NAME, for example deployment/{name}"))),
        }
    }

    /// What is recorded of it.
    pub(crate) async fn find(&self, cluster: &Cluster) -> Result<WorkloadScan> {
        let found = match self.kind {
            "Deployment" => match self.deployment(cluster).await? {
                Some(found) => cluster.workload(self.kind, self.name, &found.uid().unwrap_or_default()).await?,
                None => bail!("{self} does not exist in namespace {}; check the name and -n", cluster.namespace),
            },
            _ => self.recorded(cluster).await?,
        };
        found.with_context(|| {
            format!(
                "nothing is recorded of {self}: it does not exist, its namespace {} is excluded, or the server is not \
                 running (kubectl -n tidewaiter-system get pods)",
                cluster.namespace
            )
        })
    }

    /// The Deployment of this name; its metadata is all that is asked for.
    pub(crate) async fn deployment(&self, cluster: &Cluster) -> Result<Option<PartialObjectMeta<Deployment>>> {
        let api: Api<Deployment> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
        api.get_metadata_opt(self.name).await.with_context(|| format!("reading {self}"))
    }

    /// The newest record of this kind and name.
    pub(crate) async fn recorded(&self, cluster: &Cluster) -> Result<Option<WorkloadScan>> {
        let all = cluster.workloads(false).await?.into_iter();
        let mine = all.filter(|w| w.spec.kind.as_str() == self.kind && w.spec.name == self.name);
        Ok(mine.max_by_key(|w| w.metadata.creation_timestamp.clone()))
    }
}

impl fmt::Display for Workload<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind.to_ascii_lowercase(), crate::render::printable(self.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workloads_are_named_as_kubectl_names_them() {
        let check = |text: &str, expected: Option<(&str, &str)>| {
            assert_eq!(Workload::parse(text).ok().map(|w| (w.kind, w.name)), expected, "{text}");
        };
        check("myapp", Some(("Deployment", "myapp")));
        check("deploy/myapp", Some(("Deployment", "myapp")));
        check("po/x", Some(("Pod", "x")));
        check("sts/x", Some(("StatefulSet", "x")));
        check("pod/", None);
        check("service/x", None);
    }
}
