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
        let size = if fields_of(bytes, bytes).wide { 24 } else { 16 };
        let entries = table.chunks_exact(size).map(|entry| fields_of(entry, bytes));
        entries.filter_map(|entry| self.symbol(&entry, names, bytes, &wanted)).collect()
    }

    /// The bytes at a symbol of this name, to the end of its segment: some compilers record no sizes.
    pub(in crate::analyze::content) fn symbol_bytes<'a>(&self, bytes: &'a [u8], name: &str) -> Option<&'a [u8]> {
        self.at(self.address(bytes, name)?, bytes)
    }

    /// The number of eight bytes at a symbol, a length.
    pub(in crate::analyze::content) fn length_at(&self, bytes: &[u8], name: &str) -> Option<usize> {
        let number = HeaderFields { bytes: self.symbol_bytes(bytes, name)?, ..fields_of(bytes, bytes) }.number(0, 8)?;
        usize::try_from(number).ok()
    }

    /// The address of a symbol of this name, of those for other files first: there are fewer.
    fn address(&self, bytes: &[u8], name: &str) -> Option<u64> {
        let tables = [(Section::DynamicSymbols, Section::DynamicNames), (Section::Symbols, Section::SymbolNames)];
        tables.into_iter().find_map(|(symbols, names)| self.address_in(bytes, symbols, names, name))
    }

    fn address_in(&self, bytes: &[u8], symbols: Section, names: Section, name: &str) -> Option<u64> {
        let (table, names) = (self.sections(symbols, bytes).next()?, self.sections(names, bytes).next()?);
        let size = if fields_of(bytes, bytes).wide { 24 } else { 16 };
        let mut entries = table.chunks_exact(size).map(|entry| fields_of(entry, bytes));
        entries.find_map(|entry| address_of(&entry, names, name))
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

/// An entry of a table, in the byte order and the class of a file.
fn fields_of<'a>(entry: &'a [u8], file: &[u8]) -> HeaderFields<'a> {
    HeaderFields { bytes: entry, big_endian: file.get(5) == Some(&2), wide: file.get(4) == Some(&2) }
}

/// The address of an entry, if it has this name.
fn address_of(entry: &HeaderFields<'_>, names: &[u8], wanted: &str) -> Option<u64> {
    let name = names.get(usize::try_from(entry.u32(0)?).ok()?..)?;
    let is_wanted = name.strip_prefix(wanted.as_bytes()).is_some_and(|rest| rest.first() == Some(&0));
    is_wanted.then(|| entry.word(4, 8)).flatten()
}
