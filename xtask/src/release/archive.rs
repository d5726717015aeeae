//! A gzip'd tar that depends on its entries alone.

use anyhow::Result;
use flate2::{Compression, GzBuilder};

/// A file of the archive.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) path: String,
    pub(super) kind: Kind,
    pub(super) bytes: Vec<u8>,
}

/// What a file is for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    /// It is run.
    Program,
    /// It is read.
    Text,
}

/// The archive: POSIX tar without times and owners, in gzip without a time and a name (RFC 1952).
pub(super) fn gzip_of_tar<'e>(entries: impl IntoIterator<Item = &'e Entry>) -> Result<Vec<u8>> {
    let gzip = GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
    let mut archive = tar::Builder::new(gzip);
    for entry in entries {
        let mut header = tar::Header::new_ustar();
        header.set_mode(match entry.kind {
            Kind::Program => 0o755,
            Kind::Text => 0o644,
        });
        header.set_size(u64::try_from(entry.bytes.len())?);
        archive.append_data(&mut header, &entry.path, entry.bytes.as_slice())?;
    }
    Ok(archive.into_inner()?.finish()?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;
    use std::io::Read as _;

    #[test]
    fn the_same_entries_are_the_same_bytes() {
        let entries = || {
            vec![
                Entry { path: "a".into(), kind: Kind::Program, bytes: b"x".to_vec() },
                Entry { path: "d/b".into(), kind: Kind::Text, bytes: vec![] },
            ]
        };
        let archive = gzip_of_tar(&entries()).unwrap();
        assert_eq!(archive, gzip_of_tar(&entries()).unwrap());
        let mut read = tar::Archive::new(flate2::read::GzDecoder::new(archive.as_slice()));
        let mut found = Vec::new();
        for entry in read.entries().unwrap() {
            let mut entry = entry.unwrap();
            let (path, mode) = (entry.path().unwrap().display().to_string(), entry.header().mode().unwrap());
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            found.push((path, mode, entry.header().mtime().unwrap(), text));
        }
        assert_eq!(found, [("a".to_owned(), 0o755, 0, "x".to_owned()), ("d/b".to_owned(), 0o644, 0, String::new())]);
    }
}
