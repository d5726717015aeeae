//! rpm's order: rpm-version(7), `rpmVersionCompare` and `rpmvercmp` of `rpmio/rpmver.c` and `rpmvercmp.c`.
//!
//! `[epoch:]version[-release]`. A missing release sorts before every release: ignoring it would not be an order, since
//! `1-1` and `1-2` would both equal `1` but not each other. (rpm ignores it in dependencies only.)

use super::{digits, letters, numeric};
use std::cmp::Ordering;

pub(super) fn compare(a: &str, b: &str) -> Ordering {
    let (a, b) = (Parts::of(a), Parts::of(b));
    numeric(a.epoch, b.epoch)
        .then_with(|| segments(a.version, b.version))
        .then_with(|| a.release.is_some().cmp(&b.release.is_some()))
        .then_with(|| segments(a.release.unwrap_or_default(), b.release.unwrap_or_default()))
}

pub(super) fn is_valid(version: &str) -> bool {
    let parts = Parts::of(version);
    let plain = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "._+~^".contains(c));
    plain(parts.version) && parts.release.is_none_or(plain)
}

/// `[epoch:]version[-release]`, which pacman has too.
pub(super) struct Parts<'a> {
    pub(super) epoch: &'a str,
    pub(super) version: &'a str,
    pub(super) release: Option<&'a str>,
}

impl<'a> Parts<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        let text = text.trim();
        let (epoch, rest) = match digits(text) {
            (epoch, rest) if rest.starts_with(':') => (epoch, &rest[1..]),
            _ => ("", text),
        };
        let (version, release) = rest.rsplit_once('-').map_or((rest, None), |(v, r)| (v, Some(r)));
        Parts { epoch, version, release }
    }
}

/// The segments of a version, in rpm's order: `~` sorts before the end, `^` after it but before all others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Segment<'a> {
    Tilde,
    End,
    Caret,
    Word(&'a str),
    /// Its length and its digits without leading zeros.
    Number(usize, &'a str),
}

fn segments(mut a: &str, mut b: &str) -> Ordering {
    loop {
        let (x, y);
        (x, a) = segment(a);
        (y, b) = segment(b);
        match x.cmp(&y) {
            Ordering::Equal if x == Segment::End => return Ordering::Equal,
            Ordering::Equal => {}
            unequal => return unequal,
        }
    }
}

/// The next segment and the rest. Whatever is not ASCII alphanumeric, `~` or `^` only separates.
fn segment(text: &str) -> (Segment<'_>, &str) {
    let text = text.trim_start_matches(|c: char| !c.is_ascii_alphanumeric() && c != '~' && c != '^');
    match text.bytes().next() {
        None => (Segment::End, ""),
        Some(b'~') => (Segment::Tilde, &text[1..]),
        Some(b'^') => (Segment::Caret, &text[1..]),
        Some(b'0'..=b'9') => {
            let (number, rest) = digits(text);
            let number = number.trim_start_matches('0');
            (Segment::Number(number.len(), number), rest)
        }
        Some(_) => {
            let (word, rest) = letters(text);
            (Segment::Word(word), rest)
        }
    }
}
