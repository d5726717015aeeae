//! What the database covers: what feeds are declared complete for, as far as there are rows.
//!
//! A declaration alone would judge images of a release clean that its feed no longer lists: Debian's tracker drops a release
//! when its support ends. So an ecosystem without rows, or one that lost too many of its rows, is not covered; a scan
//! reports that as a gap. Nor is one that several feeds are declared complete for together while one of them was never read:
//! Alpine's `main` without `community`.

use std::collections::BTreeMap;
use tidewaiter_core::ecosystem::Ecosystem;
use tidewaiter_db::Database;
use tidewaiter_db::meta::{FeedInfo, Meta, NotCovered};

/// Rows that an ecosystem may lose whatever its share is: of twenty rows, three withdrawn records are not a damaged feed.
const FEW: u64 = 10;

/// Rows by ecosystem, release included.
pub(crate) type RowCounts = BTreeMap<Ecosystem, u64>;

/// The rows and the coverage of the database that is replaced.
#[derive(Debug, Default)]
pub(crate) struct Previous {
    rows: RowCounts,
    /// By feed.
    covered: BTreeMap<String, Vec<Ecosystem>>,
    not_covered: Vec<NotCovered>,
}

impl Previous {
    /// Of an open database.
    pub(crate) fn of(database: &Database) -> Self {
        let meta = database.meta();
        let feed = |feed: &FeedInfo| (feed.name.clone(), feed.ecosystems.clone());
        let covered = meta.feeds.iter().map(feed).collect();
        Previous { rows: database.row_counts(), covered, not_covered: meta.not_covered.clone() }
    }

    /// Rows of the ecosystem when it was covered last: a loss stays one until the rows are back.
    fn rows(&self, ecosystem: &Ecosystem) -> u64 {
        let remembered = self.not_covered.iter().filter(|n| n.ecosystem == *ecosystem).map(|n| n.before).max();
        remembered.unwrap_or_else(|| self.rows.get(ecosystem).copied().unwrap_or_default())
    }

    /// All rows that a database of these feeds would have, too.
    pub(crate) fn total(&self, feeds: &[FeedInfo]) -> u64 {
        let expected = |ecosystem: &Ecosystem| ecosystem.is_askable() && !self.is_given_up(ecosystem, feeds);
        self.rows.iter().filter(|(ecosystem, _)| expected(ecosystem)).map(|(_, rows)| rows).sum()
    }

    /// Whether no feed that covered an ecosystem is left: an index no longer lists a release whose support has ended.
    fn is_given_up(&self, ecosystem: &Ecosystem, feeds: &[FeedInfo]) -> bool {
        let mut covering = self.covered.iter().filter(|(_, covered)| covered.contains(ecosystem)).peekable();
        covering.peek().is_some() && covering.all(|(name, _)| feeds.iter().all(|feed| feed.name != *name))
    }
}

/// Replaces what feeds are declared complete for by what they cover, and names the rest in `meta.not_covered`.
/// `rows`: those of each feed, in the order of `meta.feeds`.
pub(crate) fn confirm(meta: &mut Meta, rows: &[RowCounts], previous: &Previous, max_loss: f64) {
    let mut total = RowCounts::new();
    for (ecosystem, rows) in rows.iter().flatten() {
        *total.entry(ecosystem.clone()).or_default() += rows;
    }
    let unread: Vec<FeedInfo> = meta.feeds.iter().filter(|feed| feed.is_unread()).cloned().collect();
    let mut not_covered: BTreeMap<Ecosystem, NotCovered> = BTreeMap::new();
    for (feed, own) in meta.feeds.iter_mut().zip(rows) {
        let mut covered = Vec::new();
        for ecosystem in releases(feed, own, previous) {
            let rows = total.get(&ecosystem.clone().canonical()).copied().unwrap_or_default();
            let before = previous.rows(&ecosystem);
            let unread = unread.iter().find(|feed| is_declared(feed, &ecosystem)).map(|feed| &feed.name);
            if rows == 0 || unread.is_some() || is_loss(rows, before, max_loss) {
                let feed = unread.unwrap_or(&feed.name).clone();
                not_covered.entry(ecosystem.clone()).or_insert(NotCovered { ecosystem, feed, rows, before });
            } else if !covered.contains(&ecosystem) {
                covered.push(ecosystem);
            }
        }
        feed.ecosystems = covered;
    }
    meta.not_covered = not_covered.into_values().collect();
}

/// Whether a feed is declared complete for an ecosystem, by its release or by `*`: where it has no records, others alone are
/// not.
fn is_declared(feed: &FeedInfo, ecosystem: &Ecosystem) -> bool {
    let canonical = ecosystem.clone().canonical();
    feed.ecosystems.iter().map(|declared| declared.clone().canonical()).any(|declared| {
        let every = declared.is_every_release() && canonical.release().is_some();
        declared == canonical || every && declared.base() == canonical.base()
    })
}

/// What a feed is declared complete for, release by release: `Alpine:*` is every release that it has rows of, or covered
/// before.
fn releases(feed: &FeedInfo, own: &RowCounts, previous: &Previous) -> Vec<Ecosystem> {
    let mut out = Vec::new();
    for declared in &feed.ecosystems {
        if !declared.is_every_release() {
            out.push(declared.clone());
            continue;
        }
        let of_base = |ecosystem: &&Ecosystem| ecosystem.base() == declared.base() && ecosystem.release().is_some();
        let before = previous.covered.get(&feed.name).into_iter().flatten();
        let lost = previous.not_covered.iter().filter(|lost| lost.feed == feed.name).map(|lost| &lost.ecosystem);
        let mut all: Vec<&Ecosystem> = own.keys().chain(before).chain(lost).filter(of_base).collect();
        all.sort();
        all.dedup();
        out.extend(all.into_iter().filter(|ecosystem| ecosystem.is_askable()).cloned());
    }
    out
}

/// Whether so many rows are too few.
pub(crate) fn is_loss(rows: u64, before: u64, max_loss: f64) -> bool {
    (rows as f64) < before as f64 * (1.0 - max_loss) && before - rows > FEW
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(rows: &[(&str, u64)]) -> RowCounts {
        rows.iter().map(|(ecosystem, rows)| (Ecosystem::from(*ecosystem), *rows)).collect()
    }

    /// Builds with these declarations and rows of one feed after a build with those rows; returns what is covered, and what
    /// is not, as "ecosystem rows before".
    fn build(declared: &[&str], before: Option<(&Meta, &RowCounts)>, rows: &RowCounts) -> Meta {
        let ecosystems = declared.iter().map(|e| Ecosystem::from(*e)).collect();
        let feed = FeedInfo { name: "f".into(), ecosystems, ..FeedInfo::default() };
        let mut meta = Meta { feeds: vec![feed], ..Meta::default() };
        let previous = before.map(|(meta, rows)| Previous {
            rows: rows.clone(),
            covered: meta.feeds.iter().map(|feed| (feed.name.clone(), feed.ecosystems.clone())).collect(),
            not_covered: meta.not_covered.clone(),
        });
        confirm(&mut meta, std::slice::from_ref(rows), &previous.unwrap_or_default(), 0.1);
        meta
    }

    fn said(meta: &Meta) -> (Vec<String>, Vec<String>) {
        let covered = meta.feeds[0].ecosystems.iter().map(Ecosystem::to_string).collect();
        (covered, meta.not_covered.iter().map(|n| format!("{} {} {}", n.ecosystem, n.rows, n.before)).collect())
    }

    #[test]
    fn only_ecosystems_with_rows_are_covered() {
        let check = |declared: &[&str], rows: &[(&str, u64)], covered: &[&str], not: &[&str]| {
            let (found, rest) = said(&build(declared, None, &counts(rows)));
            assert_eq!((found.as_slice(), rest.as_slice()), (&owned(covered)[..], &owned(not)[..]), "{declared:?}");
        };
        let rows = [("Debian:11", 0), ("Debian:12", 5), ("Alpine:v3.23", 1), ("Alpine:v3.24", 2), ("Alpine", 1)];
        check(&["Debian:11", "Debian:12", "Debian:13"], &rows, &["Debian:12"], &["Debian:11 0 0", "Debian:13 0 0"]);
        check(&["Alpine:*"], &rows, &["Alpine:v3.23", "Alpine:v3.24"], &[]);
        check(&["Alpine:v3.24", "Alpine:*"], &rows, &["Alpine:v3.24", "Alpine:v3.23"], &[]);
        check(&["npm:*"], &rows, &[], &[]);
        let red_hat = [("Red Hat:enterprise_linux:9::baseos", 1), ("Red Hat:rhel_eus:9.2::baseos", 1)];
        check(&["Red Hat:*"], &red_hat, &["Red Hat:enterprise_linux:9::baseos"], &[]);
    }

    #[test]
    fn a_loss_lasts_until_the_rows_are_back() {
        let declared = ["Debian:12", "Alpine:*"];
        let full = counts(&[("Debian:12", 1000), ("Alpine:v3.23", 500)]);
        let first = build(&declared, None, &full);
        assert_eq!(said(&first), (owned(&["Debian:12", "Alpine:v3.23"]), vec![]));
        let (mut last, mut last_rows) = (first, full);
        let mut next = |rows: &[(&str, u64)], covered: &[&str], not: &[&str]| {
            let rows = counts(rows);
            last = build(&declared, Some((&last, &last_rows)), &rows);
            last_rows = rows;
            assert_eq!(said(&last), (owned(covered), owned(not)));
        };
        next(&[("Debian:12", 950), ("Alpine:v3.23", 500)], &["Debian:12", "Alpine:v3.23"], &[]);
        next(&[("Debian:12", 800), ("Alpine:v3.23", 500)], &["Alpine:v3.23"], &["Debian:12 800 950"]);
        next(&[("Debian:12", 800)], &[], &["Alpine:v3.23 0 500", "Debian:12 800 950"]);
        next(&[("Debian:12", 900), ("Alpine:v3.23", 500)], &["Debian:12", "Alpine:v3.23"], &[]);
    }

    #[test]
    fn what_feeds_cover_together_needs_each_of_them() {
        let feed = |name: &str, stale: &str| FeedInfo {
            name: name.to_owned(),
            stale: stale.to_owned(),
            ecosystems: vec!["Alpine:v3.24".into()],
            ..FeedInfo::default()
        };
        let check = |community: &str, rows: [&[(&str, u64)]; 2], covered: bool, said: &str| {
            let every = FeedInfo { ecosystems: vec!["Alpine:*".into()], ..feed("community", community) };
            let mut meta = Meta { feeds: vec![feed("main", ""), feed("community", community)], ..Meta::default() };
            let mut of_all = Meta { feeds: vec![feed("main", ""), every], ..Meta::default() };
            confirm(&mut of_all, &rows.map(counts), &Previous::default(), 0.1);
            assert_eq!(of_all.covers(&"Alpine:v3.24".into()), covered, "{of_all:?}");
            confirm(&mut meta, &rows.map(counts), &Previous::default(), 0.1);
            assert_eq!(meta.covers(&"Alpine:v3.24".into()), covered, "{meta:?}");
            let not: Vec<String> = meta.not_covered.iter().map(ToString::to_string).collect();
            assert_eq!(not.join("\n"), said);
        };
        let rows: &[(&str, u64)] = &[("Alpine:v3.24", 9)];
        check("", [rows, rows], true, "");
        check("", [rows, &[]], true, "");
        let said =
            "Alpine:v3.24: feed community is declared complete for it, and was never read; it has 9 rows of others";
        check("gone", [rows, &[]], false, said);
        let said = "Alpine:v3.24: feed community is declared complete for it, and no feed has rows for it";
        check("gone", [&[], &[]], false, said);
    }

    #[test]
    fn releases_that_are_no_longer_listed_are_not_missed() {
        let check = |feeds: &[&str], expected: u64| {
            let covered = |name: &str, ecosystem: &str| (name.to_owned(), vec![Ecosystem::from(ecosystem)]);
            let previous = Previous {
                rows: counts(&[("Alpine:v3.23", 100), ("Alpine:v3.24", 10), ("npm", 1)]),
                covered: [covered("a-v3.23", "Alpine:v3.23"), covered("a-v3.24", "Alpine:v3.24")].into(),
                not_covered: Vec::new(),
            };
            let feeds = feeds.iter().map(|name| FeedInfo { name: (*name).to_owned(), ..FeedInfo::default() });
            assert_eq!(previous.total(&feeds.collect::<Vec<_>>()), expected);
        };
        check(&["a-v3.23", "a-v3.24"], 111);
        check(&["a-v3.24"], 11);
        check(&[], 1);
    }

    #[test]
    fn a_few_rows_are_no_loss() {
        let check = |rows: u64, before: u64, expected: bool| assert_eq!(is_loss(rows, before, 0.1), expected, "{rows}");
        check(899, 1000, true);
        check(900, 1000, false);
        check(10, 20, false);
        check(9, 20, true);
        check(20, 10, false);
    }

    fn owned(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|t| (*t).to_owned()).collect()
    }
}
