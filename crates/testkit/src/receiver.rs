//! A receiver of webhooks that records deliveries.

use crate::authority::Authority;
use crate::serve::{Served, pair};
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
    served: Served,
    state: Arc<Inbox>,
}

#[derive(Debug, Default)]
struct Inbox {
    received: Mutex<Vec<Value>>,
    kinds: Mutex<BTreeSet<String>>,
    refusals: Mutex<u32>,
}

impl Receiver {
    /// A receiver that answers the first `refusals` deliveries with 503; with an authority, over TLS.
    pub fn start(refusals: u32, authority: Option<&Authority>) -> Self {
        let state = Arc::new(Inbox { refusals: Mutex::new(refusals), ..Inbox::default() });
        let app = Router::new().route("/alerts", post(accept)).with_state(Arc::clone(&state));
        Receiver { served: Served::start(0, app, authority.map(pair)), state }
    }

    /// Where to send.
    pub fn url(&self) -> String {
        format!("http://{}/alerts", self.served.address)
    }

    /// Its port on loopback.
    pub fn port(&self) -> u16 {
        self.served.address.port()
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
