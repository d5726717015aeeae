//! The documents of a feed, in a directory, a file, a zip or a compressed tar.

pub mod rpm_repository;
pub mod url;

use std::fmt::Display;
use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::Path;
use tidewaiter_archive::tar::{HEADER_BYTES, TarEntryKind, TarReader};
use tidewaiter_archive::zip::ZipFile;

/// Most bytes of one document: it is read whole, so this bounds memory.
const DOCUMENT_BYTES: u64 = 1 << 30;

/// Most bytes of the directory of a zip, which is read whole: room for two million entries, ten times as many as OSV's
/// archive of every ecosystem has.
const DIRECTORY_BYTES: u64 = 256 << 20;
/// Bytes read at once from an archive.
const BUFFER: usize = 64 << 10;

/// Calls `each` with the name and bytes of every document below or in `path`, in a stable order: that of names in a
/// directory, of the entries in an archive. What is no regular file is skipped.
///
/// # Errors
/// When the path or something in it cannot be read, or a document exceeds 1 GiB. The message names the archive and the
/// document in it.
pub fn documents(path: &Path, each: &mut dyn FnMut(&str, &[u8])) -> io::Result<()> {
    if fs::metadata(path)?.is_dir() {
        return directory(path, each);
    }
    let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
    let file = BufReader::with_capacity(BUFFER, File::open(path)?);
    if let Some(archive) = Archive::named(name) {
        return archive.documents(file, name, each);
    }
    let (document, bytes) = match name {
        _ if name.ends_with(".bz2") => {
            (name.trim_end_matches(".bz2"), capped(bzip2::bufread::MultiBzDecoder::new(file), name)?)
        }
        _ if name.ends_with(".gz") => {
            (name.trim_end_matches(".gz"), capped(flate2::bufread::MultiGzDecoder::new(file), name)?)
        }
        _ => (name, capped(file, name)?),
    };
    each(document, &bytes);
    Ok(())
}

fn directory(path: &Path, each: &mut dyn FnMut(&str, &[u8])) -> io::Result<()> {
    let mut entries = fs::read_dir(path)?.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let (path, kind) = (entry.path(), entry.file_type()?);
        if kind.is_dir() {
            directory(&path, each)?;
        } else if kind.is_file() {
            let name = path.to_string_lossy().into_owned();
            each(&name, &capped(File::open(&path)?, &name)?);
        }
    }
    Ok(())
}

/// A form of archive.
#[derive(Clone, Copy)]
enum Archive {
    Zip,
    Tar,
    TarGz,
    TarBz2,
    TarZst,
}

impl Archive {
    /// By the name of its file.
    fn named(name: &str) -> Option<Self> {
        let forms = [
            (".zip", Archive::Zip),
            (".tar", Archive::Tar),
            (".tar.gz", Archive::TarGz),
            (".tgz", Archive::TarGz),
            (".tar.bz2", Archive::TarBz2),
            (".tar.zst", Archive::TarZst),
        ];
        forms.into_iter().find(|(suffix, _)| name.ends_with(suffix)).map(|(_, form)| form)
    }

    /// Reads the documents of the archive `name`.
    fn documents(self, file: BufReader<File>, name: &str, each: &mut dyn FnMut(&str, &[u8])) -> io::Result<()> {
        match self {
            Archive::Zip => zip(file, name, each),
            Archive::Tar => tar(file, name, each),
            Archive::TarGz => tar(flate2::bufread::MultiGzDecoder::new(file), name, each),
            Archive::TarBz2 => tar(bzip2::bufread::MultiBzDecoder::new(file), name, each),
            Archive::TarZst => {
                let mut decoder = zstd::Decoder::with_buffer(file)?;
                // Archives made with `zstd --long` need a larger window than the default allows.
                decoder.window_log_max(31)?;
                tar(decoder, name, each)
            }
        }
    }
}

fn zip(file: BufReader<File>, archive: &str, each: &mut dyn FnMut(&str, &[u8])) -> io::Result<()> {
    let failed = |error: io::Error| unreadable(archive, &error);
    let mut zip = ZipFile::open(file).map_err(failed)?.ok_or_else(|| failed(io::Error::other("not a zip archive")))?;
    let directory =
        zip.directory(DIRECTORY_BYTES).map_err(|error| unreadable(&format!("the directory of {archive}"), &error))?;
    for entry in directory.entries() {
        let entry = entry.map_err(|error| failed(error.into()))?;
        if entry.is_file() {
            let name = String::from_utf8_lossy(entry.name);
            if entry.size > DOCUMENT_BYTES {
                return Err(too_large(&inside(&name, archive)));
            }
            let content = zip.content(&entry, DOCUMENT_BYTES);
            each(&name, &content.map_err(|error| unreadable(&inside(&name, archive), &error))?);
        }
    }
    Ok(())
}

fn tar(reader: impl Read, archive: &str, each: &mut dyn FnMut(&str, &[u8])) -> io::Result<()> {
    let mut tar = TarReader::new(BufReader::with_capacity(BUFFER, reader), HEADER_BYTES);
    while let Some(entry) = tar.next_entry().map_err(|error| unreadable(archive, &error))? {
        if entry.kind == TarEntryKind::File {
            each(&entry.path, &capped(&mut tar, &inside(&entry.path, archive))?);
        }
    }
    Ok(())
}

/// A document's name for a message.
fn inside(document: &str, archive: &str) -> String {
    format!("{document} in {archive}")
}

fn capped(reader: impl Read, name: &str) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // One more, to tell what fits from what was cut.
    reader.take(DOCUMENT_BYTES + 1).read_to_end(&mut bytes).map_err(|error| unreadable(name, &error))?;
    if bytes.len() as u64 > DOCUMENT_BYTES { Err(too_large(name)) } else { Ok(bytes) }
}

fn unreadable(name: &str, cause: &dyn Display) -> io::Error {
    io::Error::other(format!("cannot read {name}: {cause}"))
}

fn too_large(name: &str) -> io::Error {
    io::Error::other(format!("{name} exceeds {DOCUMENT_BYTES} bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Cursor, Write as _};
    use tidewaiter_testkit::upstream::{bzip2, gzip};

    /// "name content" of each document of a file with this name, then the error.
    fn read(name: &str, bytes: &[u8]) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        fs::write(&path, bytes).unwrap();
        let mut out = Vec::new();
        let result =
            documents(&path, &mut |name, bytes| out.push(format!("{name} {}", String::from_utf8_lossy(bytes))));
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
        check("a.tar.zst", &zstd::encode_all(tar.as_slice(), 3).unwrap(), &documents);
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
