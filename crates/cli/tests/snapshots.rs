//! What a person reads, as a whole: every kind of report, explanation and comparison that the program prints, against
//! reviewed files in `snapshots/`. A change of wording or layout shows as a change of those files.
//!
//! Accept a change with `INSTA_UPDATE=always cargo test -p kubectl-scan --test snapshots`, and read the difference.
#![allow(clippy::unwrap_used, reason = "a test may panic, and says why")]

use insta::assert_snapshot;
use serde_json::json;
use std::fs;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;
use tidewaiter_testkit::cluster::run;
use tidewaiter_testkit::image::ImageBuilder;
use tidewaiter_testkit::layer::LayerBuilder;
use tidewaiter_testkit::layout;
use tidewaiter_testkit::packages::{debian, npm, python};

const FEEDS: &str = r#"
[[feed]]
name = "test"
format = "osv"
path = "advisories"
ecosystems = ["Debian:98", "npm"]
rates = true

[[feed]]
name = "kev"
format = "kev"
path = "kev.json"

[[feed]]
name = "epss"
format = "epss"
path = "epss.csv"

[[feed]]
name = "ends"
format = "distro-info"
path = "debian.csv"
"#;

/// As tools write one that does not tell everything.
const SBOM: &str = r#"{
  "bomFormat": "CycloneDX",
  "specVersion": "1.6",
  "metadata": {"component": {"type": "container", "name": "registry.example/team/app:v1"}},
  "components": [
    {"type": "operating-system", "name": "debian", "version": "98"},
    {"type": "library", "name": "libcurl4", "version": "7.88.1-10", "purl":
      "pkg:deb/debian/libcurl4@7.88.1-10?arch=amd64&distro=debian-98&upstream=curl"},
    {"type": "library", "name": "left-pad", "version": "1.2.0", "purl": "pkg:npm/left-pad@1.2.0"},
    {"type": "library", "name": "is-odd", "purl": "pkg:npm/is-odd"},
    {"type": "library", "name": "action", "version": "4", "purl": "pkg:githubactions/a/action@4"},
    {"type": "library", "name": "vendored", "version": "1.0"},
    {"type": "file", "name": "app/run"}
  ],
  "compositions": [{"aggregate": "incomplete"}]
}"#;

/// A machine without a cluster, with a database and a few images, all made here.
struct Machine {
    dir: TempDir,
}

impl Machine {
    fn new() -> Self {
        let machine = Machine { dir: tempfile::tempdir().unwrap() };
        machine.advisories();
        machine.other_feeds();
        machine.images();
        machine.run(&["db", "build", "--feeds", "feeds.toml"]);
        machine
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Advisories of every kind the output tells apart: rated differently, exploited or likely to be, without a fix,
    /// informational.
    fn advisories(&self) {
        let critical = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H";
        let medium = "CVSS:3.1/AV:N/AC:H/PR:N/UI:N/S:U/C:N/I:N/A:H";
        for (id, ecosystem, package, fixed, vector) in [
            ("CVE-2025-0001", "Debian:98", "zlib", Some("1:1.3.1-1"), critical),
            ("CVE-2025-0002", "Debian:98", "curl", Some("8.15.0-1"), critical),
            ("CVE-2025-0003", "Debian:98", "curl", None, medium),
            ("CVE-2025-0004", "npm", "left-pad", Some("1.3.0"), critical),
            ("CVE-2025-0005", "npm", "is-odd", Some("4.0.0"), medium),
        ] {
            let mut events = vec![json!({"introduced": "0"})];
            events.extend(fixed.map(|version| json!({"fixed": version})));
            let kind = if ecosystem == "npm" { "SEMVER" } else { "ECOSYSTEM" };
            let record = json!({
                "id": format!("TEST-{id}"), "aliases": [id], "modified": "2025-01-02T00:00:00Z",
                "summary": format!("a flaw in {package}"),
                "affected": [{"package": {"ecosystem": ecosystem, "name": package},
                    "ranges": [{"type": kind, "events": events}]}],
                "severity": [{"type": "CVSS_V3", "score": vector}],
                "references": [{"type": "ADVISORY", "url": format!("https://advisories.example/{id}")}],
            });
            self.write(&format!("advisories/{id}.json"), &record.to_string());
        }
        let notice = json!({
            "id": "TEST-2025-0006", "modified": "2025-01-02T00:00:00Z", "summary": "is-odd is unmaintained",
            "affected": [{"package": {"ecosystem": "npm", "name": "is-odd"},
                "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}]}],
                "database_specific": {"informational": "unmaintained"}}],
        });
        self.write("advisories/notice.json", &notice.to_string());
    }

    /// What other feeds add to the advisories: exploitation, its probability, the ends of releases.
    fn other_feeds(&self) {
        self.write("kev.json", r#"{"vulnerabilities": [{"cveID": "CVE-2025-0001", "dateAdded": "2025-02-03"}]}"#);
        self.write("epss.csv", "cve,epss,percentile\nCVE-2025-0002,0.42,0.97\n");
        let releases = "version,codename,series,created,release,eol,eol-lts\n98,Test,test,2015-01-01,2015-02-01,2018-03-01,2999-04-01\n";
        self.write("debian.csv", &releases.replace(",test,", ",98,"));
        self.write("feeds.toml", FEEDS);
    }

    fn images(&self) {
        let put = |name: &str, image: ImageBuilder| layout::write(&self.dir.path().join(name), &image.build());
        let base = |zlib: &str, curl: &str| {
            ImageBuilder::new().layer("ADD rootfs.tar /", debian("98", &[("zlib", zlib), ("curl", curl)]))
        };
        let app = |left_pad: &str| npm(npm(LayerBuilder::new(), "left-pad", left_pad), "is-odd", "3.0.0");
        put("base", base("1:1.2.0-1", "7.88.1-10"));
        put("violated", base("1:1.2.0-1", "7.88.1-10").layer("COPY app /app", app("1.2.0")));
        put("updated", base("1:1.3.1-1", "7.88.1-10").layer("COPY app /app", app("1.3.0")));
        put("clean", ImageBuilder::new().layer("ADD rootfs.tar /", debian("98", &[("zlib", "1:1.3.1-1")])));
        let python = python(LayerBuilder::new(), "requests", "2.31.0");
        put("incomplete", base("1:1.3.1-1", "8.15.0-1").layer("RUN pip install requests", python));
    }

    /// `kubectl-scan ARGS` in the machine's folder: its output with what differs between runs replaced, and the exit code.
    fn run(&self, args: &[&str]) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-scan"));
        command.args(args).current_dir(self.dir.path()).env_clear().env("HOME", self.dir.path());
        command.env("TIDEWAITER_DB", "tidewaiter.db");
        let said = run(&mut command);
        assert!(!said.text.contains("panicked"), "{}", said.text);
        format!("{}\nexit code {}\n", redacted(&said.text, self.dir.path()), said.code)
    }
}

/// Replaces what differs between runs or between versions of the compressors: digests, times, sizes, the folder.
fn redacted(text: &str, dir: &Path) -> String {
    let text = text.replace(&dir.display().to_string(), "[folder]");
    text.split_inclusive('\n').map(redacted_line).collect()
}

fn redacted_line(line: &str) -> String {
    if let Some((before, _)) = line.split_once("\"size\": ") {
        return format!("{before}\"size\": [size],\n");
    }
    if let (Some((before, _)), Some((_, after))) = (line.split_once(" rows, "), line.split_once(" (")) {
        return format!("{before} rows, [size] ({after}");
    }
    line.split_inclusive(|c: char| c.is_whitespace() || "\",()".contains(c)).map(redacted_word).collect()
}

fn redacted_word(word: &str) -> String {
    if let Some(at) = word.find("sha256:") {
        let rest = word[at + 7..].trim_start_matches(|c: char| c.is_ascii_hexdigit());
        return format!("{}[digest]{rest}", &word[..at]);
    }
    // Fixture times are of 2025 and before; the database is built now.
    let is_now = word.len() > 19 && word.starts_with("20") && word.as_bytes()[10] == b'T' && !word.starts_with("2025");
    if is_now {
        return format!("[now]{}", &word[word.find('Z').map_or(19, |z| z + 1)..]);
    }
    word.to_owned()
}

#[test]
fn tables() {
    let machine = Machine::new();
    assert_snapshot!("table_clean", machine.run(&["image", "oci:clean"]));
    assert_snapshot!("table_violated", machine.run(&["image", "oci:violated", "--base", "oci:base"]));
    assert_snapshot!("table_incomplete", machine.run(&["image", "oci:incomplete"]));
    machine.write(
        "tidewaiter-exceptions.toml",
        "[[exception]]\nvulnerability = \"CVE-2025-0001\"\npackage = \"zlib\"\n\
         reason = \"no archive of others is read\"\nexpires = \"9999-01-01\"\n",
    );
    let vex = json!({
        "@context": "https://openvex.dev/ns/v0.2.0", "@id": "https://vex.example/1", "author": "Example",
        "timestamp": "2025-01-01T00:00:00Z", "version": 1,
        "statements": [{"vulnerability": {"name": "CVE-2025-0004"}, "products": [{"@id": "pkg:npm/left-pad@1.2.0"}],
            "status": "not_affected", "justification": "vulnerable_code_not_in_execute_path"}],
    });
    machine.write("openvex.json", &vex.to_string());
    let args = ["image", "oci:violated", "--exceptions", "tidewaiter-exceptions.toml", "--exceptions", "openvex.json"];
    assert_snapshot!("table_suppressed", machine.run(&args));
    machine.write("app.cdx.json", SBOM);
    assert_snapshot!("table_sbom", machine.run(&["image", "sbom:app.cdx.json"]));
    machine.write("damaged.json", &SBOM[..SBOM.len() / 2]);
    assert_snapshot!("sbom_damaged", machine.run(&["image", "sbom:damaged.json"]));
    machine.write("lock.json", r#"{"name": "app", "lockfileVersion": 3, "packages": {}}"#);
    assert_snapshot!("sbom_none", machine.run(&["image", "sbom:lock.json"]));
}

#[test]
fn arrangements() {
    let machine = Machine::new();
    let shown = |args: &[&str]| machine.run(&[&["image", "oci:violated", "--base", "oci:base"], args].concat());
    assert_snapshot!("table_by_layer", shown(&["--group-by", "layer", "--sort", "id"]));
    assert_snapshot!("table_only_fixed", shown(&["--only-fixed", "--sort", "epss"]));
    assert_snapshot!("markdown_by_package", shown(&["--group-by", "package", "--only-fixed", "-o", "markdown"]));
    assert_snapshot!("table_fail_on", shown(&["--fail-on", "medium+fixable,kev"]));
}

#[test]
fn several_images() {
    let machine = Machine::new();
    // One at a time: what is said of each while others are read would come in any order.
    let args = ["image", "--parallel", "1", "oci:clean", "oci:none", "oci:violated", "oci:incomplete"];
    assert_snapshot!("table_several", machine.run(&args));
    assert_snapshot!("table_several_quiet", machine.run(&["image", "-q", "oci:clean", "oci:incomplete"]));
}

#[test]
fn explanations() {
    let machine = Machine::new();
    assert_snapshot!("explain_reported", machine.run(&["explain", "CVE-2025-0001", "oci:violated"]));
    assert_snapshot!("explain_fixed", machine.run(&["explain", "CVE-2025-0001", "oci:clean"]));
    assert_snapshot!("explain_informational", machine.run(&["explain", "TEST-2025-0006", "oci:violated"]));
    assert_snapshot!("explain_unknown", machine.run(&["explain", "CVE-1999-0001", "oci:incomplete"]));
}

#[test]
fn comparisons_of_images() {
    let machine = Machine::new();
    assert_snapshot!("diff_changed", machine.run(&["diff", "oci:violated", "oci:updated"]));
    assert_snapshot!("diff_incomplete", machine.run(&["diff", "oci:clean", "oci:incomplete"]));
    assert_snapshot!("diff_same", machine.run(&["diff", "oci:clean", "oci:clean"]));
}

#[test]
fn upgrades() {
    let machine = Machine::new();
    assert_snapshot!("fix_all", machine.run(&["fix", "oci:violated"]));
    assert_snapshot!("fix_not_all", machine.run(&["fix", "oci:violated", "--block-at", "medium"]));
    assert_snapshot!("fix_none", machine.run(&["fix", "oci:clean"]));
}

#[test]
fn databases() {
    let machine = Machine::new();
    assert_snapshot!("db_status", machine.run(&["db", "status"]));
    assert_snapshot!("version", machine.run(&["version"]));
    assert_snapshot!("version_json", machine.run(&["version", "-o", "json"]));
    assert_snapshot!("version_without_database", machine.run(&["version", "--db", "none.db"]));
    let old = machine.dir.path().join("tidewaiter.db");
    fs::copy(&old, machine.dir.path().join("old.db")).unwrap();
    fs::remove_file(machine.dir.path().join("advisories/CVE-2025-0005.json")).unwrap();
    let record = fs::read_to_string(machine.dir.path().join("advisories/CVE-2025-0004.json")).unwrap();
    machine.write("advisories/CVE-2025-0004.json", &record.replace("1.3.0", "1.4.0"));
    machine.write("advisories/new.json", &record.replace("2025-0004", "2025-0007").replace("left-pad", "is-even"));
    machine.write("advisories/pypi.json", &record.replace("2025-0004", "2025-0008").replace("\"npm\"", "\"PyPI\""));
    let feeds = fs::read_to_string(machine.dir.path().join("feeds.toml")).unwrap();
    // Complete for two more ecosystems, of which one has no rows.
    machine.write("feeds.toml", &feeds.replace("\"npm\"]", "\"npm\", \"PyPI\", \"Hex\"]"));
    assert_snapshot!("db_build", machine.run(&["db", "build", "--feeds", "feeds.toml", "--db", "new.db"]));
    assert_snapshot!("db_diff", machine.run(&["db", "diff", "old.db", "new.db"]));
    assert_snapshot!("db_diff_same", machine.run(&["db", "diff", "old.db", "old.db"]));
}

#[test]
fn help() {
    let machine = Machine::new();
    assert_snapshot!("help", machine.run(&["--help"]));
    for command in [
        "image",
        "deployment",
        "status",
        "wait",
        "approve",
        "revoke",
        "rollback",
        "exception",
        "policy",
        "alert",
        "report",
        "convert",
        "sbom",
        "attest",
        "verify",
        "explain",
        "diff",
        "fix",
        "cache",
        "version",
    ] {
        assert_snapshot!(format!("help_{command}"), machine.run(&[command, "--help"]));
    }
    for command in ["request", "approve", "list"] {
        assert_snapshot!(format!("help_exception_{command}"), machine.run(&["exception", command, "--help"]));
    }
    for command in ["enable", "disable", "test", "list", "preflight"] {
        assert_snapshot!(format!("help_policy_{command}"), machine.run(&["policy", command, "--help"]));
    }
    for command in ["list", "test"] {
        assert_snapshot!(format!("help_alert_{command}"), machine.run(&["alert", command, "--help"]));
    }
    for command in ["build", "update", "push", "renew", "export", "import", "diff", "status"] {
        assert_snapshot!(format!("help_db_{command}"), machine.run(&["db", command, "--help"]));
    }
}

#[test]
fn manual_pages() {
    let machine = Machine::new();
    assert_eq!(machine.run(&["man", "man/man1"]), "\nexit code 0\n");
    let pages = machine.dir.path().join("man/man1");
    let page = |name: &str| fs::read_to_string(pages.join(format!("{name}.1"))).unwrap();
    assert_snapshot!("man_cache", page("kubectl-scan-cache"));
    let commands = page("kubectl-scan");
    let named = commands.lines().filter_map(|line| line.strip_suffix("(1)"));
    let names: Vec<String> = named.map(|name| name.replace("\\-", "-")).collect();
    assert!(names.len() > 20, "{commands}");
    for name in names.iter().filter(|name| *name != "kubectl-scan-help") {
        assert!(page(name).starts_with(".ie"), "{name}");
    }
    fs::write(machine.dir.path().join("file"), "").unwrap();
    assert_snapshot!("man_into_a_file", machine.run(&["man", "file"]));
}

#[test]
fn a_report_as_json() {
    let machine = Machine::new();
    assert_snapshot!("report_json", machine.run(&["image", "oci:violated", "-o", "json"]));
}
