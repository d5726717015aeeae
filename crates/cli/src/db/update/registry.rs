//! A database of a registry: whole, or made from the current one by deltas (ADR 0014).

use super::super::artifact::{self, DatabaseArtifact, DeltaLayer};
use super::super::deltas;
use super::super::part::TransferFile;
use super::in_place::{DatabaseInPlace, OfferedDatabase};
use super::{DatabaseUpdate, Updater};
use crate::exit::{self, UsageError};
use crate::progress::ByteBar;
use anyhow::{Context, Result};
use std::fs::File;
use tidewaiter_core::report::DatabaseInfo;
use tidewaiter_db::Database;
use tidewaiter_scan::source::registry::artifact::ArtifactRepository;

/// Takes the database that an address `oci://…` names.
pub(super) fn update(updater: &Updater<'_>, address: &str) -> Result<DatabaseUpdate> {
    let reference = artifact::reference(address).map_err(UsageError)?;
    let repository = ArtifactRepository::new(&updater.registry.config(&reference)?, &reference)?;
    let (bytes, digest) = repository.manifest()?;
    // Before anything in it is believed.
    updater.signer.verify_artifact(&repository, &bytes, &digest).with_context(|| address.to_owned())?;
    let artifact = artifact::parse(&bytes).with_context(|| address.to_owned())?;
    let in_place = &updater.in_place;
    in_place.check_age(address, &artifact.info)?;
    if in_place.is_current(&artifact.info) {
        return Ok(DatabaseUpdate::Current(artifact.info));
    }
    let offer = OfferedDatabase { source: address, promised: Some(&artifact) };
    if let Some(chain) = DeltaChain::find(in_place, &artifact, &repository) {
        match chain.patch(in_place, offer) {
            Ok(info) => return Ok(DatabaseUpdate::Patched(info, chain.bytes())),
            Err(error) => {
                exit::warn(&format!("the delta is not used: {error:#}; downloading the whole database"));
            }
        }
    }
    let bar = ByteBar::new(Some(artifact.layer.size));
    let blob = repository.blob(&artifact.layer.digest, artifact.layer.size)?;
    let taken = in_place.decompress(offer, &mut bar.read(blob));
    bar.clear();
    Ok(DatabaseUpdate::Taken(taken?))
}

/// The deltas that lead from the current database to an artifact's, in order.
struct DeltaChain<'a> {
    repository: &'a ArtifactRepository,
    old: &'a Database,
    steps: Vec<&'a DeltaLayer>,
}

impl<'a> DeltaChain<'a> {
    fn find(
        in_place: &'a DatabaseInPlace,
        artifact: &'a DatabaseArtifact,
        repository: &'a ArtifactRepository,
    ) -> Option<Self> {
        let old = in_place.current.as_ref()?;
        Some(DeltaChain { repository, old, steps: deltas::route(artifact, &old.checksum())? })
    }

    fn bytes(&self) -> u64 {
        self.steps.iter().map(|step| step.blob.size).sum()
    }

    /// Applies deltas one after the other: the last one makes the new database.
    fn patch(&self, in_place: &DatabaseInPlace, offer: OfferedDatabase<'_>) -> Result<DatabaseInfo> {
        let bar = ByteBar::new(Some(self.bytes()));
        let patched = self.apply_all(in_place, offer, &bar);
        bar.clear();
        patched
    }

    fn apply_all(&self, in_place: &DatabaseInPlace, offer: OfferedDatabase<'_>, bar: &ByteBar) -> Result<DatabaseInfo> {
        let (last, steps) = self.steps.split_last().context("there is none")?;
        // Each needs the file of the one before, which is deleted as soon as the next one is there.
        let mut before: Option<(TransferFile, Database)> = None;
        for (number, step) in steps.iter().enumerate() {
            let part = TransferFile::next_to(&in_place.path, &format!("delta-{number}"));
            let mut file = File::create(&part.0).with_context(|| part.0.display().to_string())?;
            self.apply(before.as_ref().map(|(_, database)| database), step, &mut file, bar)?;
            let database = Database::open(&part.0)?;
            before = Some((part, database));
        }
        let before = before.as_ref().map(|(_, database)| database);
        in_place.replace(offer, |file| {
            self.apply(before, last, file, bar)?;
            Ok(file.sync_all()?)
        })
    }

    /// Writes to `to` what a delta makes from `before`, or, the first one, from the current database.
    fn apply(&self, before: Option<&Database>, step: &DeltaLayer, to: &mut File, bar: &ByteBar) -> Result<()> {
        let blob = self.repository.blob(&step.blob.digest, step.blob.size)?;
        deltas::apply(before.unwrap_or(self.old), &mut bar.read(blob), to)
    }
}
