use super::*;
use std::io::{Cursor, Write as _};
use zip::CompressionMethod::{Deflated, Stored};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

type Files<'a> = &'a [(&'a str, &'a [u8])];

fn jar_by(method: zip::CompressionMethod, files: Files<'_>) -> Vec<u8> {
    written(SimpleFileOptions::default().compression_method(method), files)
}

fn written(options: SimpleFileOptions, files: Files<'_>) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in files {
        writer.start_file(*name, options).unwrap();
        writer.write_all(content).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

pub(super) fn jar(files: Files<'_>) -> Vec<u8> {
    jar_by(Deflated, files)
}

/// The same as it comes from a writer that knows sizes only afterwards.
fn streamed(files: Files<'_>) -> Vec<u8> {
    let mut writer = ZipWriter::new_stream(Vec::new());
    for (name, content) in files {
        writer.start_file(*name, SimpleFileOptions::default().compression_method(Deflated)).unwrap();
        writer.write_all(content).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// "name version place" of each package, then each gap.
fn lines(parsed: &ParsedFile) -> Vec<String> {
    let place = |p: &Package| p.locations.first().map(|l| l.path.clone()).unwrap_or_default();
    let packages =
        parsed.packages.iter().map(|p| format!("{} {} {}", p.name, p.version, place(p)).trim_end().to_owned());
    packages.chain(parsed.gaps.iter().map(|g| format!("{:?} {} {}", g.kind, g.subject, g.message))).collect()
}

use tidewaiter_core::package::Package;

pub(super) fn check(path: &str, bytes: &[u8], expected: &[&str]) {
    let found = lines(&archive(path, bytes));
    assert_eq!(found.len(), expected.len(), "{path}: {found:?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "{path}: {found:?} {expected:?}");
    }
}

pub(super) fn pom(group: &str, artifact: &str, version: &str) -> (String, Vec<u8>) {
    let text = format!("#Created\nartifactId={artifact}\r\ngroupId={group}\r\nversion={version}\r\n");
    (format!("META-INF/maven/{group}/{artifact}/pom.properties"), text.into_bytes())
}

#[test]
fn what_an_archive_is() {
    let (a, b) = (pom("org.a", "a", "1.0"), pom("org.b", "b", "2.0"));
    let (a, b) = ((a.0.as_str(), a.1.as_slice()), (b.0.as_str(), b.1.as_slice()));
    check("lib/a-1.0.jar", &jar(&[a]), &["org.a:a 1.0"]);
    check("lib/renamed.jar", &jar(&[a, b]), &["org.a:a 1.0", "org.b:b 2.0"]);
    let manifest = |text: &str| jar(&[("META-INF/MANIFEST.MF", text.as_bytes())]);
    let same = b"Implementation-Title: a\nImplementation-Version: 1.0\nImplementation-Vendor-Id: org.a\n";
    check("lib/a-1.0.jar", &jar(&[a, ("META-INF/MANIFEST.MF", same)]), &["org.a:a 1.0"]);
    check("lib/x-1.jar", &manifest("Implementation-Version: 1\nImplementation-Vendor-Id: org.x\n"), &["org.x:x 1"]);
    let long = "Bundle-SymbolicName: com.example.a.very.long.name.that.is.con\r\n tinued.core;singleton:=true\r\nBundle-Version: 2.1.0\r\n";
    check("continued-core-2.1.jar", &manifest(long), &["com.example.a.very.long.name.that.is:continued-core 2.1"]);
    check(
        "spring-core-6.1.4.jar",
        &jar(&[("org/springframework/core/A.class", b"")]),
        &["org.springframework:spring-core 6.1.4"],
    );
    check("spring-core-6.1.4.jar", &jar(&[("other/A.class", b"")]), &["spring-core 6.1.4"]);
    check("unknown-1.0.jar", &jar(&[("x", b"")]), &["unknown 1.0"]);
    let own: &[_] = &[
        ("org/pcollections/P.class", b"".as_slice()),
        ("org/pcollections/x/Y.class", b""),
        ("module-info.class", b""),
    ];
    check("pcollections-4.0.2.jar", &jar(own), &["org.pcollections:pcollections 4.0.2"]);
    let shaded = [own, &[("org/other/Z.class", b"".as_slice())]].concat();
    check("pcollections-4.0.2.jar", &jar(&shaded), &["pcollections 4.0.2"]);
    check(
        "spring-jcl-6.1.4.jar",
        &jar(&[("org/apache/commons/logging/L.class", b"")]),
        &["org.springframework:spring-jcl"],
    );
    check("lib/main/com.h2database.h2-2.1.210.jar", &jar(&[("org/h2/D.class", b"")]), &["com.h2database:h2 2.1.210"]);
    let bundle = "Bundle-SymbolicName: org.eclipse.osgi;singleton:=true\nBundle-Version: 3.18.0\n";
    check("plugins/org.eclipse.osgi-3.18.0.jar", &manifest(bundle), &["org.eclipse:org.eclipse.osgi 3.18.0"]);
    let jdbc = pom("com.microsoft.sqlserver", "mssql-jdbc", "12.10.2");
    let jdbc = jar(&[(&jdbc.0, &jdbc.1)]);
    check("mssql-jdbc-12.10.2.jre11.jar", &jdbc, &["com.microsoft.sqlserver:mssql-jdbc 12.10.2.jre11"]);
    let quarkus = "com.microsoft.sqlserver.mssql-jdbc-12.10.2.jre11.jar";
    check(quarkus, &jdbc, &["com.microsoft.sqlserver:mssql-jdbc 12.10.2.jre11"]);
    check("a-1.0-jdk15.jar", &jar(&[a]), &["org.a:a 1.0"]);
    check("grpc-context-1.60.0.jar", &jar(&[("x", b"")]), &["io.grpc:grpc-context 1.60.0"]);
    check("app.jar", &jar(&[("x", b"")]), &[]);
    // A launcher names archives and is none: Quarkus' runner.
    let runner = "Implementation-Title: shop\nImplementation-Version: 1.2.0\nClass-Path: lib/a.jar\n";
    check("quarkus-run.jar", &manifest(runner), &[]);
    check("shop-1.2.0.jar", &manifest(runner), &["shop 1.2.0"]);
    let tomcat = "Implementation-Title: Apache Tomcat\nImplementation-Version: 9.0.70\n";
    check("usr/local/tomcat/lib/catalina.jar", &manifest(tomcat), &["org.apache.tomcat:tomcat-catalina 9.0.70"]);
    // Unpacked into an archive whose own build writes no properties.
    let own = jar(&[b, ("META-INF/MANIFEST.MF", b"Implementation-Vendor-Id: org.own\n")]);
    check("own-3.0.jar", &own, &["org.b:b 2.0", "org.own:own 3.0"]);
    let unknown = ("META-INF/maven/g/u/pom.properties", b"version=${v}\n".as_slice());
    check("x.jar", &jar(&[unknown]), &["g:u"]);
}

#[test]
fn classes_that_nothing_names_are_a_gap() {
    let names = ["io/netty", "kotlin", "okhttp3", "org/h2", "com/google", "org/acme", "reactor", "scala"];
    let classes = names.map(|name| format!("{name}/A.class"));
    let mut files: Vec<(&str, &[u8])> = classes.iter().map(|class| (class.as_str(), b"".as_slice())).collect();
    let gap = "UnreadableFile app.jar classes of other archives were unpacked into it without what names them (com/google, \
               io/netty, kotlin, okhttp3, org/acme and 3 more)";
    check("app.jar", &jar(&files), &[gap]);
    assert!(lines(&large_archive("app.jar", &mut jar(&files).as_slice()))[0].starts_with(gap));
    let bom: &[u8] = br#"{"bomFormat":"CycloneDX","components":[{"purl":"pkg:maven/org.acme/parser@1.0.0"}]}"#;
    files.push(("META-INF/sbom/application.cdx.json", bom));
    check("app.jar", &jar(&files), &["org.acme:parser 1.0.0"]);
}

#[test]
fn modules_of_the_same_build_are_own_code() {
    let (own, other) = (pom("org.acme", "core", "1.2.0"), pom("org.other", "a", "1.0"));
    let (own, other) = (jar(&[(&own.0, &own.1)]), jar(&[(&other.0, &other.1)]));
    for dir in ["BOOT-INF", "WEB-INF"] {
        let (core, a) = (format!("{dir}/lib/core-1.2.0.jar"), format!("{dir}/lib/a-1.0.jar"));
        let index = format!("- \"dependencies\":\n  - \"{a}\"\n- \"application\":\n  - \"{core}\"\n");
        let app = jar(&[(&core, &own), (&a, &other), (&format!("{dir}/layers.idx"), index.as_bytes())]);
        for parsed in [archive("app.jar", &app), large_archive("app.jar", &mut app.as_slice())] {
            let found: Vec<_> = parsed.packages.iter().map(|package| (package.name.as_str(), package.own)).collect();
            assert_eq!(found, [("org.acme:core", true), ("org.other:a", false)], "{dir}");
        }
    }
}

#[test]
fn archives_inside_archives() {
    let inner = pom("org.a", "a", "1.0");
    let inner = jar(&[(&inner.0, &inner.1)]);
    let middle = jar(&[("WEB-INF/lib/a-1.0.jar", &inner)]);
    let files: Files<'_> = &[("BOOT-INF/lib/a.jar", &inner), ("app.war", &middle), ("x.txt", b"text")];
    let expected = ["org.a:a 1.0 !/BOOT-INF/lib/a.jar", "org.a:a 1.0 !/app.war!/WEB-INF/lib/a-1.0.jar"];
    let wide = written(SimpleFileOptions::default().large_file(true), files);
    for bytes in [jar(files), jar_by(Stored, files), wide, streamed(files)] {
        check("app.jar", &bytes, &expected);
        assert_eq!(lines(&large_archive("app.jar", &mut bytes.as_slice())), expected);
        let script = [b"#!/bin/sh\nexec java -jar $0\n".as_slice(), &bytes].concat();
        check("app.jar", &script, &expected);
        assert_eq!(lines(&large_archive("app.jar", &mut script.as_slice())), expected);
    }
    let mut deep = inner;
    for _ in 0..9 {
        deep = jar(&[("x.jar", &deep)]);
    }
    check("app.jar", &deep, &["LimitReached app.jar!/x.jar"]);
}

#[test]
fn archives_too_large_to_buffer_inside_archives() {
    // Does not get smaller by being packed.
    let noise: Vec<u8> = (0..40_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    let (a, b) = (pom("org.a", "a", "1.0"), pom("org.b", "b", "2.0"));
    let ear = |make: fn(Files<'_>) -> Vec<u8>| {
        let a = make(&[("noise", &noise), (&a.0, &a.1)]);
        let war = make(&[("noise", &noise), ("WEB-INF/lib/a.jar", &a), (&b.0, &b.1)]);
        make(&[("app.war", &war), ("a.jar", &a), (&b.0, &b.1)])
    };
    let read = |ear: &[u8], memory: u64, unpacked: u64, streams: bool| {
        let mut reader = JavaArchiveReader::new("app.ear", unpacked, memory);
        if streams {
            reader.stream("", "app.ear", &mut &*ear, 0);
        } else {
            reader.archive("", "app.ear", ear, 0);
        }
        let mut lines = lines(&reader.out);
        lines.sort();
        lines
    };
    let expected =
        ["org.a:a 1.0 !/a.jar", "org.a:a 1.0 !/app.war!/WEB-INF/lib/a.jar", "org.b:b 2.0", "org.b:b 2.0 !/app.war"];
    for ear in [ear(jar), ear(|files| jar_by(Stored, files)), ear(streamed)] {
        for memory in [10_000, 200_000, 400_000, 1_000_000] {
            assert_eq!(read(&ear, memory, MAX_UNPACKED, false), expected, "{memory}");
            assert_eq!(read(&ear, memory, MAX_UNPACKED, true), expected, "{memory}");
        }
    }
    for streams in [false, true] {
        let lines = read(&ear(jar), 10_000, 100_000, streams);
        assert!(lines.iter().any(|line| line.starts_with("LimitReached")), "{lines:?}");
    }
}

#[test]
fn a_directory_that_comes_too_early_hides_nothing() {
    let a = pom("org.a", "a", "1.0");
    let whole = jar_by(Stored, &[("x.txt", b"text"), (&a.0, &a.1)]);
    let second = memchr::memmem::rfind(&whole, b"PK\x03\x04").unwrap();
    let first = jar_by(Stored, &[("x.txt", b"text")]);
    for early in [b"PK\x05\x06".as_slice(), b"PK\x01\x02", &first[second..]] {
        let bytes = [&whole[..second], early, &whole[second..]].concat();
        let lines = lines(&large_archive("app.jar", &mut bytes.as_slice()));
        assert!(lines.len() == 1 && lines[0].starts_with("UnreadableFile app.jar its zip is corrupt"), "{lines:?}");
    }
}

#[test]
fn an_archive_inside_a_damaged_one_is_not_read_in_its_place() {
    let pom = pom("org.a", "a", "1.0");
    let whole = jar_by(Stored, &[("lib/a.jar", &jar(&[(&pom.0, &pom.1)])), ("x.txt", b"text")]);
    check("app.jar", &whole, &["org.a:a 1.0 !/lib/a.jar"]);
    let end = whole.len() - 22;
    // The directory's size, with which Java begins: too small, and none.
    for size in [[9, 0, 0, 0], [0; 4]] {
        let mut damaged = whole.clone();
        damaged[end + 12..end + 16].copy_from_slice(&size);
        check("app.jar", &damaged, &["UnreadableFile app.jar its zip is corrupt: it has no directory"]);
    }
    // Bytes after the end do not matter to Java.
    check("app.jar", &[&whole[..], b"trailing"].concat(), &["org.a:a 1.0 !/lib/a.jar"]);
    check("app.jar", &jar(&[]), &[]);
}

#[test]
fn what_cannot_be_read_is_a_gap() {
    let files: Files<'_> = &[("META-INF/MANIFEST.MF", &[b'x'; 3000]), ("a.jar", b"PK\x03\x04 and nothing")];
    let good = jar(files);
    check("a.jar", b"", &[]);
    check("a.jar", b"version https://git-lfs", &[]);
    check("a.jar", b"PK\x03\x04 cut", &["UnreadableFile a.jar its zip is corrupt"]);
    check("b.jar", &good, &["UnreadableFile b.jar!/a.jar its zip is corrupt"]);
    let mut locked = jar_by(Stored, &[("META-INF/MANIFEST.MF", b"x")]);
    let central = memchr::memmem::rfind(&locked, b"PK\x01\x02").unwrap();
    locked[central + 8] |= 1;
    check("a.jar", &locked, &["UnreadableFile a.jar it is encrypted"]);
    let bomb = jar(&[("META-INF/MANIFEST.MF", &vec![0; 3 << 20])]);
    check("a.jar", &bomb, &["LimitReached a.jar it is too large"]);
    for end in 0..good.len() {
        let _ = archive("a.jar", &good[..end]);
        let _ = large_archive("a.jar", &mut &good[..end]);
    }
}

#[test]
fn names_split_before_their_version() {
    let check = |stem: &str, expected: Option<(&str, &str)>| assert_eq!(names::split_name(stem), expected, "{stem}");
    check("commons-io-2.11.0", Some(("commons-io", "2.11.0")));
    check("guava-31.1-jre", Some(("guava", "31.1-jre")));
    check("log4j-1.2-api-2.20.0", Some(("log4j-1.2-api", "2.20.0")));
    check(
        "netty-transport-native-epoll-4.1.100.Final-linux-x86_64",
        Some(("netty-transport-native-epoll", "4.1.100.Final")),
    );
    check("kafka_2.13-3.4.0", Some(("kafka_2.13", "3.4.0")));
    check("app-1.0.0-SNAPSHOT", Some(("app", "1.0.0-SNAPSHOT")));
    check("zstd-jni-1.5.4-2", Some(("zstd-jni", "1.5.4-2")));
    check("x-2.0.0-M1", Some(("x", "2.0.0-M1")));
    check("app", None);
    check("-1.0", None);
}

#[test]
fn sboms_name_what_an_application_is_built_of() {
    let bom: &[u8] = br#"{"bomFormat":"CycloneDX","components":[{"purl":"pkg:maven/org.acme/parser@1.0.0"}]}"#;
    let spring = "META-INF/sbom/application.cdx.json";
    let app = jar(&[(spring, bom)]);
    check("app.jar", &app, &[&format!("org.acme:parser 1.0.0 !/{spring}")]);
    let quarkus = "BOOT-INF/classes/META-INF/sbom/dependency.cdx.json";
    check("app.war", &jar(&[(quarkus, bom)]), &[&format!("org.acme:parser 1.0.0 !/{quarkus}")]);
    check("app.jar", &jar(&[("BOOT-INF/lib/a.jar", &app)]), &[]);
    check("app.jar", &jar(&[("META-INF/other/a.json", bom)]), &[]);
    check("app.jar", &jar(&[(spring, b"{")]), &["UnreadableFile app.jar!/META-INF/sbom/application.cdx.json"]);
    let whole = large_archive("app.jar", &mut Cursor::new(&app));
    assert_eq!(lines(&whole), [format!("org.acme:parser 1.0.0 !/{spring}")]);
}
