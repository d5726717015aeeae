//! How the programs that others get are built: one after the other, as they are measured (`bench`, `soak`), packed (`image`) and
//! published (`release`).
//!
//! The same source makes the same bytes, wherever it lies: no path of the machine is in them. Each says which crates it is made of
//! (cargo-auditable), so that scanners find what is known of these.

use crate::install::{self, command, output};
use crate::platform::ProgramPlatform;
use anyhow::{Context, Result, bail};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::{env, fs, iter};

/// What writes the list of crates into a program, as its section `.dep-v0`.
const AUDITABLE: [&str; 2] = ["cargo-auditable", "0.7.7"];

/// A panic ends `kubectl-scan` at once where people run it (ADR 0033): what would clean up after one is an eighth of the program.
const ABORT: [&str; 2] = ["--config", "profile.release.panic=\"abort\""];

/// Builds the server, and the plugin as people get it, for this machine; returns their folder. One after the other: built together, each
/// would get the features that only the other needs, and be larger.
pub(crate) fn release(root: &Path) -> Result<PathBuf> {
    let platform = ProgramPlatform::here()?;
    let build = ReleaseBuild::of(root, &platform)?;
    build.build("tidewaiter", &[])?;
    build.plugin()
}

/// A source, where it is built, and for what.
#[derive(Debug)]
pub(crate) struct ReleaseBuild<'p> {
    /// The project's folder.
    root: PathBuf,
    /// cargo's.
    target: PathBuf,
    /// Where cargo-auditable is.
    tools: PathBuf,
    platform: &'p ProgramPlatform,
}

impl<'p> ReleaseBuild<'p> {
    /// That of a source, where cargo builds by itself.
    ///
    /// # Errors
    /// When cargo-auditable cannot be installed.
    pub(crate) fn of(root: &Path, platform: &'p ProgramPlatform) -> Result<Self> {
        let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
        Ok(ReleaseBuild { root: root.to_owned(), target, tools: auditable(root)?, platform })
    }

    /// The same for another copy of the source, in a folder of its own.
    pub(crate) fn elsewhere(self, copy: &Path) -> Self {
        ReleaseBuild { root: copy.to_owned(), target: copy.join("target"), ..self }
    }

    /// Builds what is in the server's image: the plugin builds databases there, and goes on without a feed whose reader panics.
    ///
    /// # Errors
    /// When one does not build.
    pub(crate) fn server(&self) -> Result<PathBuf> {
        self.build("tidewaiter", &[])?;
        self.build("kubectl-scan", &[])
    }

    /// Builds the plugin; returns its folder.
    ///
    /// # Errors
    /// When it does not build.
    pub(crate) fn plugin(&self) -> Result<PathBuf> {
        self.build("kubectl-scan", &ABORT)
    }

    fn build(&self, package: &str, settings: &[&str]) -> Result<PathBuf> {
        let build = ["auditable", "rustc", "--release", "--locked", "-p", package, "--bin", package, "--target-dir"];
        let mut cargo = command(env!("CARGO"), &build);
        cargo.arg(&self.target).args(settings).args(self.platform.cargo_flags()).current_dir(&self.root);
        cargo.env("PATH", path_with(&self.tools)?).env("CARGO_ENCODED_RUSTFLAGS", without_paths(&self.root)?);
        cargo.envs(self.platform.cross_compiler()?).arg("--").args(self.platform.linker_flags());
        if !cargo.status()?.success() {
            bail!("{package} does not build for {}; see above", self.platform);
        }
        Ok(self.target.join(self.platform.folder()).join("release"))
    }
}

/// The folder of cargo-auditable, which is installed the first time.
fn auditable(root: &Path) -> Result<PathBuf> {
    let tools = root.join("target/tools");
    let installed = install::once(&tools, &AUDITABLE.join("-"), install_auditable)?;
    Ok(installed.join("bin"))
}

fn install_auditable(folder: &Path) -> Result<()> {
    let [name, version] = AUDITABLE;
    let mut cargo = command(env!("CARGO"), &["install", "--quiet", "--locked", "--debug", "--version", version, name]);
    output(cargo.arg("--root").arg(folder)).map(drop)
}

/// This process's PATH, with a folder before it.
fn path_with(folder: &Path) -> Result<OsString> {
    let all = env::var_os("PATH").unwrap_or_default();
    Ok(env::join_paths(iter::once(folder.to_owned()).chain(env::split_paths(&all)))?)
}

/// Flags for the compiler, as `CARGO_ENCODED_RUSTFLAGS` has them: messages of panics name sources by their place in the project or
/// in a crate, not on this machine.
fn without_paths(root: &Path) -> Result<String> {
    // The folder of a registry is named after its address, which may be that of a mirror.
    output(command(env!("CARGO"), &["fetch", "--quiet", "--locked"]).current_dir(root))?;
    let cargo = match env::var_os("CARGO_HOME") {
        Some(home) => PathBuf::from(home),
        None => env::home_dir().context("no home directory; set CARGO_HOME")?.join(".cargo"),
    };
    // None where the crates are vendored.
    let registries = fs::read_dir(cargo.join("registry/src")).into_iter().flatten();
    let mut registries = registries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    registries.sort();
    // The last that fits counts: cargo's folder may be in the project.
    let mut flags = vec![shown_as("tidewaiter", root)];
    flags.extend(registries.iter().map(|registry| shown_as("crates", registry)));
    // Those of whoever builds.
    flags.extend(env::var("RUSTFLAGS").iter().flat_map(|own| own.split_whitespace()).map(str::to_owned));
    Ok(flags.join("\x1f"))
}

fn shown_as(name: &str, folder: &Path) -> String {
    format!("--remap-path-prefix={}={name}", folder.display())
}
