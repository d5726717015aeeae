//! The database in place, and its replacement: bytes are written next to it, verified, and only then renamed over it.

use super::super::age::AcceptedAge;
use super::super::artifact::{DatabaseArtifact, MAX_BYTES};
use anyhow::{Context, Result, anyhow, bail};
use jiff::Timestamp;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use tidewaiter_core::report::DatabaseInfo;
use tidewaiter_db::{Database, DatabaseError};
use tidewaiter_scan::source::SourceError;

/// The database to replace, and which ones may replace it.
pub(super) struct DatabaseInPlace {
    pub(super) path: PathBuf,
    /// What is there, if it can be opened.
    pub(super) current: Option<Database>,
    accepted: AcceptedAge,
}

/// The database that a source offers.
#[derive(Clone, Copy)]
pub(super) struct OfferedDatabase<'a> {
    /// Where it comes from, as messages name it.
    pub(super) source: &'a str,
    /// What its manifest says of it, which the signature covers; `None` if it has no manifest.
    pub(super) promised: Option<&'a DatabaseArtifact>,
}

impl DatabaseInPlace {
    pub(super) fn open(path: PathBuf, accepted: AcceptedAge) -> Result<Self> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        }
        // One that cannot be read is replaced whatever its age.
        let current = Database::open(&path).ok();
        Ok(DatabaseInPlace { path, current, accepted })
    }

    pub(super) fn is_current(&self, found: &DatabaseInfo) -> bool {
        // The build time too: the same facts, seen later, are younger. And all bytes: a damaged one is replaced.
        self.current.as_ref().is_some_and(|current| current.info().is_build_of(found) && current.verify().is_ok())
    }

    pub(super) fn check_age(&self, source: &str, found: &DatabaseInfo) -> Result<()> {
        let current = self.current.as_ref().map(Database::info);
        self.accepted.check(source, found, current.as_ref(), Timestamp::now())
    }

    /// As [`DatabaseInPlace::copy`], of compressed bytes.
    pub(super) fn decompress(&self, offer: OfferedDatabase<'_>, mut compressed: &mut dyn Read) -> Result<DatabaseInfo> {
        let mut decoder = zstd::Decoder::new(&mut compressed).with_context(|| offer.source.to_owned())?;
        self.copy(offer, &mut decoder)
    }

    /// Replaces the database by these bytes, once all of them are there and verified.
    pub(super) fn copy(&self, offer: OfferedDatabase<'_>, bytes: &mut dyn Read) -> Result<DatabaseInfo> {
        self.replace(offer, |file| write_limited(offer.source, bytes, file))
    }

    /// Replaces the database by what `write` writes, once it is verified.
    pub(super) fn replace(
        &self,
        offer: OfferedDatabase<'_>,
        write: impl FnOnce(&mut File) -> Result<()>,
    ) -> Result<DatabaseInfo> {
        let mut taken = None;
        tidewaiter_io::replace_if(&self.path, write, |new| {
            taken = Some(self.verified(offer, new)?);
            Ok(())
        })?;
        taken.context("the database was not opened")
    }

    /// Verifies that the file is the database that was offered, and may replace the current one.
    fn verified(&self, offer: OfferedDatabase<'_>, new: &Path) -> Result<DatabaseInfo> {
        let found = Database::open_verified(new).map_err(|e| unsound(offer.source, e))?;
        if let Some(promised) = offer.promised {
            check_promised(offer.source, promised, &found)?;
        }
        self.check_age(offer.source, &found.info())?;
        Ok(found.info())
    }
}

fn write_limited(source: &str, bytes: &mut dyn Read, file: &mut File) -> Result<()> {
    let mut limited = bytes.take(MAX_BYTES + 1);
    let copied = io::copy(&mut limited, file).map_err(|e| from_io(source, &e))?;
    if copied > MAX_BYTES {
        bail!("{source}: larger than the limit of {MAX_BYTES} bytes; check where it comes from");
    }
    // Whatever follows (nothing, in a sound file) is part of what the digest is of.
    io::copy(bytes, &mut io::sink()).map_err(|e| from_io(source, &e))?;
    Ok(file.sync_all()?)
}

/// Compares a database with what its manifest says, which the signature covers.
fn check_promised(source: &str, artifact: &DatabaseArtifact, found: &Database) -> Result<()> {
    let (info, checksum) = (found.info(), found.checksum());
    if !info.is_build_of(&artifact.info) {
        bail!("{source}: its manifest says {}, its database {}; push it again", artifact.info.id, info.id);
    }
    match &artifact.checksum {
        Some(said) if *said != checksum => {
            bail!("{source}: its manifest says checksum {said}, its database has {checksum}; push it again")
        }
        _ => Ok(()),
    }
}

/// The error of a file that is not a database, by the name of where it is from.
pub(super) fn unsound(source: &str, error: DatabaseError) -> anyhow::Error {
    match error {
        DatabaseError::Corrupt { what, .. } => {
            anyhow!("{source}: not a sound database ({what}); have it published again, or use another source")
        }
        DatabaseError::NewerFormat { found, supported, .. } => {
            anyhow!("{source}: it has format {found}, this program reads format {supported}; update tidewaiter")
        }
        other => anyhow!("{source}: {other}"),
    }
}

/// The error of reading a source: what the registry's client says, as it says it.
fn from_io(source: &str, error: &io::Error) -> anyhow::Error {
    match SourceError::from_io(error) {
        Some(said) => said.clone().into(),
        None => anyhow!("{source}: {error}; try again"),
    }
}
