//! A receiver of webhooks, which keeps what it was sent.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use serde_json::Value;
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
}

async fn accept(State(inbox): State<Arc<Inbox>>, body: String) -> StatusCode {
    let mut refusals = inbox.refusals.lock().unwrap();
    if *refusals > 0 {
        *refusals -= 1;
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    inbox.received.lock().unwrap().push(serde_json::from_str(&body).unwrap_or(Value::String(body)));
    StatusCode::ACCEPTED
}
