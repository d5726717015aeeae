//! GitHub's composite action.

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
