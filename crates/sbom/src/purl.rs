//! What a purl tells of a package besides its name and version: the distribution, the architecture, the source.

use packageurl::PackageUrl;
use std::str::FromStr as _;

/// The qualifiers of packages of operating systems (purl-spec; those of Trivy and Syft).
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct PurlFacts {
    /// The distribution, as a vendor: `debian`, `redhat`.
    pub(crate) namespace: String,
    /// `debian-12`, of old versions of Trivy the version alone.
    pub(crate) distro: String,
    pub(crate) arch: String,
    /// `openssl`, `openssl@3.0.11-1`, of an rpm the file of its source.
    pub(crate) upstream: String,
    /// `nodejs:20`, with more after it in Trivy's.
    pub(crate) module: String,
    pub(crate) epoch: String,
}

impl PurlFacts {
    /// Those of a purl.
    pub(crate) fn of(purl: &PackageUrl<'_>) -> Self {
        let get = |name: &str| purl.qualifiers().get(name).map(|value| value.to_string()).unwrap_or_default();
        let module = Some(get("rpmmod")).filter(|module| !module.is_empty());
        PurlFacts {
            namespace: purl.namespace().unwrap_or_default().to_owned(),
            distro: get("distro"),
            arch: get("arch"),
            upstream: get("upstream"),
            module: module.unwrap_or_else(|| get("modularitylabel")),
            epoch: get("epoch"),
        }
    }
}

/// The type of a purl, whether one is known by that name or not.
pub(crate) fn kind(text: &str) -> Option<&str> {
    let rest = text.strip_prefix("pkg:")?.trim_start_matches('/');
    rest.split_once('/').map(|(kind, _)| kind)
}

/// The digest and the architecture of an image's purl (type `oci`).
pub(crate) fn image(text: &str) -> Option<(String, String)> {
    let purl = PackageUrl::from_str(text).ok().filter(|purl| matches!(purl.ty(), "oci" | "docker"))?;
    let arch = purl.qualifiers().get("arch").map(|arch| arch.to_string()).unwrap_or_default();
    Some((purl.version().unwrap_or_default().to_owned(), arch))
}
