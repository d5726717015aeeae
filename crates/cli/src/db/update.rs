//! `kubectl scan db update`: takes a database that others built, from a registry, a web server or a file.
//!
//! ```text
//! source → manifest, signature → newer? → bytes, digest → decompressed next to the old one → verified, newer? → in place
//!                                       ↘ deltas, digests → applied to the old one       ↗
//! ```

use super::age::AcceptedAge;
use super::artifact::{self, DatabaseArtifact, DeltaLayer};
#[cfg(feature = "sigstore")]
use super::bundle::KeylessVerifier;
use super::deltas;
#[cfg(not(feature = "sigstore"))]
use super::no_bundle::NoVerifier as KeylessVerifier;
use super::part::TransferFile;
use super::signature::{self, VerifyingKey};
use crate::args::{KeylessArgs, UpdateArgs};
use crate::exit::{self, Exit, UsageError};
use crate::progress::ByteBar;
use crate::{dirs, render};
use anyhow::{Context, Result, anyhow, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use indicatif::HumanBytes;
use jiff::Timestamp;
use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use tidewaiter_core::image::Digest;
use tidewaiter_core::report::DatabaseInfo;
use tidewaiter_db::{Database, DatabaseError};
use tidewaiter_http::{Client, RequestFailure, Settings};
use tidewaiter_scan::source::SourceError;
use tidewaiter_scan::source::registry::artifact::ArtifactRepository;

/// Most bytes of a database: five times those of all feeds today, and less than fills a disk unnoticed.
pub(super) const MAX_BYTES: u64 = 16 << 30;
/// Most bytes of a signature, its payload or a bundle.
const MAX_SIGNATURE: u64 = 64 << 10;
/// The first bytes of what zstd compressed (RFC 8878 §3.1.1).
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// Tries of one download.
const TRIES: u32 = 3;

/// What became of the database in place.
enum Update {
    /// It is the one of the source.
    Current(DatabaseInfo),
    /// It was replaced.
    Taken(DatabaseInfo),
    /// It was replaced by what deltas of so many bytes made of it.
    Patched(DatabaseInfo, u64),
}

/// An update in progress: what is asked of the database.
struct Updater<'a> {
    args: &'a UpdateArgs,
    /// The database to replace.
    path: PathBuf,
    /// What is in place.
    current: Option<Database>,
    trust: Trust,
}

/// Whose signature is required.
enum Trust {
    Anyone,
    Key(VerifyingKey),
    Keyless(Box<KeylessVerifier>),
}

impl Trust {
    fn of(args: &UpdateArgs) -> Result<Self> {
        let KeylessArgs { certificate_identity, certificate_oidc_issuer, trusted_root } = &args.keyless;
        match (&args.key, certificate_identity, certificate_oidc_issuer, trusted_root) {
            (Some(key), ..) => Ok(Trust::Key(VerifyingKey::read(key)?)),
            (None, Some(identity), Some(issuer), Some(root)) => {
                Ok(Trust::Keyless(Box::new(KeylessVerifier::read(identity, issuer, root)?)))
            }
            (None, None, None, None) => Ok(Trust::Anyone),
            // Of what is in the environment; clap compares the rest. Never less than what was asked.
            _ => {
                let all = "--certificate-identity, --certificate-oidc-issuer and --trusted-root";
                Err(UsageError(format!("{all} are needed together")).into())
            }
        }
    }

    /// What the name of a signature has after that of the signed file, and what makes it.
    fn suffix(&self) -> Option<(&'static str, &'static str)> {
        match self {
            Trust::Anyone => None,
            Trust::Key(_) => Some(("sig", "cosign sign-blob --key KEY")),
            Trust::Keyless(_) => Some(("sigstore.json", "cosign sign-blob --bundle")),
        }
    }
}

/// Updates the database, and writes to `out` which it is.
pub(super) fn run(args: &UpdateArgs, out: &mut dyn Write) -> Result<Exit> {
    let none = || {
        UsageError(
            "no source to update from: name one, as oci://REGISTRY/REPOSITORY:TAG, or set TIDEWAITER_DB_SOURCE; to build \
             a database from the feeds: kubectl scan db build"
                .to_owned(),
        )
    };
    let source = dirs::database_source(args.source.as_deref()).ok_or_else(none)?;
    let trust = Trust::of(args)?;
    let path = dirs::database(args.db.as_deref())?;
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    // One that cannot be read is replaced whatever its age.
    let current = Database::open(&path).ok();
    let updater = Updater { args, path, current, trust };
    let update = match &source {
        oci if oci.starts_with(artifact::SCHEME) => updater.registry_update(oci),
        url if url.starts_with("https://") || url.starts_with("http://") => updater.web_update(url),
        other if other.contains("://") => Err(UsageError(format!(
            "{other}: not a source; name one as oci://REGISTRY/REPOSITORY:TAG, https://… or a file"
        ))
        .into()),
        file => updater.file_update(file, Path::new(file)),
    };
    let (info, what) = match update? {
        Update::Current(info) => (info, "already current".to_owned()),
        Update::Taken(info) => (info, "updated".to_owned()),
        Update::Patched(info, bytes) => (info, format!("updated by a delta of {}", HumanBytes(bytes))),
    };
    let size = fs::metadata(&updater.path).map_or(0, |meta| meta.len());
    let signed = match updater.trust {
        Trust::Anyone => "signature not verified (no --key)",
        Trust::Key(_) | Trust::Keyless(_) => "signature verified",
    };
    let (path, built, size) = (updater.path.display(), render::built(info.built), HumanBytes(size));
    writeln!(out, "{path}: {what}, {}, built {built}, {size}, {signed}", info.id)?;
    Ok(Exit::Clean)
}

impl Updater<'_> {
    fn registry_update(&self, address: &str) -> Result<Update> {
        let reference = artifact::reference(address).map_err(UsageError)?;
        let repository = ArtifactRepository::new(&self.args.registry.config(&reference)?, &reference)?;
        let (bytes, digest) = repository.manifest()?;
        // Before anything in it is believed.
        self.verify_artifact(&repository, &bytes, &digest).with_context(|| address.to_owned())?;
        let artifact = artifact::parse(&bytes).with_context(|| address.to_owned())?;
        self.check_age(address, &artifact.info)?;
        if self.is_current(&artifact.info) {
            return Ok(Update::Current(artifact.info));
        }
        if let Some(old) = &self.current
            && let Some(steps) = deltas::route(&artifact, &old.checksum())
        {
            match self.patch(address, &repository, &artifact, old, &steps) {
                Ok(update) => return Ok(update),
                Err(error) => {
                    exit::warn(&format!("the delta is not used: {error:#}; downloading the whole database"));
                }
            }
        }
        let bar = ByteBar::new(Some(artifact.layer.size));
        let blob = repository.blob(&artifact.layer.digest, artifact.layer.size)?;
        let taken = self.take(address, &mut bar.read(blob), |found| is_promised(address, &artifact, found));
        bar.clear();
        Ok(Update::Taken(taken?))
    }

    /// Applies deltas one after the other: the last one makes the new database.
    fn patch(
        &self,
        address: &str,
        repository: &ArtifactRepository,
        artifact: &DatabaseArtifact,
        old: &Database,
        steps: &[&DeltaLayer],
    ) -> Result<Update> {
        let bytes = steps.iter().map(|step| step.blob.size).sum();
        let bar = ByteBar::new(Some(bytes));
        let patched = self.apply_all(address, repository, artifact, old, steps, &bar);
        bar.clear();
        Ok(Update::Patched(patched?, bytes))
    }

    fn apply_all(
        &self,
        address: &str,
        repository: &ArtifactRepository,
        artifact: &DatabaseArtifact,
        old: &Database,
        steps: &[&DeltaLayer],
        bar: &ByteBar,
    ) -> Result<DatabaseInfo> {
        let (last, steps) = steps.split_last().context("there is none")?;
        let apply = |from: &Database, step: &DeltaLayer, to: &mut File| -> Result<()> {
            deltas::apply(from, &mut bar.read(repository.blob(&step.blob.digest, step.blob.size)?), to)
        };
        // Each needs the file of the one before, which is deleted as soon as the next one is there.
        let mut before: Option<(TransferFile, Database)> = None;
        for (number, step) in steps.iter().enumerate() {
            let part = TransferFile::next_to(&self.path, &format!("delta-{number}"));
            let mut file = File::create(&part.0).with_context(|| part.0.display().to_string())?;
            apply(before.as_ref().map_or(old, |(_, database)| database), step, &mut file)?;
            let database = Database::open(&part.0)?;
            before = Some((part, database));
        }
        let write = |file: &mut File| {
            apply(before.as_ref().map_or(old, |(_, database)| database), last, file)?;
            Ok(file.sync_all()?)
        };
        self.replace(address, write, |found| is_promised(address, artifact, found))
    }

    /// Verifies that a manifest was signed, if it must be.
    fn verify_artifact(&self, repository: &ArtifactRepository, manifest: &[u8], digest: &Digest) -> Result<()> {
        match &self.trust {
            Trust::Anyone => Ok(()),
            Trust::Key(key) => verify_by_key(key, repository, digest),
            Trust::Keyless(keyless) => verify_keyless(keyless, repository, manifest, digest),
        }
    }

    fn web_update(&self, url: &str) -> Result<Update> {
        let settings = Settings { extra_roots: self.args.registry.ca_pem()?, ..Settings::default() };
        let client = Client::new(&settings)?;
        let part = TransferFile::next_to(&self.path, "download");
        download(&client, url, &part.0)?;
        let signed = self.trust.suffix().map(|(suffix, _)| small(&client, &format!("{url}.{suffix}"))).transpose()?;
        self.update_of_bytes(url, &part.0, signed)
    }

    fn file_update(&self, name: &str, path: &Path) -> Result<Update> {
        let read = |(suffix, command): (&str, &str)| {
            let signature = format!("{name}.{suffix}");
            let advice = format!("{signature}; the file must be signed, as by: {command} … {name}");
            fs::read_to_string(&signature).context(advice)
        };
        self.update_of_bytes(name, path, self.trust.suffix().map(read).transpose()?)
    }

    /// Verifies the signature of a file.
    fn verify_file(&self, name: &str, path: &Path, signed: &str) -> Result<()> {
        let io = |e: io::Error| UsageError(format!("{}: {e}", path.display()));
        match &self.trust {
            Trust::Anyone => Ok(()),
            Trust::Key(key) => {
                let signature = STANDARD.decode(signed.trim()).unwrap_or_default();
                let mut file = File::open(path).map_err(io)?;
                if key.verifies_file(&mut file, &signature).with_context(|| name.to_owned())? {
                    return Ok(());
                }
                bail!("{name}: its signature {name}.sig is not by this key; use the key of whoever published it");
            }
            Trust::Keyless(keyless) => {
                let file = File::open(path).map_err(io)?;
                keyless.verify(&mut BufReader::new(file), signed).with_context(|| format!("{name}.sigstore.json"))
            }
        }
    }

    /// Takes a file, compressed or not.
    fn update_of_bytes(&self, name: &str, path: &Path, signed: Option<String>) -> Result<Update> {
        let io = |e: io::Error| UsageError(format!("{}: {e}", path.display()));
        if let Some(signed) = signed {
            self.verify_file(name, path, &signed)?;
        }
        let mut file = BufReader::new(File::open(path).map_err(io)?);
        let is_compressed = file.fill_buf().map_err(io)?.starts_with(&ZSTD);
        if !is_compressed {
            let info = Database::open(path).map_err(|e| unsound(name, e))?.info();
            self.check_age(name, &info)?;
            if self.is_current(&info) {
                return Ok(Update::Current(info));
            }
        }
        let before = self.current.as_ref().map(Database::info);
        let accept = |_: &Database| Ok(());
        let taken =
            if is_compressed { self.take(name, &mut file, accept)? } else { self.place(name, &mut file, accept)? };
        Ok(if before.is_some_and(|before| before.is_build_of(&taken)) {
            Update::Current(taken)
        } else {
            Update::Taken(taken)
        })
    }

    fn is_current(&self, found: &DatabaseInfo) -> bool {
        // The build time too: the same facts, seen later, are younger. And all bytes: a damaged one is replaced.
        self.current.as_ref().is_some_and(|current| current.info().is_build_of(found) && current.verify().is_ok())
    }

    fn check_age(&self, source: &str, found: &DatabaseInfo) -> Result<()> {
        let current = self.current.as_ref().map(Database::info);
        AcceptedAge::of(self.args.allow_older).check(source, found, current.as_ref(), Timestamp::now())
    }

    /// As [`Updater::place`], of compressed bytes.
    fn take(
        &self,
        source: &str,
        compressed: &mut dyn Read,
        accept: impl FnOnce(&Database) -> Result<()>,
    ) -> Result<DatabaseInfo> {
        let mut compressed = compressed;
        let mut decoder = zstd::Decoder::new(&mut compressed).with_context(|| source.to_owned())?;
        self.place(source, &mut decoder, accept)
    }

    /// Replaces the database by these bytes, once all of them are there and verified.
    fn place(
        &self,
        source: &str,
        bytes: &mut dyn Read,
        accept: impl FnOnce(&Database) -> Result<()>,
    ) -> Result<DatabaseInfo> {
        let write = |file: &mut File| {
            let mut limited = bytes.take(MAX_BYTES + 1);
            let copied = io::copy(&mut limited, file).map_err(|e| from_io(source, &e))?;
            if copied > MAX_BYTES {
                bail!("{source}: larger than the limit of {MAX_BYTES} bytes; check where it comes from");
            }
            // Whatever follows (nothing, in a sound file) is part of what the digest is of.
            io::copy(bytes, &mut io::sink()).map_err(|e| from_io(source, &e))?;
            Ok(file.sync_all()?)
        };
        self.replace(source, write, accept)
    }

    /// Replaces the database by what `write` writes, once it is verified.
    fn replace(
        &self,
        source: &str,
        write: impl FnOnce(&mut File) -> Result<()>,
        accept: impl FnOnce(&Database) -> Result<()>,
    ) -> Result<DatabaseInfo> {
        let mut taken = None;
        let check = |new: &Path| {
            let found = Database::open_verified(new).map_err(|e| unsound(source, e))?;
            accept(&found)?;
            self.check_age(source, &found.info())?;
            taken = Some(found.info());
            Ok(())
        };
        tidewaiter_io::replace_if(&self.path, write, check)?;
        taken.context("the database was not opened")
    }
}

/// Compares the signatures of a manifest with a key.
fn verify_by_key(key: &VerifyingKey, repository: &ArtifactRepository, digest: &Digest) -> Result<()> {
    let advice =
        "use the key of whoever pushed it, or have it signed: kubectl scan db push --key, or cosign sign --key";
    let Some(found) = repository.tagged(&artifact::signature_tag(digest))? else {
        bail!("it is not signed; {advice}");
    };
    for (blob, text) in artifact::signatures(&found) {
        let payload = repository.small_blob(&blob.digest, blob.size, MAX_SIGNATURE)?;
        let Ok(signed) = STANDARD.decode(text.trim()) else { continue };
        if key.verifies(&payload, &signed) && signature::names(&payload, digest.as_str()) {
            return Ok(());
        }
    }
    bail!("no signature of it is by this key; {advice}")
}

/// Verifies the bundles that refer to a manifest: one of them must be sound, and by whom it must be.
fn verify_keyless(
    keyless: &KeylessVerifier,
    repository: &ArtifactRepository,
    manifest: &[u8],
    digest: &Digest,
) -> Result<()> {
    let mut refused = anyhow!("it has no Sigstore bundle; have it signed: cosign sign --new-bundle-format");
    for referrer in repository.referrers(digest, artifact::BUNDLE)? {
        let Some(blob) = artifact::bundle(&repository.manifest_of(&referrer)?) else { continue };
        let bundle = repository.small_blob(&blob.digest, blob.size, MAX_SIGNATURE)?;
        match keyless.verify(&mut &*manifest, &String::from_utf8_lossy(&bundle)) {
            Ok(()) => return Ok(()),
            Err(error) => refused = error,
        }
    }
    Err(refused)
}

/// Compares a database with what its manifest says, which the signature covers.
fn is_promised(source: &str, artifact: &DatabaseArtifact, found: &Database) -> Result<()> {
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
fn unsound(source: &str, error: DatabaseError) -> anyhow::Error {
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

fn download(client: &Client, url: &str, to: &Path) -> Result<()> {
    let mut left = TRIES;
    loop {
        left -= 1;
        match attempt(client, url, to) {
            Err(error) if left > 0 && error.is::<io::Error>() => {}
            other => return other.with_context(|| url.to_owned()),
        }
    }
}

fn attempt(client: &Client, url: &str, to: &Path) -> Result<()> {
    let response = answer(client, url)?;
    let length = response.headers().get("content-length").and_then(|v| v.to_str().ok()).and_then(|v| v.parse().ok());
    let bar = ByteBar::new(length);
    let mut file =
        File::create(to).map_err(|e| anyhow!("{}: {e}; make room, or name another file with --db", to.display()))?;
    let copied = io::copy(&mut bar.read(response.into_body().into_reader().take(MAX_BYTES)), &mut file);
    bar.clear();
    let copied = copied?;
    if length.is_some_and(|length: u64| length != copied) {
        return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
    }
    Ok(())
}

/// A small text.
fn small(client: &Client, url: &str) -> Result<String> {
    let response = answer(client, url).with_context(|| url.to_owned())?;
    let mut text = String::new();
    response.into_body().into_reader().take(MAX_SIGNATURE).read_to_string(&mut text).with_context(|| url.to_owned())?;
    Ok(text)
}

fn answer(client: &Client, url: &str) -> Result<tidewaiter_http::ureq::http::Response<tidewaiter_http::ureq::Body>> {
    let response = client.follow(url, &[]).map_err(|failure: RequestFailure| anyhow!("{failure}"))?;
    match response.status().as_u16() {
        200 => Ok(response),
        status => bail!("the server answers {status}; check the address"),
    }
}
