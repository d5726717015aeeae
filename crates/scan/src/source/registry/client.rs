//! Requests to one repository: authentication, redirects, retries.

use super::super::read::read_capped;
use super::access::{Access, Actions};
use super::address::AddressGuard;
use super::attempt::{Attempt, busy, failed, in_the_clear, is_busy, not_there, refusal};
use super::pace::{self, Paced};
use super::{RegistryConfig, SourceError, manifest};
use backon::{BackoffBuilder as _, ExponentialBuilder};
use std::io::{self, Read};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use tidewaiter_core::image::{Digest, Reference};
use tidewaiter_http::ureq::Body;
use tidewaiter_http::ureq::http::Response;
use tidewaiter_http::{Client as Http, Settings, absolute};

const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json";
/// Redirects followed for one request: registries need one, to their storage; some storage one more.
const HOPS: u32 = 5;

/// Answers of what is not there.
const ABSENT: &[u16] = &[404];
/// Answers of registries that do not know the list of referrers: older ones take its path for another one, or its methods.
const NO_REFERRERS: &[u16] = &[400, 404, 405, 406];

/// Requests to one repository, with what it takes to be let in.
pub(super) struct RegistryClient {
    http: Http,
    base: String,
    repository: String,
    access: Access,
    tries: u32,
    pause: Duration,
    patience: Duration,
}

impl RegistryClient {
    pub(super) fn new(config: &RegistryConfig, reference: &Reference) -> Result<Self, SourceError> {
        let host = host_of(reference);
        let settings = Settings { extra_roots: config.ca_pem.clone(), ..Settings::default() };
        let http = Http::with_resolver(&settings, AddressGuard::new(config.addresses.clone()));
        let http = http.map_err(|e| SourceError::Setup { what: reference.to_string(), cause: e.to_string() })?;
        let base = format!("{}://{host}", http.scheme(host, config.plain_http.iter().any(|named| named == host)));
        Ok(RegistryClient {
            access: Access::new(config, reference, &base, Actions::Pull),
            base,
            http,
            repository: reference.repository().to_owned(),
            tries: config.tries,
            pause: config.pause,
            patience: config.patience,
        })
    }

    /// The bytes of a manifest, by tag or digest.
    pub(super) fn manifest(&self, selector: &str, what: &str) -> Result<Vec<u8>, SourceError> {
        let url = format!("{}/v2/{}/manifests/{selector}", self.base, self.repository);
        let response = self.get(&url, None, what)?;
        read_capped(Paced::new(response.into_body().into_reader(), what), what, manifest::MAX_MANIFEST)
    }

    /// The index of the manifests that refer to a digest (OCI distribution-spec 1.1, "Listing Referrers"); not found where the registry
    /// has no such lists.
    pub(super) fn referrers(&self, digest: &Digest, what: &str) -> Result<Vec<u8>, SourceError> {
        let url = format!("{}/v2/{}/referrers/{digest}", self.base, self.repository);
        let response = self.get_unless(NO_REFERRERS, &url, None, what)?;
        read_capped(Paced::new(response.into_body().into_reader(), what), what, manifest::MAX_MANIFEST)
    }

    /// A blob from byte `from` on.
    fn blob(&self, digest: &Digest, from: u64, what: &str) -> Result<Box<dyn Read + Send>, SourceError> {
        let url = format!("{}/v2/{}/blobs/{digest}", self.base, self.repository);
        let range = (from > 0).then(|| format!("bytes={from}-"));
        let response = self.get(&url, range.as_deref(), what)?;
        let partial = response.status().as_u16() == 206;
        let mut body: Box<dyn Read + Send> = Box::new(Paced::new(response.into_body().into_reader(), what));
        if from > 0 && !partial {
            // A server that ignores ranges sends everything again.
            let skipped = io::copy(&mut body.by_ref().take(from), &mut io::sink());
            let lost =
                |e: io::Error| SourceError::from_io(&e).cloned().unwrap_or_else(|| SourceError::unreachable(what, e));
            skipped.map_err(lost)?;
        }
        Ok(body)
    }

    /// A blob whose stream is resumed where it breaks, until `size` bytes were read.
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

    /// One GET with authentication, redirects and retries; every answer but success is an error.
    fn get(&self, url: &str, range: Option<&str>, what: &str) -> Result<Response<Body>, SourceError> {
        self.get_unless(ABSENT, url, range, what)
    }

    /// [`RegistryClient::get`] of what is not there where one of these is the answer.
    fn get_unless(
        &self,
        absent: &[u16],
        url: &str,
        range: Option<&str>,
        what: &str,
    ) -> Result<Response<Body>, SourceError> {
        let retries = usize::try_from(self.tries.saturating_sub(1)).unwrap_or_default();
        let pauses = ExponentialBuilder::new().with_min_delay(self.pause).with_max_delay(self.patience);
        let mut pauses = pauses.with_max_times(retries).build();
        let began = Instant::now();
        loop {
            let failure = match self.attempt(absent, url, range, what) {
                Ok(response) => return Ok(response),
                Err(failure) => failure,
            };
            let Some(pause) = pauses.next().filter(|_| failure.is_transient) else { return Err(*failure.error) };
            // What the registry asks for is better than a guess.
            let pause = failure.retry_after.unwrap_or(pause);
            if !pace::may_retry(self.patience, self.tries, began.elapsed(), pause) {
                return Err(*failure.error);
            }
            thread::sleep(pause);
        }
    }

    /// One try of [`RegistryClient::get`].
    fn attempt(&self, absent: &[u16], url: &str, range: Option<&str>, what: &str) -> Attempt<Response<Body>> {
        let mut response = self.send(url, self.access.known().as_deref(), range, what)?;
        if response.status().as_u16() == 401 {
            let send = |authorization: &str| self.send(url, Some(authorization), range, what);
            response = self.access.let_in(&self.http, &response, what, send)?;
        }
        let response = self.redirected(url, response, range, what)?;
        match response.status().as_u16() {
            200 | 206 => Ok(response),
            status if absent.contains(&status) => Err(not_there(status, what).into()),
            status if is_busy(status) => Err(busy(what, &response, "it")),
            status => Err(refusal(status, what).into()),
        }
    }

    /// One request to one address.
    fn send(&self, url: &str, authorization: Option<&str>, range: Option<&str>, what: &str) -> Attempt<Response<Body>> {
        let mut request = self.http.get(url).header("Accept", ACCEPT);
        if let Some(value) = authorization {
            request = request.header("Authorization", value);
        }
        if let Some(value) = range {
            request = request.header("Range", value);
        }
        request.call().map_err(|error| failed(&self.http, url, error, what))
    }

    /// Follows redirects; credentials stay with the host they are for.
    fn redirected(
        &self,
        url: &str,
        mut response: Response<Body>,
        range: Option<&str>,
        what: &str,
    ) -> Attempt<Response<Body>> {
        let mut here = url.to_owned();
        for _ in 0..HOPS {
            if !response.status().is_redirection() {
                return Ok(response);
            }
            let location = response.headers().get("location").and_then(|l| l.to_str().ok());
            let location = location.ok_or_else(|| SourceError::unreachable(what, "a redirect without an address"))?;
            here = absolute(&here, location)
                .ok_or_else(|| SourceError::unreachable(what, "a redirect to something that is not an address"))?;
            if here.starts_with("http://") && self.base.starts_with("https://") {
                return Err(in_the_clear(what, "a redirect from https to plain http").into());
            }
            let known = self.access.known();
            // Storage signs its addresses, and another host must not learn the token.
            let is_same_host = here.strip_prefix(&self.base).is_some_and(|rest| rest.starts_with('/'));
            response = self.send(&here, known.as_deref().filter(|_| is_same_host), range, what)?;
        }
        Err(SourceError::unreachable(what, "too many redirects").into())
    }
}

/// A blob that is requested again from where its stream broke.
pub(super) struct Resuming {
    client: Arc<RegistryClient>,
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
                // Of one that drips, the rest would drip, too.
                Err(error) if SourceError::from_io(&error).is_some() => return Err(error),
                result if self.left == 0 => return result,
                _ => {}
            }
            // Counted for the whole blob: a registry that breaks every stream must not make a scan endless.
            self.left -= 1;
            self.body = self.client.blob(&self.digest, self.read, &self.what).map_err(io::Error::other)?;
        }
    }
}

/// The host that answers for a reference's registry.
pub(super) fn host_of(reference: &Reference) -> &str {
    match reference.registry() {
        // Docker Hub answers at another host than its images are named by.
        "docker.io" => "registry-1.docker.io",
        host => host,
    }
}
