//! CISA's catalog of known exploited vulnerabilities, JSON.

use super::{FeedContext, Problem, Records};
use serde::Deserialize;
use tidewaiter_core::advisory::KnownExploited;

#[derive(Deserialize)]
struct Catalog {
    vulnerabilities: Option<Vec<Entry>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    #[serde(rename = "cveID")]
    cve: String,
    date_added: Option<String>,
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
        // Without a readable date it is exploited all the same.
        let since = entry.date_added.and_then(|date| date.parse().ok());
        records.exploited.insert(entry.cve, KnownExploited { since });
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_without_a_readable_date_is_exploited() {
        let check = |entry: &str, since: Option<&str>| {
            let text = format!(r#"{{"vulnerabilities": [{{"cveID": "CVE-1"{entry}}}]}}"#);
            let mut records = Records::default();
            assert_eq!(parse("a.json", text.as_bytes(), &FeedContext::default(), &mut records), Ok(true));
            let since = since.map(|date| date.parse().unwrap());
            assert_eq!(
                records.exploited.into_iter().collect::<Vec<_>>(),
                [("CVE-1".to_owned(), KnownExploited { since })]
            );
            assert!(records.skipped.is_empty(), "{entry}");
        };
        check(r#", "dateAdded": "2025-02-03""#, Some("2025-02-03"));
        check(r#", "dateAdded": "soon""#, None);
        check(r#", "dateAdded": """#, None);
        check(r#", "dateAdded": null"#, None);
        check("", None);
    }
}
