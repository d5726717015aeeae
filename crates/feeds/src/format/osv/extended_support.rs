//! Extended support in the records of the plain product: fixes of Ubuntu Pro (ESM) and of SUSE's LTSS are not fixes for an image
//! without a subscription.

use tidewaiter_core::advisory::{Affected, FixState, IntervalEnd};
use tidewaiter_core::ecosystem::{Ecosystem, EcosystemBase};

/// Adds paid fixes to the rows of plain releases: a version that has one is not vulnerable, and none is offered.
/// Where only extended support covers a package, the plain release is vulnerable and has no fix.
pub(super) fn paid(rows: &mut Vec<Affected>) {
    let paid: Vec<Affected> = rows.iter().filter(|r| plain(&r.ecosystem).is_some()).cloned().collect();
    for row in paid {
        let Some(ecosystem) = plain(&row.ecosystem) else { continue };
        let ends: Vec<IntervalEnd> = row.intervals.iter().map(|i| i.end.clone()).collect();
        let same = |r: &&mut Affected| r.ecosystem == ecosystem && r.package == row.package;
        match rows.iter_mut().find(same) {
            Some(known) => {
                let fixed = ends.into_iter().find(|e| matches!(e, IntervalEnd::Fixed(_)));
                for interval in known.intervals.iter_mut().filter(|i| i.end == IntervalEnd::Open) {
                    if let Some(end) = &fixed {
                        interval.end = end.clone();
                        known.fix_state = FixState::NotFixed;
                    }
                }
            }
            None => rows.push(Affected { ecosystem, fix_state: FixState::NotFixed, ..row }),
        }
    }
}

/// The release without extended support.
fn plain(ecosystem: &Ecosystem) -> Option<Ecosystem> {
    let release = ecosystem.release()?;
    match ecosystem.base() {
        EcosystemBase::Ubuntu => without_pro(release),
        EcosystemBase::Suse => without_ltss(release),
        _ => None,
    }
}

/// `Linux Enterprise Server 15 SP5-LTSS` → `Linux Enterprise Server 15 SP5`: the same packages, built for longer. Of other
/// products with long support, the server's images name none.
fn without_ltss(release: &str) -> Option<Ecosystem> {
    let server = release.strip_suffix("-LTSS").or_else(|| release.strip_suffix(" LTSS"))?;
    let is_server = server.starts_with("Linux Enterprise Server ") && !server.contains(" for ");
    is_server.then(|| Ecosystem::with_release(EcosystemBase::Suse, server).canonical())
}

/// `Pro:22.04:LTS` → `22.04:LTS`. Other products of Pro (FIPS, real-time kernels) are other packages.
fn without_pro(release: &str) -> Option<Ecosystem> {
    let release = release.strip_prefix("Pro:")?;
    let version = release.strip_suffix(":LTS").unwrap_or(release);
    let digits = version.chars().all(|c| c.is_ascii_digit() || c == '.');
    digits.then(|| Ecosystem::with_release(EcosystemBase::Ubuntu, release))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::testing::feed;
    use crate::format::{Records, osv};

    #[test]
    fn paid_fixes_are_not_offered() {
        let check = |rows: &str, expected: &[(&str, IntervalEnd, FixState)]| {
            let json = format!(r#"{{"id":"UBUNTU-CVE-1","upstream":["CVE-1"],"affected":[{rows}]}}"#);
            let mut records = Records::default();
            assert!(osv::parse("a.json", json.as_bytes(), &feed("ubuntu", &[]), &mut records).unwrap());
            let rows = records.advisories[0].affected.iter().filter(|r| plain(&r.ecosystem).is_none());
            let found: Vec<_> =
                rows.map(|r| (r.ecosystem.to_string(), r.intervals[0].end.clone(), r.fix_state)).collect();
            let expected: Vec<_> = expected.iter().map(|(e, end, s)| ((*e).to_owned(), end.clone(), *s)).collect();
            assert_eq!(found, expected, "{json}");
        };
        let row = |ecosystem: &str, events: &str| {
            format!(
                r#"{{"package":{{"ecosystem":"{ecosystem}","name":"a"}},"ranges":[{{"type":"ECOSYSTEM","events":[{{"introduced":"0"}}{events}]}}]}}"#
            )
        };
        let esm = row("Ubuntu:Pro:18.04:LTS", r#",{"fixed":"1-2ubuntu3+esm1"}"#);
        let bound = || IntervalEnd::Fixed("1-2ubuntu3+esm1".to_owned());
        check(&esm, &[("Ubuntu:18.04:LTS", bound(), FixState::NotFixed)]);
        let open = row("Ubuntu:18.04:LTS", "");
        check(&format!("{open},{esm}"), &[("Ubuntu:18.04:LTS", bound(), FixState::NotFixed)]);
        let free = row("Ubuntu:18.04:LTS", r#",{"fixed":"1-2ubuntu2"}"#);
        let fixed = IntervalEnd::Fixed("1-2ubuntu2".to_owned());
        check(&format!("{free},{esm}"), &[("Ubuntu:18.04:LTS", fixed, FixState::Fixed)]);
        let server = |more: &str| format!("SUSE:Linux Enterprise Server 15 SP5{more}");
        let ltss = row(&server("-LTSS"), r#",{"fixed":"1.2-150500.9.1"}"#);
        let bound = || IntervalEnd::Fixed("1.2-150500.9.1".to_owned());
        check(&ltss, &[(&server(""), bound(), FixState::NotFixed)]);
        let general = row("SUSE:Linux Enterprise Module for Basesystem 15 SP5", r#",{"fixed":"1.2-150500.9.1"}"#);
        check(&format!("{general},{ltss}"), &[(&server(""), bound(), FixState::Fixed)]);
        let other = "SUSE:Linux Enterprise Micro 5.5-LTSS";
        check(&row(other, ""), &[(other, IntervalEnd::Open, FixState::Unknown)]);
        check(
            &row("Ubuntu:Pro:FIPS:18.04:LTS", ""),
            &[("Ubuntu:Pro:FIPS:18.04:LTS", IntervalEnd::Open, FixState::Unknown)],
        );
    }
}
