//! What an image holds, and the forms it comes in.

use crate::{Target, cached, oracles, seeds};
use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use tidewaiter_scan::analyze;
use tidewaiter_scan::engine::{self, ScanOptions};
use tidewaiter_scan::limits::Limits;
use tidewaiter_scan::progress::Silent;
use tidewaiter_scan::source::{containerd as store, docker_archive, oci_layout};

/// Files of images, layers, archives.
pub(crate) const TARGETS: &[Target] = &[
    ("tar", seeds::all_tar_entries, oracles::tar),
    ("zip", seeds::zip_archive, oracles::zip),
    (
        "dpkg",
        || b"Package: a\nStatus: install ok installed\nVersion: 1:2-3\nSource: b (2)\n\n".to_vec(),
        |b| file("var/lib/dpkg/status", b),
    ),
    ("apk", || b"P:musl\nV:1.2-r0\nA:x86_64\no:musl\nF:lib\nR:a\n\n".to_vec(), |b| file("lib/apk/db/installed", b)),
    ("npm", || br#"{"name":"a","version":"1.0.0"}"#.to_vec(), |b| file("node_modules/a/package.json", b)),
    (
        "python",
        || b"Metadata-Version: 2.1\nName: a\nVersion: 1\n\nbody".to_vec(),
        |b| file("a-1.dist-info/METADATA", b),
    ),
    ("dpkg-list", || b"/.\n/usr\n/usr/bin/a\n".to_vec(), |b| file("var/lib/dpkg/info/a.list", b)),
    ("rpm-sqlite", seeds::rpm_database, oracles::rpm_database),
    ("rpm-log", Vec::new, |b| file("var/lib/rpm/rpmdb.sqlite-wal", b)),
    ("rpm-ndb", Vec::new, |b| file("var/lib/rpm/Packages.db", b)),
    ("rpm-bdb", Vec::new, |b| file("var/lib/rpm/Packages", b)),
    (
        "rpm-manifest",
        || b"a\t1-1.azl3\t1\t2\tMicrosoft\t(none)\t3\tx86_64\t0\ta-1-1.azl3.src.rpm\n".to_vec(),
        |b| file("var/lib/rpmmanifest/container-manifest-2", b),
    ),
    ("os-release", || b"ID=debian\nVERSION_ID=\"12\"\n".to_vec(), |b| file("etc/os-release", b)),
    ("elf", || seeds::go_program(&seeds::elf()), |b| file("usr/bin/node", b)),
    ("pe", || seeds::go_program(&seeds::pe()), |b| file("app.exe", b)),
    ("mach-o", || seeds::go_program(&seeds::mach_o()), |b| file("app", b)),
    ("jar", seeds::jar, |b| file("lib/app-1.0.jar", b)),
    ("asar", seeds::asar, |b| file("app.asar", b)),
    ("python-application", seeds::python_application, |b| file("app.pex", b)),
    ("large", seeds::jar, large),
    ("program", || b"JAVA_VERSION=\"17.0.1\"\n".to_vec(), |b| file("jdk/release", b)),
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
    ("layer", seeds::tar, layer),
    ("layer-gzip", || seeds::gzip(&seeds::tar()), layer),
    ("layer-zstd", || seeds::zstd(&seeds::tar()), layer),
    ("cached-layer", cached::seed, cached::scan),
    ("oci-archive", seeds::oci_archive, |b| with_file(b, |path| drop(oci_layout::open_archive(path, None)))),
    ("containerd", Vec::new, containerd),
];

fn file(path: &str, bytes: &[u8]) {
    drop(analyze::parse(path, bytes));
}

/// A program or archive that is streamed.
fn large(bytes: &[u8]) {
    for path in ["app.jar", "usr/bin/node"] {
        let mut content = bytes;
        drop(analyze::parse_stream(path, bytes, &mut content));
    }
}

/// By every analyzer that is chosen by a path.
fn analyze_path(bytes: &[u8]) {
    for path in analyze::ANALYZERS.iter().flat_map(analyze::Analyzer::sample_paths) {
        assert!(analyze::wants(&path), "{path}");
        file(&path, bytes);
    }
}

/// Whole: opened, inflated, merged, analysed.
fn archive(bytes: &[u8]) {
    inventory(bytes, Limits { layer_bytes: 16 << 20, ..Limits::default() });
}

/// A layer of an image that is sound otherwise.
fn layer(bytes: &[u8]) {
    archive(&seeds::image(bytes));
}

fn inventory(archive: &[u8], limits: Limits) {
    with_file(archive, |path| {
        let Ok(image) = docker_archive::open(path, None) else { return };
        let cancel = AtomicBool::new(false);
        let options = ScanOptions { limits, threads: 1, cancel: &cancel, progress: &Silent, cache: None };
        drop(engine::inventory(&image, &options));
    });
}

/// The metadata database of a node's containerd.
fn containerd(bytes: &[u8]) {
    let Ok(root) = tempfile::tempdir() else { return };
    let metadata = root.path().join("io.containerd.metadata.v1.bolt");
    if std::fs::create_dir(&metadata).is_err() || std::fs::write(metadata.join("meta.db"), bytes).is_err() {
        return;
    }
    let Ok(reference) = "a:b".parse() else { return };
    drop(store::open(&[root.path().to_owned()], &reference, None));
}

pub(crate) fn with_file(bytes: &[u8], work: impl FnOnce(&Path)) {
    let Ok(mut file) = tempfile::NamedTempFile::new() else { return };
    if file.write_all(bytes).is_ok() {
        work(file.path());
    }
}
