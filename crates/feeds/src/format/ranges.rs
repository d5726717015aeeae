//! Sets of versions that constraints describe: union, intersection, complement, and their intervals.
//!
//! A set is a sorted list of disjoint pieces; a piece lies between two cuts, and a cut lies just before or just after a
//! version. So both `<` and `<=` are exact.

use std::cmp::Ordering;
use tidewaiter_core::advisory::{Interval, IntervalEnd};
use tidewaiter_core::version::VersionScheme;

/// A place between versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Cut {
    Start,
    Before(String),
    After(String),
    IntervalEnd,
}

/// Versions.
#[derive(Debug, Clone)]
pub(super) struct Set {
    pieces: Vec<(Cut, Cut)>,
    order: VersionScheme,
}

impl Set {
    /// No version.
    pub(super) fn none(order: VersionScheme) -> Self {
        Set { pieces: Vec::new(), order }
    }

    /// Every version.
    pub(super) fn all(order: VersionScheme) -> Self {
        Set::none(order).complement()
    }

    /// Those between two cuts.
    pub(super) fn between(order: VersionScheme, from: Cut, to: Cut) -> Self {
        let mut set = Set::none(order);
        if set.compare(&from, &to) == Ordering::Less {
            set.pieces.push((from, to));
        }
        set
    }

    /// The set of one comparison: `<`, `<=`, `>`, `>=`, `=`, `!=` and their other spellings.
    pub(super) fn comparison(order: VersionScheme, operator: &str, version: &str) -> Option<Self> {
        let (before, after) = (|| Cut::Before(version.to_owned()), || Cut::After(version.to_owned()));
        let between = |from, to| Some(Set::between(order, from, to));
        match operator {
            "<" => between(Cut::Start, before()),
            "<=" | "=<" => between(Cut::Start, after()),
            ">" => between(after(), Cut::IntervalEnd),
            ">=" | "=>" => between(before(), Cut::IntervalEnd),
            "" | "=" | "==" => between(before(), after()),
            "!=" | "<>" => Some(Set::between(order, before(), after()).complement()),
            _ => None,
        }
    }

    pub(super) fn union(mut self, other: Set) -> Self {
        self.pieces.extend(other.pieces);
        let mut pieces = std::mem::take(&mut self.pieces);
        pieces.sort_by(|a, b| self.compare(&a.0, &b.0));
        for (from, to) in pieces {
            let joined = self.pieces.last().is_some_and(|(_, end)| self.compare(&from, end) != Ordering::Greater);
            let longer = self.pieces.last().is_some_and(|(_, end)| self.compare(&to, end) == Ordering::Greater);
            match self.pieces.last_mut().filter(|_| joined) {
                Some(last) if longer => last.1 = to,
                Some(_) => {}
                None => self.pieces.push((from, to)),
            }
        }
        self
    }

    pub(super) fn complement(&self) -> Self {
        let mut out = Set::none(self.order);
        let mut from = Cut::Start;
        for (start, end) in &self.pieces {
            if self.compare(&from, start) == Ordering::Less {
                out.pieces.push((from, start.clone()));
            }
            from = end.clone();
        }
        if from != Cut::IntervalEnd {
            out.pieces.push((from, Cut::IntervalEnd));
        }
        out
    }

    pub(super) fn intersection(&self, other: &Set) -> Self {
        self.complement().union(other.complement()).complement()
    }

    /// The set as vulnerable intervals; a single version is the interval from it up to it.
    pub(super) fn intervals(&self) -> Vec<Interval> {
        let interval = |(from, to): &(Cut, Cut)| {
            let (introduced, after) = match from {
                Cut::Before(version) => (Some(version.clone()), false),
                Cut::After(version) => (Some(version.clone()), true),
                Cut::Start | Cut::IntervalEnd => (None, false),
            };
            let end = match to {
                Cut::Before(version) => IntervalEnd::Fixed(version.clone()),
                Cut::After(version) => IntervalEnd::LastAffected(version.clone()),
                Cut::Start | Cut::IntervalEnd => IntervalEnd::Open,
            };
            Interval { introduced, after, end }
        };
        self.pieces.iter().map(interval).collect()
    }

    fn compare(&self, a: &Cut, b: &Cut) -> Ordering {
        let side = |cut: &Cut| u8::from(matches!(cut, Cut::After(_)));
        match (a, b) {
            (Cut::Before(x) | Cut::After(x), Cut::Before(y) | Cut::After(y)) => {
                self.order.compare(x, y).then_with(|| side(a).cmp(&side(b)))
            }
            _ => rank(a).cmp(&rank(b)),
        }
    }
}

const fn rank(cut: &Cut) -> u8 {
    match cut {
        Cut::Start => 0,
        Cut::Before(_) | Cut::After(_) => 1,
        Cut::IntervalEnd => 2,
    }
}

/// A comparison's operator and version: `>= 1.2`.
pub(super) fn split(text: &str) -> (&str, &str) {
    let text = text.trim();
    let at = text.find(|c: char| !"<>=!~^".contains(c)).unwrap_or(text.len());
    let (operator, version) = text.split_at(at);
    (operator, version.trim())
}
