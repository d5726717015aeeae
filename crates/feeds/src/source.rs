//! The documents of a feed, in a directory, a file, a zip or a compressed tar.

mod compression;
pub mod latest_archive;
pub mod pages;
pub mod rpm_repository;
pub mod url;

use compression::Compression;
use std::fmt::Display;
use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::Path;
use tidewaiter_archive::tar::{HEADER_BYTES, TarEntryKind, TarReader};
use tidewaiter_archive::zip::ZipFile;

/// Most bytes of a document in a zip, which is read whole.
const ZIPPED_BYTES: u64 = 1 << 30;

/// Most bytes of the directory of a zip, which is read whole: room for two million entries, ten times as many as OSV's
/// archive of every ecosystem has.
const DIRECTORY_BYTES: u64 = 256 << 20;
/// Bytes read at once from an archive.
const BUFFER: usize = 64 << 10;

/// Takes the name and content of a document.
pub type Each<'a> = &'a mut dyn FnMut(&str, &mut dyn Read);

/// Calls `each` with the name and content of every document below or in `path`, in a stable order: that of names in a
/// directory, of the entries in an archive. What is no regular file is skipped.
///
/// # Errors
/// When the path or something in it cannot be read, or a document exceeds `max` bytes. The message names the archive and the
/// document in it.
pub fn documents(path: &Path, max: u64, each: Each<'_>) -> io::Result<()> {
    if fs::metadata(path)?.is_dir() {
        return directory(path, max, each);
    }
    let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
    let file = BufReader::with_capacity(BUFFER, File::open(path)?);
    if let Some(archive) = Archive::named(name) {
        return archive.documents(file, name, max, each);
    }
    match Compression::named(name) {
        Some((inner, compression)) => {
            let content = compression.content(file).map_err(|error| unreadable(name, &error))?;
            document(inner, name, max, content, each)
        }
        None => document(name, name, max, file, each),
    }
}

fn directory(path: &Path, max: u64, each: Each<'_>) -> io::Result<()> {
    let mut entries = fs::read_dir(path)?.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let (path, kind) = (entry.path(), entry.file_type()?);
        if kind.is_dir() {
            directory(&path, max, each)?;
        } else if kind.is_file() {
            let name = path.to_string_lossy().into_owned();
            document(&name, &name, max, File::open(&path)?, each)?;
        }
    }
    Ok(())
}

/// Gives one document to `each`. A reader of a format cannot tell a document that cannot be read from one that is malformed,
/// so failures of the stream are remembered here. `place`: its name for messages.
fn document(name: &str, place: &str, max: u64, content: impl Read, each: Each<'_>) -> io::Result<()> {
    let mut content = Content { inner: content, left: max, failed: None };
    each(name, &mut content);
    match content.failed {
        Some(Failure::Stream(error)) => Err(unreadable(place, &error)),
        Some(Failure::TooLarge) => Err(too_large(place, max)),
        None => Ok(()),
    }
}

/// The content of a document.
struct Content<R> {
    inner: R,
    /// Bytes that it may still have.
    left: u64,
    failed: Option<Failure>,
}

/// Why a content was not read to its end.
enum Failure {
    Stream(String),
    TooLarge,
}

impl<R: Read> Read for Content<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = match self.inner.read(buffer) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                self.failed = Some(Failure::Stream(error.to_string()));
                return Err(error);
            }
            other => other?,
        };
        match self.left.checked_sub(read as u64) {
            Some(left) => self.left = left,
            None => {
                self.failed = Some(Failure::TooLarge);
                return Err(io::Error::other("it is too large"));
            }
        }
        Ok(read)
    }
}

/// A form of archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Archive {
    Zip,
    Tar(Option<Compression>),
}

impl Archive {
    /// By the name of its file.
    fn named(name: &str) -> Option<Self> {
        if name.ends_with(".zip") {
            return Some(Archive::Zip);
        }
        if name.ends_with(".tgz") {
            return Some(Archive::Tar(Some(Compression::Gzip)));
        }
        let (inner, compression) = match Compression::named(name) {
            Some((inner, compression)) => (inner, Some(compression)),
            None => (name, None),
        };
        inner.ends_with(".tar").then_some(Archive::Tar(compression))
    }

    /// Reads the documents of the archive `name`.
    fn documents(self, file: BufReader<File>, name: &str, max: u64, each: Each<'_>) -> io::Result<()> {
        match self {
            Archive::Zip => zip(file, name, max, each),
            Archive::Tar(None) => tar(file, name, max, each),
            Archive::Tar(Some(compression)) => {
                let content = compression.content(file).map_err(|error| unreadable(name, &error))?;
                tar(content, name, max, each)
            }
        }
    }
}

fn zip(file: BufReader<File>, archive: &str, max: u64, each: Each<'_>) -> io::Result<()> {
    let max = max.min(ZIPPED_BYTES);
    let failed = |error: io::Error| unreadable(archive, &error);
    let mut zip = ZipFile::open(file).map_err(failed)?.ok_or_else(|| failed(io::Error::other("not a zip archive")))?;
    let directory =
        zip.directory(DIRECTORY_BYTES).map_err(|error| unreadable(&format!("the directory of {archive}"), &error))?;
    for entry in directory.entries() {
        let entry = entry.map_err(|error| failed(error.into()))?;
        if entry.is_file() {
            let name = String::from_utf8_lossy(entry.name);
            if entry.size > max {
                return Err(too_large(&inside(&name, archive), max));
            }
            let content = zip.content(&entry, max).map_err(|error| unreadable(&inside(&name, archive), &error))?;
            document(&name, &inside(&name, archive), max, content.as_slice(), each)?;
        }
    }
    Ok(())
}

fn tar(reader: impl Read, archive: &str, max: u64, each: Each<'_>) -> io::Result<()> {
    let mut tar = TarReader::new(BufReader::with_capacity(BUFFER, reader), HEADER_BYTES);
    while let Some(entry) = tar.next_entry().map_err(|error| unreadable(archive, &error))? {
        if entry.kind == TarEntryKind::File {
            document(&entry.path, &inside(&entry.path, archive), max, &mut tar, each)?;
        }
    }
    Ok(())
}

/// A document's name for a message.
fn inside(document: &str, archive: &str) -> String {
    format!("{document} in {archive}")
}

fn unreadable(name: &str, cause: &dyn Display) -> io::Error {
    io::Error::other(format!("cannot read {name}: {cause}"))
}

fn too_large(name: &str, max: u64) -> io::Error {
    io::Error::other(format!("{name} exceeds {max} bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Cursor, Write as _};
    use tidewaiter_testkit::upstream::{bzip2, gzip, xz};

    /// "name content" of each document of a file with this name, then the error.
    fn read(name: &str, bytes: &[u8]) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        fs::write(&path, bytes).unwrap();
        let mut out = Vec::new();
        let result = documents(&path, 64 << 10, &mut |name, content| {
            let mut text = String::new();
            if content.read_to_string(&mut text).is_ok() {
                out.push(format!("{name} {text}"));
            }
        });
        out.extend(result.err().map(|error| error.to_string()));
        out
    }

    fn check(name: &str, bytes: &[u8], expected: &[&str]) {
        assert_eq!(read(name, bytes), expected, "{name}");
    }

    /// Files, a directory and a link, `b.json` first; each file's content is compressed in its own way.
    fn zip() -> Vec<u8> {
        use zip::CompressionMethod::{Deflated, Stored};
        let options = zip::write::SimpleFileOptions::default();
        let mut out = zip::ZipWriter::new(Cursor::new(Vec::new()));
        let (deflated, stored) = (options.compression_method(Deflated), options.compression_method(Stored));
        out.add_directory("d", options).unwrap();
        for (name, options) in [("b.json", deflated), ("d/a.json", stored), ("c.json", deflated.large_file(true))] {
            out.start_file(name, options).unwrap();
            out.write_all(format!("{{{name}}}").as_bytes()).unwrap();
        }
        out.add_symlink("link.json", "b.json", options).unwrap();
        out.finish().unwrap().into_inner()
    }

    /// Files with every way to write a name, a directory and a link.
    fn tar(long: &str) -> Vec<u8> {
        let mut out = tar::Builder::new(Vec::new());
        let header = |kind: tar::EntryType, size: u64| {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(kind);
            header.set_size(size);
            header
        };
        let (file, link) = (|| header(tar::EntryType::Regular, 2), tar::EntryType::Symlink);
        out.append_data(&mut header(tar::EntryType::Directory, 0), "d/", &[][..]).unwrap();
        out.append_data(&mut file(), "b.json", &b"{}"[..]).unwrap();
        out.append_data(&mut file(), long, &b"[]"[..]).unwrap();
        out.append_link(&mut header(link, 0), "link.json", "b.json").unwrap();
        out.append_pax_extensions([("path", "d/pax.json".as_bytes())]).unwrap();
        out.append_data(&mut file(), "a.json", &b"{}"[..]).unwrap();
        out.into_inner().unwrap()
    }

    #[test]
    fn a_compressed_document_is_read_by_its_name() {
        check("a.json", b"{}", &["a.json {}"]);
        check("a.json.gz", &gzip(b"{}"), &["a.json {}"]);
        // Mirrors append streams.
        check("a.json.gz", &[gzip(b"{}"), gzip(b"{}")].concat(), &["a.json {}{}"]);
        check("a.xml.bz2", &bzip2(b"{}"), &["a.xml {}"]);
        check("a.xml.xz", &xz(b"{}"), &["a.xml {}"]);
        check("a.xml.xz", &[xz(b"{}"), xz(b"{}")].concat(), &["a.xml {}{}"]);
        check("a.xml.zst", &zstd(b"{}"), &["a.xml {}"]);
        check("a.xml.zst", &[zstd(b"{}"), zstd(b"{}")].concat(), &["a.xml {}{}"]);
        check("a.json.gz", &gzip(&[b'a'; 70_000]), &["a.json.gz exceeds 65536 bytes"]);
        check("a.json.gz", b"not compressed", &["cannot read a.json.gz: invalid gzip header"]);
    }

    #[test]
    fn archives_are_read_in_the_order_of_their_entries() {
        check("a.zip", &zip(), &["b.json {b.json}", "d/a.json {d/a.json}", "c.json {c.json}"]);
        let long = format!("{}/x.json", "d".repeat(200));
        let (tar, second) = (tar(&long), format!("{long} []"));
        let documents = ["b.json {}", &second, "d/pax.json {}"];
        check("a.tar", &tar, &documents);
        check("a.tar.gz", &gzip(&tar), &documents);
        check("a.tgz", &gzip(&tar), &documents);
        check("a.tar.bz2", &bzip2(&tar), &documents);
        check("a.tar.xz", &xz(&tar), &documents);
        check("a.tar.zst", &zstd(&tar), &documents);
    }

    #[test]
    fn a_file_that_is_cut_short_is_an_error() {
        let content = vec![b'a'; 5000];
        let check = |name: &str, bytes: Vec<u8>| {
            for left in [bytes.len() / 2, bytes.len() - 1] {
                let said = read(name, &bytes[..left]);
                let named = said.last().is_some_and(|error| error.starts_with(&format!("cannot read {name}: ")));
                assert!(named && said.len() == 1, "{name}, {left} bytes: {said:?}");
            }
        };
        check("a.json.gz", gzip(&content));
        check("a.json.bz2", bzip2(&content));
        check("a.json.xz", xz(&content));
        check("a.json.zst", zstd(&content));
    }

    /// The headers alone: the first block or frame asks for a window of 1.5 GiB, and of 2 GiB.
    #[test]
    fn a_file_does_not_decide_about_memory() {
        let check = |name: &str, bytes: &[u8], expected: &str| check(name, bytes, &[expected]);
        let mut big = xz(b"{}");
        // Block header (xz format, 3.1): size, flags, filter 0x21, its size 1, the dictionary's size; padding; CRC32.
        assert_eq!(big[12..16], [2, 0, 0x21, 1]);
        big[16] = 37;
        let sum = crc32(&big[12..20]);
        big[20..24].copy_from_slice(&sum.to_le_bytes());
        check("a.json.xz", &big, "cannot read a.json.xz: needed memory too big for mem_limit_kb");
        // Frame header (RFC 8878, 3.1.1.1): no single segment, no checksum; a window of 2^31 bytes.
        let frame = [0x28, 0xb5, 0x2f, 0xfd, 0, 21 << 3, 1, 0, 0];
        check("a.json.zst", &frame, "cannot read a.json.zst: Frame requires too much memory for decoding");
    }

    fn zstd(bytes: &[u8]) -> Vec<u8> {
        ::zstd::encode_all(bytes, 3).unwrap()
    }

    fn crc32(bytes: &[u8]) -> u32 {
        let mut sum = flate2::Crc::new();
        sum.update(bytes);
        sum.sum()
    }

    #[test]
    fn a_damaged_archive_is_named_with_its_document() {
        let zip = zip();
        let changed = |bytes: &[u8], at: usize, byte: u8| {
            let mut bytes = bytes.to_vec();
            bytes[at] = byte;
            bytes
        };
        let find = |bytes: &[u8], text: &[u8]| bytes.windows(text.len()).position(|window| window == text).unwrap();
        check("a.zip", b"<html>", &["cannot read a.zip: not a zip archive"]);
        check("a.zip", &zip[..zip.len() - 30], &["cannot read a.zip: its zip is corrupt: it has no directory"]);
        let stored = find(&zip, b"{d/a.json}");
        let first = "b.json {b.json}";
        let error = "cannot read d/a.json in a.zip: its zip is corrupt: an entry's checksum";
        check("a.zip", &changed(&zip, stored, b'x'), &[first, error]);
        // The directory's second entry after that of the folder; Zstandard.
        let in_directory = zip.windows(8).rposition(|window| window == b"d/a.json").unwrap() - 46;
        let error = "cannot read d/a.json in a.zip: \
            it is compressed by zip's method 93; only 0 (stored) and 8 (deflated) can be read";
        check("a.zip", &changed(&zip, in_directory + 10, 93), &[first, error]);
        let tar = tar("a.json");
        let at = find(&tar, b"a.json");
        check(
            "a.tar",
            &changed(&tar, at, b'x'),
            &["b.json {}", "cannot read a.tar: its tar is corrupt: a header's checksum"],
        );
        check("a.tar", &tar[..at + 513], &["b.json {}", "cannot read a.json in a.tar: its tar ends inside an entry"]);
        let gzip = gzip(&tar);
        let cut = read("a.tar.gz", &gzip[..gzip.len() / 2]);
        assert!(cut.last().is_some_and(|error| error.starts_with("cannot read ")), "{cut:?}");
        assert!(cut.last().is_some_and(|error| error.contains("a.tar.gz: ")), "{cut:?}");
    }
}
