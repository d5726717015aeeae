//! The tar reader against what Go's `archive/tar` makes of the same bytes: each expectation was read off Go.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::io::Read;
use tidewaiter_archive::tar::{HEADER_BYTES, TarEntryKind, TarReader};
use tidewaiter_testkit::layer::{LayerBuilder, LayerCompression, entry, header, padded, pax};

/// "kind path size content" of each entry, or the error at the end.
fn read(tar: &[u8]) -> Vec<String> {
    let mut reader = TarReader::new(tar, HEADER_BYTES);
    let mut out = Vec::new();
    loop {
        match reader.next_entry() {
            Ok(None) => return out,
            Err(error) => {
                out.push(format!("error {error}"));
                return out;
            }
            Ok(Some(entry)) => {
                let mut content = Vec::new();
                let read = reader.read_to_end(&mut content).map(|_| String::from_utf8_lossy(&content).into_owned());
                let kind = match entry.kind {
                    TarEntryKind::File => "file".to_owned(),
                    TarEntryKind::Directory => "dir".to_owned(),
                    TarEntryKind::Symlink(to) => format!("symlink({to})"),
                    TarEntryKind::Hardlink(to) => format!("link({to})"),
                    TarEntryKind::Other => "other".to_owned(),
                };
                out.push(format!("{kind} {} {} {}", entry.path, entry.size, read.unwrap_or_else(|e| e.to_string())));
            }
        }
    }
}

fn check(what: &str, parts: &[&[u8]], expected: &[&str]) {
    assert_eq!(read(&parts.concat()), expected, "{what}");
}

fn field(at: usize, bytes: &[u8]) -> impl FnOnce(&mut [u8; 512]) {
    move |block| block[at..at + bytes.len()].copy_from_slice(bytes)
}

#[test]
fn headers() {
    let body = padded(b"abc");
    let a = entry(b'0', "a", b"abc");
    check("plain", &[&a, &[0; 1024]], &["file a 3 abc"]);
    check("without an end", &[&a], &["file a 3 abc"]);
    check("one zero block at the end", &[&a, &[0; 512]], &["file a 3 abc"]);
    check(
        "a lone zero block inside",
        &[&a, &[0; 512], &a],
        &["file a 3 abc", "error its tar is corrupt: a lone zero block inside"],
    );
    check("what follows the end", &[&a, &[0; 1024], b"garbage"], &["file a 3 abc"]);
    check("no padding at the end", &[&a[..515]], &["file a 3 abc"]);
    check("a cut header", &[&a[..100]], &["error its tar is corrupt: it ends inside a header"]);
    check("prefix", &[&header(b'0', "b", 3, field(345, b"a")), &body], &["file a/b 3 abc"]);
    let v7 = |block: &mut [u8; 512]| block[257..265].fill(0);
    check("v7 file", &[&header(0, "a", 3, v7), &body], &["file a 3 abc"]);
    check("v7 directory has no content", &[&header(0, "a/", 3, v7), &a], &["dir a/ 0 ", "file a 3 abc"]);
    check("a slash makes no directory of a ustar file", &[&header(b'0', "a/", 3, |_| {}), &body], &["file a/ 3 abc"]);
    check(
        "links have no content",
        &[&header(b'2', "a", 512, field(157, b"x")), &a],
        &["symlink(x) a 0 ", "file a 3 abc"],
    );
    check("contiguous", &[&entry(b'7', "a", b"abc")], &["file a 3 abc"]);
    check("unknown types are skipped whole", &[&entry(b'V', "v", b"abc"), &a], &["other v 3 abc", "file a 3 abc"]);
    let star = |block: &mut [u8; 512]| {
        block[345] = b'p';
        block[476..480].copy_from_slice(b"time");
        block[508..512].copy_from_slice(b"tar\0");
    };
    check("star prefix", &[&header(b'0', "a", 3, star), &body], &["file p/a 3 abc"]);
    let gnu_times = |block: &mut [u8; 512]| {
        block[257..265].copy_from_slice(b"ustar  \0");
        block[345..357].copy_from_slice(b"00000000001\0");
    };
    check("GNU times are no prefix", &[&header(b'0', "a", 3, gnu_times), &body], &["file a 3 abc"]);
    let gnu_prefix = |block: &mut [u8; 512]| {
        block[257..265].copy_from_slice(b"ustar  \0");
        block[345..348].copy_from_slice(b"dir");
    };
    check("a prefix that old Go wrote", &[&header(b'0', "a", 3, gnu_prefix), &body], &["file dir/a 3 abc"]);
}

#[test]
fn numbers() {
    let body = padded(b"abc");
    let size = |bytes: &[u8]| [header(b'0', "a", 0, field(124, bytes)), body.clone()].concat();
    check("spaces", &[&size(b"         3 \0")], &["file a 3 abc"]);
    check("leading NULs", &[&size(b"\0\0\0\x33\0\0\0\0\0\0\0\0")], &["file a 3 abc"]);
    check("base-256", &[&size(b"\x80\0\0\0\0\0\0\0\0\0\0\x03")], &["file a 3 abc"]);
    check("negative", &[&size(&[0xff; 12])], &["error its tar is corrupt: a negative size"]);
    check("too large", &[&size(b"\x80\0\0\x01\0\0\0\0\0\0\0\0")], &["error its tar is corrupt: a number in a header"]);
    check("no number", &[&size(b"12345678912\0")], &["error its tar is corrupt: a number in a header"]);
    let negative_dir = header(b'5', "d", 0, field(124, &[0xff; 12]));
    check("a directory's size does not matter", &[&negative_dir], &["dir d 0 "]);
    check(
        "content that ends early",
        &[&size(b"00000002000\0")],
        &["file a 1024 its tar ends inside an entry", "error its tar is corrupt: it ends inside an entry"],
    );
}

#[test]
fn extended_headers() {
    let a = entry(b'0', "a", b"abc");
    let x = |records: &[(&str, &[u8])]| pax(b'x', records);
    check(
        "path and link",
        &[&x(&[("path", b"p"), ("linkpath", b"l")]), &header(b'1', "a", 0, |_| {})],
        &["link(l) p 0 "],
    );
    check("size", &[&x(&[("size", b"3")]), &header(b'0', "a", 0, |_| {}), &padded(b"abc")], &["file a 3 abc"]);
    check("an empty value keeps the header's", &[&x(&[("path", b"")]), &a], &["file a 3 abc"]);
    check("the last record counts", &[&x(&[("path", b"p"), ("path", b"q")]), &a], &["file q 3 abc"]);
    check(
        "binary attributes",
        &[&x(&[("SCHILY.xattr.security.capability", b"\x01\0\0\x02\0")]), &a],
        &["file a 3 abc"],
    );
    check("a path with NUL", &[&x(&[("path", b"p\0q")]), &a], &["error its tar is corrupt: a PAX record"]);
    check("negative size", &[&x(&[("size", b"-1")]), &a], &["error its tar is corrupt: a negative size"]);
    check("global headers are not applied", &[&pax(b'g', &[("path", b"g"), ("size", b"1")]), &a], &["file a 3 abc"]);
    check(
        "a global header drops what is pending",
        &[&x(&[("path", b"p")]), &pax(b'g', &[("comment", b"c")]), &a],
        &["file a 3 abc"],
    );
    check(
        "a second header replaces the first",
        &[&x(&[("path", b"p")]), &x(&[("mtime", b"1")]), &a],
        &["file a 3 abc"],
    );
    let (name, link) = (entry(b'L', "x", b"long\0"), entry(b'K', "x", b"target\0"));
    check("GNU long names", &[&name, &link, &header(b'2', "a", 0, |_| {})], &["symlink(target) long 0 "]);
    check("a GNU long name wins over PAX", &[&x(&[("path", b"p")]), &name, &a], &["file long 3 abc"]);
    check(
        "a long name may mark a v7 directory",
        &[&entry(b'L', "x", b"d/\0"), &header(0, "a", 3, |_| {}), &a],
        &["dir d/ 0 ", "file a 3 abc"],
    );
    let bad = |content: &[u8]| [entry(b'x', "x", content), a.clone()].concat();
    for content in [&b"5 a=b"[..], b"99 path=x\n", b"x path=x\n", b"9 path x\n", b"5 =ab\n"] {
        check("a bad record", &[&bad(content)], &["error its tar is corrupt: a PAX record"]);
    }
    let huge = vec![b'a'; (1 << 20) + 1];
    check("an endless name", &[&entry(b'L', "x", &huge)], &["error a path or header exceeds 1048576 bytes"]);
}

#[test]
fn paths_that_differ_stay_different() {
    let named = |bytes: &[u8]| [header(b'0', "", 0, field(0, bytes))].concat();
    let found = read(&[named(b"\xfe"), named(b"\xff"), named("\u{fffd}ff".as_bytes())].concat());
    let distinct: std::collections::BTreeSet<&String> = found.iter().collect();
    assert_eq!(distinct.len(), 3, "{found:?}");
}

/// Every sparse format for one file: "AB", four holes, "CD", two holes.
fn sparse_files(name: &str) -> Vec<(&'static str, Vec<u8>)> {
    let data = padded(b"ABCD");
    let x = |records: &[(&str, &[u8])], size: u64, body: &[u8]| {
        [pax(b'x', records), header(b'0', "GNUSparseFile.0/f", size, |_| {}), body.to_vec()].concat()
    };
    let name = name.as_bytes();
    let zero = x(
        &[
            ("path", name),
            ("GNU.sparse.size", b"10"),
            ("GNU.sparse.numblocks", b"2"),
            ("GNU.sparse.offset", b"0"),
            ("GNU.sparse.numbytes", b"2"),
            ("GNU.sparse.offset", b"6"),
            ("GNU.sparse.numbytes", b"2"),
        ],
        4,
        &data,
    );
    let one = x(
        &[
            ("GNU.sparse.name", name),
            ("GNU.sparse.size", b"10"),
            ("GNU.sparse.numblocks", b"2"),
            ("GNU.sparse.map", b"0,2,6,2"),
        ],
        4,
        &data,
    );
    let newest = x(
        &[
            ("GNU.sparse.name", name),
            ("GNU.sparse.realsize", b"10"),
            ("GNU.sparse.major", b"1"),
            ("GNU.sparse.minor", b"0"),
        ],
        516,
        &[padded(b"2\n0\n2\n6\n2\n"), data.clone()].concat(),
    );
    let old = |extended: u8| {
        move |block: &mut [u8; 512]| {
            block[257..265].copy_from_slice(b"ustar  \0");
            block[386..410].copy_from_slice(b"00000000000\x0000000000002\0");
            if extended == 0 {
                block[410..434].copy_from_slice(b"00000000006\x0000000000002\0");
            }
            block[482] = extended;
            block[483..495].copy_from_slice(b"00000000012\0");
        }
    };
    let mut block = [0; 512];
    block[..24].copy_from_slice(b"00000000006\x0000000000002\0");
    let name = std::str::from_utf8(name).unwrap();
    vec![
        ("PAX 0.0", zero),
        ("PAX 0.1", one),
        ("PAX 1.0", newest),
        ("old GNU", [header(b'S', name, 4, old(0)), data.clone()].concat()),
        ("old GNU, extended", [header(b'S', name, 4, old(1)), block.to_vec(), data].concat()),
    ]
}

#[test]
fn sparse_files_are_expanded() {
    let after = entry(b'0', "after", b"x");
    for (format, bytes) in sparse_files("f") {
        check(format, &[&bytes, &after], &["file f 10 AB\0\0\0\0CD\0\0", "file after 1 x"]);
        // Whoever does not read the content comes to the next entry all the same.
        let tar = [bytes.as_slice(), &after].concat();
        let mut reader = TarReader::new(tar.as_slice(), HEADER_BYTES);
        reader.next_entry().unwrap();
        assert_eq!(reader.next_entry().unwrap().unwrap().path, "after", "{format}");
    }
    let bad = pax(b'x', &[("GNU.sparse.size", b"10"), ("GNU.sparse.numblocks", b"1"), ("GNU.sparse.map", b"0,20")]);
    check("a map beyond the file", &[&bad, &after], &["error its tar is corrupt: a sparse file's map"]);
    let unknown = pax(b'x', &[("GNU.sparse.major", b"9"), ("GNU.sparse.minor", b"0"), ("GNU.sparse.size", b"9")]);
    check("an unknown format is an ordinary file", &[&unknown, &after], &["file after 1 x"]);
}

#[test]
fn own_reader_agrees_with_another_one() {
    let long = format!("{}/x", "d".repeat(180));
    let layer = LayerBuilder::new().file("f", "x".repeat(600)).file(&long, "abc").symlink("a", &long).dir("b/");
    let bytes = layer.file("c/d", "").build(LayerCompression::Plain).bytes;
    let mut other = tar::Archive::new(bytes.as_slice());
    let entries = other.entries().unwrap().map(|e| e.unwrap());
    let expected: Vec<String> =
        entries.map(|e| format!("{} {}", e.path().unwrap().to_string_lossy(), e.size())).collect();
    let mut reader = TarReader::new(bytes.as_slice(), HEADER_BYTES);
    let mut found = Vec::new();
    while let Some(entry) = reader.next_entry().unwrap() {
        found.push(format!("{} {}", entry.path, entry.size));
    }
    assert_eq!(found, expected);
}
