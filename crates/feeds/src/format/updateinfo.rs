//! `updateinfo.xml` of rpm repositories (createrepo): Amazon Linux, Rocky Linux and others.
//!
//! A repository covers one release: the one that its feed is declared complete for, else the one that a collection names.

use super::{FeedContext, Problem, Records, records};
use crate::rpm_modules;
use std::collections::BTreeMap;
use tidewaiter_core::advisory::{Advisory, Affected, KeyKind, ModuleScope};
use tidewaiter_core::ecosystem::{Ecosystem, EcosystemBase};
use tidewaiter_core::severity::Rating;
use tidewaiter_xml::{Attributes, Step};

#[derive(Default)]
struct Update {
    security: bool,
    advisory: Advisory,
    rows: Vec<Affected>,
    /// The last collection's packages, until it names its release.
    collection: String,
    module: Option<String>,
    unknown_release: bool,
}

/// Reads one document. An update that does not name its release is of the one that the feed is declared complete for.
///
/// # Errors
/// When it is not well-formed XML.
pub(super) fn parse(name: &str, bytes: &[u8], feed: &FeedContext, records: &mut Records) -> Result<bool, Problem> {
    if !name.ends_with(".xml") {
        return Ok(false);
    }
    let declared = if let [one] = feed.ecosystems.as_slice() { Some(one.clone()) } else { None };
    let mut known = false;
    let mut update = Update::default();
    let mut bytes = bytes;
    tidewaiter_xml::walk(&mut bytes, &mut |step| match step {
        Step::Open("updates", _) => known = true,
        Step::Open("update", attributes) => {
            update = Update { security: attributes.get("type") == "security", ..Update::default() };
            feed.name.clone_into(&mut update.advisory.feed);
        }
        Step::Close("update", _) => finish(std::mem::take(&mut update), records),
        Step::Open(name, attributes) => update.open(name, attributes, declared.as_ref()),
        Step::Close(name, text) => update.close(name, text, &feed.name),
    })?;
    Ok(known)
}

fn finish(update: Update, records: &mut Records) {
    let Update { security, mut advisory, rows, unknown_release, .. } = update;
    advisory.upstream.sort();
    advisory.upstream.dedup();
    if advisory.upstream.is_empty() {
        return records.skip("names no CVE");
    }
    if !security {
        return records.skip("is not a security update");
    }
    if unknown_release {
        return records.skip("names no known release");
    }
    // A package stands there once for each architecture.
    let mut merged: BTreeMap<(String, String), Affected> = BTreeMap::new();
    for row in rows {
        let key = (row.package.clone(), format!("{:?}", row.intervals));
        merged.entry(key).and_modify(|known| known.arches.extend(row.arches.clone())).or_insert(row);
    }
    advisory.affected = merged.into_values().map(tidy).collect();
    records.advisories.push(advisory);
}

fn tidy(mut row: Affected) -> Affected {
    if row.arches.iter().any(|a| a == "noarch" || a.is_empty()) {
        row.arches.clear();
    }
    row.arches.sort();
    row.arches.dedup();
    row
}

impl Update {
    fn open(&mut self, name: &str, attributes: &Attributes, declared: Option<&Ecosystem>) {
        match name {
            "issued" | "updated" if !attributes.get("date").is_empty() => {
                // "2023-02-17 20:41" or with seconds.
                self.advisory.modified = attributes.get("date").replacen(' ', "T", 1);
                if name == "issued" {
                    self.advisory.published = records::day(&self.advisory.modified);
                }
            }
            "reference" => {
                let (id, url) = (attributes.get("id"), attributes.get("href"));
                if id.starts_with("CVE-") {
                    self.advisory.upstream.push(id.to_owned());
                }
                if url.starts_with("http") && self.advisory.references.len() < 8 {
                    self.advisory.references.push(url.to_owned());
                }
            }
            "collection" => {
                attributes.get("short").clone_into(&mut self.collection);
                self.module = None;
            }
            "module" => self.module = Some(format!("{}:{}", attributes.get("name"), attributes.get("stream"))),
            "package" => {
                let collection = release(&self.collection, attributes.get("release"));
                match declared.cloned().or(collection) {
                    Some(ecosystem) => self.rows.extend(self.row(attributes, ecosystem)),
                    None => self.unknown_release = true,
                }
            }
            _ => {}
        }
    }

    fn close(&mut self, name: &str, text: &str, feed: &str) {
        match name {
            "id" => text.clone_into(&mut self.advisory.id),
            "title" => text.clone_into(&mut self.advisory.summary),
            "name" => text.clone_into(&mut self.collection),
            "severity" => {
                let severity = text.parse().ok().filter(|_| !text.is_empty() && !text.eq_ignore_ascii_case("none"));
                let rating = |severity| Rating::of_level(feed, severity);
                self.advisory.ratings = severity.map(rating).into_iter().collect();
            }
            _ => {}
        }
    }

    fn row(&self, attributes: &Attributes, ecosystem: Ecosystem) -> Option<Affected> {
        let (version, release) = (attributes.get("version"), attributes.get("release"));
        let (name, arch) = (attributes.get("name"), attributes.get("arch"));
        if arch == "src" || [name, version, release].contains(&"") {
            return None;
        }
        let epoch = Some(attributes.get("epoch")).filter(|e| !e.is_empty()).unwrap_or("0");
        let row = Affected::new(ecosystem, name, KeyKind::Binary).fixed_in(&format!("{epoch}:{version}-{release}"));
        let module = match &self.module {
            Some(module) => ModuleScope::Streams(vec![module.clone()]),
            None => rpm_modules::of(&row.ecosystem, &row.intervals),
        };
        Some(Affected { module, arches: vec![arch.to_owned()], ..row })
    }
}

/// "Amazon Linux 2023", "Rocky Linux 8", "amazon-linux-2-core"; where a collection names none, `.amzn2` in a version.
fn release(collection: &str, release: &str) -> Option<Ecosystem> {
    for base in [
        EcosystemBase::AmazonLinux,
        EcosystemBase::RockyLinux,
        EcosystemBase::AlmaLinux,
        EcosystemBase::OracleLinux,
        EcosystemBase::Fedora,
        EcosystemBase::OpenEuler,
    ] {
        let plain = collection.replace('-', " ").to_lowercase();
        let number = plain.strip_prefix(&base.as_str().to_lowercase()).map(str::trim);
        let number = number.map(|n| n.split([' ', '.', '/']).next().unwrap_or_default());
        if let Some(number) = number.filter(|n| n.parse::<u16>().is_ok()) {
            return Some(Ecosystem::with_release(base, number));
        }
    }
    let tag = release.split('.').find_map(|part| part.strip_prefix("amzn"))?;
    tag.parse::<u16>().ok().map(|_| Ecosystem::with_release(EcosystemBase::AmazonLinux, tag))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::testing::feed;

    fn read(kind: &str, cve: &str, collection: &str, packages: &str, ecosystems: &[&str]) -> Records {
        let xml = format!(
            r#"<?xml version="1.0"?><updates><update type="{kind}"><id>ALAS-1</id><title>A &amp; B</title>
            <severity>important</severity><updated date="2023-02-22 23:22"/><references><reference id="{cve}" href="https://a" type="cve"/></references>
            <pkglist><collection short="x"><name>{collection}</name>{packages}</collection></pkglist></update></updates>"#
        );
        let mut records = Records::default();
        assert!(parse("updateinfo.xml", xml.as_bytes(), &feed("amazon", ecosystems), &mut records).unwrap());
        records
    }

    #[test]
    fn packages_become_rows() {
        let package = |arch: &str, release: &str| {
            format!(
                r#"<package name="curl" version="8.1" release="{release}" epoch="1" arch="{arch}"><filename>f</filename></package>"#
            )
        };
        let check = |collection: &str, packages: &str, expected: &[&str]| {
            let records = read("security", "CVE-1", collection, packages, &[]);
            let line = |r: &Affected| {
                let Some(tidewaiter_core::advisory::IntervalEnd::Fixed(v)) = r.intervals.first().map(|i| &i.end) else {
                    return String::new();
                };
                format!("{} {} {v} {:?} {:?}", r.ecosystem, r.package, r.arches, r.module)
            };
            let found: Vec<_> = records.advisories.iter().flat_map(|a| a.affected.iter().map(line)).collect();
            assert_eq!(found, expected, "{collection}");
        };
        let two = package("x86_64", "1.el8") + &package("aarch64", "1.el8") + &package("src", "1.el8");
        check("Rocky Linux 8", &two, &[r#"Rocky Linux:8 curl 1:8.1-1.el8 ["aarch64", "x86_64"] Outside"#]);
        check("x", &package("noarch", "1.amzn2.0.1"), &["Amazon Linux:2 curl 1:8.1-1.amzn2.0.1 [] Outside"]);
        check("Amazon Linux 2023", &package("noarch", "1"), &["Amazon Linux:2023 curl 1:8.1-1 [] Outside"]);
        let module = format!(r#"<module name="php" stream="8.0"/>{}"#, package("noarch", "1.module+el8"));
        check("Rocky Linux 8", &module, &[r#"Rocky Linux:8 curl 1:8.1-1.module+el8 [] Streams(["php:8.0"])"#]);
        check("x", &package("noarch", "1"), &[]);
    }

    #[test]
    fn only_security_updates_with_a_cve_count() {
        let package = r#"<package name="a" version="1" release="1" arch="noarch"/>"#;
        let check = |kind: &str, cve: &str, expected: (usize, usize)| {
            let records = read(kind, cve, "Rocky Linux 9", package, &[]);
            assert_eq!((records.advisories.len(), records.skipped.len()), expected, "{kind} {cve}");
        };
        check("security", "CVE-1", (1, 0));
        check("security", "RHSA-1", (0, 1));
        check("bugfix", "CVE-1", (0, 1));
        let declared = read("security", "CVE-1", "?", package, &["Amazon Linux:2"]);
        assert_eq!(declared.advisories[0].affected[0].ecosystem.to_string(), "Amazon Linux:2");
        assert_eq!(
            (declared.advisories[0].summary.as_str(), declared.advisories[0].modified.as_str()),
            ("A & B", "2023-02-22T23:22")
        );
    }
}
