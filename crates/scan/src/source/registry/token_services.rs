//! Which token services a login may be sent to: a registry names one itself (`WWW-Authenticate`), and a pull-through cache often that of
//! another registry.

use std::net::IpAddr;
use tidewaiter_http::ureq::http::Uri;

/// The token services that a login may be sent to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum TokenServices {
    /// All: the user's own machine decides.
    #[default]
    Any,
    /// That of the registry's own host or domain, and these hosts: for a server, whose logins are other people's.
    OfRegistry {
        /// Hosts that are allowed in addition.
        allowed: Vec<String>,
    },
}

impl TokenServices {
    /// Whether a login for the registry at one address may be sent to a token service at another (`https://host[:port]/path`).
    pub(super) fn allow(&self, registry: &str, service: &str) -> bool {
        let TokenServices::OfRegistry { allowed } = self else { return true };
        let (Some(registry), Some(service)) = (host(registry), host(service)) else { return false };
        is_of(&registry, &service) || allowed.iter().any(|host| host.eq_ignore_ascii_case(&service))
    }
}

/// The host of an address, without its port.
fn host(address: &str) -> Option<String> {
    Some(address.parse::<Uri>().ok()?.host()?.trim_end_matches('.').to_ascii_lowercase())
}

/// Whether two hosts are the same, one below the other (`registry.gitlab.com`, `gitlab.com`), or next to each other
/// (`registry-1.docker.io`, `auth.docker.io`).
fn is_of(registry: &str, service: &str) -> bool {
    let is_address = |host: &str| host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
    if registry == service || is_address(registry) || is_address(service) {
        return registry == service;
    }
    // A domain, and not all that ends with `.io`. Of public suffixes with a dot (`co.uk`) nothing is known here: the owner of a
    // registry right below one may name its neighbours', as it may keep the login itself.
    let is_domain = |name: &&str| name.contains('.');
    let parent = |host: &str| host.split_once('.').map(|(_, parent)| parent.to_owned());
    let is_below = |inner: &str, outer: &str| {
        is_domain(&outer) && inner.strip_suffix(outer).is_some_and(|rest| rest.ends_with('.'))
    };
    let shared =
        parent(registry).filter(|own| is_domain(&own.as_str())).is_some_and(|own| parent(service) == Some(own));
    is_below(registry, service) || is_below(service, registry) || shared
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_stays_in_the_registrys_domain() {
        let check = |registry: &str, service: &str, expected: bool| {
            let rule = TokenServices::OfRegistry { allowed: vec!["tokens.example".to_owned()] };
            assert_eq!(rule.allow(registry, service), expected, "{registry} {service}");
            assert!(TokenServices::Any.allow(registry, service));
        };
        check("https://r.example", "https://r.example/token", true);
        check("https://r.example:5000", "https://R.example./token?x", true);
        check("https://registry-1.docker.io", "https://auth.docker.io/token", true);
        check("https://registry.gitlab.com", "https://gitlab.com/jwt/auth", true);
        check("https://corp.example", "https://login.corp.example/token", true);
        check("https://a.b.corp.example", "https://corp.example/token", true);
        // What was allowed.
        check("https://r.example", "https://tokens.example/token", true);
        check("https://r.example", "https://a.tokens.example/token", false);
        // The limit: a public suffix with a dot is taken for a domain.
        check("https://a.co.uk", "https://evil.co.uk/token", true);
        check("https://r.a.co.uk", "https://evil.co.uk/token", false);
        // Everybody else's, as what a cache passes on of the registry behind it.
        check("https://harbor.corp.example", "https://auth.docker.io/token", false);
        check("https://r.example", "https://other.example/token", false);
        check("https://r.example", "https://r.example.evil.org/token", false);
        check("https://r.example", "https://evilr.example/token", false);
        check("https://r.example", "https://example/token", false);
        check("http://10.0.0.1:5000", "http://10.0.0.1:5001/token", true);
        check("http://10.0.0.1:5000", "http://11.0.0.1:5000/token", false);
        check("http://localhost:5000", "http://localhost:5001/token", true);
        check("http://[::1]:5000", "http://[::1]/token", true);
        check("https://r.example", "no address", false);
    }
}
