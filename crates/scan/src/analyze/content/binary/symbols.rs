//! The symbols of an ELF file (System V gABI, "Symbol Table").

use super::{Binary, HeaderFields, Section};

/// Bytes of a name, at most.
const MAX_NAME: usize = 512;

impl Binary {
    /// The symbols whose names `wanted` accepts, each with the bytes that it names.
    pub(in crate::analyze::content) fn symbols<'a>(
        &self,
        bytes: &'a [u8],
        wanted: impl Fn(&str) -> bool,
    ) -> Vec<(&'a str, &'a [u8])> {
        let table = self.sections(Section::Symbols, bytes).next().unwrap_or_default();
        let names = self.sections(Section::SymbolNames, bytes).next().unwrap_or_default();
        let wide = bytes.get(4) == Some(&2);
        let fields = |entry: &'a [u8]| HeaderFields { bytes: entry, big_endian: bytes.get(5) == Some(&2), wide };
        let entries = table.chunks_exact(if wide { 24 } else { 16 }).map(fields);
        entries.filter_map(|entry| self.symbol(&entry, names, bytes, &wanted)).collect()
    }

    fn symbol<'a>(
        &self,
        entry: &HeaderFields<'_>,
        names: &'a [u8],
        bytes: &'a [u8],
        wanted: &impl Fn(&str) -> bool,
    ) -> Option<(&'a str, &'a [u8])> {
        let name = names.get(usize::try_from(entry.u32(0)?).ok()?..)?;
        let name = name.get(..MAX_NAME).unwrap_or(name).split(|byte| *byte == 0).next()?;
        let name = std::str::from_utf8(name).ok().filter(|name| wanted(name))?;
        let (address, size) =
            if entry.wide { (entry.word(8, 8)?, entry.word(16, 16)?) } else { (entry.u32(4)?, entry.u32(8)?) };
        Some((name, self.at(address, bytes)?.get(..usize::try_from(size).ok()?)?))
    }
}
