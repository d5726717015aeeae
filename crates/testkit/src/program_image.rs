//! The OCI images of the server and of the plugin, made without any other tool: the programs, the shared libraries they need, a
//! resolver configuration, a CA bundle, and nothing else. No shell, no package manager.

use crate::image::{Blob, ImageBuilder, ImageFixture};
use crate::layer::LayerBuilder;
use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The programs of the server's image: the server, and the plugin, which builds and renews the database.
pub const PROGRAMS: [&str; 2] = ["tidewaiter", "kubectl-scan"];
/// The program of the plugin's image, for pipelines.
pub const PLUGIN: [&str; 1] = ["kubectl-scan"];
/// The user that runs them, as in the manifests.
pub const USER: u32 = 65532;
/// Where distributions keep the bundle of certificate authorities.
const CA_BUNDLES: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem"];
/// The bundle's place in the image.
const CA_BUNDLE: &str = "etc/ssl/certs/ca-certificates.crt";

/// Makes an image of programs in this folder, whose entry point is the first; `architecture` is Go's name of theirs.
///
/// # Errors
/// When a file cannot be read, or this machine lacks a CA bundle or a shared library.
pub fn build(programs: &Path, names: &[&str], architecture: &str) -> io::Result<ImageFixture> {
    let paths: Vec<PathBuf> = names.iter().map(|name| programs.join(name)).collect();
    let mut base = LayerBuilder::new()
        .file("etc/passwd", format!("tidewaiter:x:{USER}:{USER}::/:/sbin/nologin\n"))
        .file("etc/group", format!("tidewaiter:x:{USER}:\n"))
        .file("etc/nsswitch.conf", "hosts: files dns\n")
        .file(CA_BUNDLE, read(&ca_bundle()?)?);
    for library in libraries(&paths)? {
        let inside = library.strip_prefix("/").unwrap_or(&library).to_string_lossy().into_owned();
        base = base.executable(&inside, read(&library)?);
    }
    let mut own = LayerBuilder::new();
    for (name, path) in names.iter().zip(&paths) {
        own = own.executable(&format!("usr/local/bin/{name}"), read(path)?);
    }
    Ok(ImageBuilder::new()
        .architecture(architecture)
        .user(&USER.to_string())
        .env("PATH=/usr/local/bin")
        .entrypoint(&[&format!("/usr/local/bin/{}", names[0])])
        .layer("libraries, resolver configuration, certificate authorities", base)
        .layer(&names.join(" and "), own)
        .build())
}

/// The image's root file system, as a runtime unpacks it.
///
/// # Errors
/// When the folder cannot be written.
pub fn unpack(image: &ImageFixture, to: &Path) -> io::Result<()> {
    let manifest: serde_json::Value = serde_json::from_slice(&image.root.bytes)?;
    for layer in manifest["layers"].as_array().into_iter().flatten() {
        let blob = image.blobs.get(layer["digest"].as_str().unwrap_or_default());
        let bytes = blob.map(Blob::read).unwrap_or_default();
        let mut tar = Vec::new();
        flate2::read::GzDecoder::new(bytes.as_slice()).read_to_end(&mut tar)?;
        let mut archive = tar::Archive::new(tar.as_slice());
        archive.set_preserve_mtime(false);
        archive.unpack(to)?;
    }
    Ok(())
}

/// The name OCI images use for this machine's architecture (GOARCH).
///
/// # Errors
/// On an architecture that was never tried.
pub fn architecture() -> io::Result<&'static str> {
    match std::env::consts::ARCH {
        "x86_64" => Ok("amd64"),
        "aarch64" => Ok("arm64"),
        other => Err(io::Error::other(format!("images are not made on {other}"))),
    }
}

fn ca_bundle() -> io::Result<PathBuf> {
    let named = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
    let usual = CA_BUNDLES.iter().map(PathBuf::from);
    let missing = || io::Error::other("no bundle of certificate authorities on this machine; install ca-certificates");
    usual.chain(named).find(|path| path.is_file()).ok_or_else(missing)
}

/// Every shared library that the programs load, and the loader itself, as the loader lists them.
fn libraries(programs: &[PathBuf]) -> io::Result<BTreeSet<PathBuf>> {
    let mut all = BTreeSet::new();
    for program in programs {
        let out = Command::new("ldd").arg(program).output()?;
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        if text.contains("not found") {
            let program = program.display();
            return Err(io::Error::other(format!("{program}: a shared library is missing:\n{text}")));
        }
        // `name => /path (address)`, `/path (address)`; the kernel's own page has no path.
        let words = text.lines().filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')));
        all.extend(words.map(PathBuf::from));
    }
    Ok(all)
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    fs::read(path).map_err(|e| io::Error::other(format!("{}: {e}", path.display())))
}
