//! `cargo xtask image` as it is run: pushed to a registry whose authority is in `SSL_CERT_FILE`, direct and by a proxy; and the image
//! of the plugin.
#![allow(clippy::unwrap_used, reason = "a test may panic, and says why")]

use std::fs;
use std::process::Command;
use tidewaiter_testkit::authority::Authority;
use tidewaiter_testkit::cluster::run;
use tidewaiter_testkit::program_image::PROGRAMS;
use tidewaiter_testkit::proxy::Proxy;
use tidewaiter_testkit::registry::Registry;

#[test]
fn an_image_is_pushed_over_tls_direct_and_by_a_proxy() {
    let dir = tempfile::tempdir().unwrap();
    // Any programs will do.
    for name in PROGRAMS {
        fs::copy(env!("CARGO_BIN_EXE_xtask"), dir.path().join(name)).unwrap();
    }
    let authority = Authority::new();
    let ca = dir.path().join("ca.pem");
    fs::write(&ca, authority.pem()).unwrap();
    let registry = Registry::start_tls(&authority);
    let proxy = Proxy::start(&[("registry.example:443", registry.port())]);
    for host in [registry.host(), "registry.example".to_owned()] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command
            .args(["image", "--out"])
            .arg(dir.path().join("image"))
            .arg("--programs")
            .arg(dir.path())
            .args(["--push", &format!("{host}/tidewaiter:1")]);
        command.env("SSL_CERT_FILE", &ca).env("HTTPS_PROXY", proxy.url()).env("DOCKER_CONFIG", dir.path());
        let said = run(&mut command).ok();
        assert!(said.contains(&format!("pushed {host}/tidewaiter:1@sha256:")), "{said}");
    }
    assert!(!proxy.asked().is_empty(), "the proxy was not asked");
}

#[test]
fn the_plugins_image_has_the_plugin_alone() {
    let dir = tempfile::tempdir().unwrap();
    // Any program will do.
    fs::copy(env!("CARGO_BIN_EXE_xtask"), dir.path().join("kubectl-scan")).unwrap();
    let registry = Registry::start();
    let reference = format!("{}/kubectl-scan:1", registry.host());
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.args(["image", "--cli", "--push", &reference, "--programs"]).arg(dir.path());
    let said = run(command.arg("--out").arg(dir.path().join("image")).env("DOCKER_CONFIG", dir.path())).ok();
    assert!(said.contains(&format!("pushed {reference}@sha256:")), "{said}");
    let manifest: serde_json::Value = serde_json::from_slice(&registry.manifest("kubectl-scan", "1")).unwrap();
    let config = registry.blob(manifest["config"]["digest"].as_str().unwrap());
    let config: serde_json::Value = serde_json::from_slice(&config).unwrap();
    assert_eq!(config["config"]["Entrypoint"], serde_json::json!(["/usr/local/bin/kubectl-scan"]));
    assert_eq!(config["config"]["User"], "65532");
    assert_eq!(manifest["layers"].as_array().unwrap().len(), 2);
}
