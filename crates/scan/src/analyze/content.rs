//! Files that are detected by their content: programs with build info, Java archives. They are read wherever they are.

mod binary;
mod dotnet;
mod go;
mod java;
mod native;
mod pyinstaller;
mod rust;
#[cfg(test)]
pub(super) mod testing;

use super::classify::{ProgramFile, ProgramSearch};
use super::python::zipapp;
use super::{ParsedFile, unreadable};
use crate::path;
use binary::Binary;
use memchr::memmem;
use std::io::{self, BufReader, Read};
use tidewaiter_core::report::{Gap, GapKind};

/// Raised whenever programs or archives are read otherwise, or a row of [`super::classify`] changes: it is a part of
/// [`super::VERSION`].
pub(super) const VERSION: u32 = 12;

/// Bytes from which a format is detected.
pub(crate) const HEAD: usize = 8;

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// ELF, PE or Mach-O.
    Executable,
    /// A Java archive.
    Archive,
    /// A script, which an archive of Python may follow.
    Script,
}

impl Format {
    /// The size up to which a file is buffered in memory, of what one file may take: what is unpacked of an archive needs as
    /// much again.
    pub(crate) fn max_buffered(self, limit: u64) -> u64 {
        match self {
            Format::Executable => limit / 4 * 3,
            Format::Archive | Format::Script => limit / 2,
        }
    }
}

/// The format of a file, by its first [`HEAD`] bytes.
pub(crate) fn detect(path: &str, head: &[u8]) -> Option<Format> {
    match head {
        [0x7f, b'E', b'L', b'F', ..] | [b'M', b'Z', ..] => Some(Format::Executable),
        [0xfe, 0xed, 0xfa, 0xce | 0xcf, ..] | [0xce | 0xcf, 0xfa, 0xed, 0xfe, ..] => Some(Format::Executable),
        // Java finds an archive by its end: it may begin with a script.
        [_, ..] if java::is_named(path) => Some(Format::Archive),
        // With a suffix Python's are wanted by their paths; nearly all other scripts have one.
        [b'#', b'!', ..] if !path::split(path).1.contains('.') => Some(Format::Script),
        // Java classes begin like universal files.
        [0xca, 0xfe, 0xba, 0xbe | 0xbf, 0, 0, 0, 1..=44, ..] => Some(Format::Executable),
        _ => None,
    }
}

/// Reads a whole file of a format.
pub(crate) fn parse(format: Format, path: &str, bytes: &[u8]) -> ParsedFile {
    let mut out = match format {
        Format::Executable => executable(path, bytes),
        Format::Archive => java::archive(path, bytes),
        Format::Script => zipapp::behind_script(path, bytes),
    };
    if format == Format::Archive {
        out.packages.extend(ProgramSearch::new(path, ProgramFile::Archive).packages());
    }
    // It counts at every path, so that links to it change nothing.
    out.by_content = true;
    out
}

fn executable(path: &str, bytes: &[u8]) -> ParsedFile {
    let mut out = ParsedFile::default();
    let mut go = false;
    for slice in binary::slices(bytes) {
        let binary = Binary::parse(slice);
        match go::find(&binary, slice) {
            Some(info) => {
                go = true;
                out.add(info.packages(path));
            }
            None if binary.is_go() => out.gaps.push(unreadable(path, "this Go program has no build info")),
            None => {}
        }
        out.add(rust::crates(path, &binary, slice));
        out.add(native::packages(path, &binary, slice));
        let mut bundle = dotnet::BundleSearch::new(path);
        bundle.part(slice, slice.len());
        out.add(bundle.result());
        if binary.packed {
            out.gaps.push(unreadable(path, "this program is packed by UPX; unpack it to have it read"));
        }
    }
    if pyinstaller::is_in(bytes) {
        out.add(pyinstaller::gap(path));
    }
    // The build info of a Go program is better evidence than its text.
    if !go {
        let mut program = ProgramSearch::new(path, ProgramFile::Executable);
        program.part(bytes);
        out.packages.extend(program.packages());
    }
    out.packages.sort();
    out.packages.dedup();
    out
}

/// Bytes of a streamed file that are in memory at a time.
const WINDOW: usize = 4 << 20;
/// Bytes of a script's first line that Linux reads (`BINPRM_BUF_SIZE`).
const MAX_SHEBANG: u64 = 256;
/// Bytes that overlap with the next window: what is searched for must fit into them. The largest is a `deps.json`, of up
/// to 2 MiB.
const REACH: usize = WINDOW / 2;

/// Streams a file that is too large to buffer, and searches it for what identifies it.
///
/// # Errors
/// When the stream fails.
pub(crate) fn parse_stream(format: Format, path: &str, content: &mut impl Read) -> io::Result<ParsedFile> {
    let mut out = match format {
        Format::Executable => stream_executable(path, content)?,
        Format::Archive => java::large_archive(path, &mut BufReader::with_capacity(64 << 10, content)),
        Format::Script => stream_script(path, content)?,
    };
    if format == Format::Archive {
        out.packages.extend(ProgramSearch::new(path, ProgramFile::Archive).packages());
    }
    out.by_content = true;
    Ok(out)
}

/// A script of that size holds an archive, which is not read if the first line may be Python's.
fn stream_script(path: &str, content: &mut impl Read) -> io::Result<ParsedFile> {
    let mut line = Vec::new();
    content.by_ref().take(MAX_SHEBANG).read_to_end(&mut line)?;
    let line = line.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let gaps = memmem::find(line, b"python").map(|_| too_large(path, "this Python application"));
    Ok(ParsedFile { gaps: gaps.into_iter().collect(), ..ParsedFile::default() })
}

fn stream_executable(path: &str, content: &mut impl Read) -> io::Result<ParsedFile> {
    let mut search = ExecutableSearch::new(path);
    windows(content, |start, window, new| search.part(start, window, new))?;
    Ok(search.finish())
}

/// What is looked for in the windows of an executable that is too large to be buffered.
struct ExecutableSearch<'a> {
    path: &'a str,
    head: Binary,
    go: go::GoSearch,
    program: ProgramSearch<'a>,
    bundle: dotnet::BundleSearch<'a>,
    native: native::NativeImageSearch<'a>,
    /// It has packages of Rust (cargo-auditable), which only a whole file can show.
    audited: bool,
    /// It has the archive of PyInstaller.
    with_modules: bool,
}

impl<'a> ExecutableSearch<'a> {
    fn new(path: &'a str) -> Self {
        ExecutableSearch {
            path,
            head: Binary::default(),
            go: go::GoSearch::default(),
            program: ProgramSearch::new(path, ProgramFile::Executable),
            bundle: dotnet::BundleSearch::new(path),
            native: native::NativeImageSearch::new(path),
            audited: false,
            with_modules: false,
        }
    }

    fn part(&mut self, start: u64, window: &[u8], new: usize) {
        if start == 0 {
            self.head = Binary::parse(window);
        }
        self.go.part(start, window, new);
        self.program.part(window);
        self.bundle.part(window, new);
        self.native.part(window, new);
        self.with_modules |= pyinstaller::is_in(window);
        // The name of the section, in the table of names.
        self.audited |= memmem::find(window, b"\0.dep-v0\0").is_some();
    }

    fn finish(self) -> ParsedFile {
        let mut out = match self.go.result(&self.head) {
            Some(info) => info.packages(self.path),
            None => ParsedFile { packages: self.program.packages(), ..ParsedFile::default() },
        };
        out.add(self.bundle.result());
        out.add(self.native.result());
        if self.with_modules {
            out.add(pyinstaller::gap(self.path));
        }
        if self.audited {
            out.gaps.push(too_large(self.path, "this Rust program"));
        }
        out
    }
}

fn too_large(path: &str, what: &str) -> Gap {
    let message = format!("{what} is too large to be buffered; its packages are not scanned");
    Gap { kind: GapKind::LimitReached, subject: path.to_owned(), message }
}

/// Shows a stream in windows that overlap: (offset, bytes, how many of them no later window has).
fn windows(content: &mut impl Read, mut show: impl FnMut(u64, &[u8], usize)) -> io::Result<()> {
    let mut window = Vec::with_capacity(WINDOW);
    let mut start = 0_u64;
    loop {
        let wanted = WINDOW - window.len();
        let got = content.by_ref().take(u64::try_from(wanted).unwrap_or_default()).read_to_end(&mut window)?;
        if got < wanted {
            show(start, &window, window.len());
            return Ok(());
        }
        show(start, &window, WINDOW - REACH);
        window.drain(..WINDOW - REACH);
        start += u64::try_from(WINDOW - REACH).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::testing::{Class, elf, go_program, inline_blob};
    use super::*;

    #[test]
    fn formats_by_their_first_bytes() {
        let check = |head: &[u8], expected: bool| assert_eq!(detect("x", head).is_some(), expected, "{head:?}");
        check(b"\x7fELF\x02\x01\x01\0", true);
        check(b"MZ\x90\0\x03\0\0\0", true);
        check(b"\xcf\xfa\xed\xfe\x07\0\0\x01", true);
        check(b"\xca\xfe\xba\xbe\0\0\0\x02", true);
        check(b"\xca\xfe\xba\xbe\0\0\0\x34", false);
        check(b"#!/bin/s", true);
        assert_eq!(detect("a/x.sh", b"#!/bin/s"), None);
        check(b"", false);
        check(b"\x7fEL", false);
    }

    #[test]
    fn large_files_are_streamed() {
        let check = |what: &str, bytes: &[u8]| {
            let whole = parse(Format::Executable, "app", bytes);
            let streamed = parse_stream(Format::Executable, "app", &mut &*bytes).unwrap();
            assert_eq!(streamed, whole, "{what}");
            assert!(!whole.packages.is_empty(), "{what}");
        };
        let program = go_program("go1.22.4", "path\ta\nmod\ta\tv1.0.0\t\n");
        check("small", &program);
        for padding in [REACH - 48, REACH, WINDOW - 16, WINDOW + 5 * REACH] {
            let blob = inline_blob("go1.22.4", b"");
            let rodata = vec![b'x'; padding];
            check("padded", &elf(Class::ALL[0], &[(".rodata", &rodata), (".go.buildinfo", &blob)]));
        }
        let heap = vec![0; 3 * WINDOW];
        let native = elf(Class::ALL[0], &[(".svm_heap", &heap)]);
        let streamed = parse_stream(Format::Executable, "app", &mut native.as_slice()).unwrap();
        assert_eq!(streamed, parse(Format::Executable, "app", &native));
        assert_eq!(streamed.gaps.len(), 1);
        let plain = elf(Class::ALL[0], &[(".text", &heap)]);
        assert!(parse_stream(Format::Executable, "app", &mut plain.as_slice()).unwrap().is_empty());
    }

    #[test]
    fn large_scripts_of_python_are_a_gap() {
        let check = |text: &str, expected: usize| {
            let parsed = parse_stream(Format::Script, "app", &mut text.as_bytes()).unwrap();
            assert_eq!(parsed.gaps.len(), expected, "{text}");
        };
        check("#!/usr/bin/env python3\nPK", 1);
        check("#!/bin/sh\npython", 0);
    }

    #[test]
    fn what_cannot_be_read_is_a_gap() {
        let check = |bytes: &[u8], expected: &str| {
            let parsed = parse(Format::Executable, "app", bytes);
            let message = parsed.gaps.first().map(|gap| gap.message.as_str()).unwrap_or_default();
            assert!(message.starts_with(expected), "{message}");
            assert_eq!(expected.is_empty(), parsed.gaps.is_empty());
        };
        let class = Class::ALL[0];
        check(&elf(class, &[(".text", b"code")]), "");
        check(&elf(class, &[("", b"....UPX!....")]), "this program is packed by UPX");
        check(&elf(class, &[(".gopclntab", b"code")]), "this Go program has no build info");
        check(&go_program("go1.22.4", ""), "this Go program was built without naming its modules");
        check(&go_program("go1.22.4", "path\tcmd/go\n"), "");
        check(&elf(class, &[(".dep-v0", b"not zlib")]), "its list of crates");
    }
}
