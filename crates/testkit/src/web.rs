//! A web server of fixed files, with TLS or without.

use crate::authority::Authority;
use crate::serve::{Pair, Served, pair};
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

type Files = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;

/// Serves until dropped.
#[derive(Debug)]
pub struct Web {
    served: Served,
    scheme: &'static str,
    files: Files,
}

impl Web {
    /// Serves (path, content) pairs; with an authority, over TLS.
    pub fn start(files: &[(&str, Vec<u8>)], authority: Option<&Authority>) -> Self {
        let scheme = if authority.is_some() { "https" } else { "http" };
        Self::serve(files, authority.map(pair), scheme)
    }

    /// Serves over TLS, under these names too.
    pub fn with_names(files: &[(&str, Vec<u8>)], authority: &Authority, names: &[&str]) -> Self {
        let pair = authority.leaf(&[&["localhost", "127.0.0.1"], names].concat());
        Self::serve(files, Some(pair), "https")
    }

    fn serve(files: &[(&str, Vec<u8>)], tls: Option<Pair>, scheme: &'static str) -> Self {
        let shared = Files::default();
        let router = Router::new().fallback(answer).with_state(shared.clone());
        let web = Web { served: Served::start(0, router, tls), scheme, files: shared };
        web.replace(files);
        web
    }

    /// Serves other files from now on.
    pub fn replace(&self, files: &[(&str, Vec<u8>)]) {
        let files = files.iter().map(|(path, bytes)| ((*path).to_owned(), bytes.clone()));
        *self.files.lock().unwrap() = files.collect();
    }

    /// Serves redirects over TLS: (path, location) pairs.
    pub fn redirecting(locations: &[(&str, &str)], authority: &Authority) -> Self {
        let locations: BTreeMap<String, String> =
            locations.iter().map(|(path, to)| ((*path).to_owned(), (*to).to_owned())).collect();
        let app = Router::new().fallback(redirect).with_state(Arc::new(locations));
        Web { served: Served::start(0, app, Some(pair(authority))), scheme: "https", files: Files::default() }
    }

    /// Address of a path, by the name `localhost`.
    pub fn url(&self, path: &str) -> String {
        format!("{}://localhost:{}{path}", self.scheme, self.port())
    }

    /// Its port on loopback.
    pub fn port(&self) -> u16 {
        self.served.address.port()
    }
}

async fn answer(State(files): State<Files>, uri: Uri) -> Response {
    match files.lock().unwrap().get(uri.path()) {
        Some(bytes) => bytes.clone().into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn redirect(State(locations): State<Arc<BTreeMap<String, String>>>, uri: Uri) -> Response {
    match locations.get(uri.path()) {
        Some(to) => (StatusCode::FOUND, [(header::LOCATION, to.clone())]).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
