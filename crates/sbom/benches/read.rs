//! Time of reading an SBOM of 50,000 components.
//!
//! `cargo bench -p tidewaiter-sbom`. Budget: 1 s, with matching (`docs/benchmarks.md`). divan prints the most memory that was
//! allocated at one time, too (`max alloc`): at most 128 MiB.
#![allow(clippy::unwrap_used, reason = "a benchmark may panic, and says why")]

use divan::{AllocProfiler, Bencher, counter::BytesCount};
use std::fmt::Write as _;

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

const COMPONENTS: usize = 50_000;

fn main() {
    divan::main();
}

#[divan::bench(sample_count = 10, sample_size = 1)]
fn cyclonedx(bencher: Bencher<'_, '_>) {
    read(
        bencher,
        &document(
            &|out, number| {
                write!(out, r#"{{"bom-ref":"{number}","type":"library","name":"package-{number}","version":"1.{number}","licenses":[{{"license":
            {{"id":"MIT"}}}}],"purl":"{}","properties":[{PROPERTIES}{{"name":"syft:location:0:path","value":"/a/{number}"}}]}}"#, purl(number))
            .unwrap();
            },
            r#"{"bomFormat":"CycloneDX","specVersion":"1.6","components":["#,
            "]}",
        ),
    );
}

#[divan::bench(sample_count = 10, sample_size = 1)]
fn cyclonedx_xml(bencher: Bencher<'_, '_>) {
    read(
        bencher,
        &document(
            &|out, number| {
                let purl = purl(number).replace('&', "&amp;");
                write!(out, r#"<component type="library"><name>package-{number}</name><version>1.{number}</version><purl>{purl}</purl>
            <properties><property name="syft:location:0:path">/a/{number}</property></properties></component>"#)
            .unwrap();
            },
            r#"<bom xmlns="http://cyclonedx.org/schema/bom/1.6"><components>"#,
            "</components></bom>",
        ),
    );
}

#[divan::bench(sample_count = 10, sample_size = 1)]
fn spdx(bencher: Bencher<'_, '_>) {
    read(
        bencher,
        &document(
            &|out, number| {
                write!(out, r#"{{"SPDXID":"SPDXRef-{number}","name":"package-{number}","versionInfo":"1.{number}","licenseConcluded":"NOASSERTION",
            "sourceInfo":"acquired package info from DPKG DB: /a/{number}","externalRefs":[{{"referenceCategory":"PACKAGE-MANAGER",
            "referenceType":"purl","referenceLocator":"{}"}}]}}"#, purl(number))
            .unwrap();
            },
            r#"{"spdxVersion":"SPDX-2.3","packages":["#,
            "]}",
        ),
    );
}

/// Facts that are not read, as tools write them.
const PROPERTIES: &str = r#"{"name":"syft:package:foundBy","value":"dpkg-db-cataloger"},{"name":"syft:package:type","value":"deb"},
    {"name":"syft:cpe23","value":"cpe:2.3:a:package:package:1:*:*:*:*:*:*:*"},"#;

/// Of every fifth package the name that a language's has.
fn purl(number: usize) -> String {
    match number % 5 {
        0 => format!("pkg:npm/%40scope/package-{number}@1.{number}.0"),
        _ => {
            format!("pkg:deb/debian/package-{number}@1.{number}-1?arch=amd64&distro=debian-12&upstream=source-{number}")
        }
    }
}

fn document(component: &dyn Fn(&mut String, usize), before: &str, after: &str) -> String {
    let mut out = before.to_owned();
    for number in 0..COMPONENTS {
        if number > 0 && before.ends_with('[') {
            out.push(',');
        }
        component(&mut out, number);
    }
    out + after
}

fn read(bencher: Bencher<'_, '_>, document: &str) {
    bencher.counter(BytesCount::of_str(document)).bench_local(|| {
        let inventory = tidewaiter_sbom::read(&mut document.as_bytes(), "FILE").unwrap();
        assert_eq!(inventory.packages.len(), COMPONENTS);
        inventory
    });
}
