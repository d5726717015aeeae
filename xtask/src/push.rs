//! Pushes an image by the OCI distribution protocol, with Docker's stored logins.

use anyhow::{Context, Result, anyhow, bail};
use base64::Engine as _;
use std::path::PathBuf;
use tidewaiter_core::image::Reference;
use tidewaiter_http::ureq::Body;
use tidewaiter_http::ureq::http::{Request, Response};
use tidewaiter_http::{Client, FailureKind, Settings, ureq};
use tidewaiter_scan::source::registry::auth::{self, Challenge};
use tidewaiter_scan::source::registry::credentials::{Credentials, Login};
use tidewaiter_testkit::image::{ImageFixture, Manifest};

/// The repository to push to.
struct PushTarget {
    http: Client,
    base: String,
    name: String,
    login: Option<Login>,
    authorization: Option<String>,
}

/// How to connect to a registry; one on loopback is probed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    Tls,
    PlainHttp,
}

/// Pushes an image: blobs, manifests, and the tag last, so that it never names an incomplete image.
pub(crate) fn push(reference: &str, image: &ImageFixture, transport: Transport, settings: &Settings) -> Result<()> {
    let parsed: Reference = reference.parse().with_context(|| reference.to_owned())?;
    let tag = parsed.tag().context("give a tag to push to")?.to_owned();
    let host = parsed.registry();
    let http = Client::new(settings)?;
    let mut repository = PushTarget {
        base: format!("{}://{host}", http.scheme(host, transport == Transport::PlainHttp)),
        http,
        name: parsed.repository().to_owned(),
        login: credentials()?.login(&parsed).cloned(),
        authorization: None,
    };
    for (digest, blob) in &image.blobs {
        repository.blob(digest, &blob.read()).with_context(|| format!("pushing {digest}"))?;
    }
    for (digest, manifest) in &image.manifests {
        repository.manifest(digest, manifest)?;
    }
    repository.manifest(&tag, &image.root)
}

/// The logins of Docker's `config.json`, if it exists.
fn credentials() -> Result<Credentials> {
    let folder = std::env::var_os("DOCKER_CONFIG").map(PathBuf::from);
    let folder = folder.or_else(|| std::env::home_dir().map(|home| home.join(".docker")));
    let Some(file) = folder.map(|folder| folder.join("config.json")).filter(|file| file.is_file()) else {
        return Ok(Credentials::default());
    };
    let bytes = std::fs::read(&file).with_context(|| file.display().to_string())?;
    Credentials::parse(&bytes).map_err(|e| anyhow::anyhow!("{}: {e}", file.display()))
}

impl PushTarget {
    fn blob(&mut self, digest: &str, bytes: &[u8]) -> Result<()> {
        let known = self.send("HEAD", &format!("{}/v2/{}/blobs/{digest}", self.base, self.name), "", &[])?;
        if known.status() == 200 {
            return Ok(());
        }
        let begun = self.send("POST", &format!("{}/v2/{}/blobs/uploads/", self.base, self.name), "", &[])?;
        let begun = accepted(begun)?;
        let location = begun.headers().get("location").and_then(|l| l.to_str().ok());
        let location = location.context("the registry's answer has no upload location")?;
        let place = if location.starts_with('/') { format!("{}{location}", self.base) } else { location.to_owned() };
        let separator = if place.contains('?') { '&' } else { '?' };
        let url = format!("{place}{separator}digest={}", auth::encode(digest));
        accepted(self.send("PUT", &url, "application/octet-stream", bytes)?).map(drop)
    }

    fn manifest(&mut self, selector: &str, manifest: &Manifest) -> Result<()> {
        let url = format!("{}/v2/{}/manifests/{selector}", self.base, self.name);
        let answer = self.send("PUT", &url, &manifest.media_type, &manifest.bytes)?;
        accepted(answer).map(drop).with_context(|| format!("pushing manifest {selector}"))
    }

    /// Sends a request; authenticates and sends it again if the registry asks for that.
    fn send(&mut self, method: &str, url: &str, media_type: &str, body: &[u8]) -> Result<Response<Body>> {
        let answer = self.once(method, url, media_type, body)?;
        if answer.status() != 401 {
            return Ok(answer);
        }
        let headers = answer.headers().get_all("www-authenticate");
        let challenge = headers.iter().filter_map(|h| h.to_str().ok()).find_map(auth::parse);
        self.authorization = Some(self.authorize(challenge)?);
        self.once(method, url, media_type, body)
    }

    fn once(&self, method: &str, url: &str, media_type: &str, body: &[u8]) -> Result<Response<Body>> {
        let mut request = Request::builder().method(method).uri(url);
        if !media_type.is_empty() {
            request = request.header("Content-Type", media_type);
        }
        // Only to the registry itself: an upload location may be another host, which must not get the login.
        let own = url.strip_prefix(&self.base).is_some_and(|rest| rest.starts_with('/'));
        if let Some(value) = self.authorization.as_ref().filter(|_| own) {
            request = request.header("Authorization", value);
        }
        self.http.run(request.body(body)?).map_err(|e| anyhow!("{url}: {}", self.advice(url, &e)))
    }

    fn advice(&self, url: &str, error: &ureq::Error) -> String {
        let failure = self.http.failure(url, error);
        match failure.kind {
            FailureKind::PlainHttp => format!("{}; if plain HTTP is meant, add --plain-http", failure.cause),
            _ => failure.to_string(),
        }
    }

    fn authorize(&self, challenge: Option<Challenge>) -> Result<String> {
        let basic = self.login.as_ref().map(|login| {
            let text = format!("{}:{}", login.user, login.password);
            format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(text))
        });
        match (challenge, basic) {
            (Some(Challenge::Basic), Some(basic)) => Ok(basic),
            (Some(Challenge::Bearer(parameters)), basic) => self.token(&parameters, basic.as_deref()),
            _ => bail!("{} requires a login; store one with docker login", self.base),
        }
    }

    fn token(&self, parameters: &auth::Parameters, basic: Option<&str>) -> Result<String> {
        let realm = parameters.get("realm").context("the registry's challenge has no token service")?;
        if !realm.starts_with("https://") && self.base.starts_with("https://") {
            bail!("the token service {realm} is not https");
        }
        let scope = auth::encode(&format!("repository:{}:pull,push", self.name));
        let service = parameters.get("service").map(|s| format!("&service={}", auth::encode(s))).unwrap_or_default();
        let url = format!("{realm}?scope={scope}{service}");
        let mut request = self.http.get(&url);
        if let Some(basic) = basic {
            request = request.header("Authorization", basic);
        }
        let mut answer = request.call().map_err(|e| anyhow!("{url}: {}", self.advice(&url, &e)))?;
        let answer: serde_json::Value = serde_json::from_str(&answer.body_mut().read_to_string()?)?;
        let token = ["token", "access_token"].iter().find_map(|key| answer.get(key)?.as_str());
        Ok(format!("Bearer {}", token.context("the token service returned no token; check the login")?))
    }
}

fn accepted(mut answer: Response<Body>) -> Result<Response<Body>> {
    if answer.status().is_success() {
        return Ok(answer);
    }
    let text = answer.body_mut().read_to_string().unwrap_or_default();
    bail!("the registry answered {}: {text:.300}", answer.status())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidewaiter_testkit::authority::Authority;
    use tidewaiter_testkit::demo::clean;
    use tidewaiter_testkit::registry::Registry;

    #[test]
    fn images_are_pushed_over_tls_and_without() {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let (image, authority) = (clean().build(), Authority::new());
        let trusting = Settings { extra_roots: vec![authority.pem().as_bytes().to_vec()], ..Settings::default() };
        let (private, plain) = (Registry::start_tls(&authority), Registry::start());
        let check = |registry: &Registry, settings: &Settings, expected: Result<(), &str>| {
            let to = format!("{}/app:v1", registry.host());
            match (push(&to, &image, Transport::Tls, settings), expected) {
                (Ok(()), Ok(())) => {}
                (Err(error), Err(cause)) => assert!(format!("{error:#}").contains(cause), "{error:#}"),
                (found, expected) => panic!("{to}: {found:?}, not {expected:?}"),
            }
        };
        check(&private, &trusting, Ok(()));
        check(&private, &Settings::default(), Err("signed by no authority that is trusted here"));
        check(&plain, &trusting, Ok(()));
    }
}
