//! Debian's feeds reconciled: a fix that was built for a release (`2.15.0-1~deb11u1`) takes precedence over unstable's
//! version (`2.15.0-1`), which another feed gives for the same release and by which the fixed build would be vulnerable.

use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::collections::BTreeMap;
use tidewaiter_core::advisory::{Affected, Interval, IntervalEnd};
use tidewaiter_core::ecosystem::{Ecosystem, EcosystemBase};
use tidewaiter_core::version::VersionScheme;

/// The fixes that were built for releases, by id.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct DebianFixes(BTreeMap<String, FixesOfId>);

/// The fixes of one vulnerability.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct FixesOfId(Vec<(Ecosystem, String, String)>);

impl DebianFixes {
    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Those of one vulnerability.
    pub(crate) fn of(&self, id: &str) -> Option<&FixesOfId> {
        self.0.get(id)
    }

    /// Learns from a row of the advisory with this id.
    pub(crate) fn learn(&mut self, id: &str, row: &Affected) {
        if *row.ecosystem.base() != EcosystemBase::Debian {
            return;
        }
        for version in fixes(&row.intervals).filter(|v| of_release(v, &row.ecosystem)) {
            self.add(id, &row.ecosystem, &row.package, version);
        }
    }

    /// Adds those of another feed.
    pub(crate) fn extend(&mut self, other: &DebianFixes) {
        for (id, fixes) in &other.0 {
            fixes.0.iter().for_each(|(ecosystem, package, version)| self.add(id, ecosystem, package, version));
        }
    }

    fn add(&mut self, id: &str, ecosystem: &Ecosystem, package: &str, version: &str) {
        if !self.0.contains_key(id) {
            self.0.insert(id.to_owned(), FixesOfId::default());
        }
        let Some(of_id) = self.0.get_mut(id) else { return };
        match of_id.0.iter_mut().find(|(e, p, _)| e == ecosystem && p == package) {
            // Of several updates of a release the last one completed the fix.
            Some((_, _, known)) if VersionScheme::Deb.compare(version, known) == Ordering::Greater => {
                version.clone_into(known);
            }
            Some(_) => {}
            None => of_id.0.push((ecosystem.clone(), package.to_owned(), version.to_owned())),
        }
    }
}

impl FixesOfId {
    /// Lowers the bounds of a row for which another feed has a fix of the release itself.
    pub(crate) fn lower(&self, ecosystem: &Ecosystem, package: &str, intervals: &mut [Interval]) {
        let found = self.0.iter().find(|(e, p, _)| e == ecosystem && p == package);
        let Some((_, _, fix)) = found else { return };
        if fixes(intervals).any(|version| of_release(version, ecosystem)) {
            return;
        }
        for interval in intervals {
            if let IntervalEnd::Fixed(version) = &mut interval.end
                && VersionScheme::Deb.compare(fix, version) == Ordering::Less
            {
                fix.clone_into(version);
            }
        }
    }
}

fn fixes(intervals: &[Interval]) -> impl Iterator<Item = &str> {
    intervals.iter().filter_map(|interval| match &interval.end {
        IntervalEnd::Fixed(version) => Some(version.as_str()),
        _ => None,
    })
}

/// `~deb11u1`, `+deb11u2` of Debian 11.
fn of_release(version: &str, ecosystem: &Ecosystem) -> bool {
    // Most versions have no such part, and then need no text to compare with.
    version.contains("deb") && ecosystem.release().is_some_and(|release| version.contains(&format!("deb{release}u")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidewaiter_core::advisory::KeyKind;

    #[test]
    fn the_releases_own_fix_is_the_closer_word() {
        let check = |one: &str, other: &str, expected: [&str; 2]| {
            let row = |version: &str| Affected::new("Debian:11".into(), "a", KeyKind::Source).fixed_in(version);
            let mut both = [row(one), row(other)];
            let mut known = [DebianFixes::default(), DebianFixes::default()];
            known.iter_mut().zip(&both).for_each(|(known, row)| known.learn("CVE-1", row));
            let mut all = DebianFixes::default();
            known.iter().for_each(|known| all.extend(known));
            if let Some(of_id) = all.of("CVE-1") {
                both.iter_mut().for_each(|row| of_id.lower(&row.ecosystem, &row.package, &mut row.intervals));
            }
            let found = both.each_ref().map(|row| fixes(&row.intervals).next().unwrap_or_default().to_owned());
            assert_eq!(found, expected, "{one} {other}");
        };
        check("2.15.0-1", "2.15.0-1~deb11u1", ["2.15.0-1~deb11u1", "2.15.0-1~deb11u1"]);
        check("1.0-1+deb11u3", "1.0-1+deb11u1", ["1.0-1+deb11u3", "1.0-1+deb11u1"]);
        check("2.0-1", "2.1-1~deb12u1", ["2.0-1", "2.1-1~deb12u1"]);
        check("2.0-1", "2.1-1~deb11u1", ["2.0-1", "2.1-1~deb11u1"]);
    }
}
