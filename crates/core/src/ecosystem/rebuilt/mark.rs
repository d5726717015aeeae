//! The marks by which versions of builds are told from those of originals.

use super::Rebuilder;
use crate::package_type::PackageType;
use std::cmp::Ordering;

/// Each mark has one of these. Versions of originals seldom have, and every version of an image is asked for every mark.
const LETTERS: [u8; 2] = *b"ox";

impl Rebuilder {
    /// Whose build a version is of, by its mark: only such a version tells what its builder has fixed in it.
    pub fn of_version(kind: PackageType, version: &str) -> Option<Self> {
        let is_of = |rebuilder: Self| rebuilder.unmarked(kind, version).is_some();
        Self::among(kind, is_of)
    }

    /// The original's version that a build is made from, by which the original's advisories are asked, and builds of one
    /// original are told from those of others: `5.0.3` of `5.0.3-tuxcare.1`.
    pub fn original_version(self, kind: PackageType, version: &str) -> &str {
        let Some(original) = self.unmarked(kind, version) else { return version };
        match (self, kind) {
            // Its builds are counted before the mark: `2.3.0.post1+tuxcare`, `v7.4.9-p1+tuxcare`.
            (Self::TuxCare, PackageType::Pypi) => without_counter(original, ".post"),
            (Self::TuxCare, PackageType::Composer) => {
                let original = without_counter(original, "-p");
                original.strip_prefix('v').unwrap_or(original)
            }
            _ => original,
        }
    }

    /// Which of two builds of one original is the earlier one, where their marks tell. Versions do not: every order has
    /// `aikido` below `root.io`, and the builds that are called so are the later ones.
    pub fn compare_marks(self, a: &str, b: &str) -> Option<Ordering> {
        let ((original_a, a), (original_b, b)) = (self.ranked(a)?, self.ranked(b)?);
        (original_a == original_b && a != b).then(|| a.cmp(&b))
    }

    /// The version before its mark, and the place of the mark among the builder's, the earliest first.
    fn ranked(self, version: &str) -> Option<(&str, usize)> {
        if !has_letter(version) {
            return None;
        }
        let mut marks = self.marks().iter().enumerate();
        marks.find_map(|(rank, word)| Some((before(version, word)?, rank)))
    }

    /// A version without the builder's mark; `None` where it has none.
    fn unmarked(self, kind: PackageType, version: &str) -> Option<&str> {
        match (self, kind) {
            (Self::Root, PackageType::Apk) => before_revision(version),
            _ => self.ranked(version).map(|(original, _)| original),
        }
    }

    /// The earliest first.
    fn marks(self) -> &'static [&'static str] {
        match self {
            Self::Root => &["root.io", "aikido"],
            Self::TuxCare => &["tuxcare"],
        }
    }
}

fn has_letter(text: &str) -> bool {
    let [first, second] = LETTERS;
    memchr::memchr2(first, second, text.as_bytes()).is_some()
}

/// A version before a word that stands alone in it.
fn before<'v>(version: &'v str, word: &str) -> Option<&'v str> {
    let bytes = version.as_bytes();
    let is_mark = |at: &usize| {
        let rest = bytes.get(at + 1..).and_then(|rest| rest.strip_prefix(word.as_bytes()));
        matches!(rest, Some([] | [b'.', ..])) && matches!(bytes.get(*at), Some(b'-' | b'.' | b'+' | b'~'))
    };
    (0..bytes.len()).find(is_mark).and_then(|at| version.get(..at))
}

/// Of apk, whose versions have no place for a word, Root appends `007` and a digit to the original's revision: `r20071` is
/// a build of `r2`.
fn before_revision(version: &str) -> Option<&str> {
    let (_, revision) = version.rsplit_once("-r")?;
    let own = revision.len().checked_sub(4).filter(|own| *own > 0)?;
    let is_marked = revision.bytes().all(|b| b.is_ascii_digit()) && revision.get(own..)?.starts_with("007");
    version.get(..version.len() - 4).filter(|_| is_marked)
}

fn without_counter<'v>(version: &'v str, word: &str) -> &'v str {
    let counted = version.rsplit_once(word);
    let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    counted.filter(|(_, count)| number(count)).map_or(version, |(original, _)| original)
}

#[cfg(test)]
mod tests {
    use super::*;
    use PackageType as Kind;
    use Rebuilder::{Root, TuxCare};

    #[test]
    fn versions_without_the_letters_have_no_mark() {
        let marks = Rebuilder::ALL.into_iter().flat_map(|rebuilder| rebuilder.marks());
        assert!(marks.copied().all(has_letter));
    }

    #[test]
    fn originals_have_versions() {
        let check = |rebuilder: Rebuilder, kind: Kind, version: &str, expected: &str| {
            assert_eq!(rebuilder.original_version(kind, version), expected, "{version}");
        };
        check(Root, Kind::Deb, "1.6-2.1.root.io.1", "1.6-2.1");
        check(Root, Kind::Deb, "2.31-13+deb11u4.root.io", "2.31-13+deb11u4");
        check(Root, Kind::Apk, "3.1.8-r00073", "3.1.8-r0");
        check(Root, Kind::Apk, "3.1.8-r20071", "3.1.8-r2");
        check(Root, Kind::Apk, "3.1.8-r100071", "3.1.8-r10");
        check(Root, Kind::Apk, "3.1.8-r5", "3.1.8-r5");
        check(Root, Kind::Apk, "3.1.8-r10171", "3.1.8-r10171");
        check(Root, Kind::Pypi, "8.1.0+root.io.1", "8.1.0");
        check(Root, Kind::Npm, "7.5.2-root.io.1", "7.5.2");
        check(Root, Kind::Npm, "1.15.0-aikido.11", "1.15.0");
        check(Root, Kind::Maven, "3.3.4-root.io.10", "3.3.4");
        check(Root, Kind::Maven, "5.3.30", "5.3.30");
        check(TuxCare, Kind::Deb, "3.5.27-1ubuntu1.14+tuxcare.els1", "3.5.27-1ubuntu1.14");
        check(TuxCare, Kind::Deb, "20221215~16.04.1ubuntu0.1~tuxcare.els1", "20221215~16.04.1ubuntu0.1");
        check(TuxCare, Kind::Rpm, "1:3.2.2-7.el9_6.tuxcare.1.els7", "1:3.2.2-7.el9_6");
        check(TuxCare, Kind::Npm, "5.0.3-tuxcare.1", "5.0.3");
        check(TuxCare, Kind::Maven, "2.9.0.tuxcare", "2.9.0");
        check(TuxCare, Kind::Maven, "2.7.3.tuxcare.1", "2.7.3");
        check(TuxCare, Kind::Pypi, "8.4.0.post1+tuxcare", "8.4.0");
        check(TuxCare, Kind::Pypi, "8.4.0.post1", "8.4.0.post1");
        check(TuxCare, Kind::Composer, "v7.4.9-p1+tuxcare", "7.4.9");
        check(TuxCare, Kind::Composer, "7.4.9-p2+tuxcare", "7.4.9");
    }

    #[test]
    fn versions_tell_whose_build_they_are_of() {
        let check = |kind: Kind, version: &str, expected: Option<Rebuilder>| {
            assert_eq!(Rebuilder::of_version(kind, version), expected, "{version}");
        };
        check(Kind::Deb, "1.6-2.1.root.io.1", Some(Root));
        check(Kind::Deb, "1.6-2.1+tuxcare.els1", Some(TuxCare));
        check(Kind::Deb, "1.6-2.1", None);
        check(Kind::Apk, "3.1.8-r00071", Some(Root));
        check(Kind::Apk, "3.1.8-r0", None);
        check(Kind::Npm, "1.15.0", None);
        check(Kind::Gem, "5.6.4+root.io.1", None);
    }

    #[test]
    fn later_marks_are_of_later_builds() {
        let check = |a: &str, b: &str, expected: Option<Ordering>| {
            assert_eq!(Root.compare_marks(a, b), expected, "{a} {b}");
            assert_eq!(Root.compare_marks(b, a), expected.map(Ordering::reverse), "{b} {a}");
        };
        check("1.2-3.root.io.7", "1.2-3.aikido.1", Some(Ordering::Less));
        check("1.15.0-root.io.7", "1.15.0-aikido.1", Some(Ordering::Less));
        check("8.1.0+root.io.7", "8.1.0+aikido.1", Some(Ordering::Less));
        // The versions themselves tell.
        check("1.2-3.root.io.7", "1.2-3.root.io.9", None);
        check("1.2-3.root.io.7", "1.2-4.aikido.1", None);
        check("1.2-3", "1.2-3.aikido.1", None);
        check("3.1.8-r00071", "3.1.8-r00072", None);
    }
}
