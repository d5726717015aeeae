//! dpkg's order: deb-version(7), `lib/dpkg/version.c`.

use super::{digits, numeric};
use std::cmp::Ordering;

pub(super) fn compare(a: &str, b: &str) -> Ordering {
    let (a, b) = (Parts::of(a), Parts::of(b));
    numeric(a.epoch, b.epoch).then_with(|| part(a.upstream, b.upstream)).then_with(|| part(a.revision, b.revision))
}

pub(super) fn is_valid(version: &str) -> bool {
    let parts = Parts::of(version);
    let plain = |c: char| c.is_ascii_alphanumeric() || ".+-~:".contains(c);
    parts.upstream.starts_with(|c: char| c.is_ascii_digit()) && version.chars().all(plain)
}

struct Parts<'a> {
    epoch: &'a str,
    upstream: &'a str,
    revision: &'a str,
}

impl<'a> Parts<'a> {
    fn of(version: &'a str) -> Self {
        let version = version.trim();
        let (epoch, rest) = match version.split_once(':') {
            Some((epoch, rest)) if epoch.bytes().all(|b| b.is_ascii_digit()) => (epoch, rest),
            _ => ("", version),
        };
        let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, ""));
        Parts { epoch, upstream, revision }
    }
}

/// Alternates non-digit and digit runs; an absent part compares as an empty one.
fn part(mut a: &str, mut b: &str) -> Ordering {
    while !(a.is_empty() && b.is_empty()) {
        let (word_a, rest_a) = word(a);
        let (word_b, rest_b) = word(b);
        let (number_a, after_a) = digits(rest_a);
        let (number_b, after_b) = digits(rest_b);
        match words(word_a, word_b).then_with(|| numeric(number_a, number_b)) {
            Ordering::Equal => (a, b) = (after_a, after_b),
            unequal => return unequal,
        }
    }
    Ordering::Equal
}

fn word(s: &str) -> (&str, &str) {
    s.split_at(s.bytes().position(|b| b.is_ascii_digit()).unwrap_or(s.len()))
}

fn words(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.bytes(), b.bytes());
    loop {
        match (a.next(), b.next()) {
            (None, None) => return Ordering::Equal,
            (x, y) => match weight(x).cmp(&weight(y)) {
                Ordering::Equal => {}
                unequal => return unequal,
            },
        }
    }
}

/// `~` sorts before the end, the end before letters, letters before everything else.
fn weight(byte: Option<u8>) -> i32 {
    match byte {
        Some(b'~') => -1,
        None => 0,
        Some(b) if b.is_ascii_alphabetic() => i32::from(b),
        Some(b) => i32::from(b) + 256,
    }
}
