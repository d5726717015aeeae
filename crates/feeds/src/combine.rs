//! The records of all feeds together: the facts about each CVE, and one advisory for each (feed, id).

use crate::format::Records;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use tidewaiter_core::advisory::{Advisory, CveFacts};
use tidewaiter_core::ecosystem::Ecosystem;
use tidewaiter_core::severity::Rating;
use tidewaiter_core::version::VersionScheme;

/// The facts about each CVE: exploitation, its probability, and the CVSS ratings of NVD and of other records.
pub(crate) fn facts(all: &mut Records) -> BTreeMap<String, CveFacts> {
    let mut out: BTreeMap<String, CveFacts> = BTreeMap::new();
    for (cve, ratings) in std::mem::take(&mut all.ratings) {
        out.entry(cve).or_default().ratings.extend(ratings);
    }
    for advisory in &all.advisories {
        let rated: Vec<&Rating> = advisory.ratings.iter().filter(|r| r.vector.is_some()).collect();
        for cve in cves(advisory).filter(|_| !rated.is_empty()) {
            out.entry(cve.clone()).or_default().ratings.extend(rated.iter().copied().cloned());
        }
    }
    for (cve, entry) in std::mem::take(&mut all.exploited) {
        out.entry(cve).or_default().kev = Some(entry);
    }
    for (cve, epss) in std::mem::take(&mut all.epss) {
        out.entry(cve).or_default().epss = Some(epss);
    }
    for facts in out.values_mut() {
        // Equal ones side by side, and the same bytes in every build.
        facts.ratings.sort_by(|a, b| (&a.source, &a.vector, a.severity).cmp(&(&b.source, &b.vector, b.severity)));
        facts.ratings.dedup();
    }
    out
}

/// The CVEs that an advisory is about. One about several must not give the rating of one to another.
fn cves(advisory: &Advisory) -> impl Iterator<Item = &String> {
    let own = std::iter::once(&advisory.id).chain(&advisory.aliases).filter(|n| n.starts_with("CVE-"));
    let upstream: Vec<&String> = advisory.upstream.iter().filter(|n| n.starts_with("CVE-")).collect();
    own.chain(if upstream.len() == 1 { upstream } else { Vec::new() })
}

/// One advisory per (feed, id): repositories of one branch list the same CVE. Distributions with rpm reuse an id for other
/// releases, with other CVEs: there it is one per (feed, id, release).
pub(crate) fn join(advisories: Vec<Advisory>) -> Vec<Advisory> {
    let release = |a: &Advisory| {
        let rpm = a.affected.first().filter(|row| row.ecosystem.version_scheme() == Some(VersionScheme::Rpm));
        rpm.map(|row| row.ecosystem.clone())
    };
    let mut out: BTreeMap<(String, String, Option<Ecosystem>), Advisory> = BTreeMap::new();
    for advisory in advisories {
        match out.entry((advisory.feed.clone(), advisory.id.clone(), release(&advisory))) {
            Entry::Occupied(mut known) => merge(known.get_mut(), advisory),
            Entry::Vacant(slot) => drop(slot.insert(advisory)),
        }
    }
    out.into_values().collect()
}

fn merge(known: &mut Advisory, other: Advisory) {
    for row in other.affected {
        if !known.affected.contains(&row) {
            known.affected.push(row);
        }
    }
    known.aliases.extend(other.aliases);
    known.upstream.extend(other.upstream);
    for names in [&mut known.aliases, &mut known.upstream] {
        names.sort();
        names.dedup();
    }
    for rating in other.ratings {
        if !known.ratings.contains(&rating) {
            known.ratings.push(rating);
        }
    }
    if known.summary.is_empty() {
        known.summary = other.summary;
    }
}
