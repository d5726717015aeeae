//! The path of the control plane's binary, which `cargo xtask controlplane` builds once for each hash of its sources.

use crate::cluster::which;
use crate::digest::sha256;
use std::fs;
use std::path::{Path, PathBuf};

/// Names a ready binary.
pub const OVERRIDE: &str = "TIDEWAITER_CONTROLPLANE";

/// The folder of its sources.
pub fn sources(root: &Path) -> PathBuf {
    root.join("tests/controlplane")
}

/// Where the binary of these sources belongs.
pub fn cached(root: &Path) -> PathBuf {
    let mut files: Vec<PathBuf> = fs::read_dir(sources(root)).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    let all: Vec<u8> = files.iter().flat_map(|file| fs::read(file).unwrap()).collect();
    let hash = sha256(&all);
    let kind = if own_kubectl() { "-kubectl" } else { "" };
    root.join("target/controlplane").join(format!("controlplane-{}{kind}", &hash[7..23]))
}

/// Whether the binary must bring its own kubectl: PATH has none.
pub fn own_kubectl() -> bool {
    which("kubectl").is_none()
}

/// Where the binary of these sources with a kubelet in it belongs.
pub fn cached_with_kubelet(root: &Path) -> PathBuf {
    let plain = cached(root);
    let name = plain.file_name().unwrap_or_default().to_string_lossy().into_owned();
    plain.with_file_name(format!("{name}-kubelet"))
}

/// The binary to use: the one that is named, else the cached one.
///
/// # Errors
/// When there is none, with the command that makes it.
pub fn find(root: &Path) -> Result<PathBuf, String> {
    if let Some(named) = std::env::var_os(OVERRIDE) {
        let named = PathBuf::from(named);
        return if named.is_file() { Ok(named) } else { Err(format!("{OVERRIDE}={} is not a file", named.display())) };
    }
    let cached = cached(root);
    if cached.is_file() {
        Ok(cached)
    } else {
        Err("there is no control plane yet; run: cargo xtask controlplane".to_owned())
    }
}
