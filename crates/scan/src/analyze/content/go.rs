//! Go programs: the build info that the linker writes (Go's `debug/buildinfo`), stripped or not.
//!
//! A blob of data, aligned to 16 bytes, begins with a mark. Since Go 1.18 two strings follow it, each after its length
//! as a varint: the toolchain's version and the modules. Before, two pointers follow, to Go strings elsewhere.

mod modules;

use super::binary::{Binary, part};
use crate::analyze::ParsedFile;
use memchr::memmem;
use tidewaiter_archive::bytes::number;

/// Begins the blob.
pub(super) const MARK: &[u8] = b"\xff Go buildinf:";
// `buildInfoHeaderSize` and `buildInfoAlign` there; the flags are byte 15 of the header.
const HEADER: usize = 32;
const ALIGN: u64 = 16;
const FLAG_BIG_ENDIAN: u8 = 1;
const FLAG_INLINE: u8 = 2;
/// Bytes of one of the two strings, at most; Kubernetes has 20,000.
pub(super) const MAX_TEXT: usize = 1 << 20;
/// Around the modules, so that they are found even without the blob (Go's `cmd/go/internal/modload`).
const MODULES_BEGIN: &[u8] = b"\x30\x77\xaf\x0c\x92\x74\x08\x02\x41\xe1\xc1\x07\xe6\xd6\x18\xe6";
const MODULES_END: &[u8] = b"\xf9\x32\x43\x31\x86\x18\x20\x72\x00\x82\x42\x10\x41\x16\xd8\xf2";

/// The two strings.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct BuildInfo {
    /// `go1.22.4`; empty when it was not found.
    pub(super) version: String,
    /// Lines for the modules and settings; empty when it was built without modules.
    pub(super) modules: String,
    /// Variables that the linker was told to set (`-X`) and their values, by the symbols that it writes for them.
    pub(super) variables: Vec<(String, String)>,
}

impl BuildInfo {
    /// Packages and gaps of the program at a path.
    pub(super) fn packages(&self, path: &str) -> ParsedFile {
        modules::packages(path, self)
    }
}

/// The build info of a whole file.
pub(super) fn find(binary: &Binary, bytes: &[u8]) -> Option<BuildInfo> {
    // A program may embed another one as data: its own blob is the one in its own section or segment.
    let own = binary.build_info().find_map(|range| within(binary, range.start, part(bytes, &range)?, bytes));
    // Packers and strippers move or drop headers; the marks stay.
    let mut found = own.or_else(|| within(binary, 0, bytes, bytes)).or_else(|| framed(bytes))?;
    found.variables = variables(binary, bytes);
    Some(found)
}

/// Longest value of a variable that is read.
const MAX_VALUE: usize = 128;

/// The linker names the text of a variable that `-X` sets after it (Go's `cmd/link`, `addstrdata`): `main.version.str`. Build info
/// leaves the flags out of a build with `-trimpath`.
fn variables(binary: &Binary, bytes: &[u8]) -> Vec<(String, String)> {
    let texts = binary.symbols(bytes, |name| name.ends_with(TEXT));
    texts.into_iter().filter(|(_, value)| value.len() <= MAX_VALUE).filter_map(variable).collect()
}

/// Ends the name of such a text.
const TEXT: &str = ".str";

fn variable((name, value): (&str, &[u8])) -> Option<(String, String)> {
    // A zero follows the text.
    let value = std::str::from_utf8(value.strip_suffix(b"\0").unwrap_or(value)).ok()?;
    Some((name.strip_suffix(TEXT)?.to_owned(), value.to_owned()))
}

fn within(binary: &Binary, start: u64, area: &[u8], bytes: &[u8]) -> Option<BuildInfo> {
    memmem::find_iter(area, MARK).find_map(|at| {
        let aligned = start.checked_add(u64::try_from(at).ok()?)?.is_multiple_of(ALIGN);
        let blob = area.get(at..).filter(|_| aligned)?;
        inline(blob).or_else(|| pointers(binary, blob, bytes))
    })
}

/// Reads a blob of Go 1.18 and later; `None` when it is not one, or is cut.
pub(super) fn inline(blob: &[u8]) -> Option<BuildInfo> {
    let text = blob.get(HEADER..).filter(|_| blob.get(15).is_some_and(|flags| flags & FLAG_INLINE != 0))?;
    let (version, rest) = varint_text(text)?;
    let (modules, _) = varint_text(rest)?;
    build_info(version, modules)
}

fn varint_text(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (mut length, mut shift, mut used) = (0_usize, 0, 0);
    loop {
        let byte = *bytes.get(used)?;
        length |= usize::from(byte & 0x7f).checked_shl(shift)?;
        used += 1;
        if byte & 0x80 == 0 {
            break;
        }
        shift += 7;
        // Four bytes are enough for any length up to `MAX_TEXT`.
        if used >= 4 {
            return None;
        }
    }
    let text = bytes.get(used..used.checked_add(length)?).filter(|text| text.len() <= MAX_TEXT)?;
    Some((text, bytes.get(used + length..)?))
}

/// Reads a blob of Go before 1.18.
fn pointers(binary: &Binary, blob: &[u8], bytes: &[u8]) -> Option<BuildInfo> {
    let (size, flags) = (usize::from(*blob.get(14)?), *blob.get(15)?);
    if flags & FLAG_INLINE != 0 || (size != 4 && size != 8) {
        return None;
    }
    let pointers = Pointers { binary, bytes, size, big_endian: flags & FLAG_BIG_ENDIAN != 0 };
    let blob = blob.get(16..)?;
    build_info(pointers.text(blob, 0)?, pointers.text(blob, 1).unwrap_or_default())
}

/// Follows pointers of one size and byte order.
struct Pointers<'a> {
    binary: &'a Binary,
    bytes: &'a [u8],
    size: usize,
    big_endian: bool,
}

impl<'a> Pointers<'a> {
    fn word(&self, bytes: &[u8], index: usize) -> Option<u64> {
        number(bytes, index * self.size, self.size, self.big_endian)
    }

    /// A pointer leads to a Go string: the address of its bytes, and how many they are.
    fn text(&self, blob: &[u8], index: usize) -> Option<&'a [u8]> {
        let string = self.binary.at(self.word(blob, index)?, self.bytes)?;
        let length = usize::try_from(self.word(string, 1)?).ok().filter(|length| *length <= MAX_TEXT)?;
        self.binary.at(self.word(string, 0)?, self.bytes)?.get(..length)
    }
}

fn build_info(version: &[u8], modules: &[u8]) -> Option<BuildInfo> {
    let version = std::str::from_utf8(version).ok().filter(|v| v.starts_with("go") || v.starts_with("devel"))?;
    if version.contains(char::is_control) {
        return None;
    }
    // Sixteen bytes frame the modules on each side, after a line's end.
    let framed = modules.len() >= 33 && modules.get(modules.len() - 17) == Some(&b'\n');
    let modules = if framed { modules.get(16..modules.len() - 16)? } else { &[] };
    let modules = String::from_utf8_lossy(modules).into_owned();
    Some(BuildInfo { version: version.to_owned(), modules, ..BuildInfo::default() })
}

/// Modules without a blob, by what frames them.
fn framed(bytes: &[u8]) -> Option<BuildInfo> {
    memmem::find_iter(bytes, MODULES_BEGIN).find_map(|at| framed_at(bytes.get(at..)?))
}

fn framed_at(bytes: &[u8]) -> Option<BuildInfo> {
    let text = bytes.get(MODULES_BEGIN.len()..)?;
    let text = text.get(..MAX_TEXT).unwrap_or(text);
    let text = text.get(..memmem::find(text, MODULES_END)?)?;
    let modules = std::str::from_utf8(text).ok().filter(|text| text.ends_with('\n'))?;
    Some(BuildInfo { modules: modules.to_owned(), ..BuildInfo::default() })
}

/// Searches the windows of a streamed file for build info.
#[derive(Debug, Default)]
pub(super) struct GoSearch {
    /// By where they are in the file.
    found: Vec<(u64, BuildInfo)>,
    framed: Option<BuildInfo>,
    /// Whether there is a blob of the older form, whose strings may be in earlier windows.
    older: bool,
}

/// Blobs recorded: programs that embed others embed a few.
const MAX_FOUND: usize = 8;

impl GoSearch {
    /// Looks at a part of the file: for what begins in its first `new` bytes; `start` is where it is in the file.
    pub(super) fn part(&mut self, start: u64, window: &[u8], new: usize) {
        for at in memmem::find_iter(window, MARK).take_while(|at| *at < new) {
            let offset = start.saturating_add(u64::try_from(at).unwrap_or_default());
            let Some(blob) = window.get(at..).filter(|_| offset.is_multiple_of(ALIGN)) else { continue };
            match inline(blob) {
                Some(info) if self.found.len() < MAX_FOUND => self.found.push((offset, info)),
                Some(_) => {}
                None => self.older |= matches!(blob.get(14..16), Some([4 | 8, 0 | 1])),
            }
        }
        if self.framed.is_none() {
            let frames = memmem::find_iter(window, MODULES_BEGIN).take_while(|at| *at < new);
            self.framed = frames.filter_map(|at| framed_at(window.get(at..)?)).next();
        }
    }

    /// The program's own build info; `head` are the first bytes of the file.
    pub(super) fn result(self, head: &Binary) -> Option<BuildInfo> {
        let own = head.build_info().find_map(|range| {
            let (_, info) = self.found.iter().find(|(offset, _)| range.contains(offset))?;
            Some(info.clone())
        });
        let any = own.or_else(|| self.found.into_iter().next().map(|(_, info)| info)).or(self.framed);
        any.or_else(|| self.older.then(BuildInfo::default))
    }
}

#[cfg(test)]
#[path = "go/tests.rs"]
mod tests;
