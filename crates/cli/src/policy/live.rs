//! Judges the workloads of a cluster by their stored reports.

use super::judge::PolicyPair;
use super::labels::{self, LabelsByNamespace};
use super::outcome::{JudgedTarget, UnjudgedTarget};
use super::would_hold::{ScansByImage, by_image, scan_of};
use super::{list_in, policies};
use crate::cluster::{Cluster, StoredReport};
use crate::policy_file::PolicyObjects;
use anyhow::Result;
use futures::stream::{self, StreamExt as _};
use jiff::Timestamp;
use kube::ResourceExt;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use tidewaiter_core::policy::Policy;
use tidewaiter_core::report::Report;
use tidewaiter_crd::policy::criteria_in;
use tidewaiter_crd::scan_policy::tightened;
use tidewaiter_crd::{ImageScan, WorkloadScan};

/// Reports that are read at once: the API server passes each on by a request of its own.
const REQUESTS: usize = 16;

/// The criteria of each namespace, at present and with the new policies.
type CriteriaByNamespace = HashMap<String, (Policy, Policy)>;
/// An image's verdicts by the UID of its scan, or why there are none.
type Judged = HashMap<String, Result<JudgedTarget, String>>;

/// Judges all workloads, or those of a namespace, as if the new policies were applied.
pub(super) async fn judge(
    cluster: &Cluster,
    new: PolicyObjects,
    namespace: Option<&str>,
    now: Timestamp,
) -> Result<(Vec<JudgedTarget>, Vec<UnjudgedTarget>)> {
    let of_namespaces = list_in(cluster, namespace).await?;
    let present = PolicyObjects { of_cluster: policies(cluster).await?, of_namespaces };
    let workloads: Vec<WorkloadScan> = list_in(cluster, namespace).await?;
    let scans: Vec<ImageScan> = list_in(cluster, namespace).await?;
    let names: Vec<String> = namespace.into_iter().map(str::to_owned).collect();
    let asking = present.of_cluster.iter().chain(&new.of_cluster);
    let labels = labels::read(cluster, asking, namespace.map(|_| names.as_slice())).await?;
    let criteria = criteria(&present, new, &workloads, &labels);
    let by_image = by_image(&scans);
    let used = workloads.iter().flat_map(|workload| images(workload, &by_image)).filter_map(|(_, scan)| scan);
    let used: BTreeMap<String, &ImageScan> = used.map(|scan| (scan.uid().unwrap_or_default(), scan)).collect();
    let judged: Judged = stream::iter(used)
        .map(|(uid, scan)| judge_scan(cluster, uid, scan, &criteria, now))
        .buffer_unordered(REQUESTS)
        .collect()
        .await;
    Ok(by_workload(&workloads, &by_image, &judged))
}

/// The present policies with the new ones in place of those of the same name.
fn criteria(
    present: &PolicyObjects,
    new: PolicyObjects,
    workloads: &[WorkloadScan],
    labels: &LabelsByNamespace,
) -> CriteriaByNamespace {
    let after = PolicyObjects {
        of_cluster: replaced(&present.of_cluster, new.of_cluster),
        of_namespaces: replaced(&present.of_namespaces, new.of_namespaces),
    };
    let criteria = |all: &PolicyObjects, namespace: &str| {
        tightened(criteria_in(&all.of_cluster, labels.of(namespace)), &all.of_namespaces, namespace)
    };
    let of = |namespace: String| {
        let pair = (criteria(present, &namespace), criteria(&after, &namespace));
        (namespace, pair)
    };
    let names: BTreeSet<String> = workloads.iter().filter_map(ResourceExt::namespace).collect();
    names.into_iter().map(of).collect()
}

fn replaced<K: ResourceExt + Clone>(present: &[K], new: Vec<K>) -> Vec<K> {
    let is_same = |a: &K, b: &K| (a.namespace(), a.name_any()) == (b.namespace(), b.name_any());
    let kept = present.iter().filter(|policy| !new.iter().any(|new| is_same(new, policy)));
    kept.cloned().collect::<Vec<K>>().into_iter().chain(new).collect()
}

/// The images of a workload's current template, with their scans.
fn images<'a, 'b>(workload: &'a WorkloadScan, scans: &ScansByImage<'b>) -> Vec<(&'a str, Option<&'b ImageScan>)> {
    let namespace = workload.namespace().unwrap_or_default();
    let revision = workload.status.as_ref().and_then(|status| status.current_revision());
    let containers = revision.into_iter().flat_map(|revision| revision.containers.values());
    containers.map(|container| (container.image.as_str(), scan_of(&namespace, container, scans))).collect()
}

/// Reads the reports of a scan, and judges them; parsing and judging are done on another thread.
async fn judge_scan(
    cluster: &Cluster,
    uid: String,
    scan: &ImageScan,
    criteria: &CriteriaByNamespace,
    now: Timestamp,
) -> (String, Result<JudgedTarget, String>) {
    let image = scan.spec.image.clone();
    let Some(status) = scan.status.as_ref().filter(|status| status.verdict.is_some()) else {
        return (uid, Err(format!("its image {image} has no result")));
    };
    let (namespace, name) = (scan.namespace().unwrap_or_default(), scan.name_any());
    let mut texts = Vec::new();
    for platform in &status.platforms {
        let which = StoredReport { namespace: &namespace, image_scan: &name, key: &platform.report_key };
        match cluster.report_text(which).await {
            Ok(text) => texts.push(text),
            Err(why) => return (uid, Err(format!("the report of {image} cannot be read: {why}"))),
        }
    }
    let (before, after) = criteria.get(&namespace).cloned().unwrap_or_default();
    let work = move || {
        let reports = texts.iter().map(|text| Report::all_for_policy(text.as_bytes())).collect::<Result<Vec<_>, _>>();
        let reports =
            reports.map_err(|e| format!("the report of {image} cannot be read: {e}; use the same version"))?;
        let reports: Vec<Report> = reports.into_iter().flatten().collect();
        Ok(PolicyPair::new(&before, &after, now).judge(String::new(), &reports).of_image(&image))
    };
    let judged = tokio::task::spawn_blocking(work).await;
    (uid, judged.unwrap_or_else(|e| Err(e.to_string())))
}

/// Each workload by its worst image; one with an image that could not be judged is not.
fn by_workload(
    workloads: &[WorkloadScan],
    scans: &ScansByImage<'_>,
    judged: &Judged,
) -> (Vec<JudgedTarget>, Vec<UnjudgedTarget>) {
    let (mut all, mut not_judged) = (Vec::new(), Vec::new());
    for workload in workloads {
        let kind = workload.spec.kind.lowercase();
        let target = format!("{}/{kind}/{}", workload.namespace().unwrap_or_default(), workload.spec.name);
        let of_image = |(image, scan): (&str, Option<&ImageScan>)| {
            let known = scan.and_then(|scan| judged.get(&scan.uid().unwrap_or_default()));
            known.cloned().unwrap_or_else(|| Err(format!("its image {image} has no scan")))
        };
        match images(workload, scans).into_iter().map(of_image).collect::<Result<Vec<_>, _>>() {
            Ok(verdicts) => {
                let worst = verdicts.into_iter().reduce(JudgedTarget::with);
                all.extend(worst.map(|worst| worst.named(target)));
            }
            Err(why) => not_judged.push(UnjudgedTarget { target, why }),
        }
    }
    (all, not_judged)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use tidewaiter_core::severity::Severity;
    use tidewaiter_crd::{ClusterScanPolicy, ScanPolicy};

    /// `a` has the label `gate=on`.
    fn labels() -> LabelsByNamespace {
        let mut labels = LabelsByNamespace::default();
        labels.add(serde_json::from_value(json!({"metadata": {"name": "a", "labels": {"gate": "on"}}})).unwrap());
        labels
    }

    #[test]
    fn a_tried_policy_replaces_the_one_of_its_name() {
        let policy = |name: &str, spec: Value| ClusterScanPolicy::new(name, serde_json::from_value(spec).unwrap());
        let own = |namespace: &str, spec: Value| {
            let mut policy = ScanPolicy::new("own", serde_json::from_value(spec).unwrap());
            policy.metadata.namespace = Some(namespace.to_owned());
            policy
        };
        let record = |namespace: &str| -> WorkloadScan {
            serde_json::from_value(json!({"metadata": {"name": "w", "namespace": namespace},
                "spec": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "w", "uid": "1"}}))
            .unwrap()
        };
        let check = |new: ClusterScanPolicy, namespace: &str, before: Severity, after: Severity| {
            let present = [
                policy("default", json!({"blockAt": "HIGH"})),
                policy("own", json!({"blockAt": "LOW", "namespaces": ["b"]})),
            ];
            let present = PolicyObjects {
                of_cluster: present.to_vec(),
                of_namespaces: vec![own("a", json!({"incomplete": "Hold"}))],
            };
            let new = PolicyObjects { of_cluster: vec![new], of_namespaces: vec![] };
            let all = criteria(&present, new, &[record("a"), record("b")], &labels());
            let (old, new) = &all[namespace];
            assert_eq!((old.block_at, new.block_at), (Some(before), Some(after)), "{namespace}");
        };
        let lax = || policy("default", json!({}));
        check(lax(), "a", Severity::High, Severity::Critical);
        check(lax(), "b", Severity::Low, Severity::Low);
        // Another one applies in addition, where it applies.
        check(policy("new", json!({"blockAt": "MEDIUM"})), "a", Severity::High, Severity::Medium);
        check(policy("new", json!({"namespaces": ["a"]})), "a", Severity::High, Severity::Critical);
        check(policy("own", json!({"namespaces": ["c"]})), "b", Severity::Low, Severity::High);
        // By the label of `a`.
        let selecting = |value: &str| json!({"namespaceSelector": {"matchLabels": {"gate": value}}});
        check(policy("new", selecting("on")), "a", Severity::High, Severity::Critical);
        check(policy("new", selecting("off")), "a", Severity::High, Severity::High);
        check(policy("new", selecting("on")), "b", Severity::Low, Severity::Low);
        // That of a namespace makes it stricter, there alone, in place of the one of its name.
        let present = PolicyObjects { of_cluster: vec![], of_namespaces: vec![own("a", json!({"blockAt": "HIGH"}))] };
        let new = |namespace: &str| PolicyObjects {
            of_cluster: vec![],
            of_namespaces: vec![own(namespace, json!({"blockAt": "LOW"}))],
        };
        let severities =
            |all: &CriteriaByNamespace, namespace: &str| (all[namespace].0.block_at, all[namespace].1.block_at);
        let all = criteria(&present, new("a"), &[record("a"), record("b")], &labels());
        assert_eq!(severities(&all, "a"), (Some(Severity::High), Some(Severity::Low)));
        assert_eq!(severities(&all, "b"), (Some(Severity::Critical), Some(Severity::Critical)));
        let all = criteria(&present, new("b"), &[record("a"), record("b")], &labels());
        assert_eq!(severities(&all, "a"), (Some(Severity::High), Some(Severity::High)));
    }
}
