use super::*;
use crate::analyze::content::testing::{Class, elf, inline_blob};

const MODULES: &str = "path\ta/cmd\nmod\ta\tv1.0.0\t\ndep\tb\tv1.1.0\th1:x\n";

fn check(what: &str, bytes: &[u8], expected: Option<(&str, &str)>) {
    let found = find(&Binary::parse(bytes), bytes);
    let found = found.as_ref().map(|info| (info.version.as_str(), info.modules.as_str()));
    assert_eq!(found, expected, "{what}");
}

/// Modules as the go command frames them.
fn frame(modules: &str) -> Vec<u8> {
    [MODULES_BEGIN, modules.as_bytes(), MODULES_END].concat()
}

/// A blob at `address` with pointers, and all that they lead to behind it.
fn pointer_blob(class: Class, address: u64, modules: &[u8]) -> Vec<u8> {
    let size = if class.wide { 8 } else { 4 };
    let word = |value: u64| {
        let bytes = value.to_be_bytes()[8 - size..].to_vec();
        if class.big_endian { bytes } else { bytes.into_iter().rev().collect::<Vec<u8>>() }
    };
    let size = u64::try_from(size).unwrap();
    let (headers, texts) = (address + 32, address + 32 + 4 * size);
    let mut out = [MARK, &[u8::try_from(size).unwrap(), u8::from(class.big_endian)]].concat();
    out.extend([word(headers), word(headers + 2 * size)].concat());
    out.resize(32, 0);
    out.extend([word(texts), word(8), word(texts + 8), word(u64::try_from(modules.len()).unwrap())].concat());
    out.extend([b"go1.16.5", modules].concat());
    out
}

#[test]
fn both_forms_in_all_classes() {
    for class in Class::ALL {
        let blob = inline_blob("go1.22.4", &frame(MODULES));
        check("section", &elf(class, &[(".text", b"code"), (".go.buildinfo", &blob)]), Some(("go1.22.4", MODULES)));
        check("without sections", &elf(class, &[("", &blob)]), Some(("go1.22.4", MODULES)));
        let old = pointer_blob(class, Class::ADDRESS, &frame(MODULES));
        check("pointers", &elf(class, &[(".go.buildinfo", &old)]), Some(("go1.16.5", MODULES)));
        check("no modules", &elf(class, &[(".go.buildinfo", &inline_blob("go1.22", b""))]), Some(("go1.22", "")));
    }
}

#[test]
fn variables_by_their_symbols() {
    for class in Class::ALL {
        let blob = inline_blob("go1.26.1", &frame(MODULES));
        let names = b"\0main.version\0main.version.str\0main.long.str\0";
        let symbols = [(1, 0, 16), (14, 0, 7), (31, 0, 1 << 20), (14, 1 << 24, 6), (1 << 20, 0, 6)];
        let table: Vec<u8> =
            symbols.iter().flat_map(|(name, offset, size)| symbol(class, *name, *offset, *size)).collect();
        let parts: [(&str, &[u8]); 4] =
            [(".go.buildinfo", &blob), (".symtab", &table), (".strtab", names), (".rodata", b"12.3.3\0and more")];
        let bytes = elf(class, &parts);
        let found = find(&Binary::parse(&bytes), &bytes).unwrap().variables;
        assert_eq!(found, [("main.version".to_owned(), "12.3.3".to_owned())], "{class:?}");
    }
}

/// An entry of a symbol table: of a name, `offset` bytes into the mapped part.
fn symbol(class: Class, name: u64, offset: u64, size: u64) -> Vec<u8> {
    let number = |value: u64, size: usize| {
        let bytes = value.to_be_bytes()[8 - size..].to_vec();
        if class.big_endian { bytes } else { bytes.into_iter().rev().collect::<Vec<u8>>() }
    };
    let (address, size) = (Class::ADDRESS + offset, size);
    if class.wide {
        [number(name, 4), vec![1, 0, 1, 0], number(address, 8), number(size, 8)].concat()
    } else {
        [number(name, 4), number(address, 4), number(size, 4), vec![1, 0, 1, 0]].concat()
    }
}

#[test]
fn what_is_no_build_info() {
    let class = Class::ALL[0];
    check("none", &elf(class, &[(".text", b"code")]), None);
    check("the mark alone", &elf(class, &[(".go.buildinfo", MARK)]), None);
    let blob = inline_blob("go1.22.4", &frame(MODULES));
    check("not aligned", &elf(class, &[("", &[b"12345678", blob.as_slice()].concat())]), Some(("", MODULES)));
    check("cut", &elf(class, &[("", &blob[..40])]), None);
    check("frame alone", &elf(class, &[(".data", &frame(MODULES))]), Some(("", MODULES)));
}

#[test]
fn a_program_inside_another_is_not_it() {
    let class = Class::ALL[0];
    let other = inline_blob("go1.10", &frame("path\tother\n"));
    let own = inline_blob("go1.22.4", &frame(MODULES));
    let bytes = elf(class, &[(".rodata", &other), (".go.buildinfo", &own)]);
    check("embedded", &bytes, Some(("go1.22.4", MODULES)));
}
