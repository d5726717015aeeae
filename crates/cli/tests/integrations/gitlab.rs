//! GitLab's component.

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
        let said =
            play(&runner, &[&[("image", image.as_str()), ("database", &database)], with, &[("url", &url)]].concat());
        assert_eq!(said.code, code, "{image} {with:?}: {}", said.text);
        // What the job keeps, whatever the verdict.
        assert!(runner.path("gl-container-scanning-report.json").exists() && runner.path("tidewaiter.json").exists());
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
    let refuses = |with: &[(&str, &str)], why: &str| {
        let said = play(&runner, &[&[("image", image.as_str()), ("database", &database)], with].concat());
        // Not 1, which is a violated policy.
        assert!(said.code == 3 && said.text.contains(why), "{with:?}: {} {}", said.code, said.text);
        assert!(!said.text.contains("No vulnerabilities found"), "{with:?}: {}", said.text);
        assert!(!runner.path(".tidewaiter/bin/kubectl-scan").exists(), "{with:?}");
    };
    let differs = "is not what its checksum says";
    refuses(&[("url", &runner.release.url("/forged"))], differs);
    refuses(&[("url", &runner.release.url("/forged")), ("sha256", &runner.sha256)], differs);
    refuses(&[("url", &runner.release()), ("sha256", &"0".repeat(64))], differs);
    refuses(&[("url", &runner.release.url("/unlisted"))], "SHA256SUMS has no checksum of");
    refuses(&[("url", &runner.release.url("/missing"))], "cannot be downloaded");
}
