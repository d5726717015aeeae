//! Reports and SBOMs in other formats, by the real program: several at once, files as a whole or not at all, and what can be
//! wrong with the command line.
#![allow(clippy::unwrap_used, reason = "a test may panic, and says why")]

use serde_json::Value;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use tempfile::TempDir;
use tidewaiter_formats::{ReportFormat, SbomFormat};
use tidewaiter_testkit::cluster::{Said, run};
use tidewaiter_testkit::image::ImageBuilder;
use tidewaiter_testkit::layer::LayerBuilder;
use tidewaiter_testkit::layout;
use tidewaiter_testkit::packages::{debian, npm};

/// A folder with a report, `report.json`, and the list of two of them, `reports.json`. There is no database.
struct Folder {
    dir: TempDir,
}

impl Folder {
    fn new() -> Self {
        let folder = Folder { dir: tempfile::tempdir().unwrap() };
        let report = Path::new(env!("CARGO_MANIFEST_DIR")).join("../formats/tests/report.json");
        let report = fs::read_to_string(report).unwrap();
        let other = report.replace("\"amd64\"", "\"arm64\"");
        folder.write("report.json", &report);
        folder.write("reports.json", &format!("[{report}, {other}]"));
        folder
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.dir.path().join(name), text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.dir.path().join(name)).unwrap()
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-scan"));
        command.args(args).current_dir(self.dir.path()).env_clear().env("HOME", self.dir.path());
        command.env("SOURCE_DATE_EPOCH", "1769947200");
        command
    }

    fn scan(&self, args: &[&str]) -> Said {
        run(&mut self.command(args))
    }

    /// Checks the exit code and the words that must be printed, and that no file remains but those that were there.
    #[track_caller]
    fn refuses(&self, args: &[&str], code: i32, words: &[&str]) {
        let files = || fs::read_dir(self.dir.path()).unwrap().count();
        let before = files();
        let said = self.scan(args);
        assert_eq!(said.code, code, "{args:?}: {}", said.text);
        words
            .iter()
            .for_each(|word| assert!(said.text.contains(word), "{args:?} does not say {word:?}: {}", said.text));
        assert!(!said.text.contains("panicked"), "{}", said.text);
        assert_eq!(files(), before, "{args:?} left a file");
    }
}

#[test]
fn a_report_is_converted_to_every_format_at_once() {
    let folder = Folder::new();
    let targets: Vec<String> = ReportFormat::ALL.iter().map(|format| format!("{format}=out.{format}")).collect();
    let mut args = vec!["convert", "report.json", "-o", "table", "-o", "json=out.json"];
    args.extend(targets.iter().flat_map(|target| ["-o", target]));
    let said = folder.scan(&args);
    assert_eq!(said.code, 0, "{}", said.text);
    assert!(said.text.contains("SEVERITY") && said.text.contains("Policy: violated"), "{}", said.text);
    for format in ReportFormat::ALL {
        assert!(folder.read(&format!("out.{format}")).contains("CVE-2025-0001"), "{format}");
    }
    // What was written is a report again, and the same bytes.
    let again = folder.scan(&["convert", "out.json", "-o", "json=again.json", "-o", "sarif=again.sarif"]);
    assert_eq!((again.code, again.text.as_str()), (0, ""));
    assert_eq!(folder.read("again.json"), folder.read("out.json"));
    assert_eq!(folder.read("again.sarif"), folder.read("out.sarif"));
}

#[test]
fn a_report_is_read_from_standard_input_and_judged_again() {
    let folder = Folder::new();
    let report = File::open(folder.dir.path().join("report.json")).unwrap();
    let mut command = folder.command(&["convert", "-", "-o", "junit", "--block-at", "low"]);
    let said = command.stdin(Stdio::from(report)).output().unwrap();
    let text = String::from_utf8(said.stdout).unwrap();
    assert!(said.status.code() == Some(1) && text.starts_with("<?xml"), "{text}");
    assert!(text.contains("GHSA-aaaa-bbbb-cccc (high) in left-pad 1.2.0, fixed in 1.3.0"), "{text}");
}

#[test]
fn a_stored_report_fails_by_what_is_asked_of_it() {
    let folder = Folder::new();
    folder.write("strict.yaml", "kind: ClusterScanPolicy\nspec: {blockAt: LOW}\n");
    let check = |args: &[&str], code: i32, outcome: &str| {
        let said = folder.scan(&[&["convert", "report.json", "--max-database-age", "0"], args].concat());
        assert!(said.code == code && said.text.contains(outcome), "{args:?}: {} {}", said.code, said.text);
    };
    check(&[], 0, "Policy: ");
    check(&["--block-at", "low"], 1, "Policy: violated");
    check(&["--fail-on", "low"], 1, "Policy: violated");
    let said = folder.scan(&["convert", "report.json", "--policy", "strict.yaml"]);
    assert!(said.code == 1 && said.text.contains("Policy: violated"), "{} {}", said.code, said.text);
}

#[test]
fn of_several_platforms_one_is_chosen() {
    let folder = Folder::new();
    let said = folder.scan(&["convert", "reports.json"]);
    assert!(said.code == 0 && said.text.contains("(linux/amd64, ") && said.text.contains("(linux/arm64, "));
    let args = ["convert", "reports.json", "-o", "json=list.json", "-o", "csv=one.csv"];
    let both = "registry.example/team/app:v1 linux/amd64, registry.example/team/app:v1 linux/arm64";
    folder.refuses(&args, 2, &[&format!("2 reports ({both})"), "csv", "--platform"]);
    folder.scan(&["convert", "reports.json", "-o", "sarif=both.sarif"]).ok();
    let both_runs: serde_json::Value = serde_json::from_str(&folder.read("both.sarif")).unwrap();
    assert_eq!(both_runs["runs"].as_array().unwrap().len(), 2);
    let said = folder.scan(&["convert", "reports.json", "--platform", "linux/arm64", "-o", "sarif"]);
    assert!(said.code == 0 && said.text.contains("tidewaiter/registry.example/team/app/linux/arm64/"), "{}", said.text);
    folder.refuses(
        &["convert", "reports.json", "--platform", "linux/s390x"],
        2,
        &["it has registry.example/team/app:v1 linux/amd64, "],
    );
}

/// As under `| head`, whose exit code a pipeline with `pipefail` sees.
#[test]
fn a_reader_that_leaves_changes_no_exit_code() {
    let folder = Folder::new();
    fs::create_dir(folder.dir.path().join("rootfs")).unwrap();
    let mut scan = folder.command(&["sbom", "dir:rootfs", "-o", "spdx"]);
    let mut running = scan.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(running.stdout.take());
    let done = running.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.code() == Some(3) && said.contains("warning: incomplete"), "{:?} {said}", done.status);
}

/// Whatever is named as a file: a pipe of the shell, standard output, a FIFO; and the other outputs are written all the same.
#[test]
fn a_reader_of_a_named_output_that_leaves_changes_no_exit_code() {
    let folder = Folder::new();
    // More than a pipe holds, so that the reader is gone before the end.
    let mut report: Value = serde_json::from_str(&folder.read("report.json")).unwrap();
    let packages = report["packages"].as_array_mut().unwrap();
    let package = packages[0].clone();
    packages.extend(std::iter::repeat_n(package, 4000));
    folder.write("report.json", &report.to_string());
    let leaves = |script: &str| {
        let args = ["convert", "report.json", "--fail-on", "low", "-o", "csv=after.csv", "-o"];
        let mut shell = Command::new("bash");
        shell.args(["-c", script, "bash", env!("CARGO_BIN_EXE_kubectl-scan")]).args(args);
        drop(fs::remove_file(folder.dir.path().join("after.csv")));
        let said = run(shell.current_dir(folder.dir.path()).env_clear().env("PATH", "/usr/bin:/bin"));
        assert!(said.code == 1 && !said.text.contains("error"), "{script}: {} {}", said.code, said.text);
        assert!(!folder.read("after.csv").is_empty(), "{script}");
    };
    leaves(r#""$@" json | head -c1; exit "${PIPESTATUS[0]}""#);
    leaves(r#""$@" json=/dev/stdout | head -c1; exit "${PIPESTATUS[0]}""#);
    leaves(r#""$@" "json=">(head -c1 >kept)"#);
    leaves(r#"mkfifo fifo; head -c1 fifo & "$@" json=fifo"#);
}

#[test]
fn mistakes_leave_nothing() {
    let folder = Folder::new();
    let refuses = |args: &[&str], words: &[&str]| {
        folder.refuses(&[&["convert", "report.json"], args].concat(), 2, words);
    };
    refuses(&["-o", "pdf"], &["invalid value 'pdf'", "table, json, sarif, cyclonedx", "template"]);
    refuses(&["-o", "sarif=a", "-o", "csv", "-o", "html"], &["standard output", "FORMAT=FILE"]);
    refuses(&["-o", "sarif=a", "-o", "csv=a"], &["a is named by two outputs"]);
    folder.refuses(&["convert", "report.json", "-o", "csv=none/a"], 3, &["none/a cannot be written"]);
    folder.write("broken.json", "{\"schemaVersion\": 1}");
    folder.refuses(&["convert", "broken.json", "-o", "csv=a"], 2, &["broken.json: not a report", "-o json"]);
    folder.refuses(&["convert", "none.json", "-o", "csv=a"], 2, &["none.json"]);
    let mut command = folder.command(&["convert", "report.json", "-o", "sarif"]);
    let said = run(command.env("SOURCE_DATE_EPOCH", "today"));
    assert!(said.code == 2 && said.text.contains("SOURCE_DATE_EPOCH=today"), "{}", said.text);
}

#[cfg(feature = "templates")]
#[test]
fn templates_make_text_or_leave_nothing() {
    let folder = Folder::new();
    folder.write("a.j2", "{{ image.name }}: {{ verdict.outcome }}\n");
    let said = folder.scan(&["convert", "report.json", "-o", "template=a.j2", "-o", "template=a.j2=out.txt"]);
    assert_eq!((said.code, said.text.as_str()), (0, "registry.example/team/app:v1: Violated\n"));
    assert_eq!(folder.read("out.txt"), said.text);
    let refuses = |args: &[&str], words: &[&str]| {
        folder.refuses(&[&["convert", "report.json"], args].concat(), 2, words);
    };
    refuses(&["-o", "template=none.j2=a"], &["none.j2", "No such file"]);
    folder.write("syntax.j2", "\n{% for x in %}\n");
    refuses(&["-o", "template=syntax.j2=a"], &["syntax.j2:2:"]);
    folder.write("field.j2", "{% for f in findings %}\n{{ f.severety }}\n{% endfor %}");
    refuses(&["-o", "template=field.j2=a"], &["field.j2:2:4: undefined value"]);
}

#[cfg(not(feature = "templates"))]
#[test]
fn a_program_without_templates_says_so() {
    let folder = Folder::new();
    folder.write("a.j2", "{{ image.name }}");
    let args = ["convert", "report.json", "-o", "csv=a", "-o", "template=a.j2"];
    folder.refuses(&args, 2, &["a.j2: this program was built without templates", "--features templates"]);
}

#[test]
fn an_sbom_needs_no_database() {
    let folder = Folder::new();
    let app = npm(debian("98", &[("zlib", "1:1.2.0-1")]), "left-pad", "1.2.0");
    layout::write(&folder.dir.path().join("app"), &ImageBuilder::new().layer("ADD", app).build());
    let targets: Vec<String> = SbomFormat::ALL.iter().map(|f| format!("{}=out.{}", f.name(), f.name())).collect();
    let mut args = vec!["sbom", "oci:app"];
    args.extend(targets.iter().flat_map(|target| ["-o", target]));
    let said = folder.scan(&args);
    assert_eq!(said.code, 0, "{}", said.text);
    for format in SbomFormat::ALL {
        let text = folder.read(&format!("out.{}", format.name()));
        assert!(text.contains("pkg:npm/left-pad@1.2.0") && text.contains("pkg:deb/debian/zlib@1:1.2.0-1"), "{text}");
    }
    let said = folder.scan(&["sbom", "oci:app"]);
    assert!(said.code == 0 && said.text.contains("\"specVersion\": \"1.7\""), "{}", said.text);
    folder.refuses(
        &["sbom", "oci:app", "-o", "sarif"],
        2,
        &["invalid value 'sarif'", "cyclonedx, cyclonedx-1.6, spdx"],
    );
    // What is missing from it is no secret.
    layout::write(
        &folder.dir.path().join("empty"),
        &ImageBuilder::new().layer("ADD", LayerBuilder::new().file("etc/motd", "hello")).build(),
    );
    let said = folder.scan(&["sbom", "oci:empty", "-o", "spdx=empty.spdx"]);
    assert!(said.code == 3 && said.text.contains("warning: incomplete: "), "{}", said.text);
    assert!(folder.read("empty.spdx").contains("This document is incomplete."));
}

#[test]
fn completion_knows_the_formats() {
    let folder = Folder::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let said = folder.scan(&["completion", shell]);
        assert!(said.code == 0 && said.text.contains("KUBECTL_SCAN_COMPLETE"), "{shell}");
    }
    // As the function of bash calls it.
    let mut asked = Command::new(env!("CARGO_BIN_EXE_kubectl-scan"));
    asked.env("KUBECTL_SCAN_COMPLETE", "bash").env("_CLAP_COMPLETE_INDEX", "4").env("_CLAP_IFS", " ");
    let said = run(asked.args(["--", "kubectl-scan", "convert", "report.json", "-o", "cyc"]));
    assert_eq!((said.code, said.text.trim()), (0, "cyclonedx cyclonedx-1.6"));
}
