//! The image that `cargo xtask image --cli` makes, as a runtime starts it: its own root file system, its user, nothing else of this
//! machine.
#![allow(clippy::unwrap_used, reason = "a test may panic, and says why")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use tidewaiter_testkit::cluster::run;
use tidewaiter_testkit::demo::{clean, vulnerable};
use tidewaiter_testkit::program_image::{self, PLUGIN, USER};
use tidewaiter_testkit::registry::Registry;
use tidewaiter_testkit::skip;

/// The program without its debug information, which is most of it.
fn stripped(to: &Path) {
    let program = env!("CARGO_BIN_EXE_kubectl-scan");
    if !Command::new("strip").args(["-o"]).arg(to).arg(program).status().is_ok_and(|status| status.success()) {
        fs::copy(program, to).unwrap();
    }
}

#[test]
fn the_image_scans_as_its_user_in_its_own_root() {
    if !rustix::process::geteuid().is_root() {
        return skip::here("needs root, to change the root folder");
    }
    let dir = tempfile::tempdir().unwrap();
    stripped(&dir.path().join("kubectl-scan"));
    let root = dir.path().join("root");
    program_image::unpack(
        &program_image::build(dir.path(), &PLUGIN, program_image::architecture().unwrap()).unwrap(),
        &root,
    )
    .unwrap();
    let feeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../demo/feeds.toml");
    let database = root.join("tidewaiter.db");
    let mut build = Command::new(env!("CARGO_BIN_EXE_kubectl-scan"));
    build.args(["db", "build", "--feeds"]).arg(feeds).arg("--db").arg(&database).env("HOME", dir.path());
    run(&mut build).ok();
    for folder in [dir.path(), &root] {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    }
    fs::set_permissions(&database, fs::Permissions::from_mode(0o644)).unwrap();
    let registry = Registry::start();
    let check = |name: &str, image: tidewaiter_testkit::image::ImageFixture, code: i32, words: &str| {
        let reference = registry.push(name, "v1", &image);
        let mut command = Command::new("/usr/sbin/chroot");
        command.arg(format!("--userspec={USER}:{USER}")).arg(&root).arg("/usr/local/bin/kubectl-scan");
        command.args(["image", "--local", &reference]).env_clear();
        let said = run(command.env("TIDEWAITER_DB", "/tidewaiter.db").env("HOME", "/"));
        assert!(said.code == code && said.text.contains(words), "{}: {}", said.code, said.text);
    };
    check("clean", clean().build(), 0, "No vulnerabilities found");
    check("bad", vulnerable().build(), 1, "Policy: violated");
    // Nothing else is in it that runs.
    let programs: Vec<_> = fs::read_dir(root.join("usr/local/bin")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(programs, ["kubectl-scan"]);
    assert!(!root.join("bin/sh").exists());
}
