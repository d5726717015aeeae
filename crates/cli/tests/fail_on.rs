//! What decides the exit code, by the real program: criteria, what is new since an earlier report, several images; and what can
//! be wrong with them.
#![allow(clippy::unwrap_used, reason = "a test may panic, and says why")]

use serde_json::{Value, json};
use std::fs;
use std::process::Command;
use tempfile::TempDir;
use tidewaiter_testkit::cluster::{Said, run};
use tidewaiter_testkit::image::ImageBuilder;
use tidewaiter_testkit::layer::LayerBuilder;
use tidewaiter_testkit::layout;
use tidewaiter_testkit::packages::npm;
use tidewaiter_testkit::registry::Registry;

const FEEDS: &str = r#"
[[feed]]
name = "test"
format = "osv"
path = "advisories"
ecosystems = ["npm"]
rates = true

[[feed]]
name = "kev"
format = "kev"
path = "kev.json"

[[feed]]
name = "epss"
format = "epss"
path = "epss.csv"
"#;

const CRITICAL: &str = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H";
const MEDIUM: &str = "CVSS:3.1/AV:N/AC:H/PR:N/UI:N/S:U/C:N/I:N/A:H";

/// A machine without a cluster, with a registry and a database:
///
/// | package | severity | fixed | KEV | EPSS |
/// |---|---|---|---|---|
/// | `a` | critical | | | 0.4 |
/// | `b` | medium | yes | yes | |
/// | `c` | unrated | | | |
struct Machine {
    dir: TempDir,
    registry: Registry,
}

impl Machine {
    fn new() -> Self {
        let machine = Machine { dir: tempfile::tempdir().unwrap(), registry: Registry::start() };
        machine.write("feeds.toml", FEEDS);
        machine.write("kev.json", r#"{"vulnerabilities": [{"cveID": "CVE-2025-0002", "dateAdded": "2025-02-03"}]}"#);
        machine.write("epss.csv", "cve,epss,percentile\nCVE-2025-0001,0.4,0.97\n");
        machine.advisory("CVE-2025-0001", "a", None, Some(CRITICAL));
        machine.advisory("CVE-2025-0002", "b", Some("2.0.0"), Some(MEDIUM));
        machine.advisory("CVE-2025-0003", "c", None, None);
        machine.scan(&["db", "build", "--feeds", "feeds.toml"]).ok();
        machine
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn advisory(&self, id: &str, package: &str, fixed: Option<&str>, vector: Option<&str>) {
        let mut events = vec![json!({"introduced": "0"})];
        events.extend(fixed.map(|version| json!({"fixed": version})));
        let severity: Vec<Value> = vector.iter().map(|score| json!({"type": "CVSS_V3", "score": score})).collect();
        let record = json!({
            "id": id, "modified": "2025-01-02T00:00:00Z", "summary": "a flaw", "severity": severity,
            "affected": [{"package": {"ecosystem": "npm", "name": package}, "ranges": [{"type": "SEMVER", "events": events}]}],
        });
        self.write(&format!("advisories/{id}.json"), &record.to_string());
    }

    /// Pushes an image with these packages; returns its reference.
    fn push(&self, name: &str, tag: &str, packages: &[&str]) -> String {
        let layer = packages.iter().fold(LayerBuilder::new(), |layer, package| npm(layer, package, "1.0.0"));
        self.registry.push(name, tag, &ImageBuilder::new().layer("COPY app /app", layer).build())
    }

    fn scan(&self, args: &[&str]) -> Said {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-scan"));
        command.args(args).current_dir(self.dir.path()).env_clear().env("HOME", self.dir.path());
        command.env("TIDEWAITER_DB", "tidewaiter.db");
        run(&mut command)
    }

    #[track_caller]
    fn check(&self, args: &[&str], code: i32, words: &[&str]) -> Said {
        let said = self.scan(args);
        assert_eq!(said.code, code, "{args:?}: {}", said.text);
        for word in words {
            assert!(said.text.contains(word), "{args:?} does not say {word:?}: {}", said.text);
        }
        assert!(!said.text.contains("panicked"), "{}", said.text);
        said
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.dir.path().join(name)).unwrap()
    }
}

#[test]
fn criteria_decide_the_exit_code() {
    let machine = Machine::new();
    let image = machine.push("app", "v1", &["a", "b", "c"]);
    let check = |fail_on: &[&str], code: i32, words: &[&str]| {
        let options = fail_on.iter().flat_map(|criterion| ["--fail-on", criterion]);
        let args: Vec<&str> = ["image", &image].into_iter().chain(options).collect();
        machine.check(&args, code, words);
    };
    check(&[], 1, &["Policy: violated"]);
    check(&["critical"], 1, &[]);
    check(&["critical+fixable"], 0, &["Policy: pass", "CVE-2025-0001"]);
    check(&["medium+fixable"], 1, &["CVE-2025-0002 (medium) in b 1.0.0, fixed in 2.0.0, by rule medium+fixable"]);
    check(&["high+fixable"], 0, &[]);
    check(&["kev"], 1, &["by rule kev"]);
    check(&["high+kev"], 0, &[]);
    check(&["epss>=0.4"], 1, &["by rule epss>=0.4"]);
    check(&["epss>=0.41"], 0, &[]);
    check(&["cvss>=9.9"], 0, &[]);
    check(&["epss>=0.41,high+kev", "cvss>=9.8"], 1, &["by rule cvss>=9.8"]);
    check(&["unknown"], 1, &["Policy: violated"]);
    // What is shown is one thing, what counts another.
    machine.check(&["image", &image, "--only-fixed"], 1, &["Not shown: 2 findings"]);
}

#[test]
fn what_is_new_is_what_an_earlier_report_does_not_have() {
    let machine = Machine::new();
    let (old, new) = (machine.push("app", "v1", &["a"]), machine.push("app", "v2", &["a", "b"]));
    machine.check(&["image", &old, "-o", "json=old.json"], 1, &[]);
    let new_since = |image: &str, criterion: &str, baseline: &str, code: i32, words: &[&str]| {
        machine.check(&["image", image, "--fail-on", criterion, "--baseline", baseline], code, words);
    };
    new_since(&old, "new", "old.json", 0, &["CVE-2025-0001", "Policy: pass"]);
    new_since(&new, "new", "old.json", 1, &["CVE-2025-0002 (medium) in b 1.0.0, fixed in 2.0.0, by rule new"]);
    new_since(&new, "high+new", "old.json", 0, &[]);
    new_since(&new, "high+new,critical", "old.json", 1, &[]);
    // An image of this machine is named by its path.
    let local = |name: &str, packages: &[&str]| {
        let layer = packages.iter().fold(LayerBuilder::new(), |layer, package| npm(layer, package, "1.0.0"));
        layout::write(&machine.dir.path().join(name), &ImageBuilder::new().layer("COPY app /app", layer).build());
    };
    local("app", &["a"]);
    machine.check(&["image", "oci:app", "-o", "json=local.json"], 1, &[]);
    fs::remove_dir_all(machine.dir.path().join("app")).unwrap();
    local("app", &["a", "b"]);
    local("job", &["a"]);
    new_since("oci:app", "new", "local.json", 1, &["CVE-2025-0002", "by rule new"]);
    new_since("oci:app", "high+new", "local.json", 0, &[]);
    new_since("oci:job", "new", "local.json", 2, &["local.json is a report of app, and job is another image"]);
    // Also of a stored report, whose own exit code is no verdict without criteria.
    machine.check(&["image", &new, "-o", "json=new.json"], 1, &[]);
    machine.check(&["convert", "new.json"], 0, &["Policy: violated"]);
    machine.check(&["convert", "new.json", "--fail-on", "new", "--baseline", "old.json"], 1, &["by rule new"]);
    machine.check(&["convert", "old.json", "--fail-on", "new", "--baseline", "new.json"], 0, &[]);
    // Of a list the report of the same image counts.
    let other = machine.push("other", "v1", &["b"]);
    machine.check(&["image", &old, &other, "-o", "json=both.json"], 1, &[]);
    new_since(&other, "new", "both.json", 0, &[]);
    new_since(&new, "new", "both.json", 1, &[]);
}

#[test]
fn mistakes_are_told_before_a_scan() {
    let machine = Machine::new();
    let image = machine.push("app", "v1", &["a"]);
    machine.check(&["image", &image, "-q", "-o", "json=app.json"], 1, &[]);
    machine.write("junk.json", "{}");
    let other = format!("{}/other:v1", machine.registry.host());
    let refuses = |args: &[&str], words: &[&str]| {
        let said = machine.check(&[&["image"], args].concat(), 2, words);
        assert!(!said.text.contains("Scan started"), "{}", said.text);
    };
    refuses(&[&image, "--fail-on", "hihg"], &["\"hihg\" is none of the criteria: critical, high", "epss>=0.5"]);
    refuses(&[&image, "--fail-on", "epss>=2"], &["epss>=2: not a number from 0 to 1"]);
    refuses(&[&image, "--fail-on", "new"], &["--baseline REPORT.json"]);
    refuses(&[&image, "--baseline", "app.json"], &["add --fail-on new"]);
    refuses(&[&other, "--fail-on", "new", "--baseline", "app.json"], &["app.json is a report of", "is another image"]);
    refuses(&[&image, "--fail-on", "new", "--baseline", "junk.json"], &["junk.json: not a report", "-o json=FILE"]);
    refuses(&[&image, "--fail-on", "new", "--baseline", "none.json"], &["none.json"]);
    refuses(&[&image, "--group-by", "layer", "-o", "sarif"], &["are for table and markdown; sarif has every finding"]);
    refuses(&[&image, "--only-fixed", "-o", "json", "-o", "csv=x.csv"], &["json or csv has every finding"]);
    refuses(&[&image, "--group-by", "colour"], &["invalid value 'colour'", "package, layer, severity, path"]);
    refuses(&[&image, "--sort", "size"], &["severity, package, id, epss, fixed"]);
    refuses(&[&image, &other, "-o", "csv"], &["csv is about one image, and 2 are named", "-o csv={name}.csv"]);
    refuses(&[&image, "UPPER/case:"], &["UPPER/case:"]);
    refuses(&[&image, &image, "-o", "csv={name}.csv"], &["is named by two outputs"]);
    refuses(&[&image, "--fail-on", "high", "--in-cluster"], &["cannot be used with"]);
}

#[test]
fn several_images_are_scanned_whatever_becomes_of_one() {
    let machine = Machine::new();
    let [bad, good] = [machine.push("bad", "v1", &["a"]), machine.push("good", "v1", &["b"])];
    let missing = format!("{}/missing:v1", machine.registry.host());
    let said = machine.check(&["image", &good, &missing, &bad], 1, &["missing:v1 does not exist"]);
    let place = |text: &str| said.text.rfind(text).unwrap_or_else(|| panic!("{text}: {}", said.text));
    // In the order given, then the summary.
    let rows =
        [place("IMAGE "), place(&format!("\n{good} ")), place(&format!("\n{missing} ")), place(&format!("\n{bad} "))];
    assert!(rows.is_sorted(), "{}", said.text);
    machine.check(&["image", &good, &missing], 3, &["failed"]);
    machine.check(&["image", &missing, &missing, "-o", "json=none.json"], 3, &[]);
    assert!(!machine.dir.path().join("none.json").exists());
    machine.check(&["image", &good, &good, "-o", "json=two.json"], 0, &[]);
    machine.check(
        &["image", &good, &missing, &bad, "-o", "json=all.json", "-o", "sarif=all.sarif", "-o", "csv={name}.csv"],
        1,
        &[],
    );
    let all: Value = serde_json::from_str(&machine.read("all.json")).unwrap();
    let names: Vec<&str> = all.as_array().unwrap().iter().map(|one| one["image"]["name"].as_str().unwrap()).collect();
    assert_eq!(names, [good.as_str(), bad.as_str()]);
    let sarif: Value = serde_json::from_str(&machine.read("all.sarif")).unwrap();
    let runs = sarif["runs"].as_array().unwrap();
    let images: Vec<&Value> = runs.iter().map(|run| &run["properties"]["image"]).collect();
    assert_eq!(images, [&json!(good), &json!(bad)]);
    let csv = format!("{}_bad_v1.csv", machine.registry.host().replace(':', "_"));
    assert!(machine.read(&csv).contains("CVE-2025-0001"));
}

#[test]
fn a_quiet_scan_prints_its_result_and_errors() {
    let machine = Machine::new();
    let image = machine.push("app", "v1", &["b"]);
    let said = machine.check(&["image", &image, "-q"], 0, &["CVE-2025-0002"]);
    assert!(said.text.starts_with(&image), "{}", said.text);
    machine.check(&["--quiet", "image", "oci:none"], 3, &["error: "]);
    assert!(machine.check(&["image", &image], 0, &[]).text.contains("Scan started"));
    // A log holds no control characters, however many images are read at once.
    layout::write(
        &machine.dir.path().join("app"),
        &ImageBuilder::new().layer("b", npm(LayerBuilder::new(), "b", "1")).build(),
    );
    let said = machine.check(&["image", &image, "oci:app"], 0, &[]);
    assert!(said.text.chars().all(|c| c == '\n' || !c.is_control()), "{}", said.text);
}
