//! CISA's catalog of known exploited vulnerabilities, JSON.

use super::{FeedContext, Problem, Records};
use serde::Deserialize;

#[derive(Deserialize)]
struct Catalog {
    vulnerabilities: Option<Vec<Entry>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    #[serde(rename = "cveID")]
    cve: String,
    #[serde(default)]
    date_added: String,
}

/// Reads a catalog.
///
/// # Errors
/// When it is JSON of another shape.
pub(super) fn parse(name: &str, bytes: &[u8], _: &FeedContext, records: &mut Records) -> Result<bool, Problem> {
    if !name.ends_with(".json") {
        return Ok(false);
    }
    let catalog: Catalog = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
    let Some(entries) = catalog.vulnerabilities else { return Ok(false) };
    for entry in entries {
        match entry.date_added.parse() {
            Ok(date) => drop(records.exploited.insert(entry.cve, date)),
            Err(_) => records.skip("has no date"),
        }
    }
    Ok(true)
}
