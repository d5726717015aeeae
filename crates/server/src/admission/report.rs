//! ImageReports: whether a question is answered. Who asks was authorized by the API server, and by the policy
//! `tidewaiter-reports` after this.

use tidewaiter_core::Reason;
use tidewaiter_crd::ImageScan;
use tidewaiter_crd::image_report::{ImageReportSpec, ReportName};
use tidewaiter_crd::image_scan::PlatformResult;

/// Largest answer, in bytes of compressed JSON: some hundred megabytes of it, several times the report of the largest image. An API
/// server takes twenty times as much memory for a moment (ADR 0028).
pub(crate) const MAX_PACKED: usize = 8 << 20;

/// Longest name of an object (RFC 1123 subdomain).
const MAX_NAME: usize = 253;

/// Why a question is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ReportRefusal {
    /// The object would be stored.
    #[error(
        "an ImageReport is an answer and is never stored: ask by a dry run (kubectl scan report, or kubectl create \
         --dry-run=server)"
    )]
    NoDryRun,
    /// The namespace has no such report.
    #[error(
        "no report of the ImageScan {0} in this namespace has this key; a newer scan may have replaced it: read the key again"
    )]
    NotFound(String),
    /// The report does not fit into an answer.
    #[error(
        "the report has {0} MiB, compressed, and an answer at most {max}: scan the image with kubectl scan image --local",
        max = MAX_PACKED >> 20
    )]
    TooLarge(usize),
    /// The server could not look.
    #[error("the server cannot read the report: {0}; try again")]
    Failed(String),
}

impl ReportRefusal {
    /// HTTP status, and the reason that clients compare: ours, or Kubernetes' own (`metav1.StatusReason`).
    pub(crate) fn code_and_reason(&self) -> (u16, &'static str) {
        match self {
            ReportRefusal::NoDryRun => (422, "Invalid"),
            ReportRefusal::NotFound(_) => (404, Reason::ReportNotFound.as_str()),
            ReportRefusal::TooLarge(_) => (413, "RequestEntityTooLarge"),
            // Not 500, which is how API servers say that they could not ask.
            ReportRefusal::Failed(_) => (503, "ServiceUnavailable"),
        }
    }
}

/// The report that is asked for; none where the question is whether the server scans.
pub(crate) fn asked(spec: &ImageReportSpec, dry_run: bool) -> Result<Option<&ReportName>, ReportRefusal> {
    if !dry_run {
        return Err(ReportRefusal::NoDryRun);
    }
    match &spec.report {
        // The API server compares an object with its schema after the webhooks, and the name becomes part of a path.
        Some(report) if !is_name(&report.image_scan) => Err(ReportRefusal::NotFound(report.image_scan.clone())),
        report => Ok(report.as_ref()),
    }
}

fn is_name(text: &str) -> bool {
    let is_end = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    let is_inside = |c: char| is_end(Some(c)) || c == '-' || c == '.';
    text.len() <= MAX_NAME && is_end(text.chars().next()) && is_end(text.chars().last()) && text.chars().all(is_inside)
}

/// The result of an ImageScan that has a report of this key.
pub(crate) fn result_of<'a>(scan: &'a ImageScan, key: &str) -> Option<&'a PlatformResult> {
    scan.status.iter().flat_map(|status| &status.platforms).find(|platform| platform.report_key == key)
}

/// Whether a compressed report fits into an answer.
pub(crate) fn fits(bytes: usize) -> Result<(), ReportRefusal> {
    if bytes <= MAX_PACKED { Ok(()) } else { Err(ReportRefusal::TooLarge(bytes.div_ceil(1 << 20))) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn report(image_scan: &str) -> ReportName {
        ReportName { image_scan: image_scan.to_owned(), key: "0".repeat(32) }
    }

    #[test]
    fn only_a_dry_run_is_answered() {
        let check = |spec: Option<&str>, dry_run: bool, expected: Result<Option<&str>, u16>| {
            let spec = ImageReportSpec { report: spec.map(report) };
            let found = asked(&spec, dry_run).map(|report| report.map(|report| report.image_scan.as_str()));
            assert_eq!(found.map_err(|refusal| refusal.code_and_reason().0), expected, "{spec:?} {dry_run}");
        };
        check(None, true, Ok(None));
        check(Some("scan-0123"), true, Ok(Some("scan-0123")));
        check(None, false, Err(422));
        check(Some("scan-0123"), false, Err(422));
        check(Some("a.b-c"), true, Ok(Some("a.b-c")));
        // Paths, and what no object is named.
        for name in
            ["", "a/b", "..", "../a", "a/../../secrets/s", "a?b", "a%2fb", "A", "é", "-a", "a.", &"a".repeat(254)]
        {
            check(Some(name), true, Err(404));
        }
    }

    #[test]
    fn a_report_is_one_of_its_scan() {
        let check = |keys: &[&str], key: &str, expected: bool| {
            let platform = |key: &&str| json!({"platform": "linux/amd64", "digest": "d", "reportKey": key});
            let platforms: Vec<_> = keys.iter().map(platform).collect();
            let status = json!({"imageStatus": "NoVulnerabilities", "platforms": platforms});
            let scan = json!({"metadata": {"name": "s"}, "spec": {"image": "i"}, "status": status});
            let scan: ImageScan = serde_json::from_value(scan).unwrap();
            assert_eq!(result_of(&scan, key).is_some(), expected, "{keys:?} {key}");
        };
        check(&["a"], "a", true);
        check(&["a", "b"], "b", true);
        check(&["a"], "b", false);
        check(&["a"], "", false);
        check(&[], "a", false);
        let without: ImageScan =
            serde_json::from_value(json!({"metadata": {"name": "s"}, "spec": {"image": "i"}})).unwrap();
        assert!(result_of(&without, "a").is_none());
    }

    #[test]
    fn a_large_report_is_refused_with_its_size() {
        assert_eq!(fits(0), Ok(()));
        assert_eq!(fits(MAX_PACKED), Ok(()));
        let refusal = fits(MAX_PACKED + 1).unwrap_err();
        assert_eq!(refusal, ReportRefusal::TooLarge(9));
        assert!(refusal.to_string().contains("9 MiB") && refusal.to_string().contains("at most 8"), "{refusal}");
    }
}
