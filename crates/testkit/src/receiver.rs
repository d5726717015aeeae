//! A receiver of webhooks that records deliveries.

use crate::authority::Authority;
use crate::serve::{Served, pair};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use serde_json::Value;
use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};

/// Listens on loopback until dropped.
#[derive(Debug)]
pub struct Receiver {
    served: Served,
    state: Arc<Inbox>,
}

#[derive(Debug, Default)]
struct Inbox {
    received: Mutex<Vec<Delivery>>,
    refusals: Mutex<VecDeque<BadAnswer>>,
    /// What is never accepted: by words in it.
    unwanted: Mutex<Option<(String, BadAnswer)>>,
    refused: Mutex<usize>,
}

/// What was accepted.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// Path and query.
    pub path: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// As it was sent.
    pub bytes: Vec<u8>,
    /// The same as text.
    pub text: String,
    /// As JSON, or as text.
    pub body: Value,
}

/// A bad answer.
#[derive(Debug, Clone)]
pub struct BadAnswer {
    /// The status.
    pub status: u16,
    /// `Retry-After`, where the answer has it.
    pub retry_after: Option<String>,
    /// Its body.
    pub words: String,
}

impl BadAnswer {
    /// With a status alone.
    pub fn status(status: u16) -> Self {
        BadAnswer { status, retry_after: None, words: String::new() }
    }
}

impl Receiver {
    /// A receiver that answers the first `refusals` deliveries with 503; with an authority, over TLS.
    pub fn start(refusals: u32, authority: Option<&Authority>) -> Self {
        let receiver = Self::accepting(authority);
        (0..refusals).for_each(|_| receiver.refuse(BadAnswer::status(503)));
        receiver
    }

    fn accepting(authority: Option<&Authority>) -> Self {
        let state = Arc::<Inbox>::default();
        let app = Router::new().fallback(accept).with_state(Arc::clone(&state));
        Receiver { served: Served::start(0, app, authority.map(pair)), state }
    }

    /// Answers one more delivery like this, after those that are to be refused already.
    pub fn refuse(&self, refusal: BadAnswer) {
        self.state.refusals.lock().unwrap().push_back(refusal);
    }

    /// Answers every delivery like this that has these words.
    pub fn refuse_always(&self, words: &str, refusal: BadAnswer) {
        *self.state.unwanted.lock().unwrap() = Some((words.to_owned(), refusal));
    }

    /// Where to send.
    pub fn url(&self) -> String {
        format!("{}/alerts", self.base())
    }

    /// The same without a path.
    pub fn base(&self) -> String {
        format!("http://{}", self.served.address)
    }

    /// Its port on loopback.
    pub fn port(&self) -> u16 {
        self.served.address.port()
    }

    /// The bodies of everything accepted so far.
    pub fn received(&self) -> Vec<Value> {
        self.deliveries().into_iter().map(|delivery| delivery.body).collect()
    }

    /// Everything accepted so far.
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.state.received.lock().unwrap().clone()
    }

    /// How many deliveries were refused.
    pub fn refused(&self) -> usize {
        *self.state.refused.lock().unwrap()
    }

    /// Content types of everything accepted so far.
    pub fn kinds(&self) -> Vec<String> {
        let kind = |delivery: Delivery| {
            let kind = delivery.headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
            kind.to_owned()
        };
        self.deliveries().into_iter().map(kind).collect::<BTreeSet<_>>().into_iter().collect()
    }
}

async fn accept(State(inbox): State<Arc<Inbox>>, uri: Uri, headers: HeaderMap, bytes: Bytes) -> Response {
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let unwanted = inbox.unwanted.lock().unwrap().clone().filter(|(words, _)| text.contains(words));
    let next = || inbox.refusals.lock().unwrap().pop_front();
    if let Some(refusal) = unwanted.map(|(_, refusal)| refusal).or_else(next) {
        *inbox.refused.lock().unwrap() += 1;
        let mut response = (StatusCode::from_u16(refusal.status).unwrap(), refusal.words).into_response();
        if let Some(after) = refusal.retry_after {
            response.headers_mut().insert("retry-after", after.parse().unwrap());
        }
        return response;
    }
    let body = serde_json::from_str(&text).unwrap_or_else(|_| Value::String(text.clone()));
    inbox.received.lock().unwrap().push(Delivery { path: uri.to_string(), headers, bytes: bytes.into(), text, body });
    StatusCode::ACCEPTED.into_response()
}
