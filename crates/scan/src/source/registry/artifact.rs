//! Artifacts in a registry that are not images (OCI image-spec, "Guidelines for Artifact Usage"): their manifests and blobs.

use super::client::{RegistryClient, Resuming};
use super::{RegistryConfig, SourceError, selector};
use sha2::{Digest as _, Sha256};
use std::io::{self, Read};
use std::sync::Arc;
use tidewaiter_core::image::{Digest, Reference};

/// A repository of artifacts.
pub struct ArtifactRepository {
    pub(super) client: Arc<RegistryClient>,
    reference: Reference,
}

impl ArtifactRepository {
    /// The repository that a reference names.
    ///
    /// # Errors
    /// When authorities or proxies of the settings cannot be used.
    pub fn new(config: &RegistryConfig, reference: &Reference) -> Result<Self, SourceError> {
        Ok(ArtifactRepository {
            client: Arc::new(RegistryClient::new(config, reference)?),
            reference: reference.clone(),
        })
    }

    /// The reference that it was opened by.
    pub fn reference(&self) -> &Reference {
        &self.reference
    }

    /// The manifest that the reference names, and its digest.
    ///
    /// # Errors
    /// When the registry does not give it, or it is not the one that the reference's digest names.
    pub fn manifest(&self) -> Result<(Vec<u8>, Digest), SourceError> {
        let what = self.reference.to_string();
        let bytes = self.client.manifest(&selector(&self.reference), &what)?;
        if let Some(named) = self.reference.digest() {
            super::super::read::verify(&bytes, &what, named, None)?;
        }
        let digest = super::super::sha256(&bytes);
        Ok((bytes, digest))
    }

    /// The manifest of another tag; `None` if there is none.
    ///
    /// # Errors
    /// When the registry does not answer.
    pub fn tagged(&self, tag: &str) -> Result<Option<Vec<u8>>, SourceError> {
        let what = format!("{}/{}:{tag}", self.reference.registry(), self.reference.repository());
        match self.client.manifest(tag, &what) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(SourceError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The manifest of a digest.
    ///
    /// # Errors
    /// When the registry does not give it, or it is another one.
    pub fn manifest_of(&self, digest: &Digest) -> Result<Vec<u8>, SourceError> {
        let what = format!("{}/{}@{digest}", self.reference.registry(), self.reference.repository());
        let bytes = self.client.manifest(digest.as_str(), &what)?;
        super::super::read::verify(&bytes, &what, digest, None)?;
        Ok(bytes)
    }

    /// What refers to a digest, as errors name it.
    pub(super) fn referrers_of(&self, digest: &Digest) -> String {
        format!("the referrers of {}/{}@{digest}", self.reference.registry(), self.reference.repository())
    }

    /// A blob; a read at its end fails unless its size and digest are these.
    ///
    /// # Errors
    /// When the registry does not give it.
    pub fn blob(&self, digest: &Digest, size: u64) -> Result<ArtifactBlob, SourceError> {
        let what = format!("blob {digest} of {}", self.reference);
        let inner = self.client.resuming(digest, Some(size), &what)?;
        Ok(ArtifactBlob { inner, hash: Some(Sha256::new()), digest: digest.clone(), size, got: 0, what })
    }

    /// All of a small blob.
    ///
    /// # Errors
    /// When the registry does not give it, or it is another one.
    pub fn small_blob(&self, digest: &Digest, size: u64, limit: u64) -> Result<Vec<u8>, SourceError> {
        let blob = self.blob(digest, size)?;
        let what = blob.what.clone();
        super::super::read::read_capped(blob, &what, limit)
    }
}

/// The bytes of a blob, verified at their end.
pub struct ArtifactBlob {
    inner: Resuming,
    /// `None` once the end was verified.
    hash: Option<Sha256>,
    digest: Digest,
    size: u64,
    got: u64,
    what: String,
}

impl Read for ArtifactBlob {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        let read = self.inner.read(buf)?;
        self.got += read as u64;
        if self.got > self.size {
            let cause = format!("it has more than the {} bytes its descriptor says", self.size);
            return Err(io::Error::other(SourceError::bad(&self.what, cause)));
        }
        match &mut self.hash {
            Some(hash) if read > 0 => hash.update(buf.get(..read).unwrap_or_default()),
            _ => {}
        }
        if read == 0 {
            self.end()?;
        }
        Ok(read)
    }
}

impl ArtifactBlob {
    fn end(&mut self) -> io::Result<()> {
        let (what, expected, got) = (self.what.clone(), self.size, self.got);
        if got < expected {
            return Err(io::Error::other(SourceError::Truncated { what, expected, got }));
        }
        let Some(hash) = self.hash.take() else { return Ok(()) };
        let actual = Digest::from_sha256(hash.finalize().into());
        if actual != self.digest {
            let expected = self.digest.clone();
            return Err(io::Error::other(SourceError::DigestMismatch { what, expected, actual }));
        }
        Ok(())
    }
}
