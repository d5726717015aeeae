//! Packages that the database cannot match, as gaps: an incomplete report is never clean.

use super::artifact;
use super::hit::Hit;
use super::ownership::Ownership;
use super::rows::EcosystemRows;
use crate::reader::Database;
use std::collections::{BTreeMap, BTreeSet};
use tidewaiter_core::advisory::{Advisory, KeyKind};
use tidewaiter_core::ecosystem::{Ecosystem, Os};
use tidewaiter_core::package::{Package, PackageType};
use tidewaiter_core::report::{Gap, GapKind, Inventory};

/// How many names a message lists: enough to recognise the software, on one line of a terminal.
pub(super) const LISTED: usize = 5;

/// Digits that no distribution's revision of a version has, which counts its builds.
const REVISION_DIGITS: usize = 5;

pub(super) fn of(inventory: &Inventory, rows: &EcosystemRows<'_>, ownership: &Ownership) -> Vec<Gap> {
    let os = inventory.os.as_ref();
    let mut gaps = foreign(&inventory.packages, os);
    let mut asked: BTreeSet<Ecosystem> = BTreeSet::new();
    let mut nowhere = Nowhere::default();
    for package in inventory.packages.iter().filter(|p| p.is_judged() && !ownership.covers(p)) {
        if package.advisory_version().is_empty() {
            if is_nowhere(package) {
                nowhere.unversioned.push(package.name.clone());
                continue;
            }
            gaps.push(Gap {
                kind: GapKind::Unversioned,
                subject: package.locations.first().map(|l| l.path.clone()).unwrap_or_default(),
                message: format!("{} has no version and cannot be matched", package.name),
            });
            continue;
        }
        gaps.extend(name_gap(package));
        // Packages of an OS without an ecosystem are the engine's gap (unsupported OS).
        let mut ecosystems = package.ecosystems(os);
        // What was fixed in packages of languages alone needs no feed: their originals' advisories name all vulnerabilities.
        ecosystems.extend(package.rebuilt_ecosystem(os).filter(|_| package.kind.is_os()));
        // Of several, all have one order of versions.
        if let Some(ecosystem) = ecosystems.first() {
            let unreleased = package.is_unreleased();
            let gap = match unreleased {
                true => unreleased_gap(package, ecosystem, rows.db),
                false => version_gap(package, ecosystem).or_else(|| revision_gap(package)),
            };
            match gap {
                Some(_) if is_nowhere(package) && !unreleased => {
                    nowhere.invalid.push(format!("{} {}", package.name, package.version));
                }
                gap => gaps.extend(gap),
            }
        }
        // Once for an ecosystem, not once for each of its packages.
        for ecosystem in ecosystems {
            if !asked.contains(&ecosystem) {
                gaps.extend(ecosystem_gap(&ecosystem, rows.db));
                asked.insert(ecosystem);
            }
        }
    }
    gaps.extend(nowhere.gaps());
    gaps.extend(artifact::gaps(inventory.packages.iter().filter(|p| !ownership.covers(p)), rows));
    gaps
}

/// Packages that cannot be matched and of which no place is told, as SBOMs list them: hundreds would be as many gaps of no subject.
#[derive(Debug, Default)]
struct Nowhere {
    unversioned: Vec<String>,
    /// With versions.
    invalid: Vec<String>,
}

fn is_nowhere(package: &Package) -> bool {
    package.locations.iter().all(|location| location.path.is_empty())
}

impl Nowhere {
    /// One gap for each reason.
    fn gaps(&self) -> Vec<Gap> {
        let all = [
            ("packages without a version cannot be matched", &self.unversioned),
            (
                "versions that are not valid in their ecosystem, or are of builds by others, are not matched for certain",
                &self.invalid,
            ),
        ];
        let gap = |words: &str, names: &[String]| {
            let listed = names.iter().take(LISTED).map(String::as_str).collect::<Vec<_>>().join(", ");
            let more = if names.len() > LISTED { format!(" and {} more", names.len() - LISTED) } else { String::new() };
            let message = format!("{words}: {} ({listed}{more}); check them yourself", names.len());
            Gap { kind: GapKind::Unversioned, subject: "packages".to_owned(), message }
        };
        all.into_iter().filter(|(_, names)| !names.is_empty()).map(|(words, names)| gap(words, names)).collect()
    }
}

/// A program that was built from its source tree is usually private, and no advisory covers it. Where one does, its
/// version is needed and not known. Code inside such a tree has no gap of its own.
fn unreleased_gap(package: &Package, ecosystem: &Ecosystem, db: &Database) -> Option<Gap> {
    let name = ecosystem.normalize(&package.name);
    let known = !package.vendored && db.rows(&ecosystem.to_string(), KeyKind::Binary, &name).next().is_some();
    let location = package.locations.first().map(|l| l.path.clone()).unwrap_or_default();
    let message = format!("{name} was built without a version, and has had vulnerabilities; check it yourself");
    known.then_some(Gap { kind: GapKind::Unversioned, subject: location, message })
}

/// A version that is invalid in its ecosystem sorts below all others, so a match or its absence proves little.
fn version_gap(package: &Package, ecosystem: &Ecosystem) -> Option<Gap> {
    let (name, version) = (&package.name, package.advisory_version());
    ecosystem.version_scheme().filter(|order| !order.is_valid(version))?;
    let message =
        format!("{name} has version {version:?}, which is not valid in {}; check it yourself", ecosystem.base());
    let subject = package.locations.first().map(|l| l.path.clone()).unwrap_or_default();
    Some(Gap { kind: GapKind::Unversioned, subject, message })
}

/// Distributions count the builds of a version from 0 on, and those who build packages of apk again append digits of theirs.
/// Where these tell nobody's build, they are above all fixes of the distribution, and what was fixed is not known.
fn revision_gap(package: &Package) -> Option<Gap> {
    let (name, version) = (&package.name, package.advisory_version());
    let (_, revision) = version.rsplit_once("-r").filter(|_| package.kind == PackageType::Apk)?;
    let is_counted = revision.len() < REVISION_DIGITS || !revision.bytes().all(|b| b.is_ascii_digit());
    if is_counted || package.build().is_some() {
        return None;
    }
    let message = format!(
        "{name} has version {version:?}, whose revision is of a build by others than the distribution; check it yourself"
    );
    let subject = package.locations.first().map(|l| l.path.clone()).unwrap_or_default();
    Some(Gap { kind: GapKind::Unversioned, subject, message })
}

/// A package that was built again under a name from which the original's does not follow: no advisory is found by it.
fn name_gap(package: &Package) -> Option<Gap> {
    let rebuilder = package.rebuilder().filter(|by| by.original_name(package.kind, &package.name).is_none())?;
    let message = format!(
        "{} is a package that {} built again, and its original is not known; check it by other means",
        package.name,
        rebuilder.name()
    );
    let subject = package.locations.first().map(|l| l.path.clone()).unwrap_or_default();
    Some(Gap { kind: GapKind::NotCovered, subject, message })
}

fn ecosystem_gap(ecosystem: &Ecosystem, db: &Database) -> Option<Gap> {
    let (kind, message) = if ecosystem.version_scheme().is_none() {
        (GapKind::NotCovered, format!("packages of {ecosystem} are listed and not matched; check them by other means"))
    } else if !db.meta().covers(ecosystem) {
        (GapKind::NotCovered, format!("no feed of the database is complete for {ecosystem}; add one to feeds.toml"))
    } else if !db.meta().rates(ecosystem) {
        (GapKind::NotRated, format!("no feed of the database rates {ecosystem}; add a rating feed such as NVD"))
    } else {
        return None;
    };
    Some(Gap { kind, subject: ecosystem.to_string(), message })
}

/// Packages of other vendors, which the distribution's advisories do not cover. One gap for each vendor.
fn foreign(packages: &[Package], os: Option<&Os>) -> Vec<Gap> {
    let mut vendors: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let own_kind = |p: &&Package, os: &Os| p.is_judged() && p.kind.is_os() && os.package_type() == Some(p.kind);
    for package in packages.iter().filter(|p| os.is_some_and(|os| own_kind(p, os) && !p.is_covered_by(os))) {
        vendors.entry(&package.vendor).or_default().insert(&package.name);
    }
    vendors.into_iter().map(|(vendor, names)| vendor_gap(vendor, &names)).collect()
}

fn vendor_gap(vendor: &str, names: &BTreeSet<&str>) -> Gap {
    let listed = names.iter().take(LISTED).copied().collect::<Vec<_>>().join(", ");
    let more = if names.len() > LISTED { format!(" and {} more", names.len() - LISTED) } else { String::new() };
    let message = format!(
        "the distribution's advisories do not cover packages by {vendor} ({listed}{more}); check them by other means"
    );
    Gap { kind: GapKind::NotCovered, subject: vendor.to_owned(), message }
}

/// A record that may apply to a package: the stream of a module is not known.
pub(super) fn unclear(advisory: &Advisory, hit: &Hit<'_>) -> Gap {
    let (name, version) = (&hit.query.name, &hit.query.version);
    let names = advisory.vulnerabilities().into_iter().take(LISTED).collect::<Vec<_>>().join(", ");
    let message = format!(
        "{} ({names}) may apply to {name} {version}: the stream of their module is not known; check it yourself",
        advisory.id
    );
    Gap { kind: GapKind::Unclear, subject: name.clone(), message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_without_a_place_are_one_gap() {
        let check = |unversioned: usize, invalid: &[&str], expected: &[&str]| {
            let nowhere = Nowhere {
                unversioned: (0..unversioned).map(|n| format!("p{n}")).collect(),
                invalid: invalid.iter().map(|name| (*name).to_owned()).collect(),
            };
            let found: Vec<String> = nowhere.gaps().into_iter().map(|gap| gap.message).collect();
            assert_eq!(found.len(), expected.len(), "{found:?}");
            found.iter().zip(expected).for_each(|(found, part)| assert!(found.contains(part), "{found} has no {part}"));
        };
        check(0, &[], &[]);
        check(2, &[], &["without a version cannot be matched: 2 (p0, p1);"]);
        check(
            7,
            &["a ^1.2"],
            &["7 (p0, p1, p2, p3, p4 and 2 more)", "not valid in their ecosystem, or are of builds by others"],
        );
        check(0, &["a ^1.2", "b *"], &["2 (a ^1.2, b *)"]);
    }

    #[test]
    fn a_place_is_a_path() {
        let at = |path: &str| tidewaiter_core::package::Location { path: path.into(), layer: 0 };
        let check = |paths: &[&str], expected: bool| {
            let locations = paths.iter().map(|path| at(path)).collect();
            let package = Package { locations, ..Package::new(PackageType::Npm, "a", "") };
            assert_eq!(is_nowhere(&package), expected, "{paths:?}");
        };
        check(&[], true);
        check(&[""], true);
        check(&["app/package-lock.json"], false);
    }
}
