//! Versions that OSV records name: what the matcher compares.

use super::known::KnownVersions;
use anyhow::{Context, Result};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use tidewaiter_core::version::VersionScheme;
use tidewaiter_feeds::source::documents;

/// Longest document in bytes: records are smaller.
const LONGEST: u64 = 64 << 20;

#[derive(Deserialize)]
struct OsvVersions {
    affected: Vec<OsvAffected>,
}

#[derive(Deserialize)]
struct OsvAffected {
    package: OsvPackage,
    #[serde(default)]
    ranges: Vec<OsvRange>,
    #[serde(default)]
    versions: Vec<String>,
}

#[derive(Deserialize)]
struct OsvPackage {
    ecosystem: String,
}

#[derive(Deserialize)]
struct OsvRange {
    #[serde(default)]
    events: Vec<BTreeMap<String, String>>,
}

/// Adds the versions of the JSON records of a file or archive; what is no OSV record is skipped.
pub(super) fn add(file: &Path, known: &mut KnownVersions) -> Result<()> {
    let added = documents(file, LONGEST, &mut |name, content| add_document(name, content, known));
    added.with_context(|| file.display().to_string())
}

fn add_document(name: &str, content: &mut dyn Read, known: &mut KnownVersions) {
    let mut bytes = Vec::new();
    // An error of the archive ends `documents` too.
    if name.ends_with(".json") && content.read_to_end(&mut bytes).is_ok() {
        let record = serde_json::from_slice::<OsvVersions>(&bytes);
        record.into_iter().flat_map(|record| record.affected).for_each(|affected| add_affected(affected, known));
    }
}

fn add_affected(affected: OsvAffected, known: &mut KnownVersions) {
    // `AlmaLinux:9`, `crates.io`
    let ecosystem = affected.package.ecosystem.split([':', '.']).next().unwrap_or_default().to_lowercase();
    let Some(scheme) = VersionScheme::named(&ecosystem) else { return };
    // Records write versions of Go without the `v` that they have there.
    let written = |version: String| if scheme == VersionScheme::Go { format!("v{version}") } else { version };
    let events = affected.ranges.into_iter().flat_map(|range| range.events).flat_map(BTreeMap::into_values);
    known.add(scheme, affected.versions.into_iter().chain(events).map(written));
}
