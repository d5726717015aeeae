//! Time of judging stored reports: 5,000 of 200 findings each, by a policy with ten rules.
//!
//! `cargo bench -p tidewaiter-core`. Budget: 2 s for all of them (`docs/benchmarks.md`). Fifty different reports are judged a hundred
//! times, so that memory holds them.
#![allow(clippy::unwrap_used, reason = "a benchmark may panic, and says why")]

use divan::{Bencher, black_box};
use jiff::Timestamp;
use serde_json::json;
use tidewaiter_core::finding::{Finding, InstalledPackage};
use tidewaiter_core::image::Digest;
use tidewaiter_core::package::Location;
use tidewaiter_core::policy::{Outcome, Policy};
use tidewaiter_core::report::{DatabaseInfo, FeedContent, ImageInfo, Inventory, Report};
use tidewaiter_core::severity::Severity;

const DIFFERENT: usize = 50;
const TIMES: usize = 100;
const FINDINGS: usize = 200;

fn main() {
    divan::main();
}

#[divan::bench(sample_count = 5, sample_size = 1)]
fn judge_5000_reports(bencher: Bencher<'_, '_>) {
    let (reports, policy, now) = (reports(), policy(), now());
    bencher.bench_local(|| {
        let compiled = black_box(&policy).compile();
        let all = (0..TIMES).flat_map(|_| &reports).map(|report| compiled.decide(black_box(report), now).outcome);
        assert_eq!(all.filter(|outcome| *outcome == Outcome::Violated).count(), DIFFERENT * TIMES);
    });
}

/// A rule with an expression, which every finding of a severity is asked for.
#[divan::bench(sample_count = 3, sample_size = 1)]
fn judge_5000_reports_by_a_condition(bencher: Bencher<'_, '_>) {
    let rules = json!([{"name": "condition", "condition": "finding.epss > 0.99 || size(finding.fixedVersions) == 9"}]);
    let policy: Policy = serde_json::from_value(json!({"blockAt": "NEVER", "rules": rules})).unwrap();
    let (reports, now) = (reports(), now());
    bencher.bench_local(|| {
        let compiled = black_box(&policy).compile();
        let all = (0..TIMES).flat_map(|_| &reports).map(|report| compiled.decide(black_box(report), now).outcome);
        assert_eq!(all.filter(|outcome| *outcome == Outcome::Violated).count(), 0);
    });
}

/// As `kubectl scan policy test` does it on one thread: reads the JSON of each report, and judges it by two policies.
#[divan::bench(sample_count = 3, sample_size = 1)]
fn read_and_judge_5000_reports_twice(bencher: Bencher<'_, '_>) {
    let texts: Vec<String> = reports().iter().map(|report| serde_json::to_string(report).unwrap()).collect();
    let (before, after, now) = (Policy::default(), policy(), now());
    bencher.bench_local(|| {
        let (before, after) = (before.compile(), after.compile());
        let blocked = (0..TIMES).flat_map(|_| &texts).filter(|text| {
            let report: Report = serde_json::from_str(black_box(text)).unwrap();
            before.decide(&report, now).outcome == Outcome::Pass && after.decide(&report, now).outcome != Outcome::Pass
        });
        assert_eq!(blocked.count(), DIFFERENT * TIMES);
    });
}

fn now() -> Timestamp {
    "2026-06-01T00:00:00Z".parse().unwrap()
}

/// Every criterion, also those that most findings are compared with in full: none of the first nine selects anything.
fn policy() -> Policy {
    let purls: Vec<String> = (0..10).map(|n| format!("pkg:npm/%40scope{n}/package{n}")).collect();
    let rules = json!([
        {"name": "kev", "knownExploited": true},
        {"name": "epss", "epss": 0.99},
        {"name": "score", "cvss": 9.9},
        {"name": "fixed", "severity": "CRITICAL", "fixAvailable": true},
        {"name": "young", "daysSincePublished": 9000},
        {"name": "purls", "packages": purls},
        {"name": "names", "packages": ["*-exec", "lib*-dev", "**/x"]},
        {"name": "paths", "paths": ["/opt/vendor/**", "**/secret/*.jar"]},
        {"name": "both", "packages": ["pkg:npm/none"], "paths": ["/app/**"]},
        {"name": "here", "packages": ["package199"], "paths": ["/app/**"]},
    ]);
    serde_json::from_value(json!({"blockAt": "NEVER", "rules": rules})).unwrap()
}

fn reports() -> Vec<Report> {
    (0..DIFFERENT).map(report).collect()
}

fn report(number: usize) -> Report {
    let digest = Digest::from_sha256([u8::try_from(number).unwrap(); 32]);
    let image = ImageInfo::new("registry.example/team/app:v1", digest.clone(), digest, "linux/amd64".parse().unwrap());
    let inventory = Inventory { image, layers: vec![], os: None, packages: vec![], gaps: vec![] };
    let facts = vec![FeedContent::Ratings, FeedContent::KnownExploited, FeedContent::ExploitProbability];
    let database = DatabaseInfo { built: Some(now()), facts, ..DatabaseInfo::default() };
    Report::new(inventory, database, (0..FINDINGS).map(finding).collect(), vec![])
}

fn finding(number: usize) -> Finding {
    let severities = [Severity::Low, Severity::Medium, Severity::High];
    let locations = vec![Location { path: format!("app/node_modules/package{number}/package.json"), layer: 1 }];
    Finding {
        vulnerability: format!("CVE-2026-{number:04}"),
        package: format!("package{number}"),
        installed_version: "1.0.0".to_owned(),
        severity: severities[number % 3],
        published: "2026-01-01".parse().ok(),
        installed: vec![InstalledPackage {
            name: format!("package{number}"),
            version: "1.0.0".to_owned(),
            purl: format!("pkg:npm/package{number}@1.0.0"),
            locations,
        }],
        ..Finding::default()
    }
}
