//! `kubectl scan db update`: takes a database that others built, from a registry, a web server or a file.
//!
//! ```text
//! source → manifest, signature → newer? → bytes, digest → decompressed next to the old one → verified, newer? → in place
//!                                       ↘ deltas, digests → applied to the old one       ↗
//! ```

mod download;
mod file;
mod in_place;
mod registry;
mod trust;

use super::age::AcceptedAge;
use super::artifact;
use crate::args::{RegistryArgs, UpdateArgs};
use crate::exit::{Exit, UsageError};
use crate::{dirs, render};
use anyhow::Result;
use in_place::DatabaseInPlace;
use indicatif::HumanBytes;
use std::fs;
use std::io::Write;
use tidewaiter_core::report::DatabaseInfo;
use trust::RequiredSigner;

/// What to do where no source is named.
const NO_SOURCE: &str = "no source to update from: name one, as oci://REGISTRY/REPOSITORY:TAG, or set TIDEWAITER_DB_SOURCE; \
                         to build a database from the feeds: kubectl scan db build";

/// What became of the database in place.
enum DatabaseUpdate {
    /// It is the one of the source.
    Current(DatabaseInfo),
    /// It was replaced.
    Taken(DatabaseInfo),
    /// It was replaced by what deltas of so many bytes made of it.
    Patched(DatabaseInfo, u64),
}

/// An update in progress: what is asked of the database.
struct Updater<'a> {
    registry: &'a RegistryArgs,
    in_place: DatabaseInPlace,
    signer: RequiredSigner,
}

/// Updates the database, and writes to `out` which it is.
pub(super) fn run(args: &UpdateArgs, out: &mut dyn Write) -> Result<Exit> {
    let source = dirs::database_source(args.source.as_deref()).ok_or_else(|| UsageError(NO_SOURCE.to_owned()))?;
    let signer = RequiredSigner::of(args)?;
    let in_place = DatabaseInPlace::open(dirs::database(args.db.as_deref())?, AcceptedAge::of(args.allow_older))?;
    let updater = Updater { registry: &args.registry, in_place, signer };
    let update = match &source {
        oci if oci.starts_with(artifact::SCHEME) => registry::update(&updater, oci),
        url if url.starts_with("https://") || url.starts_with("http://") => file::update_from_web(&updater, url),
        other if other.contains("://") => Err(UsageError(format!(
            "{other}: not a source; name one as oci://REGISTRY/REPOSITORY:TAG, https://… or a file"
        ))
        .into()),
        file => file::update_from_file(&updater, file),
    };
    let (info, what) = match update? {
        DatabaseUpdate::Current(info) => (info, "already current".to_owned()),
        DatabaseUpdate::Taken(info) => (info, "updated".to_owned()),
        DatabaseUpdate::Patched(info, bytes) => (info, format!("updated by a delta of {}", HumanBytes(bytes))),
    };
    let path = &updater.in_place.path;
    let size = HumanBytes(fs::metadata(path).map_or(0, |meta| meta.len()));
    let signed = match updater.signer {
        RequiredSigner::Anyone => "signature not verified (no --key)",
        RequiredSigner::Key(_) | RequiredSigner::Keyless(_) => "signature verified",
    };
    let (path, built) = (path.display(), render::built(info.built));
    writeln!(out, "{path}: {what}, {}, built {built}, {size}, {signed}", info.id)?;
    Ok(Exit::Clean)
}
