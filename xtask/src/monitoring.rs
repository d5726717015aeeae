//! The dashboard and the alerts, as Prometheus itself runs them over the server's metrics: the program for the story, and the
//! picture of what it found.

mod picture;

use crate::controlplane::{go_build, tools};
use crate::install::{once, output};
use crate::test;
use anyhow::{Context as _, Result};
use serde::de::DeserializeOwned;
use std::fs;
use std::path::Path;
use tidewaiter_testkit::monitoring;

/// Builds the program, unless it is cached.
pub(crate) fn ensure(root: &Path) -> Result<()> {
    let folder = monitoring::folder(root);
    let (Some(parent), Some(name)) = (folder.parent(), folder.file_name().and_then(|name| name.to_str())) else {
        return Ok(());
    };
    fs::create_dir_all(parent)?;
    once(parent, name, |to| {
        tools()?;
        let mut build = go_build();
        build.args(["-ldflags", "-s -w", "-o"]).arg(to.join("monitoring")).arg(".");
        output(build.current_dir(monitoring::sources(root))).map(drop)
    })
    .map(drop)
}

/// Plays the story, and draws what the queries found.
pub(crate) fn run(root: &Path) -> Result<bool> {
    ensure(root)?;
    let record = test::record(root)?;
    let mut story = test::test(root, &["-p", test::STORIES, "--test", "stories", "dashboard::"], &record);
    if !story.status().context("cargo test cannot be run")?.success() {
        return Ok(false);
    }
    let dashboard: picture::Dashboard = parsed(&root.join("deploy/chart/files/dashboard.json"))?;
    let answers: Vec<picture::QueryAnswer> = parsed(&monitoring::answers(root))?;
    let drawn = root.join("docs/monitoring.svg");
    fs::write(&drawn, picture::of(&dashboard, &answers))?;
    println!("{}", drawn.display());
    Ok(true)
}

fn parsed<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let text = fs::read(path).with_context(|| path.display().to_string())?;
    serde_json::from_slice(&text).with_context(|| path.display().to_string())
}
