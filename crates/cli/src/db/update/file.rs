//! A database that is a file, here or on a web server, compressed or not.

use super::super::part::TransferFile;
use super::download;
use super::in_place::{self, OfferedDatabase};
use super::{DatabaseUpdate, Updater};
use crate::exit::UsageError;
use anyhow::{Context, Result};
use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader};
use std::path::Path;
use tidewaiter_db::Database;
use tidewaiter_http::{Client, Settings};

/// The first bytes of what zstd compressed (RFC 8878 §3.1.1).
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Downloads a database and its signature, and takes it.
pub(super) fn update_from_web(updater: &Updater<'_>, url: &str) -> Result<DatabaseUpdate> {
    let settings = Settings { extra_roots: updater.registry.ca_pem()?, ..Settings::default() };
    let client = Client::new(&settings)?;
    let part = TransferFile::next_to(&updater.in_place.path, "download");
    download::to_file(&client, url, &part.0)?;
    let signed = updater.signer.suffix().map(|(suffix, _)| download::text(&client, &format!("{url}.{suffix}")));
    take(updater, url, &part.0, signed.transpose()?)
}

/// Takes the database in a file, whose signature is next to it.
pub(super) fn update_from_file(updater: &Updater<'_>, name: &str) -> Result<DatabaseUpdate> {
    let signed = updater.signer.suffix().map(|(suffix, command)| read_signature(name, suffix, command));
    take(updater, name, Path::new(name), signed.transpose()?)
}

fn read_signature(name: &str, suffix: &str, command: &str) -> Result<String> {
    let signature = format!("{name}.{suffix}");
    let advice = format!("{signature}; the file must be signed, as by: {command} … {name}");
    fs::read_to_string(&signature).context(advice)
}

fn take(updater: &Updater<'_>, name: &str, path: &Path, signed: Option<String>) -> Result<DatabaseUpdate> {
    let io = |e: io::Error| UsageError(format!("{}: {e}", path.display()));
    if let Some(signed) = signed {
        updater.signer.verify_file(name, path, &signed)?;
    }
    let in_place = &updater.in_place;
    let mut file = BufReader::new(File::open(path).map_err(io)?);
    let is_compressed = file.fill_buf().map_err(io)?.starts_with(&ZSTD);
    if !is_compressed {
        let info = Database::open(path).map_err(|e| in_place::unsound(name, e))?.info();
        in_place.check_age(name, &info)?;
        if in_place.is_current(&info) {
            return Ok(DatabaseUpdate::Current(info));
        }
    }
    let before = in_place.current.as_ref().map(Database::info);
    let offer = OfferedDatabase { source: name, promised: None };
    let taken = if is_compressed { in_place.decompress(offer, &mut file)? } else { in_place.copy(offer, &mut file)? };
    Ok(if before.is_some_and(|before| before.is_build_of(&taken)) {
        DatabaseUpdate::Current(taken)
    } else {
        DatabaseUpdate::Taken(taken)
    })
}
