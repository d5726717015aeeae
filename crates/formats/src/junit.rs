//! JUnit XML, as Jenkins, GitLab and others show test results: a finding is a failed test, a suppressed one is skipped, and two
//! tests are about the whole: that the scan is complete, and that policy is fulfilled.

use crate::stamp::{Stamp, TOOL};
use crate::text::printable;
use crate::view::{self, JudgedReport, ShownFinding};
use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};
use std::io::{self, Write};
use tidewaiter_core::finding::Finding;
use tidewaiter_core::policy::Outcome;

type Xml<'a> = Writer<&'a mut dyn Write>;

/// How a test ended, with a line and a text.
struct TestResult {
    element: &'static str,
    kind: &'static str,
    message: String,
    text: String,
}

pub(crate) fn write(judged: JudgedReport<'_>, stamp: &Stamp, out: &mut dyn Write) -> io::Result<()> {
    let (complete, policy) = (completeness(judged), policy(judged));
    let findings = judged.report.findings.len();
    let skipped = judged.report.suppressed.len();
    let failures = findings + usize::from(complete.is_some()) + usize::from(policy.is_some());
    let tests = (findings + skipped + 2).to_string();
    let counts = [("tests", tests), ("failures", failures.to_string()), ("errors", "0".to_owned())];
    let counts = || counts.iter().map(|(name, value)| (*name, value.as_str()));
    let image = printable(&judged.report.inventory.image.name);
    let (skipped, time) = (skipped.to_string(), stamp.rfc3339());
    // The schema of Jenkins has no zone.
    let suite = [("name", image.as_ref()), ("skipped", &skipped), ("timestamp", time.trim_end_matches('Z'))];
    let mut xml = Writer::new_with_indent(out, b' ', 2);
    xml.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let suites = xml.create_element("testsuites").with_attribute(("name", TOOL)).with_attributes(counts());
    suites.write_inner_content(|xml| {
        let suite = xml.create_element("testsuite").with_attributes(suite).with_attributes(counts());
        suite.write_inner_content(|xml| {
            properties(xml, judged, stamp)?;
            case(xml, TOOL, "the scan is complete", complete)?;
            case(xml, TOOL, "the policy is fulfilled", policy)?;
            judged.findings().try_for_each(|shown| finding_case(xml, shown))
        })?;
        Ok(())
    })?;
    xml.into_inner().write_all(b"\n")
}

fn properties(xml: &mut Xml<'_>, judged: JudgedReport<'_>, stamp: &Stamp) -> io::Result<()> {
    let image = &judged.report.inventory.image;
    let (platform, policy) = (image.platform.to_string(), judged.verdict.outcome.to_string());
    let all = [
        ("digest", image.digest.as_str()),
        ("platform", &platform),
        ("policy", &policy),
        ("database", &judged.report.database.id),
        ("version", stamp.version),
    ];
    let list = xml.create_element("properties").write_inner_content(|xml| {
        all.iter().try_for_each(|(name, value)| {
            let property = xml.create_element("property").with_attribute(("name", *name));
            property.with_attribute(("value", printable(value))).write_empty().map(|_| ())
        })
    });
    list.map(|_| ())
}

/// Fails where the scan did not see everything.
fn completeness(judged: JudgedReport<'_>) -> Option<TestResult> {
    let lines = judged.gap_lines();
    (!judged.is_complete()).then(|| TestResult {
        element: "failure",
        kind: "incomplete",
        message: "the scan is incomplete: the image cannot be called clean".to_owned(),
        text: lines.join("\n"),
    })
}

fn policy(judged: JudgedReport<'_>) -> Option<TestResult> {
    let verdict = judged.verdict;
    (verdict.outcome != Outcome::Pass).then(|| TestResult {
        element: "failure",
        kind: "policy",
        message: format!("policy: {}", verdict.outcome),
        text: verdict.reasons.join("\n"),
    })
}

fn finding_case(xml: &mut Xml<'_>, shown: ShownFinding<'_>) -> io::Result<()> {
    let finding = shown.finding;
    let name = format!("{} in {} {}", finding.vulnerability, finding.package, finding.installed_version);
    let result = match shown.suppressed {
        Some(suppressed) => TestResult {
            element: "skipped",
            kind: view::suppression(suppressed.status),
            message: format!("{} ({})", suppressed.reason, suppressed.source),
            text: String::new(),
        },
        None => TestResult {
            element: "failure",
            kind: view::level(finding),
            message: format!("{}: {}", view::level(finding), view::remedy(finding)),
            text: details(finding),
        },
    };
    case(xml, &finding.ecosystem.to_string(), &name, Some(result))
}

fn details(finding: &Finding) -> String {
    let places = finding.installed.iter().flat_map(|installed| {
        installed.locations.iter().map(|place| format!("{} in {}{}", installed.purl, place.path, view::in_layer(place)))
    });
    let lines = [finding.summary.clone(), finding.because.clone()].into_iter().chain(places);
    lines
        .chain(crate::link::of_finding(finding).map(Into::into))
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join("\n")
}

fn case(xml: &mut Xml<'_>, class: &str, name: &str, result: Option<TestResult>) -> io::Result<()> {
    let case = xml.create_element("testcase").with_attribute(("classname", printable(class)));
    let case = case.with_attribute(("name", printable(name))).with_attribute(("time", "0"));
    let Some(result) = result else { return case.write_empty().map(|_| ()) };
    let written = case.write_inner_content(|xml| {
        let element = xml.create_element(result.element).with_attribute(("type", result.kind));
        let element = element.with_attribute(("message", printable(&result.message)));
        if result.text.is_empty() {
            return element.write_empty().map(|_| ());
        }
        let lines: Vec<_> = result.text.lines().map(printable).collect();
        element.write_text_content(BytesText::new(&lines.join("\n"))).map(|_| ())
    });
    written.map(|_| ())
}
