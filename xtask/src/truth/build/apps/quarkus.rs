//! Quarkus: its three forms of packages; listed by the `quarkus-app-dependencies.txt` that its build writes.

use super::{Resolved, copy, mvn, project, same_files, unpacked_image};
use crate::install;
use crate::truth::build::{Image, Listed};
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

pub(in crate::truth::build) fn make(images: &Path, work: &Path) -> Result<Vec<Image>> {
    project("quarkus", work)?;
    let build = |form: &str| mvn(work, &["package", &format!("-Dquarkus.package.jar.type={form}")]);
    let target = work.join("app/target");
    build("fast-jar")?;
    let libraries = dependencies(&fs::read_to_string(target.join("quarkus-app/quarkus-app-dependencies.txt"))?)?;
    let own = Resolved::new("org.acme", "shop", "1.2.0", "shop-1.2.0.jar");
    let mut out = vec![with_libraries("quarkus-fast-jar", images, &target.join("quarkus-app"), &libraries)?];
    out.iter_mut().for_each(|image| image.packages.push(own.at("app/app/shop-1.2.0.jar")));
    build("legacy-jar")?;
    copy(&target.join("lib"), &work.join("legacy/lib"))?;
    fs::copy(target.join("shop-1.2.0-runner.jar"), work.join("legacy/shop-1.2.0-runner.jar"))?;
    out.push(with_libraries("quarkus-legacy-jar", images, &work.join("legacy"), &libraries)?);
    out.iter_mut().skip(1).for_each(|image| image.packages.push(own.at("app/shop-1.2.0-runner.jar")));
    build("uber-jar")?;
    let library = |one: Resolved| {
        let archive = work.join("legacy/lib").join(&one.file);
        one.in_archive(archive)
    };
    let all: Vec<Resolved> = libraries.into_iter().map(library).chain([own]).collect();
    out.push(unpacked_image("quarkus-uber-jar", images, &target.join("shop-1.2.0-runner.jar"), &all)?);
    Ok(out)
}

/// An image of a folder whose `lib` has the libraries, each somewhere below it.
fn with_libraries(name: &'static str, images: &Path, built: &Path, all: &[Resolved]) -> Result<Image> {
    let image = images.join(name);
    copy(built, &image.join("app"))?;
    let lib = image.join("app/lib");
    let mut files = Vec::new();
    install::walk(&lib, &mut files)?;
    let mut places = BTreeMap::new();
    for file in &files {
        let name = file.file_name().and_then(|n| n.to_str()).context("a file's name is UTF-8")?;
        // Its classes were changed by the build; what they are of is the same.
        places.insert(name.strip_prefix("modified-").unwrap_or(name), install::text(file.strip_prefix(&image)?)?);
    }
    let listed = |one: &Resolved| -> Result<Vec<Listed>> {
        let place = places.get(one.file.as_str()).with_context(|| format!("{name} has no {}", one.file))?;
        one.clone().in_archive(image.join(place)).with_content(place)
    };
    let packages: Vec<Vec<Listed>> = all.iter().map(listed).collect::<Result<_>>()?;
    same_files(&lib, &image, &packages.concat())?;
    Ok(Image::named(name, packages.concat()))
}

/// Lines of `GROUP:ARTIFACT:CLASSIFIER:TYPE:VERSION`; the group stands in front of the file's own name.
fn dependencies(text: &str) -> Result<Vec<Resolved>> {
    let resolved = text.lines().filter(|line| !line.is_empty()).map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let [group, artifact, classifier, _, version] = fields[..] else { return None };
        let dash = if classifier.is_empty() { "" } else { "-" };
        Some(Resolved::new(group, artifact, version, &format!("{group}.{artifact}-{version}{dash}{classifier}.jar")))
    });
    resolved.collect::<Option<_>>().context("Quarkus listed a dependency in another form")
}
