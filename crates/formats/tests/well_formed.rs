//! Every format of any report can be read back: names, versions, paths and messages are arbitrary text.
#![allow(clippy::unwrap_used, reason = "a test may panic, and says why")]

use jiff::Timestamp;
use proptest::prelude::*;
use quick_xml::Reader;
use quick_xml::events::Event;
use std::fs;
use std::path::Path;
use tidewaiter_core::finding::{Finding, InstalledPackage, SuppressedFinding, SuppressionStatus};
use tidewaiter_core::package::{Location, Package, PackageType};
use tidewaiter_core::policy::{self, Policy};
use tidewaiter_core::report::{Gap, GapKind, Report};
use tidewaiter_core::severity::Severity;
use tidewaiter_formats::{JudgedReport, ReportFormat, Stamp};

/// Text as images and advisories may hold it, with what formats give a meaning more often than chance would.
fn text() -> impl Strategy<Value = String> {
    let special = "[<>&\"'`|\\\\,;=+@\\-{}\\[\\]\n\r\t #*_!%/:.a-c0-9\u{0}\u{1b}\u{85}\u{202e}\u{fffe}ä漢]{0,12}";
    prop_oneof![special, any::<String>(), Just("]]></script><!--".to_owned())]
}

fn severity() -> impl Strategy<Value = Severity> {
    prop::sample::select(Severity::WORST_FIRST.to_vec())
}

prop_compose! {
    fn package()(kind in prop::sample::select(vec![PackageType::Deb, PackageType::Npm, PackageType::Maven, PackageType::Golang]),
        name in text(), version in text(), path in text(), layer in 0_usize..4) -> Package {
        Package { locations: vec![Location { path, layer }], ..Package::new(kind, name, version) }
    }
}

prop_compose! {
    fn finding(packages: Vec<Package>)(package in prop::sample::select(packages), severity in severity(), texts in prop::array::uniform6(text())) -> Finding {
        let [vulnerability, advisory, summary, reference, because, fixed] = texts;
        Finding {
            vulnerability, advisory, summary, because, severity,
            ecosystem: "npm".into(),
            package: package.name.clone(),
            installed_version: package.version.clone(),
            installed: vec![InstalledPackage {
                name: package.name.clone(),
                version: package.version.clone(),
                purl: package.purl(None),
                locations: package.locations,
            }],
            fixed_versions: vec![fixed],
            references: vec![reference],
            ..Finding::default()
        }
    }
}

fn report() -> impl Strategy<Value = Report> {
    let packages = prop::collection::vec(package(), 1..6);
    let with_findings = packages.prop_flat_map(|packages| {
        let findings = prop::collection::vec(finding(packages.clone()), 0..6);
        let suppressed = prop::collection::vec(finding(packages.clone()), 0..3);
        (Just(packages), findings, suppressed, prop::collection::vec((text(), text()), 0..3), text())
    });
    with_findings.prop_map(|(packages, findings, suppressed, gaps, name)| {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/report.json");
        let rich: Report = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
        let mut inventory = rich.inventory;
        inventory.packages = packages;
        inventory.image.name = name;
        inventory.gaps =
            gaps.into_iter().map(|(subject, message)| Gap { kind: GapKind::Unclear, subject, message }).collect();
        let suppress = |finding: Finding| SuppressedFinding {
            reason: finding.because.clone(),
            source: finding.advisory.clone(),
            status: SuppressionStatus::Accepted,
            finding,
        };
        let suppressed = suppressed.into_iter().map(suppress).collect();
        Report { suppressed, ..Report::new(inventory, rich.database, findings, vec![]) }
    })
}

proptest! {
    #[test]
    fn documents_are_read_back(report in report()) {
        let now: Timestamp = "2026-02-01T12:00:00Z".parse().unwrap();
        let verdict = policy::decide(&report, &Policy::default(), now);
        for format in ReportFormat::ALL {
            let mut out = Vec::new();
            format.write(JudgedReport { report: &report, verdict: &verdict }, &Stamp::new("0", now), &mut out).unwrap();
            let text = String::from_utf8(out).unwrap();
            match format {
                ReportFormat::Sarif | ReportFormat::Sbom(_) | ReportFormat::GitLab | ReportFormat::DefectDojo => {
                    serde_json::from_str::<serde_json::Value>(&text).unwrap();
                }
                ReportFormat::Junit => xml(&text, &report),
                ReportFormat::Csv => csv(&text, &report),
                ReportFormat::Markdown => markdown(&text, &report),
                ReportFormat::Html => html(&text, &report),
            }
        }
    }
}

/// Each element ends, its attributes are well-formed, and there is a test for each finding.
fn xml(text: &str, report: &Report) {
    let mut reader = Reader::from_str(text);
    let (mut depth, mut cases) = (0, 0);
    loop {
        match reader.read_event().unwrap() {
            Event::Eof => break,
            Event::Start(start) => {
                depth += 1;
                cases += usize::from(start.name().as_ref() == "testcase");
                start.attributes().for_each(|attribute| drop(attribute.unwrap()));
            }
            Event::Empty(empty) => {
                cases += usize::from(empty.name().as_ref() == "testcase");
                empty.attributes().for_each(|attribute| drop(attribute.unwrap()));
            }
            Event::End(_) => depth -= 1,
            _ => {}
        }
    }
    assert_eq!((depth, cases), (0, 2 + report.findings.len() + report.suppressed.len()));
    // XML 1.0 has no controls, not even as references.
    assert!(text.chars().all(|c| !c.is_control() || c == '\n'), "{text:?}");
}

/// Every record has as many fields as the head, and none begins as a formula does.
fn csv(text: &str, report: &Report) {
    let records: Vec<Vec<String>> = text.strip_suffix("\r\n").unwrap().split("\r\n").map(fields).collect();
    assert_eq!(records.len(), 1 + report.findings.len() + report.suppressed.len() + report.inventory.gaps.len());
    for record in &records {
        assert_eq!(record.len(), records[0].len(), "{record:?}");
        assert!(!record.iter().any(|field| field.starts_with(['=', '+', '-', '@'])), "{record:?}");
    }
}

/// The fields of a record by the grammar of RFC 4180.
fn fields(record: &str) -> Vec<String> {
    let (mut fields, mut rest) = (Vec::new(), record);
    loop {
        let Some(quoted) = rest.strip_prefix('"') else {
            let (field, after) = rest.split_once(',').map_or((rest, None), |(field, after)| (field, Some(after)));
            assert!(!field.contains('"'), "{record}");
            fields.push(field.to_owned());
            match after {
                Some(after) => rest = after,
                None => return fields,
            }
            continue;
        };
        let marks: Vec<usize> = quoted.match_indices('"').map(|(at, _)| at).collect();
        let mut at = 0;
        // Two marks are one; a single one ends the field.
        while marks.get(at + 1) == Some(&(marks[at] + 1)) {
            at += 2;
        }
        let end = marks[at];
        fields.push(quoted[..end].replace("\"\"", "\""));
        match quoted[end + 1..].strip_prefix(',') {
            Some(after) => rest = after,
            None => {
                assert!(quoted[end + 1..].is_empty(), "{record}");
                return fields;
            }
        }
    }
}

/// The table has its rows and each of them its cells, and nothing in it is HTML or a mention of somebody.
fn markdown(text: &str, report: &Report) {
    let rows = text.lines().filter(|line| line.starts_with("| ")).skip(1);
    let mut count = 0;
    for row in rows {
        count += 1;
        let bars = row.char_indices().filter(|(at, c)| *c == '|' && !row[..*at].ends_with('\\')).count();
        assert_eq!(bars, 8, "{row}");
    }
    assert_eq!(count, report.findings.len());
    let allowed = ["<code>", "</code>", "<details>", "</details>", "<summary>", "</summary>"];
    let rest = allowed.iter().fold(text.to_owned(), |text, element| text.replace(element, ""));
    assert!(!rest.contains('<'), "{rest}");
}

/// Elements are ours alone, and every row is there.
fn html(text: &str, report: &Report) {
    let rows = text.matches("<tr data-severity=").count();
    assert_eq!(rows, report.findings.len());
    assert_eq!(text.matches("<script>").count(), 1);
    assert_eq!(text.matches("</script>").count(), 1);
    let ours = [
        "html", "head", "meta", "title", "style", "body", "header", "h1", "h2", "main", "p", "strong", "ul", "li",
        "dl", "div", "dt", "dd", "section", "form", "label", "input", "fieldset", "legend", "output", "table",
        "caption", "thead", "tbody", "tr", "th", "td", "span", "details", "summary", "code", "a", "ol", "br", "footer",
        "script", "!DOCTYPE",
    ];
    let (before, script) = text.split_once("<script>").unwrap();
    assert!(script.trim_end().ends_with("</html>"));
    for element in before.split('<').skip(1) {
        let name = element.trim_start_matches('/').split([' ', '>', '\n']).next().unwrap();
        assert!(ours.contains(&name), "{name}");
    }
    assert!(!before.contains("javascript:"), "{before}");
}
