//! Compares what was found at each place of an image with what was listed for it.

use super::Key;
use std::collections::{BTreeMap, BTreeSet};

/// Wrong places that are printed without being asked for.
const SHOWN: usize = 20;

/// The comparison of one image.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct PlaceComparison {
    /// Artifacts, each at its place, that are named as listed.
    right: usize,
    /// The others: (place, listed, found); one of both may be absent.
    wrong: Vec<(String, String, String)>,
}

impl PlaceComparison {
    /// Compares two sets; what is wrong at one place is paired, so that a wrong name counts once.
    pub(super) fn of(listed: &BTreeSet<Key>, found: &BTreeSet<Key>) -> PlaceComparison {
        let mut out = PlaceComparison { right: listed.intersection(found).count(), wrong: Vec::new() };
        let mut differences: BTreeMap<&str, [Vec<String>; 2]> = BTreeMap::new();
        for (side, (ours, theirs)) in [(listed, found), (found, listed)].into_iter().enumerate() {
            for (name, version, place) in ours.difference(theirs) {
                let pair = differences.entry(place).or_default();
                pair.get_mut(side).into_iter().for_each(|names| names.push(format!("{name}:{version}")));
            }
        }
        for (place, [listed, found]) in differences {
            for at in 0..listed.len().max(found.len()) {
                let name = |names: &[String]| names.get(at).cloned().unwrap_or_else(|| "nothing".to_owned());
                out.wrong.push((place.to_owned(), name(&listed), name(&found)));
            }
        }
        out
    }

    /// The share that is right.
    pub(super) fn share(&self) -> f64 {
        let all = self.right + self.wrong.len();
        if all == 0 { 1.0 } else { self.right as f64 / all as f64 }
    }

    /// Prints the share and, up to [`SHOWN`] unless all are asked for, every place that is wrong.
    pub(super) fn print(&self, all: bool) {
        let count = self.right + self.wrong.len();
        println!("  places: {} of {count} right ({:.4})", self.right, self.share());
        let shown = if all { usize::MAX } else { SHOWN };
        for (place, listed, found) in self.wrong.iter().take(shown) {
            println!("  wrong: {place}: listed {listed}, found {found}");
        }
        if self.wrong.len() > shown {
            println!("  wrong: {} more; see them with --differences", self.wrong.len() - shown);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_name_counts_once() {
        let check = |listed: &[(&str, &str, &str)], found: &[(&str, &str, &str)], right: usize, wrong: usize| {
            let set = |keys: &[(&str, &str, &str)]| {
                keys.iter().map(|(n, v, p)| ((*n).to_owned(), (*v).to_owned(), (*p).to_owned())).collect()
            };
            let places = PlaceComparison::of(&set(listed), &set(found));
            assert_eq!((places.right, places.wrong.len()), (right, wrong), "{listed:?} {found:?}");
        };
        check(&[], &[], 0, 0);
        check(&[("g:a", "1", "a.jar")], &[("g:a", "1", "a.jar")], 1, 0);
        check(&[("g:a", "1", "a.jar")], &[("a", "1", "a.jar")], 0, 1);
        check(&[("g:a", "1", "a.jar")], &[], 0, 1);
        check(&[], &[("g:a", "1", "a.jar")], 0, 1);
        check(&[("g:a", "1", "a.jar")], &[("g:a", "1", "b.jar")], 0, 2);
        check(&[("g:a", "1", "x"), ("g:b", "1", "x")], &[("g:a", "1", "x"), ("g:c", "1", "x")], 1, 1);
    }
}
