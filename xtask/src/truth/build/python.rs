//! More than a hundred wheels, installed and listed by pip.

use super::Listed;
use crate::install::{command, output, text};
use anyhow::Result;
use serde::Deserialize;
use std::path::Path;

const WANTED: [&str; 14] = [
    "jupyterlab",
    "scikit-learn",
    "django",
    "celery",
    "flask",
    "fastapi[standard]",
    "boto3",
    "sphinx",
    "scrapy",
    "black",
    "pytest",
    "ansible-core",
    "alembic",
    "setuptools",
];

#[derive(Deserialize)]
struct Distribution {
    name: String,
    version: String,
}

pub(super) fn make(image: &Path, _: &Path) -> Result<Vec<Listed>> {
    let packages = image.join("usr/local/lib/python3/site-packages");
    let pip = |args: &[&str]| command("python3", &[&["-m", "pip", "--disable-pip-version-check"], args].concat());
    let target = text(&packages)?;
    output(pip(&["install", "--quiet", "--only-binary", ":all:", "--target", target]).args(WANTED))?;
    let listed: Vec<Distribution> =
        serde_json::from_str(&output(&mut pip(&["list", "--format", "json", "--path", target]))?)?;
    let listed = listed.into_iter();
    Ok(listed.map(|d| Listed { kind: "pypi".into(), name: d.name, version: d.version, ..Listed::default() }).collect())
}
