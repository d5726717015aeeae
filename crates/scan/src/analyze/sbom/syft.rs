//! Syft's own form, as JSON (anchore/syft, `schema/json`): Cloud Native Buildpacks have it next to the two standards.

use super::SbomComponents;
use super::stream::elements;
use serde::Deserialize;

#[derive(Deserialize)]
struct SyftArtifact {
    name: Option<String>,
    version: Option<String>,
    purl: Option<String>,
}

/// Lists all artifacts: each is a package.
///
/// # Errors
/// When it does not fit the format.
pub(super) fn read(bytes: &[u8], found: &mut SbomComponents<'_>) -> serde_json::Result<()> {
    elements(bytes, "artifacts", |artifact: SyftArtifact| add(artifact, found))
}

fn add(artifact: SyftArtifact, found: &mut SbomComponents<'_>) {
    let (name, version) = (artifact.name.unwrap_or_default(), artifact.version.unwrap_or_default());
    let purl = artifact.purl.filter(|purl| !purl.is_empty());
    if !purl.as_ref().is_some_and(|purl| found.purl(purl, &version)) {
        found.unnamed(purl.as_deref(), &name, &version);
    }
}
