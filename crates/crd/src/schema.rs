//! Schemas of core's enums; core has no dependency on a schema library.

use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::json;
use tidewaiter_core::policy::MAX_CONDITION;

pub(crate) fn image_status(_: &mut SchemaGenerator) -> Schema {
    let words = ["NotScanned", "Scanning", "ScanFailed", "VulnerabilitiesFound", "NoVulnerabilities", "Approved"];
    json_schema!({"type": "string", "enum": words})
}

pub(crate) fn deployment_status(_: &mut SchemaGenerator) -> Schema {
    let words = ["NotCreated", "Created", "Blocked", "PendingApproval", "RollingOut", "Deployed"];
    json_schema!({"type": "string", "enum": words})
}

const SEVERITIES: [&str; 6] = ["UNKNOWN", "NEGLIGIBLE", "LOW", "MEDIUM", "HIGH", "CRITICAL"];

pub(crate) fn severity(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "enum": &SEVERITIES[1..]})
}

pub(crate) fn block_at(_: &mut SchemaGenerator) -> Schema {
    let words: Vec<&str> = SEVERITIES.into_iter().chain(["NEVER"]).collect();
    json_schema!({"type": "string", "enum": words})
}

/// [`tidewaiter_core::policy::Rule`]s. An API server prunes what is not named here, so that a misspelt criterion would be
/// lost and its rule block more: the name alone is required.
pub(crate) fn rules(_: &mut SchemaGenerator) -> Schema {
    let texts =
        |about: &str| json!({"type": "array", "items": {"type": "string", "minLength": 1}, "description": about});
    let share = |most: f64, about: &str| json!({"type": "number", "minimum": 0, "maximum": most, "description": about});
    let yes_or_no = |about: &str| json!({"type": "boolean", "description": about});
    let rule = json!({
        "type": "object",
        "required": ["name"],
        "properties": {
            "name": {"type": "string", "minLength": 1, "maxLength": 63, "description": "How verdicts name it."},
            "severity": {"type": "string", "enum": &SEVERITIES[1..], "description": "Lowest severity; findings without a rating have none."},
            "cvss": share(10.0, "Lowest CVSS base score, by the highest that a source gives; without any the lowest score of the severity."),
            "epss": share(1.0, "Lowest EPSS probability of exploitation."),
            "knownExploited": yes_or_no("Whether CISA's catalog lists it as exploited (KEV)."),
            "fixAvailable": yes_or_no("Whether a version without it exists."),
            "daysSincePublished": {"type": "integer", "minimum": 0, "maximum": 36500, "description":
                "Days since publication: of the vendor's fix where its feed dates that, else of the vulnerability. One without a date counts as old."},
            "packages": texts("Packages, by name with wildcards or by purl; one must fit."),
            "paths": texts("Paths in the image, with wildcards; one location of a package must match."),
            "condition": {"type": "string", "minLength": 1, "maxLength": MAX_CONDITION, "description":
                "An expression in CEL (Common Expression Language) about `finding` that must be true; docs/policy.md has its fields."},
        },
    });
    json_schema!({"type": "array", "maxItems": 50, "items": rule})
}

pub(crate) fn unrated(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "enum": ["Allow", "Warn", "Hold"]})
}

pub(crate) fn incomplete(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "enum": ["Allow", "Hold"]})
}

pub(crate) fn counts(_: &mut SchemaGenerator) -> Schema {
    let number = json_schema!({"type": "integer", "minimum": 0});
    let names = ["critical", "high", "medium", "low", "negligible", "unknown", "fixable"];
    let properties: serde_json::Map<_, _> =
        names.map(|n| (n.to_owned(), number.clone().to_value())).into_iter().collect();
    json_schema!({"type": "object", "properties": properties, "required": names})
}

pub(crate) fn outcome(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "enum": ["Pass", "Incomplete", "Violated"]})
}

pub(crate) fn days(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "integer", "minimum": 0, "maximum": u32::MAX})
}

/// What the schema of a label's requirement cannot say otherwise (CEL).
pub(crate) fn values_as_needed() -> serde_json::Value {
    json!([{"rule": "(self.operator in ['In', 'NotIn']) == (has(self.values) && size(self.values) > 0)",
        "message": "In and NotIn need values, Exists and DoesNotExist have none"}])
}

/// Days that an exception may last: a hundred years is any time.
pub(crate) fn exception_days(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "integer", "minimum": 0, "maximum": 36500})
}

/// People who approve: more than ten never agree in time.
pub(crate) fn people(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "integer", "minimum": 1, "maximum": 10})
}

/// Without the format `uint32`: API servers do not know it and print a warning for each definition.
pub(crate) fn natural(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": ["integer", "null"], "minimum": 0, "maximum": u32::MAX})
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use tidewaiter_core::policy::Rule;
    use tidewaiter_core::severity::Severity;

    /// What is not in the schema, an API server drops without a word.
    #[test]
    fn every_criterion_of_a_rule_is_in_the_schema() {
        let rule = Rule {
            name: "r".into(),
            severity: Some(Severity::Low),
            cvss: Some(1.0),
            epss: Some(0.1),
            known_exploited: Some(true),
            fix_available: Some(true),
            days_since_published: Some(1),
            packages: vec!["a".into()],
            paths: vec!["b".into()],
            condition: Some("true".into()),
            // Of command lines alone: it is not written, and so not in the schema.
            passes_over: Some(std::sync::Arc::default()),
        };
        let written = serde_json::to_value(rule).unwrap();
        let schema = rules(&mut SchemaGenerator::default()).to_value();
        let keys = |value: &serde_json::Value| value.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
        assert_eq!(keys(&schema["items"]["properties"]), keys(&written));
    }
}
