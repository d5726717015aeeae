//! Schemas of core's enums; core has no dependency on a schema library.

use schemars::{Schema, SchemaGenerator, json_schema};

pub(crate) fn image_status(_: &mut SchemaGenerator) -> Schema {
    let words = ["NotScanned", "Scanning", "ScanFailed", "VulnerabilitiesFound", "NoVulnerabilities", "Approved"];
    json_schema!({"type": "string", "enum": words})
}

pub(crate) fn deployment_status(_: &mut SchemaGenerator) -> Schema {
    let words = ["NotCreated", "Created", "Blocked", "PendingApproval", "RollingOut", "Deployed"];
    json_schema!({"type": "string", "enum": words})
}

pub(crate) fn severity(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "enum": ["UNKNOWN", "NEGLIGIBLE", "LOW", "MEDIUM", "HIGH", "CRITICAL"]})
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

/// Without the format `uint32`: API servers do not know it and print a warning for each definition.
pub(crate) fn natural(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": ["integer", "null"], "minimum": 0, "maximum": u32::MAX})
}
