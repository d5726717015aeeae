//! `ImageReport`: a question to the server, as a SubjectAccessReview is one to the API server. Whoever may create one in a
//! namespace does so by a dry run, and the answer is in the object that comes back; none is ever stored (ADR 0028).

use flate2::Compression;
use flate2::bufread::GzDecoder;
use flate2::write::GzEncoder;
use k8s_openapi::ByteString;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{CustomResource, CustomResourceExt as _};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::io::{self, Read as _, Write as _};

/// Largest report that is unpacked, in bytes: several times that of the largest image, which has tens of megabytes.
const MAX_REPORT: u64 = 256 << 20;

/// Asks for a report, or for the state of the server. Only by a dry run (`kubectl create --dry-run=server`): nothing is stored.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema, CustomResource)]
#[kube(group = "tidewaiter.dev", version = "v1alpha1", kind = "ImageReport", namespaced, status = "ImageReportStatus")]
pub struct ImageReportSpec {
    /// The report; without it, the answer is whether the server scans.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<ReportName>,
}

/// A report, by what names it in its namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReportName {
    /// Name of the ImageScan.
    pub image_scan: String,
    /// `reportKey` of one of its platforms.
    pub key: String,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct ImageReportStatus {
    /// The report: JSON, compressed by gzip.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub report: Option<ByteString>,
    /// Whether the server scans, where no report is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scans: Option<ScanReadiness>,
}

/// Whether the server scans what is new.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ScanReadiness {
    /// Whether it does.
    pub ready: bool,
    /// Why it does not, or the database that it uses and its age.
    pub message: String,
}

/// The definition. Its status is no subresource: the API server would drop the status of what is created, the answer.
pub(crate) fn definition() -> CustomResourceDefinition {
    let mut definition = ImageReport::crd();
    definition.spec.versions.iter_mut().for_each(|version| version.subresources = None);
    definition
}

/// Compresses the JSON of a report.
///
/// # Errors
/// None in practice: it is written to memory.
pub fn pack(report: &[u8]) -> io::Result<ByteString> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(report)?;
    Ok(ByteString(encoder.finish()?))
}

/// The JSON of a compressed report.
///
/// # Errors
/// When it is damaged, or larger than 256 MiB.
pub fn unpack(packed: &ByteString) -> io::Result<String> {
    unpack_within(packed, MAX_REPORT)
}

fn unpack_within(packed: &ByteString, limit: u64) -> io::Result<String> {
    let mut text = String::new();
    GzDecoder::new(packed.0.as_slice()).take(limit + 1).read_to_string(&mut text)?;
    match u64::try_from(text.len()) {
        Ok(size) if size <= limit => Ok(text),
        _ => Err(io::Error::other(format!("the report is larger than {limit} bytes"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_packed_and_bounded() {
        let report = r#"{"findings":[]}"#.repeat(1000);
        let packed = pack(report.as_bytes()).expect("memory is written");
        assert!(packed.0.len() < report.len() / 10, "{}", packed.0.len());
        let size = u64::try_from(report.len()).expect("a size");
        let check = |packed: &ByteString, limit: u64, expected: Result<(), &str>| {
            let found = unpack_within(packed, limit).map_err(|e| e.to_string());
            match expected {
                Ok(()) => assert_eq!(found, Ok(report.clone()), "{limit}"),
                Err(word) => assert!(found.as_ref().is_err_and(|e| e.contains(word)), "{limit}: {found:?}"),
            }
        };
        check(&packed, size, Ok(()));
        check(&packed, size - 1, Err("larger than"));
        check(&ByteString(b"this is not compressed".to_vec()), size, Err("gzip"));
        check(&ByteString(packed.0[..packed.0.len() - 3].to_vec()), size, Err(""));
    }

    /// An object of an older or a newer server is still an answer.
    #[test]
    fn the_form_of_question_and_answer() {
        let check = |text: &str, expected: ImageReport| {
            let read: ImageReport = serde_json::from_str(text).expect("an object");
            assert_eq!(serde_json::to_value(&read).expect("JSON"), serde_json::to_value(&expected).expect("JSON"));
        };
        let head = r#""apiVersion":"tidewaiter.dev/v1alpha1","kind":"ImageReport","metadata":{"name":"r"}"#;
        let state = ImageReport::new("r", ImageReportSpec::default());
        check(&format!(r#"{{{head},"spec":{{}}}}"#), state.clone());
        let report = ReportName { image_scan: "scan-1".to_owned(), key: "0f".to_owned() };
        let asked = ImageReport::new("r", ImageReportSpec { report: Some(report) });
        check(&format!(r#"{{{head},"spec":{{"report":{{"imageScan":"scan-1","key":"0f"}}}}}}"#), asked.clone());
        let answer = ImageReportStatus { report: Some(ByteString(b"abc".to_vec())), scans: None };
        let answered = ImageReport { status: Some(answer), ..asked };
        let asked = r#""spec":{"report":{"imageScan":"scan-1","key":"0f"}}"#;
        check(&format!(r#"{{{head},{asked},"status":{{"report":"YWJj","later":1}}}}"#), answered);
        let scans = ScanReadiness { ready: false, message: "no database".to_owned() };
        let status = ImageReportStatus { report: None, scans: Some(scans) };
        let text = format!(r#"{{{head},"spec":{{}},"status":{{"scans":{{"ready":false,"message":"no database"}}}}}}"#);
        check(&text, ImageReport { status: Some(status), ..state });
    }

    #[test]
    fn its_status_is_part_of_what_is_created() {
        for version in definition().spec.versions {
            assert!(version.subresources.is_none(), "{version:?}");
        }
    }
}
