//! What a release gives people, under `target/release-files`: for each platform the plugin's archive and its SBOM, krew's manifest,
//! and checksums.
//!
//! ```text
//! kubectl-scan-linux-amd64.tar.gz   kubectl-scan, kubectl_complete-scan, LICENSE, completions/, man/
//! kubectl-scan-linux-amd64.cdx.json what the program is made of
//! scan.yaml                         the manifest of krew's index (krew.googlecontainertools.github.com/v1alpha2)
//! SHA256SUMS                        as `sha256sum -c` reads it
//! ```
//!
//! The same commit makes the same programs and archives with the same compilers: programs hold no path of the machine, entries have no
//! time and no owner. SBOMs have the time of the commit, and name an image with this machine's certificate authorities. Other platforms than Linux are archives of the same names (`darwin-arm64`), made where their linker is.

mod archive;
mod contents;
mod krew;
mod twice;

use crate::platform::ProgramPlatform;
use crate::programs::ReleaseBuild;
use anyhow::{Context, Result};
use contents::PluginFiles;
use std::fs;
use std::path::{Path, PathBuf};
use tidewaiter_testkit::sha256;

#[derive(Debug, clap::Args)]
pub(crate) struct ReleaseArgs {
    /// Address of the folder that the files will be in, for krew's manifest
    #[arg(long, value_name = "URL")]
    url: String,
    /// Page of the plugin, for krew's manifest; default: that folder
    #[arg(long, value_name = "URL")]
    homepage: Option<String>,
    /// Build for this platform besides this machine's, linux/amd64 or linux/arm64; repeatable
    #[arg(long, value_name = "PLATFORM", conflicts_with = "programs")]
    platform: Vec<ProgramPlatform>,
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
    if args.twice {
        twice::check_committed(root)?;
    }
    let here = ProgramPlatform::here()?;
    let build = |platform: &ProgramPlatform| ReleaseBuild::of(root, platform)?.plugin();
    let own = args.programs.clone().map_or_else(|| build(&here), Ok)?;
    // What runs here writes the scripts, the pages and the SBOMs of all.
    let files = PluginFiles::by(root, &own.join("kubectl-scan"))?;
    let mut all = files.of(&here, &own)?;
    let mut archives = vec![krew::Archive::of(here, &all)?];
    for platform in args.platform.iter().filter(|platform| **platform != here) {
        let made = files.of(platform, &build(platform)?)?;
        archives.push(krew::Archive::of(*platform, &made)?);
        all.extend(made);
    }
    let homepage = args.homepage.as_ref().unwrap_or(&args.url);
    let manifest = krew::manifest(&args.url, homepage, &archives);
    all.push(ReleaseFile { name: krew::FILE.to_owned(), bytes: manifest.into_bytes() });
    let out = root.join("target/release-files");
    write(&out, &all)?;
    if args.twice {
        twice::compare(root, &here, &own.join("kubectl-scan"))?;
    }
    if args.validate {
        krew::validate(&out, &all[0].name)?;
    }
    Ok(true)
}

/// A file of a release.
#[derive(Debug)]
struct ReleaseFile {
    name: String,
    bytes: Vec<u8>,
}

fn write(out: &Path, files: &[ReleaseFile]) -> Result<()> {
    if out.exists() {
        fs::remove_dir_all(out).with_context(|| out.display().to_string())?;
    }
    fs::create_dir_all(out)?;
    for ReleaseFile { name, bytes } in files {
        fs::write(out.join(name), bytes)?;
        println!("{}: {} bytes", out.join(name).display(), bytes.len());
    }
    Ok(fs::write(out.join("SHA256SUMS"), checksums(files))?)
}

/// Lines of `sha256sum`.
fn checksums(files: &[ReleaseFile]) -> String {
    files.iter().map(|file| format!("{}  {}\n", hex_digest(&file.bytes), file.name)).collect()
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
        assert_eq!(
            checksums(&["a", "b"].map(|name| ReleaseFile { name: name.to_owned(), bytes: Vec::new() })),
            format!("{empty}  a\n{empty}  b\n")
        );
    }
}
