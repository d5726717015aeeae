//! pacman's order: vercmp(8), `lib/libalpm/version.c`.
//!
//! `[epoch:]version[-pkgrel]`. A version is a sequence of numbers and words with separators between them, whose length
//! counts (`1..0 > 1.0`) and not their characters. A word that follows without a separator is a pre-release: `1.0rc < 1.0`.
//! A missing pkgrel sorts before every other, as in [`super::rpm`]; separators at the end do not count.

use super::rpm::Parts;
use super::{digits, letters, numeric};
use std::cmp::Ordering;

pub(super) fn compare(a: &str, b: &str) -> Ordering {
    let (a, b) = (Parts::of(a), Parts::of(b));
    numeric(a.epoch, b.epoch)
        .then_with(|| items(a.version, b.version))
        .then_with(|| a.release.is_some().cmp(&b.release.is_some()))
        .then_with(|| items(a.release.unwrap_or_default(), b.release.unwrap_or_default()))
}

/// The next segment with the length of the separator before it.
type Item<'a> = (usize, Segment<'a>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Segment<'a> {
    Word(&'a str),
    End,
    /// Its length and its digits without leading zeros.
    Number(usize, &'a str),
}

fn items(mut a: &str, mut b: &str) -> Ordering {
    loop {
        let (x, y): (Item<'_>, Item<'_>);
        (x, a) = item(a);
        (y, b) = item(b);
        match x.cmp(&y) {
            Ordering::Equal if x.1 == Segment::End => return Ordering::Equal,
            Ordering::Equal => {}
            unequal => return unequal,
        }
    }
}

fn item(text: &str) -> (Item<'_>, &str) {
    let rest = text.trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
    let separator = text.len() - rest.len();
    if rest.is_empty() {
        return ((0, Segment::End), "");
    }
    let (number, after) = digits(rest);
    if number.is_empty() {
        let (word, after) = letters(rest);
        return ((separator, Segment::Word(word)), after);
    }
    let number = number.trim_start_matches('0');
    ((separator, Segment::Number(number.len(), number)), after)
}
