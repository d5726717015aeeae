//! The admission webhooks: an AdmissionReview in, the pure decision, an AdmissionReview out.

use crate::admission::{Answer, deployment, images, pod};
use crate::context::Context;
use crate::pods;
use crate::queues::Wanted;
use axum::extract::{DefaultBodyLimit, State};
use axum::routing::post;
use axum::{Json, Router};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::core::DynamicObject;
use kube::core::admission::{AdmissionRequest, AdmissionResponse, AdmissionReview};
use kube::{Resource, ResourceExt as _};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::sync::Arc;
use tidewaiter_crd::names::{NAMESPACE, SERVICE_ACCOUNT};

/// The API server sends no larger object.
const MAX_BODY: usize = 8 << 20;

/// Both webhooks.
pub(crate) fn router(ctx: Arc<Context>) -> Router {
    Router::new()
        .route("/deployments", post(deployments))
        .route("/pods", post(created_pods))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(ctx)
}

/// What our ServiceAccount is called in requests.
pub(crate) fn our_name() -> String {
    format!("system:serviceaccount:{NAMESPACE}:{SERVICE_ACCOUNT}")
}

async fn deployments(
    State(ctx): State<Arc<Context>>,
    Json(review): Json<AdmissionReview<Deployment>>,
) -> Json<AdmissionReview<DynamicObject>> {
    respond(review, &ctx, |request, namespace, new| {
        let old = request.old_object.as_ref();
        // A name is not enough: what another Deployment of this name was allowed says nothing about this one.
        let status = old.and_then(|old| ctx.index.deployment_status(old));
        let known = deployment::Known { enforced: ctx.enforced(namespace), workload: status.as_ref() };
        let ours = request.user_info.username.as_deref() == Some(our_name().as_str());
        deployment::review(&deployment::Request { new, old, ours }, &known)
    })
}

async fn created_pods(
    State(ctx): State<Arc<Context>>,
    Json(review): Json<AdmissionReview<Pod>>,
) -> Json<AdmissionReview<DynamicObject>> {
    respond(review, &ctx, |request, namespace, new| {
        let enforced = ctx.enforced(namespace);
        if !enforced && ctx.in_scope(namespace) && !request.dry_run {
            scan_unheld(&ctx, namespace, new);
        }
        let by_node = request.user_info.groups.iter().flatten().any(|group| group == "system:nodes");
        let known = pod::Known {
            enforced,
            pins: pods::pins(new, namespace, &ctx),
            fresh: ctx.approvals.is_young(namespace),
            mirror: by_node && new.annotations().contains_key("kubernetes.io/config.mirror"),
        };
        pod::review(new, &known)
    })
}

/// Audit lets a Pod run at once; its images are scanned all the same.
fn scan_unheld(ctx: &Context, namespace: &str, pod: &Pod) {
    let Some(spec) = &pod.spec else { return };
    let secrets = spec.image_pull_secrets.iter().flatten().map(|s| s.name.clone());
    let pull_secrets: Vec<String> = secrets.filter(|name| !name.is_empty()).collect();
    for image in images::of(spec).into_values() {
        ctx.queues.unheld.add(Wanted { namespace: namespace.to_owned(), image, pull_secrets: pull_secrets.clone() });
    }
}

fn respond<K>(
    review: AdmissionReview<K>,
    ctx: &Context,
    decide: impl FnOnce(&AdmissionRequest<K>, &str, &K) -> Answer,
) -> Json<AdmissionReview<DynamicObject>>
where
    K: Resource<DynamicType = ()> + DeserializeOwned,
{
    let request: AdmissionRequest<K> = match review.try_into() {
        Ok(request) => request,
        Err(e) => return Json(AdmissionResponse::invalid(e).into_review()),
    };
    let namespace = request.namespace.clone().unwrap_or_default();
    let answer = request.object.as_ref().map(|new| decide(&request, &namespace, new)).unwrap_or_default();
    let word = match (&answer.denial, answer.patch.is_empty()) {
        (Some(_), _) => "denied",
        (None, true) => "passed",
        (None, false) => "changed",
    };
    ctx.metrics.admission(&request.resource.resource, word);
    Json(response(&request, answer).into_review())
}

fn response<K: Resource<DynamicType = ()>>(request: &AdmissionRequest<K>, answer: Answer) -> AdmissionResponse {
    let mut response = AdmissionResponse::from(request);
    if let Some(why) = answer.denial {
        return response.deny(why);
    }
    if !answer.warnings.is_empty() {
        response.warnings = Some(answer.warnings);
    }
    if answer.patch.is_empty() {
        return response;
    }
    let patch = serde_json::from_value(Value::Array(answer.patch));
    match patch.map(|patch| response.clone().with_patch(patch)) {
        Ok(Ok(patched)) => patched,
        // Without the patch it would run unseen: refuse.
        _ => response.deny("the image gate could not describe its change; try again"),
    }
}
