//! ELF: System V gABI, chapters 4 and 5.

use super::{Binary, HeaderFields};

const PT_LOAD: u64 = 1;
const PF_X: u64 = 1;
const PF_W: u64 = 2;
const SHT_NOBITS: u64 = 8;
/// `e_shstrndx` when the number does not fit: the first section header has it.
const SHN_XINDEX: u64 = 0xffff;
/// Section headers: objects with a section for each function have tens of thousands.
const MAX_SECTIONS: u64 = 1 << 20;
/// Program headers fit in two bytes.
const MAX_SEGMENTS: u64 = 0xffff;
/// Bytes within which UPX's mark is: it follows the program headers.
const UPX_WITHIN: usize = 1024;

pub(super) fn parse(bytes: &[u8]) -> Binary {
    let mut out = Binary::default();
    let (Some(class), Some(data)) = (bytes.get(4), bytes.get(5)) else { return out };
    let fields = HeaderFields { bytes, big_endian: *data == 2, wide: *class == 2 };
    let _ = segments(&fields, &mut out);
    let any = sections(&fields, &mut out).unwrap_or_default();
    let head = bytes.get(..UPX_WITHIN).unwrap_or(bytes);
    out.packed = !any && memchr::memmem::find(head, b"UPX!").is_some();
    out
}

fn segments(header: &HeaderFields<'_>, out: &mut Binary) -> Option<()> {
    let (offset, wide) = (header.word(28, 32)?, header.wide);
    let (entry, count) = if wide { (header.u16(54)?, header.u16(56)?) } else { (header.u16(42)?, header.u16(44)?) };
    if entry < if wide { 56 } else { 32 } {
        return None;
    }
    for index in 0..count.min(MAX_SEGMENTS) {
        let program = header.from(offset.checked_add(index.checked_mul(entry)?)?)?;
        if program.u32(0)? != PT_LOAD {
            continue;
        }
        let flags = if wide { program.u32(4)? } else { program.u32(24)? };
        let (offset, address, size) = (program.word(4, 8)?, program.word(8, 16)?, program.word(16, 32)?);
        out.add_segment(address, offset, size, flags & (PF_X | PF_W) == PF_W);
    }
    Some(())
}

/// Reads section headers; whether there are any.
fn sections(header: &HeaderFields<'_>, out: &mut Binary) -> Option<bool> {
    let offset = header.word(32, 40)?;
    if offset == 0 {
        return Some(false);
    }
    let numbers = if header.wide { [58, 60, 62] } else { [46, 48, 50] };
    let [entry, mut count, mut names] = numbers.map(|at| header.u16(at).unwrap_or_default());
    // Overlapping headers would make a small file take long; no linker makes them.
    if entry < if header.wide { 64 } else { 40 } {
        return Some(false);
    }
    let Some(first) = header.from(offset) else { return Some(true) };
    if count == 0 {
        count = first.word(20, 32)?;
    }
    if names == SHN_XINDEX {
        names = if header.wide { first.u32(40)? } else { first.u32(24)? };
    }
    let at = |index: u64| header.from(offset.checked_add(index.checked_mul(entry)?)?);
    let names = header.from(at(names)?.word(16, 24)?)?;
    for index in 0..count.min(MAX_SECTIONS) {
        let Some(section) = at(index) else { break };
        let (Some(name), Some(kind)) = (section.u32(0), section.u32(4)) else { break };
        let name = names.from(name).and_then(|name| name.bytes.get(..32.min(name.bytes.len())));
        let name = name.and_then(|name| name.split(|byte| *byte == 0).next()).unwrap_or_default();
        if kind != SHT_NOBITS {
            out.add_section(name, section.word(16, 24)?, section.word(20, 32)?);
        }
    }
    Some(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyze::content::binary::Section;

    #[test]
    fn overlapping_headers_are_ignored() {
        let check = |entry: u8, expected: usize| {
            let mut file = vec![0; 256];
            file[..6].copy_from_slice(b"\x7fELF\x02\x01");
            for (at, value) in [(40, 64), (58, entry), (60, 2), (62, 1), (64, 1), (128, 1), (152, 192), (160, 16)] {
                file[at] = value;
            }
            file[193..201].copy_from_slice(b".dep-v0\0");
            file[88] = 200;
            file[96] = 8;
            assert_eq!(parse(&file).sections(Section::CargoAudit, &file).count(), expected, "{entry}");
        };
        check(64, 2);
        check(63, 0);
        check(0, 0);
    }
}
