//! Small executables, made here.

/// A class of ELF files.
#[derive(Debug, Clone, Copy)]
pub(in crate::analyze) struct Class {
    pub(super) wide: bool,
    pub(super) big_endian: bool,
}

impl Class {
    pub(in crate::analyze) const ALL: [Class; 4] = [
        Class { wide: true, big_endian: false },
        Class { wide: true, big_endian: true },
        Class { wide: false, big_endian: false },
        Class { wide: false, big_endian: true },
    ];
    /// Where the last part of a file is mapped.
    pub(super) const ADDRESS: u64 = 0x40_0000;

    fn put(self, out: &mut Vec<u8>, value: u64, size: usize) {
        let bytes = value.to_be_bytes()[8 - size..].to_vec();
        out.extend(if self.big_endian { bytes } else { bytes.into_iter().rev().collect() });
    }

    fn words(self, out: &mut Vec<u8>, values: &[u64]) {
        values.iter().for_each(|value| self.put(out, *value, if self.wide { 8 } else { 4 }));
    }
}

fn number(length: usize) -> u64 {
    u64::try_from(length).unwrap()
}

/// An ELF file of these sections, the last one in a segment of data. With one part without a name it has no sections.
pub(in crate::analyze) fn elf(class: Class, parts: &[(&str, &[u8])]) -> Vec<u8> {
    let with_sections = parts.iter().any(|(name, _)| !name.is_empty());
    let (header, program, section): (usize, usize, usize) = if class.wide { (64, 56, 64) } else { (52, 32, 40) };
    let mut names = vec![0_u8];
    let mut bodies: Vec<u8> = Vec::new();
    let mut places = Vec::new();
    let begin = (header + program).next_multiple_of(16);
    for (name, body) in parts {
        bodies.resize(bodies.len().next_multiple_of(16), 0);
        places.push((number(names.len()), number(begin + bodies.len()), number(body.len())));
        names.extend(name.as_bytes());
        names.push(0);
        bodies.extend(*body);
    }
    let (_, offset, size) = *places.last().unwrap();
    places.push((0, number(begin + bodies.len()), number(names.len())));
    bodies.extend(&names);
    let table = if with_sections { number(begin + bodies.len()) } else { 0 };
    let count = if with_sections { number(places.len() + 1) } else { 0 };

    let mut out = vec![0x7f, b'E', b'L', b'F', if class.wide { 2 } else { 1 }, if class.big_endian { 2 } else { 1 }, 1];
    out.resize(16, 0);
    [2, 62].iter().for_each(|v| class.put(&mut out, *v, 2));
    class.put(&mut out, 1, 4);
    class.words(&mut out, &[0, number(header), table]);
    class.put(&mut out, 0, 4);
    for value in [number(header), number(program), 1, number(section), count, count.saturating_sub(1)] {
        class.put(&mut out, value, 2);
    }
    class.put(&mut out, 1, 4);
    if class.wide {
        class.put(&mut out, 6, 4);
        class.words(&mut out, &[offset, Class::ADDRESS, 0, size, size, 16]);
    } else {
        class.words(&mut out, &[offset, Class::ADDRESS, 0, size, size, 6, 16]);
    }
    out.resize(begin, 0);
    out.extend(bodies);
    if with_sections {
        out.resize(out.len() + section, 0);
        for (name, offset, size) in places {
            class.put(&mut out, name, 4);
            class.put(&mut out, 1, 4);
            class.words(&mut out, &[0, 0, offset, size]);
            class.put(&mut out, 0, 4);
            class.put(&mut out, 0, 4);
            class.words(&mut out, &[1, 0]);
        }
    }
    out
}

/// Build info as Go writes it since 1.18.
pub(in crate::analyze) fn inline_blob(version: &str, modules: &[u8]) -> Vec<u8> {
    let mut out = b"\xff Go buildinf:\x08\x02".to_vec();
    out.resize(32, 0);
    for text in [version.as_bytes(), modules] {
        let mut length = text.len();
        while length >= 0x80 {
            out.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
            length >>= 7;
        }
        out.push(u8::try_from(length).unwrap());
        out.extend(text);
    }
    out
}

/// A Go program with these modules.
pub(in crate::analyze) fn go_program(version: &str, modules: &str) -> Vec<u8> {
    let framed = [&[b'<'; 16], modules.as_bytes(), &[b'>'; 16]].concat();
    elf(Class::ALL[0], &[(".text", b"code"), (".go.buildinfo", &inline_blob(version, &framed))])
}
