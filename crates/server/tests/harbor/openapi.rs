//! The specification's own document, as far as it says what answers are. A keyword that is not known here is an error, so that no part
//! of it is passed over.

use crate::adapter::Answer;
use serde_json::{Map, Value};
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

const FILE: &str = "../../../shared/schemas/harbor-scanner-adapter-openapi-v1.2.yaml";
/// What says nothing about a value.
const WORDS: [&str; 5] = ["description", "descriptions", "example", "format", "nullable"];

pub(crate) struct OpenApi(Value);

impl OpenApi {
    /// Compares an answer with what the specification has for its path, status and media type.
    #[track_caller]
    pub(crate) fn check(method: &str, path: &str, answer: &Answer) {
        static DOCUMENT: LazyLock<Option<OpenApi>> = LazyLock::new(OpenApi::read);
        let Some(document) = &*DOCUMENT else { return };
        let found = document.violations_of(method, path, answer);
        assert!(found.is_empty(), "{method} {path}: {found:#?} in {answer:?}");
    }

    /// `None` where it is not next to the project.
    fn read() -> Option<Self> {
        let Ok(text) = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE)) else {
            tidewaiter_testkit::skip::skipped("what_harbor_does", "needs the OpenAPI document of the scanner adapter");
            return None;
        };
        Some(OpenApi(serde_saphyr::from_str(&text).unwrap()))
    }

    fn violations_of(&self, method: &str, path: &str, answer: &Answer) -> Vec<String> {
        let responses = &self.0["paths"][path][method]["responses"];
        assert!(responses.is_object(), "{method} {path} is not in the specification");
        let Some(response) = responses.get(answer.status.to_string()) else {
            return vec![format!("status {} is not in the specification", answer.status)];
        };
        let Some(media_types) = response.get("content").and_then(Value::as_object) else { return Vec::new() };
        let media_type = answer.header("content-type").unwrap_or_default();
        match media_types.get(&media_type) {
            None => vec![format!("media type {media_type:?} is not in the specification")],
            Some(content) => self.violations(&content["schema"], &answer.json(), "$"),
        }
    }

    /// What is wrong with a value, by its place.
    fn violations(&self, schema: &Value, value: &Value, place: &str) -> Vec<String> {
        let schema = self.resolved(schema);
        let mut found = Vec::new();
        for (keyword, wanted) in schema {
            let is_good = match keyword.as_str() {
                "type" => is_of_type(wanted.as_str().unwrap(), value),
                "enum" => wanted.as_array().unwrap().contains(value),
                "required" => wanted.as_array().unwrap().iter().all(|name| value.get(name.as_str().unwrap()).is_some()),
                "properties" | "additionalProperties" | "items" => true,
                word => WORDS.contains(&word),
            };
            if !is_good {
                found.push(format!("{place}: {keyword} is {wanted}, and not {value}"));
            }
        }
        if schema.get("format").is_some_and(|format| format == "date-time") {
            let is_time = value.as_str().is_some_and(|text| text.parse::<jiff::Timestamp>().is_ok());
            found.extend((!is_time).then(|| format!("{place}: {value} is not a time")));
        }
        for (name, member) in value.as_object().into_iter().flatten() {
            found.extend(self.member(schema, name, member, &format!("{place}.{name}")));
        }
        for (i, element) in value.as_array().into_iter().flatten().enumerate() {
            found.extend(self.violations(&schema["items"], element, &format!("{place}[{i}]")));
        }
        found
    }

    /// A member that is documented, or that may be anything.
    fn member(&self, schema: &Map<String, Value>, name: &str, member: &Value, place: &str) -> Vec<String> {
        let documented = schema.get("properties").and_then(|all| all.get(name));
        match (documented, schema.get("additionalProperties")) {
            (Some(documented), _) => self.violations(documented, member, place),
            (None, Some(Value::Bool(true))) => Vec::new(),
            (None, Some(any @ Value::Object(_))) => self.violations(any, member, place),
            // An object without any documented member.
            (None, None) if !schema.contains_key("properties") => Vec::new(),
            (None, _) => vec![format!("{place} is not in the specification")],
        }
    }

    fn resolved<'a>(&'a self, schema: &'a Value) -> &'a Map<String, Value> {
        match schema.get("$ref").and_then(Value::as_str) {
            Some(name) => self.resolved(self.0.pointer(name.trim_start_matches('#')).unwrap()),
            None => schema.as_object().unwrap_or_else(|| panic!("no schema: {schema}")),
        }
    }
}

fn is_of_type(name: &str, value: &Value) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "number" => value.is_number(),
        other => panic!("the type {other} is not known here"),
    }
}

/// A comparison that cannot fail would show nothing.
#[test]
fn what_differs_from_the_specification_is_found() {
    let document = serde_json::json!({"components": {"schemas": {"Word": {"type": "string", "enum": ["a"]}}}});
    let api = OpenApi(document);
    let schema = serde_json::json!({
        "type": "object", "required": ["word"],
        "properties": {"word": {"$ref": "#/components/schemas/Word"}, "all": {"type": "array", "items": {"type": "number"}},
            "at": {"type": "string", "format": "date-time"}},
    });
    let check = |value: Value, expected: &[&str]| {
        let found = api.violations(&schema, &value, "$");
        assert_eq!(found.len(), expected.len(), "{found:?}");
        expected.iter().zip(&found).for_each(|(word, found)| assert!(found.contains(word), "{found:?}"));
    };
    check(serde_json::json!({"word": "a", "all": [1.5], "at": "2026-01-31T12:00:00Z"}), &[]);
    check(serde_json::json!({"word": "b"}), &["$.word: enum"]);
    check(serde_json::json!({}), &["$: required"]);
    check(serde_json::json!({"word": "a", "all": ["x"]}), &["$.all[0]: type"]);
    check(serde_json::json!({"word": "a", "at": "noon"}), &["$.at: \"noon\" is not a time"]);
    check(serde_json::json!({"word": "a", "more": 1}), &["$.more is not in"]);
}
