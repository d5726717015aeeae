//! The documents of a feed, in a directory, a file, a zip or a compressed tar.

pub mod rpm_repository;
pub mod url;

use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::Path;

/// Most bytes of one document: it is read whole, so this bounds memory.
const DOCUMENT_BYTES: u64 = 1 << 30;

/// Calls `each` with the name and bytes of every document below or in `path`, in a stable order.
///
/// # Errors
/// When the path or something in it cannot be read, or a document exceeds 1 GiB.
pub fn documents(path: &Path, each: &mut dyn FnMut(&str, &[u8])) -> io::Result<()> {
    if fs::metadata(path)?.is_dir() {
        return directory(path, each);
    }
    let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default().to_owned();
    let file = BufReader::new(File::open(path)?);
    match name.as_str() {
        _ if name.ends_with(".zip") => zip(file, each),
        _ if name.ends_with(".tar.zst") => {
            let mut decoder = zstd::Decoder::new(file)?;
            // Archives made with `zstd --long` need a larger window than the default allows.
            decoder.window_log_max(31)?;
            tar(decoder, each)
        }
        _ if name.ends_with(".tar.gz") || name.ends_with(".tgz") => tar(flate2::read::MultiGzDecoder::new(file), each),
        _ if name.ends_with(".tar.bz2") => tar(bzip2::bufread::MultiBzDecoder::new(file), each),
        _ if name.ends_with(".tar") => tar(file, each),
        _ if name.ends_with(".bz2") => {
            let bytes = capped(bzip2::bufread::MultiBzDecoder::new(file), &name)?;
            each(name.trim_end_matches(".bz2"), &bytes);
            Ok(())
        }
        _ if name.ends_with(".gz") => {
            let bytes = capped(flate2::read::MultiGzDecoder::new(file), &name)?;
            each(name.trim_end_matches(".gz"), &bytes);
            Ok(())
        }
        _ => {
            each(&name, &capped(file, &name)?);
            Ok(())
        }
    }
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

fn zip(file: BufReader<File>, each: &mut dyn FnMut(&str, &[u8])) -> io::Result<()> {
    let mut archive = zip::ZipArchive::new(file).map_err(io::Error::other)?;
    for index in 0..archive.len() {
        let entry = archive.by_index(index).map_err(io::Error::other)?;
        if entry.is_file() {
            let name = entry.name().map_err(io::Error::other)?.into_owned();
            each(&name, &capped(entry, &name)?);
        }
    }
    Ok(())
}

fn tar(reader: impl Read, each: &mut dyn FnMut(&str, &[u8])) -> io::Result<()> {
    let mut archive = tar::Archive::new(reader);
    for entry in archive.entries()? {
        let entry = entry?;
        if entry.header().entry_type().is_file() {
            let name = entry.path()?.to_string_lossy().into_owned();
            each(&name, &capped(entry, &name)?);
        }
    }
    Ok(())
}

fn capped(reader: impl Read, name: &str) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(DOCUMENT_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > DOCUMENT_BYTES {
        return Err(io::Error::other(format!("{name} exceeds {DOCUMENT_BYTES} bytes")));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn a_compressed_document_is_read_by_its_name() {
        let gzip = {
            let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            out.write_all(b"{}").unwrap();
            out.finish().unwrap()
        };
        let bzip2 = {
            let mut out = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::default());
            out.write_all(b"{}").unwrap();
            out.finish().unwrap()
        };
        // Mirrors append streams.
        let twice = [gzip.as_slice(), &gzip].concat();
        let check = |name: &str, bytes: &[u8], expected: &[(&str, &str)]| {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join(name);
            fs::write(&path, bytes).unwrap();
            let mut found = Vec::new();
            documents(&path, &mut |name, bytes| {
                found.push((name.to_owned(), String::from_utf8_lossy(bytes).into_owned()));
            })
            .unwrap();
            let expected: Vec<_> = expected.iter().map(|(n, b)| ((*n).to_owned(), (*b).to_owned())).collect();
            assert_eq!(found, expected, "{name}");
        };
        check("a.json", b"{}", &[("a.json", "{}")]);
        check("a.json.gz", &gzip, &[("a.json", "{}")]);
        check("a.json.gz", &twice, &[("a.json", "{}{}")]);
        check("a.xml.bz2", &bzip2, &[("a.xml", "{}")]);
    }
}
