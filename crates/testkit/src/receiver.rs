//! A receiver of webhooks, which keeps what it was sent.

use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

/// Listens on loopback until dropped.
#[derive(Debug)]
pub struct Receiver {
    /// Where to send.
    pub url: String,
    state: Arc<Inbox>,
    _runtime: tokio::runtime::Runtime,
}

#[derive(Debug, Default)]
struct Inbox {
    received: Mutex<Vec<Value>>,
    kinds: Mutex<BTreeSet<String>>,
    refusals: Mutex<u32>,
}

impl Receiver {
    /// A receiver that answers the first `refusals` deliveries with 503.
    pub fn start(refusals: u32) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let state = Arc::new(Inbox { refusals: Mutex::new(refusals), ..Inbox::default() });
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("http://{}/alerts", listener.local_addr().unwrap());
        let app = Router::new().route("/alerts", post(accept)).with_state(Arc::clone(&state));
        runtime.spawn(async move { axum::serve(listener, app).await });
        Receiver { url, state, _runtime: runtime }
    }

    /// Everything accepted so far.
    pub fn received(&self) -> Vec<Value> {
        self.state.received.lock().unwrap().clone()
    }

    /// Content types of everything accepted so far.
    pub fn kinds(&self) -> Vec<String> {
        self.state.kinds.lock().unwrap().iter().cloned().collect()
    }
}

async fn accept(State(inbox): State<Arc<Inbox>>, headers: HeaderMap, body: String) -> StatusCode {
    let mut refusals = inbox.refusals.lock().unwrap();
    if *refusals > 0 {
        *refusals -= 1;
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    let kind = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    inbox.kinds.lock().unwrap().insert(kind.to_owned());
    inbox.received.lock().unwrap().push(serde_json::from_str(&body).unwrap_or(Value::String(body)));
    StatusCode::ACCEPTED
}
