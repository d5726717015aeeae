//! How a definition takes less than an earlier one did, or keeps less of what it is given.
//!
//! The API server prunes fields that a schema does not name, refuses what does not satisfy it, and fills in defaults (structural
//! schemas, `apiextensions.k8s.io/v1`). So these are narrower: a field, a version or a kind that went; another type; a value, a null or an
//! absence that is no longer taken; a tighter bound; a new rule in CEL, whose text nobody can compare; another default.

use serde_json::{Map, Value};

/// One way in which a definition is narrower.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Narrowing {
    /// Kind and field: `ScanPolicy.spec.rules[].name`.
    pub(super) place: String,
    /// What changed.
    pub(super) what: String,
}

/// Bounds, and whether a larger number is tighter.
const BOUNDS: [(&str, bool); 8] = [
    ("minimum", true),
    ("minLength", true),
    ("minItems", true),
    ("minProperties", true),
    ("maximum", false),
    ("maxLength", false),
    ("maxItems", false),
    ("maxProperties", false),
];
/// What must stay equal where it was given, and must not appear where it was not.
const EQUAL: [&str; 5] = ["type", "format", "pattern", "default", "x-kubernetes-list-type"];
/// What a definition has besides versions.
const IDENTITY: [&str; 3] = ["/spec/group", "/spec/scope", "/spec/names/plural"];

/// Compares all definitions of an earlier version with those of now.
pub(super) fn definitions(earlier: &[Value], now: &[Value]) -> Vec<Narrowing> {
    let mut found = Vec::new();
    for old in earlier {
        let kind = kind(old);
        match now.iter().find(|new| self::kind(new) == kind) {
            Some(new) => definition(kind, old, new, &mut found),
            None => note(&mut found, kind, "the kind is gone"),
        }
    }
    found
}

fn kind(definition: &Value) -> &str {
    definition.pointer("/spec/names/kind").and_then(Value::as_str).unwrap_or_default()
}

fn definition(kind: &str, old: &Value, new: &Value, found: &mut Vec<Narrowing>) {
    for pointer in IDENTITY {
        let (old, new) = (old.pointer(pointer), new.pointer(pointer));
        if old != new {
            note(found, kind, &changed(pointer.trim_start_matches('/'), old, new));
        }
    }
    for version in versions(old).iter().filter(|version| version["served"] == true) {
        let Some(same) = versions(new).iter().find(|new| new["name"] == version["name"] && new["served"] == true)
        else {
            note(found, kind, &format!("version {} is not served any more", version["name"]));
            continue;
        };
        let has_status = |version: &Value| version.pointer("/subresources/status").is_some();
        if has_status(version) && !has_status(same) {
            note(found, kind, "the subresource status is gone");
        }
        let of = |version: &Value| version.pointer("/schema/openAPIV3Schema").cloned().unwrap_or_default();
        schema(kind, &of(version), &of(same), found);
    }
}

fn versions(definition: &Value) -> &[Value] {
    definition.pointer("/spec/versions").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn schema(place: &str, old: &Value, new: &Value, found: &mut Vec<Narrowing>) {
    keywords(place, old, new, found);
    let fields = fields(old);
    for (name, field) in &fields {
        let place = format!("{place}.{name}");
        match new.pointer("/properties").and_then(|fields| fields.get(name)) {
            Some(same) => schema(&place, field, same, found),
            None if new["x-kubernetes-preserve-unknown-fields"] == true => {}
            None => note(found, &place, "the field is gone"),
        }
    }
    for (keyword, suffix) in [("items", "[]"), ("additionalProperties", ".*")] {
        match (old.get(keyword), new.get(keyword)) {
            (Some(old), Some(new)) if old.is_object() => schema(&format!("{place}{suffix}"), old, new, found),
            (Some(_), None) => note(found, place, &format!("{keyword} is gone")),
            _ => {}
        }
    }
}

fn keywords(place: &str, old: &Value, new: &Value, found: &mut Vec<Narrowing>) {
    for keyword in EQUAL {
        let (before, after) = (old.get(keyword), new.get(keyword));
        // What is no longer asked for is wider, but for the type, without which nothing is described, and a default, which is missed.
        let is_wider = after.is_none() && !["type", "default"].contains(&keyword);
        if before != after && !is_wider {
            note(found, place, &changed(keyword, before, after));
        }
    }
    for (keyword, larger_is_tighter) in BOUNDS {
        let (before, after) = (number(old, keyword), number(new, keyword));
        let is_tighter = match (before, after) {
            (_, None) => false,
            (None, Some(_)) => true,
            (Some(before), Some(after)) => (after > before) == larger_is_tighter && after.total_cmp(&before).is_ne(),
        };
        if is_tighter {
            note(found, place, &changed(keyword, old.get(keyword), new.get(keyword)));
        }
    }
    if old["nullable"] == true && new["nullable"] != true {
        note(found, place, "null is not taken any more");
    }
    if let Some(words) = new["enum"].as_array() {
        let lost = |word: &&Value| !words.contains(word);
        match old["enum"].as_array() {
            Some(before) => before.iter().filter(lost).for_each(|word| note(found, place, &format!("{word} is gone"))),
            None => note(found, place, "only some values are taken"),
        }
    }
    for name in listed(new, "required") {
        if !listed(old, "required").contains(&name) {
            note(found, place, &format!("{name} is required"));
        }
    }
    let before = rules(old);
    for rule in rules(new).into_iter().filter(|rule| !before.contains(rule)) {
        note(found, place, &format!("there is a new rule: {rule}"));
    }
}

fn rules(schema: &Value) -> Vec<&Value> {
    listed(schema, "x-kubernetes-validations").into_iter().map(|rule| &rule["rule"]).collect()
}

fn fields(schema: &Value) -> Map<String, Value> {
    schema["properties"].as_object().cloned().unwrap_or_default()
}

fn number(schema: &Value, keyword: &str) -> Option<f64> {
    schema.get(keyword).and_then(Value::as_f64)
}

fn listed<'a>(schema: &'a Value, keyword: &str) -> Vec<&'a Value> {
    schema[keyword].as_array().into_iter().flatten().collect()
}

fn changed(keyword: &str, old: Option<&Value>, new: Option<&Value>) -> String {
    let said = |value: Option<&Value>| value.map_or_else(|| "not there".to_owned(), Value::to_string);
    format!("{keyword} was {}, and is {}", said(old), said(new))
}

fn note(found: &mut Vec<Narrowing>, place: &str, what: &str) {
    found.push(Narrowing { place: place.to_owned(), what: what.to_owned() });
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(kind: &str, served: bool, schema: &Value) -> Value {
        let version = json!({"name": "v1", "served": served, "schema": {"openAPIV3Schema": schema}});
        json!({"spec": {"group": "g", "scope": "Cluster", "names": {"kind": kind, "plural": "ks"}, "versions": [version]}})
    }

    fn found(old: &[Value], new: &[Value]) -> Vec<String> {
        definitions(old, new).into_iter().map(|one| format!("{}: {}", one.place, one.what)).collect()
    }

    #[test]
    fn a_schema_that_takes_less() {
        let check = |old: Value, new: Value, expected: &[&str]| {
            let within = |field: &Value| json!({"properties": {"f": field}});
            let [earlier, now] = [&old, &new].map(|field| [of("K", true, &within(field))]);
            let expected: Vec<String> = expected.iter().map(|what| format!("K.f{what}")).collect();
            assert_eq!(found(&earlier, &now), expected, "{old} {new}");
        };
        let text = || json!({"type": "string"});
        check(text(), text(), &[]);
        check(text(), json!({"type": "array"}), &[": type was \"string\", and is \"array\""]);
        check(json!({"minimum": 1}), json!({"minimum": 2}), &[": minimum was 1, and is 2"]);
        check(json!({"minimum": 2}), json!({"minimum": 1}), &[]);
        check(json!({"minimum": 2}), json!({"minimum": 2.0}), &[]);
        check(json!({}), json!({"minimum": 0}), &[": minimum was not there, and is 0"]);
        check(json!({"maxLength": 9}), json!({"maxLength": 5}), &[": maxLength was 9, and is 5"]);
        check(json!({"maxLength": 5}), json!({"maxLength": 9}), &[]);
        check(json!({"maxLength": 5}), json!({}), &[]);
        check(json!({"pattern": "a"}), json!({"pattern": "b"}), &[": pattern was \"a\", and is \"b\""]);
        check(json!({"pattern": "a"}), json!({}), &[]);
        check(json!({"nullable": true}), json!({}), &[": null is not taken any more"]);
        check(json!({}), json!({"nullable": true}), &[]);
        check(json!({"enum": ["a", "b"]}), json!({"enum": ["b", "c"]}), &[": \"a\" is gone"]);
        check(json!({"enum": ["a"]}), json!({}), &[]);
        check(json!({}), json!({"enum": ["a"]}), &[": only some values are taken"]);
        check(json!({"default": 1}), json!({}), &[": default was 1, and is not there"]);
        check(json!({}), json!({"default": 1}), &[": default was not there, and is 1"]);
        let rules = |all: &[&str]| {
            let all: Vec<Value> = all.iter().map(|rule| json!({"rule": rule, "message": "m"})).collect();
            json!({"x-kubernetes-validations": all})
        };
        check(rules(&["a"]), rules(&["b", "a"]), &[": there is a new rule: \"b\""]);
        check(rules(&["a", "b"]), rules(&["b"]), &[]);
    }

    #[test]
    fn fields_that_go_or_are_asked_for() {
        let check = |old: Value, new: Value, expected: &[&str]| {
            assert_eq!(found(&[of("K", true, &old)], &[of("K", true, &new)]), expected, "{old} {new}");
        };
        let (none, field) = (json!({"properties": {}}), json!({"properties": {"a": {"type": "string"}}}));
        check(none.clone(), field.clone(), &[]);
        check(field.clone(), none.clone(), &["K.a: the field is gone"]);
        check(field.clone(), json!({"x-kubernetes-preserve-unknown-fields": true}), &[]);
        check(none, json!({"required": ["a"]}), &["K: \"a\" is required"]);
        check(json!({"required": ["a", "b"]}), json!({"required": ["b"]}), &[]);
        // In lists and maps, too.
        let lists = |of: &Value| json!({"items": of});
        let maps = |of: &Value| json!({"additionalProperties": of});
        let less = json!({"properties": {"b": {}}});
        check(lists(&field), lists(&less), &["K[].a: the field is gone"]);
        check(maps(&field), maps(&less), &["K.*.a: the field is gone"]);
        check(lists(&field), json!({}), &["K: items is gone"]);
    }

    #[test]
    fn kinds_and_versions_that_go() {
        let check = |new: &[Value], expected: &[&str]| {
            let mut old = of("K", true, &json!({}));
            old["spec"]["versions"][0]["subresources"] = json!({"status": {}});
            assert_eq!(found(&[old], new), expected);
        };
        let mut with_status = of("K", true, &json!({}));
        with_status["spec"]["versions"][0]["subresources"] = json!({"status": {}});
        check(std::slice::from_ref(&with_status), &[]);
        check(&[of("K", true, &json!({}))], &["K: the subresource status is gone"]);
        check(&[of("K", false, &json!({}))], &["K: version \"v1\" is not served any more"]);
        check(&[of("L", true, &json!({}))], &["K: the kind is gone"]);
        let mut other = with_status.clone();
        other["spec"]["scope"] = json!("Namespaced");
        check(&[other], &["K: spec/scope was \"Cluster\", and is \"Namespaced\""]);
        // A version in addition is none that goes.
        let newer = json!({"name": "v2", "served": true});
        with_status["spec"]["versions"].as_array_mut().unwrap().push(newer);
        check(&[with_status], &[]);
    }
}
