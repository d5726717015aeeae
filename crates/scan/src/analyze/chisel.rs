//! chisel's manifest, zstd-compressed lines of JSON (canonical/chisel, `public/jsonwall` and `public/manifest`): slices
//! of Debian packages, of which there is no dpkg database.

use super::ParsedFile;
use super::analyzer::{Analyzer, all};
use super::listing::{Listing, text};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read};
use tidewaiter_core::package::{Package, PackageType};

pub(super) const ANALYZER: Analyzer = Analyzer {
    name: "chisel manifest",
    files: &["var/lib/chisel/manifest.wall"],
    types: &[PackageType::Deb],
    version: 1,
    accepts: all,
    read: parse,
};

/// Most bytes of a manifest: it has a line for every file of an image.
const MAX_BYTES: u64 = 512 << 20;
/// Most bytes of a line.
const MAX_LINE: u64 = 1 << 20;
/// The window of a decoder, 128 MiB: what `zstd --long` writes; more would let a manifest choose our memory.
const MAX_WINDOW_LOG: u32 = 27;

fn parse(path: &str, bytes: &[u8]) -> ParsedFile {
    let mut listing = Listing::new(path);
    if let Err(cause) = read(bytes, &mut listing) {
        listing.unreadable(&cause);
    }
    ParsedFile { database: Some(PackageType::Deb), ..listing.done() }
}

fn read(bytes: &[u8], listing: &mut Listing<'_>) -> Result<(), String> {
    let damaged = |e: std::io::Error| format!("it is damaged ({e})");
    let mut decoder = zstd::Decoder::with_buffer(bytes).map_err(damaged)?;
    decoder.window_log_max(MAX_WINDOW_LOG).map_err(damaged)?;
    let mut lines = BufReader::new(decoder.take(MAX_BYTES));
    let mut line = Vec::new();
    let mut first = true;
    loop {
        line.clear();
        lines.by_ref().take(MAX_LINE).read_until(b'\n', &mut line).map_err(damaged)?;
        if line.is_empty() {
            break;
        }
        if line.len() as u64 == MAX_LINE {
            return Err("a line of it is too long".to_owned());
        }
        let entry: Value = serde_json::from_slice(&line).map_err(|e| format!("a line of it is not JSON ({e})"))?;
        if first && entry.get("jsonwall").is_none() {
            return Err("it does not say that it is a manifest".to_owned());
        }
        first = false;
        if text(&entry, "kind") == "package" {
            let arch = text(&entry, "arch").to_owned();
            let found = Package::new(PackageType::Deb, text(&entry, "name"), text(&entry, "version"));
            listing.package(Package { arch, ..found });
        }
    }
    match lines.into_inner().limit() {
        0 => Err(format!("it has more than {MAX_BYTES} bytes")),
        _ if first => Err("it is empty".to_owned()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::listing::summary;
    use super::*;

    #[test]
    fn manifests_become_packages() {
        let check = |text: &str, expected: &str, gaps: usize| {
            let bytes = zstd::encode_all(text.as_bytes(), 0).unwrap();
            let parsed = parse(ANALYZER.files[0], &bytes);
            assert_eq!(summary(&parsed), (expected.to_owned(), gaps), "{text}");
            assert_eq!(parsed.database, Some(PackageType::Deb));
        };
        let head = r#"{"jsonwall":"1.0","schema":"1.0","count":3}"#;
        let package = r#"{"kind":"package","name":"libc6","version":"2.39-0ubuntu8","sha256":"0","arch":"amd64"}"#;
        let path = r#"{"kind":"path","path":"/bin/","mode":"0755","slices":["a_b"]}"#;
        check(&format!("{head}\n{package}\n{path}\n"), "libc6 2.39-0ubuntu8", 0);
        check(&format!("{head}\n{path}\n"), "", 0);
        check(&format!("{package}\n"), "", 1);
        check(&format!("{head}\n{package}\n{{\n"), "libc6 2.39-0ubuntu8", 1);
        check("", "", 1);
        check(&format!("{head}\n\"{}\"\n", "x".repeat(2 << 20)), "", 1);
        let whole = zstd::encode_all(format!("{head}\n{package}\n").as_bytes(), 0).unwrap();
        assert_eq!(parse(ANALYZER.files[0], &whole[..whole.len() - 4]).gaps.len(), 1, "cut");
        assert_eq!(parse(ANALYZER.files[0], b"plain").gaps.len(), 1);
    }
}
