//! Packages × rows → findings. Pure look-ups and comparisons; the database is the only input besides the packages.

mod group;

use crate::Error;
use crate::reader::{Database, Row, Span};
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
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
    for package in packages.iter().filter(|p| !p.advisory_version().is_empty() && !p.is_unreleased()) {
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
    let Some((ecosystem, order)) = subject.kind.ecosystem(os).and_then(|e| matched(&e).map(|o| (e, o))) else {
        return Ok(Vec::new());
    };
    let name = ecosystem.normalize(&subject.name);
    let mut hits = Vec::new();
    for hit in hits_of(db, &ecosystem, &name, &subject.version, order) {
        hits.push((hit.row.advisory()?, hit));
    }
    if hits.is_empty() {
        return Ok(Vec::new());
    }
    let never = never_affected(db, &ecosystem, &name)?;
    let installed = installed(packages, os);
    let groups = group::by_vulnerability(hits.iter().map(|(advisory, _)| advisory));
    let groups = groups.into_iter().filter(|group| group.names().all(|name| !never.contains(name)));
    let finding = |group: group::Group<'_>| {
        let members: Vec<&(Advisory, Hit<'_>)> = group.members.iter().filter_map(|i| hits.get(*i)).collect();
        finding_of(group.vulnerability, &members, &ecosystem, subject, &installed, order)
    };
    Ok(groups.filter_map(finding).collect())
}

/// How packages of an ecosystem are compared. Those of rpm distributions are listed and not matched yet: their records
/// speak of modules, architectures and repositories, which the rows do not carry.
fn matched(ecosystem: &Ecosystem) -> Option<Order> {
    ecosystem.order().filter(|order| *order != Order::Rpm)
}

/// What the vendor says that this package never had: it counts against what others say of the same vulnerability.
fn never_affected(db: &Database, ecosystem: &Ecosystem, name: &str) -> Result<BTreeSet<String>, Error> {
    let mut out = BTreeSet::new();
    for row in rows_of(db, ecosystem, name).filter(Row::never_affected) {
        let advisory = row.advisory()?;
        out.extend(advisory.vulnerabilities().into_iter().map(str::to_owned));
    }
    Ok(out)
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
    rows_of(db, ecosystem, name).filter(|row| !row.never_affected()).filter_map(move |row| {
        let span = row.spans().find(|span| contains(*span, version, order))?;
        Some(Hit { row, span })
    })
}

/// All rows of a package. A record without a release speaks of all releases.
fn rows_of<'a>(db: &'a Database, ecosystem: &Ecosystem, name: &'a str) -> impl Iterator<Item = Row<'a>> {
    let names = [Some(ecosystem.to_string()), ecosystem.release().map(|_| ecosystem.base().to_owned())];
    let keys = [KeyKind::Source, KeyKind::Binary];
    let lookups = names.into_iter().flatten().flat_map(move |eco| keys.map(|key| (eco.clone(), key)));
    lookups.flat_map(move |(eco, key)| db.rows(&eco, key, name).collect::<Vec<_>>())
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
    vulnerability: &str,
    group: &[&(Advisory, Hit<'_>)],
    ecosystem: &Ecosystem,
    subject: &Subject,
    installed: &[Installed],
    order: Order,
) -> Option<Finding> {
    // The first record leads; of those that know a fix, the first one names it.
    let (advisory, hit) = group.first()?;
    let fixing = group.iter().find(|(_, hit)| hit.is_fixed()).map_or(hit, |(_, hit)| hit);
    let mut aliases: Vec<String> =
        group.iter().flat_map(|(a, _)| std::iter::once(&a.id).chain(&a.aliases)).cloned().collect();
    aliases.retain(|alias| alias != vulnerability);
    aliases.sort();
    aliases.dedup();
    let mut ratings = group.iter().flat_map(|(a, _)| a.ratings.clone()).collect::<Vec<_>>();
    ratings.sort_by(|a, b| (&a.source, &a.vector, a.severity).cmp(&(&b.source, &b.vector, b.severity)));
    ratings.dedup();
    let row = group.iter().map(|(a, h)| (h.row.severity(), a.feed.as_str())).max_by_key(|(s, _)| *s);
    let rates = |feed: &&str| ratings.iter().any(|r| r.source == **feed && r.severity != Severity::Unknown);
    let own = group.iter().map(|(a, _)| a.feed.as_str()).find(rates).unwrap_or(&advisory.feed);
    let (severity, severity_source) = severity::select(row, own, &ratings);
    Some(Finding {
        vulnerability: vulnerability.to_owned(),
        fixed_versions: fixed_versions(fixing, &subject.version, order),
        because: because(hit, &subject.name, &subject.version, &advisory.id),
        kev: group.iter().find_map(|(a, _)| a.kev.clone()),
        advisory: advisory.id.clone(),
        ecosystem: ecosystem.to_string(),
        package: subject.name.clone(),
        installed_version: subject.version.clone(),
        installed: installed.to_vec(),
        fix_state: fix_state(fixing),
        severity_source: if severity == Severity::Unknown { String::new() } else { severity_source },
        summary: group.iter().map(|(a, _)| &a.summary).find(|s| !s.is_empty()).cloned().unwrap_or_default(),
        references: group.iter().map(|(a, _)| &a.references).find(|r| !r.is_empty()).cloned().unwrap_or_default(),
        feed: advisory.feed.clone(),
        aliases,
        severity,
        ratings,
    })
}

impl Hit<'_> {
    /// Whether a fixed version exists. Where the row says that none does, an upper bound is only the record's limit.
    fn is_fixed(&self) -> bool {
        matches!(self.span, Span::Fixed(..)) && self.row.fix_state() != FixState::NotFixed
    }
}

fn fix_state(hit: &Hit<'_>) -> FixState {
    if hit.row.fix_state() == FixState::Unknown && hit.is_fixed() { FixState::Fixed } else { hit.row.fix_state() }
}

/// The end of the matched interval first, then the fixed versions of later branches, each above the installed one.
fn fixed_versions(hit: &Hit<'_>, version: &str, order: Order) -> Vec<String> {
    if hit.row.fix_state() == FixState::NotFixed {
        return Vec::new();
    }
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

fn because(hit: &Hit<'_>, name: &str, version: &str, advisory: &str) -> String {
    let from = |lo: Option<&str>| lo.map(|lo| format!("{lo} <= ")).unwrap_or_default();
    match hit.span {
        Span::Fixed(lo, end) => {
            let what = if hit.is_fixed() { "fixed" } else { "limit" };
            format!("{advisory}: {name} {}{version} < {end} ({what})", from(lo))
        }
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
        if package.is_unreleased() {
            gaps.extend(unreleased_gap(package, &ecosystem, db));
        } else {
            gaps.extend(version_gap(package, &ecosystem));
        }
        let text = ecosystem.to_string();
        if !seen.contains(&text) {
            gaps.extend(ecosystem_gap(&ecosystem, &text, db));
            seen.push(text);
        }
    }
    gaps
}

/// A program built from its source tree is its owner's own, which no advisory speaks of, unless one does: then its
/// version is needed and not known. Code that lies inside such a tree is judged with it.
fn unreleased_gap(package: &Package, ecosystem: &Ecosystem, db: &Database) -> Option<Gap> {
    let name = ecosystem.normalize(&package.name);
    let known = !package.vendored && rows_of(db, ecosystem, &name).next().is_some();
    let location = package.locations.first().map(|l| l.path.clone()).unwrap_or_default();
    let message = format!("{name} was built without a version, and has had vulnerabilities; check it by hand");
    known.then_some(Gap { kind: GapKind::Unversioned, subject: location, message })
}

/// A version that its ecosystem does not accept sorts below all others: whatever matches, it proves little.
fn version_gap(package: &Package, ecosystem: &Ecosystem) -> Option<Gap> {
    let (name, version) = (&package.name, package.advisory_version());
    ecosystem.order().filter(|order| !order.is_valid(version))?;
    let message = format!("{name} has version {version:?}, which is none of {}; check it by hand", ecosystem.base());
    let subject = package.locations.first().map(|l| l.path.clone()).unwrap_or_default();
    Some(Gap { kind: GapKind::Unversioned, subject, message })
}

fn ecosystem_gap(ecosystem: &Ecosystem, text: &str, db: &Database) -> Option<Gap> {
    let (kind, message) = if ecosystem.order() == Some(Order::Rpm) {
        (GapKind::NotCovered, format!("packages of {text} are listed and not matched yet; judge them by other means"))
    } else if matched(ecosystem).is_none() || !db.meta().covers(text) {
        (GapKind::NotCovered, format!("no feed of the database is complete for {text}; add one to feeds.toml"))
    } else if !db.meta().rates(text) {
        (GapKind::NotRated, format!("no feed of the database rates {text}; add a rating feed such as NVD"))
    } else {
        return None;
    };
    Some(Gap { kind, subject: text.to_owned(), message })
}
