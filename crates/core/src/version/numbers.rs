//! Plain sequences of numbers: R's `compareVersion` (CRAN, split by `.` and `-`) and Haskell's
//! `Data.Version` (Hackage, split by `.`). Of two with the same beginning the longer is newer: `1.0 < 1.0.0`. One
//! separator at the end does not count, as to R's `strsplit`.

use super::numeric;
use std::cmp::Ordering;

/// What separates the numbers of a version.
type Separators<'a> = &'a [char];

// R's `compareVersion` takes either; Haskell's `Version` has dots alone.
pub(super) const CRAN: Separators<'_> = &['.', '-'];
pub(super) const HACKAGE: Separators<'_> = &['.'];

pub(super) fn compare(a: &str, b: &str, separators: Separators<'_>) -> Ordering {
    let (mut a, mut b) = (a.trim().split_terminator(separators), b.trim().split_terminator(separators));
    loop {
        match (a.next(), b.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(x), Some(y)) => match part(x, y) {
                Ordering::Equal => {}
                unequal => return unequal,
            },
        }
    }
}

pub(super) fn is_valid(version: &str, separators: Separators<'_>) -> bool {
    version.trim().split(separators).all(is_number)
}

fn is_number(part: &str) -> bool {
    !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit())
}

/// Parts that are not numbers are invalid in these schemes; they sort below every number.
fn part(a: &str, b: &str) -> Ordering {
    match (is_number(a), is_number(b)) {
        (true, true) => numeric(a, b),
        (false, false) => a.cmp(b),
        (a, b) => a.cmp(&b),
    }
}
