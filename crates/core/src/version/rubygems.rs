//! RubyGems' order: `Gem::Version`.
//!
//! A version is a sequence of numbers and words; a word marks a pre-release and sorts below every number.
//! A hyphen reads as the word `pre`, unless what follows it names the platform that a gem was built for.

use super::{digits, letters, numeric, padded};
use std::cmp::Ordering;
use std::iter;

pub(super) fn compare(a: &str, b: &str) -> Ordering {
    padded(segments(a), segments(b), Segment::Number("0"), Segment::compare)
}

pub(super) fn is_valid(version: &str) -> bool {
    let version = without_platform(version.trim());
    let (release, pre) = version.split_once('-').map_or((version, None), |(release, pre)| (release, Some(pre)));
    let parts = |text: &str, ok: fn(u8) -> bool| text.split('.').all(|part| !part.is_empty() && part.bytes().all(ok));
    release.starts_with(|c: char| c.is_ascii_digit())
        && parts(release, |b| b.is_ascii_alphanumeric())
        && pre.is_none_or(|pre| parts(pre, |b| b.is_ascii_alphanumeric() || b == b'-'))
}

#[derive(Debug, Clone, Copy)]
enum Segment<'a> {
    Word(&'a str),
    Number(&'a str),
}

impl Segment<'_> {
    fn compare(self, other: Self) -> Ordering {
        match (self, other) {
            (Segment::Word(a), Segment::Word(b)) => a.cmp(b),
            (Segment::Number(a), Segment::Number(b)) => numeric(a, b),
            (Segment::Word(_), Segment::Number(_)) => Ordering::Less,
            (Segment::Number(_), Segment::Word(_)) => Ordering::Greater,
        }
    }

    fn is_zero(self) -> bool {
        matches!(self, Segment::Number(n) if n.bytes().all(|b| b == b'0'))
    }
}

/// The segments that count: zeros before the first word and at the end do not (`1.0.a` is `1.a`). Those at the end need no
/// special case, since a shorter version is filled with zeros.
fn segments(version: &str) -> impl Iterator<Item = Segment<'_>> {
    let version = without_platform(version.trim());
    let end = version.bytes().position(|b| b.is_ascii_alphabetic() || b == b'-').unwrap_or(version.len());
    let (release, pre) = version.split_at(end);
    let kept = scan(release).enumerate().filter(|(_, s)| !s.is_zero()).last().map_or(0, |(i, _)| i + 1);
    scan(release).take(kept).chain(scan(pre))
}

fn scan(text: &str) -> impl Iterator<Item = Segment<'_>> {
    let mut rest = text;
    iter::from_fn(move || next_segment(&mut rest))
}

fn next_segment<'a>(rest: &mut &'a str) -> Option<Segment<'a>> {
    *rest = rest.trim_start_matches(|c: char| !c.is_ascii_alphanumeric() && c != '-');
    if let Some(after) = rest.strip_prefix('-') {
        *rest = after;
        return Some(Segment::Word("pre"));
    }
    let (number, after) = digits(rest);
    if !number.is_empty() {
        *rest = after;
        return Some(Segment::Number(number));
    }
    let (word, after) = letters(rest);
    *rest = after;
    (!word.is_empty()).then_some(Segment::Word(word))
}

/// Processors and systems that begin the platform of a gem (`Gem::Platform`).
const PLATFORMS: [&str; 27] = [
    "x86_64",
    "x86",
    "x64",
    "i386",
    "i686",
    "aarch64",
    "arm64",
    "arm",
    "armv7l",
    "java",
    "jruby",
    "mswin32",
    "mswin64",
    "mingw32",
    "universal",
    "powerpc64le",
    "riscv64",
    "s390x",
    "ppc64le",
    "amd64",
    "armv6l",
    "i586",
    "mswin",
    "dalvik",
    "truffleruby",
    "wasm32",
    "sparc",
];

fn without_platform(version: &str) -> &str {
    match version.split_once('-') {
        Some((release, platform)) if PLATFORMS.contains(&platform.split('-').next().unwrap_or_default()) => release,
        _ => version,
    }
}
