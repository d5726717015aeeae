//! What the authors of each pipeline's format say of `integrations/` and of the examples in `docs/pipelines.md`: GitHub's by
//! actionlint, Tekton's by the validation of its own webhook, and all scripts by ShellCheck. The scripts are run by
//! `crates/cli/tests/integrations/`.

use crate::controlplane::go_build;
use crate::install::{command, debian_archives, once, output, program};
use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tidewaiter_testkit::cluster::which;

/// The action, as a workflow of others names it, and as one of the same repository does: then actionlint reads its inputs.
const ACTION: &str = "OWNER/tidewaiter/integrations/github@v0.1.0";
const OWN_ACTION: &str = "./integrations/github";

/// Checks everything; true if nothing was found. Each program says what it finds.
pub(crate) fn run(root: &Path) -> Result<bool> {
    let tools = once(&root.join("target/integrations"), "tools", |to| build(root, to))?;
    let shellcheck = shellcheck(&root.join("target/integrations"))?;
    let work = tempfile::tempdir()?;
    let documents = examples(&fs::read_to_string(root.join("docs/pipelines.md"))?);
    let mut good = workflows(root, work.path(), &documents, &tools.join("actionlint"), &shellcheck)?;
    good &= tasks(root, work.path(), &documents, &tools.join("pipelines"))?;
    good &= scripts(root, work.path(), &shellcheck)?;
    println!("integrations: {}", if good { "nothing was found" } else { "see above" });
    Ok(good)
}

fn build(root: &Path, to: &Path) -> Result<()> {
    program("go", "golang")?;
    println!("building actionlint and Tekton's validation; the first time it takes two minutes");
    let mut build = go_build();
    // A separator at its end: it is the folder of several programs.
    build.args(["-ldflags", "-s -w", "-o"]).arg(to.join("")).args([".", "github.com/rhysd/actionlint/cmd/actionlint"]);
    output(build.current_dir(root.join("tests/pipelines"))).map(drop)
}

/// That of this machine, else Debian's, unpacked.
fn shellcheck(dir: &Path) -> Result<PathBuf> {
    if let Some(there) = which("shellcheck") {
        return Ok(there);
    }
    let unpacked = once(dir, "shellcheck", |to| {
        let work = tempfile::tempdir()?;
        for archive in debian_archives(work.path(), None, &["shellcheck"])? {
            output(command("dpkg-deb", &["-x"]).arg(archive).arg(to))?;
        }
        Ok(())
    })?;
    Ok(unpacked.join("usr/bin/shellcheck"))
}

/// Runs a program that says what it finds.
fn finds_nothing(command: &mut Command) -> Result<bool> {
    let line = format!("{command:?}");
    Ok(command.status().with_context(|| format!("{line} cannot be run"))?.success())
}

/// A block of YAML in a document for people.
struct Example {
    line: usize,
    text: String,
}

fn examples(document: &str) -> Vec<Example> {
    let mut all = Vec::new();
    let mut open: Option<Example> = None;
    for (number, line) in document.lines().enumerate() {
        match (&mut open, line) {
            (None, "```yaml") => open = Some(Example { line: number + 1, text: String::new() }),
            (Some(_), "```") => all.extend(open.take()),
            (Some(example), line) => example.text.push_str(&format!("{line}\n")),
            (None, _) => {}
        }
    }
    all
}

/// Workflows in a project of their own, which has the action.
fn workflows(root: &Path, work: &Path, examples: &[Example], actionlint: &Path, shellcheck: &Path) -> Result<bool> {
    let (project, place) = (work.join("project"), work.join("project/.github/workflows"));
    for folder in [&place, &project.join(".git"), &project.join("integrations/github")] {
        fs::create_dir_all(folder)?;
    }
    let own = |text: &str| text.replace(ACTION, OWN_ACTION);
    let integrations = root.join("integrations");
    fs::copy(integrations.join("github/action.yml"), project.join("integrations/github/action.yml"))?;
    for (name, from) in
        [("scan.yml", "github/scan.yml"), ("database.yml", "database.yml"), ("release.yml", "release.yml")]
    {
        fs::write(place.join(name), own(&fs::read_to_string(integrations.join(from))?))?;
    }
    for example in examples.iter().filter(|example| example.text.starts_with("steps:")) {
        let steps: String = example.text.lines().map(|line| format!("    {line}\n")).collect();
        let workflow = format!("on: pull_request\njobs:\n  scan:\n    runs-on: ubuntu-latest\n{steps}");
        fs::write(place.join(format!("pipelines.md-{}.yml", example.line)), own(&workflow))?;
    }
    let mut lint = Command::new(actionlint);
    let good = finds_nothing(lint.arg("-shellcheck").arg(shellcheck).current_dir(&project))?;
    println!("{} workflows by actionlint", fs::read_dir(&place)?.count());
    Ok(good)
}

/// The Task, and the TaskRuns that examples have.
fn tasks(root: &Path, work: &Path, examples: &[Example], tekton: &Path) -> Result<bool> {
    let mut files = vec![root.join("integrations/tekton/scan.yaml")];
    for example in examples.iter().filter(|example| example.text.starts_with("apiVersion: tekton.dev/")) {
        files.push(work.join(format!("pipelines.md-{}.yaml", example.line)));
        fs::write(&files[files.len() - 1], &example.text)?;
    }
    finds_nothing(Command::new(tekton).args(&files))
}

/// Every script, by the shell that it is for.
fn scripts(root: &Path, work: &Path, shellcheck: &Path) -> Result<bool> {
    let integrations = root.join("integrations");
    let mut all = Vec::new();
    for (name, shell) in
        [("github/action.yml", "bash"), ("gitlab/templates/scan.yml", "sh"), ("tekton/scan.yaml", "sh")]
    {
        let text = fs::read_to_string(integrations.join(name))?;
        for document in serde_saphyr::from_multiple::<Value>(&text).with_context(|| name.to_owned())? {
            collect(&document, &mut |script| all.push((name, shell, script.to_owned())));
        }
    }
    let pipeline = fs::read_to_string(integrations.join("jenkins/Jenkinsfile"))?;
    // Within quotes of Groovy, where a backslash is two.
    let quoted = pipeline.split("'''").nth(1).context("the Jenkinsfile has no script")?;
    all.push(("jenkins/Jenkinsfile", "sh", quoted.replace("\\\\", "\\")));
    let mut files = Vec::new();
    for (number, (name, shell, script)) in all.iter().enumerate() {
        let file = work.join(format!("{}-{}", name.replace('/', "-"), number + 1));
        let first = if script.starts_with("#!") { String::new() } else { format!("#!/bin/{shell}\n") };
        fs::write(&file, first + script)?;
        files.push(file);
    }
    if files.len() < 5 {
        bail!("there are {} scripts, and each of four integrations has some", files.len());
    }
    let good = finds_nothing(Command::new(shellcheck).args(&files))?;
    println!("{} scripts by ShellCheck", files.len());
    Ok(good)
}

/// The scripts of a document: `run` of GitHub, `script` of GitLab and Tekton.
fn collect(value: &Value, found: &mut dyn FnMut(&str)) {
    match value {
        Value::Array(all) => all.iter().for_each(|one| collect(one, found)),
        Value::Object(fields) => {
            for (key, value) in fields {
                match (key.as_str(), value) {
                    ("run" | "script", Value::String(script)) => found(script),
                    ("script", Value::Array(lines)) => lines.iter().filter_map(Value::as_str).for_each(&mut *found),
                    _ => collect(value, found),
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn scripts_are_found_wherever_a_format_has_them() {
        let check = |document: Value, expected: &[&str]| {
            let mut found = Vec::new();
            collect(&document, &mut |script| found.push(script.to_owned()));
            assert_eq!(found, expected, "{document}");
        };
        check(json!({"runs": {"steps": [{"run": "a", "shell": "bash"}, {"uses": "x"}, {"run": "b"}]}}), &["a", "b"]);
        check(json!({"job": {"script": ["a", "b"]}}), &["a", "b"]);
        check(json!({"spec": {"steps": [{"script": "a"}]}}), &["a"]);
        check(json!({"description": "run"}), &[]);
    }

    #[test]
    fn examples_are_blocks_of_yaml() {
        let found = examples("text\n```yaml\na: 1\n```\n```sh\nls\n```\n```yaml\nb:\n- 2\n```\n");
        let found: Vec<_> = found.iter().map(|example| (example.line, example.text.as_str())).collect();
        assert_eq!(found, [(2, "a: 1\n"), (8, "b:\n- 2\n")]);
    }
}
