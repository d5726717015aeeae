//! Gradle: what `installDist` of its application plugin writes, and an archive into which a task unpacks the libraries; listed
//! by the configuration `runtimeClasspath` as Gradle resolves it.

use super::{Resolved, at_places, bounded, copy, printed, project, same_files, unpacked_image};
use crate::install;
use crate::truth::build::Image;
use anyhow::Result;
use std::path::Path;

/// The group of `xtask/apps/gradle`.
const OWN_GROUP: &str = "org.acme";

pub(in crate::truth::build) fn make(images: &Path, work: &Path) -> Result<Vec<Image>> {
    project("gradle", work)?;
    let run = ["--no-daemon", "--quiet", "installDist", "fat", "listed"];
    let mut all = printed(&install::output(bounded("gradle", &run).current_dir(work))?)?;
    // Gradle writes no group into the archives of a project's modules: the name alone is recorded.
    all.iter_mut().filter(|one| one.group == OWN_GROUP).for_each(|one| one.group.clear());
    all.push(Resolved::new("", "shop", "1.2.0", "shop-1.2.0.jar"));
    let image = images.join("gradle-install");
    copy(&work.join("build/install/shop"), &image.join("opt/shop"))?;
    let packages = at_places(&all, |one: &Resolved| format!("opt/shop/lib/{}", one.file))?;
    same_files(&image.join("opt/shop/lib"), &image, &packages)?;
    let fat = unpacked_image("gradle-fat-jar", images, &work.join("build/libs/shop-1.2.0-all.jar"), &all)?;
    Ok(vec![Image::named("gradle-install", packages), fat])
}
