//! The server's OCI image, made without any other tool: both programs, the shared libraries they need, a resolver
//! configuration, a CA bundle, and nothing else. No shell, no package manager.

use crate::push;
use anyhow::{Context, Result, bail};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tidewaiter_testkit::image::{Image, ImageBuilder};
use tidewaiter_testkit::layer::LayerBuilder;
use tidewaiter_testkit::layout;

/// The programs of the image: the server, and the plugin, with which the init container builds the database.
const PROGRAMS: [&str; 2] = ["tidewaiter", "kubectl-scan"];
/// Who runs them; the manifests say the same.
const USER: u32 = 65532;
/// Where distributions keep the bundle of certificate authorities.
const CA_BUNDLES: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem"];
/// The bundle's place in the image.
const CA_BUNDLE: &str = "etc/ssl/certs/ca-certificates.crt";

/// Builds the image as an OCI layout, and pushes it when told where to.
pub(crate) fn run(root: &Path, to: Option<&str>) -> Result<bool> {
    let target = release(root)?;
    let image = build(&target)?;
    let out = root.join("target/image");
    if out.exists() {
        fs::remove_dir_all(&out).with_context(|| out.display().to_string())?;
    }
    layout::write(&out, &image);
    println!("{}: {}", out.display(), image.digest());
    if let Some(reference) = to {
        push::push(reference, &image)?;
        println!("pushed {reference}@{}", image.digest());
    }
    Ok(true)
}

/// Builds both programs, one after the other: built together, each would get the features that only the other needs.
/// Gives their folder.
pub(crate) fn release(root: &Path) -> Result<PathBuf> {
    for package in ["tidewaiter", "kubectl-scan"] {
        let mut command = Command::new(env!("CARGO"));
        command.args(["build", "--release", "--locked", "-p", package]).current_dir(root);
        if !command.status()?.success() {
            bail!("{package} does not build; see above");
        }
    }
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    Ok(target.join("release"))
}

fn build(programs: &Path) -> Result<Image> {
    let paths: Vec<PathBuf> = PROGRAMS.iter().map(|name| programs.join(name)).collect();
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
    for (name, path) in PROGRAMS.iter().zip(&paths) {
        own = own.executable(&format!("usr/local/bin/{name}"), read(path)?);
        println!("{name}: {} bytes", fs::metadata(path)?.len());
    }
    Ok(ImageBuilder::new()
        .architecture(architecture()?)
        .user(&USER.to_string())
        .env("PATH=/usr/local/bin")
        .entrypoint(&["/usr/local/bin/tidewaiter"])
        .layer("libraries, resolver configuration, certificate authorities", base)
        .layer("tidewaiter and kubectl-scan", own)
        .build())
}

/// The name OCI images use for this machine's architecture (GOARCH).
fn architecture() -> Result<&'static str> {
    match std::env::consts::ARCH {
        "x86_64" => Ok("amd64"),
        "aarch64" => Ok("arm64"),
        other => bail!("images are not made on {other}"),
    }
}

fn ca_bundle() -> Result<PathBuf> {
    let named = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
    let usual = CA_BUNDLES.iter().map(PathBuf::from);
    let found = usual.chain(named).find(|path| path.is_file());
    found.context("no bundle of certificate authorities on this machine; install ca-certificates")
}

/// Every shared library the programs load, and the loader itself, as the loader says.
fn libraries(programs: &[PathBuf]) -> Result<BTreeSet<PathBuf>> {
    let mut all = BTreeSet::new();
    for program in programs {
        let out = Command::new("ldd").arg(program).output().context("ldd cannot be run")?;
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        if text.contains("not found") {
            bail!("{}: a shared library is missing:\n{text}", program.display());
        }
        // `name => /path (address)`, `/path (address)`; the kernel's own page has no path.
        let words = text.lines().filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')));
        all.extend(words.map(PathBuf::from));
    }
    Ok(all)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| path.display().to_string())
}
