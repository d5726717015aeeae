//! Semantic Versioning 2.0.0 §11, lenient: a leading `v` or `=`, fewer or more numbers, numbers of any length,
//! and a pre-release without its hyphen (`1.0.0beta1`), as node-semver's loose mode reads it.
//!
//! Text without numbers is a pre-release of 0: it sorts below every released version, where a match is not missed.

use super::{numeric, padded};
use std::cmp::Ordering;

pub(super) fn compare(a: &str, b: &str) -> Ordering {
    Version::parse(a).compare(&Version::parse(b), str::cmp)
}

pub(super) fn is_valid(version: &str) -> bool {
    Version::parse(version).is_valid(3)
}

/// A version in its parts, as written.
pub(super) struct Version<'a> {
    /// Dotted numbers, at least one in what the scheme accepts.
    pub(super) numbers: &'a str,
    /// Dotted identifiers; empty for a release.
    pub(super) pre: &'a str,
    /// The pre-release follows the numbers without a hyphen.
    pub(super) glued: bool,
    /// Dotted identifiers after the `+`.
    pub(super) build: &'a str,
}

impl<'a> Version<'a> {
    pub(super) fn parse(text: &'a str) -> Self {
        let text = text.trim().trim_start_matches(|c: char| matches!(c, 'v' | 'V' | '=') || c.is_whitespace());
        let (text, build) = text.split_once('+').unwrap_or((text, ""));
        let end = text.bytes().position(|b| !b.is_ascii_digit() && b != b'.').unwrap_or(text.len());
        let (numbers, rest) = text.split_at(end);
        // A hyphen before nothing is the pre-release itself.
        let hyphenated = rest.strip_prefix('-').filter(|pre| !pre.is_empty() && !pre.starts_with('.'));
        Version { numbers, pre: hyphenated.unwrap_or(rest), glued: hyphenated.is_none(), build }
    }

    /// Whether the text is a version of at most `max` numbers.
    pub(super) fn is_valid(&self, max: usize) -> bool {
        (self.pre.is_empty() || !self.glued)
            && self.numbers.split('.').count() <= max
            && self.numbers.split('.').all(|n| !n.is_empty())
            && self.pre.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.')
    }

    /// §11 without build metadata; `words` compares alphanumeric identifiers.
    pub(super) fn compare(&self, other: &Self, words: impl Fn(&str, &str) -> Ordering) -> Ordering {
        numbers(self.numbers, other.numbers)
            // A release sorts after its pre-releases.
            .then_with(|| self.pre.is_empty().cmp(&other.pre.is_empty()))
            .then_with(|| identifiers(self.pre.split('.'), other.pre.split('.'), words))
    }
}

/// Dotted numbers; missing ones are zero.
pub(super) fn numbers(a: &str, b: &str) -> Ordering {
    padded(a.split('.'), b.split('.'), "", numeric)
}

/// Identifiers one by one; of two with the same beginning the longer is newer.
pub(super) fn identifiers<'a>(
    mut a: impl Iterator<Item = &'a str>,
    mut b: impl Iterator<Item = &'a str>,
    words: impl Fn(&str, &str) -> Ordering,
) -> Ordering {
    loop {
        match (a.next(), b.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(x), Some(y)) => match identifier(x, y, &words) {
                Ordering::Equal => {}
                unequal => return unequal,
            },
        }
    }
}

/// Numbers by value and below words.
fn identifier(a: &str, b: &str, words: impl Fn(&str, &str) -> Ordering) -> Ordering {
    let number = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    match (number(a), number(b)) {
        (true, true) => numeric(a, b),
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
        (false, false) => words(a, b),
    }
}
