//! Builds images from package registries, each with the list of the package manager that built it. The lists never come
//! from a scanner, which could share our mistakes.

mod debian;
mod go;
mod java;
mod node;
mod python;
mod rust;

use super::{Listed, Truth};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use tidewaiter_testkit::cluster::which;

/// How to build one image.
struct Recipe {
    name: &'static str,
    /// The types of packages that its list is complete for.
    types: &'static [&'static str],
    /// Programs it needs on PATH.
    tools: &'static [&'static str],
    /// Builds the root file system in one folder, with another one for temporary files.
    make: fn(&Path, &Path) -> Result<Vec<Listed>>,
}

const RECIPES: [Recipe; 6] = [
    Recipe { name: "debian", types: &["deb"], tools: &["apt-get", "dpkg", "dpkg-deb"], make: debian::make },
    Recipe { name: "node", types: &["npm"], tools: &["npm"], make: node::make },
    Recipe { name: "python", types: &["pypi"], tools: &["python3"], make: python::make },
    Recipe { name: "go", types: &["golang"], tools: &["go"], make: go::make },
    Recipe { name: "rust", types: &["cargo"], tools: &["cargo"], make: rust::make },
    Recipe { name: "java", types: &["maven"], tools: &["mvn"], make: java::make },
];

/// Builds missing images; returns the folder of images and lists.
pub(crate) fn ensure(root: &Path) -> Result<PathBuf> {
    let dir = root.join("target/truth");
    let missing: Vec<&str> = RECIPES.iter().flat_map(|r| r.tools).filter(|t| which(t).is_none()).copied().collect();
    if !missing.is_empty() {
        bail!("missing on PATH: {}; install it and run this again", missing.join(", "));
    }
    fs::create_dir_all(dir.join("truth"))?;
    for recipe in &RECIPES {
        make(recipe, &dir).with_context(|| format!("the image {} cannot be built", recipe.name))?;
    }
    Ok(dir)
}

fn make(recipe: &Recipe, dir: &Path) -> Result<()> {
    let list = dir.join("truth").join(recipe.name).with_extension("json");
    if list.exists() {
        return Ok(());
    }
    println!("building {} (once; remove {} to have it built again)", recipe.name, list.display());
    let (image, work) = (dir.join(recipe.name), dir.join("work").join(recipe.name));
    for folder in [&image, &work] {
        if folder.exists() {
            fs::remove_dir_all(folder)?;
        }
        fs::create_dir_all(folder)?;
    }
    let packages = (recipe.make)(&image, &work)?;
    let types = recipe.types.iter().map(|kind| (*kind).to_owned()).collect();
    // Last, so that an interrupted build does not look finished.
    fs::write(list, serde_json::to_vec_pretty(&Truth { types, packages })?)?;
    fs::remove_dir_all(work)?;
    Ok(())
}
