//! Builds the control plane for tests: once for each release of Kubernetes, cached under `target/`, found by a hash of its sources.

use anyhow::{Context, Error, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tidewaiter_testkit::cluster::which;
use tidewaiter_testkit::controlplane;
use tidewaiter_testkit::kubernetes::{KubernetesMinor, KubernetesRelease, sources};

/// Flags that shorten the build. Without debugging information, which the linker drops anyway, it takes a ninth less time;
/// without inlining in packages of types and controllers another sixth less. The hot code of the API server and etcd
/// (encoding, storage, network) is compiled as usual.
const COMPILE_FLAGS: [&str; 4] = [
    "-gcflags=all=-dwarf=false",
    "-gcflags=k8s.io/api/...=-dwarf=false -l",
    "-gcflags=k8s.io/client-go/...=-dwarf=false -l",
    "-gcflags=k8s.io/kubernetes/...=-dwarf=false -l",
];

/// The binary: named by the variable, else cached, else built of this minor version, of the chosen one or of the newest.
pub(crate) fn ensure(root: &Path, minor: Option<KubernetesMinor>) -> Result<PathBuf> {
    if let Some(named) = controlplane::named().map_err(Error::msg)? {
        return Ok(named);
    }
    let release = release(root, minor)?;
    let out = controlplane::cached(root, &release);
    if !out.is_file() {
        build(root, &release, &out, None)?;
    }
    Ok(out)
}

/// The binary with a kubelet, for a real node: cached, else built.
pub(crate) fn ensure_with_kubelet(root: &Path) -> Result<PathBuf> {
    let release = release(root, None)?;
    let out = controlplane::cached_with_kubelet(root, &release);
    if !out.is_file() {
        build(root, &release, &out, Some("kubelet"))?;
    }
    Ok(out)
}

fn release(root: &Path, minor: Option<KubernetesMinor>) -> Result<KubernetesRelease> {
    let release = match minor {
        Some(minor) => KubernetesRelease::of(root, minor),
        None => KubernetesRelease::chosen(root),
    };
    release.map_err(Error::msg)
}

fn build(root: &Path, release: &KubernetesRelease, out: &Path, kubelet: Option<&str>) -> Result<()> {
    tools()?;
    println!("building the control plane (Kubernetes {}); the first time it takes about ten minutes", release.version);
    fs::create_dir_all(out.parent().context("target/ has a parent")?)?;
    // To another name first: an interrupted build must not look finished.
    let unfinished = out.with_extension("new");
    let mut command = go_build();
    command.args(["-ldflags", &link_flags(release)]).arg("-modfile").arg(&release.modules);
    let kubectl = controlplane::own_kubectl().then_some("kubectl");
    command.arg("-tags").arg(kubectl.into_iter().chain(kubelet).collect::<Vec<_>>().join(","));
    command.arg("-o").arg(&unfinished).arg(".").current_dir(sources(root));
    let status = command.status().context("go cannot be run")?;
    if !status.success() {
        bail!("the control plane does not build; see above");
    }
    fs::rename(&unfinished, out)?;
    Ok(())
}

/// `go build` as all programs for tests are built, so that packages of several of them are compiled once.
pub(crate) fn go_build() -> Command {
    let mut command = Command::new("go");
    command.args(["build", "-p", "2", "-trimpath"]).args(COMPILE_FLAGS).env("CGO_ENABLED", "0");
    // Less garbage collection in the compiler: a fifth less time, for up to 600 MB instead of 460 for the largest packages.
    if std::env::var_os("GOGC").is_none() {
        command.env("GOGC", "400");
    }
    command
}

/// Fails early if a tool is missing, not after minutes of building.
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

fn link_flags(release: &KubernetesRelease) -> String {
    let of_package = |package: &str| set_version(package, release);
    format!("-s -w {} {}", of_package("k8s.io/component-base/version"), of_package("k8s.io/client-go/pkg/version"))
}

fn set_version(package: &str, release: &KubernetesRelease) -> String {
    let (version, minor) = (&release.version, release.minor.0);
    format!(
        "-X {package}.gitVersion={version} -X {package}.gitMajor=1 -X {package}.gitMinor={minor} -X {package}.gitTreeState=clean"
    )
}
