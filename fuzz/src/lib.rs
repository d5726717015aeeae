//! One function for every parser of hostile bytes: it may refuse its input, and must neither panic nor hang.
//!
//! With the fuzzer (nightly): `cargo +nightly fuzz run targets --features libfuzzer`. On the stable compiler:
//! `cargo test --release`, with `FUZZ_EXECUTIONS=N` for more than the default number of executions.

use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use tidewaiter_core::image::{Digest, Platform, Reference};
use tidewaiter_core::package::Package;
use tidewaiter_core::version::Order;
use tidewaiter_db::Database;
use tidewaiter_feeds::exceptions;
use tidewaiter_feeds::format::{
    Records, alpine_secdb, csaf_vex, debian_git, debian_tracker, epss, kev, nvd, osv, oval, packagist, rubysec,
    support, updateinfo,
};
use tidewaiter_scan::analyze;
use tidewaiter_scan::engine::{self, Options};
use tidewaiter_scan::limits::Limits;
use tidewaiter_scan::progress::Silent;
use tidewaiter_scan::source::docker_archive;
use tidewaiter_scan::source::registry::auth;
use tidewaiter_scan::source::registry::credentials::Credentials;
use tidewaiter_scan::tar::Reader;

/// A target: its name, a sound input to begin with, and what is done with an input.
pub type Target = (&'static str, fn() -> Vec<u8>, fn(&[u8]));

/// All targets.
pub const TARGETS: &[Target] = &[
    ("tar", seeds::tar, tar),
    (
        "dpkg",
        || b"Package: a\nStatus: install ok installed\nVersion: 1:2-3\nSource: b (2)\n\n".to_vec(),
        |b| file("var/lib/dpkg/status", b),
    ),
    ("apk", || b"P:musl\nV:1.2-r0\nA:x86_64\no:musl\n\n".to_vec(), |b| file("lib/apk/db/installed", b)),
    ("npm", || br#"{"name":"a","version":"1.0.0"}"#.to_vec(), |b| file("node_modules/a/package.json", b)),
    (
        "python",
        || b"Metadata-Version: 2.1\nName: a\nVersion: 1\n\nbody".to_vec(),
        |b| file("a-1.dist-info/METADATA", b),
    ),
    ("os-release", || b"ID=debian\nVERSION_ID=\"12\"\n".to_vec(), |b| file("etc/os-release", b)),
    ("elf", || seeds::go_program(&seeds::elf()), |b| file("usr/bin/node", b)),
    ("pe", || seeds::go_program(&seeds::pe()), |b| file("app.exe", b)),
    ("mach-o", || seeds::go_program(&seeds::mach_o()), |b| file("app", b)),
    ("jar", seeds::jar, |b| file("lib/app-1.0.jar", b)),
    ("large", seeds::jar, large),
    ("program", || b"JAVA_VERSION=\"17.0.1\"\n".to_vec(), |b| file("jdk/release", b)),
    (
        "purl",
        || b"pkg:golang/github.com/A/b%2F@v1%2B2?epoch=1&a=b#c".to_vec(),
        |b| drop(text(b).map(Package::from_purl)),
    ),
    (
        "spdx",
        || {
            br#"{"spdxVersion":"2","packages":[{"externalRefs":[{"referenceType":"purl","referenceLocator":"pkg:npm/a@1"}]}]}"#.to_vec()
        },
        |b| file("a.spdx.json", b),
    ),
    (
        "spdx-3",
        || {
            br#"{"@graph":[{"externalIdentifier":[{"externalIdentifierType":"packageUrl","identifier":"pkg:npm/a@1"}]}]}"#.to_vec()
        },
        |b| file("a.spdx.json", b),
    ),
    (
        "yarn",
        || {
            b"RAW_RUNTIME_STATE =\n'{\"packageRegistryData\":[[\"a\",\\\n[[\"virtual:0#patch:a@npm%3A1#x\",{}]]]]}';"
                .to_vec()
        },
        |b| file(".pnp.cjs", b),
    ),
    ("analyze-json", || seeds::JSON.as_bytes().to_vec(), analyze_path),
    ("analyze-text", || seeds::TEXT.as_bytes().to_vec(), analyze_path),
    ("docker-archive", seeds::docker_archive, archive),
    ("database", seeds::database, database),
    ("reference", || b"registry.example:5000/team/app:v1@sha256:0000".to_vec(), reference),
    ("versions", || b"1:2.0~rc1-3 1:2.0-3".to_vec(), versions),
    ("challenge", || br#"Bearer realm="https://a/t",service="r""#.to_vec(), |b| drop(text(b).map(auth::parse))),
    ("docker-config", || br#"{"auths":{"r.example":{"auth":"YTpi"}}}"#.to_vec(), |b| drop(Credentials::parse(b))),
    ("feed-osv", seeds::osv, |b| drop(osv::parse("a.json", b, "f", &mut Records::default()))),
    (
        "feed-osv-yaml",
        || b"id: A\naffected:\n- package: {name: a, ecosystem: PyPI}\n  versions: ['1']\n".to_vec(),
        |b| {
            drop(osv::parse("a.yaml", b, "f", &mut Records::default()));
        },
    ),
    (
        "vex",
        || {
            br#"{"@context":"https://openvex.dev/ns","statements":[{"vulnerability":"CVE-1","status":"fixed","products":["pkg:npm/a"]}]}"#.to_vec()
        },
        |b| {
            drop(exceptions::parse(Path::new("vex.json"), b));
        },
    ),
    ("vex-csaf", seeds::csaf, |b| drop(exceptions::parse(Path::new("vex.json"), b))),
    (
        "grype-ignore",
        || b"ignore:\n  - vulnerability: CVE-1\n    package: {name: lib.*}\n".to_vec(),
        |b| {
            drop(exceptions::parse(Path::new(".grype.yaml"), b));
        },
    ),
    ("feed-csaf", seeds::csaf, |b| drop(csaf_vex::parse("a.json", b, "f", &mut Records::default()))),
    ("feed-oval", seeds::oval, |b| drop(oval::parse("a.xml", b, "f", &mut Records::default()))),
    ("feed-updateinfo", seeds::updateinfo, |b| {
        drop(updateinfo::parse("a.xml", b, "f", &[], &mut Records::default()));
    }),
    (
        "feed-debian-git",
        || b"CVE-2023-1 (x)\n\t- a 2-1 (low; bug #1)\n\t[bookworm] - a <no-dsa> (Minor)\n".to_vec(),
        |b| {
            drop(debian_git::parse("data/CVE/list", b, &mut Records::default()));
        },
    ),
    (
        "feed-debian-dsa",
        || b"[29 Mar 2023] DSA-1-1 a - x\n\t{CVE-2023-1}\n\t[bookworm] - a 1-1\n".to_vec(),
        |b| {
            drop(debian_git::parse("data/DSA/list", b, &mut Records::default()));
        },
    ),
    (
        "feed-debian-tracker",
        || br#"{"a":{"CVE-1":{"releases":{"sid":{"status":"open","urgency":"low"}}}}}"#.to_vec(),
        |b| {
            drop(debian_tracker::parse("a.json", b, "f", &mut Records::default()));
        },
    ),
    (
        "feed-alpine",
        || br#"{"distroversion":"v3.18","packages":[{"pkg":{"name":"a","secfixes":{"1-r0":["CVE-1"]}}}]}"#.to_vec(),
        |b| {
            drop(alpine_secdb::parse("a.json", b, "f", &mut Records::default()));
        },
    ),
    (
        "feed-rubysec",
        || b"gem: a\ncve: 2022-1\npatched_versions:\n- '~> 2.0.9, >= 2.0.9.2'\n- '>= 2.1'\n".to_vec(),
        |b| {
            drop(rubysec::parse("a.yml", b, "f", &mut Records::default()));
        },
    ),
    (
        "feed-friendsofphp",
        || b"reference: composer://a/b\nbranches:\n  1.x:\n    versions: ['>=1', '<2']\n".to_vec(),
        |b| {
            drop(packagist::friends_of_php("a.yaml", b, "f", &mut Records::default()));
        },
    ),
    (
        "feed-roave",
        || br#"{"name":"r","conflict":{"a/b":"<1.4|>=1.5,<1.6"}}"#.to_vec(),
        |b| {
            drop(packagist::roave("composer.json", b, "f", &mut Records::default()));
        },
    ),
    (
        "feed-epss",
        || b"#score_date:2025-02-20\ncve,epss,percentile\nCVE-1,0.1,0.2\n".to_vec(),
        |b| {
            drop(epss::parse("a.csv", b, &mut Records::default()));
        },
    ),
    (
        "feed-kev",
        || br#"{"vulnerabilities":[{"cveID":"CVE-1","dateAdded":"2024-01-01"}]}"#.to_vec(),
        |b| {
            drop(kev::parse("a.json", b, &mut Records::default()));
        },
    ),
    (
        "feed-nvd",
        || br#"{"vulnerabilities":[{"cve":{"id":"CVE-1","metrics":{}}}]}"#.to_vec(),
        |b| {
            drop(nvd::parse("a.json", b, &mut Records::default()));
        },
    ),
    (
        "feed-distro-info",
        || b"version,series,eol\n12,bookworm,2026-06-10\n".to_vec(),
        |b| {
            drop(support::distro_info("debian.csv", b, &mut Records::default()));
        },
    ),
    (
        "feed-endoflife",
        || b"---\nreleases:\n  - releaseCycle: \"9\"\n    eol: 2032-05-31\n---\n".to_vec(),
        |b| {
            drop(support::endoflife("debian.md", b, &mut Records::default()));
        },
    ),
];

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

fn tar(bytes: &[u8]) {
    let limits = Limits { entries: 10_000, path_bytes: 4096, ..Limits::default() };
    let mut reader = Reader::new(bytes, &limits);
    while let Ok(Some(_)) = reader.next_entry() {}
}

fn file(path: &str, bytes: &[u8]) {
    drop(analyze::parse(path, bytes));
}

/// A program or archive that is read as it passes.
fn large(bytes: &[u8]) {
    for path in ["app.jar", "usr/bin/node"] {
        let tar = seeds::archive(&[(path, bytes)]);
        let limits = Limits { file_bytes: 16, ..Limits::default() };
        let config = seeds::image(&tar);
        with_file(&config, |path| {
            let Ok(image) = docker_archive::open(path, None) else { return };
            let cancel = AtomicBool::new(false);
            drop(engine::inventory(
                &image,
                &Options { limits, threads: 1, cancel: &cancel, progress: &Silent, cache: None },
            ));
        });
    }
}

/// By every analyzer of a language's or distribution's files that is wanted by its path.
fn analyze_path(bytes: &[u8]) {
    let paths = [
        "specifications/a-1.gemspec",
        "vendor/composer/installed.json",
        "shared/A/1/A.deps.json",
        "var/lib/pacman/local/a-1-1/desc",
        "var/lib/chisel/manifest.wall",
        "conda-meta/a.json",
        "R/library/a/DESCRIPTION",
        "pubspec.lock",
        "lib/a-1/ebin/a.app",
        "deps/a/hex_metadata.config",
        "Manifest.toml",
        "Package.resolved",
        "sbom.cdx.json",
        ".pnp.cjs",
        ".pnp.data.json",
        "stdlib/v1.9/A/Project.toml",
    ];
    for path in paths {
        assert!(analyze::wants(path), "{path}");
        file(path, bytes);
    }
}

/// Whole: opened, inflated, merged, analysed.
fn archive(bytes: &[u8]) {
    with_file(bytes, |path| {
        let Ok(image) = docker_archive::open(path, None) else { return };
        let cancel = AtomicBool::new(false);
        let limits = Limits { layer_bytes: 16 << 20, ..Limits::default() };
        drop(engine::inventory(
            &image,
            &Options { limits, threads: 1, cancel: &cancel, progress: &Silent, cache: None },
        ));
    });
}

/// Opened without its checksum, as after an import, and asked.
fn database(bytes: &[u8]) {
    with_file(bytes, |path| {
        let Ok(db) = Database::open(path) else { return };
        for key in [tidewaiter_core::advisory::KeyKind::Source, tidewaiter_core::advisory::KeyKind::Binary] {
            for row in db.rows("Debian:99", key, "zlib") {
                row.spans().for_each(drop);
                let _ = (row.module(), row.covers_arch("x86_64"));
                drop(row.advisory());
            }
        }
        drop(db.cve("CVE-1"));
    });
}

fn with_file(bytes: &[u8], work: impl FnOnce(&Path)) {
    let Ok(mut file) = tempfile::NamedTempFile::new() else { return };
    if file.write_all(bytes).is_ok() {
        work(file.path());
    }
}

fn reference(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    drop(text.parse::<Reference>().map(|r| r.to_string()));
    drop(text.parse::<Digest>());
    drop(text.parse::<Platform>());
}

fn versions(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (a, b) = text.split_once(' ').unwrap_or((&text, ""));
    for name in [
        "debian",
        "alpine",
        "semver",
        "pypi",
        "redhat",
        "maven",
        "rubygems",
        "nuget",
        "packagist",
        "go",
        "pub",
        "cran",
        "hackage",
    ] {
        let Some(order) = Order::named(name) else { continue };
        assert_eq!(order.compare(a, b), order.compare(b, a).reverse(), "{name}: {a:?} {b:?}");
        let _ = order.is_valid(a);
    }
}

mod seeds {
    //! Sound inputs, made in code.

    /// For all analyzers of JSON at once.
    pub const JSON: &str = r#"{"name":"a","version":"1","bomFormat":"CycloneDX","components":[{"purl":"pkg:npm/a@1"}],
        "runtimeTarget":{"name":"T/x"},"targets":{"T/x":{"A/1":{"runtime":{"a":{}}}}},"libraries":{"A/1":{"type":"package"}},
        "packages":[{"name":"a/b","version":"v1"}],
        "pins":[{"location":"https://x.example/a/b.git","state":{"version":"1"}}]}"#;
    /// For all analyzers of text at once.
    pub const TEXT: &str = "Package: a\nVersion: 1\nBuilt: x\n\n%NAME%\na\n\n%VERSION%\n1-1\n\n# stub: a 1 ruby lib\n  s.name = \"a\"\n\
        {application,a,[{vsn,\"1\"}]}.\n{<<\"name\">>,<<\"a\">>}.\n[[deps.A]]\nuuid = \"a\"\nversion = \"1\"\n";

    use tidewaiter_core::advisory::{Advisory, Affected, CveFacts, KeyKind, Module};
    use tidewaiter_core::ecosystem::Ecosystem;
    use tidewaiter_core::severity::Severity;
    use tidewaiter_db::meta::Meta;
    use tidewaiter_db::writer::{self, BuildInput};
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

    pub fn archive(entries: &[(&str, &[u8])]) -> Vec<u8> {
        let mut out: Vec<u8> = entries.iter().flat_map(|(path, content)| entry(path, content)).collect();
        out.resize(out.len() + 1024, 0);
        out
    }

    pub fn tar() -> Vec<u8> {
        archive(&[("etc/os-release", b"ID=debian\n"), ("var/lib/dpkg/status", b"Package: a\nVersion: 1\n")])
    }

    pub fn docker_archive() -> Vec<u8> {
        image(&tar())
    }

    /// A docker archive of one layer.
    pub fn image(layer: &[u8]) -> Vec<u8> {
        let config = format!(
            r#"{{"os":"linux","architecture":"amd64","rootfs":{{"type":"layers","diff_ids":["{}"]}}}}"#,
            sha256(layer)
        );
        let name = format!("{}.json", sha256(config.as_bytes()).hex());
        let manifest = format!(r#"[{{"Config":"{name}","RepoTags":["a:b"],"Layers":["l/layer.tar"]}}]"#);
        archive(&[("manifest.json", manifest.as_bytes()), (&name, config.as_bytes()), ("l/layer.tar", layer)])
    }

    /// A program's headers, then Go's build info and a list of crates at an aligned place.
    pub fn go_program(headers: &[u8]) -> Vec<u8> {
        let mut out = headers.to_vec();
        out.resize(512, 0);
        out.extend(b"\xff Go buildinf:\x08\x02");
        out.resize(544, 0);
        let modules = "<<<<<<<<<<<<<<<<path\ta\nmod\ta\tv1.0.0\t\ndep\tb\tv1\t\n=>\t./c\t\t\nbuild\t-ldflags=\"-X a=b\"\n>>>>>>>>>>>>>>>>";
        out.extend(b"\x06go1.22");
        out.push(u8::try_from(modules.len()).expect("a short text"));
        out.extend(modules.as_bytes());
        out.extend(b"node.js/v20.1.0\0");
        out
    }

    fn put(out: &mut [u8], at: usize, value: u64, size: usize) {
        out[at..at + size].copy_from_slice(&value.to_le_bytes()[..size]);
    }

    pub fn elf() -> Vec<u8> {
        let mut out = vec![0; 512];
        out[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
        for (at, value, size) in
            [(32, 64, 8), (40, 128, 8), (54, 56, 2), (56, 1, 2), (58, 64, 2), (60, 3, 2), (62, 2, 2)]
        {
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

    pub fn pe() -> Vec<u8> {
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

    pub fn mach_o() -> Vec<u8> {
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
    pub fn jar() -> Vec<u8> {
        let properties: &[u8] = b"groupId=a\nartifactId=b\nversion=1\n";
        let inner = zip(&[("META-INF/maven/a/b/pom.properties", properties)]);
        zip(&[
            ("META-INF/MANIFEST.MF", b"Implementation-Version: 1.0\nBundle-SymbolicName: a.b\n c\n"),
            ("x.jar", &inner),
        ])
    }

    fn zip(entries: &[(&str, &[u8])]) -> Vec<u8> {
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

    pub fn osv() -> Vec<u8> {
        br#"{"id":"ALSA-1","summary":"Important: nodejs:20 update","related":["CVE-1"],"affected":[{"package":{"ecosystem":
        "AlmaLinux:9","name":"a"},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"1:2-3.module_el9"}]}]}]}"#
            .to_vec()
    }

    pub fn csaf() -> Vec<u8> {
        br#"{"document":{"csaf_version":"2.0"},"product_tree":{"branches":[{"product":{"product_id":"B","product_identification_helper":
        {"cpe":"cpe:/o:redhat:enterprise_linux:9::baseos"}}},{"product":{"product_id":"c","product_identification_helper":{"purl":
        "pkg:rpm/redhat/curl@7-1?arch=x86_64"}}}],"relationships":[{"full_product_name":{"product_id":"B:c"},"product_reference":"c",
        "relates_to_product_reference":"B"}]},"vulnerabilities":[{"cve":"CVE-1","product_status":{"fixed":["B:c"]}}]}"#
            .to_vec()
    }

    pub fn oval() -> Vec<u8> {
        br#"<oval_definitions><definitions><definition id="d"><metadata><affected><platform>Oracle Linux 8</platform></affected>
        <reference source="CVE" ref_id="CVE-1"/></metadata><criteria operator="AND"><criterion test_ref="t" comment="c"/></criteria>
        </definition></definitions><tests><rpminfo_test id="t"><object object_ref="o"/><state state_ref="s"/></rpminfo_test></tests>
        <objects><rpminfo_object id="o"><name>a</name></rpminfo_object></objects><states><rpminfo_state id="s">
        <evr operation="less than">0:1-1</evr></rpminfo_state></states></oval_definitions>"#
            .to_vec()
    }

    pub fn updateinfo() -> Vec<u8> {
        br#"<updates><update type="security"><id>A</id><references><reference id="CVE-1" href="https://a"/></references><pkglist>
        <collection short="x"><name>Rocky Linux 8</name><module name="m" stream="1"/><package name="a" version="1" release="2"
        epoch="0" arch="noarch"/></collection></pkglist></update></updates>"#
            .to_vec()
    }

    pub fn database() -> Vec<u8> {
        let affected = Affected {
            versions: vec!["3".to_owned()],
            severity: Severity::High,
            module: Module::Streams(vec!["a:1".to_owned()]),
            ..Affected::new(Ecosystem::from("Debian:99"), "zlib", KeyKind::Source).fixed_in("2")
        };
        let advisory =
            Advisory { id: "CVE-1".to_owned(), feed: "f".to_owned(), affected: vec![affected], ..Advisory::default() };
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("db");
        let input = BuildInput {
            advisories: vec![advisory],
            cves: [("CVE-1".to_owned(), CveFacts::default())].into(),
            meta: Meta::default(),
        };
        writer::write(&path, &input).expect("a database");
        std::fs::read(&path).expect("the database")
    }
}
