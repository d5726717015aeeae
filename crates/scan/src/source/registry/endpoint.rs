//! One host that has a repository: the registry itself, or one that stands in for it.

use super::access::{Access, Actions};
use super::address::AddressGuard;
use super::attempt::{Attempt, busy, failed, in_the_clear, is_busy, not_there, refusal};
use super::hosts::RegistryHost;
use super::{RegistryConfig, SourceError, auth};
use std::sync::atomic::{AtomicBool, Ordering};
use tidewaiter_core::image::{Digest, Reference};
use tidewaiter_http::ureq::Body;
use tidewaiter_http::ureq::http::Response;
use tidewaiter_http::{Client as Http, Settings, absolute};

const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json";
/// Redirects followed for one request: registries need one, to their storage; some storage one more.
const HOPS: u32 = 5;

/// Requests to one repository of one host, with what it takes to be let in.
pub(super) struct Endpoint {
    http: Http,
    /// `https://host[:port]`.
    base: String,
    /// Where the repository begins.
    root: String,
    /// Tells a mirror whose content is meant.
    query: String,
    headers: Vec<(String, String)>,
    access: Access,
    pull: bool,
    resolve: bool,
    /// Whether it did not answer: what can be asked elsewhere is not asked here again.
    is_away: AtomicBool,
}

/// A request of a repository: of a part of it, with the answers that mean that it has none.
#[derive(Clone, Copy)]
pub(super) struct RepositoryRequest<'a> {
    /// `manifests`, `blobs` or `referrers`.
    pub(super) kind: &'a str,
    /// The tag or digest.
    pub(super) name: &'a str,
    /// The `Range` header.
    pub(super) range: Option<&'a str>,
    pub(super) absent: &'a [u16],
    /// What is read, as errors name it.
    pub(super) what: &'a str,
}

impl Endpoint {
    /// The registry's own address. Sends a request only to a registry on loopback, to learn its scheme.
    pub(super) fn own(config: &RegistryConfig, reference: &Reference) -> Result<Self, SourceError> {
        Self::own_as(config, reference, None)
    }

    /// A host of `hosts.toml`: a mirror, or the registry itself.
    pub(super) fn of(config: &RegistryConfig, reference: &Reference, host: &RegistryHost) -> Result<Self, SourceError> {
        let Some(root) = &host.root else { return Self::own_as(config, reference, Some(host)) };
        let (base, path) = split(root);
        let authority = base.split("//").nth(1).unwrap_or_default();
        let http = client(config, reference, Some(host), Some(base))?;
        let is_own = authority == host_of(reference);
        // What its logins are stored for is its own name: those of the registry are not sent to others.
        let at_host = if is_own { Some(reference.clone()) } else { mirrored(authority, path, reference) };
        let query = match is_own {
            true => String::new(),
            false => format!("?ns={}", auth::encode(reference.registry())),
        };
        Ok(Endpoint {
            access: Access::new(config, at_host.as_ref(), reference, base, Actions::Pull),
            base: base.to_owned(),
            root: format!("{root}/{}", reference.repository()),
            query,
            http,
            headers: host.headers.clone(),
            pull: host.pull,
            resolve: host.resolve,
            is_away: AtomicBool::new(false),
        })
    }

    fn own_as(
        config: &RegistryConfig,
        reference: &Reference,
        host: Option<&RegistryHost>,
    ) -> Result<Self, SourceError> {
        let http = client(config, reference, host, None)?;
        let base = own_base(&http, config, reference);
        Ok(Endpoint {
            access: Access::new(config, Some(reference), reference, &base, Actions::Pull),
            root: format!("{base}/v2/{}", reference.repository()),
            base,
            query: String::new(),
            http,
            headers: host.map(|host| host.headers.clone()).unwrap_or_default(),
            pull: host.is_none_or(|host| host.pull),
            resolve: host.is_none_or(|host| host.resolve),
            is_away: AtomicBool::new(false),
        })
    }

    /// `https://host[:port]`.
    pub(super) fn base(&self) -> &str {
        &self.base
    }

    /// Whether it may be asked for this: what a tag names is believed of some hosts alone.
    pub(super) fn may_give(&self, wanted: RepositoryRequest<'_>) -> bool {
        let by_digest = wanted.name.parse::<Digest>().is_ok();
        self.pull && (self.resolve || by_digest)
    }

    /// Whether it accepted a login.
    pub(super) fn logs_in(&self) -> bool {
        self.access.logs_in()
    }

    pub(super) fn is_away(&self) -> bool {
        self.is_away.load(Ordering::Relaxed)
    }

    pub(super) fn note_away(&self) {
        self.is_away.store(true, Ordering::Relaxed);
    }

    /// One try of a GET, with authentication and redirects; every answer but success is an error.
    pub(super) fn attempt(&self, wanted: RepositoryRequest<'_>) -> Attempt<Response<Body>> {
        let RepositoryRequest { kind, name, range, absent, what } = wanted;
        let url = format!("{}/{kind}/{name}{}", self.root, self.query);
        let mut response = self.send(&url, self.access.known().as_deref(), range, what)?;
        if response.status().as_u16() == 401 {
            let send = |authorization: &str| self.send(&url, Some(authorization), range, what);
            response = self.access.let_in(&self.http, &response, what, send)?;
        }
        let response = self.redirected(&url, response, range, what)?;
        match response.status().as_u16() {
            200 | 206 => Ok(response),
            status if absent.contains(&status) => Err(not_there(status, what).into()),
            status if is_busy(status) => Err(busy(what, &response, "it", self.logs_in())),
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
        // Some are a login, of which an accepted one takes the place.
        let is_given = |name: &str| authorization.is_some() && name.eq_ignore_ascii_case("authorization");
        let own = self.headers.iter().filter(|(name, _)| self.is_here(url) && !is_given(name));
        request = own.fold(request, |request, (name, value)| request.header(name, value));
        request.call().map_err(|error| failed(&self.http, url, error, what))
    }

    /// Whether an address is of this host.
    fn is_here(&self, url: &str) -> bool {
        url.strip_prefix(&self.base).is_some_and(|rest| rest.starts_with('/'))
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
            response = self.send(&here, known.as_deref().filter(|_| self.is_here(&here)), range, what)?;
        }
        Err(SourceError::unreachable(what, "too many redirects").into())
    }
}

/// A client for one host. Of the hosts that the administrator's file names, the address is not asked about (`named`).
fn client(
    config: &RegistryConfig,
    reference: &Reference,
    host: Option<&RegistryHost>,
    named: Option<&str>,
) -> Result<Http, SourceError> {
    let own = host.into_iter().flat_map(|host| host.ca_pem.iter().map(|pem| pem.clone().into_bytes()));
    let settings = Settings {
        extra_roots: config.ca_pem.iter().cloned().chain(own).collect(),
        client_certificate: host.and_then(|host| host.client.clone()),
        ..Settings::default()
    };
    let guard = AddressGuard::new(config.addresses.clone()).trusting(named);
    let setup = |cause: String| SourceError::Setup { what: reference.to_string(), cause };
    guard.client(&settings).map_err(|e| setup(e.to_string()))
}

/// `https://host[:port]` of a registry's own address.
pub(super) fn own_base(http: &Http, config: &RegistryConfig, reference: &Reference) -> String {
    let host = host_of(reference);
    format!("{}://{host}", http.scheme(host, config.plain_http.iter().any(|named| named == host)))
}

/// `https://host[:port]`, and the path after it.
fn split(root: &str) -> (&str, &str) {
    let host = root.find("//").map_or(0, |at| at + 2);
    let end = root.get(host..).and_then(|rest| rest.find('/')).map_or(root.len(), |at| host + at);
    root.split_at(end)
}

/// An image by the name that it has at a mirror; `None` where that host is none that images are named by, and so has no logins.
fn mirrored(authority: &str, path: &str, reference: &Reference) -> Option<Reference> {
    let path = path.trim_start_matches('/').split('/').filter(|part| *part != "v2" && !part.is_empty());
    let parts: Vec<&str> = [authority].into_iter().chain(path).chain([reference.repository()]).collect();
    let name: Reference = parts.join("/").parse().ok()?;
    (name.registry() == authority).then_some(name)
}

/// The host that answers for a reference's registry.
pub(super) fn host_of(reference: &Reference) -> &str {
    match reference.registry() {
        // Docker Hub answers at another host than its images are named by.
        "docker.io" => "registry-1.docker.io",
        host => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_has_another_name_at_a_mirror() {
        let check = |root: &str, expected: Option<&str>| {
            let (base, path) = split(root);
            let found = mirrored(base.split("//").nth(1).unwrap(), path, &"nginx:1".parse().unwrap());
            assert_eq!(found.map(|name| name.name()).as_deref(), expected, "{root}");
        };
        check("https://m.example/v2", Some("m.example/library/nginx"));
        check("https://m.example:5000/v2", Some("m.example:5000/library/nginx"));
        check("https://m.example/v2/hub", Some("m.example/hub/library/nginx"));
        check("https://m.example/hub/v2", Some("m.example/hub/library/nginx"));
        // A name without a dot is no registry in names of images.
        check("http://mirror/v2", None);
    }
}
