//! Builds images from package registries, each with the list of the package manager that built it. The lists never come
//! from a scanner, which could share our mistakes.

mod apps;
mod debian;
mod go;
mod java;
mod node;
mod python;
mod rust;

use super::{Listed, Truth};
use anyhow::{Result, bail};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use tidewaiter_testkit::cluster::which;

/// How to build images of one kind.
struct Recipe {
    name: &'static str,
    /// The types of packages that its lists are complete for.
    types: &'static [&'static str],
    /// Programs it needs on PATH.
    tools: &'static [&'static str],
    make: Make,
}

enum Make {
    /// Builds the root file system of the image of the recipe's name in one folder, with another one for temporary files.
    One(fn(&Path, &Path) -> Result<Vec<Listed>>),
    /// Builds the root file systems of several images of one project, each in a folder of its name in the first folder.
    Several(&'static [&'static str], fn(&Path, &Path) -> Result<Vec<Image>>),
}

/// A built image.
struct Image {
    name: &'static str,
    packages: Vec<Listed>,
    /// Archives with packages that no metadata in them names, and how many.
    unnamed: BTreeMap<String, usize>,
}

impl Image {
    fn named(name: &'static str, packages: Vec<Listed>) -> Self {
        Image { name, packages, unnamed: BTreeMap::new() }
    }
}

const MAVEN: [&str; 7] = [
    "maven-war",
    "maven-ear",
    "maven-copied",
    "maven-copied-with-groups",
    "maven-copied-without-versions",
    "maven-assembly",
    "maven-shade",
];
const QUARKUS: [&str; 3] = ["quarkus-fast-jar", "quarkus-legacy-jar", "quarkus-uber-jar"];
const SPRING: [&str; 2] = ["spring-boot-jar", "spring-boot-layers"];
const GRADLE: [&str; 2] = ["gradle-install", "gradle-fat-jar"];

const RECIPES: [Recipe; 11] = [
    one("debian", &["deb"], &["apt-get", "dpkg", "dpkg-deb"], debian::make),
    one("node", &["npm"], &["npm"], node::make),
    one("python", &["pypi"], &["python3"], python::make),
    one("go", &["golang"], &["go"], go::make),
    one("rust", &["cargo"], &["cargo"], rust::make),
    one("java", &["maven"], &["mvn"], java::make),
    several("maven", &["mvn", "timeout"], &MAVEN, apps::maven),
    several("spring", &["mvn", "java", "timeout"], &SPRING, apps::spring),
    several("quarkus", &["mvn", "timeout"], &QUARKUS, apps::quarkus),
    several("gradle", &["gradle", "timeout"], &GRADLE, apps::gradle),
    several("sbt", &["mvn", "java", "timeout"], &["sbt-stage"], apps::sbt),
];

const fn one(
    name: &'static str,
    types: &'static [&'static str],
    tools: &'static [&'static str],
    make: fn(&Path, &Path) -> Result<Vec<Listed>>,
) -> Recipe {
    Recipe { name, types, tools, make: Make::One(make) }
}

/// Java applications.
const fn several(
    name: &'static str,
    tools: &'static [&'static str],
    images: &'static [&'static str],
    make: fn(&Path, &Path) -> Result<Vec<Image>>,
) -> Recipe {
    Recipe { name, types: &["maven"], tools, make: Make::Several(images, make) }
}

/// A recipe that could not be built, and why.
#[derive(Debug)]
pub(crate) struct NotMeasured {
    name: &'static str,
    cause: String,
}

impl NotMeasured {
    pub(crate) fn print(&self) {
        println!("not measured: {}: {}", self.name, self.cause);
    }
}

/// Builds missing images whose recipe's name begins with `only`; returns the folder of images and lists, the images that
/// are there, and the recipes that failed.
pub(crate) fn ensure(root: &Path, only: &str) -> Result<(PathBuf, Vec<&'static str>, Vec<NotMeasured>)> {
    let dir = root.join("target/truth");
    fs::create_dir_all(dir.join("truth"))?;
    let recipes: Vec<&Recipe> = RECIPES.iter().filter(|recipe| recipe.name.starts_with(only)).collect();
    if recipes.is_empty() {
        let names: Vec<&str> = RECIPES.iter().map(|recipe| recipe.name).collect();
        bail!("no image is built by {only:?}; give one of {}, or how it begins", names.join(", "));
    }
    let (mut built, mut failed) = (Vec::new(), Vec::new());
    for recipe in recipes {
        match recipe.ensure(&dir) {
            Ok(()) => built.extend(recipe.images()),
            Err(error) => failed.push(NotMeasured { name: recipe.name, cause: format!("{error:#}") }),
        }
    }
    Ok((dir, built, failed))
}

fn list(dir: &Path, image: &str) -> PathBuf {
    dir.join("truth").join(format!("{image}.json"))
}

fn emptied(folder: PathBuf) -> Result<PathBuf> {
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

impl Recipe {
    fn images(&self) -> Vec<&'static str> {
        match self.make {
            Make::One(_) => vec![self.name],
            Make::Several(images, _) => images.to_vec(),
        }
    }

    fn ensure(&self, dir: &Path) -> Result<()> {
        let images = self.images();
        if images.iter().all(|image| list(dir, image).exists()) {
            return Ok(());
        }
        let missing: Vec<&str> = self.tools.iter().filter(|tool| which(tool).is_none()).copied().collect();
        if !missing.is_empty() {
            bail!("missing on PATH: {}; install it and run this again", missing.join(", "));
        }
        println!("building {} (once; remove {} to have it built again)", self.name, list(dir, images[0]).display());
        for image in &images {
            emptied(dir.join(image))?;
        }
        let work = emptied(dir.join("work").join(self.name))?;
        let built = match self.make {
            Make::One(make) => vec![Image::named(self.name, make(&dir.join(self.name), &work)?)],
            Make::Several(_, make) => make(dir, &work)?,
        };
        let types: Vec<String> = self.types.iter().map(|kind| (*kind).to_owned()).collect();
        // Last, so that an interrupted build does not look finished.
        for Image { name, packages, unnamed } in built {
            let truth = Truth { types: types.clone(), packages, unnamed };
            fs::write(list(dir, name), serde_json::to_vec_pretty(&truth)?)?;
        }
        fs::remove_dir_all(work)?;
        Ok(())
    }
}
