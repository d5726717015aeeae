//! Spans of vulnerable versions, and whether a version is in one: the one rule by which feeds drop redundant versions and
//! matching finds advisories.

use super::VersionScheme;
use std::cmp::Ordering;

/// Where a vulnerable interval begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LowerBound<'a> {
    /// At the first version.
    Start,
    /// At this version, included.
    From(&'a str),
    /// At the first version after this one.
    After(&'a str),
}

/// One vulnerable interval or version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum VersionSpan<'a> {
    /// Up to, not including, `fixed`.
    Fixed(LowerBound<'a>, &'a str),
    /// Up to and including `last`.
    Last(LowerBound<'a>, &'a str),
    /// Without an end.
    Open(LowerBound<'a>),
    /// Exactly this version.
    Exact(&'a str),
}

impl<'a> VersionSpan<'a> {
    /// Whether the span contains a version (OSV schema, "Evaluation").
    pub fn contains(self, version: &str, scheme: VersionScheme) -> bool {
        // Composer compares a branch with no number: no range contains `dev-main`.
        if scheme == VersionScheme::Packagist && version.starts_with("dev-") {
            return self == VersionSpan::Exact(version);
        }
        match self {
            VersionSpan::Fixed(low, fixed) => {
                low.is_below(version, scheme) && scheme.compare(version, fixed) == Ordering::Less
            }
            VersionSpan::Last(low, last) => {
                low.is_below(version, scheme) && compare_inclusive(version, last, scheme) != Ordering::Greater
            }
            VersionSpan::Open(low) => low.is_below(version, scheme),
            VersionSpan::Exact(exact) => compare_inclusive(version, exact, scheme) == Ordering::Equal,
        }
    }

    /// The same span with other texts of its bounds.
    #[must_use]
    pub fn map(self, bound: impl Fn(&'a str) -> &'a str) -> Self {
        match self {
            VersionSpan::Fixed(low, fixed) => VersionSpan::Fixed(low.map(&bound), bound(fixed)),
            VersionSpan::Last(low, last) => VersionSpan::Last(low.map(&bound), bound(last)),
            VersionSpan::Open(low) => VersionSpan::Open(low.map(&bound)),
            VersionSpan::Exact(exact) => VersionSpan::Exact(bound(exact)),
        }
    }
}

impl<'a> LowerBound<'a> {
    fn is_below(self, version: &str, scheme: VersionScheme) -> bool {
        match self {
            LowerBound::Start => true,
            LowerBound::From(low) => scheme.compare(version, low) != Ordering::Less,
            LowerBound::After(low) => scheme.compare(version, low) == Ordering::Greater,
        }
    }

    fn map(self, bound: impl Fn(&'a str) -> &'a str) -> Self {
        match self {
            LowerBound::Start => LowerBound::Start,
            LowerBound::From(low) => LowerBound::From(bound(low)),
            LowerBound::After(low) => LowerBound::After(bound(low)),
        }
    }
}

/// A version against a bound that is vulnerable itself. A local build of Python (`2.10.0+cu128`) is of the version that it is
/// made from (PEP 440, "Version matching", "Inclusive ordered comparison").
///
/// Composer fills a version up with zeros: `1.0` is `1.0.0` (Composer, "Versions and constraints").
fn compare_inclusive(version: &str, bound: &str, scheme: VersionScheme) -> Ordering {
    match scheme {
        VersionScheme::Pep440 if !bound.contains('+') => {
            scheme.compare(version.split_once('+').map_or(version, |(public, _)| public), bound)
        }
        VersionScheme::Packagist => scheme.compare(version, &filled_up(bound, version)),
        _ => scheme.compare(version, bound),
    }
}

/// A version with as many numbers as `like` has: `1.0` like `1.0.0-beta1` is `1.0.0`.
fn filled_up(version: &str, like: &str) -> String {
    let numbers = |v: &str| v.split('.').take_while(|part| part.starts_with(|c: char| c.is_ascii_digit())).count();
    let plain = version.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let missing = if plain { numbers(like).saturating_sub(numbers(version)) } else { 0 };
    version.to_owned() + &".0".repeat(missing)
}

#[cfg(test)]
mod tests {
    use super::*;
    use LowerBound::{After, From, Start};
    use VersionScheme::{Deb, Packagist, Pep440, Rpm};
    use VersionSpan::{Exact, Fixed, Last, Open};

    #[test]
    fn a_span_contains_versions_between_its_bounds() {
        let check = |span: VersionSpan<'_>, scheme: VersionScheme, inside: &[&str], outside: &[&str]| {
            inside.iter().for_each(|v| assert!(span.contains(v, scheme), "{v} in {span:?}"));
            outside.iter().for_each(|v| assert!(!span.contains(v, scheme), "{v} not in {span:?}"));
        };
        check(Fixed(Start, "1.2-3"), Deb, &["0~1", "1.2-2", "1.2-3~deb12u1"], &["1.2-3", "1:0"]);
        check(Fixed(From("1.0"), "2.0"), Deb, &["1.0", "1.9"], &["1.0~rc1", "2.0"]);
        check(Fixed(After("1.0"), "2.0"), Deb, &["1.0+1", "1.9"], &["1.0", "2.0"]);
        check(Last(From("1.0"), "2.0"), Deb, &["1.0", "2.0"], &["0.9", "2.0+1"]);
        check(Open(From("1.0")), Rpm, &["1.0", "99"], &["0.9", "1.0~rc1"]);
        check(Exact("1.0"), Rpm, &["1.0", "1.00"], &["1.0.1", "1.0^1"]);
        // Inclusive bounds cover local builds; exclusive ones compare them.
        check(Last(Start, "2.10.0"), Pep440, &["2.10.0", "2.10.0+cu128"], &["2.10.1", "2.10.0.post1"]);
        check(Exact("2.10.0"), Pep440, &["2.10.0+cu128"], &["2.10.1+cu128"]);
        check(Exact("2.10.0+cpu"), Pep440, &["2.10.0+cpu"], &["2.10.0+cu128", "2.10.0"]);
        check(Fixed(Start, "2.10.0"), Pep440, &["2.9.0+cu128"], &["2.10.0+cu128"]);
        check(Last(Start, "1.0"), Packagist, &["1.0", "1.0.0", "1.0.0-beta1"], &["1.0.1"]);
        // A branch is in no range, whatever its name compares as.
        check(Fixed(Start, "2.0"), Packagist, &["1.0"], &["dev-main"]);
        check(Open(Start), Packagist, &["1.0"], &["dev-main"]);
        check(Exact("dev-main"), Packagist, &["dev-main"], &["dev-other", "1.0"]);
    }

    #[test]
    fn bounds_are_mapped_wherever_they_are() {
        let check = |span: VersionSpan<'_>, expected: VersionSpan<'_>| {
            assert_eq!(span.map(|v| v.split_once(':').map_or(v, |(_, rest)| rest)), expected);
        };
        check(Fixed(From("1:1.0"), "2:2.0"), Fixed(From("1.0"), "2.0"));
        check(Last(After("1:1.0"), "2.0"), Last(After("1.0"), "2.0"));
        check(Open(Start), Open(Start));
        check(Exact("3:1"), Exact("1"));
    }
}
