//! The admission webhooks: AdmissionReview → facts from the index → `admission` → AdmissionReview.

use super::admission_limits::{BodyBudget, limit_bodies};
use super::{peers, reports};
use crate::admission::in_place::{UpdateReview, UpdatedInPlace};
use crate::admission::{AdmissionDecision, applied_pod, hold, in_place, pod, preview};
use crate::context::ServerContext;
use crate::decide::holdable::Holdable;
use crate::decide::images;
use crate::decide::job::{JobOwner, pins_of_run};
use crate::decide::workload_ref::WorkloadRef;
use crate::queues::updates::ReviewedUpdate;
use crate::scan::pull_secrets;
use crate::traces;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router, middleware};
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, StatefulSet};
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::core::v1::Pod;
use kube::core::DynamicObject;
use kube::core::admission::{AdmissionRequest, AdmissionResponse, AdmissionReview};
use kube::{Resource, ResourceExt as _};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;
use tidewaiter_crd::names::SERVER_USER;

/// All webhooks; served with the peer's address (`into_make_service_with_connect_info`).
pub(crate) fn router(ctx: Arc<ServerContext>) -> Router {
    Router::new()
        .route("/deployments", post(deployments))
        .route("/jobs", post(jobs))
        .route("/cronjobs", post(cron_jobs))
        .route("/daemonsets/{token}", post(daemon_sets))
        .route("/statefulsets/{token}", post(stateful_sets))
        .route("/pods", post(created_pods))
        .route("/applied-pods", post(applied_pods))
        // Within the budget of the gate, whose work it is.
        .merge(peers::router(Arc::clone(&ctx)))
        .layer(DefaultBodyLimit::disable())
        .layer(middleware::from_fn_with_state(BodyBudget::new(), limit_bodies))
        .layer(middleware::from_fn(traces::of_request))
        // With a budget of their own: whoever reads reports, slowly or by the hundred, takes nothing from the gate.
        .merge(
            reports::router(Arc::clone(&ctx))
                .layer(DefaultBodyLimit::disable())
                .layer(middleware::from_fn_with_state(BodyBudget::new(), limit_bodies)),
        )
        .with_state(ctx)
}

async fn deployments(
    State(ctx): State<Arc<ServerContext>>,
    Json(review): Json<AdmissionReview<Deployment>>,
) -> Json<AdmissionReview<DynamicObject>> {
    respond(review, &ctx, "deployments", review_held)
}

async fn jobs(
    State(ctx): State<Arc<ServerContext>>,
    Json(review): Json<AdmissionReview<Job>>,
) -> Json<AdmissionReview<DynamicObject>> {
    respond(review, &ctx, "jobs", review_job)
}

async fn cron_jobs(
    State(ctx): State<Arc<ServerContext>>,
    Json(review): Json<AdmissionReview<CronJob>>,
) -> Json<AdmissionReview<DynamicObject>> {
    respond(review, &ctx, "cronjobs", review_held)
}

fn review_held<K: Holdable + Resource<DynamicType = ()>>(
    ctx: &ServerContext,
    request: &AdmissionRequest<K>,
    namespace: &str,
    new: &K,
) -> AdmissionDecision {
    review_hold(ctx, request, namespace, new, false)
}

fn review_job(ctx: &ServerContext, request: &AdmissionRequest<Job>, namespace: &str, new: &Job) -> AdmissionDecision {
    let is_approved_run = match ctx.index.job_owner(new, namespace) {
        JobOwner::CronJob(cron_job, revision) => {
            let record = ctx.index.record(&cron_job);
            let status = record.as_ref().and_then(|record| record.status.as_ref());
            status.is_some_and(|status| pins_of_run(status, &revision, new).is_some())
        }
        JobOwner::Itself(..) | JobOwner::Unknown => false,
    };
    review_hold(ctx, request, namespace, new, is_approved_run)
}

fn review_hold<K: Holdable + Resource<DynamicType = ()>>(
    ctx: &ServerContext,
    request: &AdmissionRequest<K>,
    namespace: &str,
    new: &K,
    is_approved_run: bool,
) -> AdmissionDecision {
    let old = request.old_object.as_ref();
    // By UID: decisions about another workload of this name say nothing about it.
    let record = old.and_then(|old| ctx.index.record(&WorkloadRef::held(old, namespace)));
    let status = record.as_ref().and_then(|record| record.status.as_ref());
    let restarts = status.is_some_and(|record| !ctx.index.tags_moved(namespace, record));
    let enforced = ctx.enforced(namespace);
    let facts = hold::HoldFacts { enforced, restarts, workload: status, is_approved_run };
    let by_server = request.user_info.username.as_deref() == Some(SERVER_USER);
    if ctx.warns(namespace) && !new.is_owned() && old.is_none_or(|old| old.revision() != new.revision()) {
        return preview_of(ctx, namespace, &new.images());
    }
    hold::review(&hold::HoldRequest { new, old, by_server }, &facts)
}

/// In mode Warn nothing is held.
fn preview_of(ctx: &ServerContext, namespace: &str, images: &BTreeMap<String, String>) -> AdmissionDecision {
    let status = |image: &str| ctx.index.image_scan(namespace, image).and_then(|scan| scan.status.clone());
    AdmissionDecision { warnings: preview::warnings(images, status), ..AdmissionDecision::allow() }
}

async fn daemon_sets(
    state: State<Arc<ServerContext>>,
    token: Path<String>,
    review: Json<AdmissionReview<DaemonSet>>,
) -> Result<Json<AdmissionReview<DynamicObject>>, StatusCode> {
    known(&state, &token)?;
    Ok(respond(review.0, &state, "daemonsets", review_update))
}

async fn stateful_sets(
    state: State<Arc<ServerContext>>,
    token: Path<String>,
    review: Json<AdmissionReview<StatefulSet>>,
) -> Result<Json<AdmissionReview<DynamicObject>>, StatusCode> {
    known(&state, &token)?;
    Ok(respond(review.0, &state, "statefulsets", review_update))
}

/// Whether the path of a request ends with what only the API server knows.
fn known(ctx: &ServerContext, token: &str) -> Result<(), StatusCode> {
    if ctx.trust.knows_webhook(token) { Ok(()) } else { Err(StatusCode::NOT_FOUND) }
}

/// The same for the path of reports.
pub(super) fn known_to_reports(ctx: &ServerContext, token: &str) -> Result<(), StatusCode> {
    if ctx.trust.knows_reports(token) { Ok(()) } else { Err(StatusCode::NOT_FOUND) }
}

fn review_update<K: UpdatedInPlace + Resource<DynamicType = ()>>(
    ctx: &ServerContext,
    request: &AdmissionRequest<K>,
    namespace: &str,
    new: &K,
) -> AdmissionDecision {
    let by_server = request.user_info.username.as_deref() == Some(SERVER_USER);
    let Some(old) = request.old_object.as_ref().filter(|_| !by_server && ctx.enforced(namespace)) else {
        return AdmissionDecision::allow();
    };
    let workload = old.workload(namespace);
    let record = ctx.index.record(&workload);
    let status = record.as_ref().and_then(|record| record.status.as_ref());
    let review = in_place::review(new, old, status);
    if review != UpdateReview::Passes && !request.dry_run {
        ctx.queues.updates.add(ReviewedUpdate {
            workload,
            wanted: new.images(),
            access: Box::new(new.pod_spec().map(pull_secrets::access).unwrap_or_default()),
            before: images::images_hash(&old.images()),
            is_refused: review == UpdateReview::Refused,
        });
    }
    in_place::answer(review, (new, old), status, request.dry_run)
}

async fn created_pods(
    State(ctx): State<Arc<ServerContext>>,
    Json(review): Json<AdmissionReview<Pod>>,
) -> Json<AdmissionReview<DynamicObject>> {
    respond(review, &ctx, "pods", review_pod)
}

async fn applied_pods(
    State(ctx): State<Arc<ServerContext>>,
    Json(review): Json<AdmissionReview<Pod>>,
) -> Json<AdmissionReview<DynamicObject>> {
    respond(review, &ctx, "pods", review_applied_pod)
}

fn review_applied_pod(
    ctx: &ServerContext,
    request: &AdmissionRequest<Pod>,
    namespace: &str,
    new: &Pod,
) -> AdmissionDecision {
    let old = request.old_object.as_ref().filter(|_| ctx.enforced(namespace));
    old.map_or_else(AdmissionDecision::allow, |old| applied_pod::review(new, old))
}

fn review_pod(ctx: &ServerContext, request: &AdmissionRequest<Pod>, namespace: &str, new: &Pod) -> AdmissionDecision {
    let enforced = ctx.enforced(namespace);
    if !enforced && ctx.in_scope(namespace) && !request.dry_run {
        // Not the images of this review, which anybody who reaches the port can make up.
        ctx.queues.unheld.add(namespace, ctx.index.is_namespace(namespace));
    }
    // The Pods of a controller are nobody's who could read it.
    if ctx.warns(namespace) && new.owner_references().is_empty() {
        return preview_of(ctx, namespace, &new.spec.as_ref().map(images::of).unwrap_or_default());
    }
    let pins = ctx.index.allowed_pins(new, namespace);
    if enforced && pins.is_some() && !request.dry_run {
        ctx.index.enqueue_returned(new, namespace);
    }
    let by_node = request.user_info.groups.iter().flatten().any(|group| group == "system:nodes");
    let digests = pins.iter().flat_map(|pins| pins.values()).map(|image| images::digest(image));
    let facts = pod::PodFacts {
        enforced,
        listed: ctx.written_allowlists.enforces(namespace, digests),
        pins,
        // The annotation alone could be set by anybody.
        mirror: by_node && new.annotations().contains_key("kubernetes.io/config.mirror"),
    };
    pod::review(new, &facts)
}

/// `resource` is the route's, not the review's: a stranger who reaches the port must not choose labels of metrics, whose
/// series stay for ever.
fn respond<K>(
    review: AdmissionReview<K>,
    ctx: &ServerContext,
    resource: &'static str,
    decide: fn(&ServerContext, &AdmissionRequest<K>, &str, &K) -> AdmissionDecision,
) -> Json<AdmissionReview<DynamicObject>>
where
    K: Resource<DynamicType = ()> + DeserializeOwned,
{
    let began = Instant::now();
    let request: AdmissionRequest<K> = match review.try_into() {
        Ok(request) => request,
        Err(e) => return Json(AdmissionResponse::invalid(e).into_review()),
    };
    let namespace = request.namespace.clone().unwrap_or_default();
    let decision = request.object.as_ref().map(|new| decide(ctx, &request, &namespace, new)).unwrap_or_default();
    let answer = metric(&decision);
    let response = Json(response(&request, decision).into_review());
    traces::decided(&namespace, answer);
    ctx.metrics.admission(resource, answer, began.elapsed());
    response
}

/// The label of the metric; dashboards compare it.
fn metric(decision: &AdmissionDecision) -> &'static str {
    match (&decision.denial, decision.patch.is_empty()) {
        (Some(_), _) => "denied",
        (None, true) => "passed",
        (None, false) => "changed",
    }
}

fn response<K: Resource<DynamicType = ()>>(
    request: &AdmissionRequest<K>,
    decision: AdmissionDecision,
) -> AdmissionResponse {
    let mut response = AdmissionResponse::from(request);
    if let Some(why) = decision.denial {
        return response.deny(why);
    }
    if !decision.warnings.is_empty() {
        response.warnings = Some(decision.warnings);
    }
    if decision.patch.is_empty() {
        return response;
    }
    let patch = serde_json::from_value(Value::Array(decision.patch));
    match patch.map(|patch| response.clone().with_patch(patch)) {
        Ok(Ok(patched)) => patched,
        // Without the patch it would run without a scan.
        _ => response.deny("tidewaiter could not encode its change as a patch; try again"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn request() -> AdmissionRequest<Pod> {
        let kind = json!({"group": "", "version": "v1", "kind": "Pod"});
        let resource = json!({"group": "", "version": "v1", "resource": "pods"});
        let review: AdmissionReview<Pod> = serde_json::from_value(json!({"apiVersion": "admission.k8s.io/v1",
            "kind": "AdmissionReview", "request": {"uid": "u", "kind": kind, "resource": resource, "name": "p",
                "operation": "CREATE", "userInfo": {}, "object": {"metadata": {"name": "p"}}}}))
        .unwrap();
        review.try_into().unwrap()
    }

    #[test]
    fn a_decision_becomes_a_response() {
        let add = || json!({"op": "add", "path": "/spec/x", "value": 1});
        let check = |decision: AdmissionDecision, allowed: bool, patched: bool, warned: bool, label: &str| {
            assert_eq!(metric(&decision), label);
            let response = serde_json::to_value(response(&request(), decision)).unwrap();
            assert_eq!(response["allowed"], json!(allowed), "{response}");
            assert_eq!(response.get("patch").is_some(), patched, "{response}");
            assert_eq!(response.get("warnings").is_some(), warned, "{response}");
        };
        let decision = |patch: Vec<Value>, warnings: &[&str]| AdmissionDecision {
            patch,
            warnings: warnings.iter().map(|w| (*w).to_owned()).collect(),
            ..AdmissionDecision::default()
        };
        check(AdmissionDecision::allow(), true, false, false, "passed");
        check(AdmissionDecision::deny("no".to_owned()), false, false, false, "denied");
        check(decision(vec![add()], &[]), true, true, false, "changed");
        check(decision(vec![add()], &["held"]), true, true, true, "changed");
        check(decision(vec![], &["held"]), true, false, true, "passed");
        // A change that cannot be described would let an unscanned image run.
        check(decision(vec![json!({"op": "nonsense"})], &[]), false, false, false, "changed");
    }
}
