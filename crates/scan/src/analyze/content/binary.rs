//! Executables, as far as it takes to find what a compiler left in them: ELF (System V gABI), PE (Microsoft's PE
//! format) and Mach-O (Apple's `loader.h`). Only offsets are recorded, so that the first bytes of a file are enough to know
//! its segments.

mod elf;
mod macho;
mod pe;
mod symbols;

pub(super) use macho::slices;

use std::ops::Range;
use tidewaiter_archive::bytes::{number, slice};

/// Segments and wanted sections of one file: real files have a dozen.
const MAX_PARTS: usize = 256;

/// The sections that are searched for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Section {
    /// The Go linker's build info.
    GoBuildInfo,
    /// Other sections that only Go's linker writes.
    Go,
    /// The crates of a Rust program (cargo-auditable).
    CargoAudit,
    /// The symbols of an ELF file.
    Symbols,
    /// Their names.
    SymbolNames,
    /// The symbols that an ELF file shares with others at run time, which stay when it is stripped.
    DynamicSymbols,
    /// Their names.
    DynamicNames,
    /// The objects of a Java program that GraalVM compiled.
    NativeHeap,
}

impl Section {
    fn named(name: &[u8]) -> Option<Self> {
        match name {
            b".go.buildinfo" | b"__go_buildinfo" => Some(Section::GoBuildInfo),
            b".gopclntab" | b"__gopclntab" | b".note.go.buildid" | b".data.rel.ro.gopclntab" => Some(Section::Go),
            b".dep-v0" => Some(Section::CargoAudit),
            b".symtab" => Some(Section::Symbols),
            b".strtab" => Some(Section::SymbolNames),
            b".dynsym" => Some(Section::DynamicSymbols),
            b".dynstr" => Some(Section::DynamicNames),
            b".svm_heap" => Some(Section::NativeHeap),
            _ => None,
        }
    }
}

/// A part of the file that is mapped into memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Segment {
    address: u64,
    file: Range<u64>,
    /// Data, not code: where Go's linker puts the build info of a file without sections.
    pub(super) data: bool,
}

/// The parts of an executable.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Binary {
    sections: Vec<(Section, Range<u64>)>,
    segments: Vec<Segment>,
    /// Compressed by UPX, which leaves nothing to read.
    pub(super) packed: bool,
}

impl Binary {
    /// Reads headers. Those that are broken or beyond `bytes` are left out.
    pub(super) fn parse(bytes: &[u8]) -> Self {
        match bytes.get(..4) {
            Some(b"\x7fELF") => elf::parse(bytes),
            Some([b'M', b'Z', ..]) => pe::parse(bytes),
            _ => macho::parse(bytes),
        }
    }

    /// The bytes of the sections of one kind.
    pub(super) fn sections<'a>(&self, kind: Section, bytes: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        self.sections.iter().filter(move |(k, _)| *k == kind).filter_map(|(_, range)| part(bytes, range))
    }

    /// Whether it has a section of a kind.
    pub(super) fn has(&self, kind: Section) -> bool {
        self.sections.iter().any(|(k, _)| *k == kind)
    }

    /// Whether Go's linker made it.
    pub(super) fn is_go(&self) -> bool {
        self.sections.iter().any(|(kind, _)| matches!(kind, Section::Go | Section::GoBuildInfo))
    }

    /// Where in the file the build info is to be looked for: its section, then segments of data.
    pub(super) fn build_info(&self) -> impl Iterator<Item = Range<u64>> {
        let sections = self.sections.iter().filter(|(kind, _)| *kind == Section::GoBuildInfo).map(|(_, range)| range);
        let segments = self.segments.iter().filter(|segment| segment.data).map(|segment| &segment.file);
        sections.chain(segments).cloned()
    }

    /// The bytes that a program finds at an address, to the end of its segment.
    pub(super) fn at<'a>(&self, address: u64, bytes: &'a [u8]) -> Option<&'a [u8]> {
        self.segments.iter().find_map(|segment| {
            let offset = segment.file.start.checked_add(address.checked_sub(segment.address)?)?;
            part(bytes, &(offset..segment.file.end))
        })
    }

    fn add_section(&mut self, name: &[u8], offset: u64, size: u64) {
        if let (Some(kind), true) = (Section::named(name), self.sections.len() < MAX_PARTS) {
            self.sections.push((kind, offset..offset.saturating_add(size)));
        }
    }

    fn add_segment(&mut self, address: u64, offset: u64, size: u64, data: bool) {
        if size > 0 && self.segments.len() < MAX_PARTS {
            self.segments.push(Segment { address, file: offset..offset.saturating_add(size), data });
        }
    }
}

/// A part of the file, cut at its end; `None` when nothing is left.
pub(super) fn part<'a>(bytes: &'a [u8], range: &Range<u64>) -> Option<&'a [u8]> {
    let start = usize::try_from(range.start).ok()?;
    let end = usize::try_from(range.end).unwrap_or(usize::MAX).min(bytes.len());
    bytes.get(start..end).filter(|part| !part.is_empty())
}

/// Numbers of a header in its own byte order.
#[derive(Debug, Clone, Copy)]
struct HeaderFields<'a> {
    bytes: &'a [u8],
    big_endian: bool,
    /// Whether addresses have eight bytes.
    wide: bool,
}

impl<'a> HeaderFields<'a> {
    /// The header that begins at an offset.
    fn from(&self, offset: u64) -> Option<HeaderFields<'a>> {
        Some(HeaderFields { bytes: self.bytes.get(usize::try_from(offset).ok()?..)?, ..*self })
    }

    fn number(&self, at: usize, size: usize) -> Option<u64> {
        number(self.bytes, at, size, self.big_endian)
    }

    fn u16(&self, at: usize) -> Option<u64> {
        self.number(at, 2)
    }

    fn u32(&self, at: usize) -> Option<u64> {
        self.number(at, 4)
    }

    /// An address or size: at `wide` in files of 64 bits, at `narrow` in those of 32.
    fn word(&self, narrow: usize, wide: usize) -> Option<u64> {
        if self.wide { self.number(wide, 8) } else { self.number(narrow, 4) }
    }

    /// Text up to the first zero, in a field of fixed size.
    fn name(&self, at: usize, size: usize) -> Option<&'a [u8]> {
        slice(self.bytes, at, size)?.split(|byte| *byte == 0).next()
    }
}
