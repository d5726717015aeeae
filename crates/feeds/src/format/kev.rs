//! CISA's catalog of known exploited vulnerabilities, JSON.

use super::Records;
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
pub fn parse(name: &str, bytes: &[u8], records: &mut Records) -> Result<bool, String> {
    if !name.ends_with(".json") {
        return Ok(false);
    }
    let catalog: Catalog = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
    let Some(entries) = catalog.vulnerabilities else { return Ok(false) };
    records.exploited.extend(entries.into_iter().map(|e| (e.cve, e.date_added)));
    Ok(true)
}
