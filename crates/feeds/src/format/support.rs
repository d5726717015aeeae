//! Until when releases get security fixes: distro-info-data (CSV) and endoflife.date (its API, JSON, and its pages, YAML
//! before Markdown).
//!
//! Dates are stored as published, and compared with the day when a report is evaluated or shown.

use super::debian_tracker;
use super::{FeedContext, Problem, Records};
use jiff::civil::Date;
use serde::Deserialize;
use serde_json::Value;
use tidewaiter_core::ecosystem::{Ecosystem, Os};
use tidewaiter_core::report::SupportPeriod;

/// Reads `debian.csv` or `ubuntu.csv`.
///
/// # Errors
/// When its header names no version or end of life.
pub(super) fn distro_info(name: &str, bytes: &[u8], _: &FeedContext, records: &mut Records) -> Result<bool, Problem> {
    let file = name.rsplit('/').next().unwrap_or(name);
    let distribution = match file {
        "debian.csv" => "debian",
        "ubuntu.csv" => "ubuntu",
        _ => return Ok(false),
    };
    let text = std::str::from_utf8(bytes).map_err(|e| e.to_string())?;
    let mut lines = text.lines().map(|line| line.split(',').map(str::trim).collect::<Vec<_>>());
    let header = lines.next().unwrap_or_default();
    let column = |name: &str| header.iter().position(|field| *field == name);
    let (Some(version), Some(series), Some(eol)) = (column("version"), column("series"), column("eol")) else {
        return Err("it has no columns version, series and eol".to_owned());
    };
    let longer = ["eol-lts", "eol-esm"].iter().find_map(|name| column(name));
    for line in lines {
        let field = |at: usize| line.get(at).copied().filter(|f| !f.is_empty());
        let date = |column: usize| field(column).and_then(day);
        let Some(until) = date(eol) else { continue };
        let ecosystem = match (distribution, field(version), field(series)) {
            ("debian", _, Some(series)) => Some(debian_tracker::ecosystem(series)),
            ("ubuntu", Some(version), _) => release("ubuntu", version.split(' ').next().unwrap_or(version)),
            _ => None,
        };
        records.support.extend(ecosystem.map(|e| support(e, until, longer.and_then(date))));
    }
    Ok(true)
}

/// A product's page, and a product of the API.
#[derive(Deserialize)]
struct Product {
    #[serde(default)]
    name: String,
    #[serde(default)]
    releases: Vec<EndOfLifeRelease>,
}

/// The pages and the API name the same three things differently.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct EndOfLifeRelease {
    #[serde(alias = "name")]
    release_cycle: Value,
    #[serde(default, alias = "eolFrom")]
    eol: Value,
    #[serde(default, alias = "eoesFrom")]
    eoes: Value,
}

/// `/api/v1/products/full`.
#[derive(Deserialize)]
struct ApiAnswer {
    result: Vec<Product>,
}

/// Stands for `ID=centos` with the name of the stream, which os-release has elsewhere.
const CENTOS_STREAM: &str = "centos-stream";

/// The products of endoflife.date that are distributions, and their `ID` in os-release.
const PRODUCTS: [(&str, &str); 19] = [
    ("almalinux", "almalinux"),
    ("alpine-linux", "alpine"),
    ("amazon-linux", "amzn"),
    ("azure-linux", "azurelinux"),
    ("centos", "centos"),
    ("centos-stream", CENTOS_STREAM),
    ("debian", "debian"),
    ("fedora", "fedora"),
    ("mageia", "mageia"),
    ("opensuse", "opensuse-leap"),
    ("oracle-linux", "ol"),
    ("rhel", "rhel"),
    ("rocky-linux", "rocky"),
    ("sles", "sles"),
    ("suse-linux-micro", "sle-micro"),
    ("ubuntu", "ubuntu"),
    ("vmware-photon", "photon"),
    ("cbl-mariner", "mariner"),
    ("openeuler", "openeuler"),
];

/// Reads all products as the API lists them, or one product's page; other products are ignored.
///
/// # Errors
/// When it is JSON, or its front matter YAML, of another shape.
pub(super) fn endoflife(name: &str, bytes: &[u8], _: &FeedContext, records: &mut Records) -> Result<bool, Problem> {
    let file = name.rsplit('/').next().unwrap_or(name);
    if bytes.trim_ascii_start().starts_with(b"{") {
        let answer: ApiAnswer = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
        answer.result.iter().for_each(|product| product_releases(&product.name, product, records));
        return Ok(true);
    }
    let name = file.strip_suffix(".md").unwrap_or_default();
    if os_id(name).is_none() {
        return Ok(false);
    }
    let text = std::str::from_utf8(bytes).map_err(|e| e.to_string())?;
    let matter = text.strip_prefix("---").and_then(|rest| rest.split_once("\n---")).map(|(matter, _)| matter);
    let product: Product = tidewaiter_yaml::from_str(matter.unwrap_or_default()).map_err(|e| e.to_string())?;
    product_releases(name, &product, records);
    Ok(true)
}

fn os_id(product: &str) -> Option<&'static str> {
    PRODUCTS.iter().find(|(name, _)| *name == product).map(|(_, id)| *id)
}

fn product_releases(name: &str, product: &Product, records: &mut Records) {
    let Some(id) = os_id(name) else { return };
    for cycle in &product.releases {
        let version = match &cycle.release_cycle {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => continue,
        };
        // "true" and "false" occur too: an end without a day cannot be compared with one.
        let date = |value: &Value| value.as_str().and_then(day);
        let found = release(id, &version).zip(date(&cycle.eol));
        records.support.extend(found.map(|(ecosystem, until)| support(ecosystem, until, date(&cycle.eoes))));
    }
}

/// The ecosystem that an image of this release would have.
fn release(id: &str, version: &str) -> Option<Ecosystem> {
    let pretty_name = match id {
        // Service packs until 15, minor releases since 16.
        "sles" if version.starts_with("1") && !version.starts_with("16") => {
            format!("SUSE Linux Enterprise Server {}", version.replace('.', " SP"))
        }
        "sles" => format!("SUSE Linux Enterprise Server {version}"),
        "sle-micro" if version.starts_with('5') => format!("SUSE Linux Enterprise Micro {version}"),
        "sle-micro" => format!("SUSE Linux Micro {version}"),
        "opensuse-leap" => format!("openSUSE Leap {version}"),
        "openeuler" => match version.split_once('-') {
            Some((number, pack)) => format!("openEuler {number} ({})", pack.to_uppercase()),
            None => format!("openEuler {version}"),
        },
        CENTOS_STREAM => format!("CentOS Stream {version}"),
        _ => String::new(),
    };
    let id = if id == CENTOS_STREAM { "centos" } else { id };
    Os { id: id.to_owned(), version_id: version.to_owned(), pretty_name, ..Os::default() }.ecosystem()
}

fn support(ecosystem: Ecosystem, until: Date, longer: Option<Date>) -> SupportPeriod {
    SupportPeriod { ecosystem, until, extended_until: longer.filter(|longer| *longer > until) }
}

/// A day as `YYYY-MM-DD`; `None` for everything else, times included.
fn day(text: &str) -> Option<Date> {
    text.parse().ok().filter(|date: &Date| date.to_string() == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ecosystem, end, and end of longer support.
    fn found(records: &Records) -> Vec<(String, String, Option<String>)> {
        let line = |s: &SupportPeriod| {
            (s.ecosystem.to_string(), s.until.to_string(), s.extended_until.map(|day| day.to_string()))
        };
        records.support.iter().map(line).collect()
    }

    fn owned(expected: &[(&str, &str, Option<&str>)]) -> Vec<(String, String, Option<String>)> {
        expected.iter().map(|(e, until, longer)| ((*e).into(), (*until).into(), longer.map(str::to_owned))).collect()
    }

    #[test]
    fn tables_of_distributions() {
        let check = |name: &str, text: &str, expected: &[(&str, &str, Option<&str>)]| {
            let mut records = Records::default();
            assert!(distro_info(name, text.as_bytes(), &FeedContext::default(), &mut records).unwrap());
            assert_eq!(found(&records), owned(expected), "{text}");
        };
        check(
            "x/debian.csv",
            "version,codename,series,created,release,eol,eol-lts,eol-elts\n12,Bookworm,bookworm,2021-08-14,2023-06-10,2026-06-10,2028-06-30\n14,Forky,forky,2025-08-09\n,Sid,sid,1993-08-16\n",
            &[("Debian:12", "2026-06-10", Some("2028-06-30"))],
        );
        check(
            "ubuntu.csv",
            "version,codename,series,created,release,eol,eol-server,eol-esm\n22.04 LTS,Jammy,jammy,2021-10-14,2022-04-21,2027-06-01,2027-06-01,2032-04-21\n",
            &[("Ubuntu:22.04:LTS", "2027-06-01", Some("2032-04-21"))],
        );
        assert!(distro_info("debian.csv", b"a,b", &FeedContext::default(), &mut Records::default()).is_err());
        assert!(!distro_info("other.csv", b"a,b", &FeedContext::default(), &mut Records::default()).unwrap());
    }

    #[test]
    fn releases_are_those_of_images() {
        let check = |id: &str, version: &str, expected: &str| {
            assert_eq!(release(id, version).map(|e| e.to_string()).as_deref(), Some(expected), "{id} {version}");
        };
        check("sles", "15.7", "SUSE:Linux Enterprise Server 15 SP7");
        check("sles", "16.0", "SUSE:Linux Enterprise Server 16.0");
        check("sle-micro", "5.5", "SUSE:Linux Enterprise Micro 5.5");
        check("sle-micro", "6.1", "SUSE:Linux Micro 6.1");
        check("opensuse-leap", "15.6", "openSUSE:Leap 15.6");
        check("openeuler", "22.03-lts-sp3", "openEuler:22.03-LTS-SP3");
        check("openeuler", "24.03-lts", "openEuler:24.03-LTS");
        check(CENTOS_STREAM, "9", "CentOS Stream:9");
        check("rhel", "9", "Red Hat:enterprise_linux:9::baseos");
        for (product, id) in PRODUCTS {
            assert!(release(id, "9.4").is_some(), "{product}");
        }
    }

    #[test]
    fn products_of_the_api() {
        let text = br#"{"schema_version":"1.2.1","result":[
            {"name":"python","releases":[{"name":"3.14","eolFrom":"2030-10-31"}]},
            {"name":"centos-stream","releases":[{"name":"9","isEol":false,"eolFrom":"2027-05-31"}]},
            {"name":"sles","releases":[{"name":"15.6","isEol":true,"eolFrom":"2025-12-31","eoesFrom":"2028-12-31"}]},
            {"name":"rhel","releases":[{"name":"11","isEol":false,"eolFrom":null}]}]}"#;
        let mut records = Records::default();
        assert!(endoflife("full", text, &FeedContext::default(), &mut records).unwrap());
        let expected = [
            ("CentOS Stream:9", "2027-05-31", None),
            ("SUSE:Linux Enterprise Server 15 SP6", "2025-12-31", Some("2028-12-31")),
        ];
        assert_eq!(found(&records), owned(&expected));
        assert!(endoflife("full", b"{}", &FeedContext::default(), &mut records).is_err());
    }

    #[test]
    fn pages_of_products() {
        let check = |name: &str, releases: &str, expected: &[(&str, &str, Option<&str>)]| {
            let mut records = Records::default();
            let text = format!("---\ntitle: X\nreleases:\n{releases}---\n\n> text\n");
            assert!(endoflife(name, text.as_bytes(), &FeedContext::default(), &mut records).unwrap());
            assert_eq!(found(&records), owned(expected), "{releases}");
        };
        check(
            "products/alpine-linux.md",
            "  - releaseCycle: \"3.20\"\n    eol: 2026-04-01\n",
            &[("Alpine:v3.20", "2026-04-01", None)],
        );
        check(
            "almalinux.md",
            "  - releaseCycle: \"9\"\n    eol: 2032-05-31\n    eoes: false\n",
            &[("AlmaLinux:9", "2032-05-31", None)],
        );
        check("fedora.md", "  - releaseCycle: \"99\"\n    eol: false\n", &[]);
        assert!(!endoflife("nodejs.md", b"", &FeedContext::default(), &mut Records::default()).unwrap());
        assert!(
            endoflife("debian.md", b"---\nreleases: 1\n---\n", &FeedContext::default(), &mut Records::default())
                .is_err()
        );
    }
}
