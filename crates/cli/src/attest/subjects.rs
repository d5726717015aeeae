//! What a statement is about: the manifests that were scanned, and the index when all of its platforms were.

use anyhow::Result;
use serde::Deserialize;
use std::collections::BTreeSet;
use tidewaiter_attestation::StatementSubject;
use tidewaiter_core::image::{Digest, Platform};
use tidewaiter_core::report::Report;
use tidewaiter_scan::source::registry::artifact::ArtifactRepository;

/// The subjects of a statement about reports; an index is looked at where there is a repository.
pub(super) fn of(reports: &[Report], repository: Option<&ArtifactRepository>) -> Result<Vec<StatementSubject>> {
    let images = || reports.iter().map(|report| &report.inventory.image);
    let name = repository
        .map(|repository| repository.reference().name())
        .or_else(|| images().next().map(|image| image.name.clone()))
        .unwrap_or_default();
    let scanned: BTreeSet<&Digest> = images().map(|image| &image.digest).collect();
    let mut all: Vec<&Digest> = scanned.iter().copied().collect();
    let indexes: BTreeSet<&Digest> = images().filter_map(|image| image.index_digest.as_ref()).collect();
    if let Some(repository) = repository {
        for index in indexes {
            let platforms = platforms(&repository.manifest_of(index)?);
            if !platforms.is_empty() && platforms.iter().all(|(_, digest)| scanned.contains(digest)) {
                all.push(index);
            }
        }
    }
    Ok(all.into_iter().map(|digest| StatementSubject { name: name.clone(), digest: digest.clone() }).collect())
}

/// The platforms of an index with their manifests; nothing for a manifest.
pub(super) fn platforms(index: &[u8]) -> Vec<(Platform, Digest)> {
    #[derive(Deserialize)]
    struct PlatformIndex {
        #[serde(default)]
        manifests: Vec<PlatformEntry>,
    }
    #[derive(Deserialize)]
    struct PlatformEntry {
        digest: Digest,
        platform: Option<Platform>,
    }
    let index: PlatformIndex = serde_json::from_slice(index).unwrap_or(PlatformIndex { manifests: vec![] });
    // BuildKit's attestations are entries for an unknown platform, on which nothing runs.
    let runs = |platform: &Platform| platform.os != "unknown";
    index.manifests.into_iter().filter_map(|entry| Some((entry.platform.filter(runs)?, entry.digest))).collect()
}
