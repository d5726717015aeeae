//! An application with more than a thousand npm packages; listed by `node_modules/.package-lock.json`, where npm records
//! its installed packages.

use super::Listed;
use crate::install::{command, output};
use anyhow::{Context, Result};
use serde_json::Value;
use std::fs;
use std::path::Path;

const WANTED: [&str; 9] =
    ["express", "next", "jest", "eslint", "webpack", "@nestjs/core", "mongoose", "react-scripts", "@angular/cli"];

pub(super) fn make(image: &Path, _: &Path) -> Result<Vec<Listed>> {
    let app = image.join("app");
    fs::create_dir_all(&app)?;
    fs::write(app.join("package.json"), r#"{"name":"app","version":"1.0.0","private":true}"#)?;
    let mut install = command("npm", &["install", "--ignore-scripts", "--no-audit", "--no-fund", "--legacy-peer-deps"]);
    output(install.args(WANTED).current_dir(&app))?;
    let lock: Value = serde_json::from_slice(&fs::read(app.join("node_modules/.package-lock.json"))?)?;
    let packages = lock["packages"].as_object().context("npm's list has no packages")?;
    packages.iter().map(listed).collect::<Option<_>>().context("npm's list has an entry without name or version")
}

fn listed((path, package): (&String, &Value)) -> Option<Listed> {
    // The folder is the name, unless the package was installed under an alias.
    let folder = path.rsplit_once("node_modules/").map(|(_, name)| name);
    Some(Listed {
        kind: "npm".into(),
        name: package["name"].as_str().or(folder)?.into(),
        version: package["version"].as_str()?.into(),
        ..Listed::default()
    })
}
