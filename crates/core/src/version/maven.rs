//! Maven's order: `ComparableVersion` up to Maven 3.8.6 (POM reference, "Version Order Specification"). From 3.8.7 on
//! (MNG-7559) a qualifier's `.` is read as `-`, which turns `1.RC1 < 1-RC0` around; advisories keep to the specification.
//!
//! A version is a list of numbers and qualifiers; a hyphen and every change between digits and letters
//! begin a nested list. Numbers sort above lists, lists above qualifiers, and missing items count as zero. Since a nested
//! list is always last, a version is one sequence with marks where lists begin.
//!
//! Maven's own comparison is not transitive: `1-alpha-1 < 1 < 1.sp.2 < 1-alpha-1`. Here items that are older than their
//! absence sort below the end of a version, and all others above it, which agrees with Maven wherever Maven is
//! consistent.

use super::{digits, padded};
use std::cmp::Ordering;

pub(super) fn compare(a: &str, b: &str) -> Ordering {
    padded(items(a).into_iter(), items(b).into_iter(), Item::END, Item::compare)
}

/// Maven accepts every text.
pub(super) fn is_valid(version: &str) -> bool {
    !version.trim().is_empty()
}

#[derive(Debug, Clone, Copy)]
struct Item<'a> {
    class: Class,
    token: Token<'a>,
}

/// The rank of an item among those that another version may have in its place. A zero, a list and a release in the middle
/// rank as the item that follows them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    OlderQualifier,
    OlderFinal,
    OlderList,
    OlderZero,
    End,
    NewerFinal,
    NewerQualifier,
    NewerList,
    NewerZero,
    Number,
}

#[derive(Debug, Clone, Copy)]
enum Token<'a> {
    Number(&'a str),
    /// Its rank among the known qualifiers, and its text when it is none of them.
    Qualifier(u8, &'a str),
    List,
}

/// Rank of a release: `""`, `final`, `ga`.
const RELEASE: u8 = 5;
/// Rank of every other qualifier: after all known ones, and ordered by text among each other.
const UNKNOWN: u8 = 7;

/// The known qualifiers in Maven's order; those of equal rank are aliases.
const QUALIFIERS: [(&str, u8); 11] = [
    ("alpha", 0),
    ("beta", 1),
    ("milestone", 2),
    ("rc", 3),
    ("cr", 3),
    ("snapshot", 4),
    ("", RELEASE),
    ("final", RELEASE),
    ("ga", RELEASE),
    ("release", RELEASE),
    ("sp", 6),
];

impl<'a> Token<'a> {
    fn qualifier(text: &'a str, before_digit: bool) -> Self {
        let text = match text {
            "a" | "A" if before_digit => "alpha",
            "b" | "B" if before_digit => "beta",
            "m" | "M" if before_digit => "milestone",
            _ => text,
        };
        match QUALIFIERS.iter().find(|(name, _)| text.eq_ignore_ascii_case(name)) {
            Some((_, rank)) => Token::Qualifier(*rank, ""),
            None => Token::Qualifier(UNKNOWN, text),
        }
    }

    fn number(text: &'a str) -> Self {
        Token::Number(text.trim_start_matches('0'))
    }
}

impl<'a> Item<'a> {
    // What is compared with the rest of the longer version.
    const END: Item<'static> = Item { class: Class::End, token: Token::List };

    /// `older`: whether the next item is older than its own absence.
    fn new(token: Token<'a>, older: bool) -> Self {
        let class = match token {
            Token::Number("") if older => Class::OlderZero,
            Token::Number("") => Class::NewerZero,
            Token::Number(_) => Class::Number,
            Token::Qualifier(..RELEASE, _) => Class::OlderQualifier,
            Token::Qualifier(RELEASE, _) if older => Class::OlderFinal,
            Token::Qualifier(RELEASE, _) => Class::NewerFinal,
            Token::Qualifier(..) => Class::NewerQualifier,
            Token::List if older => Class::OlderList,
            Token::List => Class::NewerList,
        };
        Item { class, token }
    }

    fn compare(self, other: Self) -> Ordering {
        self.class.cmp(&other.class).then_with(|| match (self.token, other.token) {
            (Token::Number(a), Token::Number(b)) => a.len().cmp(&b.len()).then_with(|| a.cmp(b)),
            (Token::Qualifier(x, a), Token::Qualifier(y, b)) => x.cmp(&y).then_with(|| {
                let lower = |s: &'a str| s.chars().flat_map(char::to_lowercase);
                lower(a).cmp(lower(b))
            }),
            _ => Ordering::Equal,
        })
    }
}

/// The items that count: zeros and releases at the end of a list do not, nor do empty lists.
fn items(version: &str) -> Vec<Item<'_>> {
    let mut items: Vec<Item<'_>> = Vec::new();
    for token in tokens(version).into_iter().rev() {
        let last = items.last().map(|item| (item.class, item.token));
        let at_end = matches!(last, None | Some((_, Token::List)));
        match token {
            Token::Number("") | Token::Qualifier(RELEASE, _) if at_end => {}
            Token::List if last.is_none() => {}
            token => items.push(Item::new(token, last.is_some_and(|(class, _)| class < Class::End))),
        }
    }
    items.reverse();
    items
}

fn tokens(version: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut rest = version.trim();
    while !rest.is_empty() {
        let (number, after) = digits(rest);
        let (word, after) = if number.is_empty() { word_of(rest) } else { ("", after) };
        let next = after.chars().next();
        tokens.push(match (number, word) {
            // An empty item between two separators is a zero.
            ("", "") => Token::Number(""),
            ("", word) => Token::qualifier(word, next.is_some_and(|c| c.is_ascii_digit())),
            (number, _) => Token::number(number),
        });
        if next.is_some_and(|c| c != '.') {
            tokens.push(Token::List);
        }
        rest = after.strip_prefix(['.', '-']).unwrap_or(after);
    }
    tokens
}

fn word_of(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| c.is_ascii_digit() || c == '.' || c == '-').unwrap_or(text.len()))
}
