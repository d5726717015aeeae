//! A registry on loopback that speaks the OCI distribution protocol: pull and push, with a login or a token when wanted.

use crate::authority::Authority;
use crate::digest::sha256;
use crate::image::{Blob, INDEX, ImageFixture, Manifest};
use crate::serve::{Pair, Served, pair};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Query, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// A registry; it stops when dropped.
#[derive(Debug)]
pub struct Registry {
    address: SocketAddr,
    content: Arc<Mutex<Content>>,
    served: Option<Served>,
    /// Of a registry that speaks TLS.
    tls: Option<Pair>,
}

#[derive(Debug, Default)]
struct Content {
    blobs: BTreeMap<String, Blob>,
    /// repository → tag or digest → document.
    manifests: BTreeMap<String, BTreeMap<String, Manifest>>,
    /// The `Authorization` value that it requires; none: it is public.
    authorization: Option<String>,
    /// What its token service gives tokens for; none: it has no such service.
    tokens: Option<TokenService>,
    /// The `WWW-Authenticate` value of its refusals.
    challenge: String,
    /// `METHOD PATH AUTHORIZATION` of each request.
    log: Vec<String>,
    /// Bytes after which blobs are cut off.
    cut: Option<usize>,
    /// Every blob takes this long.
    delay: Duration,
    requests: u64,
    /// Blob → bytes of it that were sent.
    sent: BTreeMap<String, u64>,
    /// Whether it lists what refers to a digest.
    has_referrers: bool,
    /// What it answers in place of that list.
    referrers_answer: Option<(u16, String)>,
    /// Documents with a tag that it takes and forgets.
    lost_tags: usize,
}

/// What a token service gives tokens for.
#[derive(Debug)]
struct TokenService {
    /// The `Authorization` value of a GET.
    basic: String,
    /// The refresh token of a POST.
    refresh: String,
}

/// The access token of every token service.
const TOKEN: &str = "testkit-access-token";

type Shared = Arc<Mutex<Content>>;

impl Default for Registry {
    fn default() -> Self {
        Self::start()
    }
}

impl Registry {
    /// Starts on a free port.
    pub fn start() -> Self {
        Self::serve([127, 0, 0, 1], None)
    }

    /// Starts at another address of this machine, where clients do not assume plain HTTP.
    pub fn start_at(address: [u8; 4]) -> Self {
        Self::serve(address, None)
    }

    /// Starts with TLS, by a certificate of this authority.
    pub fn start_tls(authority: &Authority) -> Self {
        Self::serve([127, 0, 0, 1], Some(pair(authority)))
    }

    fn serve(address: [u8; 4], tls: Option<Pair>) -> Self {
        let address = (address, 0).into();
        let mut registry = Registry { address, content: Shared::default(), served: None, tls };
        registry.up();
        registry
    }

    /// Its port on loopback.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// `127.0.0.1:port`, as image references begin.
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// Stores an image; gives its full reference.
    pub fn push(&self, repository: &str, tag: &str, image: &ImageFixture) -> String {
        let mut content = self.content();
        content.blobs.extend(image.blobs.clone());
        let repo = content.manifests.entry(repository.to_owned()).or_default();
        repo.extend(image.manifests.clone());
        repo.insert(image.digest(), image.root.clone());
        repo.insert(tag.to_owned(), image.root.clone());
        format!("{}/{repository}:{tag}", self.host())
    }

    /// Stores a document as it is.
    pub fn put_manifest(&self, repository: &str, tag: &str, media_type: &str, bytes: &[u8]) -> String {
        let manifest = Manifest { media_type: media_type.to_owned(), bytes: bytes.to_vec() };
        self.content().manifests.entry(repository.to_owned()).or_default().insert(tag.to_owned(), manifest);
        format!("{}/{repository}:{tag}", self.host())
    }

    /// The document of a tag or digest.
    pub fn manifest(&self, repository: &str, selector: &str) -> Vec<u8> {
        self.content().manifests[repository][selector].bytes.clone()
    }

    /// All documents of a repository, by tag and digest.
    pub fn manifests(&self, repository: &str) -> BTreeMap<String, Manifest> {
        self.content().manifests.get(repository).cloned().unwrap_or_default()
    }

    /// Answers the referrers API, which not every registry has: with what was pushed with a subject, and what the document of
    /// the tag lists that stands in for it.
    pub fn serve_referrers(&self) {
        self.content().has_referrers = true;
    }

    /// Answers the referrers API with something else from now on.
    pub fn answer_referrers(&self, status: u16, body: &str) {
        self.content().referrers_answer = Some((status, body.to_owned()));
    }

    /// Forgets the next documents that are pushed with a tag, as if somebody pushed another one at once.
    pub fn lose_tags(&self, count: usize) {
        self.content().lost_tags = count;
    }

    /// The bytes of a blob.
    pub fn blob(&self, digest: &str) -> Vec<u8> {
        self.content().blobs[digest].read()
    }

    /// Stores other bytes under a digest than those it names.
    pub fn forge_blob(&self, digest: &str, bytes: &[u8]) {
        self.content().blobs.insert(digest.to_owned(), Blob::Bytes(bytes.to_vec()));
    }

    /// Requires this login from now on.
    pub fn require_login(&self, user: &str, password: &str) {
        let mut content = self.content();
        content.authorization = Some(basic(user, password));
        content.challenge = "Basic realm=\"testkit\"".to_owned();
    }

    /// Requires an access token from now on, which the token service at `realm` (a URL that ends with `/token`) gives.
    pub fn require_token(&self, realm: &str) {
        let mut content = self.content();
        content.authorization = Some(format!("Bearer {TOKEN}"));
        content.challenge = format!("Bearer realm=\"{realm}\",service=\"testkit\"");
    }

    /// Gives tokens at `/token` from now on: for this login by GET, for this refresh token by POST.
    pub fn give_tokens(&self, user: &str, password: &str, refresh: &str) {
        let service = TokenService { basic: basic(user, password), refresh: refresh.to_owned() };
        self.content().tokens = Some(service);
    }

    /// `METHOD PATH AUTHORIZATION` of each request so far.
    pub fn log(&self) -> Vec<String> {
        self.content().log.clone()
    }

    /// Cuts every blob after this many bytes from now on.
    pub fn cut_blobs(&self, after: Option<usize>) {
        self.content().cut = after;
    }

    /// Delays every blob by this long from now on.
    pub fn delay_blobs(&self, delay: Duration) {
        self.content().delay = delay;
    }

    /// Requests answered so far.
    pub fn requests(&self) -> u64 {
        self.content().requests
    }

    /// Bytes of a blob that were sent so far.
    pub fn sent(&self, digest: &str) -> u64 {
        self.content().sent.get(digest).copied().unwrap_or_default()
    }

    /// Stops answering; the content stays.
    pub fn down(&mut self) {
        self.served = None;
    }

    /// Answers (again), on the same port.
    pub fn up(&mut self) {
        let app = Router::new().fallback(answer).layer(DefaultBodyLimit::disable());
        let served = Served::start_at(self.address, app.with_state(Arc::clone(&self.content)), self.tls.clone());
        self.address = served.address;
        self.served = Some(served);
    }

    fn content(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap()
    }
}

async fn answer(
    State(shared): State<Shared>,
    Query(query): Query<BTreeMap<String, String>>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    let delay = shared.lock().unwrap().delay;
    if !delay.is_zero() && parts.uri.path().contains("/blobs/") {
        tokio::time::sleep(delay).await;
    }
    let mut content = shared.lock().unwrap();
    content.requests += 1;
    let sent = parts.headers.get(header::AUTHORIZATION).and_then(|v| v.to_str().ok()).unwrap_or_default();
    content.log.push(format!("{} {} {sent}", parts.method, parts.uri.path()));
    if parts.uri.path() == "/token" {
        return content.token(&parts.method, sent, &body);
    }
    if content.authorization.as_deref().is_some_and(|wanted| sent != wanted) {
        let challenge = content.challenge.clone();
        return (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, challenge)]).into_response();
    }
    let path = parts.uri.path().trim_start_matches("/v2/").to_owned();
    let split = |word: &str| path.rsplit_once(word).map(|(name, rest)| (name.to_owned(), rest.to_owned()));
    let read = parts.method == Method::GET || parts.method == Method::HEAD;
    if let Some((name, digest)) = split("/referrers/") {
        return content.referrers(&name, &digest);
    }
    match (split("/manifests/"), split("/blobs/")) {
        (Some((name, selector)), _) if read => content.manifest(&name, &selector),
        (Some((name, selector)), _) => content.put(&name, &selector, &parts.headers, body),
        (_, Some((_, digest))) if read => content.blob(&digest, &parts.headers),
        (_, Some((name, _))) if parts.method == Method::POST => {
            let location = format!("/v2/{name}/blobs/uploads/1");
            (StatusCode::ACCEPTED, [(header::LOCATION, location)]).into_response()
        }
        (_, Some(_)) if query.get("digest").is_some_and(|digest| *digest == sha256(&body)) => {
            content.blobs.insert(sha256(&body), Blob::Bytes(body.to_vec()));
            StatusCode::CREATED.into_response()
        }
        (_, Some(_)) => StatusCode::BAD_REQUEST.into_response(),
        _ => StatusCode::OK.into_response(),
    }
}

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}")))
}

/// The entry of a manifest in the list of what refers to `subject`, if it does.
fn referrer(own: &str, manifest: &Manifest, subject: &str) -> Option<Value> {
    let document: Value = serde_json::from_slice(&manifest.bytes).ok()?;
    let mut entry = json!({"mediaType": manifest.media_type, "digest": own, "size": manifest.bytes.len()});
    for field in ["artifactType", "annotations"] {
        if let Some(value) = document.get(field) {
            entry[field] = value.clone();
        }
    }
    (document["subject"]["digest"] == subject).then_some(entry)
}

impl Content {
    /// As a token service (distribution, "Token Authentication" and "Authenticate with OAuth2").
    fn token(&self, method: &Method, sent: &str, body: &[u8]) -> Response {
        let form = String::from_utf8_lossy(body);
        let has = |pair: &str| form.split('&').any(|given| given == pair);
        let answer = self.tokens.as_ref().and_then(|service| match *method {
            Method::GET if sent == service.basic => Some("token"),
            Method::POST if has("grant_type=refresh_token") && has(&format!("refresh_token={}", service.refresh)) => {
                Some("access_token")
            }
            _ => None,
        });
        match answer {
            Some(name) => format!("{{\"{name}\":\"{TOKEN}\"}}").into_response(),
            None => StatusCode::UNAUTHORIZED.into_response(),
        }
    }

    /// As a registry that has this part of the specification; what clients of others stored under a tag is listed, too.
    fn referrers(&self, name: &str, digest: &str) -> Response {
        if let Some((status, body)) = &self.referrers_answer {
            return (StatusCode::from_u16(*status).unwrap(), body.clone()).into_response();
        }
        if !self.has_referrers {
            return StatusCode::NOT_FOUND.into_response();
        }
        let stored = self.manifests.get(name).into_iter().flatten();
        let by_digest = stored.filter(|(selector, _)| selector.starts_with("sha256:"));
        let mut listed: Vec<Value> = by_digest.filter_map(|(own, manifest)| referrer(own, manifest, digest)).collect();
        let by_tag = self.manifests.get(name).and_then(|tags| tags.get(&digest.replace(':', "-")));
        let by_tag: Value = by_tag.and_then(|index| serde_json::from_slice(&index.bytes).ok()).unwrap_or_default();
        listed.extend(by_tag["manifests"].as_array().cloned().unwrap_or_default());
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": listed});
        ([(header::CONTENT_TYPE, INDEX)], index.to_string()).into_response()
    }

    fn manifest(&self, name: &str, selector: &str) -> Response {
        let Some(manifest) = self.manifests.get(name).and_then(|tags| tags.get(selector)) else {
            return StatusCode::NOT_FOUND.into_response();
        };
        let headers = [
            (header::CONTENT_TYPE.as_str(), manifest.media_type.clone()),
            ("docker-content-digest", sha256(&manifest.bytes)),
        ];
        (headers, manifest.bytes.clone()).into_response()
    }

    fn put(&mut self, name: &str, selector: &str, headers: &HeaderMap, body: Bytes) -> Response {
        let media_type = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
        let manifest = Manifest { media_type: media_type.to_owned(), bytes: body.to_vec() };
        let repository = self.manifests.entry(name.to_owned()).or_default();
        repository.insert(sha256(&body), manifest.clone());
        if selector.starts_with("sha256:") || self.lost_tags == 0 {
            repository.insert(selector.to_owned(), manifest);
        } else {
            self.lost_tags -= 1;
        }
        let subject: Value = serde_json::from_slice(&body).unwrap_or_default();
        match subject["subject"]["digest"].as_str().filter(|_| self.has_referrers) {
            Some(subject) => (StatusCode::CREATED, [("oci-subject", subject.to_owned())]).into_response(),
            None => StatusCode::CREATED.into_response(),
        }
    }

    fn blob(&mut self, digest: &str, headers: &HeaderMap) -> Response {
        let Some(blob) = self.blobs.get(digest) else { return StatusCode::NOT_FOUND.into_response() };
        let bytes = blob.read();
        let range = headers.get(header::RANGE).and_then(|v| v.to_str().ok()).unwrap_or_default();
        let from = range.trim_start_matches("bytes=").trim_end_matches('-').parse().unwrap_or(0).min(bytes.len());
        let end = self.cut.map_or(bytes.len(), |cut| cut.clamp(from, bytes.len()));
        *self.sent.entry(digest.to_owned()).or_default() += (end - from) as u64;
        let status = if from > 0 { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
        (status, Body::from(bytes[from..end].to_vec())).into_response()
    }
}
