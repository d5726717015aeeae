//! apk-tools' order: apk-package(5) and the tokeniser of `src/version.c`.
//!
//! A version is `digits(.digits)*[letter[digits]](_suffix[digits])*(~hex)?(-rN)?`.
//! Both texts are read token by token; where the kinds of their tokens differ, the kinds decide. What is no token is the
//! lowest kind: a malformed version compares by its valid beginning.

use super::{digits, numeric};
use std::cmp::Ordering;

pub(super) fn is_valid(version: &str) -> bool {
    let mut reader = Reader::new(version);
    while reader.kind != Kind::End {
        let value = reader.take();
        if reader.kind == Kind::Invalid || matches!(value, Value::Number("") | Value::Later("")) {
            return false;
        }
    }
    !version.is_empty()
}

/// Kinds of tokens, in the order in which they may follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    LaterNumber,
    Number,
    Letter,
    Suffix,
    SuffixNumber,
    Hash,
    Revision,
    End,
    Invalid,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Value<'a> {
    /// A number after the first: with a leading zero it is compared as text.
    Later(&'a str),
    Number(&'a str),
    Letter(u8),
    /// Below zero before the release, above zero after it.
    Suffix(i8),
    /// Of a commit; compared as text.
    Hash(&'a str),
    Nothing,
}

/// Suffixes in apk's order: negative before the release, positive after it.
const SUFFIXES: [(&str, i8); 9] =
    [("alpha", -4), ("beta", -3), ("pre", -2), ("rc", -1), ("cvs", 1), ("svn", 2), ("git", 3), ("hg", 4), ("p", 5)];

/// What is left of a version, and the kind of its next token.
#[derive(Debug, Clone, Copy)]
struct Reader<'a> {
    rest: &'a str,
    kind: Kind,
}

impl<'a> Reader<'a> {
    fn new(version: &'a str) -> Self {
        Reader { rest: version, kind: Kind::Number }
    }

    /// Reads the token at hand and decides the kind of the next one.
    fn take(&mut self) -> Value<'a> {
        let value = match self.kind {
            Kind::LaterNumber => Value::Later(self.number()),
            Kind::Number | Kind::SuffixNumber | Kind::Revision => Value::Number(self.number()),
            Kind::Letter => self.letter(),
            Kind::Suffix => self.suffix(),
            Kind::Hash => self.hash(),
            Kind::End | Kind::Invalid => Value::Nothing,
        };
        if value == Value::Nothing {
            self.kind = Kind::Invalid;
        } else {
            self.next_kind();
        }
        value
    }

    fn number(&mut self) -> &'a str {
        let (number, rest) = digits(self.rest);
        self.rest = rest;
        number
    }

    fn letter(&mut self) -> Value<'a> {
        let letter = self.rest.bytes().next().unwrap_or_default();
        self.rest = self.rest.get(1..).unwrap_or_default();
        Value::Letter(letter)
    }

    fn suffix(&mut self) -> Value<'a> {
        let known = SUFFIXES.iter().find_map(|(name, rank)| Some((self.rest.strip_prefix(name)?, *rank)));
        known.map_or(Value::Nothing, |(rest, rank)| {
            self.rest = rest;
            Value::Suffix(rank)
        })
    }

    fn hash(&mut self) -> Value<'a> {
        let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        let end = self.rest.bytes().position(|b| !hex(b)).unwrap_or(self.rest.len());
        let (hash, rest) = self.rest.split_at(end);
        self.rest = rest;
        if end == 0 { Value::Nothing } else { Value::Hash(hash) }
    }

    fn next_kind(&mut self) {
        let mut bytes = self.rest.bytes();
        let (first, second) = (bytes.next(), bytes.next());
        let (kind, skip) = match (first, self.kind) {
            (None, _) => (Kind::End, 0),
            (Some(b'a'..=b'z'), Kind::Number | Kind::LaterNumber) => (Kind::Letter, 0),
            (Some(b'0'..=b'9'), Kind::Letter) => (Kind::Number, 0),
            (Some(b'0'..=b'9'), Kind::Suffix) => (Kind::SuffixNumber, 0),
            (Some(b'.'), Kind::Number | Kind::LaterNumber) if !second.is_some_and(|b| b.is_ascii_lowercase()) => {
                (Kind::LaterNumber, 1)
            }
            (Some(b'_'), kind) if kind <= Kind::SuffixNumber => (Kind::Suffix, 1),
            (Some(b'~'), kind) if kind < Kind::Hash => (Kind::Hash, 1),
            (Some(b'-'), kind) if kind < Kind::Revision && second == Some(b'r') => (Kind::Revision, 2),
            _ => (Kind::Invalid, 0),
        };
        self.kind = kind;
        self.rest = self.rest.get(skip..).unwrap_or_default();
    }
}

pub(super) fn compare(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (Reader::new(a), Reader::new(b));
    while a.kind == b.kind && a.kind != Kind::End && a.kind != Kind::Invalid {
        match values(a.take(), b.take()) {
            Ordering::Equal => {}
            unequal => return unequal,
        }
    }
    // The longer one is newer, unless it continues with a pre-release.
    match (before_release(a), before_release(b)) {
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
        _ => b.kind.cmp(&a.kind),
    }
}

/// An unknown suffix makes a version invalid and sorts below the known ones, wherever it stands.
fn before_release(mut reader: Reader<'_>) -> bool {
    reader.kind == Kind::Suffix && matches!(reader.take(), Value::Suffix(..0) | Value::Nothing)
}

fn values(a: Value<'_>, b: Value<'_>) -> Ordering {
    match (a, b) {
        (Value::Number(x), Value::Number(y)) => numeric(x, y),
        (Value::Letter(x), Value::Letter(y)) => x.cmp(&y),
        (Value::Suffix(x), Value::Suffix(y)) => x.cmp(&y),
        (Value::Hash(x), Value::Hash(y)) => x.cmp(y),
        (Value::Later(x), Value::Later(y)) if x.starts_with('0') || y.starts_with('0') => x.cmp(y),
        (Value::Later(x), Value::Later(y)) => numeric(x, y),
        (x, y) => (x != Value::Nothing).cmp(&(y != Value::Nothing)),
    }
}
