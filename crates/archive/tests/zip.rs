//! The zip readers against archives by the crate `zip`: in memory, in a file and streamed, they read the same.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fmt::Display;
use std::io::{Cursor, Write as _};
use tidewaiter_archive::zip::stream::{StreamedContent, ZipStream};
use tidewaiter_archive::zip::{ZipArchive, ZipFile};
use zip::CompressionMethod::{Deflated, Stored};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

const MAX: u64 = 1 << 20;

/// An archive with a file `a` of a text, a directory `d`, a link `l` and an empty file.
fn archive(options: SimpleFileOptions) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    writer.start_file("a", options).unwrap();
    writer.write_all(&b"text ".repeat(20_000)).unwrap();
    writer.add_directory("d", options).unwrap();
    writer.add_symlink("l", "a", options).unwrap();
    writer.start_file("d/b", options).unwrap();
    writer.finish().unwrap().into_inner()
}

/// The same files from a writer that knows sizes only afterwards.
fn by_stream() -> Vec<u8> {
    let mut writer = ZipWriter::new_stream(Vec::new());
    for (name, content) in [("a", b"text ".repeat(20_000)), ("d/b", Vec::new())] {
        writer.start_file(name, SimpleFileOptions::default().compression_method(Deflated)).unwrap();
        writer.write_all(&content).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn line(name: &[u8], content: Result<Vec<u8>, impl Display>) -> String {
    let content = content.map_or_else(|error| error.to_string(), |bytes| bytes.len().to_string());
    format!("{} {content}", String::from_utf8_lossy(name))
}

/// "name size" of each file, or the error.
fn in_file(bytes: &[u8]) -> Vec<String> {
    let mut zip = match ZipFile::open(Cursor::new(bytes)) {
        Ok(None) => return vec!["none".to_owned()],
        Ok(Some(zip)) => zip,
        Err(error) => return vec![error.to_string()],
    };
    let directory = zip.directory(1 << 30).unwrap();
    let entries = directory.entries().map(|entry| match entry {
        Ok(entry) if entry.is_file() => Some(line(entry.name, zip.content(&entry, MAX))),
        Ok(_) => None,
        Err(error) => Some(error.to_string()),
    });
    entries.flatten().collect()
}

/// The same; checksums are not compared.
fn in_memory(bytes: &[u8]) -> Vec<String> {
    let zip = match ZipArchive::open(bytes) {
        Ok(None) => return vec!["none".to_owned()],
        Ok(Some(zip)) => zip,
        Err(error) => return vec![error.to_string()],
    };
    let entries = zip.entries().map(|entry| match entry {
        Ok(entry) if entry.is_file() => Some(line(entry.name, zip.content(&entry, MAX).map(Into::into))),
        Ok(_) => None,
        Err(error) => Some(error.to_string()),
    });
    entries.flatten().collect()
}

/// The same; local headers do not say what is a link.
fn streamed(mut bytes: &[u8]) -> Vec<String> {
    let (mut zip, mut out) = (ZipStream::new(&mut bytes), Vec::new());
    while let Some(header) = zip.next_entry().unwrap() {
        let mut read = Err("longer");
        zip.content(&header, MAX, MAX, |content| match content {
            StreamedContent::Whole(bytes) => read = Ok(bytes),
            StreamedContent::Longer(_) => {}
            StreamedContent::Unreadable(_) => read = Err("unreadable"),
        })
        .unwrap();
        out.extend((!["d/", "l"].contains(&header.name.as_str())).then(|| line(header.name.as_bytes(), read)));
    }
    out
}

#[test]
fn archives_are_read_alike_wherever_they_are() {
    let check = |what: &str, bytes: &[u8]| {
        let expected = ["a 100000", "d/b 0"];
        assert_eq!(in_file(bytes), expected, "{what}, in a file");
        assert_eq!(in_memory(bytes), expected, "{what}, in memory");
        assert_eq!(streamed(bytes), expected, "{what}, streamed");
    };
    let options = SimpleFileOptions::default();
    let deflated = archive(options.compression_method(Deflated));
    check("deflated", &deflated);
    check("stored", &archive(options.compression_method(Stored)));
    check("zip64 sizes", &archive(options.large_file(true)));
    check("sizes after the data", &by_stream());
    check("after a script", &[b"#!/bin/sh\nexec java -jar $0\n", deflated.as_slice()].concat());
    let mut commented = ZipWriter::new_append(Cursor::new(deflated.clone())).unwrap();
    commented.set_comment("c".repeat(0xffff)).unwrap();
    check("the longest comment", &commented.finish().unwrap().into_inner());
}

#[test]
fn an_archive_of_more_entries_than_a_short_number_counts() {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for number in 0..70_000 {
        writer.start_file(number.to_string(), SimpleFileOptions::default().compression_method(Stored)).unwrap();
    }
    let bytes = writer.finish().unwrap().into_inner();
    let lines = in_file(&bytes);
    assert_eq!((lines.len(), lines.last().map(String::as_str)), (70_000, Some("69999 0")));
    assert_eq!(in_memory(&bytes), lines);
    let mut zip = ZipFile::open(Cursor::new(bytes)).unwrap().unwrap();
    assert_eq!(zip.directory(1 << 20).unwrap_err().to_string(), "it is too large");
}

#[test]
fn what_cannot_be_read_is_an_error() {
    let bytes = archive(SimpleFileOptions::default().compression_method(Stored));
    let check = |what: &str, bytes: &[u8], expected: &[&str]| assert_eq!(in_file(bytes), expected, "{what}");
    let find = |mark: &[u8]| bytes.windows(4).position(|window| window == mark).unwrap();
    let changed = |at: usize, byte: u8| {
        let mut bytes = bytes.clone();
        bytes[at] = byte;
        bytes
    };
    check("nothing", b"", &["none"]);
    check("something else", b"not an archive", &["none"]);
    check("no end", &bytes[..bytes.len() - 10], &["its zip is corrupt: it has no directory"]);
    check("a changed byte", &changed(40, b'x'), &["a its zip is corrupt: an entry's checksum", "d/b 0"]);
    let central = find(b"PK\x01\x02");
    let method = "a it is compressed by zip's method 93; only 0 (stored) and 8 (deflated) can be read";
    check("Zstandard", &changed(central + 10, 93), &[method, "d/b 0"]);
    check("a password", &changed(central + 8, 1), &["a it is encrypted", "d/b 0"]);
    check("no data", &changed(central + 10, 8), &["a its zip is corrupt: compressed data", "d/b 0"]);
    check("no local header", &changed(1, b'x'), &["a its zip is corrupt: where an entry lies", "d/b 0"]);
    check("outside", &changed(central + 45, 0x7f), &["a its zip is corrupt: where an entry lies", "d/b 0"]);
    check("too large", &changed(central + 26, 0xff), &["a it is too large", "d/b 0"]);
    check("a longer size", &changed(central + 26, 2), &["a its zip is corrupt: an entry's size", "d/b 0"]);
    let second = central + 46 + 1 + usize::from(bytes[central + 30]);
    check("a broken directory", &changed(second, 0), &["a 100000", "its zip is corrupt: an entry"]);
}
