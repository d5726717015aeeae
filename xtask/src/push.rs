//! Pushes an image by the OCI distribution protocol, with the logins that Docker and Podman stored.

use anyhow::{Context, Result};
use tidewaiter_core::image::Reference;
use tidewaiter_scan::source::registry::RegistryConfig;
use tidewaiter_scan::source::registry::login_files;
use tidewaiter_scan::source::registry::push::PushTarget;
use tidewaiter_testkit::image::ImageFixture;

/// How to connect to a registry; one on loopback is probed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    Tls,
    PlainHttp,
}

/// Pushes an image: blobs, manifests, and the tag last, so that it never names an incomplete image.
pub(crate) fn push(reference: &str, image: &ImageFixture, transport: Transport) -> Result<()> {
    let parsed: Reference = reference.parse().with_context(|| reference.to_owned())?;
    let tag = parsed.tag().context("give a tag to push to")?.to_owned();
    let plain_http = if transport == Transport::PlainHttp { vec![parsed.registry().to_owned()] } else { Vec::new() };
    let credentials = login_files::read(&login_files::existing(), &parsed)?;
    let config = RegistryConfig { credentials, plain_http, ..RegistryConfig::default() };
    let repository = PushTarget::new(&config, &parsed)?;
    for blob in image.blobs.values() {
        repository.blob(&blob.read())?;
    }
    for (digest, manifest) in &image.manifests {
        repository.manifest(digest, &manifest.media_type, &manifest.bytes)?;
    }
    repository.manifest(&tag, &image.root.media_type, &image.root.bytes)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidewaiter_testkit::demo::clean;
    use tidewaiter_testkit::registry::Registry;

    #[test]
    fn an_image_is_pushed_with_its_tag() {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let (image, registry) = (clean().build(), Registry::start());
        let to = format!("{}/app:v1", registry.host());
        push(&to, &image, Transport::Tls).unwrap();
        let config = RegistryConfig::default();
        let found = tidewaiter_scan::source::registry::open(&config, &to.parse().unwrap(), None).unwrap();
        assert_eq!(found.manifest_digest.as_str(), image.digest());
    }
}
