//! A client: one agent for each route.

use crate::failure::{Failure, Kind};
use crate::proxy::{Named, Proxies};
use crate::{Error, roots};
use std::net::IpAddr;
use std::time::Duration;
use ureq::config::Config;
use ureq::http::{Request, Response, Uri};
use ureq::typestate::{WithBody, WithoutBody};
use ureq::unversioned::resolver::{DefaultResolver, Resolver};
use ureq::unversioned::transport::DefaultConnector;
use ureq::{Agent, AsSendBody, Body, RequestBuilder};

/// Who we say we are.
pub const USER_AGENT: &str = concat!("tidewaiter/", env!("CARGO_PKG_VERSION"));

/// Longest wait for a connection, TLS included: one that takes longer is filtered somewhere.
const CONNECT: Duration = Duration::from_secs(15);
/// Longest wait for the head of an answer: registries that fetch from another one first take their time.
const RESPONSE: Duration = Duration::from_secs(60);
/// Longest time for a body: two gigabytes at ten megabit a second.
const BODY: Duration = Duration::from_secs(30 * 60);

/// What differs between clients.
#[derive(Debug, Clone)]
pub struct Settings {
    /// PEM documents of authorities that are trusted beside the system's.
    pub extra_roots: Vec<Vec<u8>>,
    /// Redirects that are followed; with 0 they are answers.
    pub redirects: u32,
    /// Longest time for a whole request, where it is less than those for its parts.
    pub total: Option<Duration>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { extra_roots: Vec::new(), redirects: 10, total: None }
    }
}

/// A client; every status is an answer, not an error.
#[derive(Debug)]
pub struct Client {
    direct: Agent,
    https_proxied: Option<Agent>,
    http_proxied: Option<Agent>,
    proxies: Proxies,
    /// Whether it follows redirects.
    follows: bool,
}

impl Client {
    /// A client with the proxies of the environment.
    ///
    /// # Errors
    /// When an authority or a proxy of the environment cannot be used.
    pub fn new(settings: &Settings) -> Result<Self, Error> {
        Self::with_resolver(settings, DefaultResolver::default())
    }

    /// As [`Client::new`]; names that are reached directly are resolved by `resolver`, which may refuse. A proxy, which
    /// the operator named, is resolved as usual, and resolves the names that it is asked for itself.
    ///
    /// # Errors
    /// As for [`Client::new`].
    pub fn with_resolver(settings: &Settings, resolver: impl Resolver) -> Result<Self, Error> {
        let proxies = Proxies::from_env()?;
        let tls = roots::tls(&settings.extra_roots)?;
        let config = |proxy: Option<&Named>| config(settings, tls.clone(), proxy);
        let proxied = |named: &Named| agent(config(Some(named)), DefaultResolver::default());
        Ok(Client {
            direct: agent(config(None), resolver),
            https_proxied: proxies.https().map(proxied),
            http_proxied: proxies.http().map(proxied),
            proxies,
            follows: settings.redirects > 0,
        })
    }

    /// A GET. What is asked for over TLS is redirected to nothing else.
    pub fn get(&self, url: &str) -> RequestBuilder<WithoutBody> {
        let request = self.route(url).get(url);
        if self.stays_encrypted(url) { request.config().https_only(true).build() } else { request }
    }

    /// A POST, as [`Client::get`].
    pub fn post(&self, url: &str) -> RequestBuilder<WithBody> {
        let request = self.route(url).post(url);
        if self.stays_encrypted(url) { request.config().https_only(true).build() } else { request }
    }

    /// Where redirects are answers, whoever follows them sees to it.
    fn stays_encrypted(&self, url: &str) -> bool {
        self.follows && url.starts_with("https://")
    }

    /// Any request.
    ///
    /// # Errors
    /// When no answer came; say why by [`Client::failure`].
    pub fn run(&self, request: Request<impl AsSendBody>) -> Result<Response<Body>, ureq::Error> {
        self.route(&request.uri().to_string()).run(request)
    }

    /// Why a request to this address was not answered.
    pub fn failure(&self, url: &str, error: &ureq::Error) -> Failure {
        Failure::of(error, self.proxy(url))
    }

    /// How a registry at `host[:port]` is spoken to: `http` where that was said, and on loopback where nobody speaks TLS,
    /// as Docker does; else `https`.
    pub fn scheme(&self, host: &str, plain: bool) -> &'static str {
        if plain || is_loopback(host) && self.speaks_plain_http(host) { "http" } else { "https" }
    }

    fn speaks_plain_http(&self, host: &str) -> bool {
        let url = format!("https://{host}/v2/");
        self.get(&url).call().is_err_and(|error| self.failure(&url, &error).kind == Kind::PlainHttp)
    }

    fn proxy(&self, url: &str) -> Option<&Named> {
        self.proxies.for_address(&url.parse::<Uri>().ok()?)
    }

    fn route(&self, url: &str) -> &Agent {
        let encrypted = url.starts_with("https://");
        let proxied = if encrypted { &self.https_proxied } else { &self.http_proxied };
        match (self.proxy(url), proxied) {
            (Some(_), Some(agent)) => agent,
            _ => &self.direct,
        }
    }
}

fn is_loopback(host: &str) -> bool {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name).trim_matches(['[', ']']);
    name == "localhost" || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[expect(clippy::disallowed_methods, reason = "this is the one place")]
fn config(settings: &Settings, tls: ureq::tls::TlsConfig, proxy: Option<&Named>) -> Config {
    Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(settings.redirects)
        .max_redirects_will_error(settings.redirects > 0)
        .timeout_connect(Some(CONNECT))
        .timeout_recv_response(Some(RESPONSE))
        .timeout_recv_body(Some(BODY))
        .timeout_global(settings.total)
        .user_agent(USER_AGENT)
        .proxy(proxy.map(|named| named.proxy.clone()))
        .tls_config(tls)
        .build()
}

#[expect(clippy::disallowed_methods, reason = "this is the one place")]
fn agent(config: Config, resolver: impl Resolver) -> Agent {
    Agent::with_parts(config, DefaultConnector::new(), resolver)
}
