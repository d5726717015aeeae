//! PEP 440; versions that it does not accept have the older setuptools order (packaging's former LegacyVersion) and sort
//! below all others.

use super::{digits, numeric, padded};
use std::cmp::Ordering;

pub(super) fn compare(a: &str, b: &str) -> Ordering {
    match (Version::parse(a), Version::parse(b)) {
        (Some(a), Some(b)) => a.compare(&b),
        (Some(_), None) => Ordering::Greater,
        (None, Some(_)) => Ordering::Less,
        (None, None) => legacy(a, b),
    }
}

pub(super) fn is_valid(version: &str) -> bool {
    Version::parse(version).is_some()
}

struct Version<'a> {
    epoch: &'a str,
    /// Dotted numbers as written.
    release: &'a str,
    /// Rank of `a`, `b`, `rc` and the number.
    pre: Option<(u8, &'a str)>,
    post: Option<&'a str>,
    dev: Option<&'a str>,
    local: Option<&'a str>,
}

impl<'a> Version<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let text = text.trim();
        let text = text.strip_prefix(['v', 'V']).unwrap_or(text);
        let (public, local) = match text.split_once('+') {
            Some((public, local)) => (public, Some(local)),
            None => (text, None),
        };
        if !local.is_none_or(valid_local) {
            return None;
        }
        let (epoch, rest) = match digits(public) {
            (epoch, rest) if rest.starts_with('!') && !epoch.is_empty() => (epoch, &rest[1..]),
            _ => ("", public),
        };
        let (release, rest) = release(rest)?;
        let (pre, rest) = tagged(rest, &PRE).map_or((None, rest), |(rank, n, rest)| (Some((rank, n)), rest));
        let (post, rest) = implicit_post(rest)
            .or_else(|| tagged(rest, &POST).map(|(_, n, rest)| (n, rest)))
            .map_or((None, rest), |(n, rest)| (Some(n), rest));
        let (dev, rest) = tagged(rest, &DEV).map_or((None, rest), |(_, n, rest)| (Some(n), rest));
        rest.is_empty().then_some(Version { epoch, release, pre, post, dev, local })
    }

    fn compare(&self, other: &Self) -> Ordering {
        numeric(self.epoch, other.epoch)
            .then_with(|| releases(self.release, other.release))
            .then_with(|| self.pre_key().cmp(&other.pre_key()))
            .then_with(|| option(self.pre.map(|p| p.1), other.pre.map(|p| p.1)))
            .then_with(|| option(self.post, other.post))
            .then_with(|| other.dev.is_some().cmp(&self.dev.is_some()))
            .then_with(|| option(self.dev, other.dev))
            .then_with(|| local(self.local, other.local))
    }

    /// `1.0.dev1` sorts before `1.0a1`; without a pre-release part the version sorts after all of them.
    fn pre_key(&self) -> u8 {
        match self.pre {
            Some((rank, _)) => rank,
            None if self.post.is_none() && self.dev.is_some() => 0,
            None => 9,
        }
    }
}

// Longer spellings first: `a` and `r` are prefixes of others. Equal ranks are aliases (PEP 440, "Normalization").
const PRE: [(&str, u8); 8] =
    [("alpha", 1), ("beta", 2), ("preview", 3), ("pre", 3), ("rc", 3), ("a", 1), ("b", 2), ("c", 3)];
const POST: [(&str, u8); 3] = [("post", 0), ("rev", 0), ("r", 0)];
const DEV: [(&str, u8); 1] = [("dev", 0)];

fn release(text: &str) -> Option<(&str, &str)> {
    let (first, mut rest) = digits(text);
    if first.is_empty() {
        return None;
    }
    while let Some(after) = rest.strip_prefix('.') {
        let (number, next) = digits(after);
        if number.is_empty() {
            break;
        }
        rest = next;
    }
    Some(text.split_at(text.len() - rest.len()))
}

fn separator(text: &str) -> &str {
    text.strip_prefix(['.', '-', '_']).unwrap_or(text)
}

/// `[sep]word[sep][number]`: the word's rank, the number (none is zero) and the rest.
/// The second separator may lack its number (`1.0rc-`).
fn tagged<'a>(text: &'a str, words: &[(&str, u8)]) -> Option<(u8, &'a str, &'a str)> {
    let body = separator(text);
    let head = |word: &str| body.get(..word.len()).is_some_and(|h| h.eq_ignore_ascii_case(word));
    let (word, rank) = words.iter().find(|(word, _)| head(word))?;
    let (number, rest) = digits(separator(&body[word.len()..]));
    Some((*rank, number, rest))
}

/// `1.0-1` is a post release.
fn implicit_post(text: &str) -> Option<(&str, &str)> {
    let (number, rest) = digits(text.strip_prefix('-')?);
    (!number.is_empty()).then_some((number, rest))
}

fn valid_local(local: &str) -> bool {
    local.split(['.', '-', '_']).all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric()))
}

fn releases(a: &str, b: &str) -> Ordering {
    padded(a.split('.'), b.split('.'), "", numeric)
}

fn option(a: Option<&str>, b: Option<&str>) -> Ordering {
    a.is_some().cmp(&b.is_some()).then_with(|| numeric(a.unwrap_or_default(), b.unwrap_or_default()))
}

fn local(a: Option<&str>, b: Option<&str>) -> Ordering {
    let (Some(a), Some(b)) = (a, b) else { return a.is_some().cmp(&b.is_some()) };
    let (mut a, mut b) = (a.split(['.', '-', '_']), b.split(['.', '-', '_']));
    loop {
        let order = match (a.next(), b.next()) {
            (None, None) => return Ordering::Equal,
            (x, y) if x.is_none() || y.is_none() => x.is_some().cmp(&y.is_some()),
            (x, y) => local_part(x.unwrap_or_default(), y.unwrap_or_default()),
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

/// Numbers sort above words; words ignore case.
fn local_part(a: &str, b: &str) -> Ordering {
    let number = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    match (number(a), number(b)) {
        (true, true) => numeric(a, b),
        (false, false) => a.bytes().map(|b| b.to_ascii_lowercase()).cmp(b.bytes().map(|b| b.to_ascii_lowercase())),
        (a, b) => a.cmp(&b),
    }
}

/// The setuptools order: runs of digits (zero-padded), runs of letters (some renamed), `*final` at the end.
fn legacy(a: &str, b: &str) -> Ordering {
    legacy_key(a).cmp(&legacy_key(b))
}

/// Legacy versions are rare enough that a key is built; it is the one `packaging` built.
fn legacy_key(version: &str) -> Vec<String> {
    let lower = version.trim().to_lowercase();
    let mut parts: Vec<String> = Vec::new();
    for part in legacy_parts(&lower).into_iter().chain(["*final".to_owned()]) {
        if part.starts_with('*') {
            // Before a pre-release tag the dashes of "final-" are dropped, then trailing zeros of a numeric series.
            if part.as_str() < "*final" {
                while parts.last().is_some_and(|p| p == "*final-") {
                    parts.pop();
                }
            }
            while parts.last().is_some_and(|p| p == "00000000") {
                parts.pop();
            }
        }
        parts.push(part);
    }
    parts
}

fn legacy_parts(version: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut rest = version;
    while let Some(first) = rest.chars().next() {
        let same = |c: char| {
            (first.is_ascii_digit() && c.is_ascii_digit()) || (first.is_ascii_lowercase() && c.is_ascii_lowercase())
        };
        let len = match first {
            '.' | '-' => 1,
            _ if same(first) => rest.find(|c| !same(c)).unwrap_or(rest.len()),
            _ => rest.find(|c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-').unwrap_or(rest.len()),
        };
        let (part, after) = rest.split_at(len);
        rest = after;
        match part {
            "." => {}
            "-" => out.push("*final-".to_owned()),
            "pre" | "preview" | "rc" => out.push("*c".to_owned()),
            "dev" => out.push("*@".to_owned()),
            digits if first.is_ascii_digit() => out.push(format!("{digits:0>8}")),
            word => out.push(format!("*{word}")),
        }
    }
    out
}
