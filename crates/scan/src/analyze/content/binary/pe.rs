//! PE: Microsoft's "PE Format", sections "COFF File Header", "Optional Header" and "Section Table".

use super::{Binary, HeaderFields};

const PE32_PLUS: u64 = 0x20b;
const INITIALIZED_DATA: u64 = 0x40;
const MEM_EXECUTE: u64 = 0x2000_0000;
const MEM_WRITE: u64 = 0x8000_0000;
const SECTION_BYTES: u64 = 40;

pub(super) fn parse(bytes: &[u8]) -> Binary {
    let mut out = Binary::default();
    let _ = sections(&HeaderFields { bytes, big_endian: false, wide: false }, &mut out);
    out
}

fn sections(dos: &HeaderFields<'_>, out: &mut Binary) -> Option<()> {
    let header = dos.from(dos.u32(0x3c)?)?;
    if !header.bytes.starts_with(b"PE\0\0") {
        return None;
    }
    let (count, optional_bytes) = (header.u16(6)?, header.u16(20)?);
    let optional = header.from(24)?;
    let base = if optional.u16(0)? == PE32_PLUS { optional.number(24, 8)? } else { optional.u32(28)? };
    for index in 0..count {
        let section = optional.from(optional_bytes.checked_add(index.checked_mul(SECTION_BYTES)?)?)?;
        let name = section.name(0, 8)?;
        let [virtual_size, address, size, offset] = [8, 12, 16, 20].map(|at| section.u32(at).unwrap_or_default());
        let flags = section.u32(36)?;
        let data = flags & (INITIALIZED_DATA | MEM_WRITE | MEM_EXECUTE) == INITIALIZED_DATA | MEM_WRITE;
        out.packed |= name.starts_with(b"UPX0");
        // What is stored is padded; what is padded is not part of the section.
        out.add_section(name, offset, if virtual_size == 0 { size } else { size.min(virtual_size) });
        out.add_segment(base.saturating_add(address), offset, size, data);
    }
    Some(())
}
