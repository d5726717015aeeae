//! Spring Boot: the executable archive, and its layers as a Dockerfile copies them; listed by Maven's `dependency:list`.

use super::{Resolved, at_places, bounded, copy, maven, mvn, project, same_files};
use crate::install;
use crate::truth::build::Image;
use anyhow::{Context, Result};
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use zip::ZipArchive;

pub(in crate::truth::build) fn make(images: &Path, work: &Path) -> Result<Vec<Image>> {
    project("spring", work)?;
    let list = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:list";
    mvn(work, &["package", list, "-DincludeScope=runtime", "-DoutputFile=target/listed.txt", maven::ABSOLUTE])?;
    let mut libraries = maven::listed_by_maven(&work.join("app"))?;
    libraries.retain(is_packed);
    let own = Resolved::new("org.acme", "shop", "1.2.0", "shop-1.2.0.jar");
    let (fat, layered) = (images.join("spring-boot-jar"), images.join("spring-boot-layers"));
    let archive = work.join("app/target/shop-1.2.0.jar");
    fs::create_dir_all(fat.join("app"))?;
    fs::copy(&archive, fat.join("app/shop-1.2.0.jar"))?;
    // Packing adds the tools that extract the layers.
    let boot = libraries.iter().find(|one| one.artifact == "spring-boot").context("no spring-boot is listed")?;
    let tools = "spring-boot-jarmode-tools";
    libraries.push(Resolved::new(&boot.group, tools, &boot.version, &format!("{tools}-{}.jar", boot.version)));
    let mut packages = at_places(&libraries, |one| format!("app/shop-1.2.0.jar!/BOOT-INF/lib/{}", one.file))?;
    // The index of layers has modules of the same build in the application's layer.
    packages.iter_mut().filter(|one| one.path.ends_with("/core-1.2.0.jar")).for_each(|one| one.own = true);
    packages.push(own.at("app/shop-1.2.0.jar"));
    let extract =
        ["-Djarmode=tools", "-jar", install::text(&archive)?, "extract", "--layers", "--destination", "layers"];
    install::output(bounded("java", &extract).current_dir(work))?;
    for layer in fs::read_dir(work.join("layers"))? {
        copy(&layer?.path(), &layered.join("app"))?;
    }
    let mut of_layers = at_places(&libraries, |one| format!("app/lib/{}", one.file))?;
    of_layers.push(own.at("app/shop-1.2.0.jar"));
    same_files(&layered.join("app"), &layered, &of_layers)?;
    Ok(vec![Image::named("spring-boot-jar", packages), Image::named("spring-boot-layers", of_layers)])
}

/// Whether an archive is packed: starters have no classes, and their manifest tells the plugin to leave them out.
fn is_packed(one: &Resolved) -> bool {
    let manifest = || -> Option<String> {
        let mut archive = ZipArchive::new(File::open(&one.archive).ok()?).ok()?;
        let mut text = String::new();
        archive.by_name("META-INF/MANIFEST.MF").ok()?.read_to_string(&mut text).ok()?;
        Some(text)
    };
    !manifest().is_some_and(|text| text.contains("Spring-Boot-Jar-Type:"))
}
