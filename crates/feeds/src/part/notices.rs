//! Ubuntu's security notices (USN) repeat what its records of single CVEs (UBUNTU-CVE) say, and sometimes contradict them: a
//! notice that repairs a faulty fix (USN-N-2) names the CVEs of the first one again, with its own higher version, although the
//! first one fixed them. The records of single CVEs are maintained, so they decide.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use tidewaiter_core::advisory::{Advisory, Affected, IntervalEnd};

/// How ids begin.
const NOTICE: &str = "USN-";
const RECORD: &str = "UBUNTU-CVE-";

/// The fixes that records of single CVEs name, as digests of (release, package, CVE): a million of them are 16 MB. Two of them
/// are equal by chance once in a hundred million feeds.
#[derive(Debug, Default)]
pub(super) struct SingleFixes(HashSet<u64>);

impl SingleFixes {
    /// Learns from an advisory, if it is a record of one CVE.
    pub(super) fn learn(&mut self, advisory: &Advisory) {
        let Some(number) = advisory.id.strip_prefix(RECORD) else { return };
        let cve = format!("CVE-{number}");
        self.0.extend(advisory.affected.iter().filter(|row| is_decided(row)).map(|row| digest(row, &cve)));
    }

    /// Whether an advisory of this id may have rows that are not needed.
    pub(super) fn concern(&self, id: &str) -> bool {
        id.starts_with(NOTICE) && !self.0.is_empty()
    }

    /// Removes the rows of a notice for which each of its CVEs has a record that decides about the package. A row with a CVE that
    /// has none stays, for all of them.
    pub(super) fn remove_repeated(&self, notice: &mut Advisory) {
        let cves: Vec<&String> = notice.upstream.iter().filter(|name| name.starts_with("CVE-")).collect();
        if !cves.is_empty() {
            notice.affected.retain(|row| !cves.iter().all(|cve| self.0.contains(&digest(row, cve))));
        }
    }
}

/// Whether a row says which version has the fix, or that none needs it.
fn is_decided(row: &Affected) -> bool {
    row.never_affected || row.intervals.iter().any(|interval| matches!(interval.end, IntervalEnd::Fixed(_)))
}

fn digest(row: &Affected, cve: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&row.ecosystem, &row.package, cve).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidewaiter_core::advisory::KeyKind;

    fn row(release: &str, package: &str) -> Affected {
        Affected::new(format!("Ubuntu:{release}").as_str().into(), package, KeyKind::Source)
    }

    fn record(id: &str, upstream: &[&str], affected: Vec<Affected>) -> Advisory {
        let upstream = upstream.iter().map(|name| (*name).to_owned()).collect();
        Advisory { id: id.to_owned(), upstream, affected, ..Advisory::default() }
    }

    #[test]
    fn records_of_single_cves_decide() {
        let mut known = SingleFixes::default();
        let never = Affected { never_affected: true, ..row("25.10", "wayland") };
        let fixed = row("22.04:LTS", "wayland").fixed_in("1.20.0-1ubuntu0.1");
        known.learn(&record("UBUNTU-CVE-2021-1", &["CVE-2021-1"], vec![fixed, never, row("26.04:LTS", "wayland")]));
        known.learn(&record("UBUNTU-CVE-2021-2", &[], vec![row("22.04:LTS", "wayland").fixed_in("1.20.0-1ubuntu0.1")]));
        known.learn(&record("DSA-1", &["CVE-2021-3"], vec![row("22.04:LTS", "wayland").fixed_in("1")]));
        let check = |cves: &[&str], release: &str, package: &str, stays: bool| {
            let mut notice = record("USN-5614-2", cves, vec![row(release, package).fixed_in("1.20.0-1ubuntu0.2")]);
            assert!(known.concern(&notice.id));
            known.remove_repeated(&mut notice);
            assert_eq!(!notice.affected.is_empty(), stays, "{cves:?} {release} {package}");
        };
        check(&["CVE-2021-1"], "22.04:LTS", "wayland", false);
        check(&["CVE-2021-1", "CVE-2021-2"], "22.04:LTS", "wayland", false);
        check(&["CVE-2021-1"], "25.10", "wayland", false);
        // No version with a fix, no row, no record, no CVE.
        check(&["CVE-2021-1"], "26.04:LTS", "wayland", true);
        check(&["CVE-2021-1"], "24.04:LTS", "wayland", true);
        check(&["CVE-2021-1"], "22.04:LTS", "weston", true);
        check(&["CVE-2021-1", "CVE-2021-3"], "22.04:LTS", "wayland", true);
        check(&[], "22.04:LTS", "wayland", true);
        assert!(!known.concern("UBUNTU-CVE-2021-1") && !SingleFixes::default().concern("USN-1-1"));
    }
}
