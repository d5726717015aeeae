//! Alpine secdb: fixed versions by origin package, one file per branch and repository.

use super::Records;
use serde::Deserialize;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use tidewaiter_core::advisory::{Advisory, Affected, End, FixState, Interval, KeyKind};
use tidewaiter_core::ecosystem::Ecosystem;
use tidewaiter_core::severity::Severity;
use tidewaiter_core::version::Order;

#[derive(Deserialize)]
struct Secdb {
    distroversion: Option<String>,
    #[serde(default)]
    packages: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    pkg: Pkg,
}

#[derive(Deserialize)]
struct Pkg {
    name: String,
    #[serde(default)]
    secfixes: BTreeMap<String, Vec<String>>,
}

/// Reads one repository's file.
///
/// # Errors
/// When it is JSON of another shape.
pub fn parse(name: &str, bytes: &[u8], feed: &str, records: &mut Records) -> Result<bool, String> {
    if !name.ends_with(".json") {
        return Ok(false);
    }
    let secdb: Secdb = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
    let Some(branch) = secdb.distroversion else { return Ok(false) };
    let ecosystem = Ecosystem::with_release("Alpine", &branch);
    for entry in secdb.packages {
        records.advisories.extend(package(&entry.pkg, &ecosystem, feed));
    }
    Ok(true)
}

fn package(pkg: &Pkg, ecosystem: &Ecosystem, feed: &str) -> Vec<Advisory> {
    let mut fixes: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (version, ids) in &pkg.secfixes {
        // One string may hold several ids: "CVE-2020-29568 XSA-349".
        for id in ids.iter().flat_map(|ids| ids.split_whitespace()) {
            fixes.entry(id).or_default().push(version);
        }
    }
    let advisory = |(id, versions): (&str, Vec<&str>)| Advisory {
        id: id.to_owned(),
        feed: feed.to_owned(),
        affected: vec![affected(&pkg.name, ecosystem, &versions)],
        ..Advisory::default()
    };
    fixes.into_iter().map(advisory).collect()
}

/// A vulnerability listed under two versions was only fixed by the higher one; version `0` means never affected.
fn affected(name: &str, ecosystem: &Ecosystem, versions: &[&str]) -> Affected {
    let fixed = versions.iter().filter(|v| **v != "0").max_by(|a, b| match Order::Apk.compare(a, b) {
        Ordering::Equal => a.cmp(b),
        unequal => unequal,
    });
    Affected {
        ecosystem: ecosystem.clone(),
        package: name.to_owned(),
        key: KeyKind::Source,
        intervals: fixed.map(|v| Interval { introduced: None, end: End::Fixed((*v).to_owned()) }).into_iter().collect(),
        versions: Vec::new(),
        never_affected: fixed.is_none(),
        fix_state: if fixed.is_some() { FixState::Fixed } else { FixState::Unknown },
        severity: Severity::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_follow_secdb_rules() {
        let json = br#"{"distroversion":"v3.18","packages":[{"pkg":{"name":"xen","secfixes":{
            "0":["CVE-3"],"4.14.0-r1":["CVE-1 XSA-349"],"4.14.1-r0":["CVE-1"]}}}]}"#;
        let mut records = Records::default();
        assert!(parse("main.json", json, "alpine", &mut records).unwrap());
        let check = |id: &str, never: bool, fixed: Option<&str>| {
            let row = &records.advisories.iter().find(|a| a.id == id).unwrap().affected[0];
            assert_eq!((row.never_affected, row.ecosystem.to_string().as_str()), (never, "Alpine:v3.18"));
            let end = row.intervals.first().map(|i| i.end.clone());
            assert_eq!(end, fixed.map(|v| End::Fixed(v.into())), "{id}");
        };
        check("CVE-1", false, Some("4.14.1-r0"));
        check("XSA-349", false, Some("4.14.0-r1"));
        check("CVE-3", true, None);
    }
}
