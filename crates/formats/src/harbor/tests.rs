//! What becomes of findings and gaps at Harbor.

use super::*;
use tidewaiter_core::advisory::{FixState, KnownExploited};
use tidewaiter_core::finding::InstalledPackage;
use tidewaiter_core::image::Digest;
use tidewaiter_core::package::Location;
use tidewaiter_core::policy::{Outcome, Verdict};
use tidewaiter_core::report::{DatabaseInfo, Gap, ImageInfo, Report};

fn inventory(byte: u8, gaps: &[(GapKind, &str, &str)]) -> Inventory {
    let digest = Digest::from_sha256([byte; 32]);
    let gap = |(kind, subject, message): &(GapKind, &str, &str)| Gap {
        kind: *kind,
        subject: (*subject).to_owned(),
        message: (*message).to_owned(),
    };
    Inventory {
        image: ImageInfo::new("r.example/a:1", digest.clone(), digest, "linux/amd64".parse().unwrap()),
        layers: vec![],
        os: None,
        packages: vec![],
        gaps: gaps.iter().map(gap).collect(),
    }
}

fn finding(vulnerability: &str, package: &str, severity: Severity) -> Finding {
    Finding {
        vulnerability: vulnerability.into(),
        package: package.into(),
        installed_version: "1".into(),
        severity,
        ..Finding::default()
    }
}

fn artifact() -> HarborArtifact {
    let digest = Digest::from_sha256([1; 32]).to_string();
    HarborArtifact { repository: "library/a".into(), digest, tag: Some("1".into()), mime_type: None }
}

fn stamp() -> Stamp {
    Stamp::new("0.0.0", "2026-02-01T12:00:00Z".parse().unwrap())
}

fn written(report: &Report, verdict: &Verdict, incomplete: Severity) -> Value {
    let mut out = Vec::new();
    let judged = JudgedReport { report, verdict };
    write_harbor_report(judged, &artifact(), incomplete, &stamp(), &mut out).unwrap();
    serde_json::from_slice(&out).unwrap()
}

fn of(findings: Vec<Finding>, gaps: &[(GapKind, &str, &str)]) -> Value {
    let report = Report::new(inventory(1, gaps), DatabaseInfo::default(), findings, vec![]);
    written(&report, &Verdict::of(Outcome::Pass), Severity::Critical)
}

/// `id severity` of each entry.
fn entries(report: &Value) -> Vec<String> {
    let entry = |item: &Value| format!("{} {}", item["id"].as_str().unwrap(), item["severity"].as_str().unwrap());
    report["vulnerabilities"].as_array().unwrap().iter().map(entry).collect()
}

#[test]
fn severities_are_those_of_the_specification() {
    let check = |severity: Severity, class: AdvisoryClass, expected: &str| {
        let report = of(vec![Finding { class, ..finding("CVE-1", "a", severity) }], &[]);
        assert_eq!(report["vulnerabilities"][0]["severity"], expected);
        // The worst of the report is that of its only entry.
        assert_eq!(report["severity"], expected);
    };
    check(Severity::Unknown, AdvisoryClass::Vulnerability, "Unknown");
    check(Severity::Negligible, AdvisoryClass::Vulnerability, "Negligible");
    check(Severity::Low, AdvisoryClass::Vulnerability, "Low");
    check(Severity::Medium, AdvisoryClass::Vulnerability, "Medium");
    check(Severity::High, AdvisoryClass::Vulnerability, "High");
    check(Severity::Critical, AdvisoryClass::Vulnerability, "Critical");
    // Without a rating, and the worst there is.
    check(Severity::Unknown, AdvisoryClass::Malware, "Critical");
}

#[test]
fn the_worst_comes_first_and_names_the_report() {
    use Severity::{Critical, Low, Unknown};
    let check = |findings: &[(&str, &str, Severity)], severity: &str, expected: &[&str]| {
        let findings = findings.iter().map(|(id, package, severity)| finding(id, package, *severity)).collect();
        let report = of(findings, &[]);
        assert_eq!(
            (report["severity"].as_str(), entries(&report)),
            (Some(severity), expected.iter().map(|e| (*e).to_owned()).collect())
        );
    };
    check(&[], "Unknown", &[]);
    check(&[("CVE-1", "a", Unknown), ("CVE-2", "a", Low)], "Low", &["CVE-2 Low", "CVE-1 Unknown"]);
    // Harbor refuses a report with the same triple twice.
    check(&[("CVE-1", "a", Low), ("CVE-1", "a", Critical)], "Critical", &["CVE-1 Critical"]);
    check(&[("CVE-1", "a", Low), ("CVE-1", "b", Low)], "Low", &["CVE-1 Low", "CVE-1 Low"]);
}

#[test]
fn a_finding_in_all_its_parts() {
    let rating = |source: &str, vector: &str| Rating::from_vector(source, vector).unwrap();
    let v3 = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H";
    let v2 = "AV:N/AC:L/Au:N/C:P/I:P/A:P";
    let report = of(
        vec![Finding {
            advisory: "DSA-1".into(),
            ecosystem: "Debian:12".into(),
            fixed_versions: vec!["2".into(), "3".into()],
            fix_state: FixState::Fixed,
            severity_source: "nvd".into(),
            ratings: vec![rating("nvd", v3), rating("nvd", v2)],
            kev: Some(KnownExploited { since: None }),
            summary: "one\u{0}two".into(),
            references: vec!["https://a.example/".into(), "javascript:alert(1)".into(), "https://a.example/x|y".into()],
            ..finding("CVE-2025-1", "curl", Severity::Critical)
        }],
        &[],
    );
    let expected = json!({
        "id": "CVE-2025-1", "package": "curl", "version": "1", "fix_version": "2", "severity": "Critical",
        "description": "one\u{fffd}two",
        "links": ["https://nvd.nist.gov/vuln/detail/CVE-2025-1", "https://a.example/"],
        "preferred_cvss": {"score_v3": 9.8, "vector_v3": v3, "score_v2": 7.5, "vector_v2": v2},
        "vendor_attributes": {
            "CVSS": {"nvd": {"V3Score": 9.8, "V3Vector": v3, "V2Score": 7.5, "V2Vector": v2}},
            "severity_source": "nvd", "fix_state": "fixed", "ecosystem": "Debian:12", "advisory": "DSA-1", "exploited": "known",
        },
    });
    assert_eq!(report["vulnerabilities"][0], expected);
    assert_eq!(report["scanner"], json!({"name": "tidewaiter", "vendor": "tidewaiter", "version": "0.0.0"}));
    assert_eq!(report["generated_at"], "2026-02-01T12:00:00Z");
    assert_eq!(report["artifact"]["tag"], "1");
}

#[test]
fn the_score_is_that_of_the_rating_that_counts() {
    let low = "CVSS:3.1/AV:L/AC:H/PR:H/UI:R/S:U/C:L/I:N/A:N";
    let high = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H";
    let check = |source: &str, ratings: &[(&str, &str)], expected: Option<&str>| {
        let ratings = ratings.iter().map(|(source, vector)| Rating::from_vector(source, vector).unwrap()).collect();
        let of = Finding { severity_source: source.into(), ratings, ..finding("CVE-1", "a", Severity::High) };
        assert_eq!(preferred_cvss(&of).vector_v3.as_deref(), expected, "{source}");
    };
    check("nvd", &[("ghsa", low), ("nvd", high)], Some(high));
    check("ghsa", &[("ghsa", low), ("nvd", high)], Some(low));
    check("debian", &[("nvd", high)], Some(high));
    check("nvd", &[("nvd", "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N")], None);
    check("nvd", &[], None);
}

/// Of two images with the same package, Harbor shows the texts of the first one for both.
#[test]
fn nothing_of_an_entry_is_the_images_own() {
    let installed = |path: &str| InstalledPackage {
        name: "a".into(),
        version: "1".into(),
        purl: "pkg:npm/a@1".into(),
        locations: vec![Location { path: path.into(), layer: 3 }],
    };
    let at = |path: &str| {
        let of = Finding { installed: vec![installed(path)], ..finding("CVE-1", "a", Severity::High) };
        serde_json::to_value(item(&of)).unwrap()
    };
    assert_eq!(at("secret/project/package.json"), at("app/package.json"));
}

#[test]
fn what_was_not_seen_is_an_entry_for_each_kind() {
    use GapKind::{NotCovered, UnreadableFile};
    let report = of(
        vec![finding("CVE-1", "a", Severity::High)],
        &[(NotCovered, "Maven", "no feed"), (UnreadableFile, "a", "cut off"), (UnreadableFile, "b", "cut off")],
    );
    assert_eq!(report["severity"], "Critical");
    assert_eq!(
        entries(&report),
        ["INCOMPLETE-NotCovered Critical", "INCOMPLETE-UnreadableFile Critical", "CVE-1 High"]
    );
    let files = &report["vulnerabilities"][1];
    assert_eq!(files["version"], "010101010101");
    let said = files["description"].as_str().unwrap();
    assert!(said.contains("cannot be called clean") && said.ends_with("a: cut off; b: cut off"), "{said}");
}

#[test]
fn many_gaps_are_counted() {
    let check = |count: usize, end: &str| {
        let lines: Vec<String> = (0..count).map(|i| format!("file {i}")).collect();
        assert!(described(&lines).ends_with(end), "{}", described(&lines));
    };
    check(1, "everything: file 0");
    check(20, "file 19");
    check(23, "file 19; and 3 more");
}

#[test]
fn an_incomplete_verdict_is_never_clean() {
    let report = Report::new(inventory(1, &[]), DatabaseInfo::default(), vec![], vec![]);
    let check = |verdict: &Verdict, incomplete: Severity, expected: &[&str]| {
        assert_eq!(entries(&written(&report, verdict, incomplete)), expected);
    };
    check(&Verdict::of(Outcome::Pass), Severity::Critical, &[]);
    check(&Verdict::of(Outcome::Incomplete), Severity::Critical, &["INCOMPLETE Critical"]);
    check(&Verdict::of(Outcome::Incomplete), Severity::Unknown, &["INCOMPLETE Unknown"]);
    // By the day: a database that is too old.
    let gap = Gap { kind: GapKind::OldDatabase, subject: "database".into(), message: "9 days".into() };
    let verdict = Verdict { gaps: vec![gap], ..Verdict::of(Outcome::Violated) };
    check(&verdict, Severity::High, &["INCOMPLETE-OldDatabase High"]);
}

#[test]
fn an_sbom_is_a_member_of_its_report() {
    let check = |format: SbomFormat, media_type: &str, member: &str, expected: &str| {
        let mut out = Vec::new();
        write_harbor_sbom(&inventory(1, &[]), &artifact(), (format, media_type), &stamp(), &mut out).unwrap();
        let report: Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(report["media_type"], media_type);
        assert_eq!(report["sbom"][member], expected, "{report}");
        assert_eq!(report["artifact"]["repository"], "library/a");
        assert_eq!(report["generated_at"], "2026-02-01T12:00:00Z");
    };
    check(SbomFormat::Spdx2, "application/spdx+json", "spdxVersion", "SPDX-2.3");
    check(SbomFormat::CycloneDx16, "application/vnd.cyclonedx+json", "specVersion", "1.6");
}
