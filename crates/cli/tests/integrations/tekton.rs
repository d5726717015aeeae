//! Tekton's Task.

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

/// Plays the Task's steps as its Pod does; the folder `/scan` is one of the runner's.
fn play(runner: &Runner, images: &[&str], fail_on: &str, more: &[&str]) -> Said {
    let task: Value = tidewaiter_yaml::from_str(&read("integrations/tekton/scan.yaml")).unwrap();
    let spec = &task["spec"];
    assert_eq!(spec["stepTemplate"]["securityContext"]["runAsNonRoot"], true);
    let declared: Vec<&str> = spec["params"].as_array().unwrap().iter().map(|p| p["name"].as_str().unwrap()).collect();
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
        let here = |text: &str| text.replace("/scan", &work.display().to_string());
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
        let variables = [&spec["stepTemplate"]["env"], &step["env"]].into_iter().filter_map(Value::as_array).flatten();
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
    // A line of the summary by the words that it begins and ends with.
    let check = |images: &[&str], fail_on: &str, code: i32, lines: &[(&str, &str)]| {
        let said = play(&runner, images, fail_on, &["--only-fixed"]);
        assert_eq!(said.code, code, "{images:?}: {}", said.text);
        assert_eq!(runner.file("work/exit-code"), code.to_string());
        let summary = runner.file("work/summary");
        assert_eq!(summary.lines().count(), lines.len(), "{images:?}: {summary}");
        for (line, (begin, end)) in summary.lines().zip(lines) {
            assert!(line.starts_with(begin) && line.ends_with(end), "{images:?}: {summary}");
        }
        said.text
    };
    let missing = runner.image("missing");
    check(&[&clean], "critical", 0, &[(&clean, ": No vulnerabilities found; Policy: pass")]);
    let head = ("IMAGE ", "  POLICY");
    let said = check(
        &[&medium, &missing, &bad],
        "critical",
        1,
        &[head, (&medium, "  pass"), (&missing, "  failed"), (&bad, "  violated")],
    );
    assert!(said.contains("IMAGE ") && said.contains("SEVERITY"), "{said}");
    assert!(runner.file("report.json").starts_with('['));
    check(&[&medium], "medium", 1, &[(&medium, ": Vulnerabilities found: 3 medium; Policy: violated")]);
    check(&[&missing, &missing], "critical", 3, &[head, (&missing, "  failed"), (&missing, "  failed")]);
    check(&[&missing], "critical", 3, &[("no report; exit code 3 of the step scan", "says why")]);
    // Nothing is found where nothing could be read.
    fs::create_dir(runner.path("rootfs")).unwrap();
    check(&["dir:rootfs"], "critical", 3, &[("rootfs ", ": No vulnerabilities found; Policy: incomplete")]);
}
