//! The half that runs in the namespaces: sets the stage, installs, plays the stories.

use super::args::InsideArgs;
use super::images::RunnableImages;
use super::machine::{self, NodeMachine};
use super::network::{self, API_SERVER, NODE};
use super::process::output;
use super::registry::NodeRegistry;
use super::session::{Session, Shell};
use super::stage::Stage;
use super::{install, stories, transcript};
use anyhow::{Context, Result};
use nix::sys::signal::SigSet;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::{env, fs};
use tidewaiter_testkit::cluster::{ClusterFixture, which};

/// Sets the stage, installs and plays; true if everything was as expected.
pub(crate) fn run(root: &Path, inside: &InsideArgs) -> Result<bool> {
    // The first half blocks signals, and children inherit that: programs started here need them.
    SigSet::all().thread_unblock().context("signals cannot be unblocked")?;
    network::set_up()?;
    let mut stage = stage(root, inside).inspect_err(|error| keep(inside, Some(error)))?;
    let outcome = play(root, inside, &mut stage);
    keep(inside, outcome.as_ref().err());
    outcome.map(|()| true)
}

fn play(root: &Path, inside: &InsideArgs, stage: &mut Stage) -> Result<()> {
    let installed = install::run(root, inside, stage);
    installed.and_then(|()| stories::all(root, stage)).inspect_err(|_| explain(stage))?;
    if inside.args.transcript {
        transcript::write(root, inside, &stage.session)?;
    }
    Ok(())
}

fn stage(root: &Path, inside: &InsideArgs) -> Result<Stage> {
    let (work, images) = (&inside.work, RunnableImages::new()?);
    let registry = NodeRegistry::start(work)?;
    registry.push(machine::PAUSE, &images.pause())?;
    let node = ["--address", API_SERVER, "--port", "443", "--node", machine::NAME, "--node-address", NODE];
    let cluster = ClusterFixture::start_with(&inside.controlplane, &node);
    let mut machine = NodeMachine::new(inside, cluster.dir())?;
    machine.start()?;
    let shell = Shell { folder: project(root, inside)?, path: path(inside)?, kubeconfig: cluster.kubeconfig() };
    // The longer paths first, since they contain the shorter ones.
    let session = Session::new(shell, &[(cluster.dir(), "/controlplane"), (work, "/work"), (root, ".")]);
    Ok(Stage { session, machine, registry, images, _cluster: cluster })
}

/// Makes a folder like the project's: a copy of the manifests, which commands may change, and what else they name.
fn project(root: &Path, inside: &InsideArgs) -> Result<std::path::PathBuf> {
    let folder = inside.work.join("project");
    fs::create_dir_all(folder.join("target"))?;
    output(Command::new("cp").arg("-r").arg(root.join("deploy")).arg(root.join("demo")).arg(&folder))?;
    symlink(&inside.built, folder.join("target/release"))?;
    Ok(folder)
}

/// PATH with the programs, and with the control plane's kubectl if this machine has none.
fn path(inside: &InsideArgs) -> Result<std::ffi::OsString> {
    let folder = inside.work.join("bin");
    fs::create_dir_all(&folder)?;
    for program in ["tidewaiter", "kubectl-scan"] {
        symlink(inside.built.join(program), folder.join(program))?;
    }
    if which("kubectl").is_none() {
        let script = format!("#!/bin/sh\nexec {} kubectl \"$@\"\n", inside.controlplane.display());
        fs::write(folder.join("kubectl"), script)?;
        output(Command::new("chmod").arg("+x").arg(folder.join("kubectl")))?;
    }
    let usual = env::var_os("PATH").unwrap_or_default();
    Ok(env::join_paths(std::iter::once(folder).chain(env::split_paths(&usual)))?)
}

/// Prints what a developer looks at first after a failure.
fn explain(stage: &mut Stage) {
    let lines = [
        "kubectl get pods -A",
        "kubectl -n tidewaiter-system logs deployment/tidewaiter --tail=20",
        "kubectl get events -A --sort-by=.lastTimestamp | tail -20",
    ];
    for line in lines {
        println!("\n[after the failure] $ {line}\n{}", stage.session.quietly(line).unwrap_or_default());
    }
    if let Err(error) = stage.machine.still_runs() {
        println!("{error:#}");
    }
}

/// With `--keep`, waits until the first half ends this one.
fn keep(inside: &InsideArgs, error: Option<&anyhow::Error>) {
    if !inside.args.keep {
        return;
    }
    if let Some(error) = error {
        println!("\nerror: {error:#}");
    }
    println!("\nEverything runs until Ctrl-C. Files: {}. To get in, from another terminal:", inside.work.display());
    println!("nsenter --all --target $(pgrep --newest --full 'xtask node-inside')");
    loop {
        std::thread::park();
    }
}
