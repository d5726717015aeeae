//! The deltas of an artifact (ADR 0014): which ones lead from one file to another, and which ones a push publishes.
//!
//! ```text
//! the day before yesterday's ──delta──→ yesterday's ──delta──→ today's
//! ```
//!
//! A push makes the delta from what the tag named before, and names the deltas that led there again.

use super::artifact::{self, DatabaseArtifact, DeltaLayer, NamedBlob};
use super::part::TransferFile;
use crate::progress::Spinner;
use anyhow::{Context, Result, bail};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use tidewaiter_core::image::Digest;
use tidewaiter_db::{Database, file_delta};
use tidewaiter_scan::source::registry::artifact::ArtifactRepository;

/// Most deltas that a push names: who updates once a week still takes them.
const MOST: usize = 7;

/// The deltas that lead from one file to another, in order, where they are smaller together than the whole file.
pub(super) fn route<'a>(artifact: &'a DatabaseArtifact, from: &Digest) -> Option<Vec<&'a DeltaLayer>> {
    let to = artifact.checksum.as_ref()?;
    let (mut at, mut bytes, mut out) = (from, 0_u64, Vec::new());
    while at != to {
        let step = artifact.deltas.iter().find(|delta| delta.from == *at)?;
        bytes = bytes.saturating_add(step.blob.size);
        // A ring of deltas ends here too.
        if bytes >= artifact.layer.size || out.len() == artifact.deltas.len() {
            return None;
        }
        out.push(step);
        at = &step.to;
    }
    (!out.is_empty()).then_some(out)
}

/// What of an artifact's deltas leads to its file: the last one first, and no more than are clearly smaller than `whole`
/// bytes together with the `first` ones.
fn kept(previous: &DatabaseArtifact, first: u64, whole: u64) -> Vec<DeltaLayer> {
    let (mut at, mut bytes, mut out) = (previous.checksum.as_ref(), first, Vec::new());
    while let Some(step) = previous.deltas.iter().find(|delta| Some(&delta.to) == at) {
        bytes = bytes.saturating_add(step.blob.size);
        if !is_worth_it(bytes, whole) || out.len() == MOST - 1 {
            break;
        }
        out.push(step.clone());
        at = Some(&step.from);
    }
    out
}

/// Whether deltas of so many bytes are clearly smaller: applying them takes longer than decompressing the whole file.
fn is_worth_it(bytes: u64, whole: u64) -> bool {
    bytes <= whole / 2
}

/// What a push publishes in addition to the whole file.
#[derive(Debug, Default)]
pub(super) struct PushedDeltas {
    /// The one that was made, to be pushed.
    pub(super) made: Option<MadeDelta>,
    /// Those that the repository has.
    pub(super) kept: Vec<DeltaLayer>,
}

/// A delta that no repository has yet.
#[derive(Debug)]
pub(super) struct MadeDelta {
    pub(super) bytes: Vec<u8>,
    pub(super) from: Digest,
}

/// Makes the delta from the database that `tag` names to this one, whose compressed file has `whole` bytes. Nothing if there
/// is none, or the delta is not clearly smaller.
pub(super) fn of_push(
    repository: &ArtifactRepository,
    tag: &str,
    database: &Database,
    whole: u64,
    progress: &Spinner,
) -> Result<PushedDeltas> {
    let Some(manifest) = repository.tagged(tag)? else { return Ok(PushedDeltas::default()) };
    let previous = artifact::parse(&manifest)?;
    let Some(from) = previous.checksum.clone() else { return Ok(PushedDeltas::default()) };
    if from == database.checksum() {
        return Ok(PushedDeltas { made: None, kept: kept(&previous, 0, whole) });
    }
    progress.say("downloading the last database, to compare");
    let part = TransferFile::next_to(database.path(), "last");
    let old = fetched(repository, &previous.layer, &part.0)?;
    if old.checksum() != from {
        bail!("its manifest says that its checksum is {from}, it is {}", old.checksum());
    }
    progress.say("comparing with the last database");
    let bytes = file_delta::encode(&old, database, folder_of(database.path()))?;
    if !is_worth_it(bytes.len() as u64, whole) {
        return Ok(PushedDeltas::default());
    }
    let kept = kept(&previous, bytes.len() as u64, whole);
    Ok(PushedDeltas { made: Some(MadeDelta { bytes, from }), kept })
}

/// The database of a layer, at `path`.
fn fetched(repository: &ArtifactRepository, layer: &NamedBlob, path: &Path) -> Result<Database> {
    let mut blob = repository.blob(&layer.digest, layer.size)?;
    let mut file = File::create(path).with_context(|| path.display().to_string())?;
    let decoder = zstd::Decoder::new(&mut blob)?;
    io::copy(&mut decoder.take(artifact::MAX_BYTES), &mut file)?;
    // The digest is compared at the end.
    io::copy(&mut blob, &mut io::sink())?;
    Ok(Database::open_verified(path)?)
}

/// Writes to `out` what a delta makes from a database; needs a file next to it.
pub(super) fn apply(old: &Database, mut delta: &mut dyn Read, out: &mut File) -> Result<()> {
    file_delta::apply(old, &mut delta, out, folder_of(old.path()))?;
    io::copy(&mut delta, &mut io::sink())?;
    Ok(())
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidewaiter_core::report::DatabaseInfo;

    fn checksum(number: u8) -> Digest {
        Digest::from_sha256([number; 32])
    }

    /// An artifact of a file with 100 bytes and checksum 9; its deltas by (from, to, bytes).
    fn artifact(deltas: &[(u8, u8, u64)]) -> DatabaseArtifact {
        let delta = |(from, to, size): &(u8, u8, u64)| DeltaLayer {
            blob: NamedBlob { digest: checksum(0), size: *size },
            from: checksum(*from),
            to: checksum(*to),
        };
        DatabaseArtifact {
            layer: NamedBlob { digest: checksum(0), size: 100 },
            info: DatabaseInfo::default(),
            checksum: Some(checksum(9)),
            deltas: deltas.iter().map(delta).collect(),
        }
    }

    fn sizes<'a>(deltas: impl IntoIterator<Item = &'a DeltaLayer>) -> Vec<u64> {
        deltas.into_iter().map(|delta| delta.blob.size).collect()
    }

    #[test]
    fn a_route_leads_to_the_file_and_is_smaller() {
        let check = |deltas: &[(u8, u8, u64)], expected: Option<&[u64]>| {
            let artifact = artifact(deltas);
            let found = route(&artifact, &checksum(1));
            assert_eq!(found.map(sizes).as_deref(), expected, "{deltas:?}");
        };
        check(&[], None);
        check(&[(1, 9, 20)], Some(&[20]));
        check(&[(1, 9, 100)], None);
        check(&[(8, 9, 20), (7, 8, 30), (1, 7, 40)], Some(&[40, 30, 20]));
        check(&[(8, 9, 20), (7, 8, 30), (1, 7, 50)], None);
        check(&[(8, 9, 20), (1, 7, 40)], None);
        check(&[(2, 9, 20)], None);
        check(&[(1, 2, 0), (2, 1, 0)], None);
    }

    #[test]
    fn a_push_keeps_the_deltas_that_led_to_the_last_file() {
        let check = |deltas: &[(u8, u8, u64)], first: u64, expected: &[u64]| {
            assert_eq!(sizes(&kept(&artifact(deltas), first, 100)), expected, "{deltas:?} {first}");
        };
        check(&[], 10, &[]);
        check(&[(8, 9, 20), (7, 8, 10), (6, 7, 10)], 10, &[20, 10, 10]);
        check(&[(8, 9, 20), (7, 8, 10), (6, 7, 10)], 15, &[20, 10]);
        check(&[(8, 9, 20), (7, 8, 10)], 40, &[]);
        check(&[(5, 8, 1)], 10, &[]);
        check(&[(9, 9, 0)], 0, &[0; MOST - 1]);
    }
}
