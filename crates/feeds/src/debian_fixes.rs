//! Debian's feeds reconciled: a fix that was built for a release (`2.15.0-1~deb11u1`) takes precedence over unstable's
//! version (`2.15.0-1`), which another feed gives for the same release and by which the fixed build would be vulnerable.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use tidewaiter_core::advisory::{Advisory, Affected, IntervalEnd};
use tidewaiter_core::ecosystem::EcosystemBase;
use tidewaiter_core::version::VersionScheme;

/// Lowers the bounds of rows for which another feed has a fix of the release itself.
pub(crate) fn reconcile(advisories: &mut [Advisory]) {
    let mut closer: BTreeMap<(String, String, String), String> = BTreeMap::new();
    for (id, row) in advisories.iter().flat_map(|a| a.affected.iter().map(|row| (&a.id, row))) {
        for version in fixes(row).filter(|v| of_release(v, row)) {
            let known = closer.entry(key(id, row)).or_insert_with(|| version.to_owned());
            // Of several updates of a release the last one completed the fix.
            if VersionScheme::Deb.compare(version, known) == Ordering::Greater {
                version.clone_into(known);
            }
        }
    }
    for advisory in advisories {
        for row in &mut advisory.affected {
            let Some(fix) = closer.get(&key(&advisory.id, row)) else { continue };
            if fixes(row).any(|version| of_release(version, row)) {
                continue;
            }
            for interval in &mut row.intervals {
                if let IntervalEnd::Fixed(version) = &mut interval.end
                    && VersionScheme::Deb.compare(fix, version) == Ordering::Less
                {
                    fix.clone_into(version);
                }
            }
        }
    }
}

fn fixes(row: &Affected) -> impl Iterator<Item = &str> {
    let debian = *row.ecosystem.base() == EcosystemBase::Debian;
    row.intervals.iter().filter(move |_| debian).filter_map(|interval| match &interval.end {
        IntervalEnd::Fixed(version) => Some(version.as_str()),
        _ => None,
    })
}

/// `~deb11u1`, `+deb11u2` of Debian 11.
fn of_release(version: &str, row: &Affected) -> bool {
    row.ecosystem.release().is_some_and(|release| version.contains(&format!("deb{release}u")))
}

fn key(id: &str, row: &Affected) -> (String, String, String) {
    (id.to_owned(), row.ecosystem.to_string(), row.package.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidewaiter_core::advisory::KeyKind;
    use tidewaiter_core::ecosystem::Ecosystem;

    #[test]
    fn the_releases_own_fix_is_the_closer_word() {
        let check = |one: &str, other: &str, expected: [&str; 2]| {
            let advisory = |version: &str| Advisory {
                id: "CVE-1".into(),
                affected: vec![Affected::new(Ecosystem::from("Debian:11"), "a", KeyKind::Source).fixed_in(version)],
                ..Advisory::default()
            };
            let mut both = [advisory(one), advisory(other)];
            reconcile(&mut both);
            let found = both.each_ref().map(|a| fixes(&a.affected[0]).next().unwrap_or_default().to_owned());
            assert_eq!(found, expected, "{one} {other}");
        };
        check("2.15.0-1", "2.15.0-1~deb11u1", ["2.15.0-1~deb11u1", "2.15.0-1~deb11u1"]);
        check("1.0-1+deb11u3", "1.0-1+deb11u1", ["1.0-1+deb11u3", "1.0-1+deb11u1"]);
        check("2.0-1", "2.1-1~deb12u1", ["2.0-1", "2.1-1~deb12u1"]);
        check("2.0-1", "2.1-1~deb11u1", ["2.0-1", "2.1-1~deb11u1"]);
    }
}
