//! Photon OS: `cve_data_photonRELEASE.json`, a list of one record for each CVE and source package.

use super::{FeedContext, Problem, Records};
use serde::Deserialize;
use tidewaiter_core::advisory::{Advisory, Affected, Interval, IntervalEnd, KeyKind};
use tidewaiter_core::ecosystem::{Ecosystem, EcosystemBase};
use tidewaiter_core::severity::{Rating, Severity};

#[derive(Deserialize)]
struct Entry {
    #[serde(rename = "cve_id")]
    cve: String,
    #[serde(rename = "pkg")]
    package: String,
    #[serde(rename = "cve_score")]
    score: Option<f64>,
    /// The first version that is not vulnerable; `NA` while there is none.
    #[serde(rename = "res_ver")]
    fixed: Option<String>,
    /// `Fixed`, `Not Affected`; older files have none.
    status: Option<String>,
}

/// Reads a release's list.
///
/// # Errors
/// When it is JSON of another shape, or its name has no release.
pub(super) fn parse(name: &str, bytes: &[u8], feed: &FeedContext, records: &mut Records) -> Result<bool, Problem> {
    let file = name.rsplit('/').next().unwrap_or_default();
    if !file.ends_with(".json") {
        return Ok(false);
    }
    let release = file.strip_prefix("cve_data_photon").and_then(|rest| rest.strip_suffix(".json"));
    let release = release.ok_or("its name is not cve_data_photonRELEASE.json, which tells the release")?;
    let ecosystem = Ecosystem::with_release(EcosystemBase::PhotonOs, release);
    let entries: Vec<Entry> = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
    for entry in entries {
        if entry.cve.starts_with("CVE-") {
            records.advisories.push(advisory(entry, &ecosystem, &feed.name));
        } else {
            records.skip("names no CVE");
        }
    }
    Ok(true)
}

fn advisory(entry: Entry, ecosystem: &Ecosystem, feed: &str) -> Advisory {
    let row = Affected::new(ecosystem.clone(), &entry.package, KeyKind::Source);
    let fixed = entry.fixed.as_deref().map(str::trim).filter(|version| !matches!(*version, "" | "NA"));
    let row = match fixed {
        _ if entry.status.as_deref() == Some("Not Affected") => Affected { never_affected: true, ..row },
        Some(version) => row.fixed_in(version),
        None => Affected { intervals: vec![Interval::until(IntervalEnd::Open)], ..row },
    };
    let rating = |score| Rating { score: Some(score), ..Rating::of_level(feed, Severity::from_score(score)) };
    Advisory {
        id: entry.cve,
        feed: feed.to_owned(),
        affected: vec![row],
        ratings: entry.score.map(rating).into_iter().collect(),
        ..Advisory::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::testing::feed;

    #[test]
    fn each_record_is_one_package() {
        let check = |record: &str, never: bool, end: Option<IntervalEnd>| {
            let json = format!(r#"[{{"cve_id":"CVE-1","pkg":"curl",{record}}}]"#);
            let mut records = Records::default();
            assert!(parse("a/cve_data_photon5.0.json", json.as_bytes(), &feed("photon", &[]), &mut records).unwrap());
            let row = &records.advisories[0].affected[0];
            let found = row.intervals.first().map(|interval| interval.end.clone());
            assert_eq!((row.never_affected, found), (never, end), "{record}");
            assert_eq!((row.ecosystem.to_string().as_str(), row.key), ("Photon OS:5.0", KeyKind::Source));
        };
        check(r#""res_ver":"8.1-2.ph5","status":"Fixed""#, false, Some(IntervalEnd::Fixed("8.1-2.ph5".into())));
        check(r#""res_ver":"8.1-2.ph5","cve_score":7.5"#, false, Some(IntervalEnd::Fixed("8.1-2.ph5".into())));
        check(r#""aff_ver":"NA","res_ver":"NA","status":"Not Affected""#, true, None);
        check(r#""aff_ver":"8.1","res_ver":"NA""#, false, Some(IntervalEnd::Open));
        let mut records = Records::default();
        let json = br#"[{"cve_id":"BDSA-1","pkg":"curl","res_ver":"1"}]"#;
        assert!(parse("cve_data_photon5.0.json", json, &feed("photon", &[]), &mut records).unwrap());
        assert_eq!((records.advisories.len(), records.skipped["names no CVE"]), (0, 1));
        assert!(parse("photon.json", b"[]", &feed("photon", &[]), &mut records).is_err());
        assert!(!parse("README.md", b"", &feed("photon", &[]), &mut records).unwrap());
    }
}
