//! Programs that PyInstaller made: an archive of compiled modules is in a section of the program or follows it, and in one
//! file the libraries too (PyInstaller, "Bootloader", `CArchive`). Modules have no versions there, so that nothing says
//! which distributions they are of.

use crate::analyze::{ParsedFile, unreadable};
use memchr::memmem;
use tidewaiter_archive::bytes::{number, slice};

/// What the last record of the archive, its cookie, begins with.
const MAGIC: &[u8] = b"MEI\x0c\x0b\x0a\x0b\x0e";
/// In the cookie: the version of Python as `MAJOR * 100 + MINOR`, for 2.7 and before as `MAJOR * 10 + MINOR`.
const PYTHON_VERSION: usize = 20;
const PYTHON_LIBRARY: usize = 24;
/// Bytes of the name of Python's library.
const LIBRARY_BYTES: usize = 64;

/// Whether a cookie is in these bytes. Programs that read such archives have the magic number alone.
pub(super) fn is_in(bytes: &[u8]) -> bool {
    memmem::find_iter(bytes, MAGIC).any(|at| bytes.get(at..).is_some_and(is_cookie))
}

fn is_cookie(bytes: &[u8]) -> bool {
    let version = number(bytes, PYTHON_VERSION, 4, true).unwrap_or_default();
    let library = slice(bytes, PYTHON_LIBRARY, LIBRARY_BYTES).unwrap_or_default().to_ascii_lowercase();
    matches!(version, 20..=27 | 300..=399) && memmem::find(&library, b"python").is_some()
}

pub(super) fn gap(path: &str) -> ParsedFile {
    let cause = "PyInstaller compiled Python modules into this program, without the names of their distributions";
    ParsedFile { gaps: vec![unreadable(path, cause)], ..ParsedFile::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyze::content::testing::{Class, elf};
    use crate::analyze::content::{Format, parse, parse_stream};

    fn cookie(version: u32, library: &str) -> Vec<u8> {
        let numbers = [1000, 900, 88, version].map(u32::to_be_bytes).concat();
        let mut out = [MAGIC, &numbers, library.as_bytes()].concat();
        out.resize(PYTHON_LIBRARY + LIBRARY_BYTES, 0);
        out
    }

    #[test]
    fn programs_of_pyinstaller_are_a_gap() {
        let check = |what: &[u8], expected: usize| {
            let in_section = elf(Class::ALL[0], &[("pydata", what), (".data", b"x")]);
            let behind = [elf(Class::ALL[0], &[(".data", b"x")]), what.to_vec()].concat();
            for program in [in_section, behind] {
                let parsed = parse(Format::Executable, "app", &program);
                assert_eq!(parsed.gaps.len(), expected, "{what:?}");
                assert_eq!(parse_stream(Format::Executable, "app", &mut program.as_slice()).unwrap(), parsed);
            }
        };
        check(&cookie(311, "libpython3.11.so.1.0"), 1);
        check(&cookie(27, "Python"), 1);
        check(&cookie(313, "python313.dll"), 1);
        check(&cookie(0, "libpython3.11.so.1.0"), 0);
        check(&cookie(311, "other"), 0);
        check(MAGIC, 0);
        check(&cookie(311, "libpython3.11.so.1.0")[1..], 0);
    }
}
