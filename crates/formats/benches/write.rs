//! Time of writing one report with 5,000 findings and 10,000 packages in each format.
//!
//! `cargo bench -p tidewaiter-formats --features templates`. Budget: 150 ms for each (`docs/benchmarks.md`). divan prints the most memory that was
//! allocated at one time, too (`max alloc`): at most 64 MiB.
#![allow(clippy::unwrap_used, reason = "a benchmark may panic, and says why")]

use divan::{AllocProfiler, Bencher, black_box};
use jiff::Timestamp;
use std::io;
use tidewaiter_core::finding::{Finding, InstalledPackage};
use tidewaiter_core::image::Digest;
use tidewaiter_core::package::{Location, Package, PackageType};
use tidewaiter_core::policy::{self, Policy};
use tidewaiter_core::report::{DatabaseInfo, ImageInfo, Inventory, LayerInfo, Report};
use tidewaiter_core::severity::{Rating, Severity};
#[cfg(feature = "templates")]
use tidewaiter_formats::ReportTemplate;
use tidewaiter_formats::{JudgedReport, ReportFormat, Stamp};

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

const PACKAGES: usize = 10_000;
const FINDINGS: usize = 5_000;

fn main() {
    divan::main();
}

#[divan::bench(args = ReportFormat::ALL, sample_count = 10, sample_size = 1)]
fn write(bencher: Bencher<'_, '_>, format: ReportFormat) {
    let (report, stamp) = (report(), Stamp::new("0.0.0", now()));
    let verdict = policy::decide(&report, &Policy::default(), now());
    bencher.bench_local(|| {
        let judged = JudgedReport { report: black_box(&report), verdict: &verdict };
        format.write(judged, &stamp, &mut io::sink()).unwrap();
    });
}

#[cfg(feature = "templates")]
#[divan::bench(sample_count = 10, sample_size = 1)]
fn template(bencher: Bencher<'_, '_>) {
    let (report, stamp) = (report(), Stamp::new("0.0.0", now()));
    let verdict = policy::decide(&report, &Policy::default(), now());
    let source = "{% for f in findings %}{{ f.vulnerability }} {{ f.package }} {{ f.severity }}\n{% endfor %}";
    let template = ReportTemplate::parse("report.txt", source).unwrap();
    bencher.bench_local(|| {
        let judged = JudgedReport { report: black_box(&report), verdict: &verdict };
        template.render(judged, &stamp).unwrap()
    });
}

fn now() -> Timestamp {
    "2026-06-01T00:00:00Z".parse().unwrap()
}

fn report() -> Report {
    let digest = Digest::from_sha256([1; 32]);
    let image =
        ImageInfo::new("registry.example/team/app:v1", digest.clone(), digest.clone(), "linux/amd64".parse().unwrap());
    let layer = LayerInfo { digest: digest.clone(), diff_id: digest, size: 1, created_by: Some("COPY . /app".into()) };
    let packages: Vec<Package> = (0..PACKAGES).map(package).collect();
    let inventory = Inventory { image, layers: vec![layer; 20], os: None, packages, gaps: vec![] };
    let findings = (0..FINDINGS).map(finding).collect();
    let database = DatabaseInfo { built: Some(now()), ..DatabaseInfo::default() };
    Report::new(inventory, database, findings, vec![])
}

fn package(number: usize) -> Package {
    let path = format!("app/node_modules/@scope{}/package{number}/package.json", number % 10);
    let locations = vec![Location { path, layer: number % 20 }];
    Package { locations, ..Package::new(PackageType::Npm, format!("@scope{}/package{number}", number % 10), "1.2.3") }
}

/// One of a real size: two ratings, references, a sentence.
fn finding(number: usize) -> Finding {
    let package = package(number * 2);
    let purl = package.purl(None);
    let vector = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H";
    Finding {
        vulnerability: format!("CVE-2025-{}", number / 2),
        advisory: format!("GHSA-aaaa-bbbb-{number:04}"),
        aliases: vec![format!("GHSA-aaaa-bbbb-{number:04}")],
        ecosystem: "npm".into(),
        package: package.name.clone(),
        installed_version: package.version.clone(),
        installed: vec![InstalledPackage {
            name: package.name.clone(),
            version: package.version.clone(),
            purl,
            locations: package.locations,
        }],
        fixed_versions: vec!["1.2.4".into(), "2.0.0".into()],
        severity: [Severity::Critical, Severity::High, Severity::Medium, Severity::Low][number % 4],
        severity_source: "ghsa".into(),
        ratings: ["ghsa", "nvd"].iter().filter_map(|source| Rating::from_vector(source, vector)).collect(),
        summary: "A regular expression in the parser takes quadratic time, so that a long line stops the process"
            .into(),
        references: (0..3).map(|n| format!("https://advisories.example/{number}/{n}")).collect(),
        because: format!("{} 1.2.3 < 1.2.4 (fixed)", package.name),
        feed: "ghsa".into(),
        ..Finding::default()
    }
}
