//! Records about the same vulnerability: union-find over ids and aliases.

use std::collections::BTreeMap;
use tidewaiter_core::advisory::Advisory;

/// One vulnerability and the records about it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Group<'a> {
    /// Its best-known name.
    pub(super) vulnerability: &'a str,
    /// Indexes of its records, the leading one first.
    pub(super) members: Vec<usize>,
    names: Vec<&'a str>,
}

impl<'a> Group<'a> {
    /// The names that its records give it.
    pub(super) fn names(&self) -> impl Iterator<Item = &'a str> {
        self.names.iter().copied()
    }
}

/// One record in its role for one vulnerability.
struct Role<'a> {
    index: usize,
    vulnerability: &'a str,
    advisory: &'a Advisory,
}

/// Groups records. One about several CVEs is a member of the group of each.
pub(super) fn by_vulnerability<'a>(advisories: impl Iterator<Item = &'a Advisory>) -> Vec<Group<'a>> {
    let roles: Vec<Role<'a>> = advisories
        .enumerate()
        .flat_map(|(index, advisory)| {
            let all = advisory.vulnerabilities().into_iter();
            all.map(move |vulnerability| Role { index, vulnerability, advisory })
        })
        .collect();
    let mut parent: Vec<usize> = (0..roles.len()).collect();
    let mut owner: BTreeMap<&str, usize> = BTreeMap::new();
    for (index, role) in roles.iter().enumerate() {
        for name in role.names() {
            let other = *owner.entry(name).or_insert(index);
            let (a, b) = (root(&parent, other), root(&parent, index));
            if let Some(slot) = parent.get_mut(a.max(b)) {
                // The lower index is the root, so that groups have the order of the records: reports are deterministic.
                *slot = a.min(b);
            }
        }
    }
    let mut groups: BTreeMap<usize, Vec<&Role<'a>>> = BTreeMap::new();
    for (index, role) in roles.iter().enumerate() {
        groups.entry(root(&parent, index)).or_default().push(role);
    }
    groups.into_values().filter_map(group).collect()
}

impl<'a> Role<'a> {
    /// The names that identify it. A record of several CVEs has its own id in common with all of them.
    fn names(&self) -> Vec<&'a str> {
        let mut names = vec![self.vulnerability];
        if self.advisory.canonical_id() == self.vulnerability {
            names.push(&self.advisory.id);
            names.extend(self.advisory.aliases.iter().map(String::as_str));
        }
        names
    }
}

/// The best-known name leads; among its records the one with the smaller id, so that the choice is stable.
fn group<'a>(mut roles: Vec<&Role<'a>>) -> Option<Group<'a>> {
    roles.sort_by_key(|role| (rank(role.vulnerability), role.vulnerability, role.advisory.id.as_str(), role.index));
    let vulnerability = roles.first()?.vulnerability;
    let members = roles.iter().map(|role| role.index).collect();
    Some(Group { vulnerability, members, names: roles.iter().flat_map(|role| role.names()).collect() })
}

fn root(parent: &[usize], mut index: usize) -> usize {
    while let Some(up) = parent.get(index).filter(|up| **up != index) {
        index = *up;
    }
    index
}

fn rank(id: &str) -> u8 {
    match id {
        // As most tools name a vulnerability: by its CVE, else its GHSA, else the id of the feed.
        _ if id.starts_with("CVE-") => 0,
        _ if id.starts_with("GHSA-") => 1,
        _ => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(id: &str, aliases: &[&str], upstream: &[&str]) -> Advisory {
        let owned = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect();
        Advisory { id: id.into(), aliases: owned(aliases), upstream: owned(upstream), ..Advisory::default() }
    }

    #[test]
    fn aliases_are_symmetric_and_transitive() {
        let check = |records: &[Advisory], expected: &[(&str, &[usize])]| {
            let groups = by_vulnerability(records.iter());
            let found: Vec<_> = groups.iter().map(|g| (g.vulnerability, g.members.as_slice())).collect();
            assert_eq!(found, expected);
        };
        let (cve, ghsa) = (record("CVE-1", &[], &[]), record("GHSA-1", &["CVE-1"], &[]));
        let pysec = record("PYSEC-1", &["GHSA-1"], &[]);
        check(&[pysec.clone(), cve.clone(), ghsa], &[("CVE-1", &[1, 2, 0])]);
        check(&[pysec, cve.clone()], &[("GHSA-1", &[0]), ("CVE-1", &[1])]);
        check(&[record("DSA-1", &[], &["CVE-1"]), cve.clone()], &[("CVE-1", &[1, 0])]);
        let both = record("DSA-2", &[], &["CVE-1", "CVE-2"]);
        check(&[both, cve, record("CVE-2", &[], &[])], &[("CVE-1", &[1, 0]), ("CVE-2", &[2, 0])]);
    }
}
