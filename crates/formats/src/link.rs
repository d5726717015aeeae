//! Addresses in documents: whether a text is one, where a vulnerability is described, and paths as URIs.

use std::borrow::Cow;
use tidewaiter_core::finding::Finding;

/// Whether a text is an address that every format and reader takes: `http` or `https`, a host, and the characters of a URI
/// (RFC 3986, 2). Text of advisories may be anything, and an address is what a person clicks.
pub(crate) fn is_url(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let Some(host) = rest.and_then(|rest| rest.split(['/', '?', '#']).next()) else { return false };
    let is_host = !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_:".contains(&b));
    // RFC 3986 allows brackets around IPv6 addresses alone, and one fragment.
    is_host && has_uri_characters(text.as_bytes()) && text.bytes().filter(|b| *b == b'#').count() < 2
}

fn has_uri_characters(text: &[u8]) -> bool {
    let is_digit = |at: usize| text.get(at).is_some_and(u8::is_ascii_hexdigit);
    text.iter().enumerate().all(|(at, byte)| match byte {
        b'%' => is_digit(at + 1) && is_digit(at + 2),
        byte => byte.is_ascii_alphanumeric() || b"-._~:/?#@!$&'()*+,;=".contains(byte),
    })
}

/// The addresses among a finding's references.
pub(crate) fn references(finding: &Finding) -> impl Iterator<Item = &str> {
    finding.references.iter().map(String::as_str).filter(|reference| is_url(reference))
}

/// Where a person reads about a finding: at the source of its name, else at the first reference.
pub(crate) fn of_finding(finding: &Finding) -> Option<Cow<'_, str>> {
    let named = of_vulnerability(&finding.vulnerability).or_else(|| of_vulnerability(&finding.advisory));
    named.map(Cow::Owned).or_else(|| references(finding).next().map(Cow::Borrowed))
}

/// Where the sources of names describe what they name.
const SOURCES: [(&str, &str); 13] = [
    ("CVE-", "https://nvd.nist.gov/vuln/detail/"),
    ("GHSA-", "https://github.com/advisories/"),
    ("RUSTSEC-", "https://rustsec.org/advisories/"),
    ("DSA-", "https://security-tracker.debian.org/tracker/"),
    ("DLA-", "https://security-tracker.debian.org/tracker/"),
    ("USN-", "https://ubuntu.com/security/notices/"),
    ("RHSA-", "https://access.redhat.com/errata/"),
    ("PYSEC-", OSV),
    ("GO-", OSV),
    ("MAL-", OSV),
    ("OSV-", OSV),
    ("BIT-", OSV),
    ("ALSA-", OSV),
];
const OSV: &str = "https://osv.dev/vulnerability/";

/// The page about a vulnerability or an advisory, by its name.
pub(crate) fn of_vulnerability(id: &str) -> Option<String> {
    let (_, address) = SOURCES.iter().find(|(prefix, _)| id.starts_with(prefix))?;
    let is_name = id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.:_".contains(&b));
    is_name.then(|| format!("{address}{id}"))
}

/// A path in the image as a relative URI reference (RFC 3986, 4.2): no part of it is a scheme, a query or a fragment.
pub(crate) fn path_uri(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.trim_start_matches('/').bytes() {
        match byte {
            b if b.is_ascii_alphanumeric() || b"-._~/!$&'()*+,;=@".contains(&b) => out.push(char::from(b)),
            b => out.push_str(&format!("%{b:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_recognised() {
        let check = |text: &str, expected: bool| assert_eq!(is_url(text), expected, "{text}");
        check("https://nvd.nist.gov/vuln/detail/CVE-2025-1", true);
        check("http://127.0.0.1:8080/a?b=c%20d#e", true);
        check("https://example.org", true);
        check("https://", false);
        check("https:///path", false);
        check("ftp://example.org/", false);
        check("javascript:alert(1)", false);
        check("https://example.org/a b", false);
        check("https://example.org/\"><script>", false);
        check("https://example.org/%zz", false);
        check("https://example.org/%2", false);
        check("https://user@example.org/", false);
        check("https://example.org/#a#b", false);
        check("https://例え.example/", false);
        check("", false);
    }

    #[test]
    fn vulnerabilities_have_pages() {
        let check = |id: &str, expected: Option<&str>| assert_eq!(of_vulnerability(id).as_deref(), expected, "{id}");
        check("CVE-2025-1", Some("https://nvd.nist.gov/vuln/detail/CVE-2025-1"));
        check("GHSA-aaaa-bbbb-cccc", Some("https://github.com/advisories/GHSA-aaaa-bbbb-cccc"));
        check("RHSA-2024:1234", Some("https://access.redhat.com/errata/RHSA-2024:1234"));
        check("MAL-2024-1", Some("https://osv.dev/vulnerability/MAL-2024-1"));
        check("TEMP-1", None);
        check("CVE-2025-1/../../x?", None);
        check("CVE-2025-1\">", None);
    }

    #[test]
    fn a_finding_leads_to_its_page() {
        let check = |name: &str, advisory: &str, references: &[&str], expected: Option<&str>| {
            let finding = Finding {
                vulnerability: name.into(),
                advisory: advisory.into(),
                references: references.iter().map(|r| (*r).to_owned()).collect(),
                ..Finding::default()
            };
            assert_eq!(of_finding(&finding).as_deref(), expected, "{name} {advisory}");
        };
        check("CVE-1", "X-1", &["https://x.example/"], Some("https://nvd.nist.gov/vuln/detail/CVE-1"));
        check("X-1", "DSA-1", &[], Some("https://security-tracker.debian.org/tracker/DSA-1"));
        check("X-1", "X-1", &["javascript:x", "https://x.example/"], Some("https://x.example/"));
        check("X-1", "X-1", &[], None);
    }

    #[test]
    fn paths_are_relative_references() {
        let check = |path: &str, expected: &str| assert_eq!(path_uri(path), expected);
        check("var/lib/dpkg/status", "var/lib/dpkg/status");
        check("app.jar!/BOOT-INF/lib/x.jar", "app.jar!/BOOT-INF/lib/x.jar");
        check("//etc/a b", "etc/a%20b");
        check("a:b?c#d%e\\", "a%3Ab%3Fc%23d%25e%5C");
        check("ä\n", "%C3%A4%0A");
    }
}
