//! One rich report in every format, against reviewed files in `snapshots/`: findings with and without fixes, suppressed ones,
//! gaps, several layers, two copies of a package, and names that are written to break each of the formats.
//!
//! Accept a change with `INSTA_UPDATE=always cargo test -p tidewaiter-formats --test formats`, and read the difference.
#![allow(clippy::unwrap_used, reason = "a test may panic, and says why")]

use jiff::Timestamp;
use serde_json::Value;
use std::fs;
use std::path::Path;
use tidewaiter_core::policy::{self, Outcome, Policy, Verdict};
use tidewaiter_core::report::Report;
use tidewaiter_formats::{JudgedReport, ReportFormat, SbomFormat, Stamp};

fn report() -> Report {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/report.json");
    serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
}

fn now() -> Timestamp {
    "2026-02-01T12:00:00.5Z".parse().unwrap()
}

fn stamp() -> Stamp {
    Stamp::new("0.0.0", now())
}

fn written(format: ReportFormat, report: &Report, verdict: &Verdict) -> String {
    let mut out = Vec::new();
    format.write(JudgedReport { report, verdict }, &stamp(), &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn a_rich_report() {
    let report = report();
    let verdict = policy::decide(&report, &Policy::default(), now());
    for format in ReportFormat::ALL {
        insta::assert_snapshot!(format.name(), written(format, &report, &verdict));
        assert_eq!(written(format, &report, &verdict), written(format, &report, &verdict), "{format} differs");
    }
}

#[test]
fn a_clean_report() {
    let mut report = report();
    report.inventory.gaps.clear();
    (report.findings, report.suppressed, report.informational) = (vec![], vec![], vec![]);
    let report = Report::new(report.inventory, report.database, vec![], vec![]);
    let verdict = policy::decide(&report, &Policy::default(), now());
    assert_eq!(verdict.outcome, Outcome::Pass);
    for format in ReportFormat::ALL {
        let text = written(format, &report, &verdict);
        // The style of HTML knows both verdicts.
        let word = if format == ReportFormat::Html { "cannot be called clean" } else { "incomplete" };
        assert!(!text.to_lowercase().contains(word), "{format}: {text}");
        assert!(!text.contains("CVE-"), "{format}: {text}");
    }
}

#[test]
fn every_format_says_that_a_scan_is_incomplete() {
    let report = report();
    let verdict = policy::decide(&report, &Policy::default(), now());
    for format in ReportFormat::ALL {
        let text = written(format, &report, &verdict);
        let word = match format {
            ReportFormat::Sarif => "\"executionSuccessful\": false",
            ReportFormat::Sbom(SbomFormat::CycloneDx | SbomFormat::CycloneDx16) => "\"aggregate\": \"incomplete\"",
            ReportFormat::Sbom(SbomFormat::Spdx2) => "This document is incomplete.",
            ReportFormat::Sbom(SbomFormat::Spdx3) => "\"completeness\": \"incomplete\"",
            ReportFormat::Junit => "<failure type=\"incomplete\"",
            ReportFormat::GitLab => "\"status\": \"failure\"",
            ReportFormat::DefectDojo => "is incomplete\",",
            ReportFormat::Markdown | ReportFormat::Html => "Incomplete: the image cannot be called clean",
            ReportFormat::Csv => ",gap,",
        };
        assert!(text.contains(word), "{format} does not say {word}");
        assert!(text.contains("no feed of the database is complete for Maven"), "{format} does not say why");
    }
}

#[test]
fn a_gap_of_the_day_is_one_too() {
    let clean = Report::new(report().inventory, report().database, vec![], vec![]);
    let mut clean = Report { complete: true, ..clean };
    clean.inventory.gaps.clear();
    let late = "2026-12-01T00:00:00Z".parse().unwrap();
    let verdict = policy::decide(&clean, &Policy::default(), late);
    assert_eq!(verdict.outcome, Outcome::Incomplete);
    for format in ReportFormat::ALL {
        let text = written(format, &clean, &verdict);
        assert!(text.contains("OldDatabase"), "{format}: {text}");
    }
}

/// As of a cluster, whose policy said so, and of whose verdict only the outcome is known.
#[test]
fn an_incomplete_verdict_is_enough() {
    let mut clean = report();
    clean.inventory.gaps.clear();
    let clean = Report::new(clean.inventory, clean.database, vec![], vec![]);
    for (format, word) in [
        (ReportFormat::Sarif, "\"executionSuccessful\": false"),
        (ReportFormat::Sbom(SbomFormat::CycloneDx), "\"aggregate\": \"incomplete\""),
        (ReportFormat::Sbom(SbomFormat::Spdx2), "This document is incomplete."),
        (ReportFormat::Junit, "<failure type=\"incomplete\""),
        (ReportFormat::GitLab, "\"status\": \"failure\""),
        (ReportFormat::DefectDojo, "is incomplete\","),
        (ReportFormat::Markdown, "cannot be called clean"),
        (ReportFormat::Html, "cannot be called clean"),
        (ReportFormat::Csv, ",gap,"),
    ] {
        let text = written(format, &clean, &Verdict::of(Outcome::Incomplete));
        assert!(text.contains(word), "{format}: {text}");
    }
}

#[test]
fn an_inventory_is_an_sbom_without_vulnerabilities() {
    let inventory = report().inventory;
    for format in SbomFormat::ALL {
        let mut out = Vec::new();
        format.write(&inventory, &stamp(), &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains("pkg:deb/debian/libcurl4@7.88.1-10"), "{text}");
        assert!(text.to_lowercase().contains("incomplete"), "{text}");
        assert!(!text.contains("CVE-"), "{text}");
    }
}

/// What DefectDojo's parser asks of each finding (dojo/tools/generic/json_parser.py): it refuses other fields, and fewer.
#[test]
fn defectdojo_gets_the_fields_that_it_knows() {
    const REQUIRED: [&str; 3] = ["title", "severity", "description"];
    const ALLOWED: [&str; 19] = [
        "mitigation",
        "impact",
        "steps_to_reproduce",
        "references",
        "vulnerability_ids",
        "cvssv3",
        "component_name",
        "component_version",
        "file_path",
        "active",
        "false_p",
        "risk_accepted",
        "is_mitigated",
        "static_finding",
        "dynamic_finding",
        "unique_id_from_tool",
        "vuln_id_from_tool",
        "date",
        "verified",
    ];
    let report = report();
    let verdict = policy::decide(&report, &Policy::default(), now());
    let document: Value = serde_json::from_str(&written(ReportFormat::DefectDojo, &report, &verdict)).unwrap();
    let findings = document["findings"].as_array().unwrap();
    assert_eq!(findings.len(), 1 + report.findings.len() + report.suppressed.len());
    let mut ids = std::collections::BTreeSet::new();
    for finding in findings.iter().map(|finding| finding.as_object().unwrap()) {
        assert!(
            REQUIRED.iter().all(|field| finding[*field].as_str().is_some_and(|text| !text.is_empty())),
            "{finding:?}"
        );
        let known = |field: &str| REQUIRED.contains(&field) || ALLOWED.contains(&field);
        assert!(finding.keys().all(|field| known(field)), "{finding:?}");
        let severity = finding["severity"].as_str().unwrap();
        assert!(["Critical", "High", "Medium", "Low", "Info"].contains(&severity), "{severity}");
        ids.insert(finding["unique_id_from_tool"].as_str().unwrap());
        // Markdown there: nothing of an image is read as such.
        let is_literal = |line: &str| line.is_empty() || line.starts_with("    ");
        let description = finding["description"].as_str().unwrap();
        let own = description.strip_prefix("The image cannot be called clean:").unwrap_or(description);
        let evidence = finding.get("steps_to_reproduce").and_then(Value::as_str).unwrap_or_default();
        assert!(own.lines().chain(evidence.lines()).all(is_literal), "{description} {evidence}");
        let states = ["active", "false_p", "risk_accepted", "is_mitigated"].map(|field| finding[field] == true);
        assert_eq!(states.iter().filter(|is| **is).count(), 1, "{finding:?}");
    }
    assert_eq!(ids.len(), findings.len());
}

/// It hashes these fields, where no setting says that it takes the id.
#[test]
fn defectdojo_recognizes_a_finding_of_another_tag() {
    let fields = |tag: &str, digest: &str| {
        let mut report = report();
        report.inventory.image.name = format!("registry.example/team/app:{tag}");
        report.inventory.image.digest = digest.parse().unwrap();
        let verdict = policy::decide(&report, &Policy::default(), now());
        let document: Value = serde_json::from_str(&written(ReportFormat::DefectDojo, &report, &verdict)).unwrap();
        let names = ["title", "file_path", "description", "unique_id_from_tool"];
        let of = |finding: &Value| names.map(|name| finding[name].as_str().unwrap_or_default().to_owned());
        let first = document["findings"][1]["steps_to_reproduce"].as_str().unwrap();
        assert!(first.contains(tag) && first.contains(digest), "{first}");
        document["findings"].as_array().unwrap().iter().map(of).collect::<Vec<_>>()
    };
    let digest = |digit: &str| format!("sha256:{}", digit.repeat(64));
    assert_eq!(fields("v1", &digest("1")), fields("v2", &digest("2")));
}

/// What GitLab's schema requires (container-scanning-report-format.json, of which no registry has a package).
#[test]
fn gitlab_gets_what_its_schema_requires() {
    let report = report();
    let verdict = policy::decide(&report, &Policy::default(), now());
    let document: Value = serde_json::from_str(&written(ReportFormat::GitLab, &report, &verdict)).unwrap();
    let text = |value: &Value, least: usize, most: usize| {
        let text = value.as_str().unwrap();
        assert!((least..=most).contains(&text.chars().count()), "{text:?}");
    };
    let scan = &document["scan"];
    assert_eq!((&scan["type"], &document["version"]), (&"container_scanning".into(), &"15.2.4".into()));
    for time in ["start_time", "end_time"] {
        let time = scan[time].as_str().unwrap();
        let form: String = time.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
        assert_eq!(form, "0000-00-00T00:00:00");
    }
    for program in ["analyzer", "scanner"] {
        ["id", "name", "version"].iter().for_each(|field| text(&scan[program][field], 1, 100));
        text(&scan[program]["vendor"]["name"], 1, 100);
    }
    for message in scan["messages"].as_array().unwrap() {
        assert!(["info", "warn", "fatal"].contains(&message["level"].as_str().unwrap()));
        text(&message["value"], 1, usize::MAX);
    }
    let all = document["vulnerabilities"].as_array().unwrap();
    assert_eq!(all.len(), report.findings.len());
    let mut ids = std::collections::BTreeSet::new();
    for vulnerability in all {
        assert!(ids.insert(vulnerability["id"].as_str().unwrap()), "twice: {vulnerability}");
        text(&vulnerability["name"], 1, 255);
        text(&vulnerability["description"], 0, 1_048_576);
        text(&vulnerability["solution"], 0, 7000);
        let severities = ["Info", "Unknown", "Low", "Medium", "High", "Critical"];
        assert!(severities.contains(&vulnerability["severity"].as_str().unwrap()));
        let identifiers = vulnerability["identifiers"].as_array().unwrap();
        assert!(!identifiers.is_empty());
        for identifier in identifiers {
            ["type", "name", "value"].iter().for_each(|field| text(&identifier[field], 1, usize::MAX));
        }
        let location = &vulnerability["location"];
        ["operating_system", "image"].iter().for_each(|field| text(&location[field], 1, usize::MAX));
        assert!(location["dependency"]["package"]["name"].is_string() && location["dependency"]["version"].is_string());
        for link in vulnerability["links"].as_array().into_iter().flatten() {
            assert!(link["url"].as_str().unwrap().starts_with("http"));
        }
    }
}

#[test]
fn fingerprints_outlive_versions_and_layers() {
    let fingerprints = |report: &Report| {
        let verdict = Verdict::of(Outcome::Violated);
        let log: Value = serde_json::from_str(&written(ReportFormat::Sarif, report, &verdict)).unwrap();
        let results = log["runs"][0]["results"].as_array().unwrap().clone();
        results.iter().map(|result| result["partialFingerprints"].clone()).collect::<Vec<_>>()
    };
    let before = fingerprints(&report());
    let mut rebuilt = report();
    rebuilt.database.id = "another".into();
    rebuilt.inventory.image.name = "registry.example/team/app:v2".into();
    rebuilt.inventory.layers.reverse();
    for finding in &mut rebuilt.findings {
        finding.installed_version.push_str(".1");
        finding.installed.iter_mut().flat_map(|i| &mut i.locations).for_each(|location| location.layer += 1);
    }
    assert_eq!(fingerprints(&rebuilt), before);
    let mut unique = before.clone();
    unique.sort_by_key(ToString::to_string);
    unique.dedup();
    assert_eq!(unique.len(), before.len(), "two results have one fingerprint");
    let mut moved = report();
    moved.findings[0].installed[0].locations[0].path.push('2');
    assert_ne!(fingerprints(&moved), before);
}

#[test]
fn a_long_table_is_cut_and_says_so() {
    let mut report = report();
    report.findings = std::iter::repeat_n(report.findings[0].clone(), 2000).collect();
    report.inventory.gaps = std::iter::repeat_n(report.inventory.gaps[0].clone(), 2000).collect();
    report.suppressed = std::iter::repeat_n(report.suppressed[0].clone(), 2000).collect();
    let text = written(ReportFormat::Markdown, &report, &Verdict::of(Outcome::Violated));
    assert!(text.len() < 65_536, "{}", text.len());
    for what in ["gaps", "findings", "suppressed findings"] {
        assert!(text.contains(&format!(" more {what} are not shown: this text ends at 60000 bytes.")), "{what}");
    }
}

#[cfg(feature = "templates")]
#[test]
fn templates_see_the_report_and_the_verdict() {
    let report = report();
    let verdict = policy::decide(&report, &Policy::default(), now());
    let render = |name: &str, source: &str| {
        use tidewaiter_formats::ReportTemplate;
        let template = ReportTemplate::parse(name, source).map_err(|e| e.to_string())?;
        template.render(JudgedReport { report: &report, verdict: &verdict }, &stamp()).map_err(|e| e.to_string())
    };
    let check = |name: &str, source: &str, expected: Result<&str, &str>| {
        let rendered = render(name, source);
        assert_eq!(rendered.as_deref().map_err(String::as_str), expected, "{source}");
    };
    check(
        "a.txt",
        "{{ image.name }} {{ verdict.outcome }} {{ written }} {{ version }}\n",
        Ok("registry.example/team/app:v1 Violated 2026-02-01T12:00:00Z 0.0.0\n"),
    );
    check(
        "a.txt",
        "{% for f in findings if f.severity == 'CRITICAL' %}\n{{ f.vulnerability }} {{ f.fixedVersions[0] }}\n{% endfor %}\n",
        Ok("CVE-2025-0001 1:1.2.13.dfsg-1+deb12u1\n"),
    );
    // Of docs/formats.md.
    check("example.j2", include_str!("example.j2"), Ok("CVE-2025-0001 zlib 1:1.2.13.dfsg-1+deb12u1\n"));
    check("a.html", "{{ findings[5].package[:4] }}", Ok("&lt;img"));
    check("a.txt", "{{ findings[5].package[:4] }}", Ok("<img"));
    check("a.txt", "{{ findings[2].kev | default('-') }}", Ok("-"));
    check("a.txt", "x\n  {{ findings[0].kevv }}", Err("a.txt:2:6: undefined value: `findings[0].kevv` is undefined"));
    check("a.txt", "{{ image.name | nosuch }}", Err("a.txt:1:17: unknown filter: filter nosuch is unknown"));
}
