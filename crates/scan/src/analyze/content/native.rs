//! Java programs that GraalVM compiled ahead of time: the compiler may leave an SBOM in them (GraalVM, "Software Bill of
//! Materials in Native Image"), compressed by gzip, at the symbol `sbom`, with its size at `sbom_length`. Without one, what
//! the program has built in cannot be seen.

use super::binary::{Binary, Section};
use crate::analyze::{ParsedFile, sbom, unreadable};
use flate2::read::GzDecoder;
use memchr::memmem;
use std::io::Read as _;

/// In the table of names of every such program: a symbol, and a section.
const VERSION: &[u8] = b"\0__svm_version_info\0";
const HEAP: &[u8] = b"\0.svm_heap\0";
/// In that of a program with an SBOM.
const LENGTH: &[u8] = b"\0sbom_length\0";
/// The beginning of a file of gzip that is compressed by deflate (RFC 1952 §2.3).
const GZIP: &[u8] = b"\x1f\x8b\x08";
/// Bytes of an SBOM, unpacked: one of 20,000 components has four million.
const MAX_SBOM: u64 = 16 << 20;
/// Bytes at the beginning of an SBOM within which its format is named.
const HEAD: u64 = 256;
/// Places that look like gzip and are tried in one program.
const MAX_PLACES: usize = 1000;

/// The packages of a program in memory.
pub(super) fn packages(path: &str, binary: &Binary, bytes: &[u8]) -> ParsedFile {
    let names = || binary.sections(Section::SymbolNames, bytes).chain(binary.sections(Section::DynamicNames, bytes));
    let has = |name: &[u8]| names().any(|names| memmem::find(names, name).is_some());
    // Cheaper than reading the symbols of every program.
    let json = if has(LENGTH) { embedded(binary, bytes) } else { None };
    match json {
        Some(json) => sbom::of_java(path, &json),
        None if binary.has(Section::NativeHeap) || has(VERSION) => without_sbom(path),
        None => ParsedFile::default(),
    }
}

fn embedded(binary: &Binary, bytes: &[u8]) -> Option<Vec<u8>> {
    let length = binary.length_at(bytes, "sbom_length")?;
    let packed = binary.symbol_bytes(bytes, "sbom")?;
    unpacked(packed.get(..length)?, MAX_SBOM)
}

fn unpacked(packed: &[u8], max: u64) -> Option<Vec<u8>> {
    let mut json = Vec::new();
    let read = GzDecoder::new(packed).take(max + 1).read_to_end(&mut json).ok()?;
    u64::try_from(read).is_ok_and(|read| read <= max).then_some(json)
}

fn without_sbom(path: &str) -> ParsedFile {
    let cause = "this Java program was compiled by GraalVM without an SBOM (--enable-sbom)";
    ParsedFile { gaps: vec![unreadable(path, cause)], ..ParsedFile::default() }
}

/// Searches a program that is too large to buffer, window by window: there an SBOM is recognised by its first bytes, because
/// the symbols come after it.
#[derive(Debug)]
pub(super) struct NativeImageSearch<'p> {
    path: &'p str,
    is_native_image: bool,
    /// There is a symbol of an SBOM.
    has_sbom: bool,
    json: Option<Vec<u8>>,
    places: usize,
}

impl<'p> NativeImageSearch<'p> {
    pub(super) fn new(path: &'p str) -> Self {
        NativeImageSearch { path, is_native_image: false, has_sbom: false, json: None, places: 0 }
    }

    /// Looks at a part of the file: for what begins in its first `new` bytes.
    pub(super) fn part(&mut self, window: &[u8], new: usize) {
        let has = |mark: &[u8]| memmem::find(window, mark).is_some();
        self.is_native_image |= has(VERSION) || has(HEAP);
        self.has_sbom |= has(LENGTH);
        if self.json.is_some() || self.places > MAX_PLACES {
            return;
        }
        for at in memmem::find_iter(window, GZIP).take_while(|at| *at < new) {
            self.places += 1;
            let packed = window.get(at..).filter(|packed| is_sbom(packed));
            self.json = packed.and_then(|packed| unpacked(packed, MAX_SBOM));
            if self.json.is_some() || self.places > MAX_PLACES {
                return;
            }
        }
    }

    pub(super) fn result(self) -> ParsedFile {
        match self.json {
            Some(json) if self.has_sbom => sbom::of_java(self.path, &json),
            _ if self.is_native_image => without_sbom(self.path),
            _ => ParsedFile::default(),
        }
    }
}

/// Whether some compressed bytes begin like CycloneDX.
fn is_sbom(packed: &[u8]) -> bool {
    let mut head = Vec::new();
    let _ = GzDecoder::new(packed).take(HEAD).read_to_end(&mut head);
    head.starts_with(b"{") && memmem::find(&head, b"\"CycloneDX\"").is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyze::content::testing::{Class, elf};
    use crate::analyze::listing::summary;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write as _;

    const PURL: &str = r#"{"type":"library","group":"org.acme","name":"parser","version":"1.0.0","purl":"pkg:maven/org.acme/parser@1.0.0"}"#;
    const PLAIN: &str = r#"{"type":"library","group":"io.netty","name":"netty-codec","version":"4.1.76.Final"}"#;

    /// One entry of a table of symbols: where its name is, and its address.
    fn symbol(name: u32, address: u64) -> Vec<u8> {
        [&name.to_le_bytes()[..], &[0x11, 0, 1, 0], &address.to_le_bytes(), &0_u64.to_le_bytes()].concat()
    }

    /// A program of 64 bits with these components in its SBOM; the length is first, so that its address is known.
    fn program(component: &str, tables: (&str, &str), damage: u64) -> Vec<u8> {
        let json = format!(r#"{{"bomFormat":"CycloneDX","specVersion":"1.5","components":[{component}]}}"#);
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        gzip.write_all(json.as_bytes()).unwrap();
        let gzip = gzip.finish().unwrap();
        let heap = [&(u64::try_from(gzip.len()).unwrap() + damage).to_le_bytes()[..], &gzip].concat();
        let names = b"\0sbom\0sbom_length\0__svm_version_info\0";
        let symbols = [symbol(0, 0), symbol(6, Class::ADDRESS), symbol(1, Class::ADDRESS + 8)].concat();
        elf(Class::ALL[0], &[(tables.0, &symbols), (tables.1, names), (".svm_heap", &heap)])
    }

    #[test]
    fn embedded_sboms_are_read() {
        let check = |bytes: &[u8], expected: &str, gaps: usize| {
            let found = packages("app", &Binary::parse(bytes), bytes);
            assert_eq!(summary(&found), (expected.to_owned(), gaps));
        };
        let (all, exported) = ((".symtab", ".strtab"), (".dynsym", ".dynstr"));
        check(&program(PURL, exported, 0), "org.acme:parser 1.0.0", 0);
        check(&program(PURL, all, 0), "org.acme:parser 1.0.0", 0);
        check(&program(PLAIN, exported, 0), "io.netty:netty-codec 4.1.76.Final", 0);
        check(&program(PURL, exported, 1 << 40), "", 1);
        check(&elf(Class::ALL[0], &[(".svm_heap", b"no symbols")]), "", 1);
        check(&elf(Class::ALL[0], &[(".data", b"sbom")]), "", 0);
    }

    #[test]
    fn sboms_are_found_in_windows() {
        let check = |bytes: &[u8], expected: &str, gaps: usize| {
            for step in [bytes.len(), 100] {
                let mut search = NativeImageSearch::new("app");
                for start in (0..bytes.len()).step_by(step) {
                    search.part(&bytes[start..(start + step + 400).min(bytes.len())], step);
                }
                assert_eq!(summary(&search.result()), (expected.to_owned(), gaps));
            }
        };
        let bytes = program(PURL, (".dynsym", ".dynstr"), 0);
        check(&bytes, "org.acme:parser 1.0.0", 0);
        check(&[b"\x1f\x8b\x08 not gzip".as_slice(), &bytes].concat(), "org.acme:parser 1.0.0", 0);
        check(&elf(Class::ALL[0], &[(".svm_heap", &[0; 500])]), "", 1);
        check(&elf(Class::ALL[0], &[(".text", &[0; 500])]), "", 0);
    }
}
