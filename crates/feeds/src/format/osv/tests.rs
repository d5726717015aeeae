use super::*;
use crate::format::testing::feed;

#[test]
fn entries_of_one_package_are_one_row() {
    let json = br#"{"id":"X-1","affected":[
        {"package":{"ecosystem":"npm","name":"a"},"ranges":[{"type":"SEMVER","events":[{"introduced":"2.0.0"},{"fixed":"2.1.0"}]}]},
        {"package":{"ecosystem":"npm","name":"a"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"1.2.0"}]}]},
        {"package":{"ecosystem":"npm","name":"b"},"severity":[{"type":"Ubuntu","score":"medium"}],"versions":["1.0.0"]},
        {"package":{"ecosystem":"npm","name":"c"},"ranges":[{"type":"GIT","events":[{"introduced":"0"}]}]}]}"#;
    let mut records = Records::default();
    assert!(parse("a.json", json, &feed("osv", &[]), &mut records).unwrap());
    let rows = &records.advisories[0].affected;
    let found: Vec<_> = rows.iter().map(|r| (r.package.as_str(), r.intervals.len(), r.severity)).collect();
    assert_eq!(found, [("a", 2, Severity::Unknown), ("b", 0, Severity::Medium)]);
}

/// The rows of a record of one npm package with these fields.
fn rows_of(fields: &str) -> Vec<Affected> {
    let json = format!(r#"{{"id":"X-1","affected":[{{"package":{{"ecosystem":"npm","name":"a"}},{fields}}}]}}"#);
    let mut records = Records::default();
    assert!(parse("a.json", json.as_bytes(), &feed("osv", &[]), &mut records).unwrap());
    records.advisories.remove(0).affected
}

#[test]
fn ranges_without_a_fix_end_where_the_database_says() {
    let check = |last_known: &str, events: &str, expected: IntervalEnd| {
        let rows = rows_of(&format!(
            r#""ranges":[{{"type":"SEMVER","events":[{{"introduced":"0"}}{events}]}}],
            "database_specific":{{"last_known_affected_version_range":"{last_known}"}}"#
        ));
        assert_eq!(rows[0].intervals, [Interval::until(expected)], "{last_known}");
        assert!(!matches!(rows[0].fix_state, FixState::Fixed) || !events.is_empty(), "{last_known}");
    };
    check("< 2.3.1", "", IntervalEnd::Fixed("2.3.1".into()));
    check("<= 2.3.1", "", IntervalEnd::LastAffected("2.3.1".into()));
    check("> 2.3.1", "", IntervalEnd::Open);
    check("< 2.3.1", r#",{"fixed":"2.0.0"}"#, IntervalEnd::Fixed("2.0.0".into()));
}

#[test]
fn a_distribution_says_what_it_never_had() {
    let check = |ecosystem: &str, versions: &str, expected: Option<(KeyKind, bool)>| {
        let json = format!(
            r#"{{"id":"CGA-1","upstream":["CVE-1"],"affected":[{{"package":{{"ecosystem":"{ecosystem}","name":"syncthing-compat"}},
            "versions":{versions},"ranges":[{{"type":"ECOSYSTEM","events":[{{"introduced":"0"}},{{"fixed":"0"}}]}}]}}]}}"#
        );
        let mut records = Records::default();
        assert!(parse("a.json", json.as_bytes(), &feed("osv", &[]), &mut records).unwrap());
        let row = records.advisories[0].affected.first();
        assert_eq!(row.map(|row| (row.key, row.never_affected)), expected, "{ecosystem}");
    };
    check("Chainguard", "[]", Some((KeyKind::Binary, true)));
    check("Wolfi", "[]", Some((KeyKind::Binary, true)));
    check("Alpine:v3.20", "[]", Some((KeyKind::Source, true)));
    check("Wolfi", r#"["1-r0"]"#, Some((KeyKind::Binary, false)));
    check("npm", "[]", None);
}

#[test]
fn one_odd_value_does_not_lose_a_record() {
    let check = |fields: &str, expected: &[IntervalEnd]| {
        let ends: Vec<_> = rows_of(fields)[0].intervals.iter().map(|i| i.end.clone()).collect();
        assert_eq!(ends, expected, "{fields}");
    };
    let range =
        |fixed: &str| format!(r#""ranges":[{{"type":"SEMVER","events":[{{"introduced":"0"}},{{"fixed":{fixed}}}]}}]"#);
    check(&range("null"), &[IntervalEnd::Open]);
    check(&range("2"), &[IntervalEnd::Fixed("2".into())]);
    check(
        &format!(r#"{},"severity":[{{"type":"CVSS_V3","score":9.8}},{{"type":"CVSS_V3"}}]"#, range(r#""2.0.0""#)),
        &[IntervalEnd::Fixed("2.0.0".into())],
    );
}

#[test]
fn records_of_a_distribution_are_about_the_cve_in_their_name() {
    let check = |upstream: &str, expected: &[&str]| {
        let json = format!(r#"{{"id":"USN-1-1","upstream":{upstream},"affected":[]}}"#);
        let mut records = Records::default();
        assert!(parse("a.json", json.as_bytes(), &feed("ubuntu", &[]), &mut records).unwrap());
        assert_eq!(records.advisories[0].upstream, expected, "{upstream}");
    };
    check(r#"["UBUNTU-CVE-2021-2","CVE-2021-1"]"#, &["CVE-2021-1", "CVE-2021-2"]);
    check(r#"["CVE-2021-1","DEBIAN-CVE-2021-1"]"#, &["CVE-2021-1"]);
    check(r#"["GHSA-a-CVE-1","DSA-1"]"#, &["DSA-1", "GHSA-a-CVE-1"]);
}

#[test]
fn malicious_packages_are_a_class_of_their_own() {
    let check = |id: &str, aliases: &str, expected: (AdvisoryClass, Option<Severity>)| {
        let json = format!(
            r#"{{"id":"{id}","aliases":{aliases},"affected":[{{"package":{{"ecosystem":"npm","name":"a"}},"versions":["5.6.1"]}}]}}"#
        );
        let mut records = Records::default();
        assert!(parse("a.json", json.as_bytes(), &feed("osv", &[]), &mut records).unwrap());
        let advisory = &records.advisories[0];
        assert_eq!((advisory.class, advisory.ratings.first().map(|r| r.severity)), expected, "{id}");
    };
    check("MAL-2025-46969", "[]", (AdvisoryClass::Malware, Some(Severity::Critical)));
    check("GHSA-1", r#"["MAL-2025-46969"]"#, (AdvisoryClass::Malware, Some(Severity::Critical)));
    check("GHSA-1", "[]", (AdvisoryClass::Vulnerability, None));
}

#[test]
fn informational_records_are_a_class_of_their_own() {
    let check = |value: &str, expected: AdvisoryClass| {
        let json = format!(
            r#"{{"id":"RUSTSEC-1","affected":[{{"package":{{"ecosystem":"crates.io","name":"a"}},
            "ranges":[{{"type":"SEMVER","events":[{{"introduced":"0.0.0-0"}}]}}],"database_specific":{{"informational":{value}}}}}]}}"#
        );
        let mut records = Records::default();
        assert!(parse("a.json", json.as_bytes(), &feed("rustsec", &[]), &mut records).unwrap());
        assert_eq!((records.advisories[0].class, records.advisories[0].affected.len()), (expected, 1), "{value}");
    };
    check("null", AdvisoryClass::Vulnerability);
    check(r#""unmaintained""#, AdvisoryClass::Unmaintained);
    check(r#""unsound""#, AdvisoryClass::Unsound);
    check(r#""notice""#, AdvisoryClass::Notice);
    check(r#""something new""#, AdvisoryClass::Notice);
}

#[test]
fn yaml_is_the_same_record() {
    let yaml = "id: PYSEC-1\naliases:\n- CVE-1\naffected:\n- package:\n    name: Foo.Bar\n    ecosystem: PyPI\n  versions:\n  - 1.0\n  - '2.10'\n";
    let mut records = Records::default();
    assert!(parse("a.yaml", yaml.as_bytes(), &feed("pypa", &[]), &mut records).unwrap());
    let row = &records.advisories[0].affected[0];
    assert_eq!(
        (row.package.as_str(), row.versions.as_slice()),
        ("foo-bar", &["1.0".to_owned(), "2.10".to_owned()][..])
    );
}

#[test]
fn listed_versions_that_a_range_contains_are_dropped() {
    let check = |ecosystem: &str, versions: &str, expected: &[&str]| {
        let json = format!(
            r#"{{"id":"X-1","affected":[{{"package":{{"ecosystem":"{ecosystem}","name":"a"}},"versions":{versions},
            "ranges":[{{"type":"ECOSYSTEM","events":[{{"introduced":"0"}},{{"last_affected":"2.0"}}]}}]}}]}}"#
        );
        let mut records = Records::default();
        assert!(parse("a.json", json.as_bytes(), &feed("osv", &[]), &mut records).unwrap());
        assert_eq!(records.advisories[0].affected[0].versions, expected, "{ecosystem} {versions}");
    };
    check("npm", r#"["1.0.0","2.0.0","3.0.0"]"#, &["3.0.0"]);
    // Matching finds a local build in the range of its release, and a branch in no range.
    check("PyPI", r#"["2.0+cu128","2.1+cu128"]"#, &["2.1+cu128"]);
    check("Packagist", r#"["1.0","2.0.0","dev-main"]"#, &["dev-main"]);
}

#[test]
fn withdrawn_and_foreign_documents_say_nothing() {
    let check = |name: &str, text: &str, expected: Result<bool, ()>| {
        let mut records = Records::default();
        assert_eq!(parse(name, text.as_bytes(), &feed("osv", &[]), &mut records).map_err(drop), expected, "{name}");
        assert!(records.is_empty());
    };
    check("a.json", r#"{"id":"X","withdrawn":"2024-01-01T00:00:00Z"}"#, Ok(true));
    check("README.md", "# hi", Ok(false));
    check("a.json", "{", Err(()));
    check("schema.json", "{}", Ok(false));
}
