//! Requests to one repository: authentication, redirects, retries.

use super::address::{Guard, Refused};
use super::auth::{self, Challenge};
use super::credentials::Login;
use super::{Config, SourceError, manifest};
use base64::Engine as _;
use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;
use tidewaiter_core::image::{Digest, Reference};
use tidewaiter_http::ureq::Body;
use tidewaiter_http::ureq::http::Response;
use tidewaiter_http::{Client as Http, FailureKind, RequestFailure, Settings, absolute, ureq};

const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json";
/// Redirects followed for one blob.
const HOPS: u32 = 5;
/// Longest pause a registry may ask for.
const MAX_PAUSE: Duration = Duration::from_secs(30);
/// A token answer has no reason to be larger.
const MAX_TOKEN: u64 = 1 << 20;

pub(super) struct Client {
    http: Http,
    base: String,
    repository: String,
    login: Option<Login>,
    tries: u32,
    pause: Duration,
    /// The `Authorization` value that worked.
    authorization: Mutex<Option<String>>,
}

impl Client {
    pub(super) fn new(config: &Config, reference: &Reference) -> Result<Self, SourceError> {
        let host = match reference.registry() {
            "docker.io" => "registry-1.docker.io",
            host => host,
        };
        let settings = Settings { extra_roots: config.ca_pem.clone(), total: None };
        let http = Http::with_resolver(&settings, Guard::new(config.addresses.clone()));
        let http = http.map_err(|e| SourceError::Setup { what: reference.to_string(), cause: e.to_string() })?;
        Ok(Client {
            base: format!("{}://{host}", http.scheme(host, config.plain_http.iter().any(|named| named == host))),
            http,
            repository: reference.repository().to_owned(),
            login: config.credentials.login(reference).cloned(),
            tries: config.tries,
            pause: config.pause,
            authorization: Mutex::new(None),
        })
    }

    /// The bytes of a manifest, by tag or digest.
    pub(super) fn manifest(&self, selector: &str, what: &str) -> Result<Vec<u8>, SourceError> {
        let url = format!("{}/v2/{}/manifests/{selector}", self.base, self.repository);
        let response = self.get(&url, None, what)?;
        super::super::read::read_capped(response.into_body().into_reader(), what, manifest::MAX_MANIFEST)
    }

    /// A blob from byte `from` on.
    fn blob(&self, digest: &Digest, from: u64, what: &str) -> Result<Box<dyn Read + Send>, SourceError> {
        let url = format!("{}/v2/{}/blobs/{digest}", self.base, self.repository);
        let range = (from > 0).then(|| format!("bytes={from}-"));
        let response = self.get(&url, range.as_deref(), what)?;
        let partial = response.status().as_u16() == 206;
        let mut body: Box<dyn Read + Send> = Box::new(response.into_body().into_reader());
        if from > 0 && !partial {
            // A server that ignores ranges sends all again.
            let skipped = io::copy(&mut body.by_ref().take(from), &mut io::sink());
            skipped.map_err(|e| SourceError::unreachable(what, e))?;
        }
        Ok(body)
    }

    /// A blob whose stream is resumed where it breaks, until `size` bytes came.
    pub(super) fn resuming(
        self: &Arc<Self>,
        digest: &Digest,
        size: Option<u64>,
        what: &str,
    ) -> Result<Resuming, SourceError> {
        let body = self.blob(digest, 0, what)?;
        let (client, what) = (Arc::clone(self), what.to_owned());
        Ok(Resuming { client, digest: digest.clone(), what, size, body, read: 0, left: self.tries })
    }

    /// One GET with authentication, redirects and retries; any answer but success is an error.
    fn get(&self, url: &str, range: Option<&str>, what: &str) -> Result<Response<Body>, SourceError> {
        let mut pause = self.pause;
        for attempt in 1.. {
            let (failed, asked) = match self.once(url, range, what)? {
                Ok(response) => match response.status().as_u16() {
                    200 | 206 => return Ok(response),
                    status @ (429 | 500..=599) => {
                        (SourceError::unreachable(what, format!("it answers {status}")), retry_after(&response))
                    }
                    status => return Err(refusal(status, what)),
                },
                Err(failed) => (failed, None),
            };
            if attempt >= self.tries {
                return Err(failed);
            }
            thread::sleep(asked.unwrap_or(pause).min(MAX_PAUSE));
            pause = pause.saturating_mul(2);
        }
        Err(SourceError::unreachable(what, "no try was allowed"))
    }

    /// One try; the inner error is a connection's, worth another one.
    fn once(&self, url: &str, range: Option<&str>, what: &str) -> Result<Tried<Response<Body>>, SourceError> {
        let known = self.authorization.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let response = match self.send(url, known.as_deref(), range, what)? {
            Ok(response) => response,
            Err(failed) => return Ok(Err(failed)),
        };
        let response = if response.status().as_u16() == 401 {
            let authorization = match self.authorize(&response, what)? {
                Ok(authorization) => authorization,
                Err(failed) => return Ok(Err(failed)),
            };
            *self.authorization.lock().unwrap_or_else(PoisonError::into_inner) = Some(authorization.clone());
            match self.send(url, Some(&authorization), range, what)? {
                Ok(response) => response,
                Err(failed) => return Ok(Err(failed)),
            }
        } else {
            response
        };
        self.redirected(url, response, range, what)
    }

    /// One request to one address; the inner error is a connection's.
    fn send(
        &self,
        url: &str,
        authorization: Option<&str>,
        range: Option<&str>,
        what: &str,
    ) -> Result<Tried<Response<Body>>, SourceError> {
        let mut request = self.http.get(url).header("Accept", ACCEPT);
        if let Some(value) = authorization {
            request = request.header("Authorization", value);
        }
        if let Some(value) = range {
            request = request.header("Range", value);
        }
        self.outcome(url, request.call(), what)
    }

    /// Follows redirects; credentials stay with the host they are for.
    fn redirected(
        &self,
        url: &str,
        mut response: Response<Body>,
        range: Option<&str>,
        what: &str,
    ) -> Result<Tried<Response<Body>>, SourceError> {
        let mut here = url.to_owned();
        for _ in 0..HOPS {
            if !response.status().is_redirection() {
                return Ok(Ok(response));
            }
            let location = response.headers().get("location").and_then(|l| l.to_str().ok());
            let location = location.ok_or_else(|| SourceError::unreachable(what, "a redirect without an address"))?;
            here =
                absolute(&here, location).ok_or_else(|| SourceError::unreachable(what, "a redirect to no address"))?;
            if here.starts_with("http://") && self.base.starts_with("https://") {
                return Err(in_the_clear(what, "a redirect from https to plain http"));
            }
            let known = self.authorization.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let same = here.strip_prefix(&self.base).is_some_and(|rest| rest.starts_with('/'));
            match self.send(&here, known.as_deref().filter(|_| same), range, what)? {
                Ok(next) => response = next,
                Err(failed) => return Ok(Err(failed)),
            }
        }
        Err(SourceError::unreachable(what, "too many redirects"))
    }

    /// Answers a challenge: the `Authorization` value to send.
    fn authorize(&self, response: &Response<Body>, what: &str) -> Result<Tried<String>, SourceError> {
        let headers = response.headers().get_all("www-authenticate");
        let challenge = headers.iter().filter_map(|h| h.to_str().ok()).find_map(auth::parse);
        match (challenge, &self.login) {
            (Some(Challenge::Basic), Some(login)) => Ok(Ok(basic(login))),
            (Some(Challenge::Bearer(parameters)), _) => {
                let realm = parameters.get("realm").map(String::as_str).unwrap_or_default();
                let separator = if realm.contains('?') { '&' } else { '?' };
                let scope = format!("repository:{}:pull", self.repository);
                let service = parameters.get("service").map(|s| format!("&service={}", auth::encode(s)));
                let url = format!("{realm}{separator}scope={}{}", auth::encode(&scope), service.unwrap_or_default());
                self.token(&url, what)
            }
            _ => Err(refusal(401, what)),
        }
    }

    /// Asks a token service. It may be another host, but never a plaintext one for an encrypted registry.
    fn token(&self, url: &str, what: &str) -> Result<Tried<String>, SourceError> {
        if !(url.starts_with("https://") || url.starts_with("http://") && self.base.starts_with("http://")) {
            return Err(in_the_clear(what, "its token service is not reached over https"));
        }
        let mut request = self.http.get(url);
        if let Some(login) = &self.login {
            request = request.header("Authorization", basic(login));
        }
        let response = match self.outcome(url, request.call(), what)? {
            Ok(response) => response,
            Err(failed) => return Ok(Err(failed)),
        };
        match response.status().as_u16() {
            200 => {}
            status @ (429 | 500..=599) => {
                return Ok(Err(SourceError::unreachable(what, format!("its token service answers {status}"))));
            }
            status => return Err(refusal(if status == 403 { 403 } else { 401 }, what)),
        }
        let bytes = super::super::read::read_capped(response.into_body().into_reader(), what, MAX_TOKEN)?;
        let answer: serde_json::Value = serde_json::from_slice(&bytes).unwrap_or_default();
        let token = ["token", "access_token"].iter().find_map(|key| answer.get(key)?.as_str());
        Ok(Ok(format!("Bearer {}", token.ok_or_else(|| refusal(401, what))?)))
    }

    /// A forbidden address is no failure of the network: it ends the scan, as does what lasts.
    fn outcome(
        &self,
        url: &str,
        result: Result<Response<Body>, ureq::Error>,
        what: &str,
    ) -> Result<Tried<Response<Body>>, SourceError> {
        match result {
            Ok(response) => Ok(Ok(response)),
            Err(ureq::Error::Other(error)) if error.is::<Refused>() => {
                let advice =
                    "allow its network with --allow-registry-network CIDR of tidewaiter serve, or use another registry";
                Err(SourceError::HostNotAllowed { what: what.to_owned(), cause: error.to_string(), advice })
            }
            Err(error) => {
                let failure = self.http.failure(url, &error);
                let (lasts, failed) = (failure.kind.lasts(), not_reached(what, failure));
                if lasts { Err(failed) } else { Ok(Err(failed)) }
            }
        }
    }
}

/// What came of one try; an error here is worth another one.
type Tried<T> = Result<T, SourceError>;

/// A blob that is asked for again from where its stream broke.
pub(super) struct Resuming {
    client: Arc<Client>,
    digest: Digest,
    what: String,
    size: Option<u64>,
    body: Box<dyn Read + Send>,
    read: u64,
    left: u32,
}

impl Read for Resuming {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            let result = self.body.read(buf);
            let early = self.size.is_some_and(|size| self.read < size) && !buf.is_empty();
            match result {
                Ok(n) if n > 0 || !early => {
                    self.read += n as u64;
                    return Ok(n);
                }
                result if self.left == 0 => return result,
                _ => {}
            }
            self.left -= 1;
            self.body = self.client.blob(&self.digest, self.read, &self.what).map_err(io::Error::other)?;
        }
    }
}

fn basic(login: &Login) -> String {
    let text = format!("{}:{}", login.user, login.password);
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(text))
}

fn retry_after(response: &Response<Body>) -> Option<Duration> {
    response.headers().get("retry-after")?.to_str().ok()?.parse().ok().map(Duration::from_secs)
}

fn refusal(status: u16, what: &str) -> SourceError {
    let cause = format!("it answers {status}");
    match status {
        401 | 403 => SourceError::Unauthorized { what: what.to_owned(), cause },
        404 => SourceError::NotFound { what: what.to_owned(), cause },
        _ => SourceError::unreachable(what, cause),
    }
}

fn in_the_clear(what: &str, cause: &str) -> SourceError {
    let advice = "have it answer over https, or use another registry";
    SourceError::HostNotAllowed { what: what.to_owned(), cause: cause.to_owned(), advice }
}

fn not_reached(what: &str, RequestFailure { kind, cause }: RequestFailure) -> SourceError {
    let advice = match kind {
        FailureKind::PlainHttp => {
            "if plain HTTP is meant: --plain-http of kubectl scan, --plain-http-registry HOST of tidewaiter serve"
        }
        FailureKind::Certificate => {
            "give its authority: --ca-file of kubectl scan, --registry-ca of tidewaiter serve, or SSL_CERT_FILE"
        }
        other => other.advice(),
    };
    SourceError::Unreachable { what: what.to_owned(), cause, advice }
}
