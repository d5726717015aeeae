//! Fetches packages of registries, once, and unpacks them without installing: no package database names their files.

use super::packages::PackageRegistry;
use crate::install::{self, command, npm, once, output, pip, program, text};
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};

/// The files of a package.
pub(super) struct FetchedPackage {
    /// The folder that they are below, as they would be below `/`.
    pub(super) root: PathBuf,
    /// The upstream version of packages that are not pinned.
    pub(super) version: Option<String>,
}

const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
/// Releases that a row may name.
const RELEASES: [&str; 3] = ["bullseye", "bookworm", "trixie"];
const DEPENDENCY_PLUGIN: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1";

/// Fetches a package into a folder of its own below `dir`, unless it is there.
pub(super) fn fetch(dir: &Path, registry: &PackageRegistry) -> Result<FetchedPackage> {
    let name: String = registry.to_string().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let apt = dir.join("apt");
    let fetched = once(dir, &name, |work| fetch_into(work, &apt, registry))?;
    let version = fs::read_to_string(fetched.join("version")).ok();
    Ok(FetchedPackage { root: fetched.join("files"), version })
}

fn fetch_into(work: &Path, apt: &Path, registry: &PackageRegistry) -> Result<()> {
    // What is scanned is a folder of its own: files next to it are ours.
    let root = work.join("files");
    fs::create_dir_all(&root)?;
    match registry {
        PackageRegistry::Debian { release, packages } => debian(apt, work, &root, release, packages),
        PackageRegistry::Pypi(wanted) => pip(&root, wanted),
        PackageRegistry::Npm(wanted) => npm(&root, wanted),
        PackageRegistry::Maven(coordinates) => maven(work, "unpack", coordinates, &root),
        PackageRegistry::Jar { coordinates, folder } => {
            maven(work, "copy", &format!("{coordinates}:jar"), &root.join(folder))
        }
    }
}

fn maven(work: &Path, goal: &str, coordinates: &str, into: &Path) -> Result<()> {
    let (goal, artifact) = (format!("{DEPENDENCY_PLUGIN}:{goal}"), format!("-Dartifact={coordinates}"));
    let folder = format!("-DoutputDirectory={}", into.display());
    // In a folder of its own: without a project, the plugin makes its markers where it runs.
    output(command(program("mvn", "maven")?, &["-B", "-q", &goal, &artifact, &folder]).current_dir(work)).map(|_| ())
}

/// Unpacks packages of a release, whatever the machine's own one is, and notes the upstream version of the first.
fn debian(apt: &Path, work: &Path, root: &Path, release: &str, packages: &[&str]) -> Result<()> {
    let options = apt_options(apt)?;
    let wanted: Vec<String> = packages.iter().map(|package| format!("{package}/{release}")).collect();
    output(command("apt-get", &["-q"]).args(&options).arg("download").args(&wanted).current_dir(work))?;
    let mut files = Vec::new();
    install::walk(work, &mut files)?;
    files.retain(|file| file.extension().is_some_and(|e| e == "deb"));
    for archive in &files {
        output(command("dpkg-deb", &["-x", text(archive)?]).arg(root))?;
    }
    let first = packages.first().copied().unwrap_or_default();
    let of_first = files.iter().find_map(|file| file.file_name()?.to_str()?.strip_prefix(first)?.strip_prefix('_'));
    let version = of_first.and_then(|rest| rest.split('_').next());
    let version = version.with_context(|| format!("{first}: not among the downloaded packages"))?;
    Ok(fs::write(work.join("version"), upstream(version))?)
}

/// Options of apt with lists of its own, of the releases that rows name. They are fetched when they are not there.
fn apt_options(apt: &Path) -> Result<Vec<String>> {
    let sources = apt.join("sources.list");
    let set = |name: &str, value: &Path| format!("-o{name}={}", value.display());
    let options = vec![
        set("Dir::Etc::SourceList", &sources),
        set("Dir::Etc::SourceParts", Path::new("/dev/null")),
        set("Dir::State::Lists", &apt.join("lists")),
        set("Dir::Cache", &apt.join("cache")),
        "-oDebug::NoLocking=true".to_owned(),
        // Others than root cannot read the project's folder.
        "-oAPT::Sandbox::User=root".to_owned(),
    ];
    if !sources.exists() {
        fs::create_dir_all(apt.join("lists/partial"))?;
        fs::create_dir_all(apt.join("cache/archives/partial"))?;
        let line = |release| format!("deb [signed-by={KEYRING}] http://deb.debian.org/debian {release} main\n");
        let written = apt.join("sources.list.part");
        fs::write(&written, RELEASES.map(line).concat())?;
        let mut update = command("apt-get", &["-q"]);
        update.args(&options).arg(set("Dir::Etc::SourceList", &written)).arg("update");
        output(&mut update)?;
        fs::rename(&written, &sources)?;
    }
    Ok(options)
}

/// The upstream version in the name of a Debian package's file, as Bitnami writes it: at most three numbers, and OpenSSL's
/// letter.
fn upstream(version: &str) -> String {
    let version = version.split_once("%3a").map_or(version, |(_, rest)| rest);
    // `3.1.7+really3.1.2` is 3.1.2.
    let version = version.rsplit("+really").next().unwrap_or_default();
    let version = version.split(['-', '+', '~']).next().unwrap_or_default();
    let version = version.split(".dfsg").next().unwrap_or_default();
    version.splitn(4, '.').take(3).collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests {
    use super::upstream;

    #[test]
    fn upstream_versions_of_debian() {
        let check = |version: &str, expected: &str| assert_eq!(upstream(version), expected);
        check("1.22.1-9+deb12u11", "1.22.1");
        check("5%3a7.0.15-1~deb12u10", "7.0.15");
        check("3.1.7+really3.1.2-0+deb12u1", "3.1.2");
        check("1%3a25.2.3+dfsg-1+deb12u4", "25.2.3");
        check("1.14.0.dfsg-2", "1.14.0");
        check("17.0.21.1+2-1~deb12u1", "17.0.21");
        check("1.1.1w-0+deb11u4", "1.1.1w");
        check("5.7-2+deb12u6", "5.7");
    }
}
