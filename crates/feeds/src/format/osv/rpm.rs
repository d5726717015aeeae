//! Records of distributions with rpm: severity levels, modules, several releases in one record.

use std::collections::BTreeMap;
use tidewaiter_core::advisory::{Advisory, Affected, ModuleScope};
use tidewaiter_core::ecosystem::Ecosystem;
use tidewaiter_core::severity::{Rating, Severity};
use tidewaiter_core::version::VersionScheme;

/// Whether a record covers rpms.
pub(super) fn is_rpm(advisory: &Advisory) -> bool {
    advisory.affected.iter().any(|row| row.ecosystem.version_scheme() == Some(VersionScheme::Rpm))
}

/// One advisory for each release that a record covers: ids are reused for other releases.
pub(super) fn advisories(mut advisory: Advisory, details: &str) -> Vec<Advisory> {
    let word = word(&advisory).filter(|word| !advisory.ratings.contains(word));
    advisory.ratings.extend(word);
    let streams = streams(&advisory.summary, details);
    let mut releases: BTreeMap<Ecosystem, Vec<Affected>> = BTreeMap::new();
    for mut row in std::mem::take(&mut advisory.affected) {
        if row.module == ModuleScope::Unnamed && !streams.is_empty() {
            row.module = ModuleScope::Streams(streams.clone());
        }
        releases.entry(row.ecosystem.clone()).or_default().push(row);
    }
    releases.into_values().map(|affected| Advisory { affected, ..advisory.clone() }).collect()
}

/// "Important: openssl security update".
fn word(advisory: &Advisory) -> Option<Rating> {
    let severity: Severity = advisory.summary.split_once(':')?.0.parse().ok()?;
    Some(Rating::of_level(&advisory.feed, severity))
}

/// The `name:stream` that the summary names; those of the details where the summary names none.
fn streams(summary: &str, details: &str) -> Vec<String> {
    let found = named_streams(summary);
    if !found.is_empty() {
        return found;
    }
    let mut found = named_streams(details);
    found.retain(|stream| details.contains(&format!("{stream} module")));
    found
}

/// Every `name:stream` in a text, sorted.
fn named_streams(text: &str) -> Vec<String> {
    let words = text.split_whitespace().map(|w| w.trim_matches(|c: char| !c.is_ascii_alphanumeric()));
    let mut out: Vec<String> = words.filter(|w| is_stream(w)).map(str::to_owned).collect();
    out.sort();
    out.dedup();
    out
}

fn is_stream(word: &str) -> bool {
    let plain = |s: &str| s.chars().all(|c| c.is_ascii_alphanumeric() || "._+-".contains(c));
    let parts = word.split_once(':').filter(|(name, stream)| plain(name) && plain(stream) && !stream.is_empty());
    parts.is_some_and(|(name, _)| name.starts_with(|c: char| c.is_ascii_alphabetic()) && name != "CVE")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::testing::feed;
    use crate::format::{Records, osv};

    fn records(json: &str) -> Records {
        let mut records = Records::default();
        assert!(osv::parse("a.json", json.as_bytes(), &feed("almalinux", &[]), &mut records).unwrap());
        records
    }

    #[test]
    fn words_rate_and_related_cves_are_what_it_answers() {
        let record = |summary: &str, related: &str| {
            records(&format!(
                r#"{{"id":"ALSA-1","summary":"{summary}","related":{related},"affected":[
                {{"package":{{"ecosystem":"AlmaLinux:9","name":"a"}},"ranges":[{{"type":"ECOSYSTEM","events":[{{"introduced":"0"}},{{"fixed":"1:2-3.el9"}}]}}]}},
                {{"package":{{"ecosystem":"AlmaLinux:8","name":"a"}},"ranges":[{{"type":"ECOSYSTEM","events":[{{"introduced":"0"}},{{"fixed":"1:2-3.el8"}}]}}]}}]}}"#
            ))
        };
        let check = |summary: &str, expected: Option<Severity>| {
            let found = record(summary, r#"["CVE-2","CVE-1","CVE-2"]"#).advisories;
            assert_eq!(found.len(), 2, "one for each release");
            assert_eq!(found[0].upstream, ["CVE-1", "CVE-2"]);
            assert_eq!(found[0].ratings.first().map(|r| r.severity), expected, "{summary}");
        };
        check("Important: a security update", Some(Severity::High));
        check("Moderate: a security update", Some(Severity::Medium));
        check("a bug fix: update", None);
        let without = record("a bug fix", r#"["ALBA-2"]"#);
        assert_eq!((without.advisories.len(), without.skipped["names no CVE"]), (0, 1));
    }

    #[test]
    fn the_word_of_a_vendor_rates_and_the_vector_of_several_cves_does_not() {
        let check = |related: &str, expected: &[(Severity, bool)]| {
            let found = records(&format!(
                r#"{{"id":"RHSA-1","summary":"Important: nodejs security update","upstream":{related},
                "severity":[{{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}}],"affected":[
                {{"package":{{"ecosystem":"Red Hat:enterprise_linux:9::appstream","name":"nodejs"}},
                "ranges":[{{"type":"ECOSYSTEM","events":[{{"introduced":"0"}},{{"fixed":"1:2-3.el9"}}]}}]}}]}}"#
            ));
            let ratings = found.advisories[0].ratings.iter().map(|r| (r.severity, r.vector.is_some()));
            assert_eq!(ratings.collect::<Vec<_>>(), expected, "{related}");
        };
        check(r#"["CVE-1"]"#, &[(Severity::Critical, true), (Severity::High, false)]);
        check(r#"["CVE-1","CVE-2"]"#, &[(Severity::High, false)]);
    }

    #[test]
    fn modules_are_told_by_release_and_words() {
        let check = |summary: &str, details: &str, fixed: &str, expected: ModuleScope| {
            let found = records(&format!(
                r#"{{"id":"ALSA-1","summary":"{summary}","details":"{details}","related":["CVE-1"],"affected":[
                {{"package":{{"ecosystem":"AlmaLinux:8","name":"nodejs"}},"ranges":[{{"type":"ECOSYSTEM","events":[{{"introduced":"0"}},{{"fixed":"{fixed}"}}]}}]}}]}}"#
            ));
            assert_eq!(found.advisories[0].affected[0].module, expected, "{summary}");
        };
        let streams = |names: &[&str]| ModuleScope::Streams(names.iter().map(|n| (*n).to_owned()).collect());
        let build = "1:20.1.0-1.module_el8.9.0+3+a";
        check("Important: nodejs:20 security update", "", build, streams(&["nodejs:20"]));
        check("Moderate: idm:DL1 and idm:client security", "", build, streams(&["idm:DL1", "idm:client"]));
        check(
            "Important: ruby security update",
            "the ruby:3.3 module, see https://a:1/b",
            build,
            streams(&["ruby:3.3"]),
        );
        check("Important: ruby security update", "ruby: a flaw", build, ModuleScope::Unnamed);
        check("Important: nodejs:20 security update", "", "1:20.1.0-1.el8", ModuleScope::Outside);
    }
}
