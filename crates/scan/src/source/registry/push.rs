//! Pushing to one repository: blobs and manifests, with a login when the registry asks for one.

use super::RegistryConfig;
use super::access::{Access, Actions};
use super::address::AddressGuard;
use super::artifact::ArtifactRepository;
use super::attempt::{Attempt, FailedAttempt, failed};
use super::auth;
use super::endpoint::own_base;
use crate::source::{SourceError, sha256};
use std::thread;
use std::time::Duration;
use tidewaiter_core::image::{Digest, Reference};
use tidewaiter_http::ureq::Body;
use tidewaiter_http::ureq::http::{Request, Response};
use tidewaiter_http::{Client, Settings};

/// Characters of a registry's answer that an error quotes.
const QUOTED: usize = 300;

/// Why something was not pushed. Every message names what, the cause and the next step.
#[derive(Debug, Clone, thiserror::Error)]
pub enum PushError {
    /// No answer, or settings that cannot be used.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The registry wants a login, or refuses this one.
    #[error("{what}: the registry refuses the push ({cause}); store a login that may push with docker login")]
    Login {
        /// What was pushed.
        what: String,
        /// What the registry said.
        cause: String,
    },
    /// The registry does not take it.
    #[error("{what}: the registry does not accept it ({cause}); check the name of the repository and its limits")]
    NotAccepted {
        /// What was pushed.
        what: String,
        /// What the registry said.
        cause: String,
    },
    /// Each time, it named something else afterwards.
    #[error(
        "{what}: others push to this tag at the same time, and what was pushed is not in it; push again, one after the other"
    )]
    Lost {
        /// The tag.
        what: String,
    },
}

/// Tries to change what a tag names before others change it.
const CHANGES: usize = 5;
/// The pause before each but the first, so that the others are done.
const PAUSE: Duration = Duration::from_millis(200);

/// A tag whose document several programs change: each adds its own to what it finds.
#[derive(Clone, Copy)]
pub struct SharedTag<'a> {
    /// Its repository, the same that is pushed to.
    pub repository: &'a ArtifactRepository,
    /// Its name.
    pub tag: &'a str,
    /// The media type of its document.
    pub media_type: &'a str,
}

/// A request of a push.
struct PushRequest<'a> {
    method: &'a str,
    url: &'a str,
    /// Of the body; empty if there is none.
    media_type: &'a str,
    body: &'a [u8],
    /// What is pushed, as errors name it.
    what: &'a str,
}

impl<'a> PushRequest<'a> {
    fn without_body(method: &'a str, url: &'a str, what: &'a str) -> Self {
        PushRequest { method, url, media_type: "", body: &[], what }
    }

    fn put(url: &'a str, media_type: &'a str, body: &'a [u8], what: &'a str) -> Self {
        PushRequest { method: "PUT", url, media_type, body, what }
    }
}

/// The repository to push to.
pub struct PushTarget {
    http: Client,
    base: String,
    name: String,
    access: Access,
}

impl PushTarget {
    /// The repository that a reference names. Sends a request only to a registry on loopback, to learn its scheme.
    ///
    /// # Errors
    /// When authorities or proxies of the settings cannot be used.
    pub fn new(config: &RegistryConfig, reference: &Reference) -> Result<Self, PushError> {
        let settings = Settings { extra_roots: config.ca_pem.clone(), ..Settings::default() };
        let http = Client::with_resolver(&settings, AddressGuard::new(config.addresses.clone()));
        let http = http.map_err(|e| SourceError::Setup { what: reference.to_string(), cause: e.to_string() })?;
        let base = own_base(&http, config, reference);
        Ok(PushTarget {
            access: Access::new(config, Some(reference), reference, &base, Actions::Push),
            base,
            http,
            name: reference.repository().to_owned(),
        })
    }

    /// Pushes a blob, unless the registry has it.
    ///
    /// # Errors
    /// When the registry does not answer or does not take it.
    pub fn blob(&self, bytes: &[u8]) -> Result<Digest, PushError> {
        let digest = sha256(bytes);
        let what = format!("blob {digest}");
        let blobs = format!("{}/v2/{}/blobs", self.base, self.name);
        let known = self.send(&PushRequest::without_body("HEAD", &format!("{blobs}/{digest}"), &what))?;
        if known.status() == 200 {
            return Ok(digest);
        }
        let begun = self.send(&PushRequest::without_body("POST", &format!("{blobs}/uploads/"), &what))?;
        let begun = accepted(begun, &what)?;
        let location = begun.headers().get("location").and_then(|l| l.to_str().ok()).unwrap_or_default();
        let place = match location {
            path if path.starts_with('/') => format!("{}{path}", self.base),
            url => url.to_owned(),
        };
        // An upload over plain HTTP could be replaced on its way, and would carry what is not public.
        if !(place.starts_with("https://") || place.starts_with("http://") && self.base.starts_with("http://")) {
            let cause = "its answer has no upload location that is reached over https".to_owned();
            return Err(PushError::NotAccepted { what, cause });
        }
        let separator = if place.contains('?') { '&' } else { '?' };
        let url = format!("{place}{separator}digest={}", auth::encode(digest.as_str()));
        accepted(self.send(&PushRequest::put(&url, "application/octet-stream", bytes, &what))?, &what)?;
        Ok(digest)
    }

    /// Pushes a manifest under a tag or its digest.
    ///
    /// # Errors
    /// As for [`PushTarget::blob`].
    pub fn manifest(&self, selector: &str, media_type: &str, bytes: &[u8]) -> Result<Digest, PushError> {
        self.manifest_with_subject(selector, media_type, bytes).map(|_| sha256(bytes))
    }

    /// Changes the document of a tag, and does so again while it does not hold the change afterwards: registries have no condition for
    /// a push, so whoever read before and pushes after takes the change back.
    ///
    /// # Errors
    /// As for [`PushTarget::blob`], those of `change`, which is given the document that is there, and [`PushError::Lost`].
    pub fn change<E: From<PushError>>(
        &self,
        shared: SharedTag<'_>,
        change: impl Fn(Option<&[u8]>) -> Result<Vec<u8>, E>,
        holds: impl Fn(&[u8]) -> bool,
    ) -> Result<(), E> {
        let SharedTag { repository, tag, media_type } = shared;
        let read = || repository.tagged(tag).map_err(PushError::from);
        for attempt in 0..CHANGES {
            if attempt > 0 {
                thread::sleep(PAUSE);
            }
            self.manifest(tag, media_type, &change(read()?.as_deref())?)?;
            if read()?.is_some_and(|there| holds(&there)) {
                return Ok(());
            }
        }
        let name = repository.reference().name();
        Err(PushError::Lost { what: format!("{name}:{tag}") }.into())
    }

    /// As [`PushTarget::manifest`]; gives the subject by which the registry lists it, if it does.
    pub(super) fn manifest_with_subject(
        &self,
        selector: &str,
        media_type: &str,
        bytes: &[u8],
    ) -> Result<Option<String>, PushError> {
        let url = format!("{}/v2/{}/manifests/{selector}", self.base, self.name);
        let what = format!("manifest {selector}");
        let answer = accepted(self.send(&PushRequest::put(&url, media_type, bytes, &what))?, &what)?;
        let subject = answer.headers().get("oci-subject").and_then(|subject| subject.to_str().ok());
        Ok(subject.map(str::to_owned))
    }

    /// Sends a request; authenticates and sends it again if the registry asks for that.
    fn send(&self, request: &PushRequest<'_>) -> Result<Response<Body>, PushError> {
        let response = self.once(request, self.access.known())?;
        if response.status() != 401 {
            return Ok(response);
        }
        let once = |authorization: &str| self.once(request, Some(authorization.to_owned()));
        Ok(self.access.let_in(&self.http, &response, request.what, once)?)
    }

    fn once(&self, request: &PushRequest<'_>, authorization: Option<String>) -> Attempt<Response<Body>> {
        let PushRequest { method, url, media_type, body, what } = *request;
        let mut request = Request::builder().method(method).uri(url);
        if !media_type.is_empty() {
            request = request.header("Content-Type", media_type);
        }
        // Only to the registry itself: an upload location may be another host, which must not get the login.
        let own = url.strip_prefix(&self.base).is_some_and(|rest| rest.starts_with('/'));
        if let Some(value) = authorization.filter(|_| own) {
            request = request.header("Authorization", value);
        }
        let request = request.body(body);
        let request =
            request.map_err(|e| SourceError::unreachable(what, format!("it names no address: {url}: {e}")))?;
        self.http.run(request).map_err(|error| failed(&self.http, url, error, what))
    }
}

impl From<FailedAttempt> for PushError {
    fn from(failure: FailedAttempt) -> Self {
        match *failure.error {
            SourceError::Unauthorized { what, cause } => PushError::Login { what, cause },
            other => PushError::Source(other),
        }
    }
}

fn login(what: &str, cause: String) -> PushError {
    PushError::Login { what: what.to_owned(), cause }
}

fn accepted(mut response: Response<Body>, what: &str) -> Result<Response<Body>, PushError> {
    if response.status().is_success() {
        return Ok(response);
    }
    let status = response.status().as_u16();
    let text = response.body_mut().read_to_string().unwrap_or_default();
    let cause = format!("it answers {status}: {}", text.chars().take(QUOTED).collect::<String>());
    let cause = cause.trim_end_matches([':', ' ', '\n']).to_owned();
    match status {
        401 | 403 => Err(login(what, cause)),
        _ => Err(PushError::NotAccepted { what: what.to_owned(), cause }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::registry::credentials::Credentials;
    use tidewaiter_testkit::authority::Authority;
    use tidewaiter_testkit::registry::Registry;

    const TYPE: &str = "application/vnd.oci.image.manifest.v1+json";

    #[test]
    fn pushes_over_tls_without_and_with_a_login() {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let authority = Authority::new();
        let (private, plain, closed) = (Registry::start_tls(&authority), Registry::start(), Registry::start());
        closed.require_login("robot", "secret");
        let trusting =
            RegistryConfig { ca_pem: vec![authority.pem().as_bytes().to_vec()], ..RegistryConfig::default() };
        let auths = |registry: &Registry, user: &str| {
            let json = format!(r#"{{"auths":{{"{}":{{"username":"{user}","password":"secret"}}}}}}"#, registry.host());
            RegistryConfig { credentials: Credentials::parse(json.as_bytes()).unwrap(), ..RegistryConfig::default() }
        };
        let check = |registry: &Registry, config: &RegistryConfig, expected: Result<(), &str>| {
            let reference: Reference = format!("{}/app:v1", registry.host()).parse().unwrap();
            let push = || {
                let target = PushTarget::new(config, &reference)?;
                target.blob(b"bytes")?;
                target.blob(b"bytes")?;
                target.manifest("v1", TYPE, b"{}")
            };
            match (push(), expected) {
                (Ok(digest), Ok(())) => assert_eq!(digest, sha256(b"{}")),
                (Err(error), Err(cause)) => assert!(error.to_string().contains(cause), "{error}"),
                (found, expected) => panic!("{found:?}, not {expected:?}"),
            }
        };
        check(&private, &trusting, Ok(()));
        check(&private, &RegistryConfig::default(), Err("signed by no authority that is trusted here"));
        check(&plain, &trusting, Ok(()));
        check(&closed, &RegistryConfig::default(), Err("it answers 401); store a login that may push"));
        check(&closed, &auths(&closed, "other"), Err("it answers 401); store a login that may push"));
        check(&closed, &auths(&closed, "robot"), Ok(()));
    }
}
