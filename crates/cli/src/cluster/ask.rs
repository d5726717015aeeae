//! Asks the server, through the API server alone: an ImageReport that is created by a dry run comes back with the answer, for whom
//! the namespace's roles allow it.

use super::Cluster;
use crate::exit;
use kube::Api;
use kube::api::PostParams;
use kube::core::Status;
use std::time::Duration;
use tidewaiter_core::Reason;
use tidewaiter_core::report::Report;
use tidewaiter_crd::ImageReport;
use tidewaiter_crd::image_report::{self, ImageReportSpec, ImageReportStatus, ReportName, ScanReadiness};
use tidewaiter_crd::names::NAMESPACE;

/// Longest time for an answer, long enough for a large report on a slow line. Without a limit a lost node would block the command,
/// since nothing closes its connections.
const ANSWER: Duration = Duration::from_secs(120);
/// Name of the object that is never stored.
const QUESTION: &str = "question";

/// Why the server gave no answer.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoAnswer {
    /// A newer scan replaced the report, or the server lost its store.
    #[error("the server no longer has this report")]
    Gone,
    /// The API server refuses the caller.
    #[error(
        "you may not read reports here: the role view of the namespace lets you (an administrator binds it to you; docs/user-guide.md, \
         Permissions): {0}"
    )]
    Forbidden(String),
    /// The cluster has no such questions.
    #[error(
        "the cluster's tidewaiter is older than this plugin, and has no ImageReports: upgrade it (kubectl apply -f deploy/crds.yaml, \
         then kubectl apply -f deploy/), or use the plugin of its version"
    )]
    OlderServer,
    /// The server does not answer.
    #[error("the server does not answer ({0}); is it running? kubectl -n {NAMESPACE} get pods")]
    Away(String),
    /// Anything else.
    #[error("{0}")]
    Failed(String),
}

/// A report in the server's store.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StoredReport<'a> {
    pub(crate) namespace: &'a str,
    /// Name of the ImageScan.
    pub(crate) image_scan: &'a str,
    pub(crate) key: &'a str,
}

impl Cluster {
    /// A full report.
    pub(crate) async fn report(&self, which: StoredReport<'_>) -> Result<Report, NoAnswer> {
        let text = self.report_text(which).await?;
        let read = Report::from_json(text.as_bytes());
        read.map_err(|e| {
            NoAnswer::Failed(format!("this version cannot read the server's report ({e}); use the same version"))
        })
    }

    /// The JSON of a full report.
    pub(crate) async fn report_text(&self, which: StoredReport<'_>) -> Result<String, NoAnswer> {
        let report = ReportName { image_scan: which.image_scan.to_owned(), key: which.key.to_owned() };
        let answer = self.ask(which.namespace, Some(report)).await?;
        let packed = answer.report.ok_or_else(silent)?;
        let unpacked = tokio::task::spawn_blocking(move || image_report::unpack(&packed)).await;
        let text = unpacked.map_err(|e| NoAnswer::Failed(e.to_string()))?;
        text.map_err(|e| NoAnswer::Failed(format!("the server's answer cannot be read: {e}")))
    }

    /// Whether the server scans what is new, for who may read reports in the namespace.
    pub(crate) async fn readiness(&self) -> Result<ScanReadiness, NoAnswer> {
        self.ask(&self.namespace, None).await?.scans.ok_or_else(silent)
    }

    async fn ask(&self, namespace: &str, report: Option<ReportName>) -> Result<ImageReportStatus, NoAnswer> {
        let api: Api<ImageReport> = Api::namespaced(self.without_retries.clone(), namespace);
        let question = ImageReport::new(QUESTION, ImageReportSpec { report });
        let dry = PostParams { dry_run: true, field_manager: None };
        let asked = tokio::time::timeout(ANSWER, api.create(&dry, &question)).await;
        let asked = asked.map_err(|_| NoAnswer::Away(format!("it has not within {ANSWER:?}")))?;
        asked.map_err(refusal)?.status.ok_or_else(silent)
    }
}

/// The API server returned the question: nobody is registered to answer it.
fn silent() -> NoAnswer {
    NoAnswer::Away("it has not registered itself yet".to_owned())
}

fn refusal(error: kube::Error) -> NoAnswer {
    match error {
        kube::Error::Api(status) => refusal_of(&status),
        error => {
            NoAnswer::Failed(format!("asking the server through the API server failed: {}", exit::text_of(&error)))
        }
    }
}

fn refusal_of(status: &Status) -> NoAnswer {
    let is_of_namespace = status.details.as_ref().is_some_and(|details| details.kind == "namespaces");
    match status.code {
        _ if status.reason == Reason::ReportNotFound.as_str() => NoAnswer::Gone,
        403 => NoAnswer::Forbidden(status.message.clone()),
        404 if !is_of_namespace => NoAnswer::OlderServer,
        // The API server could not call the webhook, or has waited for it.
        500 | 504 => NoAnswer::Away(status.message.clone()),
        _ => NoAnswer::Failed(status.message.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn what_a_refusal_of_the_api_server_means() {
        let check = |code: u16, reason: &str, message: &str, details: Value, expected: NoAnswer| {
            let status =
                json!({"status": "Failure", "code": code, "reason": reason, "message": message, "details": details});
            let status: Status = serde_json::from_value(status).unwrap_or_else(|e| unreachable!("{e}"));
            assert_eq!(refusal_of(&status), expected, "{status:?}");
        };
        let none = || json!({});
        let denied = "admission webhook \"imagereports.tidewaiter.dev\" denied the request: no report";
        check(404, "ReportNotFound", denied, none(), NoAnswer::Gone);
        let forbidden = "imagereports.tidewaiter.dev is forbidden: User \"ann\" cannot create resource";
        check(403, "Forbidden", forbidden, none(), NoAnswer::Forbidden(forbidden.to_owned()));
        let unknown = "the server could not find the requested resource";
        check(404, "NotFound", unknown, none(), NoAnswer::OlderServer);
        check(404, "Failed to parse error data", "404 page not found", Value::Null, NoAnswer::OlderServer);
        let gone = "namespaces \"shop\" not found";
        check(404, "NotFound", gone, json!({"name": "shop", "kind": "namespaces"}), NoAnswer::Failed(gone.to_owned()));
        let away = "failed calling webhook \"imagereports.tidewaiter.dev\": connection refused";
        check(500, "InternalError", away, none(), NoAnswer::Away(away.to_owned()));
        let unreadable = "the server cannot read the report: busy; try again";
        check(503, "ServiceUnavailable", unreadable, none(), NoAnswer::Failed(unreadable.to_owned()));
        let large = "the report has 17 MiB, compressed";
        check(413, "RequestEntityTooLarge", large, none(), NoAnswer::Failed(large.to_owned()));
    }
}
