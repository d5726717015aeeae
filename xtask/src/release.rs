//! What a release gives people, under `target/release-files`: the plugin's archive, its SBOM, krew's manifest, and checksums.
//!
//! ```text
//! kubectl-scan-linux-amd64.tar.gz   kubectl-scan, LICENSE, completions/, man/
//! kubectl-scan-linux-amd64.cdx.json what the program is made of
//! scan.yaml                         the manifest of krew's index (krew.googlecontainertools.github.com/v1alpha2)
//! SHA256SUMS                        as `sha256sum -c` reads it
//! ```
//!
//! The same program makes the same bytes: entries have no time and no owner. Other platforms are archives of the same names
//! (`linux-arm64`, `darwin-arm64`), made where their linker is.

mod archive;
mod krew;
mod twice;

use crate::install::{command, output};
use crate::programs;
use anyhow::{Context, Result, bail};
use archive::{Entry, Kind};
use std::fs;
use std::path::{Path, PathBuf};
use tidewaiter_testkit::{layout, program_image, sha256};

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
    /// Build the plugin a second time, from a clone in another folder, and compare the two
    #[arg(long, conflicts_with = "programs")]
    twice: bool,
    /// Folder of built programs, instead of building the release programs
    #[arg(long, value_name = "DIR", hide = true)]
    programs: Option<PathBuf>,
}

/// Writes the files.
pub(crate) fn run(root: &Path, args: &ReleaseArgs) -> Result<bool> {
    let folder = args.programs.clone().map_or_else(|| programs::release_plugin(root), Ok)?;
    let program = folder.join("kubectl-scan");
    let platform = platform()?;
    let name_of_platform = format!("kubectl-scan-{}-{}", platform.os, platform.arch);
    let name = format!("{name_of_platform}.tar.gz");
    let archive = archive::gzip_of_tar(&entries(root, &program)?)?;
    let homepage = args.homepage.as_ref().unwrap_or(&args.url);
    let release = krew::Release { url: &args.url, homepage, archive: &name, bytes: &archive, platform: &platform };
    let manifest = krew::manifest(&release);
    let out = root.join("target/release-files");
    if out.exists() {
        fs::remove_dir_all(&out).with_context(|| out.display().to_string())?;
    }
    fs::create_dir_all(&out)?;
    let (sbom_name, sbom) = (format!("{name_of_platform}.cdx.json"), sbom(root, &folder, &program)?);
    let files =
        [(name.as_str(), archive.as_slice()), (krew::FILE, manifest.as_bytes()), (sbom_name.as_str(), sbom.as_bytes())];
    for (name, bytes) in files {
        fs::write(out.join(name), bytes)?;
        println!("{}: {} bytes", out.join(name).display(), bytes.len());
    }
    fs::write(out.join("SHA256SUMS"), checksums(&files))?;
    if args.twice {
        twice::compare(root, &program)?;
    }
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
        Entry { path: "kubectl-scan".into(), kind: Kind::Program, bytes: read(program)? },
        Entry { path: "LICENSE".into(), kind: Kind::Text, bytes: read(&root.join("LICENSE"))? },
    ];
    for (shell, path) in COMPLETIONS {
        let script = output(&mut command(program, &["completion", shell]))?;
        all.push(Entry { path: path.into(), kind: Kind::Text, bytes: script.into_bytes() });
    }
    all.extend(manual(program)?);
    Ok(all)
}

/// The manual pages, by name.
fn manual(program: &Path) -> Result<Vec<Entry>> {
    let folder = tempfile::tempdir()?;
    output(command(program, &["man"]).arg(folder.path()))?;
    let mut pages = Vec::new();
    for page in fs::read_dir(folder.path())? {
        let page = page?;
        let path = format!("man/man1/{}", page.file_name().display());
        pages.push(Entry { path, kind: Kind::Text, bytes: fs::read(page.path())? });
    }
    pages.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(pages)
}

/// What the program is made of (CycloneDX), as it reads itself in its own image.
fn sbom(root: &Path, folder: &Path, program: &Path) -> Result<String> {
    let image = tempfile::tempdir()?;
    layout::write(image.path(), &program_image::build_plugin(folder)?);
    let mut command = command(program, &["sbom", "-o", "cyclonedx"]);
    output(command.arg(format!("oci:{}", image.path().display())).envs(time_of_commit(root)))
}

/// The time that documents have, unless somebody set it: that of the commit (reproducible-builds.org); none where there is no
/// commit.
fn time_of_commit(root: &Path) -> Option<(&'static str, String)> {
    const VARIABLE: &str = "SOURCE_DATE_EPOCH";
    if std::env::var_os(VARIABLE).is_some() {
        return None;
    }
    let time = output(command("git", &["log", "-1", "--format=%ct"]).current_dir(root)).ok()?;
    Some((VARIABLE, time.trim().to_owned()))
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
