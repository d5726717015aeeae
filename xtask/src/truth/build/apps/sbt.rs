//! sbt with sbt-native-packager's `stage`; listed by the attributes of its resolved classpath. The launcher comes from Maven
//! Central, as all else.

use super::{Resolved, at_places, bounded, copy, mvn, printed, project, same_files};
use crate::install::{self, text};
use crate::truth::build::Image;
use anyhow::Result;
use std::path::Path;

const LAUNCHER: &str = "org.scala-sbt:sbt-launch:1.10.7";

pub(in crate::truth::build) fn make(images: &Path, work: &Path) -> Result<Vec<Image>> {
    project("sbt", work)?;
    let copied = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy";
    let to = format!("-DoutputDirectory={}", work.display());
    mvn(work, &[copied, &format!("-Dartifact={LAUNCHER}"), &to, "-Dmdep.stripVersion=true"])?;
    let launcher = work.join("sbt-launch.jar");
    let run = ["-Dsbt.server.autostart=false", "-jar", text(&launcher)?, "stage", "listed"];
    let all = printed(&install::output(bounded("java", &run).current_dir(work))?)?;
    let image = images.join("sbt-stage");
    copy(&work.join("target/universal/stage"), &image.join("opt/shop"))?;
    let packages = at_places(&all, |one: &Resolved| format!("opt/shop/lib/{}.{}", one.group, one.file))?;
    same_files(&image.join("opt/shop/lib"), &image, &packages)?;
    Ok(vec![Image::named("sbt-stage", packages)])
}
