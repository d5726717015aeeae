//! Packages × rows → findings. Pure look-ups and comparisons; the database is the only input besides the packages.

use crate::Error;
use crate::reader::{Database, Row, Span};
use std::cmp::Ordering;
use std::collections::BTreeMap;
use tidewaiter_core::advisory::{Advisory, FixState, KeyKind};
use tidewaiter_core::ecosystem::{Ecosystem, Os};
use tidewaiter_core::finding::{Finding, Installed};
use tidewaiter_core::package::{Package, PackageType};
use tidewaiter_core::report::{Gap, GapKind, Inventory, Report};
use tidewaiter_core::severity::{self, Severity};
use tidewaiter_core::version::Order;

/// Judges an inventory: the report with findings, counts and everything the database could not answer.
///
/// # Errors
/// When the database file is corrupt.
pub fn judge(inventory: Inventory, db: &Database) -> Result<Report, Error> {
    let mut findings = Vec::new();
    for (subject, packages) in subjects(&inventory.packages) {
        findings.extend(match_subject(db, &subject, &packages, inventory.os.as_ref())?);
    }
    let gaps = coverage_gaps(&inventory, db);
    Ok(Report::new(inventory, db.info(), findings, gaps))
}

/// What is compared: one source package (OS) or one package (language) in one version.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Subject {
    kind: PackageType,
    name: String,
    version: String,
}

fn subjects(packages: &[Package]) -> BTreeMap<Subject, Vec<&Package>> {
    let mut out: BTreeMap<Subject, Vec<&Package>> = BTreeMap::new();
    for package in packages.iter().filter(|p| !p.advisory_version().is_empty()) {
        let subject = Subject {
            kind: package.kind,
            name: package.advisory_name().to_owned(),
            version: package.advisory_version().to_owned(),
        };
        out.entry(subject).or_default().push(package);
    }
    out
}

fn match_subject(
    db: &Database,
    subject: &Subject,
    packages: &[&Package],
    os: Option<&Os>,
) -> Result<Vec<Finding>, Error> {
    let Some((ecosystem, order)) = subject.kind.ecosystem(os).and_then(|e| e.order().map(|o| (e, o))) else {
        return Ok(Vec::new());
    };
    let name = ecosystem.normalize(&subject.name);
    let mut hits = Vec::new();
    for hit in hits_of(db, &ecosystem, &name, &subject.version, order) {
        hits.push((hit.row.advisory()?, hit));
    }
    let groups = group_by_vulnerability(&hits);
    let installed = installed(packages, os);
    let finding = |group: Vec<usize>| {
        let group: Vec<&(Advisory, Hit<'_>)> = group.iter().filter_map(|i| hits.get(*i)).collect();
        finding_of(&group, &ecosystem, subject, &installed, order)
    };
    Ok(groups.into_iter().filter_map(finding).collect())
}

/// The vulnerability ids, by all names, that hold for one package: what spot checks ask.
///
/// # Errors
/// When the database file is corrupt.
pub fn vulnerabilities(
    db: &Database,
    ecosystem: &Ecosystem,
    package: &str,
    version: &str,
) -> Result<Vec<Advisory>, Error> {
    let Some(order) = ecosystem.order() else { return Ok(Vec::new()) };
    let name = ecosystem.normalize(package);
    hits_of(db, ecosystem, &name, version, order).map(|hit| hit.row.advisory()).collect()
}

/// A row whose comparison says "vulnerable".
struct Hit<'a> {
    row: Row<'a>,
    span: Span<'a>,
}

fn hits_of<'a>(
    db: &'a Database,
    ecosystem: &Ecosystem,
    name: &'a str,
    version: &'a str,
    order: Order,
) -> impl Iterator<Item = Hit<'a>> {
    // A record without a release speaks of all releases.
    let names = [Some(ecosystem.to_string()), ecosystem.release().map(|_| ecosystem.base().to_owned())];
    let keys = [KeyKind::Source, KeyKind::Binary];
    let lookups = names.into_iter().flatten().flat_map(move |eco| keys.map(|key| (eco.clone(), key)));
    lookups.flat_map(move |(eco, key)| db.rows(&eco, key, name).collect::<Vec<_>>()).filter_map(move |row| {
        if row.never_affected() {
            return None;
        }
        let span = row.spans().find(|span| contains(*span, version, order))?;
        Some(Hit { row, span })
    })
}

fn contains(span: Span<'_>, version: &str, order: Order) -> bool {
    let at_least = |lo: Option<&str>| lo.is_none_or(|lo| order.compare(version, lo) != Ordering::Less);
    match span {
        Span::Fixed(lo, fixed) => at_least(lo) && order.compare(version, fixed) == Ordering::Less,
        Span::Last(lo, last) => at_least(lo) && order.compare(version, last) != Ordering::Greater,
        Span::Open(lo) => at_least(lo),
        Span::Exact(exact) => order.compare(version, exact) == Ordering::Equal,
    }
}

/// Indexes of the hits that speak of the same vulnerability: union-find over ids and aliases.
fn group_by_vulnerability(hits: &[(Advisory, Hit<'_>)]) -> Vec<Vec<usize>> {
    let mut parent: Vec<usize> = (0..hits.len()).collect();
    let mut owner: BTreeMap<&str, usize> = BTreeMap::new();
    for (index, (advisory, _)) in hits.iter().enumerate() {
        for name in std::iter::once(&advisory.id).chain(&advisory.aliases) {
            match owner.get(name.as_str()) {
                Some(other) => {
                    let (a, b) = (root(&parent, *other), root(&parent, index));
                    if let Some(slot) = parent.get_mut(a.max(b)) {
                        *slot = a.min(b);
                    }
                }
                None => {
                    owner.insert(name, index);
                }
            }
        }
    }
    let mut groups: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for index in 0..hits.len() {
        groups.entry(root(&parent, index)).or_default().push(index);
    }
    groups.into_values().collect()
}

fn root(parent: &[usize], mut index: usize) -> usize {
    while let Some(up) = parent.get(index).filter(|up| **up != index) {
        index = *up;
    }
    index
}

fn installed(packages: &[&Package], os: Option<&Os>) -> Vec<Installed> {
    let mut out: Vec<Installed> = packages
        .iter()
        .map(|p| Installed {
            name: p.name.clone(),
            version: p.version.clone(),
            purl: p.purl(os),
            locations: p.locations.clone(),
        })
        .collect();
    out.sort();
    out.dedup();
    out
}

fn finding_of(
    group: &[&(Advisory, Hit<'_>)],
    ecosystem: &Ecosystem,
    subject: &Subject,
    installed: &[Installed],
    order: Order,
) -> Option<Finding> {
    // The best-known name leads; among its records the one with the smaller id, so that the choice is stable.
    let (advisory, hit) =
        group.iter().min_by_key(|(a, _)| (rank(a.canonical_id()), a.canonical_id(), a.id.as_str()))?;
    let mut aliases: Vec<String> =
        group.iter().flat_map(|(a, _)| std::iter::once(&a.id).chain(&a.aliases)).cloned().collect();
    let vulnerability = advisory.canonical_id().to_owned();
    aliases.retain(|alias| *alias != vulnerability);
    aliases.sort();
    aliases.dedup();
    let mut ratings = group.iter().flat_map(|(a, _)| a.ratings.clone()).collect::<Vec<_>>();
    ratings.sort_by(|a, b| (&a.source, &a.vector).cmp(&(&b.source, &b.vector)));
    ratings.dedup();
    let row = group.iter().map(|(a, h)| (h.row.severity(), a.feed.as_str())).max_by_key(|(s, _)| *s);
    let (severity, severity_source) = severity::select(row, &advisory.feed, &ratings);
    Some(Finding {
        fixed_versions: fixed_versions(hit, &subject.version, order),
        because: because(hit.span, &subject.name, &subject.version, &advisory.id),
        kev: group.iter().find_map(|(a, _)| a.kev.clone()),
        advisory: advisory.id.clone(),
        ecosystem: ecosystem.to_string(),
        package: subject.name.clone(),
        installed_version: subject.version.clone(),
        installed: installed.to_vec(),
        fix_state: fix_state(hit),
        severity_source: if severity == Severity::Unknown { String::new() } else { severity_source },
        summary: advisory.summary.clone(),
        references: advisory.references.clone(),
        feed: advisory.feed.clone(),
        vulnerability,
        aliases,
        severity,
        ratings,
    })
}

fn rank(id: &str) -> u8 {
    match id {
        _ if id.starts_with("CVE-") => 0,
        _ if id.starts_with("GHSA-") => 1,
        _ => 2,
    }
}

fn fix_state(hit: &Hit<'_>) -> FixState {
    match (hit.row.fix_state(), hit.span) {
        (FixState::Unknown, Span::Fixed(..)) => FixState::Fixed,
        (state, _) => state,
    }
}

/// The end of the matched interval first, then the fixed versions of later branches, each above the installed one.
fn fixed_versions(hit: &Hit<'_>, version: &str, order: Order) -> Vec<String> {
    let mut later: Vec<&str> = hit
        .row
        .spans()
        .filter_map(|span| match span {
            Span::Fixed(_, fixed) if order.compare(fixed, version) == Ordering::Greater => Some(fixed),
            _ => None,
        })
        .collect();
    later.sort_by(|a, b| order.compare(a, b));
    later.dedup();
    if let Span::Fixed(_, own) = hit.span {
        later.retain(|v| *v != own);
        later.insert(0, own);
    }
    later.into_iter().map(str::to_owned).collect()
}

fn because(span: Span<'_>, name: &str, version: &str, advisory: &str) -> String {
    let from = |lo: Option<&str>| lo.map(|lo| format!("{lo} <= ")).unwrap_or_default();
    match span {
        Span::Fixed(lo, fixed) => format!("{advisory}: {name} {}{version} < {fixed} (fixed)", from(lo)),
        Span::Last(lo, last) => format!("{advisory}: {name} {}{version} <= {last} (last affected)", from(lo)),
        Span::Open(lo) => format!("{advisory}: {name} {}{version}, no fixed version", from(lo)),
        Span::Exact(exact) => format!("{advisory}: {name} {version} is listed as vulnerable ({exact})"),
    }
}

fn coverage_gaps(inventory: &Inventory, db: &Database) -> Vec<Gap> {
    let mut gaps = Vec::new();
    let mut seen: Vec<String> = Vec::new();
    for package in &inventory.packages {
        if package.advisory_version().is_empty() {
            gaps.push(Gap {
                kind: GapKind::Unversioned,
                subject: package.locations.first().map(|l| l.path.clone()).unwrap_or_default(),
                message: format!("{} has no version and cannot be judged", package.name),
            });
            continue;
        }
        // Packages of an OS without an ecosystem are the engine's gap (unsupported OS).
        let Some(ecosystem) = package.kind.ecosystem(inventory.os.as_ref()) else { continue };
        let text = ecosystem.to_string();
        if !seen.contains(&text) {
            gaps.extend(ecosystem_gap(&ecosystem, &text, db));
            seen.push(text);
        }
    }
    gaps
}

fn ecosystem_gap(ecosystem: &Ecosystem, text: &str, db: &Database) -> Option<Gap> {
    let (kind, message) = if ecosystem.order().is_none() || !db.meta().covers(text) {
        (GapKind::NotCovered, format!("no feed of the database is complete for {text}; add one to feeds.toml"))
    } else if !db.meta().rates(text) {
        (GapKind::NotRated, format!("no feed of the database rates {text}; add a rating feed such as NVD"))
    } else {
        return None;
    };
    Some(Gap { kind, subject: text.to_owned(), message })
}
