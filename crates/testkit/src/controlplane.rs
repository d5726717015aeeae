//! The path of the control plane's binary, which `cargo xtask controlplane` builds once for each release of Kubernetes and hash
//! of its sources.

use crate::cluster::which;
use crate::digest::sha256;
use crate::kubernetes::{KubernetesMinor, KubernetesRelease, minor_of, sources};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Names a ready binary.
pub const OVERRIDE: &str = "TIDEWAITER_CONTROLPLANE";

/// The minor version of Kubernetes in a built binary, which says it itself: one that is named by [`OVERRIDE`] may be any.
///
/// # Panics
/// When it cannot be run.
pub fn minor_in(binary: &Path) -> KubernetesMinor {
    let out = Command::new(binary).args(["kube-apiserver", "--version"]).output().unwrap();
    let text = String::from_utf8_lossy(&out.stdout);
    minor_of(text.trim().trim_start_matches("Kubernetes ")).unwrap()
}

/// Where the binary of these sources and this release belongs.
pub fn cached(root: &Path, release: &KubernetesRelease) -> PathBuf {
    let mut files: Vec<PathBuf> = fs::read_dir(sources(root)).unwrap().map(|e| e.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "go"));
    files.sort();
    files.extend([release.modules.clone(), release.modules.with_file_name("go.sum")]);
    let all: Vec<u8> = files.iter().flat_map(|file| fs::read(file).unwrap()).collect();
    let hash = sha256(&all);
    let kind = if own_kubectl() { "-kubectl" } else { "" };
    root.join("target/controlplane").join(format!("controlplane-{}-{}{kind}", release.version, &hash[7..23]))
}

/// Whether the binary must bring its own kubectl: PATH has none.
pub fn own_kubectl() -> bool {
    which("kubectl").is_none()
}

/// Where the binary of these sources with a kubelet in it belongs.
pub fn cached_with_kubelet(root: &Path, release: &KubernetesRelease) -> PathBuf {
    let plain = cached(root, release);
    let name = plain.file_name().unwrap_or_default().to_string_lossy().into_owned();
    plain.with_file_name(format!("{name}-kubelet"))
}

/// The binary to use: the one that is named, else the cached one of the chosen release.
///
/// # Errors
/// When there is none, with the command that makes it.
pub fn find(root: &Path) -> Result<PathBuf, String> {
    match named()? {
        Some(named) => Ok(named),
        None => find_cached(root, &KubernetesRelease::chosen(root)?),
    }
}

/// The binary that the environment names.
///
/// # Errors
/// When it names no file.
pub fn named() -> Result<Option<PathBuf>, String> {
    let Some(named) = std::env::var_os(OVERRIDE).map(PathBuf::from) else { return Ok(None) };
    if named.is_file() { Ok(Some(named)) } else { Err(format!("{OVERRIDE}={} is not a file", named.display())) }
}

fn find_cached(root: &Path, release: &KubernetesRelease) -> Result<PathBuf, String> {
    let cached = cached(root, release);
    if cached.is_file() {
        return Ok(cached);
    }
    let minor = release.minor;
    let newest = KubernetesRelease::newest(root)?.minor;
    let argument = if minor == newest { String::new() } else { format!(" --kubernetes {minor}") };
    Err(format!("there is no control plane of Kubernetes {minor} yet; run: cargo xtask controlplane{argument}"))
}
