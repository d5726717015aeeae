//! `kubectl scan db push`: the database as an OCI artifact, compressed, with the delta from the last one, and signed if there is a
//! key.

use super::artifact::{self, DatabaseArtifact, DeltaLayer, NamedBlob};
use super::deltas::{self, MadeDelta, PushedDeltas};
use super::signature;
use crate::args::PushArgs;
use crate::exit::{self, Exit, UsageError};
use crate::progress::Spinner;
use crate::{dirs, keys, render};
use anyhow::{Context, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use indicatif::HumanBytes;
use std::fs::File;
use std::io::{self, Write};
use tidewaiter_attestation::{EMPTY_CONFIG, MANIFEST, SigningKey, image_config};
use tidewaiter_core::image::{Digest, Reference};
use tidewaiter_core::report::DatabaseInfo;
use tidewaiter_db::Database;
use tidewaiter_scan::source::registry::artifact::ArtifactRepository;
use tidewaiter_scan::source::registry::push::PushTarget;
use tidewaiter_scan::source::sha256;

/// The level of zstd: higher ones take minutes more for the last percents.
const LEVEL: i32 = 9;

/// Verifies, compresses and pushes the database; then signs it, so that the signature is never of something else.
pub(super) fn run(args: &PushArgs) -> Result<Exit> {
    let reference = artifact::reference(&args.target).map_err(UsageError)?;
    let tag = reference.tag().context(UsageError(format!("{}: give a tag to push to", args.target)))?.to_owned();
    let key = args.key.as_deref().map(keys::signing).transpose()?;
    let config = args.registry.config(&reference)?;
    let path = dirs::existing_database(args.db.as_deref())?;
    // A damaged file must not be handed on.
    let database = Database::open_verified(&path)?;
    // By it clients refuse an older one.
    let built = database.meta().built.with_context(|| {
        format!("{}: it does not say when it was built; build it with: kubectl scan db build", path.display())
    })?;
    let progress = Spinner::new();
    progress.say("compressing");
    let bytes = compressed(&path).with_context(|| path.display().to_string())?;
    let whole = bytes.len() as u64;
    progress.say(&format!("pushing {}", HumanBytes(whole)));
    let deltas = match args.no_delta {
        true => PushedDeltas::default(),
        false => {
            let repository = ArtifactRepository::new(&config, &reference)?;
            let made = deltas::of_push(&repository, &tag, &database, whole, &progress);
            made.unwrap_or_else(|error| without_delta(&args.target, &error, &progress))
        }
    };
    progress.say(&format!("pushing {}", HumanBytes(whole)));
    let target = PushTarget::new(&config, &reference)?;
    let push = DatabasePush { target, reference: &reference, tag: &tag, key };
    let pushed = push.publish(&database, &bytes, deltas).with_context(|| args.target.clone());
    progress.clear();
    let (digest, artifact) = pushed?;
    let (size, signed) = (HumanBytes(whole), if push.key.is_some() { "signed" } else { "not signed" });
    let (id, built, deltas) = (database.id(), render::built(Some(built)), listed(&artifact.deltas));
    writeln!(io::stdout(), "{}@{digest}: {id}, built {built}, {size}{deltas}, {signed}", args.target)?;
    Ok(Exit::Clean)
}

/// A delta saves bytes; without one the database is still published.
fn without_delta(target: &str, error: &anyhow::Error, progress: &Spinner) -> PushedDeltas {
    progress.clear();
    exit::warn(&format!("{target}: no delta from the last database: {error:#}"));
    PushedDeltas::default()
}

/// A push in progress: where to, and signed by whom.
struct DatabasePush<'a> {
    target: PushTarget,
    reference: &'a Reference,
    tag: &'a str,
    key: Option<SigningKey>,
}

impl DatabasePush<'_> {
    /// Pushes the compressed `bytes` of a database and its deltas, then the signature, then the tag.
    fn publish(&self, database: &Database, bytes: &[u8], deltas: PushedDeltas) -> Result<(Digest, DatabaseArtifact)> {
        let layer = push(&self.target, bytes)?;
        let (id, built) = (database.id().to_owned(), database.meta().built);
        let mut artifact = DatabaseArtifact {
            layer,
            info: DatabaseInfo { id, built, ..DatabaseInfo::default() },
            checksum: Some(database.checksum()),
            deltas: vec![],
        };
        if let Some(MadeDelta { bytes, from }) = deltas.made {
            artifact.deltas.push(DeltaLayer { blob: push(&self.target, &bytes)?, from, to: database.checksum() });
        }
        artifact.deltas.extend(deltas.kept);
        let config = self.target.blob(EMPTY_CONFIG)?;
        let manifest = artifact::manifest(&artifact, &config);
        let digest = sha256(&manifest);
        if let Some(key) = &self.key {
            let name = format!("{}/{}", self.reference.registry(), self.reference.repository());
            sign(&self.target, key, &name, &digest)?;
        }
        // The tag last: whoever finds it finds the signature too.
        self.target.manifest(self.tag, MANIFEST, &manifest)?;
        Ok((digest, artifact))
    }
}

/// `, deltas from 3 earlier ones (1.2 MiB)`; nothing if there are none.
fn listed(deltas: &[DeltaLayer]) -> String {
    let size = HumanBytes(deltas.iter().map(|delta| delta.blob.size).sum());
    match deltas.len() {
        0 => String::new(),
        1 => format!(", delta from the one before ({size})"),
        several => format!(", deltas from {several} earlier ones ({size})"),
    }
}

fn compressed(path: &std::path::Path) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let mut encoder = zstd::Encoder::new(Vec::new(), LEVEL)?;
    encoder.include_checksum(true)?;
    io::copy(&mut file, &mut encoder)?;
    encoder.finish()
}

fn push(target: &PushTarget, bytes: &[u8]) -> Result<NamedBlob> {
    Ok(NamedBlob { digest: target.blob(bytes)?, size: bytes.len() as u64 })
}

/// Pushes the signature of a manifest.
fn sign(target: &PushTarget, key: &SigningKey, repository: &str, manifest: &Digest) -> Result<()> {
    let payload = signature::payload(repository, manifest.as_str());
    let text = STANDARD.encode(key.sign(&payload)?);
    let payload = push(target, &payload)?;
    let config = push(target, &image_config(&[payload.digest.as_str()]))?;
    let signed = artifact::signature_manifest(&config, &payload, &text);
    target.manifest(&artifact::signature_tag(manifest), MANIFEST, &signed)?;
    Ok(())
}
