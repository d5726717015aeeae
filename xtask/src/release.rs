//! What a release gives people, under `target/release-files`: the plugin's archive, its checksum, and krew's manifest.
//!
//! ```text
//! kubectl-scan-linux-amd64.tar.gz   kubectl-scan, LICENSE, completions/
//! scan.yaml                         the manifest of krew's index (krew.googlecontainertools.github.com/v1alpha2)
//! SHA256SUMS                        as `sha256sum -c` reads it
//! ```
//!
//! The same program makes the same bytes: entries have no time and no owner. Other platforms are archives of the same names
//! (`linux-arm64`, `darwin-arm64`), made where their linker is.

mod archive;
mod krew;

use crate::image;
use anyhow::{Context, Result, bail};
use archive::{Entry, Kind};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tidewaiter_testkit::sha256;

/// The shells of `kubectl-scan completion`, and the names under which these look for a script.
const COMPLETIONS: [(&str, &str); 4] = [
    ("bash", "completions/kubectl-scan.bash"),
    ("zsh", "completions/_kubectl-scan"),
    ("fish", "completions/kubectl-scan.fish"),
    ("powershell", "completions/kubectl-scan.ps1"),
];

#[derive(Debug, clap::Args)]
pub(crate) struct ReleaseArgs {
    /// Address of the folder that the files will be in, for krew's manifest
    #[arg(long, value_name = "URL")]
    url: String,
    /// Page of the plugin, for krew's manifest; default: that folder
    #[arg(long, value_name = "URL")]
    homepage: Option<String>,
    /// Install the plugin from these files by krew's own code, as its index does (Go, network)
    #[arg(long)]
    validate: bool,
    /// Folder of built programs, instead of building the release programs
    #[arg(long, value_name = "DIR", hide = true)]
    programs: Option<PathBuf>,
}

/// Writes the files.
pub(crate) fn run(root: &Path, args: &ReleaseArgs) -> Result<bool> {
    let folder = args.programs.clone().map_or_else(|| image::release(root), Ok)?;
    let program = folder.join("kubectl-scan");
    let platform = platform()?;
    let name = format!("kubectl-scan-{}-{}.tar.gz", platform.os, platform.arch);
    let archive = archive::gzip_of_tar(&entries(root, &program)?)?;
    let homepage = args.homepage.as_ref().unwrap_or(&args.url);
    let release = krew::Release { url: &args.url, homepage, archive: &name, bytes: &archive, platform: &platform };
    let manifest = krew::manifest(&release);
    let out = root.join("target/release-files");
    if out.exists() {
        fs::remove_dir_all(&out).with_context(|| out.display().to_string())?;
    }
    fs::create_dir_all(&out)?;
    let files = [(name.as_str(), archive.as_slice()), (krew::FILE, manifest.as_bytes())];
    for (name, bytes) in files {
        fs::write(out.join(name), bytes)?;
        println!("{}: {} bytes", out.join(name).display(), bytes.len());
    }
    fs::write(out.join("SHA256SUMS"), checksums(&files))?;
    if args.validate {
        krew::validate(&out, &name)?;
    }
    Ok(true)
}

/// A platform by the names of Go, which krew and kubectl use.
#[derive(Debug)]
struct GoPlatform {
    os: &'static str,
    arch: &'static str,
}

/// That of the programs that are built here.
fn platform() -> Result<GoPlatform> {
    let os = match std::env::consts::OS {
        "macos" => "darwin",
        other => other,
    };
    let arch = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => bail!("{other} is no platform of a release"),
    };
    Ok(GoPlatform { os, arch })
}

fn entries(root: &Path, program: &Path) -> Result<Vec<Entry>> {
    let read = |path: &Path| fs::read(path).with_context(|| path.display().to_string());
    let mut all = vec![
        Entry { path: "kubectl-scan", kind: Kind::Program, bytes: read(program)? },
        Entry { path: "LICENSE", kind: Kind::Text, bytes: read(&root.join("LICENSE"))? },
    ];
    for (shell, path) in COMPLETIONS {
        let made = Command::new(program).args(["completion", shell]).output()?;
        if !made.status.success() {
            bail!("{} completion {shell}: {}", program.display(), String::from_utf8_lossy(&made.stderr));
        }
        all.push(Entry { path, kind: Kind::Text, bytes: made.stdout });
    }
    Ok(all)
}

/// Lines of `sha256sum`.
fn checksums(files: &[(&str, &[u8])]) -> String {
    files.iter().map(|(name, bytes)| format!("{}  {name}\n", hex_digest(bytes))).collect()
}

fn hex_digest(bytes: &[u8]) -> String {
    sha256(bytes).trim_start_matches("sha256:").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_lines_of_sha256sum() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(checksums(&[("a", b""), ("b", b"")]), format!("{empty}  a\n{empty}  b\n"));
    }
}
