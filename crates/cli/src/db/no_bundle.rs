//! In place of the verification of Sigstore bundles, in programs that are built without it.

use crate::exit::UsageError;
use anyhow::{Result, bail};
use std::io::Read;
use std::path::Path;

/// Refuses everything.
pub(super) struct NoVerifier;

impl NoVerifier {
    /// Always an error: what was asked to be verified must not be taken unverified.
    pub(super) fn read(_identity: &str, _issuer: &str, _root: &Path) -> Result<Self> {
        let advice = "build it with `cargo install --features sigstore`, or download the database, verify it with \
                      `cosign verify-blob --bundle`, and name the file as the source";
        Err(UsageError(format!("this program was built without Sigstore; {advice}")).into())
    }

    /// Always an error.
    pub(super) fn verify(&self, _signed: &mut dyn Read, _bundle: &str) -> Result<()> {
        bail!("this program was built without Sigstore")
    }
}
