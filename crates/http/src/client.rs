//! A client: one agent for each route.

use crate::error::ClientError;
use crate::failure::{FailureKind, RequestFailure, is_closed};
use crate::proxy::{Named, Proxies};
use crate::roots;
use std::net::IpAddr;
use std::time::Duration;
use ureq::config::Config;
use ureq::http::{Request, Response, StatusCode, Uri};
use ureq::typestate::{WithBody, WithoutBody};
use ureq::unversioned::resolver::{DefaultResolver, Resolver};
use ureq::unversioned::transport::DefaultConnector;
use ureq::{Agent, AsSendBody, Body, RequestBuilder};

/// The `User-Agent` header.
pub(crate) const USER_AGENT: &str = concat!("tidewaiter/", env!("CARGO_PKG_VERSION"));

/// Longest wait for a connection, TLS included: one that takes longer is dropped by a firewall.
const CONNECT: Duration = Duration::from_secs(15);
/// Longest wait for the head of a response: registries that mirror another one fetch from it first.
const RESPONSE: Duration = Duration::from_secs(60);
/// Longest time for a body: two gigabytes at ten megabit a second.
const BODY: Duration = Duration::from_secs(30 * 60);
/// Longest wait for the next bytes: a server that sends none for so long sends no more.
const STALL: Duration = Duration::from_secs(60);

/// Redirects that are followed, as many as by Go's client.
const HOPS: usize = 10;

/// What differs between clients.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// PEM documents of authorities that are trusted in addition to the system's.
    pub extra_roots: Vec<Vec<u8>>,
    /// PEM documents of the certificates by which this client presents itself, and of their key.
    pub client_certificate: Option<(String, String)>,
    /// Longest time for a whole request, where it is less than those for its parts.
    pub total: Option<Duration>,
    /// Longest wait for the next bytes, where it is not a minute.
    pub stall: Option<Duration>,
}

/// A client. A response of any status is a result, not an error.
#[derive(Debug)]
pub struct Client {
    direct: Agent,
    https_proxied: Option<Agent>,
    http_proxied: Option<Agent>,
    proxies: Proxies,
}

impl Client {
    /// A client with the proxies of the environment.
    ///
    /// # Errors
    /// When an authority or a proxy of the environment cannot be used.
    pub fn new(settings: &Settings) -> Result<Self, ClientError> {
        Self::with_resolver(settings, DefaultResolver::default())
    }

    /// As [`Client::new`]; names that are reached directly are resolved by `resolver`, which may refuse. A proxy, which
    /// the operator named, is resolved as usual, and resolves the names that it is asked for itself.
    ///
    /// # Errors
    /// As for [`Client::new`].
    pub fn with_resolver(settings: &Settings, resolver: impl Resolver) -> Result<Self, ClientError> {
        let proxies = Proxies::from_env()?;
        let tls = roots::tls(&settings.extra_roots, settings.client_certificate.as_ref())?;
        let config = |proxy: Option<&Named>| config(settings, tls.clone(), proxy);
        let proxied = |named: &Named| agent(config(Some(named)), DefaultResolver::default());
        Ok(Client {
            direct: agent(config(None), resolver),
            https_proxied: proxies.https().map(proxied),
            http_proxied: proxies.http().map(proxied),
            proxies,
        })
    }

    /// Sends a GET; a redirect is returned, not followed.
    pub fn get(&self, url: &str) -> RequestBuilder<WithoutBody> {
        self.route(url).get(url)
    }

    /// Sends a POST; a redirect is returned, not followed.
    pub fn post(&self, url: &str) -> RequestBuilder<WithBody> {
        self.route(url).post(url)
    }

    /// Sends a GET and follows redirects, each by its own route: a proxy is chosen by address. A redirect from https to http
    /// is refused.
    ///
    /// # Errors
    /// When there was no response, or redirects lead nowhere.
    pub fn follow(&self, url: &str, headers: &[(&str, &str)]) -> Result<Response<Body>, RequestFailure> {
        let mut here = url.to_owned();
        // One at a time: each hop may need another route (proxy or none) than the one before.
        for _ in 0..=HOPS {
            let request = headers.iter().fold(self.get(&here), |request, (name, value)| request.header(*name, *value));
            let response = request.call().map_err(|error| self.failure(&here, &error))?;
            // "Not modified" is of the same class, and leads nowhere.
            if !response.status().is_redirection() || response.status() == StatusCode::NOT_MODIFIED {
                return Ok(response);
            }
            let location = response.headers().get("location").and_then(|l| l.to_str().ok());
            let next = location.and_then(|location| absolute(&here, location));
            let next = next.ok_or_else(|| RequestFailure::astray(&here, "it redirects to no address"))?;
            // Whoever listens on the way could replace the bytes.
            if here.starts_with("https://") && !next.starts_with("https://") {
                return Err(RequestFailure::astray(&here, "it redirects from https to plain HTTP"));
            }
            here = next;
        }
        Err(RequestFailure::astray(&here, "it redirects too often"))
    }

    /// Sends any request.
    ///
    /// # Errors
    /// When there was no response; [`Client::failure`] explains why.
    pub fn run(&self, request: Request<impl AsSendBody>) -> Result<Response<Body>, ureq::Error> {
        self.route(&request.uri().to_string()).run(request)
    }

    /// Why a request to this address failed.
    pub fn failure(&self, url: &str, error: &ureq::Error) -> RequestFailure {
        RequestFailure::of(error, self.proxy(url))
    }

    /// The scheme of a registry at `host[:port]`: `http` where `plain` says so, and on loopback where the server does not
    /// use TLS, as Docker has it; else `https`.
    pub fn scheme(&self, host: &str, plain: bool) -> &'static str {
        if plain || is_loopback(host) && self.speaks_plain_http(host) { "http" } else { "https" }
    }

    fn speaks_plain_http(&self, host: &str) -> bool {
        let url = format!("https://{host}/v2/");
        let Err(error) = self.get(&url).call() else { return false };
        match self.failure(&url, &error).kind {
            FailureKind::PlainHttp => true,
            // Some servers respond to a TLS greeting by closing the connection.
            FailureKind::Network if is_closed(&error) => self.responds_without_tls(host),
            _ => false,
        }
    }

    /// A server of TLS has status 400 for plain HTTP (Go, nginx).
    fn responds_without_tls(&self, host: &str) -> bool {
        let response = self.get(&format!("http://{host}/v2/")).call();
        response.is_ok_and(|response| response.status() != StatusCode::BAD_REQUEST)
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

/// Where a `Location` (RFC 9110 §10.2.2) leads: an address, another host by the same scheme, or a path on the same host.
pub fn absolute(base: &str, location: &str) -> Option<String> {
    if location.starts_with("https://") || location.starts_with("http://") {
        return Some(location.to_owned());
    }
    let uri: Uri = base.parse().ok()?;
    if location.starts_with("//") {
        return Some(format!("{}:{location}", uri.scheme_str()?));
    }
    let host = format!("{}://{}", uri.scheme_str()?, uri.authority()?);
    location.starts_with('/').then(|| format!("{host}{location}"))
}

fn is_loopback(host: &str) -> bool {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name).trim_matches(['[', ']']);
    name == "localhost" || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[expect(clippy::disallowed_methods, reason = "this is the one place")]
fn config(settings: &Settings, tls: ureq::tls::TlsConfig, proxy: Option<&Named>) -> Config {
    Agent::config_builder()
        // Callers decide by status: a registry answers 401 and says where to get a token.
        .http_status_as_error(false)
        // Redirects are followed by [`Client::follow`], which looks at every address.
        .max_redirects(0)
        .max_redirects_will_error(false)
        .timeout_connect(Some(CONNECT))
        .timeout_recv_response(Some(RESPONSE))
        .timeout_recv_body(Some(BODY))
        .timeout_per_read(Some(settings.stall.unwrap_or(STALL)))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::FailureKind;
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;
    use std::thread;
    use tidewaiter_testkit::authority::Authority;
    use tidewaiter_testkit::web::Web;

    #[test]
    fn locations_are_addresses_or_paths() {
        let check = |location: &str, expected: Option<&str>| {
            assert_eq!(absolute("https://a.example:8/x?y", location).as_deref(), expected, "{location}");
        };
        check("https://b.example/z", Some("https://b.example/z"));
        check("/z?q", Some("https://a.example:8/z?q"));
        check("//b.example/z", Some("https://b.example/z"));
        check("z", None);
        check("ftp://b.example/z", None);
    }

    /// A server on loopback that closes a connection on which TLS begins, after it read the greeting or without, and
    /// responds to plain HTTP with `response`; an empty one closes that connection too.
    fn closing(reads: bool, response: &'static str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut first = [0; 1];
                let _ = stream.peek(&mut first);
                let is_tls = first[0] == 0x16;
                if reads || !is_tls {
                    let _ = stream.read(&mut [0; 4096]);
                }
                if !is_tls {
                    let _ = stream.write_all(response.as_bytes());
                }
            }
        });
        address
    }

    #[test]
    fn registries_on_loopback_are_probed() {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let client = Client::new(&Settings::default()).unwrap();
        let check =
            |host: &str, plain: bool, expected: &str| assert_eq!(client.scheme(host, plain), expected, "{host}");
        let plain = Web::start(&[], None);
        let secure = Web::start(&[], Some(&Authority::new()));
        check(&format!("localhost:{}", plain.port()), false, "http");
        check(&format!("localhost:{}", secure.port()), false, "https");
        check(&format!("localhost:{}", secure.port()), true, "http");
        check("registry.example", false, "https");
        check("registry.example", true, "http");
        for reads in [true, false] {
            check(&closing(reads, "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"), false, "http");
            check(&closing(reads, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"), false, "https");
            check(&closing(reads, ""), false, "https");
        }
    }

    #[test]
    fn redirects_are_followed_and_never_out_of_tls() {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let authority = Authority::new();
        let settings = Settings { extra_roots: vec![authority.pem().as_bytes().to_vec()], ..Settings::default() };
        let client = Client::new(&settings).unwrap();
        let plain = Web::start(&[("/a", b"plain".to_vec())], None);
        let leads = |to: String| Web::redirecting(&[("/to", &to), ("/loop", "/loop"), ("/none", "x")], &authority);
        let secure = Web::start(&[("/a", b"secure".to_vec())], Some(&authority));
        let check = |url: String, expected: Result<&str, &str>| {
            let found = client.follow(&url, &[]).map(|mut answer| answer.body_mut().read_to_string().unwrap());
            match (found, expected) {
                (Ok(text), Ok(expected)) => assert_eq!(text, expected, "{url}"),
                (Err(failure), Err(expected)) => {
                    assert!(
                        failure.cause.contains(expected) && failure.kind == FailureKind::Astray,
                        "{url}: {failure}"
                    );
                }
                (found, expected) => panic!("{url}: {found:?}, not {expected:?}"),
            }
        };
        check(leads(secure.url("/a")).url("/to"), Ok("secure"));
        let down = leads(plain.url("/a"));
        check(down.url("/to"), Err("from https to plain HTTP"));
        check(down.url("/loop"), Err("too often"));
        check(down.url("/none"), Err("to no address"));
    }
}
