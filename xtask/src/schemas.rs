//! Compares the custom resource definitions with those of earlier versions (`crates/crd/earlier`, ADR 0032): what people wrote then
//! must be taken and kept now. A change that is meant has a row, and a reason.

mod narrowed;

use anyhow::{Context, Result};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The definitions of earlier versions, without descriptions: a list of objects in one file for each version.
const EARLIER: &str = "crates/crd/earlier";

/// What is narrower than in an earlier version, on purpose: (version, place, why nobody loses what they wrote).
const MEANT: &[(&str, &str, &str)] = &[
    ("351cd24", "ImageScan.status.failures", "the number was one of 32 bits in the program before, too"),
    ("351cd24", "WorkloadScan.status.alerted", "the server alone writes it, and reads a text, too"),
    ("351cd24", "RolloutApproval", "the rule is about breakGlass, which was not there"),
    ("351cd24", "RolloutApproval.spec.digests", "an approval of no image approved nothing, and no Pod has a thousand"),
    (
        "351cd24",
        "ClusterScanPolicy.spec.alerts",
        "the rules are about fields that were not there; 20 receivers at most",
    ),
    ("351cd24", "ClusterScanPolicy.spec.alerts[]", "the rules are about fields that were not there"),
    ("351cd24", "ClusterScanPolicy.spec.alerts[].url", "what is no http(s) address was never delivered to"),
    (
        "351cd24",
        "ClusterScanPolicy.spec.maxDatabaseAgeDays",
        "5 in place of any age is stricter; changelog, docs/upgrade.md",
    ),
];

/// Compares them; true if nothing is narrower but what is meant.
pub(crate) fn run(root: &Path) -> Result<bool> {
    let now: Vec<Value> = tidewaiter_crd::all().iter().map(serde_json::to_value).collect::<Result<_, _>>()?;
    let mut files: Vec<fs::DirEntry> = fs::read_dir(root.join(EARLIER)).context(EARLIER)?.collect::<Result<_, _>>()?;
    files.sort_by_key(fs::DirEntry::file_name);
    let mut good = true;
    for file in files {
        let path = file.path();
        let hint = || path.display().to_string();
        let list: Value = serde_json::from_slice(&fs::read(&path).with_context(hint)?).with_context(hint)?;
        let earlier = list["items"].as_array().with_context(|| format!("{}: it has no items", path.display()))?;
        let version = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        for problem in problems(&version, earlier, &now, MEANT) {
            println!("{EARLIER}/{version}.json: {problem}");
            good = false;
        }
    }
    Ok(good)
}

/// Keeps the definitions of now as those of a version, one on each line.
pub(crate) fn keep(root: &Path, version: &str) -> Result<()> {
    let mut all: Vec<Value> = tidewaiter_crd::all().iter().map(serde_json::to_value).collect::<Result<_, _>>()?;
    all.iter_mut().for_each(strip_descriptions);
    let lines: Vec<String> = all.iter().map(Value::to_string).collect();
    let text = format!("{{\"apiVersion\":\"v1\",\"kind\":\"List\",\"items\":[\n{}\n]}}\n", lines.join(",\n"));
    let path = root.join(EARLIER).join(format!("{version}.json"));
    fs::write(&path, text).with_context(|| path.display().to_string())
}

/// A field of that name has a schema, not a text.
fn strip_descriptions(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|name, value| name != "description" || !value.is_string());
            fields.values_mut().for_each(strip_descriptions);
        }
        Value::Array(all) => all.iter_mut().for_each(strip_descriptions),
        _ => {}
    }
}

/// What is narrower than in a version and not meant, and what is meant and not so.
fn problems(version: &str, earlier: &[Value], now: &[Value], meant: &[(&str, &str, &str)]) -> Vec<String> {
    let mut unused: BTreeSet<&str> = meant.iter().filter(|row| row.0 == version).map(|row| row.1).collect();
    let meant = unused.clone();
    let mut problems = Vec::new();
    for narrowing in narrowed::definitions(earlier, now) {
        unused.remove(narrowing.place.as_str());
        if !meant.contains(narrowing.place.as_str()) {
            problems.push(format!("{}: {}", narrowing.place, narrowing.what));
        }
    }
    problems.extend(
        unused.iter().map(|place| format!("{place}: nothing is narrower; remove the row in xtask/src/schemas.rs")),
    );
    problems
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn definition(field: Value) -> Value {
        let schema = json!({"type": "object", "properties": {"f": field}});
        let version = json!({"name": "v1", "served": true, "schema": {"openAPIV3Schema": schema}});
        json!({"spec": {"names": {"kind": "K"}, "versions": [version]}})
    }

    #[test]
    fn texts_are_left_out_and_fields_are_not() {
        let mut schema = json!({"description": "d", "items": [{"properties": {"description": {"description": "d", "type": "string"}}}]});
        strip_descriptions(&mut schema);
        assert_eq!(schema, json!({"items": [{"properties": {"description": {"type": "string"}}}]}));
    }

    #[test]
    fn what_is_narrower_is_meant_or_a_problem() {
        let check = |version: &str, meant: &[(&str, &str, &str)], expected: &[&str]| {
            let (earlier, now) = (definition(json!({"type": "string"})), definition(json!({"type": "integer"})));
            assert_eq!(problems(version, &[earlier], &[now], meant), expected, "{version} {meant:?}");
        };
        check("1", &[], &["K.f: type was \"string\", and is \"integer\""]);
        check("1", &[("1", "K.f", "r")], &[]);
        check("1", &[("2", "K.f", "r")], &["K.f: type was \"string\", and is \"integer\""]);
        check(
            "1",
            &[("1", "K.f", "r"), ("1", "K.g", "r")],
            &["K.g: nothing is narrower; remove the row in xtask/src/schemas.rs"],
        );
    }
}
