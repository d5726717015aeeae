//! Sound inputs, made in code.

/// One for all analyzers of JSON.
pub(crate) const JSON: &str = r#"{"name":"a","version":"1","bomFormat":"CycloneDX","components":[{"purl":"pkg:npm/a@1"}],
    "runtimeTarget":{"name":"T/x"},"targets":{"T/x":{"A/1":{"runtime":{"a":{}}}}},"libraries":{"A/1":{"type":"package"}},
    "packages":[{"name":"a/b","version":"v1"}],
    "pins":[{"location":"https://x.example/a/b.git","state":{"version":"1"}}]}"#;
/// One for all analyzers of text.
pub(crate) const TEXT: &str = "Package: a\nVersion: 1\nBuilt: x\n\n%NAME%\na\n\n%VERSION%\n1-1\n\n# stub: a 1 ruby lib\n  s.name = \"a\"\n\
    {application,a,[{vsn,\"1\"}]}.\n{<<\"name\">>,<<\"a\">>}.\n[[deps.A]]\nuuid = \"a\"\nversion = \"1\"\n";

use std::io::Write as _;
use std::path::Path;
use tidewaiter_core::advisory::{Advisory, Affected, CveFacts, KeyKind, ModuleScope};
use tidewaiter_core::ecosystem::Ecosystem;
use tidewaiter_core::severity::Severity;
use tidewaiter_db::meta::Meta;
use tidewaiter_db::writer::{self, BuildInput};
use tidewaiter_db::{Database, file_delta};
use tidewaiter_scan::source::sha256;

/// One ustar entry.
fn entry(path: &str, content: &[u8]) -> Vec<u8> {
    let mut block = vec![0_u8; 512];
    block[..path.len()].copy_from_slice(path.as_bytes());
    block[100..107].copy_from_slice(b"0000644");
    block[124..135].copy_from_slice(format!("{:011o}", content.len()).as_bytes());
    block[156] = b'0';
    block[257..263].copy_from_slice(b"ustar\0");
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|b| u32::from(*b)).sum();
    block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    block.extend_from_slice(content);
    block.resize(block.len().next_multiple_of(512), 0);
    block
}

pub(crate) fn archive(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out: Vec<u8> = entries.iter().flat_map(|(path, content)| entry(path, content)).collect();
    out.resize(out.len() + 1024, 0);
    out
}

pub(crate) fn tar() -> Vec<u8> {
    archive(&[("etc/os-release", b"ID=debian\n"), ("var/lib/dpkg/status", b"Package: a\nVersion: 1\n")])
}

/// Entries of every kind, and every way to write a long name.
pub(crate) fn all_tar_entries() -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let long = "d/".repeat(60) + "f";
    let header = |kind: tar::EntryType, size: u64| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(size);
        header.set_mode(0o644);
        header
    };
    for path in ["f", &long] {
        let file = &mut header(tar::EntryType::Regular, 3);
        builder.append_data(file, path, b"abc".as_slice()).expect("memory can be written");
        let link = &mut header(tar::EntryType::Symlink, 0);
        builder.append_link(link, "s", path).expect("memory can be written");
    }
    builder.append_link(&mut header(tar::EntryType::Link, 0), "h", "f").expect("memory can be written");
    builder.append_data(&mut header(tar::EntryType::Directory, 0), "d/", &[][..]).expect("memory can be written");
    let records = [("path", b"p/x".as_slice()), ("size", b"3")];
    builder.append_pax_extensions(records).expect("memory can be written");
    let mut ustar = tar::Header::new_ustar();
    ustar.set_path("a".repeat(60) + "/" + &"b".repeat(60)).expect("a short path");
    ustar.set_size(3);
    ustar.set_cksum();
    builder.append(&ustar, b"xyz".as_slice()).expect("memory can be written");
    builder.append(&ustar, b"xyz".as_slice()).expect("memory can be written");
    builder.into_inner().expect("memory can be written")
}

/// A deflated and a stored entry, with their checksums.
pub(crate) fn zip_archive() -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for method in [zip::CompressionMethod::Deflated, zip::CompressionMethod::Stored] {
        let options = zip::write::SimpleFileOptions::default().compression_method(method);
        writer.start_file(format!("{method:?}"), options).expect("memory can be written");
        writer.write_all(&b"text ".repeat(20)).expect("memory can be written");
    }
    writer.finish().expect("memory can be written").into_inner()
}

/// An application of pex with a wheel in it.
pub(crate) fn python_application() -> Vec<u8> {
    let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    let archive = |name: &str, content: &[u8]| {
        let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        writer.start_file(name, options).expect("memory can be written");
        writer.write_all(content).expect("memory can be written");
        writer.finish().expect("memory can be written").into_inner()
    };
    let wheel = archive("a-1.dist-info/METADATA", b"Name: a\nVersion: 1\n");
    [b"#!/usr/bin/env python3\n".to_vec(), archive(".deps/a-1-py3-none-any.whl", &wheel)].concat()
}

/// An archive of Electron with one package.
pub(crate) fn asar() -> Vec<u8> {
    let header = r#"{"files":{"node_modules":{"files":{"a":{"files":{"package.json":{"size":26,"offset":"0"}}}}}}}"#;
    let length = u32::try_from(header.len()).expect("a short header");
    let padded = length.next_multiple_of(4);
    let mut out: Vec<u8> =
        [4, padded + 8, padded + 4, length].iter().flat_map(|number: &u32| number.to_le_bytes()).collect();
    out.extend(header.as_bytes());
    out.resize(out.len() + usize::try_from(padded - length).expect("less than four"), 0);
    out.extend(br#"{"name":"a","version":"1"}"#);
    out
}

/// The header of a package as rpm stores it, with a region over all its entries.
fn rpm_header(name: &str, description: &str) -> Vec<u8> {
    let (mut index, mut data) = (Vec::new(), Vec::new());
    for (tag, text) in [(1000, name), (1001, "1"), (1002, "1"), (1005, description)] {
        index.push([tag, 6, u32::try_from(data.len()).expect("a short header"), 1]);
        data.extend([text.as_bytes(), b"\0"].concat());
    }
    index.insert(0, [63, 7, u32::try_from(data.len()).expect("a short header"), 16]);
    let entries = u32::try_from(index.len()).expect("a short header");
    data.extend([63, 7, (entries * 16).wrapping_neg(), 16].iter().flat_map(|word: &u32| word.to_be_bytes()));
    let head = [entries, u32::try_from(data.len()).expect("a short header")];
    head.into_iter().chain(index.into_iter().flatten()).flat_map(u32::to_be_bytes).chain(data).collect()
}

/// A database of SQLite's own making with rpm's tables: small rows, and one with overflow pages.
pub(crate) fn rpm_database() -> Vec<u8> {
    let mut connection = rusqlite::Connection::open_in_memory().expect("a database");
    let schema =
        "PRAGMA page_size = 512; CREATE TABLE Packages (hnum INTEGER PRIMARY KEY AUTOINCREMENT, blob BLOB NOT NULL);
        CREATE TABLE Name (key TEXT NOT NULL, hnum INTEGER NOT NULL, idx INTEGER NOT NULL);";
    connection.execute_batch(schema).expect("tables");
    for (name, length) in [("a", 10), ("b", 900), ("c", 50), ("d", 50), ("e", 50), ("f", 50)] {
        let blob = rpm_header(name, &"x".repeat(length));
        connection.execute("INSERT INTO Packages (blob) VALUES (?1)", [blob]).expect("a row");
    }
    connection.serialize(rusqlite::MAIN_DB).expect("a database").to_vec()
}

pub(crate) fn docker_archive() -> Vec<u8> {
    image(&tar())
}

/// A docker archive of one layer.
pub(crate) fn image(layer: &[u8]) -> Vec<u8> {
    let config = format!(
        r#"{{"os":"linux","architecture":"amd64","rootfs":{{"type":"layers","diff_ids":["{}"]}}}}"#,
        sha256(layer)
    );
    let name = format!("{}.json", sha256(config.as_bytes()).hex());
    let manifest = format!(r#"[{{"Config":"{name}","RepoTags":["a:b"],"Layers":["l/layer.tar"]}}]"#);
    archive(&[("manifest.json", manifest.as_bytes()), (&name, config.as_bytes()), ("l/layer.tar", layer)])
}

/// A program's headers, then Go's build info and a list of crates at an aligned place, and what else programs hold.
pub(crate) fn go_program(headers: &[u8]) -> Vec<u8> {
    let mut out = headers.to_vec();
    out.resize(512, 0);
    out.extend(b"\xff Go buildinf:\x08\x02");
    out.resize(544, 0);
    let modules = "<<<<<<<<<<<<<<<<path\ta\nmod\ta\tv1.0.0\t\ndep\tb\tv1\t\n=>\t./c\t\t\nbuild\t-ldflags=\"-X a=b\"\n>>>>>>>>>>>>>>>>";
    out.extend(b"\x06go1.22");
    out.push(u8::try_from(modules.len()).expect("a short text"));
    out.extend(modules.as_bytes());
    out.extend(b"node.js/v20.1.0\0");
    // And a .NET application.
    out.extend(b"\0\x10\0\0\0\0\0\0\x8b\x12\x02\xb9\x6a\x61\x20\x38\x72\x7b\x93\x02\x14\xd7\xa0\x32");
    out.extend(b"\x13\xf5\xb9\xe6\xef\xae\x33\x18\xee\x3b\x2d\xce\x24\xb3\x6a\xae");
    out.extend(br#"{"runtimeTarget":"T","libraries":{"A/1":{"type":"package"}}}"#);
    out
}

fn put(out: &mut [u8], at: usize, value: u64, size: usize) {
    out[at..at + size].copy_from_slice(&value.to_le_bytes()[..size]);
}

pub(crate) fn elf() -> Vec<u8> {
    let mut out = vec![0; 512];
    out[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
    for (at, value, size) in [(32, 64, 8), (40, 128, 8), (54, 56, 2), (56, 1, 2), (58, 64, 2), (60, 3, 2), (62, 2, 2)] {
        put(&mut out, at, value, size);
    }
    for (at, value, size) in [(64, 1, 4), (68, 6, 4), (72, 512, 8), (80, 4096, 8), (96, 300, 8)] {
        put(&mut out, at, value, size);
    }
    for (at, value, size) in [(192, 1, 4), (196, 1, 4), (216, 512, 8), (224, 300, 8)] {
        put(&mut out, at, value, size);
    }
    for (at, value, size) in [(256, 16, 4), (260, 3, 4), (280, 400, 8), (288, 32, 8)] {
        put(&mut out, at, value, size);
    }
    out[401..425].copy_from_slice(b".go.buildinfo\0\0.dep-v0\0\0");
    out
}

pub(crate) fn pe() -> Vec<u8> {
    let mut out = vec![0; 512];
    out[..2].copy_from_slice(b"MZ");
    out[64..68].copy_from_slice(b"PE\0\0");
    for (at, value, size) in [(0x3c, 64, 4), (70, 1, 2), (84, 112, 2), (88, 0x20b, 2), (112, 0x40_0000, 8)] {
        put(&mut out, at, value, size);
    }
    out[200..205].copy_from_slice(b".data");
    for (at, value, size) in [(208, 300, 4), (212, 4096, 4), (216, 300, 4), (220, 512, 4), (236, 0xc000_0040, 4)] {
        put(&mut out, at, value, size);
    }
    out
}

pub(crate) fn mach_o() -> Vec<u8> {
    let mut out = vec![0; 512];
    for (at, value, size) in [(0, 0xfeed_facf, 4), (16, 1, 4), (20, 152, 4), (32, 0x19, 4), (36, 152, 4)] {
        put(&mut out, at, value, size);
    }
    for (at, value, size) in [(56, 4096, 8), (72, 512, 8), (80, 300, 8), (92, 3, 4), (96, 1, 4)] {
        put(&mut out, at, value, size);
    }
    out[104..118].copy_from_slice(b"__go_buildinfo");
    for (at, value, size) in [(136, 4096, 8), (144, 300, 8), (152, 512, 4)] {
        put(&mut out, at, value, size);
    }
    out
}

/// Stored entries: a manifest, properties, and an archive inside.
pub(crate) fn jar() -> Vec<u8> {
    let properties: &[u8] = b"groupId=a\nartifactId=b\nversion=1\n";
    let inner = stored_zip(&[("META-INF/maven/a/b/pom.properties", properties)]);
    stored_zip(&[
        ("META-INF/MANIFEST.MF", b"Implementation-Version: 1.0\nBundle-SymbolicName: a.b\n c\n"),
        ("x.jar", &inner),
    ])
}

fn stored_zip(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for (name, content) in entries {
        let size = u32::try_from(content.len()).expect("a short file").to_le_bytes();
        let name_size = u16::try_from(name.len()).expect("a short name").to_le_bytes();
        let fixed = [[0; 14].as_slice(), &size, &size, &name_size, &[0; 2]].concat();
        directory.extend([b"PK\x01\x02\0\0".as_slice(), &fixed, &[0; 10]].concat());
        directory.extend(u32::try_from(out.len()).expect("a short archive").to_le_bytes());
        directory.extend(name.as_bytes());
        out.extend([b"PK\x03\x04".as_slice(), &fixed, name.as_bytes(), content].concat());
    }
    let offset = u32::try_from(out.len()).expect("a short archive").to_le_bytes();
    let size = u32::try_from(directory.len()).expect("a short directory").to_le_bytes();
    out.extend(&directory);
    out.extend([b"PK\x05\x06\0\0\0\0\x02\0\x02\0".as_slice(), &size, &offset, &[0; 2]].concat());
    out
}

pub(crate) fn osv() -> Vec<u8> {
    br#"{"id":"ALSA-1","summary":"Important: nodejs:20 update","related":["CVE-1"],"affected":[{"package":{"ecosystem":
    "AlmaLinux:9","name":"a"},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"1:2-3.module_el9"}]}]}]}"#
        .to_vec()
}

pub(crate) fn csaf() -> Vec<u8> {
    br#"{"document":{"csaf_version":"2.0"},"product_tree":{"branches":[{"product":{"product_id":"B","product_identification_helper":
    {"cpe":"cpe:/o:redhat:enterprise_linux:9::baseos"}}},{"product":{"product_id":"c","product_identification_helper":{"purl":
    "pkg:rpm/redhat/curl@7-1?arch=x86_64"}}}],"relationships":[{"full_product_name":{"product_id":"B:c"},"product_reference":"c",
    "relates_to_product_reference":"B"}]},"vulnerabilities":[{"cve":"CVE-1","product_status":{"fixed":["B:c"]}}]}"#
        .to_vec()
}

pub(crate) fn oval() -> Vec<u8> {
    br#"<oval_definitions><definitions><definition id="d"><metadata><affected><platform>Oracle Linux 8</platform></affected>
    <reference source="CVE" ref_id="CVE-1"/></metadata><criteria operator="AND"><criterion test_ref="t" comment="c"/></criteria>
    </definition></definitions><tests><rpminfo_test id="t"><object object_ref="o"/><state state_ref="s"/></rpminfo_test></tests>
    <objects><rpminfo_object id="o"><name>a</name></rpminfo_object></objects><states><rpminfo_state id="s">
    <evr operation="less than">0:1-1</evr></rpminfo_state></states></oval_definitions>"#
        .to_vec()
}

pub(crate) fn updateinfo() -> Vec<u8> {
    br#"<updates><update type="security"><id>A</id><references><reference id="CVE-1" href="https://a"/></references><pkglist>
    <collection short="x"><name>Rocky Linux 8</name><module name="m" stream="1"/><package name="a" version="1" release="2"
    epoch="0" arch="noarch"/></collection></pkglist></update></updates>"#
        .to_vec()
}

pub(crate) fn database() -> Vec<u8> {
    let dir = tempfile::tempdir().expect("a temporary folder");
    std::fs::read(write_database(&dir.path().join("db"), "2").path()).expect("the database")
}

/// From [`database`] to one with another version, before compression.
pub(crate) fn file_delta() -> Vec<u8> {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let old = write_database(&dir.path().join("old"), "2");
    let new = write_database(&dir.path().join("new"), "2.1");
    let delta = file_delta::encode(&old, &new, dir.path()).expect("a delta");
    zstd::decode_all(&delta[..]).expect("a frame of zstd")
}

fn write_database(path: &Path, fixed: &str) -> Database {
    let affected = Affected {
        versions: vec!["3".to_owned()],
        severity: Severity::High,
        module: ModuleScope::Streams(vec!["a:1".to_owned()]),
        ..Affected::new(Ecosystem::from("Debian:99"), "zlib", KeyKind::Source).fixed_in(fixed)
    };
    let advisory =
        Advisory { id: "CVE-1".to_owned(), feed: "f".to_owned(), affected: vec![affected], ..Advisory::default() };
    let input = BuildInput {
        advisories: vec![advisory],
        cves: [("CVE-1".to_owned(), CveFacts::default())].into(),
        meta: Meta::default(),
    };
    writer::write(path, &input).expect("a database");
    Database::open(path).expect("the database")
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    out.write_all(bytes).expect("memory can be written");
    out.finish().expect("memory can be written")
}

pub(crate) fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 3).expect("memory can be written")
}

/// An OCI layout in a tar archive.
pub(crate) fn oci_archive() -> Vec<u8> {
    let layer = tar();
    let config = format!(
        r#"{{"os":"linux","architecture":"amd64","rootfs":{{"type":"layers","diff_ids":["{}"]}}}}"#,
        sha256(&layer)
    );
    let manifest = format!(
        r#"{{"schemaVersion":2,"config":{},"layers":[{}]}}"#,
        descriptor("application/vnd.oci.image.config.v1+json", config.as_bytes()),
        descriptor("application/vnd.oci.image.layer.v1.tar", &layer)
    );
    let index = format!(
        r#"{{"schemaVersion":2,"manifests":[{}]}}"#,
        descriptor("application/vnd.oci.image.manifest.v1+json", manifest.as_bytes())
    );
    let blob = |bytes: &[u8]| format!("blobs/sha256/{}", sha256(bytes).hex());
    archive(&[
        ("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#),
        ("index.json", index.as_bytes()),
        (&blob(manifest.as_bytes()), manifest.as_bytes()),
        (&blob(config.as_bytes()), config.as_bytes()),
        (&blob(&layer), &layer),
    ])
}

fn descriptor(media_type: &str, bytes: &[u8]) -> String {
    format!(r#"{{"mediaType":"{media_type}","digest":"{}","size":{}}}"#, sha256(bytes), bytes.len())
}
