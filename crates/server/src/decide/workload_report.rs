//! What tools that show policy reports are told of a workload: one object next to it, in the API of OpenReports or in that of the
//! policy working group before it, which differ in little.
//!
//! ```text
//! record + ImageScans → scanned_images → reports of the store → image_results → tally → WorkloadReport → object of an API
//! ```
//!
//! Bounded: an image may have ten thousand findings, and etcd holds the objects of the whole cluster.

mod image_results;
mod scanned_images;
mod tally;

pub(crate) use image_results::ReportJudge;
pub(crate) use scanned_images::{RevisionImage, scanned_images};
pub(crate) use tally::{ImageTally, WorstResults};

use super::workload_ref::WorkloadRef;
use crate::settings::PolicyReportsSetting;
use image_results::RuleResult;
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tidewaiter_core::hex;
use tidewaiter_crd::names::{MANAGED_BY, REPORT_CONTENT, RESULTS_LEFT_OUT};

/// Results in one report: mostly 30 KiB, and 400 KiB where every text has its [`image_results::MAX_TEXT`] bytes. etcd accepts
/// objects of 1.5 MiB.
pub(crate) const MAX_RESULTS: usize = 50;

/// Who says it: the `source` of each result.
const SOURCE: &str = "tidewaiter";

/// Bytes of a report's hash, in its annotation: enough to tell two contents of one object apart.
const HASH_BYTES: usize = 16;

/// An API that reports are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum ReportApi {
    /// `openreports.io/v1alpha1`, the successor.
    OpenReports,
    /// `wgpolicyk8s.io/v1alpha2`, as Kyverno installs it.
    PolicyWorkingGroup,
}

impl ReportApi {
    /// Every one.
    pub(crate) const ALL: [ReportApi; 2] = [ReportApi::OpenReports, ReportApi::PolicyWorkingGroup];

    /// `openreports.io`.
    pub(crate) fn group(self) -> &'static str {
        match self {
            ReportApi::OpenReports => "openreports.io",
            ReportApi::PolicyWorkingGroup => "wgpolicyk8s.io",
        }
    }

    /// `v1alpha1`.
    pub(crate) fn version(self) -> &'static str {
        match self {
            ReportApi::OpenReports => "v1alpha1",
            ReportApi::PolicyWorkingGroup => "v1alpha2",
        }
    }

    /// `Report`.
    pub(crate) fn kind(self) -> &'static str {
        match self {
            ReportApi::OpenReports => "Report",
            ReportApi::PolicyWorkingGroup => "PolicyReport",
        }
    }

    /// `reports`.
    pub(crate) fn plural(self) -> &'static str {
        match self {
            ReportApi::OpenReports => "reports",
            ReportApi::PolicyWorkingGroup => "policyreports",
        }
    }

    /// `openreports.io/v1alpha1`.
    pub(crate) fn api_version(self) -> String {
        format!("{}/{}", self.group(), self.version())
    }

    /// Whether the administrator wants reports in it.
    pub(crate) fn is_wanted(self, setting: PolicyReportsSetting) -> bool {
        match setting {
            PolicyReportsSetting::Off => false,
            PolicyReportsSetting::Openreports => self == ReportApi::OpenReports,
            PolicyReportsSetting::Wgpolicyk8s => self == ReportApi::PolicyWorkingGroup,
            PolicyReportsSetting::Both => true,
        }
    }
}

/// What is said of a workload, whatever the API.
#[derive(Debug, PartialEq)]
pub(crate) struct WorkloadReport {
    workload: WorkloadRef,
    summary: OutcomeCounts,
    /// The worst ones, worst first.
    results: Vec<RuleResult>,
    /// How many others there are, which `summary` counts too.
    left_out: usize,
}

/// How many results have each outcome, also of those that are left out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct OutcomeCounts {
    pass: usize,
    fail: usize,
    warn: usize,
    error: usize,
    skip: usize,
}

/// An object to apply.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ReportObject {
    /// The whole of it.
    pub(crate) body: Value,
    /// Hash of all that is said, which its annotation has, too: what is written already is not written again.
    pub(crate) content: String,
}

/// The report of a workload by the results of its current revision's images.
pub(crate) fn workload_report(workload: &WorkloadRef, worst: WorstResults) -> WorkloadReport {
    let (summary, results) = worst.sorted();
    let left_out = summary.all() - results.len();
    WorkloadReport { workload: workload.clone(), summary, results, left_out }
}

impl WorkloadReport {
    /// The object of an API. It is named as the workload's record, which no other workload of the namespace is, and goes with the
    /// workload.
    pub(crate) fn object(&self, api: ReportApi) -> ReportObject {
        let (label, value) = MANAGED_BY;
        let results: Vec<Value> = self.results.iter().map(|result| result.value(SOURCE)).collect();
        let mut body = json!({
            "apiVersion": api.api_version(),
            "kind": api.kind(),
            "metadata": {
                "name": self.workload.record_name(),
                "namespace": self.workload.namespace,
                "labels": {label: value},
                "annotations": {},
                "ownerReferences": [self.workload.owner_reference()],
            },
            "scope": self.workload.object_reference(),
            "summary": self.summary,
            "results": results,
        });
        if self.left_out > 0 {
            body["metadata"]["annotations"][RESULTS_LEFT_OUT] = json!(self.left_out.to_string());
            // Tools show results, and no annotation of the report: the last one says that there are more.
            if let Some(last) = body["results"].as_array_mut().and_then(|results| results.last_mut()) {
                last["properties"]["resultsLeftOut"] = json!(self.left_out.to_string());
            }
        }
        if api == ReportApi::OpenReports {
            body["source"] = json!(SOURCE);
            body["configuration"] = json!({"limits": {"maxResults": MAX_RESULTS}});
        }
        let hash: [u8; 32] = Sha256::digest(body.to_string().as_bytes()).into();
        let content = hex(&hash[..HASH_BYTES]);
        body["metadata"]["annotations"][REPORT_CONTENT] = json!(content);
        ReportObject { body, content }
    }
}

#[cfg(test)]
#[path = "workload_report_tests.rs"]
mod tests;
