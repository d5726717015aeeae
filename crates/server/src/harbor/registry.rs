//! The registries that are scanned: those that the administrator named, and no other, whoever asks.

use axum::http::Uri;
use std::fmt;
use std::str::FromStr;
use tidewaiter_scan::source::registry::hosts::RegistryHosts;

/// A registry as Harbor names it in its requests: the origin of a URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HarborRegistry {
    scheme: Scheme,
    /// As image references name it: `harbor.example`, `core:8080`.
    name: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scheme {
    Http,
    Https,
}

impl Scheme {
    const fn word(self) -> &'static str {
        match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
        }
    }

    const fn port(self) -> u16 {
        match self {
            Scheme::Http => 80,
            Scheme::Https => 443,
        }
    }
}

impl HarborRegistry {
    /// The registry in references of its images.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Where it is asked: at this address, by this scheme. Redirects and token services elsewhere are other addresses.
    pub(crate) fn hosts(&self) -> RegistryHosts {
        RegistryHosts::at(&self.name, &format!("{self}/v2"))
    }
}

impl fmt::Display for HarborRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.word(), self.name)
    }
}

impl FromStr for HarborRegistry {
    type Err = &'static str;

    fn from_str(url: &str) -> Result<Self, Self::Err> {
        let uri: Uri = url.parse().map_err(|_| "it is not a URL; write it as https://harbor.example")?;
        let scheme = match uri.scheme_str() {
            Some("http") => Scheme::Http,
            Some("https") => Scheme::Https,
            _ => return Err("it begins with neither https:// nor http://"),
        };
        let authority = uri.authority().ok_or("it has no host")?;
        if authority.as_str().contains('@') {
            return Err("it has a user name: logins come with each request");
        }
        if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
            return Err("it has a path: Harbor's registry is at the root of its host");
        }
        let host = authority.host().to_ascii_lowercase();
        let port = authority.port_u16().unwrap_or(scheme.port());
        let name = match port == scheme.port() && looks_like_a_registry(&host) {
            true => host,
            false => format!("{host}:{port}"),
        };
        let is_name =
            format!("{name}/a").parse().is_ok_and(|image: tidewaiter_core::image::Reference| image.registry() == name);
        is_name.then_some(HarborRegistry { scheme, name }).ok_or("its host cannot be that of an image reference")
    }
}

/// Whether the first part of an image reference is a host by itself (distribution, "Docker references").
fn looks_like_a_registry(host: &str) -> bool {
    host.contains(['.', ':']) || host == "localhost"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registries_are_origins() {
        let check = |url: &str, expected: Result<(&str, &str), &str>| {
            let found = url.parse::<HarborRegistry>();
            match (&found, expected) {
                (Ok(found), Ok((name, origin))) => {
                    assert_eq!((found.name(), &*found.to_string()), (name, origin), "{url}")
                }
                (Err(why), Err(expected)) => assert!(why.contains(expected), "{url}: {why}"),
                (found, expected) => panic!("{url}: {found:?} {expected:?}"),
            }
        };
        check("https://harbor.example", Ok(("harbor.example", "https://harbor.example")));
        check("https://Harbor.example:443/", Ok(("harbor.example", "https://harbor.example")));
        check("https://harbor.example:8443", Ok(("harbor.example:8443", "https://harbor.example:8443")));
        // Harbor's own names within its network, without a dot.
        check("http://core:8080", Ok(("core:8080", "http://core:8080")));
        check("http://harbor-core", Ok(("harbor-core:80", "http://harbor-core:80")));
        check("https://harbor-core", Ok(("harbor-core:443", "https://harbor-core:443")));
        check("http://10.0.0.1", Ok(("10.0.0.1", "http://10.0.0.1")));
        check("http://harbor.example:443", Ok(("harbor.example:443", "http://harbor.example:443")));
        check("harbor.example", Err("neither"));
        check("ftp://harbor.example", Err("neither"));
        check("https://user:word@harbor.example", Err("user name"));
        check("https://harbor.example/v2/", Err("path"));
        check("https://harbor.example/?a", Err("path"));
        check("", Err("not a URL"));
        check("https://a_b.example!", Err(""));
    }

    #[test]
    fn spellings_of_one_origin_are_equal() {
        let parsed = |url: &str| url.parse::<HarborRegistry>().unwrap();
        assert_eq!(parsed("https://harbor.example/"), parsed("https://HARBOR.example:443"));
        assert_ne!(parsed("https://harbor.example"), parsed("http://harbor.example"));
        assert_ne!(parsed("https://harbor.example"), parsed("https://harbor.example:8443"));
    }
}
