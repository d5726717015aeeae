//! Rows by which a vendor says that a package does not have a vulnerability, whatever other rows say.

use super::hit::{self, Hit, ScopeMatch};
use super::rows::EcosystemRows;
use super::subject::Query;
use crate::error::DatabaseError;
use crate::reader::Row;
use std::collections::BTreeSet;
use tidewaiter_core::advisory::KeyKind;
use tidewaiter_core::ecosystem::Ecosystem;
use tidewaiter_core::version::VersionScheme;
use tidewaiter_core::version::span::VersionSpan;

/// Why a hit is denied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DenialReason {
    /// The package never had the vulnerability.
    NeverAffected,
    /// The installed build has the fix of its own minor release.
    FixedInStream,
    /// Whoever built the package again has fixed it in this build.
    FixedByRebuilder,
    /// The package was built again, and by its original's records this version does not have it.
    AbsentFromOriginal,
}

/// What the rows of one query deny.
pub(super) struct Denials<'a> {
    query: &'a Query,
    /// The package never had these.
    never_affected: BTreeSet<String>,
    /// The installed build has the fixes of its own minor release for these.
    fixed_in_stream: BTreeSet<String>,
}

impl<'a> Denials<'a> {
    pub(super) fn of(rows: &EcosystemRows<'_>, ecosystem: &Ecosystem, query: &'a Query) -> Result<Self, DatabaseError> {
        let mut out = Denials { query, never_affected: BTreeSet::new(), fixed_in_stream: BTreeSet::new() };
        for row in hit::rows(rows, ecosystem, query) {
            let names = match () {
                () if row.never_affected() => &mut out.never_affected,
                () if has_fix_of_stream(&row, query) => &mut out.fixed_in_stream,
                () => continue,
            };
            // A denial of a stream that may be another one hides nothing.
            if hit::scope(&row, query) == ScopeMatch::Inside {
                names.extend(row.advisory()?.vulnerabilities().into_iter().map(str::to_owned));
            }
        }
        Ok(out)
    }

    /// Why the hit of a vulnerability with these names is denied, if it is. A source package speaks for what is built from it; other packages for
    /// themselves.
    pub(super) fn reason<'n>(&self, mut names: impl Iterator<Item = &'n str>, hit: &Hit<'_>) -> Option<DenialReason> {
        if self.query.key != KeyKind::Source && *self.query != *hit.query {
            return None;
        }
        let other_stream = !hit.row.spans().any(|span| is_fix_of_stream(&span, self.query));
        names.find_map(|name| match () {
            () if self.never_affected.contains(name) => Some(DenialReason::NeverAffected),
            () if other_stream && self.fixed_in_stream.contains(name) => Some(DenialReason::FixedInStream),
            () => None,
        })
    }
}

/// Whether a row may deny a vulnerability of the package.
pub(super) fn may_deny(row: &Row<'_>, query: &Query) -> bool {
    row.never_affected() || has_fix_of_stream(row, query)
}

/// Whether the installed build has the fix that a row names for its minor release. An advisory of a later one
/// (`5.14.0-503.el9_5`) names a higher build than the update of the installed one (`5.14.0-427.40.1.el9_4`).
fn has_fix_of_stream(row: &Row<'_>, query: &Query) -> bool {
    row.spans().any(|span| is_fix_of_stream(&span, query) && !hit::contains(span, query, VersionScheme::Rpm))
}

fn is_fix_of_stream(span: &VersionSpan<'_>, query: &Query) -> bool {
    let VersionSpan::Fixed(_, fixed) = span else { return false };
    minor_release(&query.version).is_some_and(|installed| minor_release(fixed) == Some(installed))
}

/// The minor release of Enterprise Linux that a build is for: `9_4` of `427.el9_4`, `8.10` of `.module+el8.10.0+21`.
/// `None` where the build does not say.
fn minor_release(version: &str) -> Option<(u16, u16)> {
    // `els` of TuxCare's mark is not one.
    let original = version.split_once(".tuxcare").map_or(version, |(original, _)| original);
    let (_, release) = original.rsplit_once("el")?;
    let (major, rest) = release.split_once(['_', '.'])?;
    let minor: String = rest.chars().take_while(char::is_ascii_digit).collect();
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn builds_name_their_minor_release() {
        let check =
            |version: &str, expected: Option<(u16, u16)>| assert_eq!(minor_release(version), expected, "{version}");
        check("5.14.0-427.40.1.el9_4", Some((9, 4)));
        check("1:3.0.7-28.el9_4.1", Some((9, 4)));
        check("6.12.0-55.25.1.el10_0", Some((10, 0)));
        check("1:20.1.0-1.module_el8.9.0+3+a", Some((8, 9)));
        check("18.1-1.module+el8.10.0+21+abc", Some((8, 10)));
        check("3.0.7-27.el9", None);
        check("2.0-1.amzn2023.0.1", None);
        check("1.0-1.el", None);
        check("7:5.5-5.el9_2.1.tuxcare.els1", Some((9, 2)));
        check("1.8.3-1.el7.tuxcare.els1", None);
        check("1:3.2.2-7.el9_6.tuxcare.1.els7", Some((9, 6)));
        check("1.8.0.rel8.2-1.el9", None);
    }
}
