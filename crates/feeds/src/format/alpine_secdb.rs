//! Alpine secdb: fixed versions by origin package, one file per branch and repository; also of Wolfi, Chainguard,
//! MinimOS and SecureOS, which have no branches.

use super::{FeedContext, Problem, Records};
use serde::Deserialize;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use tidewaiter_core::advisory::{Advisory, Affected, KeyKind};
use tidewaiter_core::ecosystem::{Ecosystem, EcosystemBase};
use tidewaiter_core::version::VersionScheme;

#[derive(Deserialize)]
struct Secdb {
    distroversion: Option<String>,
    /// The address of the packages: the only sign of the distribution where there are no branches.
    urlprefix: Option<String>,
    #[serde(default)]
    packages: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    pkg: Pkg,
}

#[derive(Deserialize)]
struct Pkg {
    name: String,
    #[serde(default)]
    secfixes: BTreeMap<String, Option<Vec<String>>>,
}

/// Reads one repository's file.
///
/// # Errors
/// When it is JSON of another shape.
pub(super) fn parse(name: &str, bytes: &[u8], feed: &FeedContext, records: &mut Records) -> Result<bool, Problem> {
    if !name.ends_with(".json") {
        return Ok(false);
    }
    let secdb: Secdb = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
    let Some(ecosystem) = ecosystem(&secdb, feed) else { return Ok(false) };
    for entry in secdb.packages {
        records.advisories.extend(package(&entry.pkg, &ecosystem, &feed.name));
    }
    Ok(true)
}

fn ecosystem(secdb: &Secdb, feed: &FeedContext) -> Option<Ecosystem> {
    if let Some(branch) = &secdb.distroversion {
        return Some(Ecosystem::with_release(EcosystemBase::Alpine, branch));
    }
    let hosts = [
        ("wolfi.dev", EcosystemBase::Wolfi),
        ("cgr.dev", EcosystemBase::Chainguard),
        ("packages.mini.dev", EcosystemBase::MinimOs),
    ];
    let prefix = secdb.urlprefix.as_deref().unwrap_or_default();
    let named = hosts.into_iter().find(|(host, _)| prefix.contains(host)).map(|(_, base)| Ecosystem::new(base));
    named.or_else(|| only_declared(feed))
}

/// The one ecosystem that feeds.toml names for this feed, where the file names none.
fn only_declared(feed: &FeedContext) -> Option<Ecosystem> {
    match feed.ecosystems.as_slice() {
        [only] if only.version_scheme() == Some(VersionScheme::Apk) => Some(only.clone()),
        _ => None,
    }
}

/// The entries of a package about one vulnerability.
#[derive(Default)]
struct Fix<'a> {
    versions: Vec<&'a str>,
    others: BTreeSet<&'a str>,
}

fn package(pkg: &Pkg, ecosystem: &Ecosystem, feed: &str) -> Vec<Advisory> {
    let mut fixes: BTreeMap<&str, Fix<'_>> = BTreeMap::new();
    for (version, entries) in &pkg.secfixes {
        for entry in entries.iter().flatten() {
            let (named, others) = names(entry);
            for id in named {
                let fix = fixes.entry(id).or_default();
                fix.versions.push(version);
                fix.others.extend(&others);
            }
        }
    }
    // An id next to several CVEs is a bulletin about all of them, not another name of one.
    let shared = |other: &str| fixes.values().filter(|fix| fix.others.contains(other)).count() > 1;
    let mut out = Vec::with_capacity(fixes.len());
    for (id, fix) in &fixes {
        let (upstream, aliases) = fix.others.iter().map(|o| (*o).to_owned()).partition(|o: &String| shared(o));
        let affected = vec![affected(&pkg.name, ecosystem, &fix.versions)];
        let (id, feed) = ((*id).to_owned(), feed.to_owned());
        out.push(Advisory { id, feed, aliases, upstream, affected, ..Advisory::default() });
    }
    out
}

/// One entry may hold several ids: "CVE-2020-29568 XSA-349". Each CVE is a vulnerability; without one, the first id is.
fn names(entry: &str) -> (Vec<&str>, Vec<&str>) {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let words = entry.split_whitespace().map(|word| word.split(|c| !plain(c)).next().unwrap_or_default());
    let ids = words
        .filter(|id| id.starts_with(|c: char| c.is_ascii_uppercase()) && id.contains(|c: char| c.is_ascii_digit()));
    let (mut cves, mut others): (Vec<&str>, Vec<&str>) = ids.partition(|id| id.starts_with("CVE-"));
    if cves.is_empty() && !others.is_empty() {
        cves.push(others.remove(0));
    }
    (cves, others)
}

/// A vulnerability listed under two versions was only fixed by the higher one; version `0` means never affected.
fn affected(name: &str, ecosystem: &Ecosystem, versions: &[&str]) -> Affected {
    let fixed = versions.iter().filter(|v| **v != "0").max_by(|a, b| match VersionScheme::Apk.compare(a, b) {
        Ordering::Equal => a.cmp(b),
        unequal => unequal,
    });
    let row = Affected::new(ecosystem.clone(), name, KeyKind::Source);
    match fixed {
        Some(version) => row.fixed_in(version),
        None => Affected { never_affected: true, ..row },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::testing::feed;
    use tidewaiter_core::advisory::IntervalEnd;

    fn owned(names: &[&str]) -> Vec<String> {
        names.iter().map(|n| (*n).to_owned()).collect()
    }

    #[test]
    fn files_without_a_branch_tell_whose_they_are() {
        let check = |head: &str, expected: Option<&str>| {
            let json = format!(r#"{{{head}"packages":[{{"pkg":{{"name":"a","secfixes":{{"1-r0":["CVE-1"]}}}}}}]}}"#);
            let mut records = Records::default();
            let read = parse("security.json", json.as_bytes(), &feed("f", &[]), &mut records).unwrap();
            let found = records.advisories.first().map(|a| a.affected[0].ecosystem.to_string());
            assert_eq!((read, found.as_deref()), (expected.is_some(), expected), "{head}");
        };
        check(r#""urlprefix":"https://packages.wolfi.dev","reponame":"os","#, Some("Wolfi"));
        check(r#""urlprefix":"https://packages.cgr.dev/chainguard","#, Some("Chainguard"));
        check(r#""urlprefix":"https://packages.mini.dev","reponame":"os","#, Some("MinimOS"));
        check(r#""distroversion":"v3.20","urlprefix":"https://dl-cdn.alpinelinux.org/alpine","#, Some("Alpine:v3.20"));
        check(r#""urlprefix":"https://packages.example","#, None);
        check("", None);
    }

    #[test]
    fn rows_follow_secdb_rules() {
        let json = br#"{"distroversion":"v3.18","packages":[{"pkg":{"name":"xen","secfixes":{
            "0":["CVE-3"],"4.14.0-r1":["CVE-1 XSA-349", "ZDI-5"],"4.14.1-r0":["CVE-1"],"4.15.0-r0":null,
            "4.15.1-r0":["CVE-4 CVE-5 XSA-9","CVE-6.patch","(+ regression fix)"]}}}]}"#;
        let mut records = Records::default();
        assert!(parse("main.json", json, &feed("alpine", &[]), &mut records).unwrap());
        let check = |id: &str, aliases: &[&str], upstream: &[&str], fixed: Option<&str>| {
            let advisory = records.advisories.iter().find(|a| a.id == id).unwrap();
            let row = &advisory.affected[0];
            assert_eq!((row.never_affected, row.ecosystem.to_string().as_str()), (fixed.is_none(), "Alpine:v3.18"));
            let end = row.intervals.first().map(|i| i.end.clone());
            assert_eq!(end, fixed.map(|v| IntervalEnd::Fixed(v.into())), "{id}");
            assert_eq!(
                (advisory.aliases.as_slice(), advisory.upstream.as_slice()),
                (&owned(aliases)[..], &owned(upstream)[..])
            );
        };
        check("CVE-1", &["XSA-349"], &[], Some("4.14.1-r0"));
        check("ZDI-5", &[], &[], Some("4.14.0-r1"));
        check("CVE-3", &[], &[], None);
        check("CVE-4", &[], &["XSA-9"], Some("4.15.1-r0"));
        check("CVE-5", &[], &["XSA-9"], Some("4.15.1-r0"));
        check("CVE-6", &[], &[], Some("4.15.1-r0"));
        assert_eq!(records.advisories.len(), 6);
    }
}
