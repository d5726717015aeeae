//! Re-matching by the changed rows alone gives the same report as matching everything.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use tidewaiter_core::advisory::{Advisory, Affected, CveFacts, Epss, FixState, KeyKind, ModuleScope};
use tidewaiter_core::ecosystem::{Ecosystem, Os};
use tidewaiter_core::image::Digest;
use tidewaiter_core::package::{Location, Package, PackageType};
use tidewaiter_core::report::{ImageInfo, Inventory, Report, SupportPeriod};
use tidewaiter_core::severity::Severity;
use tidewaiter_db::delta::Delta;
use tidewaiter_db::matching::{Rematched, lookups, match_inventory, rematch};
use tidewaiter_db::meta::{FeedInfo, Meta};
use tidewaiter_db::writer::{BuildInput, write};
use tidewaiter_db::{Database, DatabaseError};

const NAMES: [&str; 5] = ["a", "b", "c", "d", "g:a"];
const VERSIONS: [&str; 6] = ["1.0", "1:0.5", "2.0", "2.0.module_el9", "3.0", "1:2.5"];
const ECOSYSTEMS: [&str; 8] = ["Debian:12", "Debian", "Rocky Linux:9", "Rocky Linux", "npm", "Go", "Bitnami", "Maven"];

fn row() -> impl Strategy<Value = Affected> {
    let key = prop_oneof![Just(KeyKind::Source), Just(KeyKind::Binary)];
    let module = prop_oneof![
        4 => Just(ModuleScope::Outside),
        1 => Just(ModuleScope::Streams(vec!["m:1".into()])),
        1 => Just(ModuleScope::Unnamed)
    ];
    let marks = (any::<bool>(), any::<bool>(), select(vec![FixState::Fixed, FixState::NotFixed]));
    let arches = prop_oneof![3 => Just(vec![]), 1 => Just(vec!["x86_64".to_owned()])];
    let names = (select(&ECOSYSTEMS[..]), select(&NAMES[..]), key, select(&VERSIONS[..]));
    (names, module, arches, marks).prop_map(|((ecosystem, name, key, fixed), module, arches, (never, rated, state))| {
        let row = Affected::new(Ecosystem::from(ecosystem), name, key).fixed_in(fixed);
        let severity = if rated { Severity::High } else { Severity::Unknown };
        Affected { module, arches, never_affected: never && rated, severity, fix_state: state, ..row }
    })
}

fn advisory() -> impl Strategy<Value = Advisory> {
    let names = (0..6_u8, select(vec!["f", "g"]), vec(0..4_u8, 0..2), vec(0..4_u8, 0..3), select(vec!["", "s"]));
    (names, vec(row(), 1..4)).prop_map(|((id, feed, aliases, upstream, summary), affected)| Advisory {
        id: format!("CVE-{id}"),
        feed: feed.into(),
        aliases: aliases.iter().map(|n| format!("CVE-{n}")).collect(),
        upstream: upstream.iter().map(|n| format!("CVE-{n}")).collect(),
        summary: summary.into(),
        affected,
        ..Advisory::default()
    })
}

fn input() -> impl Strategy<Value = BuildInput> {
    let covered = (vec(select(&ECOSYSTEMS[..]), 0..6), any::<bool>(), any::<bool>());
    let facts = (0..4_u8, any::<bool>(), 0..3_u8);
    (vec(advisory(), 0..10), vec(facts, 0..3), covered).prop_map(|(advisories, facts, (covered, rates, support))| {
        let fact = |(cve, kev, epss): (u8, bool, u8)| {
            let epss = Some(Epss { score: f64::from(epss) / 10.0, percentile: 0.5 });
            (
                format!("CVE-{cve}"),
                CveFacts { kev: kev.then(|| "2026-01-01".to_owned().into()), epss, ..CveFacts::default() },
            )
        };
        let ecosystems = covered.into_iter().map(Ecosystem::from).collect();
        let feed = FeedInfo { name: "f".into(), ecosystems, rates, ..FeedInfo::default() };
        let ends =
            SupportPeriod { ecosystem: "Debian:12".into(), until: "2028-06-30".parse().unwrap(), extended_until: None };
        let support = if support { vec![ends] } else { vec![] };
        let meta = Meta { feeds: vec![feed], support, ..Meta::default() };
        BuildInput { advisories, cves: facts.into_iter().map(fact).collect(), meta }
    })
}

/// Like a feed a day later: some records are gone, some are new, some have changed.
fn later() -> impl Strategy<Value = (BuildInput, BuildInput)> {
    (input(), input(), vec(0..4_u8, 10), any::<[bool; 2]>()).prop_map(|(old, other, fates, [cves, meta])| {
        let mut advisories = Vec::new();
        for (index, fate) in fates.into_iter().enumerate() {
            let (was, new) = (old.advisories.get(index).cloned(), other.advisories.get(index).cloned());
            match fate {
                0 => advisories.extend(new),
                1 => advisories
                    .extend(was.into_iter().zip(new).map(|(was, new)| Advisory { affected: new.affected, ..was })),
                _ => advisories.extend(was),
            }
        }
        let cves = if cves { other.cves } else { old.cves.clone() };
        let meta = if meta { other.meta } else { old.meta.clone() };
        (old, BuildInput { advisories, cves, meta })
    })
}

fn package() -> impl Strategy<Value = Package> {
    let kinds = vec![
        PackageType::Deb,
        PackageType::Rpm,
        PackageType::Npm,
        PackageType::Golang,
        PackageType::Generic,
        PackageType::Maven,
    ];
    let names = (select(kinds), select(&NAMES[..]), select(vec!["", "a", "b", "e"]), select(vec!["", "", "a", "b"]));
    let versions = (select(&VERSIONS[..]), select(vec!["", "1.0", "2.0", "(devel)"]));
    let rest = (select(vec!["", "m:1"]), select(vec!["x86_64", "noarch"]));
    (names, versions, rest).prop_map(|((kind, name, source, owner), (version, source_version), (module, arch))| {
        Package {
            arch: if kind.is_os() { arch.into() } else { String::new() },
            source_name: if kind.is_os() { source.into() } else { String::new() },
            source_version: source_version.into(),
            module: if kind == PackageType::Rpm { module.into() } else { String::new() },
            owner: if kind.is_os() { String::new() } else { owner.into() },
            locations: vec![Location { path: "x".into(), layer: 0 }],
            ..Package::new(kind, name, version)
        }
    })
}

fn inventory() -> impl Strategy<Value = Inventory> {
    (vec(package(), 0..8), select(vec![("debian", "12"), ("rocky", "9"), ("none", "")])).prop_map(|(packages, os)| {
        let digest = Digest::from_sha256([0; 32]);
        let image = ImageInfo::new("r.example/x:1", digest.clone(), digest, "linux/amd64".parse().unwrap());
        let os = Os { id: os.0.into(), version_id: os.1.into(), ..Os::default() };
        Inventory { image, layers: vec![], os: Some(os), packages, gaps: vec![] }
    })
}

/// The report without the name of its database.
fn unnamed(report: Result<Report, DatabaseError>) -> Report {
    Report { database: Default::default(), ..report.unwrap() }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn the_incremental_result_is_the_full_one((old, new) in later(), inventories in vec(inventory(), 1..12)) {
        let dir = tempfile::tempdir().unwrap();
        let open = |name: &str, input: &BuildInput| {
            write(&dir.path().join(name), input).unwrap();
            Database::open(&dir.path().join(name)).unwrap()
        };
        let (old, new) = (open("old", &old), open("new", &new));
        let delta = Delta::between(&old, &new).unwrap();
        for inventory in inventories {
            let (before, after) = (unnamed(match_inventory(inventory.clone(), &old)), unnamed(match_inventory(inventory.clone(), &new)));
            let asked_otherwise = lookups(&inventory).iter().any(|lookup| lookup.answer_may_change(&delta));
            let same = before == after;
            prop_assert!(same || asked_otherwise, "a report changed unseen:\n{before:#?}\n{after:#?}");
            let again = match rematch(inventory, &delta).unwrap() {
                Rematched::Same => before.clone(),
                Rematched::Findings { removed, added } => before.clone().patched(&removed, &added, Default::default()).unwrap(),
                Rematched::Whole(report) => unnamed(Ok(*report)),
            };
            prop_assert_eq!(again, after);
        }
    }
}
