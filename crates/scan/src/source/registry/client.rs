//! Requests to one repository: of the hosts that may have it, one after the other, with retries.

use super::super::read::read_capped;
use super::attempt::Attempt;
use super::endpoint::{Endpoint, RepositoryRequest};
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

/// Answers of what is not there.
const ABSENT: &[u16] = &[404];
/// Answers of registries that do not know the list of referrers: older ones take its path for another one, or its methods.
const NO_REFERRERS: &[u16] = &[400, 404, 405, 406];

/// Requests to one repository, with what it takes to be let in.
pub(super) struct RegistryClient {
    /// In the order in which they are asked; the last is the registry, or what stands in its place.
    endpoints: Vec<Endpoint>,
    /// How long that last one is not asked.
    held: Option<Duration>,
    tries: u32,
    pause: Duration,
    patience: Duration,
}

impl RegistryClient {
    pub(super) fn new(config: &RegistryConfig, reference: &Reference) -> Result<Self, SourceError> {
        let endpoints = match config.hosts.of(reference.registry()) {
            None => vec![Endpoint::own(config, reference)?],
            Some(hosts) => hosts.iter().map(|host| Endpoint::of(config, reference, host)).collect::<Result<_, _>>()?,
        };
        let RegistryConfig { tries, pause, patience, held, .. } = *config;
        Ok(RegistryClient { endpoints, held, tries, pause, patience })
    }

    /// Whether the registry itself accepted a login.
    pub(super) fn logs_in(&self) -> bool {
        self.endpoints.last().is_some_and(Endpoint::logs_in)
    }

    /// The bytes of a manifest, by tag or digest.
    pub(super) fn manifest(&self, selector: &str, what: &str) -> Result<Vec<u8>, SourceError> {
        self.document(RepositoryRequest { kind: "manifests", name: selector, range: None, absent: ABSENT, what })
    }

    /// The index of the manifests that refer to a digest (OCI distribution-spec 1.1, "Listing Referrers"); not found where the registry
    /// has no such lists.
    pub(super) fn referrers(&self, digest: &Digest, what: &str) -> Result<Vec<u8>, SourceError> {
        self.document(RepositoryRequest {
            kind: "referrers",
            name: digest.as_str(),
            range: None,
            absent: NO_REFERRERS,
            what,
        })
    }

    fn document(&self, wanted: RepositoryRequest<'_>) -> Result<Vec<u8>, SourceError> {
        self.first(wanted, |response| {
            read_capped(
                Paced::new(response.into_body().into_reader(), wanted.what),
                wanted.what,
                manifest::MAX_MANIFEST,
            )
        })
    }

    /// A blob from byte `from` on.
    fn blob(&self, digest: &Digest, from: u64, what: &str) -> Result<Box<dyn Read + Send>, SourceError> {
        let range = (from > 0).then(|| format!("bytes={from}-"));
        let wanted =
            RepositoryRequest { kind: "blobs", name: digest.as_str(), range: range.as_deref(), absent: ABSENT, what };
        self.first(wanted, |response| {
            let partial = response.status().as_u16() == 206;
            let mut body: Box<dyn Read + Send> = Box::new(Paced::new(response.into_body().into_reader(), what));
            if from > 0 && !partial {
                // A server that ignores ranges sends everything again.
                let skipped = io::copy(&mut body.by_ref().take(from), &mut io::sink());
                let lost = |e: io::Error| {
                    SourceError::from_io(&e).cloned().unwrap_or_else(|| SourceError::unreachable(what, e))
                };
                skipped.map_err(lost)?;
            }
            Ok(body)
        })
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

    /// What the first host gives that has it. Whatever keeps one from that, the next one is asked, as containerd does; the last
    /// one's error counts.
    fn first<T>(
        &self,
        wanted: RepositoryRequest<'_>,
        read: impl Fn(Response<Body>) -> Result<T, SourceError>,
    ) -> Result<T, SourceError> {
        let candidates: Vec<&Endpoint> = self.endpoints.iter().filter(|host| host.may_give(wanted)).collect();
        let Some((last, mirrors)) = candidates.split_last() else {
            let cause =
                "its hosts.toml has no host that may be asked for it: give one the capabilities pull and resolve";
            return Err(SourceError::Setup { what: wanted.what.to_owned(), cause: cause.to_owned() });
        };
        let mut before = Vec::new();
        for mirror in mirrors.iter().filter(|mirror| !mirror.is_away()) {
            // Once: it is for speed, and another one has the same.
            match self.get(mirror, 1, wanted).and_then(&read) {
                Ok(found) => return Ok(found),
                Err(error) => {
                    if matches!(error, SourceError::Unreachable { .. } | SourceError::RateLimited { .. }) {
                        mirror.note_away();
                    }
                    before.push(format!("{}: {}", mirror.base(), error.cause()));
                }
            }
        }
        let found = match self.held {
            Some(pause) => Err(held(last, pause, wanted)),
            None => self.get(last, self.tries, wanted).and_then(read),
        };
        found.map_err(|error| error.after(&before))
    }

    /// One GET with retries.
    fn get(
        &self,
        endpoint: &Endpoint,
        tries: u32,
        wanted: RepositoryRequest<'_>,
    ) -> Result<Response<Body>, SourceError> {
        self.retried(tries, || endpoint.attempt(wanted))
    }

    fn retried<T>(&self, tries: u32, attempt: impl Fn() -> Attempt<T>) -> Result<T, SourceError> {
        let retries = usize::try_from(tries.saturating_sub(1)).unwrap_or_default();
        let pauses = ExponentialBuilder::new().with_min_delay(self.pause).with_max_delay(self.patience);
        let mut pauses = pauses.with_max_times(retries).build();
        let began = Instant::now();
        loop {
            let failure = match attempt() {
                Ok(found) => return Ok(found),
                Err(failure) => failure,
            };
            let Some(pause) = pauses.next().filter(|_| failure.is_transient) else { return Err(*failure.error) };
            // What the registry asks for is better than a guess.
            let pause = failure.retry_after.unwrap_or(pause);
            if !pace::may_retry(self.patience, tries, began.elapsed(), pause) {
                return Err(*failure.error);
            }
            thread::sleep(pause);
        }
    }
}

/// In place of an answer of a host that is not asked.
fn held(host: &Endpoint, pause: Duration, wanted: RepositoryRequest<'_>) -> SourceError {
    let cause = format!("{} is not asked for {} s", host.base(), pause.as_secs());
    SourceError::RateLimited { what: wanted.what.to_owned(), cause, retry_after: Some(pause), logged_in: false }
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
