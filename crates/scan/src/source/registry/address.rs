//! Which addresses a registry's name may resolve to, checked at every connection: redirects and token services included.

use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use tidewaiter_http::ureq;
use tidewaiter_http::ureq::config::Config;
use tidewaiter_http::ureq::http::Uri;
use tidewaiter_http::ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use tidewaiter_http::ureq::unversioned::transport::NextTimeout;

/// The addresses that a scan may connect to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Addresses {
    /// All: the user's own machine decides.
    #[default]
    Any,
    /// Public addresses, and these networks: for a server, whose users must not reach its network through it.
    Public {
        /// Networks that are allowed in addition to the public ones.
        allowed: Vec<IpNet>,
    },
}

/// A name resolved to an address that the rule forbids.
#[derive(Debug, thiserror::Error)]
#[error("{host} is at {address}, which is not a public address")]
pub(super) struct RefusedAddress {
    host: String,
    address: IpAddr,
}

impl Addresses {
    /// Whether a connection to this address is allowed.
    pub fn allow(&self, address: IpAddr) -> bool {
        match self {
            Addresses::Any => true,
            Addresses::Public { allowed } => {
                // `::ffff:10.0.0.1` is 10.0.0.1 to the kernel.
                let plain = address.to_canonical();
                is_public(plain) || allowed.iter().any(|net| net.contains(&plain) || net.contains(&address))
            }
        }
    }
}

/// Whether an address belongs to the open internet (IANA special-purpose registries). Addresses that carry an IPv4
/// address inside are classified by that one.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => match embedded(v6) {
            Some(v4) => is_public_v4(v4),
            // Only 2000::/3 is assigned; documentation and benchmarking are inside.
            None => {
                let [a, b, ..] = v6.segments();
                a >> 13 == 1 && !(a == 0x2001 && (b < 0x200 || b == 0xdb8)) && a >> 4 != 0x3ff
            }
        },
    }
}

fn is_public_v4(v4: Ipv4Addr) -> bool {
    let [a, b, c, _] = v4.octets();
    // Carrier-grade NAT (RFC 6598), from which some clusters take the addresses of Pods.
    let shared = a == 100 && (64..128).contains(&b);
    let benchmark = a == 198 && (18..20).contains(&b);
    let protocol = a == 192 && b == 0 && c == 0 || a == 192 && b == 88 && c == 99;
    !(a == 0
        || a >= 224
        || v4.is_private()
        || v4.is_loopback()
        || v4.is_link_local()
        || v4.is_documentation()
        || shared
        || benchmark
        || protocol)
}

/// The IPv4 address inside a NAT64 (64:ff9b::/96, 64:ff9b:1::/48), 6to4 (2002::/16) or mapped address.
fn embedded(v6: Ipv6Addr) -> Option<Ipv4Addr> {
    let join = |high: u16, low: u16| Ipv4Addr::from(u32::from(high) << 16 | u32::from(low));
    match v6.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(join(high, low)),
        // The local-use prefix leads wherever its operator wants: never public.
        [0x64, 0xff9b, 1, ..] => Some(Ipv4Addr::LOCALHOST),
        [0x2002, high, low, ..] => Some(join(high, low)),
        _ => v6.to_ipv4_mapped(),
    }
}

/// Resolves as usual and refuses a name with any forbidden address: a second answer must not be tried in its place.
#[derive(Debug)]
pub(super) struct AddressGuard {
    rule: Addresses,
    /// `https://host[:port]` that may be anywhere.
    trusted: Option<Uri>,
    inner: DefaultResolver,
}

impl AddressGuard {
    pub(super) fn new(rule: Addresses) -> Self {
        AddressGuard { rule, trusted: None, inner: DefaultResolver::default() }
    }

    /// The same that asks nothing about one host (`https://host[:port]`), which the administrator named: exactly that one, by that port.
    pub(super) fn trusting(self, host: Option<&str>) -> Self {
        AddressGuard { trusted: host.and_then(|host| host.parse().ok()), ..self }
    }

    fn trusts(&self, uri: &Uri) -> bool {
        self.trusted.as_ref().is_some_and(|trusted| place(trusted).is_some() && place(trusted) == place(uri))
    }
}

/// Host and port.
fn place(uri: &Uri) -> Option<(String, u16)> {
    let usual = if uri.scheme_str() == Some("https") { 443 } else { 80 };
    Some((uri.host()?.to_ascii_lowercase(), uri.port_u16().unwrap_or(usual)))
}

impl Resolver for AddressGuard {
    fn resolve(&self, uri: &Uri, config: &Config, timeout: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let found = self.inner.resolve(uri, config, timeout)?;
        if self.trusts(uri) {
            return Ok(found);
        }
        match found.iter().map(|a| a.ip()).find(|address| !self.rule.allow(*address)) {
            Some(address) => {
                let host = uri.host().unwrap_or_default().to_owned();
                Err(ureq::Error::Other(Box::new(RefusedAddress { host, address })))
            }
            None => Ok(found),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_host_is_trusted_by_its_port() {
        let check = |trusted: Option<&str>, uri: &str, expected: bool| {
            let guard = AddressGuard::new(Addresses::Public { allowed: vec![] }).trusting(trusted);
            assert_eq!(guard.trusts(&uri.parse().unwrap()), expected, "{trusted:?} {uri}");
        };
        let mirror = Some("https://m.example");
        check(mirror, "https://m.example/v2/x", true);
        check(mirror, "https://M.example:443/v2/x", true);
        check(mirror, "https://m.example:8443/", false);
        check(mirror, "http://m.example/", false);
        check(mirror, "https://a.m.example/", false);
        check(mirror, "https://other.example/", false);
        check(Some("http://10.0.0.1:5000"), "http://10.0.0.1:5000/v2/", true);
        check(Some("http://10.0.0.1:5000"), "http://10.0.0.1:6000/v2/", false);
        check(None, "https://m.example/", false);
    }

    #[test]
    fn inner_addresses_are_refused_in_every_spelling() {
        let public = Addresses::Public { allowed: vec!["10.1.0.0/16".parse().unwrap()] };
        let check = |address: &str, expected: bool| {
            assert_eq!(public.allow(address.parse().unwrap()), expected, "{address}");
        };
        for good in ["1.1.1.1", "10.1.2.3", "::ffff:10.1.2.3", "2606:4700::1111", "64:ff9b::101:101", "100.128.0.1"] {
            check(good, true);
        }
        let inner = [
            "127.0.0.1",
            "10.2.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "198.18.0.1",
            "192.0.0.8",
            "::1",
            "::",
            "fe80::1",
            "fd00::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "2002:7f00:1::",
            "2001:db8::1",
            "2001::1",
        ];
        for bad in inner {
            check(bad, false);
        }
        assert!(Addresses::Any.allow("127.0.0.1".parse().unwrap()));
    }
}
