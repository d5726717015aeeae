//! What our own readers make of hostile bytes against what other readers make of them: where both accept an input, they
//! must agree. Differences by intent are said where they are left out.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::io::{Cursor, Read};
use tidewaiter_archive::tar::{HEADER_BYTES, TarEntryKind, TarReader};
use tidewaiter_archive::zip::{ZipArchive, ZipFile};
use tidewaiter_scan::analyze;

/// Bytes of an entry that are compared.
const MAX_CONTENT: u64 = 1 << 20;

/// Bytes of an end record without a comment.
const END_BYTES: usize = 22;

/// Kind, path, link and content of an entry of a tar.
type TarEntry = (char, String, String, Vec<u8>);

/// The tar reader against the crate `tar`.
pub(crate) fn tar(bytes: &[u8]) {
    // Else nearly every changed header would be refused for its checksum.
    for bytes in [bytes, &with_checksums(bytes)] {
        if let (Some(own), Some(other)) = (own_tar(bytes), other_tar(bytes)) {
            assert_eq!(own, other);
        }
    }
}

/// The same blocks, those that look like headers with the checksum they should have.
fn with_checksums(bytes: &[u8]) -> Vec<u8> {
    let mut out = bytes.to_vec();
    for block in out.as_chunks_mut::<512>().0.iter_mut().filter(|block| block[257..].starts_with(b"ustar")) {
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|b| u32::from(*b)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
    out
}

fn own_tar(bytes: &[u8]) -> Option<Vec<TarEntry>> {
    let mut reader = TarReader::new(bytes, HEADER_BYTES);
    let mut out = Vec::new();
    while let Some(entry) = reader.next_entry().ok()? {
        let (kind, link) = match entry.kind {
            TarEntryKind::File => ('f', String::new()),
            TarEntryKind::Directory => ('d', String::new()),
            TarEntryKind::Symlink(target) => ('s', target),
            TarEntryKind::Hardlink(target) => ('h', target),
            TarEntryKind::Other => ('o', String::new()),
        };
        let mut content = Vec::new();
        reader.read_to_end(&mut content).ok()?;
        out.push((kind, entry.path, link, content));
    }
    Some(out)
}

fn other_tar(bytes: &[u8]) -> Option<Vec<TarEntry>> {
    let mut archive = tar::Archive::new(bytes);
    let mut out = Vec::new();
    for entry in archive.entries().ok()? {
        let mut entry = entry.ok()?;
        // Where GNU tar has times, older versions of Go wrote a prefix; Go and ours still read it.
        if entry.header().as_gnu().is_some() && entry.header().as_bytes()[345..369] != [0; 24] {
            return None;
        }
        // To Go and ours these have no content, whatever their size says.
        if matches!(entry.header().as_bytes()[156], b'1'..=b'6') && entry.size() > 0 {
            return None;
        }
        // Go and ours go by the format's name, the crate by its version too.
        let format = &entry.header().as_bytes()[257..265];
        if format.starts_with(b"ustar\0") && !format.ends_with(b"00") {
            return None;
        }
        let kind = match entry.header().entry_type() {
            tar::EntryType::Regular | tar::EntryType::Continuous | tar::EntryType::GNUSparse => 'f',
            tar::EntryType::Directory => 'd',
            tar::EntryType::Symlink => 's',
            tar::EntryType::Link => 'h',
            tar::EntryType::XGlobalHeader => continue,
            // The crate reads long names in headers of GNU tar alone, Go and ours in all.
            tar::EntryType::GNULongName | tar::EntryType::GNULongLink | tar::EntryType::XHeader => return None,
            _ => 'o',
        };
        let link = entry.link_name_bytes().filter(|_| matches!(kind, 's' | 'h')).unwrap_or_default();
        let (path, link) = (text(&entry.path_bytes())?, text(&link)?);
        // Old tars mark a directory by a trailing slash alone, which the crate finds when it unpacks.
        let is_old_directory = entry.header().as_bytes()[156] == 0 && path.ends_with('/');
        let kind = if is_old_directory { 'd' } else { kind };
        let mut content = Vec::new();
        entry.read_to_end(&mut content).ok()?;
        out.push((kind, path, link, content));
    }
    Some(out)
}

/// A name. Of one that is not UTF-8 or has a zero in it, the crate makes something else: Go and ours end it there.
fn text(bytes: &[u8]) -> Option<String> {
    String::from_utf8(bytes.to_vec()).ok().filter(|text| !text.contains('\0'))
}

/// The zip reader against the crate `zip`. Where bytes follow the end of an archive, readers differ in the end that they
/// choose: ours chooses as Java does.
pub(crate) fn zip(bytes: &[u8]) {
    zip_in_file(bytes);
    let Some((_, end)) = bytes.split_last_chunk::<END_BYTES>() else { return };
    if !end.starts_with(b"PK\x05\x06") || !end.ends_with(&[0, 0]) {
        return;
    }
    let Ok(Some(own)) = ZipArchive::open(bytes) else { return };
    let Ok(mut other) = zip::ZipArchive::new(Cursor::new(bytes)) else { return };
    let Ok(entries) = own.entries().collect::<Result<Vec<_>, _>>() else { return };
    // The crate goes by the number of entries, Java and ours by the directory's size.
    if usize::from(u16::from_le_bytes([end[10], end[11]])) != entries.len() {
        return;
    }
    let names = entries.iter().map(|entry| std::str::from_utf8(entry.name));
    let Ok(names) = names.collect::<Result<BTreeSet<&str>, _>>() else { return };
    let other_names = other.file_names().map(|name| name.map(Cow::into_owned));
    let Ok(other_names) = other_names.collect::<Result<BTreeSet<String>, _>>() else { return };
    assert!(names.iter().copied().eq(other_names.iter().map(String::as_str)), "{names:?} {other_names:?}");
    for entry in entries {
        let name = std::str::from_utf8(entry.name).unwrap_or_default();
        let Ok(mut file) = other.by_name(name) else { continue };
        let mut content = Vec::new();
        let read = file.by_ref().take(MAX_CONTENT).read_to_end(&mut content);
        if let (Ok(_), Ok(own)) = (read, own.content(&entry, MAX_CONTENT)) {
            assert_eq!(own, content, "{name:?}");
        }
    }
}

/// The zip reader of files against the one in memory, which compares neither sizes nor checksums.
fn zip_in_file(bytes: &[u8]) {
    let memory = ZipArchive::open(bytes).ok().flatten();
    let file = ZipFile::open(Cursor::new(bytes)).ok().flatten();
    assert_eq!(memory.is_some(), file.is_some());
    let (Some(memory), Some(mut file)) = (memory, file) else { return };
    let directory = file.directory(u64::MAX).expect("it lies in the file");
    assert_eq!(memory.entries().count(), directory.entries().count());
    for (own, same) in memory.entries().zip(directory.entries()) {
        let (Ok(own), Ok(same)) = (own, same) else { return };
        assert_eq!((own.name, own.size), (same.name, same.size));
        if let Ok(content) = file.content(&same, MAX_CONTENT) {
            assert_eq!(memory.content(&own, MAX_CONTENT).as_deref(), Ok(content.as_slice()));
        }
    }
}

/// The reader of rpm's SQLite databases against SQLite: where ours finds nothing wrong, no row is missing.
pub(crate) fn rpm_database(bytes: &[u8]) {
    let parsed = analyze::parse("var/lib/rpm/rpmdb.sqlite", bytes);
    if let (true, Some(rows)) = (parsed.gaps.is_empty(), sqlite_rows(bytes)) {
        assert_eq!(parsed.packages.len(), rows);
    }
}

fn sqlite_rows(bytes: &[u8]) -> Option<usize> {
    let mut connection = rusqlite::Connection::open_in_memory().ok()?;
    connection.deserialize_read_exact(rusqlite::MAIN_DB, bytes, bytes.len(), true).ok()?;
    let mut query = connection.prepare("SELECT blob FROM Packages").ok()?;
    let mut rows = query.query([]).ok()?;
    let mut count = 0;
    while let Some(row) = rows.next().ok()? {
        row.get_ref(0).ok()?.as_blob().ok()?;
        count += 1;
    }
    Some(count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seeds;
    use std::io;

    #[test]
    fn sound_inputs_are_read_by_both() {
        let tar = seeds::all_tar_entries();
        assert_eq!(own_tar(&tar).map(|entries| entries.len()), Some(8));
        assert_eq!(own_tar(&tar), other_tar(&tar));
        assert_eq!(with_checksums(&tar).len(), tar.len());
        assert!(own_tar(&with_checksums(&tar)).is_some());
        let zip = seeds::zip_archive();
        let own = ZipArchive::open(&zip).unwrap().unwrap();
        assert!(own.entries().all(|entry| own.content(&entry.unwrap(), MAX_CONTENT).unwrap().len() == 100));
        let mut file = ZipFile::open(Cursor::new(&zip)).unwrap().unwrap();
        let directory = file.directory(u64::MAX).unwrap();
        assert!(directory.entries().all(|entry| file.content(&entry.unwrap(), MAX_CONTENT).unwrap().len() == 100));
        let mut other = zip::ZipArchive::new(Cursor::new(&zip)).unwrap();
        let mut size = |index| io::copy(&mut other.by_index(index).unwrap(), &mut io::sink()).unwrap();
        assert_eq!([size(0), size(1)], [100, 100]);
        let database = seeds::rpm_database();
        let parsed = analyze::parse("var/lib/rpm/rpmdb.sqlite", &database);
        assert_eq!((parsed.packages.len(), parsed.gaps, sqlite_rows(&database)), (6, vec![], Some(6)));
    }
}
