//! The webhook that answers ImageReports (ADR 0028).
//!
//! ```text
//! dry run → is it a report of that namespace? → the store → exceptions of now → gzip → patch of the object's status
//! ```

use super::api::scan_readiness;
use super::webhook::known_to_reports;
use crate::admission::report::{ReportRefusal, asked, fits, result_of};
use crate::context::ServerContext;
use crate::decide::exception;
use crate::peers;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use jiff::Timestamp;
use k8s_openapi::ByteString;
use kube::Api;
use kube::core::admission::{AdmissionRequest, AdmissionReview};
use kube::runtime::reflector::ObjectRef;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Instant;
use tidewaiter_crd::image_report::{self, ImageReportSpec, ImageReportStatus, ReportName, ScanReadiness};
use tidewaiter_crd::image_scan::PlatformResult;
use tidewaiter_crd::{ImageReport, ImageScan};

/// What the handler shares.
#[derive(Clone)]
struct ReportReader {
    ctx: Arc<ServerContext>,
}

/// A report as an ImageScan names it.
struct NamedReport {
    result: PlatformResult,
    /// Id of the database by which it holds.
    database: Option<String>,
}

impl NamedReport {
    /// The report of this key in an ImageScan; `None` where it names no such one.
    fn of(scan: &ImageScan, key: &str) -> Option<Self> {
        let database = scan.status.as_ref().and_then(|status| status.database.clone());
        result_of(scan, key).map(|result| NamedReport { result: result.clone(), database })
    }
}

/// The route, which ends with what the API server alone knows: the port is open to every Pod.
pub(super) fn router<S>(ctx: Arc<ServerContext>) -> Router<S> {
    Router::new().route("/imagereports/{token}", post(review)).with_state(ReportReader { ctx })
}

async fn review(
    State(reader): State<ReportReader>,
    token: Path<String>,
    Json(review): Json<AdmissionReview<ImageReport>>,
) -> Result<Json<Value>, StatusCode> {
    known_to_reports(&reader.ctx, &token)?;
    let began = Instant::now();
    let request: AdmissionRequest<ImageReport> = review.try_into().map_err(|_| StatusCode::BAD_REQUEST)?;
    let namespace = request.namespace.clone().unwrap_or_default();
    let spec = request.object.as_ref().map(|object| object.spec.clone()).unwrap_or_default();
    let answered = reader.answer(&namespace, &spec, request.dry_run).await;
    let label = if answered.is_ok() { "changed" } else { "denied" };
    reader.ctx.metrics.admission("imagereports", label, began.elapsed());
    Ok(Json(response(&request.uid, answered)))
}

impl ReportReader {
    async fn answer(
        &self,
        namespace: &str,
        spec: &ImageReportSpec,
        dry_run: bool,
    ) -> Result<ImageReportStatus, ReportRefusal> {
        match asked(spec, dry_run)? {
            Some(report) => {
                let report = Some(self.report(namespace, report).await?);
                Ok(ImageReportStatus { report, scans: None })
            }
            None => Ok(ImageReportStatus { report: None, scans: Some(self.readiness().await) }),
        }
    }

    async fn readiness(&self) -> ScanReadiness {
        match scan_readiness(&self.ctx).await {
            Ok(message) => ScanReadiness { ready: true, message },
            Err((_, message)) => ScanReadiness { ready: false, message },
        }
    }

    async fn report(&self, namespace: &str, report: &ReportName) -> Result<ByteString, ReportRefusal> {
        let not_found = || ReportRefusal::NotFound(report.image_scan.clone());
        let named = Arc::new(self.named(namespace, report).await?.ok_or_else(not_found)?);
        let packed = match self.stored(namespace, &named).await? {
            Some(packed) => packed,
            None => {
                // Another process stored it, and this one has not copied it yet.
                peers::copied(&self.ctx, &named.result).await.ok_or_else(not_found)?;
                self.stored(namespace, &named).await?.ok_or_else(not_found)?
            }
        };
        fits(packed.0.len())?;
        Ok(packed)
    }

    /// The report as it is in this process's store.
    async fn stored(&self, namespace: &str, named: &Arc<NamedReport>) -> Result<Option<ByteString>, ReportRefusal> {
        let turn = Arc::clone(&self.ctx.report_reads).acquire_owned().await;
        let turn = turn.map_err(|_| ReportRefusal::Failed("it is stopping".to_owned()))?;
        let (ctx, namespace, named) = (Arc::clone(&self.ctx), namespace.to_owned(), Arc::clone(named));
        let read = move || {
            let packed = read(&ctx, &namespace, &named);
            drop(turn);
            packed
        };
        let read = tokio::task::spawn_blocking(read).await;
        read.map_err(|e| ReportRefusal::Failed(e.to_string()))?
    }

    /// The report, if such an ImageScan of the namespace has it. Asks the API server where the watch does not say so:
    /// who asks has read the ImageScan from there, perhaps before the watch has shown it.
    async fn named(&self, namespace: &str, report: &ReportName) -> Result<Option<NamedReport>, ReportRefusal> {
        let known = self.ctx.index.images.get(&ObjectRef::new(&report.image_scan).within(namespace));
        if let Some(named) = known.as_ref().and_then(|scan| NamedReport::of(scan, &report.key)) {
            return Ok(Some(named));
        }
        let api: Api<ImageScan> = Api::namespaced(self.ctx.client.clone(), namespace);
        let found = api.get_opt(&report.image_scan).await;
        let found = found.map_err(|e| ReportRefusal::Failed(format!("its ImageScan cannot be read: {e}")))?;
        Ok(found.as_ref().and_then(|scan| NamedReport::of(scan, &report.key)))
    }
}

/// A report of the store as the gate judges it at present, compressed; none where there is no such report.
fn read(ctx: &ServerContext, namespace: &str, named: &NamedReport) -> Result<Option<ByteString>, ReportRefusal> {
    let database = ctx.database.state();
    let Some(mut report) = ctx.store.report(&named.result.report_key) else { return Ok(None) };
    database.confirm(&mut report, named.database.as_deref());
    let (exceptions, max_days) = (ctx.index.exceptions_in(namespace), ctx.policy(namespace).max_exception_days);
    exception::apply(&mut report, exceptions.iter().map(|e| &**e), max_days, Timestamp::now());
    let json = serde_json::to_vec(&report).map_err(|e| ReportRefusal::Failed(e.to_string()))?;
    let packed = image_report::pack(&json).map_err(|e| ReportRefusal::Failed(e.to_string()))?;
    Ok(Some(packed))
}

/// An AdmissionReview. Not kube's, which writes a patch as a list of numbers: several times the bytes of a report.
fn response(uid: &str, answered: Result<ImageReportStatus, ReportRefusal>) -> Value {
    let response = match answered {
        Ok(status) => {
            let patch = json!([{"op": "add", "path": "/status", "value": status}]);
            json!({"uid": uid, "allowed": true, "patchType": "JSONPatch", "patch": ByteString(patch.to_string().into_bytes())})
        }
        Err(refusal) => {
            let (code, reason) = refusal.code_and_reason();
            let status = json!({"status": "Failure", "code": code, "reason": reason, "message": refusal.to_string()});
            json!({"uid": uid, "allowed": false, "status": status})
        }
    };
    json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response})
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::core::admission::AdmissionResponse;

    #[test]
    fn an_answer_is_a_patch_of_the_status_and_a_refusal_has_a_reason() {
        let read = |answered: Result<ImageReportStatus, ReportRefusal>| -> AdmissionResponse {
            let review = response("u", answered);
            assert_eq!(review["response"]["uid"], "u", "{review}");
            let is_text = |field: &Value| field.is_null() || field.is_string();
            assert!(is_text(&review["response"]["patch"]), "{review}");
            let refused = json!({"uid": "u", "allowed": review["response"]["allowed"],
                "status": review["response"].get("status").cloned().unwrap_or_else(|| json!({}))});
            serde_json::from_value(refused).unwrap()
        };
        let report = Some(ByteString(b"abc".to_vec()));
        let answer = ImageReportStatus { report, scans: None };
        assert!(read(Ok(answer.clone())).allowed);
        let patch: ByteString = serde_json::from_value(response("u", Ok(answer))["response"]["patch"].clone()).unwrap();
        let patch: Value = serde_json::from_slice(&patch.0).unwrap();
        assert_eq!(patch, json!([{"op": "add", "path": "/status", "value": {"report": "YWJj"}}]));
        let refused = read(Err(ReportRefusal::NotFound("scan-1".to_owned())));
        assert!(!refused.allowed);
        assert_eq!((refused.result.code, refused.result.reason.as_str()), (404, "ReportNotFound"));
        assert!(refused.result.message.contains("scan-1"), "{refused:?}");
    }
}
