//! Image references.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Digest;

// As containerd and Docker complete a short name, so that the scanned image is the one that a node pulls.
const DEFAULT_REGISTRY: &str = "docker.io";
const DEFAULT_TAG: &str = "latest";
/// Longest name of a host (RFC 1035 §2.3.4, as text).
const MAX_HOST: usize = 253;

/// Limit of the distribution grammar on the repository's length.
const MAX_REPOSITORY: usize = 255;

/// A fully qualified image reference: registry, repository, and a tag, a digest or both.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Reference {
    registry: String,
    repository: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

/// The text is not an image reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not an image reference: {why}; write [registry[:port]/]repository[:tag][@sha256:digest]")]
pub struct ReferenceError {
    text: String,
    why: String,
}

impl Reference {
    /// Registry host, with port if it has one; `docker.io` for Docker Hub.
    #[must_use]
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// Repository within the registry, for example `library/nginx`.
    #[must_use]
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag, if one was given or is implied.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest, if the reference is pinned.
    #[must_use]
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// The same image pinned to `digest`; the tag stays, for people to read.
    #[must_use]
    pub fn pinned(&self, digest: &Digest) -> Self {
        Self { digest: Some(digest.clone()), ..self.clone() }
    }

    /// Registry and repository, without tag and digest.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}/{}", self.registry, self.repository)
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).map_err(|why| ReferenceError { text: text.to_owned(), why: why.to_owned() })
    }
}

impl TryFrom<String> for Reference {
    type Error = ReferenceError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Reference> for String {
    fn from(reference: Reference) -> Self {
        reference.to_string()
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        self.digest.as_ref().map_or(Ok(()), |digest| write!(f, "@{digest}"))
    }
}

fn parse(text: &str) -> Result<Reference, &'static str> {
    if text.is_empty() {
        return Err("it is empty");
    }
    let (name, digest) = match text.split_once('@') {
        None => (text, None),
        Some((name, digest)) => (name, Some(digest.parse().map_err(|_| "what follows @ is not a sha256 digest")?)),
    };
    let (name, tag) = split_tag(name);
    if name.len() == 64 && name.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err("64 hexadecimal digits are an image id, not a name");
    }
    if tag.is_some_and(|tag| !valid_tag(tag)) {
        return Err("the tag must be 1 to 128 letters, digits, '_', '.' or '-' and not start with '.' or '-'");
    }
    let (registry, repository) = split_registry(name);
    if !valid_registry(registry) {
        return Err("the registry host is malformed");
    }
    let registry = if registry == "index.docker.io" { DEFAULT_REGISTRY } else { registry };
    let repository = match repository {
        single if registry == DEFAULT_REGISTRY && !single.contains('/') => format!("library/{single}"),
        path => path.to_owned(),
    };
    valid_repository(&repository)?;
    let tag = match (tag, &digest) {
        (None, None) => Some(DEFAULT_TAG),
        (tag, _) => tag,
    };
    Ok(Reference { registry: registry.to_owned(), repository, tag: tag.map(str::to_owned), digest })
}

/// Splits off the tag: a colon after the last slash. A colon before it belongs to the registry's port.
fn split_tag(name: &str) -> (&str, Option<&str>) {
    match name.rsplit_once(':') {
        Some((rest, tag)) if !tag.contains('/') => (rest, Some(tag)),
        _ => (name, None),
    }
}

/// The first component is a registry only if it looks like a host; else the image is on Docker Hub.
fn split_registry(name: &str) -> (&str, &str) {
    match name.split_once('/') {
        Some((host, rest))
            if host.contains(['.', ':']) || host == "localhost" || host.bytes().any(|b| b.is_ascii_uppercase()) =>
        {
            (host, rest)
        }
        _ => (DEFAULT_REGISTRY, name),
    }
}

fn valid_registry(registry: &str) -> bool {
    if let Some(rest) = registry.strip_prefix('[') {
        let Some((address, port)) = rest.split_once(']') else { return false };
        return address.parse::<std::net::Ipv6Addr>().is_ok()
            && (port.is_empty() || port.strip_prefix(':').is_some_and(valid_port));
    }
    let (host, port) = match registry.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (registry, None),
    };
    port.is_none_or(valid_port) && host.len() <= MAX_HOST && host.split('.').all(valid_label)
}

/// RFC 1123 §2.1.
fn valid_label(label: &str) -> bool {
    let edges = !label.starts_with('-') && !label.ends_with('-');
    edges && !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

fn valid_port(port: &str) -> bool {
    port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok()
}

fn valid_tag(tag: &str) -> bool {
    tag.len() <= 128
        && !tag.is_empty()
        && !tag.starts_with(['.', '-'])
        && tag.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
}

fn valid_repository(repository: &str) -> Result<(), &'static str> {
    if repository.len() > MAX_REPOSITORY {
        return Err("the repository is longer than 255 characters");
    }
    if repository.bytes().any(|b| b.is_ascii_uppercase()) {
        return Err("the repository must be lower-case");
    }
    if repository.split('/').all(valid_component) { Ok(()) } else { Err("the repository is malformed") }
}

/// `[a-z0-9]+` parts joined by one `.`, one or two `_`, or any number of `-`.
fn valid_component(component: &str) -> bool {
    let alnum = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = component.as_bytes();
    let ends = bytes.first().is_some_and(&alnum) && bytes.last().is_some_and(&alnum);
    let known = bytes.iter().all(|b| alnum(b) || matches!(b, b'.' | b'_' | b'-'));
    let separators = component.split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    ends && known
        && separators.filter(|s| !s.is_empty()).all(|s| matches!(s, "." | "_" | "__") || s.bytes().all(|b| b == b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

    #[test]
    fn canonical_form() {
        for (text, canonical) in [
            ("nginx", "docker.io/library/nginx:latest"),
            ("nginx:1", "docker.io/library/nginx:1"),
            ("a/b", "docker.io/a/b:latest"),
            ("docker.io/nginx", "docker.io/library/nginx:latest"),
            ("index.docker.io/a/b:2", "docker.io/a/b:2"),
            ("localhost/x", "localhost/x:latest"),
            ("localhost:5000/x:1", "localhost:5000/x:1"),
            ("ghcr.io/a/b_c__d--e.f:V1", "ghcr.io/a/b_c__d--e.f:V1"),
            ("[::1]:5000/x", "[::1]:5000/x:latest"),
            ("10.0.0.1:5000/x/y/z:t", "10.0.0.1:5000/x/y/z:t"),
        ] {
            let reference: Reference = text.parse().unwrap();
            assert_eq!(reference.to_string(), canonical);
            assert_eq!(canonical.parse::<Reference>().unwrap(), reference, "canonical form parses to itself");
        }
    }

    #[test]
    fn pinning_keeps_the_tag() {
        let digest: Digest = HEX.parse().unwrap();
        let tagged: Reference = "x:1".parse().unwrap();
        assert_eq!(tagged.pinned(&digest).to_string(), format!("docker.io/library/x:1@{HEX}"));
        let bare: Reference = format!("x@{HEX}").parse().unwrap();
        assert_eq!((bare.tag(), bare.digest()), (None, Some(&digest)));
        assert_eq!(bare.to_string(), format!("docker.io/library/x@{HEX}"));
    }

    #[test]
    fn malformed() {
        let hex = "a".repeat(64);
        let long = "a".repeat(256);
        for bad in [
            "",
            " ",
            "a b",
            "UPPER",
            "Host/UP",
            "a//b",
            "a/",
            "/a",
            "a:",
            "a:.b",
            "a@sha256:1",
            "a@",
            "-a",
            "a-",
            "a___b",
            "a..b",
            "a:b:c",
            "host:port/x",
            "host:99999/x",
            "ho_st.io/x",
            "[::g]/x",
            "https://x.io/y",
            "a\n",
            "../x",
            &hex,
            &long,
        ] {
            assert!(bad.parse::<Reference>().is_err(), "{bad:?}");
        }
        let message = "UPPER".parse::<Reference>().unwrap_err().to_string();
        assert!(message.contains("lower-case") && message.contains("UPPER"), "{message}");
    }
}
