//! The integrations of `integrations/`, as pipelines run them: what they say of themselves is parsed, expressions are replaced as a
//! runner does it, and their scripts run against a registry, a release and a database on loopback. And the examples of
//! `docs/pipelines.md` name inputs that there are.
#![allow(clippy::panic, clippy::unwrap_used, reason = "a test may panic, and says why")]

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

mod github {
    use super::*;

    const MARKS: (&str, &str) = ("${{", "}}");

    /// Plays the action's steps, as far as they are scripts, until one fails.
    fn play(runner: &Runner, with: &[(&str, &str)]) -> Said {
        let action: Value = tidewaiter_yaml::from_str(&read("integrations/github/action.yml")).unwrap();
        let mut known = inputs(&action["inputs"], with);
        known.insert("runner.temp".to_owned(), runner.path("temp").display().to_string());
        fs::create_dir_all(runner.path("temp")).unwrap();
        let files = ["GITHUB_OUTPUT", "GITHUB_PATH", "GITHUB_STEP_SUMMARY"];
        files.iter().for_each(|file| fs::write(runner.path(file), "").unwrap());
        let mut text = String::new();
        for step in action["runs"]["steps"].as_array().unwrap() {
            let of_step = |value: &Value| expanded(value.as_str().unwrap(), MARKS, &known);
            let Some(script) = step["run"].as_str() else {
                // Another action: what it is given must be known.
                step["with"].as_object().unwrap().values().for_each(|value| drop(of_step(value)));
                continue;
            };
            // An input that is part of a script could be any script.
            assert!(!script.contains("${{") && step["shell"] == "bash", "{script}");
            let mut command = runner.command("bash");
            command.args(["--noprofile", "--norc", "-eo", "pipefail", "-c", script]);
            let added = runner.file("GITHUB_PATH").replace('\n', ":");
            command.env("PATH", format!("{added}/usr/local/bin:/usr/bin:/bin"));
            command.envs(files.iter().map(|file| (file, runner.path(file))));
            command.env("RUNNER_TEMP", runner.path("temp")).env("GITHUB_SERVER_URL", runner.release.url(""));
            command.env("GITHUB_ACTION_PATH", "/home/runner/work/_actions/OWNER/tidewaiter/v0.1.0/integrations/github");
            for (name, value) in step["env"].as_object().unwrap() {
                command.env(name, of_step(value));
            }
            let said = run(&mut command);
            text.push_str(&said.text);
            if said.code != 0 {
                return Said { text, ..said };
            }
            let id = step["id"].as_str().unwrap_or_default();
            let outputs = runner.file("GITHUB_OUTPUT");
            known.extend(
                outputs
                    .lines()
                    .filter_map(|line| line.split_once('='))
                    .map(|(name, value)| (format!("steps.{id}.outputs.{name}"), value.to_owned())),
            );
        }
        for output in action["outputs"].as_object().unwrap().values() {
            expanded(output["value"].as_str().unwrap(), MARKS, &known);
        }
        Said { code: 0, text }
    }

    #[test]
    fn the_action_fails_by_what_is_found() {
        let runner = Runner::new();
        let (bad, medium, database) = (runner.image("bad"), runner.image("medium"), runner.database());
        let check = |image: &str, with: &[(&str, &str)], code: i32| {
            let said = play(&runner, &[&[("image", image), ("database", &database)], with].concat());
            assert_eq!(said.code, code, "{image} {with:?}: {}", said.text);
            assert!(runner.file("GITHUB_OUTPUT").contains(&format!("exit-code={code}\n")));
            (said.text, runner.file("GITHUB_STEP_SUMMARY"))
        };
        let (said, summary) = check(&medium, &[], 0);
        assert!(said.contains(&format!("{ARCHIVE}: OK")) && said.contains("Vulnerabilities found: 3 medium"), "{said}");
        assert!(summary.contains("**Policy: pass.**"), "{summary}");
        check(&medium, &[("fail-on", "medium")], 1);
        check(&medium, &[("fail-on", "medium"), ("args", "--only-fixed\n--sort\npackage\n")], 1);
        let both = format!("{medium}\n{bad}\n");
        let outputs = "table\nsarif=tidewaiter.sarif\njson=all.json";
        let (_, summary) = check(&both, &[("output", outputs), ("sha256", &runner.sha256)], 1);
        assert!(summary.contains("**Policy: pass.**") && summary.contains("**Policy: violated.**"), "{summary}");
        let sarif: Value = serde_json::from_str(&runner.file("tidewaiter.sarif")).unwrap();
        assert_eq!(sarif["runs"].as_array().unwrap().len(), 2);
        check(&bad, &[("fail-on", "new"), ("baseline", "all.json")], 0);
        check(&runner.image("missing"), &[], 3);
        // Nobody's word is a command.
        check(&format!("{bad}; touch injected"), &[], 2);
        check(&bad, &[("args", "$(touch injected)")], 2);
        assert!(!runner.path("injected").exists());
    }

    #[test]
    fn a_program_that_is_not_the_releases_is_not_run() {
        let runner = Runner::new();
        let (image, database) = (runner.image("clean"), runner.database());
        let refuses = |with: &[(&str, &str)]| {
            let said = play(&runner, &[&[("image", image.as_str()), ("database", &database)], with].concat());
            assert!(said.code != 0 && !said.text.contains("No vulnerabilities found"), "{with:?}: {}", said.text);
            assert_eq!(runner.file("GITHUB_PATH"), "", "{with:?}");
        };
        refuses(&[("url", &runner.release.url("/forged"))]);
        refuses(&[("url", &runner.release.url("/unlisted"))]);
        refuses(&[("url", &runner.release.url("/missing"))]);
        refuses(&[("sha256", &"0".repeat(64))]);
    }
}

mod gitlab {
    use super::*;

    const MARKS: (&str, &str) = ("$[[", "]]");

    /// Plays the script of the component's job.
    fn play(runner: &Runner, with: &[(&str, &str)]) -> Said {
        let documents: Vec<Value> =
            tidewaiter_yaml::from_multiple(&read("integrations/gitlab/templates/scan.yml")).unwrap();
        let [header, jobs] = documents.as_slice() else { panic!("a component has two documents") };
        let known = inputs(&header["spec"]["inputs"], with);
        let (name, job) = jobs.as_object().unwrap().iter().next().unwrap();
        assert_eq!(expanded(name, MARKS, &known), "tidewaiter");
        let script = job["script"][0].as_str().unwrap();
        assert!(!script.contains("$[["), "an input that is part of a script could be any script");
        let workspace = runner.dir.path().display().to_string();
        let mut command = runner.command("sh");
        command.args(["-c", script]).env("CI_PROJECT_DIR", &workspace);
        command.envs([("CI_REGISTRY", runner.registry.host().as_str()), ("CI_REGISTRY_USER", "ci")]);
        command.env("CI_REGISTRY_PASSWORD", "word");
        for (name, value) in job["variables"].as_object().unwrap() {
            let value = expanded(value.as_str().unwrap(), MARKS, &known).replace("$CI_PROJECT_DIR", &workspace);
            command.env(name, value);
        }
        run(&mut command)
    }

    #[test]
    fn the_component_writes_gitlabs_report() {
        let runner = Runner::new();
        // The job's own login is used.
        runner.registry.require_login("ci", "word");
        let check = |image: &str, with: &[(&str, &str)], code: i32| {
            for file in ["gl-container-scanning-report.json", "tidewaiter.json"] {
                drop(fs::remove_file(runner.path(file)));
            }
            let (image, url, database) = (runner.image(image), runner.release(), runner.database());
            let said = play(
                &runner,
                &[&[("image", image.as_str()), ("database", &database)], with, &[("url", &url)]].concat(),
            );
            assert_eq!(said.code, code, "{image} {with:?}: {}", said.text);
            // What the job keeps, whatever the verdict.
            assert!(
                runner.path("gl-container-scanning-report.json").exists() && runner.path("tidewaiter.json").exists()
            );
        };
        check("clean", &[], 0);
        check("medium", &[("fail-on", "medium+fixable"), ("args", "--only-fixed --sort package")], 1);
        check("bad", &[("sha256", &runner.sha256)], 1);
        let report: Value = serde_json::from_str(&runner.file("gl-container-scanning-report.json")).unwrap();
        assert_eq!(report["scan"]["type"], "container_scanning");
        assert!(!report["vulnerabilities"].as_array().unwrap().is_empty());
        // The login is for its owner.
        let mode = std::os::unix::fs::PermissionsExt::mode(
            &fs::metadata(runner.path(".tidewaiter/docker/config.json")).unwrap().permissions(),
        );
        assert_eq!(mode & 0o77, 0);
    }

    #[test]
    fn a_program_that_is_not_the_releases_is_not_run() {
        let runner = Runner::new();
        let (image, database) = (runner.image("clean"), runner.database());
        let refuses = |with: &[(&str, &str)]| {
            let said = play(&runner, &[&[("image", image.as_str()), ("database", &database)], with].concat());
            assert!(said.code != 0 && !said.text.contains("No vulnerabilities found"), "{with:?}: {}", said.text);
            assert!(!runner.path(".tidewaiter/bin/kubectl-scan").exists(), "{with:?}");
        };
        refuses(&[("url", &runner.release.url("/forged")), ("sha256", &runner.sha256)]);
        refuses(&[("url", &runner.release()), ("sha256", &"0".repeat(64))]);
    }
}

mod tekton {
    use super::*;

    const MARKS: (&str, &str) = ("$(", ")");

    /// A list of arguments: `$(params.NAME[*])` by itself is a list.
    fn arguments(list: &Value, known: &Values, lists: &BTreeMap<&str, Vec<String>>) -> Vec<String> {
        let mut all = Vec::new();
        for argument in list.as_array().unwrap() {
            let argument = argument.as_str().unwrap();
            match argument.strip_prefix("$(params.").and_then(|rest| rest.strip_suffix("[*])")) {
                Some(name) => all.extend(lists[name].clone()),
                None => all.push(expanded(argument, MARKS, known)),
            }
        }
        all
    }

    /// Plays the Task's steps as its Pod does; the folder `/work` is one of the runner's.
    fn play(runner: &Runner, images: &[&str], fail_on: &str, more: &[&str]) -> Said {
        let task: Value = tidewaiter_yaml::from_str(&read("integrations/tekton/scan.yaml")).unwrap();
        let spec = &task["spec"];
        assert_eq!(spec["stepTemplate"]["securityContext"]["runAsNonRoot"], true);
        let declared: Vec<&str> =
            spec["params"].as_array().unwrap().iter().map(|p| p["name"].as_str().unwrap()).collect();
        let work = runner.path("work");
        drop(fs::remove_dir_all(&work));
        fs::create_dir_all(&work).unwrap();
        let at = |name: &str| work.join(name).display().to_string();
        let (database, exit_code) = (runner.database(), at("exitCode"));
        let known = values(&[
            ("params.database", &database),
            ("params.fail-on", fail_on),
            ("params.scanner", "scanner"),
            ("params.shell", "shell"),
            ("workspaces.docker-config.path", ""),
            ("workspaces.reports.path", &runner.dir.path().display().to_string()),
            ("steps.step-scan.exitCode.path", &exit_code),
            ("results.exit-code.path", &at("exit-code")),
            ("results.summary.path", &at("summary")),
        ]);
        let owned = |list: &[&str]| list.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>();
        let lists = BTreeMap::from([("database-args", vec![]), ("args", owned(more)), ("images", owned(images))]);
        let given = known.keys().filter_map(|name| name.strip_prefix("params.")).chain(lists.keys().copied());
        given.for_each(|name| assert!(declared.contains(&name), "there is no parameter {name}"));
        let mut last = Said { code: -1, text: String::new() };
        for step in spec["steps"].as_array().unwrap() {
            let here = |text: &str| text.replace("/work", &work.display().to_string());
            let mut command = match step["script"].as_str() {
                Some(script) => {
                    assert!(!script.contains("$(params"), "a parameter that is part of a script could be any script");
                    let mut command = runner.command("sh");
                    command.args(["-c", &here(script)]);
                    command
                }
                None => {
                    assert_eq!(step["command"], serde_json::json!(["/usr/local/bin/kubectl-scan"]));
                    let mut command = runner.command(env!("CARGO_BIN_EXE_kubectl-scan"));
                    command.args(arguments(&step["args"], &known, &lists).iter().map(|argument| here(argument)));
                    command
                }
            };
            let variables =
                [&spec["stepTemplate"]["env"], &step["env"]].into_iter().filter_map(Value::as_array).flatten();
            for variable in variables {
                let value = expanded(&here(variable["value"].as_str().unwrap()), MARKS, &known);
                command.env(variable["name"].as_str().unwrap(), value);
            }
            last = run(&mut command);
            fs::write(&exit_code, last.code.to_string()).unwrap();
            if last.code != 0 && step["onError"] != "continue" {
                break;
            }
        }
        last
    }

    #[test]
    fn the_task_has_results_and_fails_by_them() {
        let runner = Runner::new();
        let (clean, medium, bad) = (runner.image("clean"), runner.image("medium"), runner.image("bad"));
        let check = |images: &[&str], fail_on: &str, code: i32, summary: &str| {
            let said = play(&runner, images, fail_on, &["--only-fixed"]);
            assert_eq!(said.code, code, "{images:?}: {}", said.text);
            assert_eq!(runner.file("work/exit-code"), code.to_string());
            assert_eq!(runner.file("work/summary"), summary, "{images:?}: {}", said.text);
            said.text
        };
        check(&[&clean], "critical", 0, "No vulnerabilities found\n");
        let said = check(
            &[&medium, &bad],
            "critical",
            1,
            "Vulnerabilities found: 3 medium\nVulnerabilities found: 3 critical, 5 medium\n",
        );
        assert!(said.contains("IMAGE ") && said.contains("SEVERITY"), "{said}");
        assert!(runner.file("report.json").starts_with('['));
        check(&[&medium], "medium", 1, "Vulnerabilities found: 3 medium\n");
        check(&[&runner.image("missing")], "critical", 3, "");
    }
}

mod jenkins {
    use super::*;

    #[test]
    fn the_stage_writes_a_test_report() {
        let runner = Runner::new();
        let file = read("integrations/jenkins/Jenkinsfile");
        let (_, rest) = file.split_once("sh '''").unwrap();
        let (script, _) = rest.split_once("'''").unwrap();
        // As Groovy reads it.
        let script = script.replace("\\\\", "\\");
        let play = |image: &str, release: &str, fail_on: &str| {
            drop(fs::remove_dir_all(runner.path(".tidewaiter")));
            let mut command = runner.command("sh");
            command.args(["-xec", &script]).env("IMAGE", runner.image(image)).env("FAIL_ON", fail_on);
            command.env("RELEASE", release).env("DATABASE", runner.database());
            command.env("TIDEWAITER_DB", runner.path(".tidewaiter/tidewaiter.db"));
            run(&mut command)
        };
        for name in ["IMAGE", "FAIL_ON", "RELEASE", "DATABASE", "TIDEWAITER_DB"] {
            assert!(file.contains(&format!("\n    {name} = ")), "{name} is not set");
        }
        let said = play("clean", &runner.release(), "critical");
        assert_eq!(said.code, 0, "{}", said.text);
        let said = play("bad", &runner.release(), "critical,medium+fixable");
        assert_eq!(said.code, 1, "{}", said.text);
        assert!(runner.file("tidewaiter.xml").contains("<testsuite"));
        assert!(runner.file("tidewaiter.html").contains("</html>"));
        for folder in ["/forged", "/unlisted", "/missing"] {
            let said = play("clean", &runner.release.url(folder), "critical");
            assert!(said.code != 0 && !runner.path(".tidewaiter/kubectl-scan").exists(), "{folder}: {}", said.text);
        }
    }
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
