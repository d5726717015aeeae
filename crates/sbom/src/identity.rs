//! Which image an SBOM is about: its name, its digests, its platform, as far as the document tells.

use crate::component::SbomComponent;
use crate::purl;
use tidewaiter_core::image::{Digest, Platform};
use tidewaiter_core::report::{ImageInfo, SbomOrigin};

/// The image that a document is about. One that names no digest has that of the document: it is what was judged.
pub(crate) fn image(subject: &SbomComponent, name: &str, origin: SbomOrigin) -> ImageInfo {
    let digest = digest(subject).unwrap_or_else(|| origin.digest.clone());
    let config = first(subject, &["tidewaiter:configDigest", "aquasecurity:trivy:ImageID", "syft:image:imageID"]);
    let base_layers = subject.get("tidewaiter:baseLayers").parse().ok();
    ImageInfo {
        name: name.to_owned(),
        config_digest: config.unwrap_or_else(|| digest.clone()),
        index_digest: first(subject, &["tidewaiter:indexDigest"]),
        platform: platform(subject),
        digest,
        base_layers,
        sbom: Some(origin),
    }
}

fn first(subject: &SbomComponent, names: &[&str]) -> Option<Digest> {
    names.iter().find_map(|name| subject.get(name).parse().ok())
}

/// The digest of an image, wherever a tool writes it.
fn digest(subject: &SbomComponent) -> Option<Digest> {
    let of_purl = || subject.purls.iter().find_map(|purl| purl::image(purl)?.0.parse().ok());
    // Trivy: `alpine@sha256:…`.
    let of_repository = || subject.get("aquasecurity:trivy:RepoDigest").rsplit_once('@')?.1.parse().ok();
    // SPDX: the checksum of a package is that of its file, which an image has none of.
    let of_checksum = || format!("sha256:{}", subject.sha256).parse().ok().filter(|_| subject.is_container());
    first(subject, &["syft:image:manifestDigest"])
        .or_else(|| subject.version.parse().ok())
        .or_else(of_purl)
        .or_else(of_repository)
        .or_else(of_checksum)
}

/// The platform; `unknown/unknown` where none is told, as indexes name what has none (image-spec, attestations).
fn platform(subject: &SbomComponent) -> Platform {
    let told = ["tidewaiter:platform", "syft:image:platform"].iter().find_map(|name| subject.get(name).parse().ok());
    let of_purl = || {
        let arch = subject.purls.iter().find_map(|purl| Some(purl::image(purl)?.1)).filter(|arch| !arch.is_empty())?;
        Some(Platform::new("linux", &arch))
    };
    told.or_else(of_purl).unwrap_or_else(|| Platform::new("unknown", "unknown"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tools_name_images_in_their_ways() {
        let digest = Digest::from_sha256([7; 32]);
        let check = |version: &str, purl: &str, facts: &[(&str, &str)], expected: &str| {
            let mut subject =
                SbomComponent { version: version.into(), kind: "container".into(), ..SbomComponent::default() };
            subject.purls.extend(Some(purl.to_owned()).filter(|purl| !purl.is_empty()));
            facts.iter().for_each(|(name, value)| subject.fact(name, (*value).to_owned()));
            let origin = SbomOrigin { format: "CycloneDX 1.6".into(), digest: Digest::from_sha256([0; 32]) };
            let image = image(&subject, "x", origin);
            let told = if image.digest == digest { "told" } else { "the document's" };
            assert_eq!(format!("{told} {}", image.platform), expected, "{version} {purl} {facts:?}");
        };
        let purl =
            format!("pkg:oci/alpine@sha256%3A{}?arch=arm64&repository_url=index.docker.io%2Flibrary", digest.hex());
        let repository = format!("alpine@{digest}");
        check("", "", &[], "the document's unknown/unknown");
        check("3.18", "", &[], "the document's unknown/unknown");
        check(digest.as_str(), "", &[], "told unknown/unknown");
        check("", &purl, &[], "told linux/arm64");
        check("", "", &[("aquasecurity:trivy:RepoDigest", &repository)], "told unknown/unknown");
        let syft = [("syft:image:manifestDigest", digest.as_str()), ("syft:image:platform", "linux/amd64")];
        check("3.18", "", &syft, "told linux/amd64");
        check("", "", &[("tidewaiter:platform", "linux/arm/v7")], "the document's linux/arm/v7");
    }
}
