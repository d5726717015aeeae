//! The examples of `docs/policy.md`, each judged as a reader would.
#![allow(clippy::unwrap_used, reason = "a test may panic, and says why")]

use serde_json::json;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use tidewaiter_testkit::cluster::{Said, run};
use tidewaiter_testkit::image::ImageBuilder;
use tidewaiter_testkit::layer::LayerBuilder;
use tidewaiter_testkit::layout;
use tidewaiter_testkit::packages::npm;

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
const HIGH: &str = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H";
const MEDIUM: &str = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:L/I:N/A:N";

/// The findings of the document: number, package, vector, whether it is fixed, day of publication (empty: yesterday).
const FINDINGS: [(&str, &str, &str, bool, &str); 4] = [
    ("CVE-2026-0001", "young", CRITICAL, true, ""),
    ("CVE-2026-0002", "unfixed", CRITICAL, false, "2020-01-01"),
    ("CVE-2026-0003", "parser", HIGH, true, "2020-01-01"),
    ("CVE-2026-0004", "vendored", MEDIUM, false, "2020-01-01"),
];

fn scan(home: &Path, args: &[&str]) -> Said {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-scan"));
    run(command.env_clear().env("HOME", home).current_dir(home).args(args))
}

/// The image and the database of the document.
fn prepare(home: &Path) {
    fs::create_dir(home.join("advisories")).unwrap();
    let yesterday = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(24);
    let yesterday = yesterday.to_zoned(jiff::tz::TimeZone::UTC).date().to_string();
    for (id, package, vector, fixed, published) in FINDINGS {
        let published = if published.is_empty() { &yesterday } else { published };
        let mut events = vec![json!({"introduced": "0"})];
        events.extend(fixed.then(|| json!({"fixed": "2.0.0"})));
        let record = json!({"id": id, "published": format!("{published}T00:00:00Z"), "modified": "2026-01-01T00:00:00Z",
            "severity": [{"type": "CVSS_V3", "score": vector}], "affected": [{"package": {"ecosystem": "npm", "name": package},
            "ranges": [{"type": "SEMVER", "events": events}]}]});
        fs::write(home.join(format!("advisories/{id}.json")), record.to_string()).unwrap();
    }
    fs::write(home.join("feeds.toml"), FEEDS).unwrap();
    let exploited = json!({"vulnerabilities": [{"cveID": "CVE-2026-0004", "dateAdded": "2025-02-03"}]});
    fs::write(home.join("kev.json"), exploited.to_string()).unwrap();
    fs::write(home.join("epss.csv"), "cve,epss,percentile\nCVE-2026-0003,0.7,0.97\n").unwrap();
    let mut layer = LayerBuilder::new();
    for (_, package, ..) in &FINDINGS[..3] {
        layer = npm(layer, package, "1.0.0");
    }
    let manifest = r#"{"name":"vendored","version":"1.0.0"}"#;
    let layer = layer.file("opt/vendor/node_modules/vendored/package.json", manifest);
    layout::write(&home.join("image"), &ImageBuilder::new().layer("COPY . /", layer).build());
    let said = scan(home, &["db", "build", "--feeds", "feeds.toml"]);
    assert_eq!(said.code, 0, "{}", said.text);
}

/// The examples of the document: what they block, and the object.
fn examples() -> Vec<(BTreeSet<String>, String)> {
    let text = include_str!("../../../docs/policy.md");
    let parts = text.split("<!-- blocks: ").skip(1);
    let one = |part: &str| {
        let (blocked, rest) = part.split_once(" -->").unwrap();
        let object = rest.split("```").nth(1).unwrap().strip_prefix("yaml").unwrap();
        (blocked.split(' ').filter(|word| *word != "nothing").map(str::to_owned).collect(), object.to_owned())
    };
    parts.map(one).collect()
}

#[test]
fn every_example_of_the_document_blocks_what_it_says() {
    let home = tempfile::tempdir().unwrap();
    prepare(home.path());
    let examples = examples();
    assert!(examples.len() >= 7);
    for (expected, object) in examples {
        fs::write(home.path().join("policy.yaml"), &object).unwrap();
        let args = ["fix", "oci:image", "--policy", "policy.yaml", "-o", "json"];
        let said = scan(home.path(), &args);
        // After the plan stands what goes to stderr.
        let plan =
            serde_json::Deserializer::from_str(&said.text).into_iter::<serde_json::Value>().next().unwrap().unwrap();
        let upgrades = plan["upgrades"].as_array().unwrap().iter().flat_map(|u| u["clears"].as_array().unwrap());
        let unfixed = plan["unfixed"].as_array().unwrap().iter().map(|finding| &finding["vulnerability"]);
        let blocked = upgrades.chain(unfixed).map(|id| id.as_str().unwrap().to_owned()).collect::<BTreeSet<_>>();
        assert_eq!(blocked, expected, "{object}");
        assert_eq!(said.code, i32::from(!expected.is_empty()), "{object}\n{}", said.text);
    }
}

#[test]
fn a_rule_that_blocks_is_named() {
    let home = tempfile::tempdir().unwrap();
    prepare(home.path());
    let object = |spec: &str| format!("kind: ClusterScanPolicy\nspec: {spec}\n");
    fs::write(home.path().join("a.yaml"), object("{blockAt: NEVER, rules: [{name: likely, epss: 0.5}]}")).unwrap();
    let said = scan(home.path(), &["image", "oci:image", "--policy", "a.yaml"]);
    let line = "Policy: violated\n  CVE-2026-0003 (high) in parser 1.0.0, fixed in 2.0.0, by rule likely\n";
    assert!(said.code == 1 && said.text.contains(line), "{}", said.text);
    fs::write(home.path().join("a.yaml"), object("{blockat: NEVER}")).unwrap();
    let said = scan(home.path(), &["image", "oci:image", "--policy", "a.yaml"]);
    assert!(said.code == 2 && said.text.contains("a.yaml: spec has no field blockat"), "{}", said.text);
    fs::write(home.path().join("a.yaml"), object("{rules: [{name: r, condition: finding.epss >}]}")).unwrap();
    let said = scan(home.path(), &["image", "oci:image", "--policy", "a.yaml"]);
    let cause = "a.yaml: rule \"r\": condition, line 1, column 15: Syntax error";
    assert!(said.code == 2 && said.text.contains(cause), "{}", said.text);
    let said = scan(home.path(), &["image", "oci:image", "--policy", "missing.yaml"]);
    assert!(said.code == 2 && said.text.contains("missing.yaml"), "{}", said.text);
}

/// What a stricter and a laxer policy change for stored reports, and for an image.
#[test]
fn a_policy_is_tried_before_it_is_applied() {
    let home = tempfile::tempdir().unwrap();
    prepare(home.path());
    let object = |spec: &str| format!("kind: ClusterScanPolicy\nmetadata: {{name: p}}\nspec: {spec}\n");
    let write = |name: &str, text: &str| fs::write(home.path().join(name), text).unwrap();
    write("lax.yaml", &object("{blockAt: NEVER}"));
    write("strict.yaml", &object("{blockAt: NEVER, rules: [{name: likely, epss: 0.5}]}"));
    let report = scan(home.path(), &["image", "oci:image", "-o", "json"]);
    let json = serde_json::Deserializer::from_str(&report.text).into_iter::<serde_json::Value>().next();
    fs::create_dir(home.path().join("reports")).unwrap();
    for name in ["reports/a.json", "reports/b.json"] {
        write(name, &json.as_ref().unwrap().as_ref().unwrap().to_string());
    }
    let check = |args: &[&str], code: i32, expected: &[&str]| {
        let said = scan(home.path(), &[&["policy", "test"], args].concat());
        assert_eq!(said.code, code, "{args:?}: {}", said.text);
        assert!(expected.iter().all(|line| said.text.contains(line)), "{args:?}: {}", said.text);
    };
    let blocked = "CVE-2026-0003 (high) in parser 1.0.0, fixed in 2.0.0, by rule likely";
    let sum = "2 newly blocked, 0 newly allowed, 0 unchanged (0 allowed, 0 blocked)";
    check(&["strict.yaml", "reports", "--policy", "lax.yaml"], 1, &["reports/a.json: pass → violated", blocked, sum]);
    check(&["strict.yaml", "oci:image", "--policy", "lax.yaml"], 1, &["oci:image: pass → violated", blocked]);
    check(
        &["lax.yaml", "reports/a.json"],
        0,
        &["Newly allowed:\n  reports/a.json: violated → pass", "1 newly allowed"],
    );
    check(&["strict.yaml", "reports/a.json"], 0, &["1 unchanged (0 allowed, 1 blocked)"]);
    check(
        &["strict.yaml", "reports", "--policy", "lax.yaml", "-o", "json"],
        1,
        &["\"newlyBlocked\": [", "\"before\": \"Pass\""],
    );
    write("reports/c.json", "{}");
    check(&["strict.yaml", "reports"], 2, &["reports/c.json: not a report", "kubectl scan image IMAGE -o json"]);
    check(&["missing.yaml", "reports/a.json"], 2, &["missing.yaml"]);
    check(&["strict.yaml", "lax.json"], 3, &[]);
}
