//! Builds the control plane for tests: once, cached under `target/`, found by a hash of its sources.

use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tidewaiter_testkit::cluster::which;
use tidewaiter_testkit::controlplane;

/// The Kubernetes version of `tests/controlplane/go.mod`.
const VERSION: (&str, &str, &str) = ("v1.37.2", "1", "37");

/// No debugging information, which the linker would drop: a ninth less time. Nothing inlined in what is types and
/// controllers: another sixth. What the API server and etcd do all the time (encoding, storage, the network) is compiled
/// as ever.
const COMPILE_FLAGS: [&str; 4] = [
    "-gcflags=all=-dwarf=false",
    "-gcflags=k8s.io/api/...=-dwarf=false -l",
    "-gcflags=k8s.io/client-go/...=-dwarf=false -l",
    "-gcflags=k8s.io/kubernetes/...=-dwarf=false -l",
];

/// The binary: the one that is named or cached, else a new one.
pub(crate) fn ensure(root: &Path) -> Result<PathBuf> {
    if let Ok(found) = controlplane::find(root) {
        return Ok(found);
    }
    if std::env::var_os(controlplane::OVERRIDE).is_some() {
        bail!("{} names no file", controlplane::OVERRIDE);
    }
    let out = controlplane::cached(root);
    build(root, &out, None)?;
    Ok(out)
}

/// The binary that has a kubelet too, for a real node: the cached one, else a new one.
pub(crate) fn ensure_with_kubelet(root: &Path) -> Result<PathBuf> {
    let out = controlplane::cached_with_kubelet(root);
    if !out.is_file() {
        build(root, &out, Some("kubelet"))?;
    }
    Ok(out)
}

fn build(root: &Path, out: &Path, kubelet: Option<&str>) -> Result<()> {
    tools()?;
    println!("building the control plane (Kubernetes {}); the first time it takes about ten minutes", VERSION.0);
    fs::create_dir_all(out.parent().context("target/ has a parent")?)?;
    // Beside, then renamed: an interrupted build leaves nothing that looks finished.
    let beside = out.with_extension("new");
    let mut command = Command::new("go");
    command.args(["build", "-p", "2", "-trimpath", "-ldflags", &link_flags()]).args(COMPILE_FLAGS);
    let kubectl = controlplane::own_kubectl().then_some("kubectl");
    command.arg("-tags").arg(kubectl.into_iter().chain(kubelet).collect::<Vec<_>>().join(","));
    command.arg("-o").arg(&beside).arg(".").env("CGO_ENABLED", "0").current_dir(controlplane::sources(root));
    // The compiler's own memory: up to 600 MB for the largest packages, not 460, for a fifth less of its time.
    if std::env::var_os("GOGC").is_none() {
        command.env("GOGC", "400");
    }
    let status = command.status().context("go cannot be run")?;
    if !status.success() {
        bail!("the control plane does not build; see above");
    }
    fs::rename(&beside, out)?;
    Ok(())
}

/// Says at once what is missing.
pub(crate) fn tools() -> Result<()> {
    let missing: Vec<&str> = [("go", "Go 1.26 or newer"), ("cc", "a C compiler")]
        .iter()
        .filter(|(program, _)| which(program).is_none())
        .map(|(_, name)| *name)
        .collect();
    if missing.is_empty() {
        Ok(())
    } else {
        bail!("missing on PATH: {}; install it and run this again", missing.join(", "))
    }
}

fn link_flags() -> String {
    let (version, major, minor) = VERSION;
    let set = |package: &str| {
        format!(
            "-X {package}.gitVersion={version} -X {package}.gitMajor={major} -X {package}.gitMinor={minor} -X {package}.gitTreeState=clean"
        )
    };
    format!("-s -w {} {}", set("k8s.io/component-base/version"), set("k8s.io/client-go/pkg/version"))
}
