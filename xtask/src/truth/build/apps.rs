//! Applications that Java's build tools pack as their users do, listed by the build tool's own resolution. The projects are
//! in `xtask/apps`; each has a module of its own besides its libraries.
//!
//! An archive into which others were unpacked names the artifacts whose `pom.properties` the build left in it. The rest
//! cannot be told by anybody: it is listed as unnamed, and the report must have a gap for that archive.

mod gradle;
mod maven;
mod quarkus;
mod sbt;
mod spring;

pub(super) use gradle::make as gradle;
pub(super) use maven::make as maven;
pub(super) use quarkus::make as quarkus;
pub(super) use sbt::make as sbt;
pub(super) use spring::make as spring;

use super::{Image, Listed, java};
use crate::install::{self, text};
use anyhow::{Context, Result};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Longest time in seconds that one run of a build tool may take: the first one downloads a few hundred archives.
const LONGEST: &str = "900";

/// One artifact as a build tool lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Resolved {
    group: String,
    artifact: String,
    version: String,
    /// The name of its file: as it was published, or as the tool packs its module.
    file: String,
    /// The archive itself; a folder of classes, or nothing, for a module of the project.
    archive: PathBuf,
}

/// A copy of a project, to be built in.
fn project(name: &str, work: &Path) -> Result<()> {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("apps").join(name);
    copy(&from, work)
}

/// Copies a folder and all below it.
fn copy(from: &Path, to: &Path) -> Result<()> {
    let mut files = Vec::new();
    install::walk(from, &mut files).with_context(|| format!("{} cannot be read", from.display()))?;
    for file in files {
        let copy = to.join(file.strip_prefix(from)?);
        fs::create_dir_all(copy.parent().context("a file has a folder")?)?;
        fs::copy(&file, &copy).with_context(|| format!("{} cannot be copied", file.display()))?;
    }
    Ok(())
}

/// A command that ends within [`LONGEST`].
fn bounded(program: &str, args: &[&str]) -> Command {
    let mut command = install::command("timeout", &["--kill-after=10", LONGEST, program]);
    command.args(args);
    command
}

/// Maven, without questions and progress.
fn mvn(work: &Path, args: &[&str]) -> Result<String> {
    install::output(bounded("mvn", &["-B", "-ntp", "-q", "-DskipTests"]).args(args).current_dir(work))
}

/// The lines `LISTED GROUP ARTIFACT VERSION FILE ARCHIVE` that a build script prints.
fn printed(output: &str) -> Result<Vec<Resolved>> {
    let lines = output.lines().filter_map(|line| line.strip_prefix("LISTED "));
    let resolved = lines.map(|line| {
        let fields: Vec<&str> = line.split(' ').collect();
        let [group, artifact, version, file, archive] = fields[..] else { return None };
        Some(Resolved::new(group, artifact, version, file).in_archive(archive))
    });
    let all: Vec<Resolved> = resolved.collect::<Option<_>>().context("the build printed a line of another form")?;
    anyhow::ensure!(!all.is_empty(), "the build listed nothing");
    Ok(all)
}

impl Resolved {
    fn new(group: &str, artifact: &str, version: &str, file: &str) -> Self {
        let owned = str::to_owned;
        let (group, artifact, version) = (owned(group), owned(artifact), owned(version));
        Resolved { group, artifact, version, file: owned(file), archive: PathBuf::new() }
    }

    fn in_archive(self, archive: impl Into<PathBuf>) -> Self {
        Resolved { archive: archive.into(), ..self }
    }

    fn at(&self, place: &str) -> Listed {
        let listed = java::maven(&self.group, &self.artifact, &self.version, place);
        if self.group.is_empty() { Listed { name: self.artifact.clone(), ..listed } } else { listed }
    }

    /// It, and what its makers unpacked into its archive.
    fn with_content(&self, place: &str) -> Result<Vec<Listed>> {
        let own = self.at(place);
        let poms = if self.archive.is_file() { java::poms(File::open(&self.archive)?)? } else { Vec::new() };
        let others = poms.iter().map(|(name, text)| java::pom(name, text, place));
        let others: Vec<Listed> = others.collect::<Result<_>>()?;
        let others = others.into_iter().filter(|other| other.name != own.name);
        Ok([own.clone()].into_iter().chain(others).collect())
    }
}

/// The list of an image whose archives each have a place; `place` names it from the root of the image.
fn at_places(all: &[Resolved], place: impl Fn(&Resolved) -> String) -> Result<Vec<Listed>> {
    let lists: Vec<Vec<Listed>> = all.iter().map(|one| one.with_content(&place(one))).collect::<Result<_>>()?;
    Ok(lists.concat())
}

/// Checks that a folder has exactly the archives that are listed below it.
fn same_files(dir: &Path, image: &Path, listed: &[Listed]) -> Result<()> {
    let mut files = Vec::new();
    install::walk(dir, &mut files)?;
    let jars = files.iter().filter(|file| file.extension().is_some_and(|e| e == "jar"));
    let found: BTreeSet<&str> = jars.map(|file| text(file.strip_prefix(image)?)).collect::<Result<_>>()?;
    let below = text(dir.strip_prefix(image)?)?;
    let wanted = listed.iter().map(|one| one.path.as_str()).filter(|path| Path::new(path).starts_with(below));
    let wanted: BTreeSet<&str> = wanted.collect();
    let differ: Vec<&&str> = found.symmetric_difference(&wanted).collect();
    anyhow::ensure!(differ.is_empty(), "the build and its list differ in {differ:?}");
    Ok(())
}

/// The list of an archive into which others were unpacked: those it names, and how many others it does not.
fn unpacked(archive: &Path, place: &str, all: &[Resolved]) -> Result<(Vec<Listed>, usize)> {
    let poms = java::poms(File::open(archive)?).with_context(|| format!("{} is no zip", archive.display()))?;
    let named: BTreeSet<String> = poms.into_iter().map(|(name, _)| name).collect();
    let contents: Vec<Vec<Listed>> = all.iter().map(|one| one.with_content(place)).collect::<Result<_>>()?;
    let (mut listed, mut unnamed) = (Vec::new(), 0);
    for one in contents.concat() {
        let pom = format!("META-INF/maven/{}/pom.properties", one.name.replace(':', "/"));
        if named.contains(&pom) { listed.push(one) } else { unnamed += 1 }
    }
    Ok((listed, unnamed))
}

/// An image of one archive into which others were unpacked.
fn unpacked_image(name: &'static str, images: &Path, archive: &Path, all: &[Resolved]) -> Result<Image> {
    let to = images.join(name).join("app/app.jar");
    fs::create_dir_all(to.parent().context("a file has a folder")?)?;
    fs::copy(archive, &to).with_context(|| format!("{} was not built", archive.display()))?;
    let (packages, unnamed) = unpacked(&to, "app/app.jar", all)?;
    Ok(Image {
        unnamed: (unnamed > 0).then(|| ("app/app.jar".to_owned(), unnamed)).into_iter().collect(),
        ..Image::named(name, packages)
    })
}

/// The only file of a folder whose name ends so.
fn only(dir: &Path, end: &str) -> Result<PathBuf> {
    let entries = fs::read_dir(dir).with_context(|| format!("{} cannot be read", dir.display()))?;
    let files: Vec<PathBuf> = entries.map(|e| e.map(|e| e.path())).collect::<Result<_, _>>()?;
    let mut files = files.into_iter().filter(|f| f.to_string_lossy().ends_with(end));
    let first = files.next().with_context(|| format!("{} has no *{end}", dir.display()))?;
    anyhow::ensure!(files.next().is_none(), "{} has several *{end}", dir.display());
    Ok(first)
}
