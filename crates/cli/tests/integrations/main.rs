//! The integrations of `integrations/`, as pipelines run them: what they say of themselves is parsed, expressions are replaced as a
//! runner does it, and their scripts run against a registry, a release and a database on loopback. And the examples of
//! `docs/pipelines.md` name inputs that there are.
#![allow(clippy::panic, clippy::unwrap_used, reason = "a test may panic, and says why")]

mod github;
mod gitlab;
mod jenkins;
mod tekton;

use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;
use tidewaiter_testkit::cluster::{Said, run};
use tidewaiter_testkit::demo::{clean, medium, vulnerable};
use tidewaiter_testkit::registry::Registry;
use tidewaiter_testkit::web::Web;

const ARCHIVE: &str = "kubectl-scan-linux-amd64.tar.gz";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// A runner with a workspace, and what it reaches: a registry with images and a database, and a release.
struct Runner {
    dir: TempDir,
    registry: Registry,
    release: Web,
    /// Of the archive.
    sha256: String,
}

impl Runner {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let registry = Registry::start();
        for (name, image) in [("clean", clean()), ("medium", medium()), ("bad", vulnerable())] {
            registry.push(name, "v1", &image.build());
        }
        let archive = archive(dir.path());
        let sha256 = tidewaiter_testkit::sha256(&archive).trim_start_matches("sha256:").to_owned();
        let sums = format!("{}  kubectl-scan-linux-arm64.tar.gz\n{sha256}  {ARCHIVE}\n", "0".repeat(64));
        let folder = "/OWNER/tidewaiter/releases/download/v0.1.0";
        let release = Web::start(
            &[
                (&format!("{folder}/{ARCHIVE}"), archive.clone()),
                (&format!("{folder}/SHA256SUMS"), sums.clone().into_bytes()),
                (&format!("/forged/{ARCHIVE}"), [archive.as_slice(), b"x"].concat()),
                ("/forged/SHA256SUMS", sums.into_bytes()),
                (&format!("/unlisted/{ARCHIVE}"), archive),
                ("/unlisted/SHA256SUMS", Vec::new()),
            ],
            None,
        );
        let runner = Runner { dir, registry, release, sha256 };
        let feeds = root().join("demo/feeds.toml").display().to_string();
        let scan = |args: &[&str]| {
            run(runner.command(env!("CARGO_BIN_EXE_kubectl-scan")).args(args).env("TIDEWAITER_DB", "made.db")).ok()
        };
        scan(&["db", "build", "--feeds", &feeds]);
        scan(&["db", "push", &runner.database()]);
        runner
    }

    /// A program in the workspace, without the variables of this machine.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.dir.path()).env_clear().env("HOME", self.dir.path());
        command.env("PATH", "/usr/local/bin:/usr/bin:/bin");
        command
    }

    fn image(&self, name: &str) -> String {
        format!("{}/{name}:v1", self.registry.host())
    }

    fn database(&self) -> String {
        format!("oci://{}/tidewaiter-db:latest", self.registry.host())
    }

    fn release(&self) -> String {
        self.release.url("/OWNER/tidewaiter/releases/download/v0.1.0")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn file(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }
}

/// A release's archive: the program that was built, called by its name.
fn archive(dir: &Path) -> Vec<u8> {
    let program = format!("#!/bin/sh\nexec {} \"$@\"\n", env!("CARGO_BIN_EXE_kubectl-scan"));
    fs::write(dir.join("kubectl-scan"), program).unwrap();
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(dir.join("kubectl-scan"), executable).unwrap();
    let made = Command::new("tar").arg("-C").arg(dir).args(["-czf", "-", "kubectl-scan"]).output().unwrap();
    assert!(made.status.success());
    fs::remove_file(dir.join("kubectl-scan")).unwrap();
    made.stdout
}

/// Values by the names that expressions have.
type Values = BTreeMap<String, String>;

fn values(all: &[(&str, &str)]) -> Values {
    all.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// A text with its expressions, as `${{ inputs.image }}`, replaced; an unknown one is a mistake.
fn expanded(text: &str, (open, close): (&str, &str), values: &Values) -> String {
    let mut parts = text.split(open);
    let mut out = parts.next().unwrap().to_owned();
    for part in parts {
        let (name, after) = part.split_once(close).unwrap_or_else(|| panic!("{text}: no {close}"));
        let value = values.get(name.trim()).unwrap_or_else(|| panic!("{text}: nothing is called {}", name.trim()));
        out.push_str(value);
        out.push_str(after);
    }
    out
}

/// The inputs of an integration with their defaults, `with` in place of these; one without either is a mistake.
fn inputs(declared: &Value, with: &[(&str, &str)]) -> Values {
    let declared = declared.as_object().unwrap();
    let mut all = Values::new();
    for (name, input) in declared {
        let given = with.iter().find(|(given, _)| given == name).map(|(_, value)| (*value).to_owned());
        let value = given.or_else(|| input["default"].as_str().map(str::to_owned));
        all.insert(format!("inputs.{name}"), value.unwrap_or_else(|| panic!("{name} is required")));
    }
    with.iter().for_each(|(name, _)| assert!(declared.contains_key(*name), "there is no input {name}"));
    all
}

/// Every object in a document with this key.
fn with_key<'a>(value: &'a Value, key: &str, out: &mut Vec<&'a Value>) {
    match value {
        Value::Array(all) => all.iter().for_each(|one| with_key(one, key, out)),
        Value::Object(fields) => {
            if fields.contains_key(key) {
                out.push(value);
            }
            fields.values().for_each(|one| with_key(one, key, out));
        }
        _ => {}
    }
}

/// The blocks of YAML of a document for people, and of the comments above an integration.
fn yaml_blocks(text: &str) -> Vec<Value> {
    let fenced = text.split("```yaml\n").skip(1).map(|block| block.split("```").next().unwrap());
    fenced
        .flat_map(|block| tidewaiter_yaml::from_multiple::<Value>(block).unwrap_or_else(|e| panic!("{e}:\n{block}")))
        .collect()
}

#[test]
fn examples_name_inputs_that_there_are() {
    let action: Value = tidewaiter_yaml::from_str(&read("integrations/github/action.yml")).unwrap();
    let component: Vec<Value> =
        tidewaiter_yaml::from_multiple(&read("integrations/gitlab/templates/scan.yml")).unwrap();
    let task: Value = tidewaiter_yaml::from_str(&read("integrations/tekton/scan.yaml")).unwrap();
    let workflow: Value = tidewaiter_yaml::from_str(&read("integrations/github/scan.yml")).unwrap();
    let mut documents = yaml_blocks(&read("docs/pipelines.md"));
    documents.push(workflow);
    let mut seen = [0; 3];
    let known = |declared: &Value, given: &Value| {
        inputs(declared, &given.as_object().unwrap().iter().map(|(name, _)| (name.as_str(), "")).collect::<Vec<_>>());
    };
    for document in &documents {
        let (mut uses, mut components, mut tasks) = (Vec::new(), Vec::new(), Vec::new());
        with_key(document, "uses", &mut uses);
        with_key(document, "component", &mut components);
        with_key(document, "taskRef", &mut tasks);
        for step in uses.iter().filter(|step| step["uses"].as_str().unwrap().contains("integrations/github@")) {
            seen[0] += 1;
            known(&action["inputs"], &step["with"]);
        }
        for include in components {
            seen[1] += 1;
            known(&component[0]["spec"]["inputs"], &include["inputs"]);
        }
        for run in tasks {
            seen[2] += 1;
            assert_eq!(run["taskRef"]["name"], task["metadata"]["name"]);
            let declared = |name: &Value| task["spec"]["params"].as_array().unwrap().iter().any(|p| p["name"] == *name);
            run["params"].as_array().unwrap().iter().for_each(|param| assert!(declared(&param["name"]), "{param}"));
        }
    }
    assert!(seen.iter().all(|count| *count > 0), "{seen:?}");
}
