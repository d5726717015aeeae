//! Thousands of damaged files for every format: each ends soon, without a panic and with a bounded result.

use super::encode::{bdb, ndb, rpm, sqlite, three, wal};
use super::{parse, with_wal};
use crate::analyze::ParsedFile;

/// Marsaglia's xorshift: the same cases in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound as u64).unwrap()
    }
}

fn files() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("var/lib/rpm/rpmdb.sqlite", sqlite(&three())),
        ("var/lib/rpm/Packages.db", ndb(&three())),
        ("var/lib/rpm/Packages", bdb(&three(), true)),
        ("var/lib/rpm/Packages", bdb(&three(), false)),
    ]
}

fn bounded(parsed: &ParsedFile, case: &str) {
    assert!(parsed.packages.len() <= 3 && parsed.gaps.len() <= 20, "{case}: {parsed:?}");
}

#[test]
fn every_truncation_is_a_gap() {
    for (path, file) in files() {
        for len in 1..file.len() {
            let parsed = parse(path, &file[..len]);
            bounded(&parsed, path);
            assert!(!parsed.gaps.is_empty(), "{path} at {len}");
        }
    }
}

#[test]
fn no_change_of_bytes_is_fatal() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for (path, file) in files() {
        for case in 0..10_000 {
            let mut bad = file.clone();
            for _ in 0..=random.below(4) {
                let at = random.below(bad.len());
                // Half of the changes are where the structure is.
                let at = if case % 2 == 0 { at } else { at % 160 + at / 512 % 4 * 512 };
                bad[at % file.len()] = u8::try_from(random.below(256)).unwrap();
            }
            bounded(&parse(path, &bad), &format!("{path} {case}"));
        }
    }
}

#[test]
fn no_log_is_fatal() {
    let before = sqlite(&three());
    let after = sqlite(&[rpm("other", None, "1", "1", &[]), three().remove(1)]);
    let log = wal(&before, &after);
    let mut random = Random(42);
    for case in 0..5_000 {
        let mut bad = log.clone();
        let at = random.below(bad.len());
        bad[at] = u8::try_from(random.below(256)).unwrap();
        bad.truncate(bad.len() - random.below(2) * random.below(log.len()));
        let alone = parse("var/lib/rpm/rpmdb.sqlite-wal", &bad);
        assert!(alone.packages.is_empty() && alone.gaps.len() <= 1);
        bounded(&with_wal("var/lib/rpm/rpmdb.sqlite", &before, &bad), &case.to_string());
    }
}
