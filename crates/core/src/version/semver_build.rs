//! Semantic Versioning where build metadata counts, as in pub_semver (Dart), Julia's `VersionNumber`
//! and rebuilds published as `+vendor.N`: none sorts first, then the identifiers like those of a pre-release.

use super::semver::{Version, identifiers};
use std::cmp::Ordering;

pub(super) fn compare(a: &str, b: &str) -> Ordering {
    let (a, b) = (Version::parse(a), Version::parse(b));
    a.compare(&b, str::cmp)
        .then_with(|| b.build.is_empty().cmp(&a.build.is_empty()))
        .then_with(|| identifiers(a.build.split('.'), b.build.split('.'), str::cmp))
}
