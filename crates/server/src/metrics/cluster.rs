//! What is true at the moment of a scrape: workloads by their statuses, and since when those wait that are held.

use super::{Labels, labels};
use crate::store::StoreSpace;
use jiff::Timestamp;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use std::collections::HashMap;
use tidewaiter_core::status::{DeploymentStatus, ImageStatus};
use tidewaiter_crd::WorkloadScan;

/// Gauges that are set before each scrape. Their labels are namespaces and statuses, never names of workloads: the number of
/// series follows the number of namespaces.
#[derive(Debug, Clone, Default)]
pub(super) struct ClusterGauges {
    workloads: Family<Labels, Gauge>,
    held_since: Family<Labels, Gauge>,
    waiting: Gauge,
    store_used: Family<Labels, Gauge>,
    store_available: Family<Labels, Gauge>,
}

/// What the gauges show.
#[derive(Debug, Default)]
pub(crate) struct ClusterMoment {
    /// Workloads by namespace and statuses.
    pub(crate) workloads: WorkloadCounts,
    /// Scans that wait for their turn.
    pub(crate) waiting_scans: usize,
    pub(crate) store: StoreSpace,
}

/// Workloads by namespace and statuses.
pub(crate) type WorkloadCounts = HashMap<(String, DeploymentStatus, ImageStatus), WorkloadCount>;

/// The workloads of one namespace with the same statuses.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct WorkloadCount {
    number: i64,
    /// When the first of them got these statuses.
    oldest: Option<Timestamp>,
}

impl ClusterGauges {
    pub(super) fn register(&self, registry: &mut Registry) {
        let text = "Workloads by namespace, deployment status and image status";
        registry.register("workloads", text, self.workloads.clone());
        let text = "Unix time since when the oldest workload of a namespace is held with this deployment status";
        registry.register("held_since_timestamp_seconds", text, self.held_since.clone());
        registry.register("scans_waiting", "Scans that wait for their turn", self.waiting.clone());
        let text = "Bytes of the files with reports and inventories";
        registry.register("store_bytes", text, self.store_used.clone());
        let text = "Free bytes of the volume with reports and inventories";
        registry.register("store_available_bytes", text, self.store_available.clone());
    }

    pub(super) fn set(&self, moment: &ClusterMoment) {
        self.workloads.clear();
        self.held_since.clear();
        for ((namespace, deployment, image), count) in &moment.workloads {
            let (deployment_text, image) = (deployment.to_string(), image.to_string());
            let place = [("namespace", namespace.as_str()), ("deployment_status", &deployment_text)];
            let all = labels(&[place[0], place[1], ("image_status", &image)]);
            self.workloads.get_or_create(&all).set(count.number);
            if let Some(oldest) = count.oldest.filter(|_| is_held(*deployment)) {
                self.lower_held_since(&labels(&place), oldest.as_second());
            }
        }
        self.waiting.set(i64::try_from(moment.waiting_scans).unwrap_or(i64::MAX));
        set_bytes(&self.store_used, moment.store.used);
        set_bytes(&self.store_available, moment.store.available);
    }

    fn lower_held_since(&self, place: &Labels, seconds: i64) {
        let gauge = self.held_since.get_or_create(place);
        let known = gauge.get();
        if known == 0 || seconds < known {
            gauge.set(seconds);
        }
    }
}

/// Sets a gauge, or removes it where its value cannot be told.
fn set_bytes(gauge: &Family<Labels, Gauge>, bytes: Option<u64>) {
    gauge.clear();
    if let Some(bytes) = bytes {
        gauge.get_or_create(&Labels::new()).set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }
}

/// Counts records by namespace and statuses.
pub(crate) fn count<'a>(records: impl Iterator<Item = &'a WorkloadScan>) -> WorkloadCounts {
    let mut counts = WorkloadCounts::new();
    for record in records {
        let (Some(namespace), Some(status)) = (&record.metadata.namespace, &record.status) else { continue };
        let key = (namespace.clone(), status.deployment_status, status.image_status);
        let count = counts.entry(key).or_default();
        count.number += 1;
        let since = status.transitions.last().and_then(|last| last.time.timestamp());
        count.oldest = [count.oldest, since].into_iter().flatten().min();
    }
    counts
}

fn is_held(status: DeploymentStatus) -> bool {
    use DeploymentStatus as Status;
    match status {
        Status::Created | Status::Blocked | Status::PendingApproval => true,
        Status::NotCreated | Status::RollingOut | Status::Deployed => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;
    use serde_json::json;

    fn record(namespace: &str, deployment: &str, image: &str, since: &str) -> WorkloadScan {
        let transition = json!({"time": since, "imageStatus": image, "deploymentStatus": deployment});
        serde_json::from_value(json!({"metadata": {"name": "r", "namespace": namespace},
            "spec": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d", "uid": "u"},
            "status": {"imageStatus": image, "deploymentStatus": deployment, "transitions": [transition]}}))
        .unwrap()
    }

    #[test]
    fn a_scrape_tells_what_is_held_and_since_when() {
        let metrics = Metrics::new();
        let check = |records: &[WorkloadScan], expected: &[&str]| {
            let moment = ClusterMoment { workloads: count(records.iter()), ..ClusterMoment::default() };
            metrics.set_cluster(&moment);
            let text = metrics.text(None, None);
            let shown = |line: &&str| {
                line.starts_with("tidewaiter_workloads{") || line.contains("held_since_timestamp_seconds{")
            };
            let mut lines: Vec<&str> = text.lines().filter(shown).collect();
            lines.sort_unstable();
            assert_eq!(lines, expected);
        };
        let blocked = |since: &str| record("a", "Blocked", "VulnerabilitiesFound", since);
        check(
            &[
                blocked("1970-01-01T00:02:00Z"),
                blocked("1970-01-01T00:01:40Z"),
                record("a", "Blocked", "ScanFailed", "1970-01-01T00:03:00Z"),
                record("b", "Deployed", "Approved", "1970-01-01T00:00:01Z"),
            ],
            &[
                r#"tidewaiter_held_since_timestamp_seconds{namespace="a",deployment_status="Blocked"} 100"#,
                r#"tidewaiter_workloads{namespace="a",deployment_status="Blocked",image_status="ScanFailed"} 1"#,
                r#"tidewaiter_workloads{namespace="a",deployment_status="Blocked",image_status="VulnerabilitiesFound"} 2"#,
                r#"tidewaiter_workloads{namespace="b",deployment_status="Deployed",image_status="Approved"} 1"#,
            ],
        );
        // What is gone is gone from the metrics, too.
        check(&[], &[]);
        // A time that a person wrote into a record.
        let text = r#"tidewaiter_workloads{namespace="a",deployment_status="Created",image_status="NotScanned"} 1"#;
        check(&[record("a", "Created", "NotScanned", "yesterday")], &[text]);
    }
}
