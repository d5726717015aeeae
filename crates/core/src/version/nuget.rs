//! NuGet's order: `NuGetVersion`, up to four numbers, then Semantic Versioning without regard to case.

use super::semver::Version;
use std::cmp::Ordering;

pub(super) fn compare(a: &str, b: &str) -> Ordering {
    Version::parse(a).compare(&Version::parse(b), words)
}

pub(super) fn is_valid(version: &str) -> bool {
    Version::parse(version).is_valid(4)
}

fn words(a: &str, b: &str) -> Ordering {
    a.bytes().map(|b| b.to_ascii_uppercase()).cmp(b.bytes().map(|b| b.to_ascii_uppercase()))
}
