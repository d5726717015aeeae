//! The same database made in memory, from all records at once: what parts and their merge must agree with.

use super::NamedPart;
use crate::combine;
use crate::config::FeedsConfig;
use crate::debian_fixes::DebianFixes;
use crate::format::Records;
use crate::part::PartBuilder;
use crate::rpm_modules::KnownStreams;
use crate::source;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use tidewaiter_core::advisory::{Advisory, CveFacts, KeyKind};
use tidewaiter_core::ecosystem::Ecosystem;
use tidewaiter_core::severity::Rating;
use tidewaiter_core::version::VersionScheme;
use tidewaiter_db::Database;
use tidewaiter_db::meta::Meta;
use tidewaiter_db::writer::{self, BuildInput};

/// The records of each feed, in the order of the configuration.
fn in_memory(path: &Path, feeds: Vec<Records>) {
    let mut advisories = Vec::new();
    let mut cves: BTreeMap<String, CveFacts> = BTreeMap::new();
    let mut fixes = DebianFixes::default();
    for mut feed in feeds {
        let mut streams = KnownStreams::default();
        feed.advisories.iter().flat_map(|a| &a.affected).for_each(|row| streams.learn(row));
        feed.advisories.iter_mut().for_each(|advisory| streams.resolve(&mut advisory.affected));
        for advisory in &feed.advisories {
            advisory.affected.iter().for_each(|row| fixes.learn(&advisory.id, row));
            let (names, ratings) = combine::rated(advisory).unwrap_or_default();
            names.into_iter().for_each(|cve| rate(&mut cves, cve, ratings.clone()));
        }
        feed.ratings.into_iter().for_each(|(cve, ratings)| rate(&mut cves, &cve, ratings));
        feed.exploited.into_iter().for_each(|(cve, date)| cves.entry(cve).or_default().kev = Some(date));
        feed.epss.into_iter().for_each(|(cve, epss)| cves.entry(cve).or_default().epss = Some(epss));
        feed.published.into_iter().for_each(|(cve, day)| cves.entry(cve).or_default().published = Some(day));
        advisories.extend(feed.advisories);
    }
    cves.values_mut().for_each(|facts| combine::sort_ratings(&mut facts.ratings));
    for advisory in &mut advisories {
        if let Some(of_id) = fixes.of(&advisory.id) {
            let rows = advisory.affected.iter_mut();
            rows.for_each(|row| of_id.lower(&row.ecosystem, &row.package, &mut row.intervals));
        }
        advisory.affected.retain(|row| row.ecosystem.version_scheme().is_some() && row.ecosystem.is_askable());
    }
    writer::write(path, &BuildInput { advisories: joined(advisories), cves, meta: Meta::default() }).unwrap();
}

fn rate(cves: &mut BTreeMap<String, CveFacts>, cve: &str, ratings: Vec<Rating>) {
    cves.entry(cve.to_owned()).or_default().ratings.extend(ratings);
}

fn joined(advisories: Vec<Advisory>) -> Vec<Advisory> {
    let mut out: BTreeMap<(String, String, Option<Ecosystem>), Advisory> = BTreeMap::new();
    for advisory in advisories {
        let first = advisory.affected.first().map(|row| row.ecosystem.clone());
        let release = first.filter(|ecosystem| ecosystem.version_scheme() == Some(VersionScheme::Rpm));
        let key = (advisory.feed.clone(), advisory.id.clone(), release);
        match out.get_mut(&key) {
            Some(known) => combine::merge(known, advisory),
            None => drop(out.insert(key, advisory)),
        }
    }
    out.into_values().collect()
}

/// Every row as text with its advisory, and the facts about every CVE that advisories name.
fn content(path: &Path) -> Vec<String> {
    let db = Database::open_verified(path).unwrap();
    let packages: Vec<(&str, KeyKind, &str)> = db.packages().collect();
    assert!(packages.is_sorted());
    let mut out = Vec::new();
    for (ecosystem, key, name) in packages {
        for row in db.rows(ecosystem, key, name) {
            let advisory = row.advisory().unwrap();
            let facts = std::iter::once(&advisory.id).chain(&advisory.aliases).chain(&advisory.upstream);
            let facts: Vec<_> = facts.map(|cve| db.cve(cve).unwrap()).collect();
            let spans: Vec<_> = row.spans().collect();
            let scope = (row.module(), row.arches(), row.never_affected(), row.fix_state(), row.severity());
            out.push(format!("{ecosystem} {key:?} {name} {spans:?} {scope:?} {advisory:?} {facts:?}"));
        }
    }
    out
}

/// Makes databases of feeds in both ways and compares them; returns the number of rows. With parts, records are added a few
/// at a time.
fn check(config: &FeedsConfig) -> usize {
    let dir = tempfile::tempdir().unwrap();
    let mut all = Vec::new();
    let mut parts = Vec::new();
    for feed in &config.feeds {
        let mut builder = PartBuilder::new(dir.path());
        let mut whole = feed.format.reader(&feed.context());
        let mut drained = feed.format.reader(&feed.context());
        source::documents(feed.path.as_ref().unwrap(), 1 << 30, &mut |name, content| {
            let mut bytes = Vec::new();
            content.read_to_end(&mut bytes).unwrap();
            whole.document(name, &mut bytes.as_slice(), &mut |_| {}).unwrap();
            drained.document(name, &mut bytes.as_slice(), &mut |records| builder.add(records).unwrap()).unwrap();
        })
        .unwrap();
        builder.add(&mut drained.finish()).unwrap();
        all.push(whole.finish());
        parts.push(builder.finish(&dir.path().join(&feed.name), "", "").unwrap());
    }
    let named = |(feed, part): (_, _)| NamedPart { name: feed, part };
    let names = config.feeds.iter().map(|feed| feed.name.as_str());
    let parts: Vec<NamedPart<'_>> = names.zip(&parts).map(named).collect();
    let [expected, found] = ["expected", "found"].map(|name| dir.path().join(format!("{name}.db")));
    in_memory(&expected, all);
    super::write(&found, &parts, Meta::default()).unwrap();
    let (expected, found) = (content(&expected), content(&found));
    for (a, b) in expected.iter().zip(&found) {
        assert_eq!(a, b);
    }
    assert_eq!(expected.len(), found.len());
    found.len()
}

#[test]
fn parts_make_the_database_that_memory_makes() {
    let dir = tempfile::tempdir().unwrap();
    let write = |feed: &str, name: &str, text: &str| {
        fs::create_dir_all(dir.path().join(feed)).unwrap();
        fs::write(dir.path().join(feed).join(name), text).unwrap();
    };
    let osv = |id: &str, more: &str, rows: &[(&str, &str, &str)]| {
        let rows: Vec<String> = rows
            .iter()
            .map(|(ecosystem, package, fixed)| {
                format!(
                    r#"{{"package":{{"ecosystem":"{ecosystem}","name":"{package}"}},"ranges":[{{"type":"ECOSYSTEM","events":[{{"introduced":"0"}},{{"fixed":"{fixed}"}}]}}]}}"#
                )
            })
            .collect();
        format!(r#"{{"id":"{id}",{more}"affected":[{}]}}"#, rows.join(","))
    };
    let vector = r#""severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],"#;
    // Joined by id; other releases of distributions with rpm stay apart; rows that are not asked for.
    let mageia = |release: &str| osv("MGASA-1", r#""related":["CVE-1"],"#, &[(&format!("Mageia:{release}"), "a", "2")]);
    write("b", "1.json", &mageia("9"));
    write("b", "2.json", &mageia("8"));
    write("b", "3.json", &osv("GHSA-1", &format!(r#""aliases":["CVE-1"],{vector}"#), &[("npm", "a", "1.0.0")]));
    write("b", "4.json", &osv("GHSA-1", r#""aliases":["CVE-2"],"#, &[("npm", "b", "1.0.0"), ("npm", "a", "1.0.0")]));
    write("b", "5.json", &osv("GHSA-2", "", &[("GIT", "x", "1"), ("Ubuntu:Pro:FIPS:22.04:LTS", "x", "1")]));
    // Modules whose stream another record of the feed names.
    let alma = |id: &str, summary: &str, fixed: &str| {
        osv(id, &format!(r#""summary":"{summary}","related":["CVE-3"],"#), &[("AlmaLinux:8", "ruby", fixed)])
    };
    write("b", "6.json", &alma("ALSA-1", "Important: ruby:3.1 update", "3.1.5-1.module_el8"));
    write("b", "7.json", &alma("ALSA-2", "Important: ruby update", "3.1.4-1.module_el8"));
    write("b", "8.json", &alma("ALSA-3", "Important: ruby update", "3.3.4-1.module_el8"));
    // A fix of the release itself, by another feed, after and before the feed whose rows it lowers.
    let debian = |fixed: &str| osv("CVE-4", "", &[("Debian:11", "a", fixed), ("Debian:experimental", "a", fixed)]);
    write("a", "1.json", &debian("2.0-1"));
    write("b", "9.json", &debian("2.0-1~deb11u1"));
    write("c", "1.json", &debian("2.0-1"));
    write("c", "2.json", &osv("GHSA-1", &format!(r#""aliases":["CVE-1"],{vector}"#), &[("npm", "a", "1.5.0")]));
    let tracker = r#"{"x":{"CVE-4":{"releases":{"sid":{"status":"open","urgency":"low"}}}},
        "y":{"CVE-4":{"description":"d","releases":{"trixie":{"status":"resolved","fixed_version":"1-1+deb13u1","urgency":""}}}}}"#;
    write("tracker", "data.json", tracker);
    write("kev", "kev.json", r#"{"vulnerabilities":[{"cveID":"CVE-1","dateAdded":"2024-01-02"}]}"#);
    write("epss", "a.csv", "cve,epss,percentile\nCVE-1,0.1,0.2\nCVE-4,0.3,0.4\nCVE-9,0.1,0.1\n");
    let nvd = |vector: &str| {
        format!(
            r#"{{"vulnerabilities":[{{"cve":{{"id":"CVE-1","metrics":{{"cvssMetricV31":[{{"source":"nvd@nist.gov","cvssData":{{"vectorString":"{vector}"}}}}]}}}}}}]}}"#
        )
    };
    write("nvd", "1.json", &nvd("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"));
    write("nvd", "2.json", &nvd("CVSS:3.1/AV:L/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"));
    let feeds =
        [("a", "osv"), ("tracker", "debian-tracker"), ("c", "osv"), ("kev", "kev"), ("epss", "epss"), ("nvd", "nvd")];
    let feed = |(name, format): &(&str, &str)| {
        format!("[[feed]]\nname = \"{name}\"\nformat = \"{format}\"\npath = \"{name}\"\n")
    };
    let toml: String = feeds.iter().chain(&[("b", "osv")]).map(feed).collect();
    let config = FeedsConfig::parse(&toml, &dir.path().join("feeds.toml")).unwrap();
    assert_eq!(check(&config), 13);
}

#[test]
fn real_feeds_make_the_database_that_memory_makes() {
    let Some(shared) = tidewaiter_testkit::skip::shared("feeds") else { return };
    let feeds = [
        ("debian-changelog-tracker", "debian-tracker"),
        ("debian-tracker-git", "debian-git"),
        ("alpine-secdb", "alpine-secdb"),
        ("almalinux-osv", "osv"),
        ("azurelinux-oval", "oval"),
        ("rustsec-osv", "osv"),
        ("ghsa-selected", "osv"),
        ("kev", "kev"),
    ];
    let feed = |(name, format): (&str, &str)| {
        let path = shared.join(format!("{name}.tar.zst"));
        format!("[[feed]]\nname = \"{name}\"\nformat = \"{format}\"\npath = {path:?}\necosystems = [\"Debian:10\"]\n")
    };
    let toml: String = feeds.into_iter().map(feed).collect();
    let config = FeedsConfig::parse(&toml, Path::new("feeds.toml")).unwrap();
    assert!(check(&config) > 50_000);
}
