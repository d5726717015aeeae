//! Builds the programs of an earlier version for the story of its upgrade, of the history of this repository: once, cached under `target/`.

use anyhow::{Context, Result, bail};
use std::fs;
use std::path::Path;
use std::process::Command;
use tidewaiter_testkit::earlier::{self, COMMIT};

/// What the story needs of its sources.
const KEPT: [&str; 2] = ["deploy", "demo"];
const PROGRAMS: [&str; 2] = ["tidewaiter", "kubectl-scan"];

/// Builds them, unless they are cached.
pub(crate) fn ensure(root: &Path) -> Result<()> {
    let folder = earlier::folder(root);
    if folder.is_dir() {
        return Ok(());
    }
    println!("building {COMMIT} for the story of its upgrade; it takes some minutes");
    let (unfinished, build) = (folder.with_extension("new"), folder.with_file_name("build"));
    let sources = unfinished.join("sources");
    // Of a build that was interrupted.
    let _ = fs::remove_dir_all(&unfinished);
    fs::create_dir_all(&sources)?;
    unpack(root, &sources)?;
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--locked", "-p", PROGRAMS[0], "-p", PROGRAMS[1], "--bins"]).current_dir(&sources);
    // A story waits for the cluster, not for it.
    cargo.args(["--config", "profile.dev.package.\"*\".opt-level=0"]);
    // Its gigabytes are removed at the end; a small disk may not have them until then.
    cargo.args(["--config", "profile.dev.debug=false"]).env("CARGO_INCREMENTAL", "0");
    // Its own toolchain, by its rust-toolchain.toml.
    cargo.env("CARGO_TARGET_DIR", &build).env_remove("RUSTUP_TOOLCHAIN");
    succeed(&mut cargo, "it does not build; see above")?;
    for program in PROGRAMS {
        fs::copy(build.join("debug").join(program), unfinished.join(program)).context(program)?;
    }
    for kept in KEPT {
        fs::rename(sources.join(kept), unfinished.join(kept)).context(kept)?;
    }
    fs::remove_dir_all(&sources)?;
    fs::remove_dir_all(&build)?;
    Ok(fs::rename(&unfinished, folder)?)
}

fn unpack(root: &Path, to: &Path) -> Result<()> {
    let archive = to.with_extension("tar");
    let missing = format!("{COMMIT} is not in this clone; get its history: git fetch --unshallow");
    let mut git = Command::new("git");
    succeed(git.args(["archive", "--output"]).arg(&archive).arg(COMMIT).current_dir(root), &missing)?;
    succeed(Command::new("tar").arg("-xf").arg(&archive).arg("-C").arg(to), "its archive cannot be unpacked")?;
    Ok(fs::remove_file(archive)?)
}

fn succeed(command: &mut Command, otherwise: &str) -> Result<()> {
    let status = command.status().with_context(|| format!("{} cannot be run", command.get_program().display()))?;
    if !status.success() {
        bail!("{otherwise}");
    }
    Ok(())
}
