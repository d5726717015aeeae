//! Packages that a third party built again: its advisories name the fixes of its builds, which the original's do not know.
//!
//! The original's advisories say what a package has; the builder's, what its build has fixed of that. Where the original's
//! say nothing of a vulnerability, and the package is a distribution's, the builder's alone decide: some distributions list
//! fixes only, and none lists those that came after the end of a release. Packages of languages are different: all their
//! vulnerabilities are published, and the builder's records name some that the package never had.

use super::denial::DenialReason;
use super::hit::{self, ScopeMatch};
use super::subject::{Query, Subject};
use crate::error::DatabaseError;
use crate::reader::{Database, Row};
use std::collections::BTreeSet;
use tidewaiter_core::ecosystem::{Ecosystem, Os, Rebuilder};
use tidewaiter_core::package::{Package, PackageType};
use tidewaiter_core::version::VersionScheme;
use tidewaiter_core::version::span::VersionSpan;

/// What is known of a subject because it was built again; empty for an original.
#[derive(Default)]
pub(super) struct Rebuild {
    /// The ecosystem of the builder's advisories.
    ecosystem: Option<Ecosystem>,
    /// The vulnerabilities that the builder fixed in this build.
    fixed: BTreeSet<String>,
    /// The vulnerabilities that this version does not have, by the original's advisories.
    absent: BTreeSet<String>,
}

/// The ecosystem of the advisories of whoever built a subject's packages again.
pub(super) fn ecosystem(packages: &[&Package], os: Option<&Os>) -> Option<Ecosystem> {
    packages.iter().find_map(|package| package.rebuilt_ecosystem(os))
}

impl Rebuild {
    pub(super) fn of(
        db: &Database,
        subject: &Subject,
        packages: &[&Package],
        os: Option<&Os>,
    ) -> Result<Self, DatabaseError> {
        let builder = packages.iter().find_map(|package| Some((package.rebuilder()?, package.rebuilt_ecosystem(os)?)));
        let Some((rebuilder, ecosystem)) = builder else { return Ok(Self::default()) };
        let mut by_builder = Verdicts::default();
        for query in subject.queries(packages, &ecosystem) {
            for row in rows_inside(db, &ecosystem, &query) {
                by_builder.add(&row, of_build(&row, &query, rebuilder, subject.kind, &ecosystem))?;
            }
        }
        let mut by_original = Verdicts::default();
        for original in subject.ecosystems(os) {
            for query in subject.queries(packages, &original) {
                for row in rows_inside(db, &original, &query) {
                    by_original.add(&row, of_original(&row, &query, &original))?;
                }
            }
        }
        Ok(Rebuild { ecosystem: Some(ecosystem), fixed: by_builder.absent(), absent: by_original.absent() })
    }

    /// The ecosystems whose advisories are compared with the subject: those of the original, and the builder's where it may
    /// know more.
    pub(super) fn ecosystems(&self, subject: &Subject, os: Option<&Os>) -> Vec<Ecosystem> {
        let builder = self.ecosystem.clone().filter(|_| subject.kind.is_os());
        subject.ecosystems(os).into_iter().chain(builder).collect()
    }

    /// Why a hit in an ecosystem's rows, of a vulnerability with these names, does not count, if so.
    pub(super) fn reason<'n>(
        &self,
        ecosystem: &Ecosystem,
        mut names: impl Iterator<Item = &'n str>,
    ) -> Option<DenialReason> {
        let (denied, reason) = match self.ecosystem.as_ref()? {
            builder if builder == ecosystem => (&self.absent, DenialReason::AbsentFromOriginal),
            _ => (&self.fixed, DenialReason::FixedByRebuilder),
        };
        names.any(|name| denied.contains(name)).then_some(reason)
    }
}

fn rows_inside<'a>(db: &'a Database, ecosystem: &Ecosystem, query: &'a Query) -> impl Iterator<Item = Row<'a>> {
    hit::rows(db, ecosystem, query).filter(|row| hit::scope(row, query) == ScopeMatch::Inside)
}

/// Whether a package has a vulnerability.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Absent,
    Present,
}

/// What all rows say of a package.
#[derive(Default)]
struct Verdicts {
    absent: BTreeSet<String>,
    present: BTreeSet<String>,
}

impl Verdicts {
    fn add(&mut self, row: &Row<'_>, verdict: Option<Verdict>) -> Result<(), DatabaseError> {
        let names = match verdict {
            None => return Ok(()),
            Some(Verdict::Absent) => &mut self.absent,
            Some(Verdict::Present) => &mut self.present,
        };
        names.extend(row.advisory()?.vulnerabilities().into_iter().map(str::to_owned));
        Ok(())
    }

    /// The vulnerabilities that it does not have: one that was fixed twice needs the second fix.
    fn absent(self) -> BTreeSet<String> {
        &self.absent - &self.present
    }
}

fn of_original(row: &Row<'_>, query: &Query, ecosystem: &Ecosystem) -> Option<Verdict> {
    let present = !row.never_affected() && hit::matching(row, ecosystem, query, ecosystem.version_scheme()?).is_some();
    Some(if present { Verdict::Present } else { Verdict::Absent })
}

/// What a builder's row says of an installed build; `None` when it is about others.
fn of_build(
    row: &Row<'_>,
    query: &Query,
    rebuilder: Rebuilder,
    kind: PackageType,
    ecosystem: &Ecosystem,
) -> Option<Verdict> {
    let order = ecosystem.version_scheme()?;
    let spans = row.spans().filter(|span| is_of_same_original(span, query, rebuilder, kind));
    spans.filter_map(|span| of_span(span, query, order)).reduce(|a, b| if a == b { a } else { Verdict::Present })
}

/// Of a release, a distribution has one version after another, and a fix stays in later ones. Packages of languages have
/// many versions next to each other: the fix in a build of one says nothing about a build of another.
fn is_of_same_original(span: &VersionSpan<'_>, query: &Query, rebuilder: Rebuilder, kind: PackageType) -> bool {
    match span {
        _ if kind.is_os() => true,
        VersionSpan::Fixed(_, fixed) => {
            rebuilder.original_version(kind, fixed) == rebuilder.original_version(kind, &query.version)
        }
        _ => false,
    }
}

fn of_span(span: VersionSpan<'_>, query: &Query, order: VersionScheme) -> Option<Verdict> {
    match span {
        span if hit::contains(span, query, order) => Some(Verdict::Present),
        VersionSpan::Fixed(..) => Some(Verdict::Absent),
        _ => None,
    }
}
