//! Packages that a third party built again: its advisories name the fixes of its builds, which the original's do not know.
//!
//! The original's advisories say what a package has; the builder's, what its build has fixed of that. Where the original's
//! say nothing of a vulnerability, and the package is a distribution's, the builder's alone decide: some distributions list
//! fixes only, and none lists those that came after the end of a release. Packages of languages are different: all their
//! vulnerabilities are published, and the builder's records name some that the package never had.

use super::denial::DenialReason;
use super::hit::{self, ScopeMatch};
use super::rows::EcosystemRows;
use super::subject::{self, Query, Subject};
use crate::error::DatabaseError;
use crate::reader::Row;
use std::collections::BTreeSet;
use tidewaiter_core::ecosystem::{Ecosystem, Os, Rebuilder};
use tidewaiter_core::package::{Package, PackageType};
use tidewaiter_core::version::VersionScheme;
use tidewaiter_core::version::span::{LowerBound, VersionSpan};

/// What is known of a subject because it was built again; empty for an original, and where only some of its packages were.
#[derive(Default)]
pub(super) struct Rebuild {
    /// The ecosystem of the builder's advisories.
    ecosystem: Option<Ecosystem>,
    /// The vulnerabilities that the builder fixed in this build.
    fixed: BTreeSet<String>,
    /// The vulnerabilities that this version does not have, by the original's advisories.
    absent: BTreeSet<String>,
}

/// Who built all of a subject's packages again, and the ecosystem of their advisories.
pub(super) fn builder(packages: &[&Package], os: Option<&Os>) -> Option<(Rebuilder, Ecosystem)> {
    let rebuilder = subject::rebuilder(packages)?;
    Some((rebuilder, rebuilder.ecosystem(packages.first()?.kind, os)?))
}

impl Rebuild {
    pub(super) fn of(
        rows: &EcosystemRows<'_>,
        subject: &Subject,
        packages: &[&Package],
        os: Option<&Os>,
    ) -> Result<Self, DatabaseError> {
        let Some((rebuilder, ecosystem)) = builder(packages, os) else { return Ok(Self::default()) };
        let mut by_builder = Verdicts::default();
        for query in subject.queries(packages, &ecosystem) {
            for row in rows_inside(rows, &ecosystem, &query) {
                by_builder.add(&row, of_build(&row, &query, rebuilder, subject.kind, &ecosystem))?;
            }
        }
        let mut by_original = Verdicts::default();
        for original in subject.ecosystems(os) {
            for query in subject.queries(packages, &original) {
                for row in rows_inside(rows, &original, &query) {
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

fn rows_inside<'a>(
    rows: &'a EcosystemRows<'_>,
    ecosystem: &Ecosystem,
    query: &'a Query,
) -> impl Iterator<Item = Row<'a>> {
    hit::rows(rows, ecosystem, query).filter(|row| hit::scope(row, query) == ScopeMatch::Inside)
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

/// What a row says of the original; `None` when it names no version that the original's compares with.
fn of_original(row: &Row<'_>, query: &Query, ecosystem: &Ecosystem) -> Option<Verdict> {
    let order = ecosystem.version_scheme()?;
    if row.never_affected() {
        return Some(Verdict::Absent);
    }
    let comparable = row.spans().any(|span| hit::is_comparable(&span, ecosystem, query));
    let present = hit::matching(row, ecosystem, query, order).is_some();
    comparable.then_some(if present { Verdict::Present } else { Verdict::Absent })
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
    let verdicts = spans.filter_map(|span| of_span(span, query, ecosystem, order));
    let verdict = verdicts.reduce(|a, b| if a == b { a } else { Verdict::Present })?;
    // An upper bound without a fix is where the record ends.
    (verdict == Verdict::Present || hit::offers_fix(row)).then_some(verdict)
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

/// What lies below the first vulnerable version has no fix in it.
fn of_span(span: VersionSpan<'_>, query: &Query, ecosystem: &Ecosystem, order: VersionScheme) -> Option<Verdict> {
    let is_in = |span| hit::is_in(span, ecosystem, query, order);
    match span {
        span if is_in(span) => Some(Verdict::Present),
        VersionSpan::Fixed(_, fixed) if !is_in(VersionSpan::Fixed(LowerBound::Start, fixed)) => Some(Verdict::Absent),
        _ => None,
    }
}
