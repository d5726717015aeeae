//! Version orders: total, allocation-free comparisons of version texts, one per family of ecosystems.
//!
//! Every order is defined for every text: a version that its scheme does not know still has a place,
//! so that sorting hostile input never fails.

mod apk;
mod deb;
mod pep440;
mod semver;

use std::cmp::Ordering;

/// How versions of an ecosystem compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Order {
    /// dpkg: deb-version(7).
    Deb,
    /// apk-tools: apk-package(5), `version.c`.
    Apk,
    /// Semantic Versioning 2.0.0, lenient about a leading `v` and missing parts.
    SemVer,
    /// PEP 440, and the older setuptools order for what PEP 440 does not accept.
    Pep440,
}

impl Order {
    /// The order named by the first part of a vector file's name (`debian-versions.txt`).
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "debian" | "ubuntu" => Some(Order::Deb),
            "alpine" => Some(Order::Apk),
            "semver" | "npm" => Some(Order::SemVer),
            "pypi" => Some(Order::Pep440),
            _ => None,
        }
    }

    /// Compares two versions.
    pub fn compare(self, a: &str, b: &str) -> Ordering {
        match self {
            Order::Deb => deb::compare(a, b),
            Order::Apk => apk::compare(a, b),
            Order::SemVer => semver::compare(a, b),
            Order::Pep440 => pep440::compare(a, b),
        }
    }

    /// Whether the scheme accepts the text as a version.
    pub fn is_valid(self, version: &str) -> bool {
        match self {
            Order::Deb => deb::is_valid(version),
            Order::Apk => apk::is_valid(version),
            Order::SemVer => semver::is_valid(version),
            Order::Pep440 => pep440::is_valid(version),
        }
    }
}

/// Compares two runs of ASCII digits by value, of any length.
pub(crate) fn numeric(a: &str, b: &str) -> Ordering {
    let (a, b) = (a.trim_start_matches('0'), b.trim_start_matches('0'));
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

/// Splits a leading run of ASCII digits off.
pub(crate) fn digits(s: &str) -> (&str, &str) {
    let end = s.bytes().position(|b| !b.is_ascii_digit()).unwrap_or(s.len());
    s.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{Strategy, prop_assert, prop_assert_eq, prop_oneof, proptest};
    use std::path::Path;

    const ALL: [Order; 4] = [Order::Deb, Order::Apk, Order::SemVer, Order::Pep440];

    fn check(order: Order, line: &str) {
        let parts: Vec<&str> = line.split_whitespace().collect();
        let [a, op, b] = parts[..] else { panic!("not `A < B`: {line}") };
        let expected = match op {
            "<" => Ordering::Less,
            "=" => Ordering::Equal,
            ">" => Ordering::Greater,
            _ => panic!("unknown operator in {line}"),
        };
        assert_eq!(order.compare(a, b), expected, "{order:?}: {line}");
        assert_eq!(order.compare(b, a), expected.reverse(), "{order:?}, reversed: {line}");
    }

    #[test]
    fn debian() {
        for line in [
            "1.0~rc1 < 1.0",
            "1.0 < 1.0+deb12u1",
            "1:0.9 > 2.0",
            "0:1.0-1 = 1.0-1",
            "1.0-0 = 1.0",
            "1.0-1 > 1.0",
            "1.2.3a < 1.2.3b",
            "1.09 = 1.9",
            "1.0a < 1.0+",
            "99999999999999999999 < 100000000000000000000",
            "2.4+really2.3-1 > 2.4-1",
        ] {
            check(Order::Deb, line);
        }
    }

    #[test]
    fn apk() {
        for line in [
            "1.0_alpha < 1.0_beta",
            "1.0_rc1 < 1.0",
            "1.0 < 1.0_p1",
            "1.0-r1 < 1.0-r10",
            "1.0 < 1.0a",
            "1.0a < 1.0.1",
            "1.2.3_git20200101 > 1.2.3",
            "1.10 > 1.9",
            "1.0~abc = 1.0~def",
        ] {
            check(Order::Apk, line);
        }
    }

    #[test]
    fn semver() {
        for line in ["1.0 = 1.0.0", "1.0.0-rc.1 < 1.0.0", "1.0.0-1 < 1.0.0-a", "v1.2.3 = 1.2.3", "1.0.0-a < 1.0.0-a.0"]
        {
            check(Order::SemVer, line);
        }
    }

    #[test]
    fn pypi() {
        for line in [
            "1.0.dev1 < 1.0a1",
            "1.0a1.dev1 < 1.0a1",
            "1.0rc1 < 1.0",
            "1.0 < 1.0.post1",
            "1.0 < 1.0+local",
            "1.0+abc < 1.0+5",
            "1.0 = 1.0.0",
            "1!0.1 > 99.9",
            "v1.0-ALPHA-1 = 1.0a1",
            "1.0-1 = 1.0.post1",
            "1.0c1 = 1.0rc1",
            "nonsense < 0.dev0",
            "1.0.post1.dev1 < 1.0.post1",
        ] {
            check(Order::Pep440, line);
        }
    }

    #[test]
    fn shared_vectors_hold() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors/versions");
        let Ok(files) = std::fs::read_dir(&dir) else {
            println!("skipped: no shared vectors beside the checkout");
            return;
        };
        for file in files.map(|f| f.unwrap().path()) {
            let name = file.file_name().unwrap().to_str().unwrap();
            let Some(order) = name.split_once("-versions").and_then(|(eco, _)| Order::named(eco)) else { continue };
            let text = std::fs::read_to_string(&file).unwrap();
            text.lines().filter(|l| !l.trim().is_empty() && !l.starts_with('#')).for_each(|line| check(order, line));
        }
    }

    fn versions() -> impl Strategy<Value = String> {
        prop_oneof![
            "[0-9]{1,3}([.][0-9a-z]{1,3}){0,3}(_(alpha|p|rc)[0-9]?)?(-r?[0-9a-z]{1,2})?",
            "[0-9.a-z_+~!:-]{0,8}",
            ".{0,6}"
        ]
    }

    proptest! {
        #[test]
        fn orders_are_total(a in versions(), b in versions(), c in versions()) {
            for order in ALL {
                prop_assert_eq!(order.compare(&a, &a), Ordering::Equal, "{:?} {}", order, a);
                prop_assert_eq!(order.compare(&a, &b), order.compare(&b, &a).reverse(), "{:?} {} {}", order, a, b);
                let mut sorted = [a.as_str(), b.as_str(), c.as_str()];
                sorted.sort_by(|x, y| order.compare(x, y));
                prop_assert!(order.compare(sorted[0], sorted[2]) != Ordering::Greater, "{:?} {:?}", order, sorted);
            }
        }
    }
}
