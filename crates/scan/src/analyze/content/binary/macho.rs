//! Mach-O: Apple's `mach-o/loader.h` and `mach-o/fat.h`.

use super::{Binary, HeaderFields, part};

const LC_SEGMENT: u64 = 1;
const LC_SEGMENT_64: u64 = 0x19;
/// Readable and writable, not executable.
const PROT_RW: u64 = 3;
/// Load commands, and sections of one segment: real files have a few dozen.
const MAX_COMMANDS: u64 = 4096;
const MAX_SECTIONS: u64 = 1024;
/// Architectures in one file. A Java class begins with the same bytes, followed by a version of 45 or more.
pub(crate) const MAX_SLICES: u32 = 44;

pub(super) fn parse(bytes: &[u8]) -> Binary {
    let mut out = Binary::default();
    let (big_endian, wide) = match bytes.get(..4) {
        Some([0xfe, 0xed, 0xfa, 0xce]) => (true, false),
        Some([0xfe, 0xed, 0xfa, 0xcf]) => (true, true),
        Some([0xce, 0xfa, 0xed, 0xfe]) => (false, false),
        Some([0xcf, 0xfa, 0xed, 0xfe]) => (false, true),
        _ => return out,
    };
    let _ = commands(&HeaderFields { bytes, big_endian, wide }, &mut out);
    out
}

fn commands(header: &HeaderFields<'_>, out: &mut Binary) -> Option<()> {
    let count = header.u32(16)?;
    let mut command = header.from(if header.wide { 32 } else { 28 })?;
    for _ in 0..count.min(MAX_COMMANDS) {
        let (kind, size) = (command.u32(0)?, command.u32(4)?);
        if kind == LC_SEGMENT || kind == LC_SEGMENT_64 {
            let _ = segment(&HeaderFields { wide: kind == LC_SEGMENT_64, ..command }, out);
        }
        // No command is shorter than its own head, so that the loop always moves on.
        command = command.from(size.max(8))?;
    }
    Some(())
}

fn segment(command: &HeaderFields<'_>, out: &mut Binary) -> Option<()> {
    let (address, offset, size) = (command.word(24, 24)?, command.word(32, 40)?, command.word(36, 48)?);
    let [prot, sections] = if command.wide { [60, 64] } else { [44, 48] }.map(|at| command.u32(at).unwrap_or_default());
    out.add_segment(address, offset, size, prot == PROT_RW);
    let (head, each) = if command.wide { (72, 80) } else { (56, 68) };
    for index in 0..sections.min(MAX_SECTIONS) {
        let section = command.from(head + index * each)?;
        let offset = section.u32(if command.wide { 48 } else { 40 })?;
        out.add_section(section.name(0, 16)?, offset, section.word(36, 40)?);
    }
    Some(())
}

/// The files for single architectures in a universal one; a plain file is its own only one.
pub(crate) fn slices(bytes: &[u8]) -> Vec<&[u8]> {
    let wide = match bytes.get(..4) {
        Some([0xca, 0xfe, 0xba, 0xbe]) => false,
        Some([0xca, 0xfe, 0xba, 0xbf]) => true,
        _ => return vec![bytes],
    };
    let header = HeaderFields { bytes, big_endian: true, wide };
    let count = header.u32(4).unwrap_or_default().min(MAX_SLICES.into());
    (0..count).filter_map(|index| slice(&header, index)).collect()
}

fn slice<'a>(header: &HeaderFields<'a>, index: u64) -> Option<&'a [u8]> {
    let arch = header.from(8 + index * if header.wide { 32 } else { 20 })?;
    let (offset, size) = (arch.word(8, 8)?, arch.word(12, 16)?);
    part(header.bytes, &(offset..offset.saturating_add(size)))
}
