//! What Harbor learns of the scanner before it sends anything.

use super::answer::{ARTIFACTS, CYCLONEDX, SBOM, SPDX, VULNERABILITIES};
use serde_json::{Map, Value, json};
use tidewaiter_core::report::DatabaseInfo;
use tidewaiter_formats::HarborScanner;

/// How Harbor lets the scanner into its registry. A bearer token is for the one repository and for half an hour; the alternative
/// is the password of a robot account of the project.
const AUTHORIZATION: &str = "Bearer";

/// The document. Harbor refuses one with an empty property, so that a time that is unknown is left out.
pub(crate) fn document(version: &'static str, database: &DatabaseInfo) -> Value {
    let mut properties = Map::new();
    let mut add = |name: &str, value: &str| properties.insert(format!("harbor.scanner-adapter/{name}"), value.into());
    // The one type that Harbor knows; packages of languages are scanned, too.
    add("scanner-type", "os-package-vulnerability");
    add("registry-authorization-type", AUTHORIZATION);
    if let Some(built) = database.built {
        add("vulnerability-database-updated-at", &built.to_string());
    }
    json!({
        "scanner": HarborScanner::new(version),
        "capabilities": [
            {"type": "vulnerability", "consumes_mime_types": ARTIFACTS, "produces_mime_types": [VULNERABILITIES]},
            {
                "type": "sbom",
                "consumes_mime_types": ARTIFACTS,
                "produces_mime_types": [SBOM],
                "additional_attributes": {"sbom_media_types": [SPDX, CYCLONEDX]},
            },
        ],
        "properties": properties,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_age_of_the_database_is_a_property() {
        let check = |built: Option<&str>, expected: Option<&str>| {
            let database = DatabaseInfo { built: built.map(|time| time.parse().unwrap()), ..DatabaseInfo::default() };
            let properties = &document("1.2.3", &database)["properties"];
            let found = properties.get("harbor.scanner-adapter/vulnerability-database-updated-at");
            assert_eq!(found.and_then(Value::as_str), expected);
            let values: Vec<&Value> = properties.as_object().unwrap().values().collect();
            assert!(values.iter().all(|value| value.as_str().is_some_and(|text| !text.is_empty())), "{values:?}");
        };
        check(Some("2026-01-31T12:00:00Z"), Some("2026-01-31T12:00:00Z"));
        check(None, None);
    }

    #[test]
    fn both_kinds_of_manifests_become_both_kinds_of_reports() {
        let document = document("1.2.3", &DatabaseInfo::default());
        assert_eq!(document["scanner"], json!({"name": "tidewaiter", "vendor": "tidewaiter", "version": "1.2.3"}));
        let kinds: Vec<_> = document["capabilities"].as_array().unwrap().iter().map(|c| c["type"].as_str()).collect();
        assert_eq!(kinds, [Some("vulnerability"), Some("sbom")]);
        for capability in document["capabilities"].as_array().unwrap() {
            assert_eq!(capability["consumes_mime_types"], json!(ARTIFACTS));
        }
    }
}
