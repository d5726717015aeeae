//! What several records say of one thing: the ratings of a CVE, and one advisory for each (feed, id).

use tidewaiter_core::advisory::Advisory;
use tidewaiter_core::severity::Rating;

/// The CVEs that an advisory rates by CVSS, with these ratings.
pub(crate) fn rated(advisory: &Advisory) -> Option<(Vec<&String>, Vec<Rating>)> {
    let rated: Vec<Rating> = advisory.ratings.iter().filter(|r| r.vector.is_some()).cloned().collect();
    (!rated.is_empty()).then(|| (cves(advisory).collect(), rated))
}

/// Orders the ratings of all feeds; equal ones are one.
pub(crate) fn sort_ratings(ratings: &mut Vec<Rating>) {
    ratings.sort_by(|a, b| (&a.source, &a.vector, a.severity).cmp(&(&b.source, &b.vector, b.severity)));
    ratings.dedup();
}

/// The CVEs that an advisory is about. One about several must not give the rating of one to another.
fn cves(advisory: &Advisory) -> impl Iterator<Item = &String> {
    let own = std::iter::once(&advisory.id).chain(&advisory.aliases).filter(|n| n.starts_with("CVE-"));
    let upstream: Vec<&String> = advisory.upstream.iter().filter(|n| n.starts_with("CVE-")).collect();
    own.chain(if upstream.len() == 1 { upstream } else { Vec::new() })
}

/// Joins two records of one advisory: repositories of one branch list the same CVE.
pub(crate) fn merge(known: &mut Advisory, other: Advisory) {
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
