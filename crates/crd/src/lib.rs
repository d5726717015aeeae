//! Custom resources, labels and annotations that users and the server write in a cluster.
//!
//! ```text
//! user → ImageScan, RolloutApproval, ClusterScanPolicy, ScanPolicy, ScanException → server → status, WorkloadScan, ImageAllowlist → API server
//! user → ImageReport → server → the same ImageReport → user
//! ```
//!
//! Types only: this crate holds no client and decides nothing.

pub mod alert;
pub mod allowlist;
pub mod approval;
pub mod condition;
pub mod exception;
pub mod image_report;
pub mod image_scan;
pub mod infrastructure;
pub mod names;
pub mod namespace;
pub mod policy;
pub mod scan_policy;
mod schema;
pub mod time;
pub mod workload_kind;
pub mod workload_scan;

pub use allowlist::ImageAllowlist;
pub use approval::RolloutApproval;
pub use exception::ScanException;
pub use image_report::ImageReport;
pub use image_scan::ImageScan;
pub use namespace::{ChosenNamespace, NamespaceSelector};
pub use policy::ClusterScanPolicy;
pub use scan_policy::ScanPolicy;
pub use time::ObjectTime;
pub use workload_kind::WorkloadKind;
pub use workload_scan::WorkloadScan;

use kube::CustomResourceExt;

/// All definitions, in the order in which they are installed.
pub fn all() -> Vec<k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition> {
    vec![
        ImageScan::crd(),
        WorkloadScan::crd(),
        RolloutApproval::crd(),
        ClusterScanPolicy::crd(),
        ScanPolicy::crd(),
        ScanException::crd(),
        ImageAllowlist::crd(),
        image_report::definition(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidewaiter_core::finding::Counts;

    #[test]
    fn every_definition_has_the_same_group_and_version() {
        for crd in all() {
            assert_eq!(crd.spec.group, names::GROUP);
            assert_eq!(crd.spec.versions.iter().map(|v| v.name.as_str()).collect::<Vec<_>>(), ["v1alpha1"]);
        }
    }

    #[test]
    fn an_approval_cannot_be_changed() {
        let text = serde_json::to_string(&RolloutApproval::crd()).expect("a definition is JSON");
        assert!(text.contains("self.spec == oldSelf.spec"), "{text}");
    }

    #[test]
    fn the_schema_of_counts_names_every_field() {
        let counts = serde_json::to_value(Counts::default()).expect("counts are JSON");
        let schema = serde_json::to_value(ImageScan::crd()).expect("a definition is JSON");
        let pointer = "/spec/versions/0/schema/openAPIV3Schema/properties/status/properties/counts/properties";
        let described = schema.pointer(pointer).and_then(|p| p.as_object()).expect("counts have a schema");
        let mut fields: Vec<&String> = counts.as_object().expect("an object").keys().collect();
        let mut known: Vec<&String> = described.keys().collect();
        fields.sort();
        known.sort();
        assert_eq!(known, fields);
    }
}
