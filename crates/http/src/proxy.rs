//! The proxy of a request, by the environment: `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`, in capitals
//! or small letters, with the rules of Go's `httpproxy` package, which most tools of the field follow:
//!
//! - `NO_PROXY` lists hosts, with their subdomains; `.domain` and `*.domain` are the subdomains alone; addresses; networks
//!   in CIDR form; each with `:port` where only that port is meant; `*` is everything.
//! - `localhost` and loopback addresses never take a proxy.

use crate::error::ClientError;
use ipnet::IpNet;
use std::net::IpAddr;
use ureq::Proxy;
use ureq::http::Uri;

/// The proxies of a process.
#[derive(Debug, Clone, Default)]
pub struct Proxies {
    https: Option<Named>,
    http: Option<Named>,
    except: Vec<Exception>,
}

/// A proxy, and the variable that names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// The environment variable.
    pub variable: &'static str,
    /// Its address.
    pub proxy: Proxy,
}

/// A destination that is reached without a proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Exception {
    Everything,
    Address(IpAddr, Option<u16>),
    Network(IpNet),
    /// A domain without its leading dot.
    Domain {
        name: String,
        port: Option<u16>,
        itself: bool,
    },
}

/// The variables of proxies and of the system's trusted authorities: a child process needs them to reach what its parent
/// reaches.
pub const VARIABLES: [&str; 10] = [
    "HTTPS_PROXY",
    "https_proxy",
    "HTTP_PROXY",
    "http_proxy",
    "ALL_PROXY",
    "all_proxy",
    "NO_PROXY",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
];

// In the order of precedence: capitals first, and a variable for one scheme before that for all.
const HTTPS: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
const HTTP: [&str; 4] = ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];
// In the same order.
const EXCEPT: [&str; 2] = ["NO_PROXY", "no_proxy"];

impl Proxies {
    /// Reads the environment of this process.
    ///
    /// # Errors
    /// When a variable is not the address of a proxy.
    pub fn from_env() -> Result<Self, ClientError> {
        Self::of(&|name| std::env::var(name).ok())
    }

    pub(crate) fn of(variable: &dyn Fn(&str) -> Option<String>) -> Result<Self, ClientError> {
        let given = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        let except = EXCEPT.iter().find_map(|name| given(name)).unwrap_or_default();
        Ok(Proxies {
            https: named(&HTTPS, &given)?,
            http: named(&HTTP, &given)?,
            except: except.split(',').filter_map(|entry| exception(entry.trim())).collect(),
        })
    }

    /// The proxy for an address; `None` where it is reached directly.
    pub fn for_address(&self, uri: &Uri) -> Option<&Named> {
        let (proxy, usual) = match uri.scheme_str() {
            Some("https") => (self.https.as_ref()?, 443),
            _ => (self.http.as_ref()?, 80),
        };
        let host = uri.host()?.trim_matches(['[', ']']).trim_end_matches('.').to_ascii_lowercase();
        let port = uri.port_u16().unwrap_or(usual);
        let address: Option<IpAddr> = host.parse().ok().map(|ip: IpAddr| ip.to_canonical());
        // As in Go, whatever the variables say: a proxy elsewhere has another loopback.
        let here = host == "localhost" || address.is_some_and(|ip| ip.is_loopback());
        let excepted = self.except.iter().any(|entry| entry.covers(&host, address, port));
        (!here && !excepted).then_some(proxy)
    }

    /// The proxy for a cluster's API server, given the one that the Kubernetes client found. That client (kube 5.0) takes
    /// `HTTPS_PROXY` itself, but compares `NO_PROXY` with the proxy's own name; a proxy of the kubeconfig is used as it is.
    pub fn for_cluster(&self, api_server: &Uri, found: Option<Uri>) -> Option<Uri> {
        let same = |named: &Named| found.as_ref().is_some_and(|uri| authority(uri) == authority(named.proxy.uri()));
        if found.is_some() && !self.https.as_ref().is_some_and(same) {
            return found;
        }
        self.for_address(api_server).map(|named| named.proxy.uri().clone())
    }

    pub(crate) fn https(&self) -> Option<&Named> {
        self.https.as_ref()
    }

    pub(crate) fn http(&self) -> Option<&Named> {
        self.http.as_ref()
    }
}

fn authority(uri: &Uri) -> Option<&str> {
    Some(uri.authority()?.as_str())
}

fn named(names: &[&'static str], given: &dyn Fn(&str) -> Option<String>) -> Result<Option<Named>, ClientError> {
    let Some((variable, value)) = names.iter().find_map(|name| Some((*name, given(name)?))) else { return Ok(None) };
    match Proxy::new(value.trim()) {
        Ok(proxy) if proxy.host().is_empty() => {
            Err(ClientError::Proxy { variable, cause: "it names no host".to_owned() })
        }
        Ok(proxy) => Ok(Some(Named { variable, proxy })),
        Err(error) => Err(ClientError::Proxy { variable, cause: error.to_string() }),
    }
}

/// One entry of `NO_PROXY`; an entry that is not understood matches nothing, as in Go.
fn exception(entry: &str) -> Option<Exception> {
    if entry == "*" {
        return Some(Exception::Everything);
    }
    // Networks before addresses, addresses before names: `10.0.0.0/8` has a slash, `::1` colons that are no port.
    if let Ok(network) = entry.parse() {
        return Some(Exception::Network(network));
    }
    if let Ok(address) = entry.trim_matches(['[', ']']).parse::<IpAddr>() {
        return Some(Exception::Address(address.to_canonical(), None));
    }
    let (name, port) = match entry.rsplit_once(':') {
        Some((name, port)) => (name, Some(port.parse().ok()?)),
        None => (entry, None),
    };
    if let Ok(address) = name.trim_matches(['[', ']']).parse::<IpAddr>() {
        return Some(Exception::Address(address.to_canonical(), port));
    }
    let below = name.strip_prefix("*.").or_else(|| name.strip_prefix('.'));
    let (name, itself) = (below.unwrap_or(name).to_ascii_lowercase(), below.is_none());
    (!name.is_empty()).then_some(Exception::Domain { name, port, itself })
}

impl Exception {
    fn covers(&self, host: &str, address: Option<IpAddr>, port: u16) -> bool {
        match self {
            Exception::Everything => true,
            Exception::Address(own, only) => address == Some(*own) && only.is_none_or(|only| only == port),
            Exception::Network(network) => address.is_some_and(|ip| network.contains(&ip)),
            Exception::Domain { name, port: only, itself } => {
                let below = host.strip_suffix(name.as_str()).is_some_and(|rest| rest.ends_with('.'));
                (below || *itself && host == name) && only.is_none_or(|only| only == port)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(environment: &[(&str, &str)]) -> Result<Proxies, ClientError> {
        Proxies::of(&|name| environment.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn the_proxy_is_that_of_the_scheme() {
        let check = |environment: &[(&str, &str)], url: &str, expected: &str| {
            let all = proxies(environment).unwrap();
            let found = all.for_address(&url.parse().unwrap()).map_or("", |named| named.variable);
            assert_eq!(found, expected, "{url} with {environment:?}");
        };
        let both = [("HTTPS_PROXY", "http://s:1"), ("http_proxy", "p:2")];
        check(&both, "https://a.example/x", "HTTPS_PROXY");
        check(&both, "http://a.example/x", "http_proxy");
        check(&[("HTTP_PROXY", "http://p:1")], "https://a.example/", "");
        check(&[("ALL_PROXY", "socks5://p:1")], "https://a.example/", "ALL_PROXY");
        check(&[("HTTPS_PROXY", " ")], "https://a.example/", "");
        check(&both, "https://localhost:5000/v2/", "");
        check(&both, "https://127.0.0.1/v2/", "");
        check(&both, "https://[::1]:5000/v2/", "");
    }

    #[test]
    fn exceptions_are_those_of_go() {
        let check = |except: &str, url: &str, direct: bool| {
            let all = proxies(&[("ALL_PROXY", "http://p:1"), ("no_proxy", except)]).unwrap();
            assert_eq!(all.for_address(&url.parse().unwrap()).is_none(), direct, "{url} with {except}");
        };
        check("*", "https://a.example/", true);
        check("example.com", "https://example.com/", true);
        check("example.com", "https://EXAMPLE.com./", true);
        check("example.com", "https://a.example.com/", true);
        check("example.com", "https://badexample.com/", false);
        check(".example.com", "https://a.example.com/", true);
        check(".example.com", "https://example.com/", false);
        check("*.example.com", "https://example.com/", false);
        check("x, example.com:8443 ", "https://example.com:8443/", true);
        check("example.com:8443", "https://example.com/", false);
        check("10.0.0.0/8", "https://10.1.2.3:5000/", true);
        check("10.0.0.0/8", "https://11.1.2.3/", false);
        check("10.0.0.1:5000", "http://10.0.0.1:5000/", true);
        check("10.0.0.1:5000", "http://10.0.0.1/", false);
        check("fd00::/8", "https://[fd00::1]/", true);
        check("[fd00::1]:443", "https://[fd00::1]/", true);
        check("", "https://a.example/", false);
        check("a:b", "https://a/", false);
    }

    #[test]
    fn a_cluster_takes_the_proxy_of_its_kubeconfig_first() {
        let check = |environment: &[(&str, &str)], found: &str, expected: &str| {
            let uri = |text: &str| (!text.is_empty()).then(|| text.parse::<Uri>().unwrap());
            let server = "https://api.example:6443".parse().unwrap();
            let proxy = proxies(environment).unwrap().for_cluster(&server, uri(found));
            assert_eq!(proxy, uri(expected), "{environment:?} {found}");
        };
        let by = ("HTTPS_PROXY", "http://p:1");
        check(&[], "", "");
        check(&[by], "http://p:1", "http://p:1/");
        check(&[by], "http://own:2", "http://own:2");
        check(&[by, ("NO_PROXY", "api.example")], "http://p:1", "");
        // The library dropped it, because `NO_PROXY` matches the proxy's own name.
        check(&[by, ("NO_PROXY", "p")], "", "http://p:1/");
    }

    #[test]
    fn an_address_that_is_none_is_named_by_its_variable_alone() {
        for value in ["http://user:secret@:x:y", "http://user:secret@:x", "ftp://secret.example"] {
            let error = proxies(&[("https_proxy", value)]).unwrap_err().to_string();
            assert!(error.contains("https_proxy") && !error.contains("secret"), "{value}: {error}");
        }
    }
}
