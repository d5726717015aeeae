//! Packagist's order: PHP's `version_compare` after Composer's leading `v` is dropped.
//!
//! A version is a sequence of numbers and words, split at every change and at every other character.
//! Only the beginning of a word counts, and its case does: `RC` and `rc` are known, `Beta` is not.
//! Composer itself would read `1.0` as `1.0.0.0`; advisories are made and matched by `version_compare`.

use super::{digits, letters, padded};
use std::cmp::Ordering;
use std::iter;

pub(super) fn compare(a: &str, b: &str) -> Ordering {
    padded(parts(a), parts(b), Part::End, |x, y| x.cmp(&y))
}

pub(super) fn is_valid(version: &str) -> bool {
    matches!(parts(version).next(), Some(Part::Number(..)))
}

/// The parts of a version, lowest first. A version that ends is newer than one that continues with a pre-release, and older
/// than one that continues with a number or a patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Part<'a> {
    Unknown,
    Dev,
    Alpha,
    Beta,
    Candidate,
    End,
    /// Its length and its digits without leading zeros.
    Number(usize, &'a str),
    Patch,
}

impl Part<'_> {
    fn of_word(word: &str) -> Self {
        match word {
            // Composer's name of a branch of releases: `1.x-dev` is newer than all of them.
            "x" | "X" => Part::Number(7, "9999999"),
            _ if word.starts_with("dev") => Part::Dev,
            _ if word.starts_with('a') => Part::Alpha,
            _ if word.starts_with('b') => Part::Beta,
            _ if word.starts_with("rc") || word.starts_with("RC") => Part::Candidate,
            _ if word.starts_with('p') => Part::Patch,
            _ => Part::Unknown,
        }
    }
}

fn parts(version: &str) -> impl Iterator<Item = Part<'_>> {
    let version = version.trim();
    let mut rest = version.strip_prefix(['v', 'V']).unwrap_or(version);
    iter::from_fn(move || next_part(&mut rest))
}

fn next_part<'a>(rest: &mut &'a str) -> Option<Part<'a>> {
    *rest = rest.trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
    let (number, after) = digits(rest);
    if !number.is_empty() {
        *rest = after;
        let number = number.trim_start_matches('0');
        return Some(Part::Number(number.len(), number));
    }
    let (word, after) = letters(rest);
    *rest = after;
    (!word.is_empty()).then(|| Part::of_word(word))
}
