//! Re-matching: the findings of a known inventory in a new database, computed from the rows that differ.

use super::lookup::whole_inventory_lookups;
use super::rows::EcosystemRows;
use super::subject::{self, Subject};
use super::{Matched, Ownership, is_matchable, match_inventory, match_subject};
use crate::delta::Delta;
use crate::error::DatabaseError;
use crate::reader::Database;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeSet;
use tidewaiter_core::ecosystem::{Ecosystem, Os};
use tidewaiter_core::finding::Finding;
use tidewaiter_core::package::{Package, PackageType};
use tidewaiter_core::report::{Inventory, Report};

/// How the report of an inventory changes with a new database; the database's name alone is not a change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Rematched {
    /// Not at all.
    Same,
    /// Some findings differ: [`Report::patched`].
    Findings {
        /// Findings of the old report that are not in the new one, or differ there.
        removed: Vec<Finding>,
        /// Findings of the new report that are not in the old one, or differ there.
        added: Vec<Finding>,
    },
    /// More than findings: the new report.
    Whole(Box<Report>),
}

/// Re-matches an inventory: only the packages that changed rows name, unless other results depend on them.
///
/// # Errors
/// When a database file is corrupt.
pub fn rematch(inventory: Inventory, delta: &Delta<'_>) -> Result<Rematched, DatabaseError> {
    // Findings of programs and of packages are deduplicated against each other, so one depends on the other.
    let programs = inventory.packages.iter().any(|package| package.kind == PackageType::Generic);
    if programs || whole_inventory_lookups(&inventory).iter().any(|lookup| lookup.answer_may_change(delta)) {
        return whole(inventory, delta);
    }
    let ownership = Ownership::of(&inventory, &EcosystemRows::new(delta.new_database()));
    let os = inventory.os.as_ref();
    let packages = || inventory.packages.iter().filter(|p| is_matchable(p, os));
    let named: BTreeSet<_> = packages().filter(|p| is_named(p, os, delta)).map(subject_name).collect();
    let subjects = subject::all(packages().filter(|p| named.contains(&subject_name(p)) && !ownership.covers(p)));
    let (mut old, mut new) = (ask(delta.old(), &subjects, os)?, ask(delta.new_database(), &subjects, os)?);
    // `Rematched::Findings` has no place for other gaps.
    if old.gaps != new.gaps {
        return whole(inventory, delta);
    }
    // Findings of both databases stay.
    old.findings.retain(|finding| match new.findings.iter().position(|f| f == finding) {
        Some(place) => {
            new.findings.swap_remove(place);
            false
        }
        None => true,
    });
    let same = old.findings.is_empty() && new.findings.is_empty();
    Ok(if same { Rematched::Same } else { Rematched::Findings { removed: old.findings, added: new.findings } })
}

fn whole(inventory: Inventory, delta: &Delta<'_>) -> Result<Rematched, DatabaseError> {
    let old = match_inventory(inventory.clone(), delta.old())?;
    let new = match_inventory(inventory, delta.new_database())?;
    let old = Report { database: new.database.clone(), ..old };
    Ok(if new == old { Rematched::Same } else { Rematched::Whole(Box::new(new)) })
}

/// Equal for all packages of one subject, and possibly for those of several.
fn subject_name(package: &Package) -> (PackageType, &str) {
    (package.kind, package.advisory_name())
}

/// Whether changed rows may apply to a package, by either of its names.
fn is_named(package: &Package, os: Option<&Os>, delta: &Delta<'_>) -> bool {
    let changed = delta.names();
    let own = [package.name.as_str(), package.advisory_name()];
    let original = |name| package.rebuilder().and_then(|rebuilder| rebuilder.original_name(package.kind, name));
    let names: Vec<Cow<'_, str>> =
        own.into_iter().map(Cow::Borrowed).chain(own.into_iter().filter_map(original)).collect();
    if names.iter().any(|name| changed.contains(&**name)) {
        return true;
    }
    let normalised =
        |ecosystem: Ecosystem| names.iter().any(|name| changed.contains(ecosystem.normalize(name).as_str()));
    // Names of OS packages are compared as they are.
    !package.kind.is_os() && package.kind.ecosystem(os).is_some_and(normalised)
}

fn ask(db: &Database, subjects: &[(Subject, Vec<&Package>)], os: Option<&Os>) -> Result<Matched, DatabaseError> {
    let rows = EcosystemRows::new(db);
    let mut all = Matched::default();
    for (subject, packages) in subjects {
        let matched = match_subject(&rows, subject, packages, os)?;
        all.findings.extend(matched.findings);
        all.gaps.extend(matched.gaps);
    }
    Ok(all)
}
