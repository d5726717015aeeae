//! Policies and reports for property tests, as JSON: each crate reads them into its own types.

use proptest::prelude::*;
use serde_json::{Value, json};

const SEVERITIES: [&str; 6] = ["UNKNOWN", "NEGLIGIBLE", "LOW", "MEDIUM", "HIGH", "CRITICAL"];
const DIGEST: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";

/// The `spec` of a policy.
pub fn policy() -> impl Strategy<Value = Value> {
    let words = (
        prop::sample::select(vec!["NEVER", "LOW", "MEDIUM", "HIGH", "CRITICAL"]),
        prop::sample::select(vec!["Allow", "Warn", "Hold"]),
        prop::sample::select(vec!["Allow", "Hold"]),
    );
    (words, 0..9_u32, prop::collection::vec(rule(), 0..3)).prop_map(|((block_at, unrated, incomplete), days, rules)| {
        json!({"blockAt": block_at, "unrated": unrated, "incomplete": incomplete, "maxDatabaseAgeDays": days, "rules": rules})
    })
}

fn rule() -> impl Strategy<Value = Value> {
    let criterion = prop_oneof![
        prop::sample::select(&SEVERITIES[1..]).prop_map(|severity| json!({"severity": severity})),
        (0..100_u32).prop_map(|score| json!({"cvss": f64::from(score) / 10.0})),
        (0..10_u32).prop_map(|share| json!({"epss": f64::from(share) / 10.0})),
        any::<bool>().prop_map(|listed| json!({"knownExploited": listed})),
        any::<bool>().prop_map(|fixed| json!({"fixAvailable": fixed})),
        (0..400_u32).prop_map(|days| json!({"daysSincePublished": days})),
        (0..10_u32)
            .prop_map(|n| json!({"condition": format!("finding.epss * 10.0 > {n}.0 || finding.severity == 'HIGH'")})),
        prop::sample::select(vec!["pkg:npm/a", "a", "b*", "**"]).prop_map(|package| json!({"packages": [package]})),
        prop::sample::select(vec!["/app/**", "opt/*/x", "**/b.json"]).prop_map(|path| json!({"paths": [path]})),
    ];
    prop::collection::vec(criterion, 1..3).prop_map(|criteria| {
        let mut rule = json!({"name": "r"});
        for (field, value) in criteria.iter().filter_map(Value::as_object).flatten() {
            rule[field] = value.clone();
        }
        rule
    })
}

/// A report as `kubectl scan image -o json` prints it.
pub fn report() -> impl Strategy<Value = Value> {
    let gaps = prop::collection::vec(Just(json!({"kind": "NotCovered", "subject": "x", "message": "no feed"})), 0..2);
    let facts = prop::sample::subsequence(vec!["ratings", "knownExploited", "exploitProbability"], 0..=3);
    (prop::collection::vec(finding(), 0..5), gaps, facts, 1..29_u32).prop_map(|(findings, gaps, facts, day)| {
        let image = json!({"name": "r.example/app:v1", "digest": DIGEST, "configDigest": DIGEST,
            "platform": {"os": "linux", "architecture": "amd64"}});
        let counts = json!({"critical": 0, "high": 0, "medium": 0, "low": 0, "negligible": 0, "unknown": 0, "fixable": 0});
        json!({"schemaVersion": 1, "image": image, "layers": [], "packages": [], "complete": gaps.is_empty(), "gaps": gaps,
            "database": {"id": "d", "built": format!("2026-05-{day:02}T00:00:00Z"), "facts": facts},
            "findings": findings, "counts": counts})
    })
}

fn finding() -> impl Strategy<Value = Value> {
    let names = prop::sample::select(vec!["a", "b", "bc"]);
    let paths = prop::sample::select(vec!["app/x/y", "opt/z/x", "b.json"]);
    (names, paths, prop::sample::select(&SEVERITIES[..]), any::<[bool; 4]>(), 0..11_u32, 1..29_u32).prop_map(
        |(name, path, severity, [fixed, listed, likely, malware], share, day)| {
            let purl = format!("pkg:npm/{name}@1.0.0");
            let mut finding = json!({"vulnerability": "CVE-2026-1", "advisory": "CVE-2026-1", "ecosystem": "npm",
                "package": name, "installedVersion": "1.0.0", "fixState": "unknown", "severity": severity, "because": "",
                "feed": "f", "published": format!("2026-04-{day:02}"),
                "installed": [{"name": name, "version": "1.0.0", "purl": purl, "locations": [{"path": path, "layer": 0}]}]});
            if fixed {
                finding["fixedVersions"] = json!(["2.0.0"]);
            }
            if listed {
                finding["kev"] = json!("2026-04-01");
            }
            if likely {
                finding["epss"] = json!({"score": f64::from(share) / 10.0, "percentile": 0.5});
            }
            if malware && share == 0 {
                finding["class"] = json!("malware");
            }
            finding
        },
    )
}
