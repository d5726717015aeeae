//! Packages that lie in files of OS packages: the distribution's data speaks of them where it speaks of their owner, because
//! it may have fixed them without changing their version. Elsewhere upstream's data does.

use super::hit;
use super::subject;
use crate::reader::Database;
use std::collections::BTreeSet;
use tidewaiter_core::package::{Package, PackageType};
use tidewaiter_core::report::Inventory;

/// The OS packages whose distribution answers for what lies in their files.
pub(super) struct Ownership {
    /// By name: of those that some record speaks of.
    recorded: BTreeSet<String>,
    /// By name: of those that the database is complete for. No record means no vulnerability there.
    complete: BTreeSet<String>,
}

impl Ownership {
    pub(super) fn of(inventory: &Inventory, db: &Database) -> Self {
        let os = inventory.os.as_ref();
        let owners: BTreeSet<&str> =
            inventory.packages.iter().map(|p| p.owner.as_str()).filter(|o| !o.is_empty()).collect();
        let mut recorded = BTreeSet::new();
        let mut complete = BTreeSet::new();
        let of_os = inventory.packages.iter().filter(|p| p.kind.is_os() && os.is_none_or(|os| os.covers(p)));
        for (subject, packages) in subject::all(of_os.filter(|p| owners.contains(p.name.as_str()))) {
            let Some(ecosystem) = subject.kind.ecosystem(os) else { continue };
            if db.meta().covers(&ecosystem) {
                complete.extend(packages.iter().map(|p| p.name.clone()));
            }
            let queries = subject.queries(&packages, &ecosystem);
            if queries.iter().any(|query| hit::rows(db, &ecosystem, query).next().is_some()) {
                recorded.extend(packages.iter().map(|p| p.name.clone()));
            }
        }
        Ownership { recorded, complete }
    }

    /// Whether the distribution answers for a package. A program that was only told by its content is its owner itself.
    pub(super) fn covers(&self, package: &Package) -> bool {
        let itself = package.kind == PackageType::Generic && self.complete.contains(&package.owner);
        !package.owner.is_empty() && (itself || self.recorded.contains(&package.owner))
    }
}
