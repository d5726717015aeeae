//! The requests of the server's account, as the API server's audit log has them.

use serde_json::Value;
use std::fmt;
use std::fs;
use std::path::Path;

/// One request that the API server answered. Watches are not in the log: they are open for minutes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiRequest {
    /// `get`, `create`, `patch`.
    pub verb: String,
    /// API group; empty for the core group.
    pub group: String,
    /// `deployments`, or `deployments/status`.
    pub resource: String,
    /// Namespace; empty for objects of the cluster.
    pub namespace: String,
    /// Name; empty where the request has none.
    pub name: String,
    /// Status code of the response.
    pub code: u64,
    /// What tells the token that it came with from others of the account; empty before Kubernetes 1.30.
    pub credential: String,
}

impl ApiRequest {
    /// Whether it may change something.
    pub fn is_write(&self) -> bool {
        !matches!(self.verb.as_str(), "get" | "list" | "watch")
    }

    fn read(event: &Value) -> Option<Self> {
        let object = &event["objectRef"];
        let text = |field: &str| object[field].as_str().unwrap_or_default().to_owned();
        let resource = match object["subresource"].as_str() {
            Some(subresource) => format!("{}/{subresource}", text("resource")),
            None => text("resource"),
        };
        Some(ApiRequest {
            verb: event["verb"].as_str()?.to_owned(),
            group: text("apiGroup"),
            resource,
            namespace: text("namespace"),
            name: text("name"),
            code: event["responseStatus"]["code"].as_u64().unwrap_or_default(),
            credential: event["user"]["extra"]["authentication.kubernetes.io/credential-id"][0]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
        })
    }
}

impl fmt::Display for ApiRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}/{} → {}", self.verb, self.resource, self.namespace, self.name, self.code)
    }
}

/// The requests in an audit log, oldest first; a line that is being written is left out.
pub fn read(log: &Path) -> Vec<ApiRequest> {
    let text = fs::read_to_string(log).unwrap_or_default();
    text.lines().filter_map(|line| ApiRequest::read(&serde_json::from_str(line).ok()?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_event_is_a_request() {
        let check = |verb: &str, subresource: Option<&str>, expected: &str, is_write: bool| {
            let mut event = json!({"verb": verb, "responseStatus": {"code": 200},
                "objectRef": {"apiGroup": "apps", "resource": "deployments", "namespace": "n", "name": "web"}});
            if let Some(subresource) = subresource {
                event["objectRef"]["subresource"] = json!(subresource);
            }
            let request = ApiRequest::read(&event).unwrap();
            assert_eq!((request.to_string().as_str(), request.is_write()), (expected, is_write));
        };
        check("patch", Some("status"), "patch deployments/status n/web → 200", true);
        check("get", None, "get deployments n/web → 200", false);
        assert_eq!(ApiRequest::read(&json!({})), None);
    }
}
