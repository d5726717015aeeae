//! Packages in files of OS packages: where the distribution's advisories cover the owner, they decide, because the
//! distribution may have fixed a package without changing its version. Elsewhere upstream's advisories decide.

use super::hit;
use super::rows::EcosystemRows;
use super::subject;
use std::collections::BTreeSet;
use tidewaiter_core::ecosystem::Ecosystem;
use tidewaiter_core::package::{Package, PackageType};
use tidewaiter_core::report::Inventory;

/// The OS packages whose distribution's advisories decide for the packages in their files.
pub(super) struct Ownership {
    /// Names of those that some record covers.
    recorded: BTreeSet<String>,
    /// Names of those that the database is complete for: there, no record means no vulnerability.
    complete: BTreeSet<String>,
}

impl Ownership {
    pub(super) fn of(inventory: &Inventory, rows: &EcosystemRows<'_>) -> Self {
        let os = inventory.os.as_ref();
        let owners: BTreeSet<&str> =
            inventory.packages.iter().map(|p| p.owner.as_str()).filter(|o| !o.is_empty()).collect();
        let mut recorded = BTreeSet::new();
        let mut complete = BTreeSet::new();
        let of_os = inventory
            .packages
            .iter()
            .filter(|p| p.is_judged() && p.kind.is_os() && os.is_none_or(|os| p.is_covered_by(os)));
        for (subject, packages) in subject::all(of_os.filter(|p| owners.contains(p.name.as_str()))) {
            let ecosystems = subject.ecosystems(os);
            if !ecosystems.is_empty() && ecosystems.iter().all(|ecosystem| rows.db.meta().covers(ecosystem)) {
                complete.extend(packages.iter().map(|p| p.name.clone()));
            }
            let is_recorded = |ecosystem: &Ecosystem| {
                let queries = subject.queries(&packages, ecosystem);
                queries.iter().any(|query| hit::rows(rows, ecosystem, query).next().is_some())
            };
            if ecosystems.iter().any(is_recorded) {
                recorded.extend(packages.iter().map(|p| p.name.clone()));
            }
        }
        Ownership { recorded, complete }
    }

    /// Whether the distribution's advisories decide for a package. A program that was detected by its content alone is its
    /// owner itself.
    pub(super) fn covers(&self, package: &Package) -> bool {
        let itself = package.kind == PackageType::Generic && self.complete.contains(&package.owner);
        !package.owner.is_empty() && (itself || self.recorded.contains(&package.owner))
    }
}
