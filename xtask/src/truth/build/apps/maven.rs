//! Maven: libraries that its dependency plugin copies under three forms of names, a WAR, an EAR, and the two ways to unpack
//! everything into one archive; listed by `dependency:list`.

use super::{Resolved, at_places, mvn, only, project, same_files, unpacked_image};
use crate::truth::build::{Image, Listed};
use anyhow::{Context, Result};
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use zip::ZipArchive;

const PLUGINS: &str = "org.apache.maven.plugins";

/// Makes `dependency:list` say where each archive is.
pub(super) const ABSOLUTE: &str = "-DoutputAbsoluteArtifactFilename=true";

/// (image, options of the dependency plugin, whether the group stands in front of a file's name, and the version in it).
const COPIES: [(&str, &[&str], bool, bool); 3] = [
    ("maven-copied", &[], false, true),
    ("maven-copied-with-groups", &["-Dmdep.prependGroupId=true"], true, true),
    ("maven-copied-without-versions", &["-Dmdep.stripVersion=true"], false, false),
];

pub(in crate::truth::build) fn make(images: &Path, work: &Path) -> Result<Vec<Image>> {
    project("maven", work)?;
    let list = format!("{PLUGINS}:maven-dependency-plugin:3.6.1:list");
    mvn(work, &["package", &list, "-DincludeScope=runtime", "-DoutputFile=target/listed.txt", ABSOLUTE])?;
    let core = work.join("core");
    let libraries = listed_by_maven(&core)?;
    let mut out = vec![war(images, work)?, ear(images, work)?];
    for (name, options, group, version) in COPIES {
        let lib = images.join(name).join("app/lib");
        let goal = format!("{PLUGINS}:maven-dependency-plugin:3.6.1:copy-dependencies");
        let to = format!("-DoutputDirectory={}", lib.display());
        mvn(&core, &[[goal.as_str(), "-DincludeScope=runtime", &to].as_slice(), options].concat())?;
        let packages = at_places(&libraries, |one| format!("app/lib/{}", one.copied(group, version)))?;
        same_files(&lib, &images.join(name), &packages)?;
        let packages = if version { packages } else { without_version(&libraries, packages)? };
        out.push(Image::named(name, packages));
    }
    let own = Resolved::new("org.acme", "core", "1.2.0", "core-1.2.0.jar");
    let all = [libraries, vec![own]].concat();
    mvn(&core, &["package", &format!("{PLUGINS}:maven-assembly-plugin:3.7.1:single")])?;
    out.push(unpacked_image(
        "maven-assembly",
        images,
        &only(&core.join("target"), "-jar-with-dependencies.jar")?,
        &all,
    )?);
    mvn(&core, &["package", &format!("{PLUGINS}:maven-shade-plugin:3.6.0:shade")])?;
    out.push(unpacked_image("maven-shade", images, &core.join("target/core-1.2.0.jar"), &all)?);
    Ok(out)
}

/// The list where names of files have no versions: an archive without metadata about its own is listed without one, and one
/// without classes not at all.
fn without_version(libraries: &[Resolved], mut packages: Vec<Listed>) -> Result<Vec<Listed>> {
    for library in libraries {
        let (has_classes, has_version) = library.evidence()?;
        let place = format!("app/lib/{}", library.copied(false, false));
        if !has_version {
            packages.iter_mut().filter(|one| one.path == place).for_each(|one| one.version.clear());
            packages.retain(|one| has_classes || one.path != place);
        }
    }
    Ok(packages)
}

fn war(images: &Path, work: &Path) -> Result<Image> {
    let image = images.join("maven-war");
    fs::create_dir_all(image.join("srv"))?;
    fs::copy(only(&work.join("web/target"), ".war")?, image.join("srv/web.war"))?;
    Ok(Image::named("maven-war", of_war(work, "srv/web.war")?))
}

fn of_war(work: &Path, place: &str) -> Result<Vec<Listed>> {
    let libraries = listed_by_maven(&work.join("web"))?;
    let mut out = at_places(&libraries, |one| format!("{place}!/WEB-INF/lib/{}", one.file))?;
    out.push(Resolved::new("org.acme", "web", "1.2.0", "").at(place));
    Ok(out)
}

/// The EAR has its own libraries and those of the WAR in it.
fn ear(images: &Path, work: &Path) -> Result<Image> {
    let image = images.join("maven-ear");
    fs::create_dir_all(image.join("srv"))?;
    fs::copy(only(&work.join("ear/target"), ".ear")?, image.join("srv/all.ear"))?;
    let (wars, jars): (Vec<_>, Vec<_>) =
        listed_by_maven(&work.join("ear"))?.into_iter().partition(|one| one.file.ends_with(".war"));
    let mut out = at_places(&jars, |one| format!("srv/all.ear!/{}-{}", one.group, one.file))?;
    for war in wars {
        out.extend(of_war(work, &format!("srv/all.ear!/{}-{}", war.group, war.file))?);
    }
    out.push(Resolved::new("org.acme", "ear", "1.2.0", "").at("srv/all.ear"));
    Ok(Image::named("maven-ear", out))
}

/// Reads what `dependency:list` wrote for a module.
pub(super) fn listed_by_maven(module: &Path) -> Result<Vec<Resolved>> {
    let file = module.join("target/listed.txt");
    let lines = fs::read_to_string(&file).with_context(|| format!("{} was not written", file.display()))?;
    let lines = lines.lines().map(str::trim).filter(|line| line.contains(':') && !line.ends_with(':'));
    let all: Option<Vec<Resolved>> = lines.map(resolved).collect();
    all.with_context(|| format!("{} has a line of another form", file.display()))
}

/// `GROUP:ARTIFACT:TYPE[:CLASSIFIER]:VERSION:SCOPE:FILE`, and for Java's modules ` -- module NAME`.
fn resolved(line: &str) -> Option<Resolved> {
    let fields: Vec<&str> = line.split(" -- ").next()?.split(':').collect();
    let (group, artifact, kind, classifier, version, archive) = match fields[..] {
        [group, artifact, kind, version, _, archive] => (group, artifact, kind, "", version, archive),
        [group, artifact, kind, classifier, version, _, archive] => {
            (group, artifact, kind, classifier, version, archive)
        }
        _ => return None,
    };
    let dash = if classifier.is_empty() { "" } else { "-" };
    let end = if kind == "war" || kind == "ear" { kind } else { "jar" };
    let file = format!("{artifact}-{version}{dash}{classifier}.{end}");
    Some(Resolved::new(group, artifact, version, &file).in_archive(archive))
}

impl Resolved {
    /// Whether its archive has classes, and whether a version in properties or the manifest.
    fn evidence(&self) -> Result<(bool, bool)> {
        let mut archive = ZipArchive::new(File::open(&self.archive)?)?;
        let names: Vec<String> = archive.file_names().map(|name| Ok(name?.into_owned())).collect::<Result<_>>()?;
        let mut manifest = String::new();
        if let Ok(mut entry) = archive.by_name("META-INF/MANIFEST.MF") {
            entry.read_to_string(&mut manifest)?;
        }
        let stated = ["Implementation-Version:", "Specification-Version:", "Bundle-Version:"];
        let states = manifest.lines().any(|line| stated.iter().any(|key| line.starts_with(key)));
        let has = |end: &str| names.iter().any(|name| name.ends_with(end));
        Ok((has(".class"), states || has("/pom.properties")))
    }

    /// The name of the file that `copy-dependencies` makes of it.
    fn copied(&self, group: bool, version: bool) -> String {
        let of = if version { self.file.clone() } else { self.file.replacen(&format!("-{}", self.version), "", 1) };
        if group { format!("{}.{of}", self.group) } else { of }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_dependency_plugin() {
        let check = |line: &str, expected: Option<[&str; 4]>| {
            let expected = expected
                .map(|[group, artifact, version, file]| Resolved::new(group, artifact, version, file).in_archive("/f"));
            assert_eq!(resolved(line), expected, "{line}");
        };
        check("org.a:a:jar:1.0:compile:/f -- module a (auto)", Some(["org.a", "a", "1.0", "a-1.0.jar"]));
        check("org.a:a:jar:linux-x86_64:1.0:runtime:/f", Some(["org.a", "a", "1.0", "a-1.0-linux-x86_64.jar"]));
        check("org.a:web:war:1.0:compile:/f", Some(["org.a", "web", "1.0", "web-1.0.war"]));
        check("none", None);
    }
}
