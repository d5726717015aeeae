//! Headers of GNU tars, as the crate `tar` writes them: the digest of a directory is the one of these bytes.

use std::ops::Range;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

const BLOCK: usize = 512;

pub(super) const FILE: u8 = b'0';
pub(super) const CHAR_DEVICE: u8 = b'3';
pub(super) const BLOCK_DEVICE: u8 = b'4';
pub(super) const DIRECTORY: u8 = b'5';
pub(super) const FIFO: u8 = b'6';
const SYMLINK: u8 = b'2';
/// The content is the long name, or the long link, of the entry that follows.
const LONG_NAME: u8 = b'L';
const LONG_LINK: u8 = b'K';

const NAME: Range<usize> = 0..100;
const MODE: Range<usize> = 100..108;
const UID: Range<usize> = 108..116;
const GID: Range<usize> = 116..124;
const SIZE: Range<usize> = 124..136;
const MTIME: Range<usize> = 136..148;
const CHECKSUM: Range<usize> = 148..156;
const TYPEFLAG: usize = 156;
const LINK: Range<usize> = 157..257;
const MAGIC: Range<usize> = 257..265;

/// Numbers from here on do not fit into eleven octal digits.
const MAX_OCTAL: u64 = 1 << 33;

/// The header of an entry that is not a link.
pub(super) fn entry(typeflag: u8, path: &Path, size: u64) -> Vec<u8> {
    let mut header = Header::new(typeflag, size);
    let mut out = header.name(path);
    out.extend(header.finish());
    out
}

/// A symbolic link.
pub(super) fn link(path: &Path, target: &Path) -> Vec<u8> {
    let mut header = Header::new(SYMLINK, 0);
    let mut out = header.name(path);
    if !put_path(header.field(LINK), target) {
        out.extend(long(LONG_LINK, target));
    }
    out.extend(header.finish());
    out
}

struct Header([u8; BLOCK]);

impl Header {
    fn new(typeflag: u8, size: u64) -> Self {
        let mut header = Header([0; BLOCK]);
        put(header.field(MAGIC), b"ustar  \0");
        octal(header.field(MTIME), 0);
        octal(header.field(MODE), 0o644);
        if size < MAX_OCTAL {
            octal(header.field(SIZE), size);
        } else {
            // Base 256, marked by the highest bit.
            let bytes = [&[0x80, 0, 0, 0], &size.to_be_bytes()[..]].concat();
            put(header.field(SIZE), &bytes);
        }
        put(header.field(TYPEFLAG..TYPEFLAG + 1), &[typeflag]);
        header
    }

    fn field(&mut self, range: Range<usize>) -> &mut [u8] {
        self.0.get_mut(range).unwrap_or_default()
    }

    /// Sets the name; returns the entry that has it where it is long.
    fn name(&mut self, path: &Path) -> Vec<u8> {
        if put_path(self.field(NAME), path) {
            return Vec::new();
        }
        let bytes = path.as_os_str().as_bytes();
        let begin = bytes.get(NAME).unwrap_or(bytes);
        // Up to the last whole character.
        let begin = std::str::from_utf8(begin).unwrap_or_else(|e| {
            begin.get(..e.valid_up_to()).and_then(|b| std::str::from_utf8(b).ok()).unwrap_or_default()
        });
        put_path(self.field(NAME), Path::new(begin));
        long(LONG_NAME, path)
    }

    fn finish(mut self) -> [u8; BLOCK] {
        // The checksum counts its own field as spaces.
        self.field(CHECKSUM).fill(b' ');
        let sum = self.0.iter().map(|byte| u64::from(*byte)).sum();
        octal(self.field(CHECKSUM), sum);
        self.0
    }
}

/// An entry whose content is a path, with a zero after it.
fn long(typeflag: u8, path: &Path) -> Vec<u8> {
    let content = [path.as_os_str().as_bytes(), b"\0"].concat();
    let mut header = Header::new(typeflag, content.len() as u64);
    put(header.field(NAME), b"././@LongLink");
    octal(header.field(UID), 0);
    octal(header.field(GID), 0);
    let mut out = header.finish().to_vec();
    out.extend(content);
    out.resize(out.len().next_multiple_of(BLOCK), 0);
    out
}

/// Octal digits and a zero, on the right of a field that is filled with the digit 0.
fn octal(field: &mut [u8], number: u64) {
    let width = field.len().saturating_sub(1);
    put(field, format!("{number:0width$o}\0").as_bytes());
}

/// Writes the components of a path. False when they do not fit: then those that do are there, as in the crate `tar`.
fn put_path(field: &mut [u8], path: &Path) -> bool {
    let mut rest = field;
    let mut needs_slash = false;
    for component in path.components() {
        let bytes = component.as_os_str().as_bytes();
        if (needs_slash && !advance(&mut rest, b"/")) || !advance(&mut rest, bytes) {
            return false;
        }
        needs_slash = bytes != b"/";
    }
    !path.as_os_str().as_bytes().ends_with(b"/") || advance(&mut rest, b"/")
}

/// Writes bytes and moves past them, if they fit. A zero follows them where there is room.
fn advance(rest: &mut &mut [u8], bytes: &[u8]) -> bool {
    let Some((part, mut after)) = std::mem::take(rest).split_at_mut_checked(bytes.len()) else { return false };
    put(part, bytes);
    put(after, b"\0");
    std::mem::swap(rest, &mut after);
    true
}

/// Writes the bytes that fit.
fn put(field: &mut [u8], bytes: &[u8]) {
    field.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;
    use std::io;

    /// The same header by the crate `tar`.
    fn reference(typeflag: u8, path: &Path, target: Option<&Path>, size: u64) -> Vec<u8> {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(size);
        header.set_entry_type(tar::EntryType::new(typeflag));
        let mut builder = tar::Builder::new(Vec::new());
        match target {
            Some(target) => builder.append_link(&mut header, path, target).unwrap(),
            None => builder.append_data(&mut header, path, io::empty()).unwrap(),
        }
        std::mem::take(builder.get_mut())
    }

    #[test]
    fn headers_are_those_of_another_writer() {
        let long = |n: usize, end: &str| "x".repeat(n) + end;
        let mut paths = vec!["a".to_owned(), "a/b".to_owned(), "ä/ö".to_owned()];
        for n in [90, 95, 96, 97, 98, 99, 100, 101, 150, 155, 256, 300] {
            for end in ["", "/y", "/.git", "/..x", "/.", "é", "/ééé", "/yy/zz"] {
                paths.push(long(n, end));
            }
            paths.push("a/".repeat(n / 2) + "b");
            paths.push("é".repeat(n));
        }
        for path in paths.iter().map(Path::new) {
            assert_eq!(entry(FILE, path, 7), reference(FILE, path, None, 7), "{path:?}");
            assert_eq!(entry(DIRECTORY, path, 0), reference(DIRECTORY, path, None, 0), "{path:?}");
            for target in [path, Path::new("/"), Path::new("../x//y/./z"), Path::new("./x/"), Path::new("..")] {
                assert_eq!(link(path, target), reference(SYMLINK, path, Some(target), 0), "{path:?} {target:?}");
            }
            let absolute = Path::new("/").join(path);
            assert_eq!(link(path, &absolute), reference(SYMLINK, path, Some(&absolute), 0), "{path:?}");
        }
        let bytes = |n: usize| [&b"\xff"[..], &vec![b'x'; n], b"\xe9/\xe9"].concat();
        for n in [1, 95, 96, 97, 98, 120] {
            let bytes = bytes(n);
            let path = Path::new(OsStr::from_bytes(&bytes));
            assert_eq!(link(Path::new("a"), path), reference(SYMLINK, Path::new("a"), Some(path), 0), "{n}");
        }
        for size in [0, 1, 511, 1 << 21, (1 << 33) - 1, 1 << 33, 1 << 40] {
            assert_eq!(entry(FILE, Path::new("a"), size), reference(FILE, Path::new("a"), None, size), "{size}");
        }
    }
}
