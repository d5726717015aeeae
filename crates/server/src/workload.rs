//! Workloads: what is recorded of them, how a decision is made, and the controller of Deployments.

pub(crate) mod decide;
pub(crate) mod deployment;
pub(crate) mod display;
pub(crate) mod evaluate;
pub(crate) mod others;
pub(crate) mod record;
pub(crate) mod requests;
mod started;

use crate::context::Context;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use std::collections::{BTreeMap, BTreeSet};
use tidewaiter_core::status::Approval;
use tidewaiter_crd::policy::ApprovalMode;

use crate::admission::images;

/// Which object a decision is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) namespace: String,
    pub(crate) api_version: String,
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) uid: String,
}

impl Owner {
    /// `deployment/myapp`, as people name it.
    pub(crate) fn label(&self) -> String {
        format!("{}/{}", self.kind.to_ascii_lowercase(), self.name)
    }

    /// The object, for Events about it.
    fn object(&self) -> ObjectReference {
        ObjectReference {
            api_version: Some(self.api_version.clone()),
            kind: Some(self.kind.clone()),
            namespace: Some(self.namespace.clone()),
            name: Some(self.name.clone()),
            uid: Some(self.uid.clone()),
            ..ObjectReference::default()
        }
    }

    /// An owner reference, so that the record goes with its workload.
    fn reference(&self) -> OwnerReference {
        OwnerReference {
            api_version: self.api_version.clone(),
            kind: self.kind.clone(),
            name: self.name.clone(),
            uid: self.uid.clone(),
            ..OwnerReference::default()
        }
    }
}

/// Whether a person's word is needed for these pinned images, and given.
pub(crate) fn approval(ctx: &Context, owner: &Owner, pins: &BTreeMap<String, String>) -> Approval {
    if ctx.policy(&owner.namespace).approval == ApprovalMode::Automatic {
        return Approval::Automatic;
    }
    let wanted: BTreeSet<&str> = pins.values().filter_map(|image| images::digest(image)).collect();
    let counts = |approval: &tidewaiter_crd::RolloutApproval| {
        let spec = &approval.spec;
        let given: BTreeSet<&str> = spec.digests.iter().map(String::as_str).collect();
        let expires = spec.expires.as_ref().map(|t| t.parse::<Timestamp>());
        let valid = expires.is_none_or(|t| t.is_ok_and(|t| t > Timestamp::now()));
        approval.metadata.namespace.as_ref() == Some(&owner.namespace)
            && spec.uid == owner.uid
            && spec.kind == owner.kind
            && valid
            && wanted == given
    };
    match ctx.index.approvals.find(counts) {
        Some(_) => Approval::Given,
        None => Approval::Awaited,
    }
}

/// Why a workload could not be brought up to date; it is tried again.
#[derive(Debug, thiserror::Error)]
#[error("{}", said(.0))]
pub(crate) struct Error(#[from] pub(crate) kube::Error);

/// What API servers say of a patch that cannot be applied, from 1.37 on.
const REJECTED: &str = "the server rejected our request due to an error in our request";

/// What the API server says, without the dump of its answer that the library adds.
fn said(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => format!("{} ({})", status.message, status.reason),
        other => other.to_string(),
    }
}

impl Error {
    /// Somebody else wrote at the same time: another version, or a test of a JSON patch that failed. API servers word
    /// the latter differently; from 1.37 on it is a refusal as invalid that names no object and no cause, which refused
    /// fields and webhooks do.
    pub(crate) fn is_conflict(&self) -> bool {
        let kube::Error::Api(status) = &self.0 else { return false };
        let causes: Vec<&str> = status.details.iter().flat_map(|d| &d.causes).map(|c| c.message.as_str()).collect();
        let told = |text: &str| text.contains("test failed") || text.contains("testing");
        let nameless = causes.is_empty() && status.reason == "Invalid" && status.message == REJECTED;
        let tested = nameless || causes.iter().any(|text| told(text)) || told(&status.message);
        status.code == 409 || status.code == 422 && tested
    }

    /// The object or its namespace is going away.
    pub(crate) fn is_gone(&self) -> bool {
        matches!(&self.0, kube::Error::Api(status)
            if status.code == 404 || status.code == 403 && status.message.contains("is being terminated"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers as API servers gave them.
    #[test]
    fn conflicts_are_told_from_mistakes() {
        let check = |answer: &str, expected: bool| {
            let error = Error(kube::Error::Api(serde_json::from_str(answer).unwrap()));
            assert_eq!(error.is_conflict(), expected, "{answer}");
            assert!(!error.to_string().contains("Status {"), "{error}");
        };
        check(r#"{"code":409,"reason":"Conflict","message":"the object has been modified"}"#, true);
        check(
            r#"{"code":422,"reason":"Invalid","message":"the server rejected our request due to an error in our request","details":{}}"#,
            true,
        );
        check(
            r#"{"code":422,"reason":"Invalid","message":"the server rejected our request due to an error in our request",
            "details":{"causes":[{"message":"testing value /metadata/resourceVersion failed: test failed"}]}}"#,
            true,
        );
        check(
            r#"{"code":422,"reason":"Invalid","message":"Pod \"p\" is invalid: spec: Forbidden: pod updates may not change fields",
            "details":{"name":"p","kind":"Pod","causes":[{"reason":"FieldValueForbidden","message":"Forbidden","field":"spec"}]}}"#,
            false,
        );
        check(r#"{"code":422,"reason":"Invalid","message":"Pod \"p\" is invalid: spec: Forbidden"}"#, false);
        check(r#"{"code":422,"reason":"Invalid","message":"admission webhook \"w\" denied the request: no"}"#, false);
        check(r#"{"code":403,"reason":"Forbidden","message":"no"}"#, false);
    }
}
