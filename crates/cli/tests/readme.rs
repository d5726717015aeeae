//! The README's commands for a laptop, as its readers run them; and that each block of every guide is run by some test.
#![allow(clippy::unwrap_used, reason = "a test may panic, and says why")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tidewaiter_testkit::cluster::{Said, run};
use tidewaiter_testkit::image::ImageBuilder;
use tidewaiter_testkit::layout;
use tidewaiter_testkit::packages::debian;
use tidewaiter_testkit::readme::{blocks, script};
use tidewaiter_testkit::upstream::Internet;

/// Blocks that tests run: here, and in `readme.rs` and `backup.rs` of `tests/e2e/stories`.
const RUN: [&str; 18] = [
    "laptop",
    "more",
    "offline",
    "shared",
    "source",
    "install",
    "enforce",
    "volume",
    "arguments",
    "feeds",
    "roles",
    "people",
    "emergency",
    "removal",
    "freeing",
    "backup",
    "restore",
    "restore an exception",
];

/// A pair of `openssl genpkey`.
const KEY: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEICfhmu+AZLkAuL2Y6XYBU9Bo9Zq8W96qorTfTajTbPS1\n-----END PRIVATE KEY-----";
const PUB: &str = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEACrKOTMSRiPjEOIEBrXes3GLNRnNMmhSQ8DU/yEsOd+Q=\n-----END PUBLIC KEY-----";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn every_block_is_run_or_said_to_be_long() {
    let mut seen = Vec::new();
    for file in ["README.md", "docs/user-guide.md", "docs/upgrade.md"] {
        for block in blocks(&root().join(file)) {
            match block.label.split_once(": ") {
                Some(("run", name)) => seen.push(name.to_owned()),
                Some(("long", why)) => assert!(!why.is_empty(), "{file}: {}", block.script),
                _ => panic!("{file}: a block without a comment above it:\n{}", block.script),
            }
        }
    }
    let stories = ["tests/e2e/stories/readme.rs", "tests/e2e/stories/backup.rs", "crates/testkit/src/lab.rs"];
    let tests = [&["crates/cli/tests/readme.rs"], &stories[..]].concat();
    let tests: String = tests.iter().map(|file| fs::read_to_string(root().join(file)).unwrap()).collect();
    for name in RUN {
        assert!(tests.contains(&format!(", \"{name}\")")), "nothing runs {name}");
    }
    let (mut seen, mut known) = (seen, RUN.map(str::to_owned).to_vec());
    seen.sort();
    known.sort();
    assert_eq!(seen, known);
}

/// A laptop whose internet is on loopback.
struct Laptop {
    home: tempfile::TempDir,
    internet: Internet,
}

impl Laptop {
    fn new() -> Self {
        let laptop = Laptop {
            home: tempfile::tempdir().unwrap(),
            internet: Internet::new(&root().join("crates/feeds/default-feeds.toml")),
        };
        let path = |name: &str| laptop.home.path().join(name);
        fs::write(path("ca.pem"), laptop.internet.authority.pem()).unwrap();
        fs::create_dir_all(path("bin")).unwrap();
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_kubectl-scan"), path("bin/kubectl-scan")).unwrap();
        // Where no kubectl is, the plugin is called as kubectl would call it.
        let kubectl = "#!/bin/sh\n[ \"$1\" = scan ] || exit 127\nshift\nexec kubectl-scan \"$@\"\n";
        fs::write(path("bin/kubectl"), kubectl).unwrap();
        let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(path("bin/kubectl"), executable).unwrap();
        laptop
    }

    fn shell(&self, script: &str) -> Said {
        let home = self.home.path();
        let mut command = Command::new("sh");
        command.args(["-euc", script]).current_dir(home).env_clear().env("HOME", home);
        command.env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", home.join("bin").display()));
        command.env("HTTPS_PROXY", self.internet.proxy.url()).env("SSL_CERT_FILE", home.join("ca.pem"));
        run(&mut command)
    }
}

#[test]
fn two_commands_to_a_result_and_more() {
    let laptop = Laptop::new();
    let image = ImageBuilder::new().layer("ADD rootfs.tar /", debian("12", &[("curl", "8.0-1")])).build();
    laptop.internet.registry.push("app", "v1", &image);
    let readme = root().join("README.md");
    let said = laptop.shell(&script(&readme, "laptop")).ok();
    assert!(said.contains("downloaded") && said.contains("No vulnerabilities found"), "{said}");
    let path = |name: &str| laptop.home.path().join(name);
    layout::write(&path("layout"), &image);
    tidewaiter_testkit::program_image::unpack(&image, &path("rootfs")).unwrap();
    docker_archive(&path("layout"), &path("app.tar"));
    let said = laptop.shell(&script(&readme, "more")).ok();
    assert!(said.contains("COMPLETE FOR") && said.contains("KUBECTL_SCAN_COMPLETE"), "{said}");
    let said = laptop.shell(&script(&readme, "shared")).ok();
    assert!(said.contains("not signed") && said.contains("already current"), "{said}");
    let said = laptop.shell(&script(&readme, "offline")).ok();
    assert!(said.contains("tidewaiter.db"), "{said}");
}

/// The workflow's last step, as GitHub's runner runs it, twice: the second time there is a database to compare with.
#[test]
fn the_workflow_publishes_a_database() {
    let laptop = Laptop::new();
    let workflow = fs::read_to_string(root().join("integrations/database.yml")).unwrap();
    let (_, step) = workflow.split_once("- name: Build and push").unwrap();
    let (_, lines) = step.split_once("run: |\n").unwrap();
    let script: String =
        lines.lines().map(|line| format!("{}\n", line.strip_prefix("        ").unwrap_or(line))).collect();
    // cosign signs with an identity that GitHub gives, and with its services: here it says what it would sign.
    let cosign = "cosign() { echo \"cosign $*\"; }\nexport ACTIONS_ID_TOKEN_REQUEST_URL=https://token.example\n";
    let run = |key: &str| {
        let variables = format!("export OWNER=Team REGISTRY=registry.example DATABASE_KEY='{key}'\n{cosign}");
        laptop.shell(&(variables + &script)).ok()
    };
    let said = run("");
    assert!(said.contains("no database to compare with yet") && said.contains("not signed"), "{said}");
    let said = run(KEY);
    assert!(!said.contains("no database to compare with yet") && said.contains(", signed"), "{said}");
    let (_, pushed) = said.split_once("tidewaiter-db:latest@").unwrap();
    let (digest, _) = pushed.split_once(": ").unwrap();
    assert!(
        said.contains(&format!("cosign sign --yes registry.example/team/tidewaiter-db:latest@{digest}\n")),
        "{said}"
    );
    fs::write(laptop.home.path().join("database.pub"), PUB).unwrap();
    let update = "kubectl scan db update oci://registry.example/team/tidewaiter-db:latest --key database.pub";
    assert!(laptop.shell(update).ok().contains("signature verified"));
}

/// The format of `docker save` since Docker 25: an OCI layout in a tar, with a `manifest.json` next to its index.
fn docker_archive(layout: &Path, to: &Path) {
    let read = |path: PathBuf| -> serde_json::Value { serde_json::from_slice(&fs::read(path).unwrap()).unwrap() };
    let blob = |digest: &serde_json::Value| format!("blobs/sha256/{}", &digest.as_str().unwrap()[7..]);
    let index = read(layout.join("index.json"));
    let manifest = read(layout.join(blob(&index["manifests"][0]["digest"])));
    let layers: Vec<String> = manifest["layers"].as_array().unwrap().iter().map(|l| blob(&l["digest"])).collect();
    let saved =
        serde_json::json!([{"Config": blob(&manifest["config"]["digest"]), "RepoTags": ["app:v1"], "Layers": layers}]);
    fs::write(layout.join("manifest.json"), saved.to_string()).unwrap();
    assert!(Command::new("tar").arg("-C").arg(layout).arg("-cf").arg(to).arg(".").status().unwrap().success());
    fs::remove_file(layout.join("manifest.json")).unwrap();
}
