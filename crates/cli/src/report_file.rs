//! Stored reports: what `-o json` wrote.

use crate::exit::UsageError;
use std::io::{self, Read as _};
use std::path::Path;
use tidewaiter_core::report::{Report, SCHEMA_VERSION};

type Reader = fn(&[u8]) -> serde_json::Result<Vec<Report>>;

/// Reads one report, or the list that an image of several platforms has; `-` is standard input.
pub(crate) fn read(path: &Path) -> Result<Vec<Report>, UsageError> {
    parse(&path.display().to_string(), &bytes(path)?, Report::all_from_json)
}

/// The same, without packages ([`Report::all_for_policy`]).
pub(crate) fn read_for_policy(path: &Path) -> Result<Vec<Report>, UsageError> {
    parse(&path.display().to_string(), &bytes(path)?, Report::all_for_policy)
}

fn bytes(path: &Path) -> Result<Vec<u8>, UsageError> {
    let read = if path.as_os_str() == "-" {
        let mut bytes = Vec::new();
        io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        std::fs::read(path)
    };
    read.map_err(|error| UsageError(format!("{}: {error}", path.display())))
}

/// One report, or a list of them, by one of the readers of [`Report`].
fn parse(name: &str, bytes: &[u8], read: Reader) -> Result<Vec<Report>, UsageError> {
    let advice = "write one with: kubectl scan image IMAGE -o json=FILE";
    let reports = read(bytes).map_err(|error| UsageError(format!("{name}: not a report ({error}); {advice}")))?;
    match reports.iter().find(|report| report.schema_version > SCHEMA_VERSION) {
        Some(newer) => Err(UsageError(format!(
            "{name}: a report of schema version {}, and this program reads versions up to {SCHEMA_VERSION}; update it",
            newer.schema_version
        ))),
        None if reports.is_empty() => Err(UsageError(format!("{name}: an empty list; {advice}"))),
        None => Ok(reports),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(version: u32) -> String {
        let digest = format!("sha256:{}", "0".repeat(64));
        serde_json::json!({
            "schemaVersion": version,
            "image": {"name": "app", "digest": digest, "configDigest": digest, "platform": {"os": "linux", "architecture": "amd64"}},
            "layers": [], "packages": [], "findings": [], "complete": true, "database": {"id": digest, "built": ""},
            "counts": {"critical": 0, "high": 0, "medium": 0, "low": 0, "negligible": 0, "unknown": 0, "fixable": 0},
        })
        .to_string()
    }

    #[test]
    fn reports_are_read_alone_and_in_lists() {
        let check = |text: &str, expected: Result<usize, &str>| {
            for reader in [Report::all_from_json, Report::all_for_policy] {
                let read = parse("r.json", text.as_bytes(), reader);
                let read = read.map(|reports| reports.len()).map_err(|e| e.to_string());
                match expected {
                    Ok(count) => assert_eq!(read, Ok(count), "{text}"),
                    Err(word) => assert!(read.clone().unwrap_err().contains(word), "{text}: {read:?}"),
                }
            }
        };
        let one = report(1);
        check(&one, Ok(1));
        check(&format!(" [{one}, {one}]"), Ok(2));
        check("[]", Err("r.json: an empty list"));
        check("{}", Err("r.json: not a report (missing field"));
        check("", Err("r.json: not a report"));
        check(&report(2), Err("schema version 2"));
    }
}
