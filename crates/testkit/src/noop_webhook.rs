//! A webhook that allows everything without a look, on the TLS stack of the server: what any webhook costs.

use crate::authority::Authority;
use crate::https::HttpsServer;
use crate::serve::{Served, pair};
use axum::Router;
use axum::body::Bytes;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::post;

const ALLOWED: &str =
    r#"{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":{"uid":"u","allowed":true}}"#;

/// The webhook; it stops when dropped.
#[derive(Debug)]
pub struct NoopWebhook {
    served: Served,
    authority: Authority,
}

impl Default for NoopWebhook {
    fn default() -> Self {
        Self::start()
    }
}

impl NoopWebhook {
    /// Starts on a free port.
    pub fn start() -> Self {
        let authority = Authority::new();
        let routes = Router::new().route("/{*path}", post(allow));
        NoopWebhook { served: Served::start(0, routes, Some(pair(&authority))), authority }
    }

    /// How to reach it.
    pub fn server(&self) -> HttpsServer {
        HttpsServer {
            address: self.served.address,
            name: "localhost".to_owned(),
            authority: self.authority.pem().as_bytes().to_vec(),
            token: None,
        }
    }
}

async fn allow(_: Bytes) -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], ALLOWED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_connection_carries_many_reviews() {
        let webhook = NoopWebhook::start();
        let mut client = webhook.server().connect().unwrap();
        for size in [2, 100_000, 2] {
            let (status, body) = client.send("POST", "/pods", &vec![b' '; size]).unwrap();
            assert_eq!((status, body.as_slice()), (200, ALLOWED.as_bytes()));
        }
    }
}
