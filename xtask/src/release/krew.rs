//! The plugin's manifest for krew, and krew's own check of it.

use super::{ReleaseFile, hex_digest};
use crate::platform::ProgramPlatform;
use anyhow::{Context, Result, bail};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

/// krew wants the file to be called as the plugin is.
pub(super) const FILE: &str = "scan.yaml";
/// The check that krew's index runs on what is sent to it, and krew.
const VALIDATOR: &str = "sigs.k8s.io/krew/cmd/validate-krew-manifest@v0.4.3";
const KREW: &str = "sigs.k8s.io/krew/cmd/krew@v0.4.3";

/// An archive of the release.
#[derive(Debug)]
pub(super) struct Archive {
    platform: ProgramPlatform,
    name: String,
    sha256: String,
}

impl Archive {
    /// That of a platform's files.
    pub(super) fn of(platform: ProgramPlatform, files: &[ReleaseFile]) -> Result<Self> {
        let archive = files.iter().find(|file| file.name.ends_with(".tar.gz")).context("no archive")?;
        Ok(Archive { platform, name: archive.name.clone(), sha256: hex_digest(&archive.bytes) })
    }
}

/// The manifest; `url` is the folder that the archives will be in. Addresses stand in it as JSON, which is YAML.
pub(super) fn manifest(url: &str, homepage: &str, archives: &[Archive]) -> String {
    let (version, url) = (env!("CARGO_PKG_VERSION"), url.trim_end_matches('/'));
    let homepage = serde_json::Value::from(homepage);
    let platforms: String = archives.iter().map(|archive| platform(url, archive)).collect();
    format!(
        r#"apiVersion: krew.googlecontainertools.github.com/v1alpha2
kind: Plugin
metadata:
  name: scan
spec:
  version: v{version}
  homepage: {homepage}
  shortDescription: Scan container images for known vulnerabilities
  description: |
    Lists the packages of an image and the known vulnerabilities in them, and judges them by a policy: on this
    machine without a cluster, or through tidewaiter, which scans images before a rollout.
  caveats: |
    A scan on this machine needs a vulnerability database: kubectl scan db update
  platforms:
{platforms}"#
    )
}

fn platform(url: &str, Archive { platform, name, sha256 }: &Archive) -> String {
    let (os, arch, uri) = (platform.os(), platform.arch(), serde_json::Value::from(format!("{url}/{name}")));
    format!(
        r#"  - selector:
      matchLabels:
        os: {os}
        arch: {arch}
    uri: {uri}
    sha256: {sha256}
    bin: kubectl-scan
    files:
    - from: kubectl-scan
      to: .
    - from: LICENSE
      to: .
"#
    )
}

/// Has krew check the manifest, and install the plugin by it from the archive next to it.
pub(super) fn validate(out: &Path, archive: &str) -> Result<()> {
    let (manifest, archive) = (out.join(FILE), out.join(archive));
    go_run(VALIDATOR, &["-skip-install", "-manifest"], &[&manifest], None)?;
    let home = tempfile::tempdir()?;
    let (by, from) = (with("--manifest=", &manifest), with("--archive=", &archive));
    go_run(KREW, &["install"], &[&by, &from], Some(home.path()))?;
    let installed = Command::new(home.path().join("bin/kubectl-scan")).arg("version").output()?;
    if !installed.status.success() {
        bail!("what krew installed does not run: {}", String::from_utf8_lossy(&installed.stderr));
    }
    Ok(())
}

fn with(option: &str, path: &Path) -> PathBuf {
    let mut text = OsString::from(option);
    text.push(path);
    text.into()
}

/// Runs a program of a Go module; `home` is where krew keeps what it installs.
fn go_run(program: &str, words: &[&str], paths: &[&Path], home: Option<&Path>) -> Result<()> {
    let mut command = Command::new("go");
    command.args(["run", program]).args(words).args(paths);
    if let Some(home) = home {
        command.env("KREW_ROOT", home);
    }
    if !command.status().context("krew's own code needs go")?.success() {
        bail!("{program} refuses the manifest; see above");
    }
    Ok(())
}
