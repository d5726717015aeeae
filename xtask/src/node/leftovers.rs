//! Checks what an uninstallation leaves in the cluster: searches every object of every kind for the product's name.

use super::session::Session;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

const NAME: &str = "tidewaiter";
/// (kind, path that may still have the name, why).
const EXPECTED: [(&str, &str, &str); 3] = [
    ("Event", "", "reported earlier; Kubernetes deletes it after an hour"),
    ("PersistentVolume", "", "the volume, released and retained"),
    ("Node", "status.images", "images that the node still stores"),
];

/// Prints what is left, and fails if it is more than expected.
pub(crate) fn check(session: &mut Session) -> Result<()> {
    session.note("What is left? Every object of every kind is searched for `tidewaiter`.");
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let kinds = session.quietly("kubectl api-resources --verbs=list -o name")?;
    for kind in kinds.lines() {
        let text = session.quietly(&format!("kubectl get {kind} -A -o json 2> /dev/null"))?;
        let list: Value = serde_json::from_str(&text).with_context(|| format!("{kind}: {text:.300}"))?;
        for object in list.get("items").and_then(Value::as_array).into_iter().flatten() {
            let mut places = Vec::new();
            search(object, "", &mut places);
            for place in places {
                found.entry(describe(object, &place)).or_default().insert(name(object));
            }
        }
    }
    for (what, objects) in &found {
        session.note(&format!("{} of {what}", objects.len()));
    }
    let unexpected: Vec<&str> =
        found.keys().filter(|what| !what.contains(": expected, ")).map(String::as_str).collect();
    if !unexpected.is_empty() {
        bail!("left in the cluster: {}", unexpected.join("; "));
    }
    Ok(())
}

/// Collects the paths of all keys and texts with the name.
fn search(value: &Value, path: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                if key.contains(NAME) {
                    found.push(path.clone());
                }
                search(value, &path, found);
            }
        }
        Value::Array(all) => all.iter().for_each(|value| search(value, path, found)),
        Value::String(text) if text.contains(NAME) => found.push(path.to_owned()),
        _ => {}
    }
}

/// One line about an object; expected ones by their kind, since there may be many.
fn describe(object: &Value, path: &str) -> String {
    let kind = object.get("kind").and_then(Value::as_str).unwrap_or_default();
    let expected = EXPECTED.iter().find(|(of, at, _)| *of == kind && path.starts_with(at));
    match expected {
        Some((_, _, why)) => format!("{kind}: expected, {why}"),
        None => format!("{kind} {}: {path}", name(object)),
    }
}

fn name(object: &Value) -> String {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    format!("{}/{}", text("/metadata/namespace"), text("/metadata/name"))
}
