//! Semantic Versioning 2.0.0 §11, lenient: a leading `v`, fewer or more numbers, numbers of any length.

use super::numeric;
use std::cmp::Ordering;

pub(super) fn compare(a: &str, b: &str) -> Ordering {
    let (a, b) = (Parts::of(a), Parts::of(b));
    numbers(a.numbers, b.numbers).then_with(|| match (a.pre, b.pre) {
        ("", "") => Ordering::Equal,
        ("", _) => Ordering::Greater,
        (_, "") => Ordering::Less,
        (a, b) => identifiers(a, b),
    })
}

pub(super) fn is_valid(version: &str) -> bool {
    let parts = Parts::of(version);
    parts.numbers.split('.').count() <= 3
        && parts.numbers.split('.').all(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
        && parts.pre.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.')
}

struct Parts<'a> {
    numbers: &'a str,
    pre: &'a str,
}

impl<'a> Parts<'a> {
    fn of(version: &'a str) -> Self {
        let version = version.trim().trim_start_matches(['v', 'V', '=']).trim_start();
        let version = version.split_once('+').map_or(version, |(v, _)| v);
        let (numbers, pre) = version.split_once('-').unwrap_or((version, ""));
        Parts { numbers, pre }
    }
}

/// Dotted numbers; missing ones are zero.
fn numbers(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.split('.'), b.split('.'));
    loop {
        match (a.next(), b.next()) {
            (None, None) => return Ordering::Equal,
            (x, y) => match identifier(zero(x), zero(y)) {
                Ordering::Equal => {}
                unequal => return unequal,
            },
        }
    }
}

fn zero(part: Option<&str>) -> &str {
    part.filter(|p| !p.is_empty()).unwrap_or("0")
}

fn identifiers(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.split('.'), b.split('.'));
    loop {
        match (a.next(), b.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(x), Some(y)) => match identifier(x, y) {
                Ordering::Equal => {}
                unequal => return unequal,
            },
        }
    }
}

/// Numbers by value and below words; words by ASCII.
fn identifier(a: &str, b: &str) -> Ordering {
    let number = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    match (number(a), number(b)) {
        (true, true) => numeric(a, b),
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
        (false, false) => a.cmp(b),
    }
}
