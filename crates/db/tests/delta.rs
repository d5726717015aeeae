//! Two databases are compared by content.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::Path;
use tidewaiter_core::advisory::{Advisory, Affected, CveFacts, KeyKind};
use tidewaiter_core::ecosystem::Ecosystem;
use tidewaiter_core::report::SupportPeriod;
use tidewaiter_db::Database;
use tidewaiter_db::delta::{ChangeKind, Delta};
use tidewaiter_db::meta::{FeedInfo, Meta};
use tidewaiter_db::writer::{self, BuildInput};

fn advisory(id: &str, feed: &str, rows: &[(&str, &str, &str)]) -> Advisory {
    let row = |(ecosystem, name, fixed): &(&str, &str, &str)| {
        Affected::new(Ecosystem::from(*ecosystem), name, KeyKind::Binary).fixed_in(fixed)
    };
    Advisory { id: id.into(), feed: feed.into(), affected: rows.iter().map(row).collect(), ..Advisory::default() }
}

fn open(path: &Path, input: BuildInput) -> Database {
    writer::write(path, &input).unwrap();
    Database::open_verified(path).unwrap()
}

/// `+ID ECOSYSTEM/NAME …` for each record, as the delta of two inputs tells it.
fn told(old: BuildInput, new: BuildInput) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    let (old, new) = (open(&dir.path().join("old"), old), open(&dir.path().join("new"), new));
    let delta = Delta::between(&old, &new).unwrap();
    let sign = |kind| match kind {
        ChangeKind::Added => '+',
        ChangeKind::Removed => '-',
        ChangeKind::Changed => '~',
    };
    let one = |change: &tidewaiter_db::delta::AdvisoryChange<'_>| {
        let packages = change.packages.iter().map(|p| format!(" {}/{}", p.ecosystem, p.name)).collect::<String>();
        format!("{}{}{packages}", sign(change.change), change.id)
    };
    delta.advisories.iter().map(one).collect()
}

#[test]
fn records_are_compared_by_content() {
    let check = |old: Vec<Advisory>, new: Vec<Advisory>, expected: &[&str]| {
        let input = |advisories| BuildInput { advisories, ..BuildInput::default() };
        assert_eq!(told(input(old), input(new)), expected);
    };
    let a = || advisory("CVE-1", "f", &[("Debian:12", "curl", "2"), ("npm", "x", "1")]);
    let b = || advisory("CVE-2", "f", &[("npm", "x", "3")]);
    check(vec![a(), b()], vec![b(), a()], &[]);
    check(vec![a()], vec![a(), b()], &["+CVE-2 npm/x"]);
    check(vec![a(), b()], vec![b()], &["-CVE-1 Debian:12/curl npm/x"]);
    check(vec![], vec![], &[]);
    // One row of two changed: one package is concerned.
    let fixed = advisory("CVE-1", "f", &[("npm", "x", "1"), ("Debian:12", "curl", "2.1")]);
    check(vec![a(), b()], vec![fixed, b()], &["~CVE-1 Debian:12/curl"]);
    // A row came, another went.
    let moved = advisory("CVE-1", "f", &[("Debian:12", "curl", "2"), ("npm", "y", "1")]);
    check(vec![a()], vec![moved], &["~CVE-1 npm/x npm/y"]);
    // The text changed: all packages of the record are listed.
    check(vec![a()], vec![Advisory { summary: "s".into(), ..a() }], &["~CVE-1 Debian:12/curl npm/x"]);
    // The same id in another feed is another record.
    check(vec![a()], vec![a(), advisory("CVE-1", "g", &[("npm", "x", "1")])], &["+CVE-1 npm/x"]);
    // The order of a record's rows and versions means nothing.
    let rows = |order: [usize; 2], versions: [&str; 2]| {
        let mut record = advisory("CVE-1", "f", &[("npm", "x", "1"), ("npm", "x", "2")]);
        record.affected = order.iter().map(|i| record.affected[*i].clone()).collect();
        record.affected.iter_mut().for_each(|row| row.versions = versions.map(str::to_owned).to_vec());
        record
    };
    check(vec![rows([0, 1], ["3", "4"])], vec![rows([1, 0], ["4", "3"])], &[]);
    // An id that is used again for another release, with other text.
    let again = |release: &str, summary: &str| Advisory {
        summary: summary.into(),
        ..advisory("RHSA-1", "f", &[(release, "x", "1")])
    };
    let (eight, nine) = (|| again("Rocky Linux:8", "a"), || again("Rocky Linux:9", "b"));
    check(vec![eight(), nine()], vec![eight(), again("Rocky Linux:9", "c")], &["~RHSA-1 Rocky Linux:9/x"]);
    check(vec![eight()], vec![eight(), nine()], &["~RHSA-1 Rocky Linux:9/x"]);
}

#[test]
fn what_is_known_of_a_cve_counts_for_all_that_name_it() {
    let facts = |kev: Option<&str>| BuildInput {
        advisories: vec![
            Advisory { aliases: vec!["CVE-1".into()], ..advisory("GHSA-1", "f", &[("npm", "x", "1")]) },
            Advisory { upstream: vec!["CVE-1".into()], ..advisory("DSA-1", "f", &[("Debian:12", "y", "1")]) },
            advisory("CVE-2", "f", &[("npm", "z", "1")]),
        ],
        cves: [("CVE-1".to_owned(), CveFacts { kev: kev.map(|day| day.to_owned().into()), ..CveFacts::default() })]
            .into(),
        ..BuildInput::default()
    };
    assert_eq!(told(facts(None), facts(None)), [""; 0]);
    assert_eq!(told(facts(None), facts(Some("2026-01-01"))), ["~DSA-1 Debian:12/y", "~GHSA-1 npm/x"]);
    let without = BuildInput { cves: std::collections::BTreeMap::new(), ..facts(None) };
    assert_eq!(told(facts(Some("2026-01-01")), without), ["~DSA-1 Debian:12/y", "~GHSA-1 npm/x"]);
}

#[test]
fn coverage_is_compared_by_ecosystem() {
    let dir = tempfile::tempdir().unwrap();
    let meta = |built: &str, ecosystems: &[&str], rates: bool, until: &str| {
        let ecosystems = ecosystems.iter().map(|e| Ecosystem::from(*e)).collect();
        let feeds = vec![FeedInfo { name: "f".into(), ecosystems, rates, ..FeedInfo::default() }];
        let support =
            SupportPeriod { ecosystem: "Debian:12".into(), until: until.parse().unwrap(), extended_until: None };
        Meta { built: built.parse().ok(), feeds, support: vec![support], ..Meta::default() }
    };
    let base = || meta("2026-01-01T00:00:00Z", &["Debian:12", "npm"], true, "2026-06-10");
    let check = |new: Meta, expected: &[&str]| {
        let input = |meta| BuildInput { meta, ..BuildInput::default() };
        let (old, new) = (open(&dir.path().join("old"), input(base())), open(&dir.path().join("new"), input(new)));
        let delta = Delta::between(&old, &new).unwrap();
        assert_eq!(old.id() == new.id(), expected.is_empty(), "{expected:?}");
        assert_eq!(delta.coverage.iter().map(|c| c.ecosystem.to_string()).collect::<Vec<_>>(), expected);
        for ecosystem in ["Debian:12", "npm", "PyPI"] {
            assert_eq!(delta.coverage_differs(&ecosystem.into()), expected.contains(&ecosystem), "{ecosystem}");
        }
    };
    check(meta("2026-02-02T00:00:00Z", &["npm", "Debian:12"], true, "2026-06-10"), &[]);
    check(meta("", &["npm", "PyPI", "Debian:12"], true, "2026-06-10"), &["PyPI"]);
    check(meta("", &["npm", "Debian:12"], false, "2026-06-10"), &["Debian:12", "npm"]);
    check(meta("", &["npm", "Debian:12"], true, "2026-06-11"), &["Debian:12"]);
}
