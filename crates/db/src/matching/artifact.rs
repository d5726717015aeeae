//! Java archives whose group is not known: advisories name artifacts by group (OSV schema, "Maven"), so they cannot be matched.
//! Where an artifact of that name has vulnerabilities in this version, it may be the one.

use super::gaps::LISTED;
use super::hit;
use super::rows::EcosystemRows;
use super::subject::Query;
use std::collections::{BTreeMap, BTreeSet};
use tidewaiter_core::advisory::KeyKind;
use tidewaiter_core::ecosystem::{Ecosystem, EcosystemBase};
use tidewaiter_core::package::{Package, PackageType};
use tidewaiter_core::report::{Gap, GapKind};

/// Whether a package is an archive without a group.
pub(super) fn is_ungrouped(package: &Package) -> bool {
    package.is_judged() && package.kind == PackageType::Maven && !package.name.contains(':')
}

/// The artifact of `GROUP:ARTIFACT`.
pub(super) fn artifact(name: &str) -> &str {
    name.rsplit(':').next().unwrap_or(name)
}

/// One gap for each archive that may be an artifact with vulnerabilities in its version.
pub(super) fn gaps<'a>(packages: impl Iterator<Item = &'a Package>, rows: &EcosystemRows<'_>) -> Vec<Gap> {
    let ungrouped: Vec<&Package> = packages.filter(|package| is_ungrouped(package)).collect();
    if ungrouped.is_empty() {
        return Vec::new();
    }
    let wanted: BTreeSet<&str> = ungrouped.iter().map(|package| package.name.as_str()).collect();
    let maven = EcosystemBase::Maven;
    let mut known: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (_, name) in rows.db.packages_of(maven.as_str()).names() {
        if wanted.contains(artifact(name)) {
            known.entry(artifact(name)).or_default().push(name);
        }
    }
    ungrouped.into_iter().filter_map(|package| gap(package, known.get(package.name.as_str())?, rows)).collect()
}

fn gap(package: &Package, candidates: &[&str], rows: &EcosystemRows<'_>) -> Option<Gap> {
    let affected = |name: &&&str| is_affected(rows, name, package.advisory_version());
    let affected: Vec<&str> = candidates.iter().filter(affected).take(LISTED).copied().collect();
    if affected.is_empty() {
        return None;
    }
    let message = format!(
        "{} {} does not say whose it is, and may be {}, which has vulnerabilities in this version; check it yourself",
        package.name,
        package.version,
        affected.join(", ")
    );
    // An SBOM may not say where it is.
    let path = package.locations.first().map(|location| &location.path).filter(|path| !path.is_empty());
    let subject = path.unwrap_or(&package.name).clone();
    Some(Gap { kind: GapKind::Unclear, subject, message })
}

fn is_affected(rows: &EcosystemRows<'_>, name: &str, version: &str) -> bool {
    let maven = Ecosystem::new(EcosystemBase::Maven);
    let Some(order) = maven.version_scheme() else { return false };
    let query = Query::plain(KeyKind::Binary, name, version);
    hit::of(rows, &maven, &query, order).next().is_some()
}
