//! Workloads as kubectl names them, and their WorkloadScans.

use crate::built_in::{BuiltInKind, PartialPodSpec};
use crate::cluster::Cluster;
use crate::cron_run;
use crate::exit::UsageError;
use anyhow::{Context as _, Result, bail};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt as _;
use kube::api::DynamicObject;
use std::collections::BTreeSet;
use std::fmt;
use tidewaiter_crd::names::HELD;
use tidewaiter_crd::{WorkloadKind, WorkloadScan};

/// Kind and name of a workload: `deployment/myapp`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WorkloadName<'a> {
    /// As Kubernetes spells it; a kind that is not known here as the user spells it.
    pub(crate) kind: &'a str,
    pub(crate) name: &'a str,
}

/// The kind that is meant where none is given.
pub(crate) const DEPLOYMENT: &str = "Deployment";

/// The kind whose Jobs have its record.
const CRON_JOB: &str = "CronJob";
/// A kind that is held as an object, too.
const JOB: &str = "Job";

/// Each kind, with the names and short names that kubectl knows. Any other kind may own Pods, too.
const KINDS: [(&str, [&str; 3]); 8] = [
    ("Deployment", ["deployment", "deployments", "deploy"]),
    ("ReplicaSet", ["replicaset", "replicasets", "rs"]),
    ("StatefulSet", ["statefulset", "statefulsets", "sts"]),
    ("DaemonSet", ["daemonset", "daemonsets", "ds"]),
    ("Job", ["job", "jobs", "job"]),
    ("CronJob", ["cronjob", "cronjobs", "cj"]),
    ("ReplicationController", ["replicationcontroller", "replicationcontrollers", "rc"]),
    ("Pod", ["pod", "pods", "po"]),
];

impl<'a> WorkloadName<'a> {
    /// Parses `KIND/NAME`; a name without a kind is a Deployment's.
    pub(crate) fn parse(text: &'a str) -> Result<Self, UsageError> {
        let Some((kind, name)) = text.split_once('/') else {
            return Ok(WorkloadName { kind: DEPLOYMENT, name: text });
        };
        if kind.is_empty() || name.is_empty() {
            return Err(UsageError(format!("{text} is not a workload; give KIND/NAME, for example deployment/myapp")));
        }
        Ok(known_kind(kind).map_or(WorkloadName { kind, name }, |kind| WorkloadName { kind, name }))
    }

    /// Whether the kind is one that Kubernetes defines.
    pub(crate) fn is_known(&self) -> bool {
        KINDS.iter().any(|(kind, _)| *kind == self.kind)
    }

    /// Its WorkloadScan, if there is one.
    pub(crate) async fn record(&self, cluster: &Cluster) -> Result<Option<WorkloadScan>> {
        if self.kind != DEPLOYMENT {
            return self.newest_scan(cluster).await;
        }
        match self.deployment(cluster).await?.and_then(|found| found.uid) {
            Some(uid) => cluster.deployment_record(self.name, &uid).await,
            None => Ok(None),
        }
    }

    /// The Pods' spec in its template, of the kinds that have one which may change.
    pub(crate) async fn template(&self, cluster: &Cluster) -> Result<Option<PartialPodSpec>> {
        let kind = match self.kind {
            DEPLOYMENT => BuiltInKind::Deployment,
            "StatefulSet" => BuiltInKind::StatefulSet,
            "DaemonSet" => BuiltInKind::DaemonSet,
            CRON_JOB => BuiltInKind::CronJob,
            _ => return Ok(None),
        };
        match self.get(cluster, kind).await? {
            Some(found) => kind.pod_spec(&found).with_context(|| format!("reading {self}")),
            None => Ok(None),
        }
    }

    async fn get(&self, cluster: &Cluster, kind: BuiltInKind) -> Result<Option<DynamicObject>> {
        let api = kind.api(&cluster.client, Some(&cluster.namespace));
        api.get_opt(self.name).await.with_context(|| format!("reading {self}"))
    }

    /// Reads its WorkloadScan, which must be there.
    pub(crate) async fn find(&self, cluster: &Cluster) -> Result<WorkloadScan> {
        if self.kind == DEPLOYMENT && self.deployment(cluster).await?.is_none() {
            bail!("{self} does not exist in namespace {}; check the name and -n", cluster.namespace);
        }
        self.record(cluster).await?.with_context(|| {
            format!(
                "{self} has no WorkloadScan: it does not exist, its namespace {} is excluded, or the server is not \
                 running (kubectl -n tidewaiter-system get pods)",
                cluster.namespace
            )
        })
    }

    /// The revision that it is held for: admission notes it in the request that changes the template, before any record says
    /// so.
    pub(crate) async fn held_for(&self, cluster: &Cluster) -> Result<Option<String>> {
        let metadata = match self.kind {
            DEPLOYMENT => self.deployment(cluster).await?,
            JOB => self.metadata(cluster, BuiltInKind::Job).await?,
            CRON_JOB => self.metadata(cluster, BuiltInKind::CronJob).await?,
            _ => None,
        };
        Ok(metadata.and_then(|metadata| metadata.annotations?.remove(HELD)))
    }

    async fn metadata(&self, cluster: &Cluster, kind: BuiltInKind) -> Result<Option<ObjectMeta>> {
        let api = kind.api(&cluster.client, Some(&cluster.namespace));
        let found = api.get_metadata_opt(self.name).await.with_context(|| format!("reading {self}"))?;
        Ok(found.map(|found| found.metadata))
    }

    /// The images of its current template.
    pub(crate) async fn images(&self, cluster: &Cluster) -> Result<BTreeSet<String>> {
        let status = self.find(cluster).await?.status.unwrap_or_default();
        let revision = status.current_revision().cloned().unwrap_or_default();
        Ok(revision.containers.into_values().map(|c| c.image).collect())
    }

    /// Reads the metadata of the Deployment of this name.
    pub(crate) async fn deployment(&self, cluster: &Cluster) -> Result<Option<ObjectMeta>> {
        self.metadata(cluster, BuiltInKind::Deployment).await
    }

    /// Reads the newest WorkloadScan of this kind and name: one of a deleted namesake may not be collected yet. A Job that is a
    /// run of a CronJob has that one's, as it is about the run.
    pub(crate) async fn newest_scan(&self, cluster: &Cluster) -> Result<Option<WorkloadScan>> {
        let all = cluster.workloads(false).await?;
        let mine = all.iter().filter(|w| is_kind(&w.spec.kind, self.kind) && w.spec.name == self.name);
        let newest = mine.max_by_key(|w| w.metadata.creation_timestamp.clone());
        if newest.is_some() || self.kind != JOB {
            return Ok(newest.cloned());
        }
        let Some(job) = self.get(cluster, BuiltInKind::Job).await? else {
            return Ok(None);
        };
        let owners = job.owner_references();
        let is_owner = |w: &WorkloadScan| owners.iter().any(|o| o.kind == CRON_JOB && o.uid == w.spec.uid);
        match all.into_iter().find(is_owner) {
            Some(record) => Ok(Some(cron_run::record_of(cluster, record, &job).await?)),
            None => Ok(None),
        }
    }
}

fn known_kind(word: &str) -> Option<&'static str> {
    let word = word.to_ascii_lowercase();
    KINDS.iter().find(|(_, words)| words.contains(&word.as_str())).map(|(kind, _)| *kind)
}

/// Whether a user's word is a kind: `Cluster`, `cluster`, and with the group as kubectl accepts it (`cluster.postgresql.cnpg.io`).
fn is_kind(kind: &WorkloadKind, word: &str) -> bool {
    word.split('.').next().is_some_and(|word| kind.as_str().eq_ignore_ascii_case(word))
}

impl fmt::Display for WorkloadName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind.to_ascii_lowercase(), crate::terminal::printable(self.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workloads_are_named_as_kubectl_names_them() {
        let check = |text: &str, expected: Option<(&str, &str)>| {
            assert_eq!(WorkloadName::parse(text).ok().map(|w| (w.kind, w.name)), expected, "{text}");
        };
        check("myapp", Some(("Deployment", "myapp")));
        check("deploy/myapp", Some(("Deployment", "myapp")));
        check("po/x", Some(("Pod", "x")));
        check("sts/x", Some(("StatefulSet", "x")));
        check("StatefulSet/x", Some(("StatefulSet", "x")));
        check("cj/x", Some(("CronJob", "x")));
        check("rc/x", Some(("ReplicationController", "x")));
        // An operator's own kind may own Pods.
        check("cluster/pg", Some(("cluster", "pg")));
        check("pod/", None);
        check("/x", None);
    }

    #[test]
    fn kinds_of_others_are_found_by_any_spelling() {
        let check = |word: &str, expected: bool| assert_eq!(is_kind(&"Cluster".into(), word), expected, "{word}");
        check("cluster", true);
        check("Cluster", true);
        check("cluster.postgresql.cnpg.io", true);
        check("clusters", false);
        check("", false);
    }
}
