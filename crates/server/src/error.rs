//! Errors of the API server, and what a controller makes of them.

/// Why an object could not be reconciled.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReconcileError {
    /// The API server refused, or could not be asked.
    #[error("{}", described(.0))]
    Api(#[from] kube::Error),
    /// The name of a workload's record is taken by that of another one. Two UIDs that begin alike do not happen; somebody
    /// wrote an owner reference by hand.
    #[error("its WorkloadScan would be {0}, which is that of another workload: its owner reference is wrong")]
    RecordTaken(String),
}

/// What API servers say of a patch that cannot be applied, from version 1.37 on.
const REJECTED: &str = "the server rejected our request due to an error in our request";

/// What the API server says, without the dump of the whole response that the library adds.
fn described(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => format!("{} ({})", status.message, status.reason),
        other => other.to_string(),
    }
}

impl ReconcileError {
    /// Whether another client wrote at the same time: another version, or a failed test of a JSON patch. API servers word
    /// the latter differently; from 1.37 on it is a refusal as invalid that names neither object nor cause, unlike those of
    /// refused fields and of webhooks.
    pub(crate) fn is_conflict(&self) -> bool {
        let Self::Api(kube::Error::Api(status)) = self else { return false };
        let causes: Vec<&str> = status.details.iter().flat_map(|d| &d.causes).map(|c| c.message.as_str()).collect();
        let nameless = causes.is_empty() && status.reason == "Invalid" && status.message == REJECTED;
        let tested = nameless || causes.iter().any(|text| names_a_test(text)) || names_a_test(&status.message);
        status.code == 409 || status.code == 422 && tested
    }

    /// Whether the object is deleted, or its namespace is being deleted.
    pub(crate) fn is_gone(&self) -> bool {
        matches!(self, Self::Api(kube::Error::Api(status))
            if status.code == 404 || status.code == 403 && status.message.contains("is being terminated"))
    }

    /// Whether no role lets the server write any such object, unlike where a policy, a quota or a namespace refuses this one: they
    /// answer with the same code.
    pub(crate) fn is_not_permitted(&self) -> bool {
        let says = |message: &str| {
            ["patch", "create"].iter().any(|verb| message.contains(&format!("cannot {verb} resource ")))
        };
        matches!(self, Self::Api(kube::Error::Api(status)) if status.code == 403 && says(&status.message))
    }
}

fn names_a_test(text: &str) -> bool {
    text.contains("test failed") || text.contains("testing")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Responses of real API servers.
    #[test]
    fn conflicts_are_distinguished_from_mistakes() {
        let check = |answer: &str, expected: bool| {
            let error = ReconcileError::Api(kube::Error::Api(serde_json::from_str(answer).unwrap()));
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

    #[test]
    fn what_is_deleted_needs_no_retry() {
        let check = |code: u16, message: &str, expected: bool| {
            let status = serde_json::json!({"code": code, "message": message});
            let error = ReconcileError::Api(kube::Error::Api(serde_json::from_value(status).unwrap()));
            assert_eq!(error.is_gone(), expected, "{code} {message}");
        };
        check(404, "not found", true);
        check(403, "unable to create new content in namespace n because it is being terminated", true);
        check(403, "no", false);
        check(409, "conflict", false);
    }

    /// Responses of real API servers.
    #[test]
    fn a_missing_permission_is_distinguished_from_a_refused_object() {
        let check = |code: u16, message: &str, expected: bool| {
            let status = serde_json::json!({"code": code, "message": message});
            let error = ReconcileError::Api(kube::Error::Api(serde_json::from_value(status).unwrap()));
            assert_eq!(error.is_not_permitted(), expected, "{code} {message}");
        };
        let may_not = |verb: &str| {
            format!(
                r#"reports.openreports.io "deployment-d-" is forbidden: User "system:serviceaccount:tidewaiter-system:tidewaiter" cannot {verb} resource "reports" in API group "openreports.io" in the namespace "n""#
            )
        };
        check(403, &may_not("patch"), true);
        check(403, &may_not("create"), true);
        check(
            403,
            "reports.openreports.io \"r\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'p' denied request: no",
            false,
        );
        check(403, "reports.openreports.io \"r\" is forbidden: exceeded quota: q, requested: count/reports=1", false);
        check(403, "unable to create new content in namespace n because it is being terminated", false);
        check(404, "not found", false);
    }
}
