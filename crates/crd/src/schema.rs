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

/// What the fields of a receiver allow and its type does not (CEL): (rule, message).
pub(crate) const RECEIVER_RULES: &[(&str, &str)] = &[
    (
        "!(self.type in ['Slack', 'MicrosoftTeams']) || (has(self.urlFrom) && !has(self.url))",
        "Slack and MicrosoftTeams need urlFrom and no url: whoever knows their address can write to the channel",
    ),
    (
        "!(self.type in ['CloudEvents', 'Alertmanager']) || has(self.url) || has(self.urlFrom)",
        "CloudEvents and Alertmanager need url or urlFrom",
    ),
    ("!(has(self.url) && has(self.urlFrom))", "url and urlFrom exclude each other"),
    ("(self.type == 'Email') == has(self.email)", "email is needed for type Email, and allowed for no other"),
    (
        "self.type != 'Email' || !(has(self.url) || has(self.urlFrom))",
        "Email has no url: email.server names the mail server",
    ),
    (
        "!(self.type in ['PagerDuty', 'Opsgenie']) || has(self.tokenFrom)",
        "PagerDuty and Opsgenie need tokenFrom: the integration key, or the API key",
    ),
    (
        "!has(self.tokenFrom) || self.type in ['CloudEvents', 'Alertmanager', 'PagerDuty', 'Opsgenie']",
        "tokenFrom is for CloudEvents, Alertmanager, PagerDuty and Opsgenie",
    ),
    ("!has(self.hmacFrom) || self.type == 'CloudEvents'", "hmacFrom is for CloudEvents"),
    (
        "!has(self.headers) || self.type in ['CloudEvents', 'Alertmanager']",
        "headers are for CloudEvents and Alertmanager",
    ),
    (
        "!(has(self.digest) || has(self.repeatEvery)) || !(self.type in ['PagerDuty', 'Opsgenie', 'Alertmanager'])",
        "digest and repeatEvery are not for PagerDuty, Opsgenie and Alertmanager, which group and repeat what is open themselves",
    ),
    (
        "!(self.type in ['PagerDuty', 'Opsgenie', 'Alertmanager']) || !has(self.states) || self.states.all(s, s in ['Blocked', 'PendingApproval', 'ApprovalLost', 'BreakGlass'])",
        "states of PagerDuty, Opsgenie and Alertmanager are Blocked, PendingApproval, ApprovalLost and BreakGlass: what stays open until it is over must be able to end",
    ),
];

/// The same for the way of mail.
pub(crate) const MAIL_RULES: &[(&str, &str)] = &[
    ("has(self.username) == has(self.passwordFrom)", "username and passwordFrom need each other"),
    ("self.tls != 'None' || !has(self.username)", "a password is not sent without TLS: tls None excludes username"),
];

/// The same for a header.
pub(crate) const HEADER_RULES: &[(&str, &str)] =
    &[("has(self.value) != has(self.valueFrom)", "a header has either value or valueFrom")];

/// The same for all receivers of a policy.
pub(crate) const RECEIVERS_RULES: &[(&str, &str)] = &[(
    "self.all(a, !has(a.name) || self.exists_one(b, has(b.name) && b.name == a.name))",
    "two receivers have the same name",
)];

pub(crate) fn receiver_rules() -> serde_json::Value {
    validations(RECEIVER_RULES)
}

pub(crate) fn mail_rules() -> serde_json::Value {
    validations(MAIL_RULES)
}

pub(crate) fn header_rules() -> serde_json::Value {
    validations(HEADER_RULES)
}

pub(crate) fn receivers_rules() -> serde_json::Value {
    validations(RECEIVERS_RULES)
}

fn validations(rules: &[(&str, &str)]) -> serde_json::Value {
    rules.iter().map(|(rule, message)| json!({"rule": rule, "message": message})).collect()
}

/// A number that is never negative; without the format `uint32`, as [`natural`].
pub(crate) fn number(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "integer", "minimum": 0, "maximum": u32::MAX})
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
