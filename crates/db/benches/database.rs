//! Times of the database's functions: opening a file, looking a package up, comparing two files.
//!
//! `cargo bench -p tidewaiter-db` times a database made here; `TIDEWAITER_DB=FILE cargo bench -p tidewaiter-db` times a
//! real one. Budgets: at most 1 ms to open, at most 2 µs for a look-up (`docs/benchmarks.md`).
#![allow(clippy::unwrap_used, reason = "a benchmark may panic, and says why")]

use divan::{Bencher, black_box};
use std::path::{Path, PathBuf};
use tidewaiter_core::advisory::{Advisory, Affected, KeyKind};
use tidewaiter_core::ecosystem::Ecosystem;
use tidewaiter_db::Database;
use tidewaiter_db::delta::Delta;
use tidewaiter_db::meta::{FeedInfo, Meta};
use tidewaiter_db::writer::{BuildInput, write};

/// As many as in the last figures of `docs/benchmarks.md`, and a few more.
const ADVISORIES: usize = 60_000;
/// Every so many advisories one differs between the old file and the new one: a day's changes.
const CHANGED: usize = 600;

fn main() {
    divan::main();
}

/// Maps the file and checks its header.
#[divan::bench]
fn open(bencher: Bencher<'_, '_>) {
    let path = database();
    bencher.bench_local(|| Database::open(black_box(&path)).unwrap());
}

/// Finds a package and walks all of its rows and intervals. Packages are drawn at random, so that neighbours in the file
/// do not share a page that is already in the processor's cache; ten per measurement, since reading the clock takes about 20 ns.
#[divan::bench(sample_count = 10_000, sample_size = 10)]
fn look_up(bencher: Bencher<'_, '_>) {
    let db = Database::open(&database()).unwrap();
    let all: Vec<_> = db.packages().collect();
    assert!(!all.is_empty(), "the database has no packages");
    let mut random = 42_u64;
    bencher
        .with_inputs(|| {
            // A linear congruential generator (Knuth's MMIX): the same look-ups in every run.
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            all[usize::try_from(random >> 33).unwrap() % all.len()]
        })
        .bench_local_values(|(ecosystem, key, name)| {
            db.rows(ecosystem, key, name).map(|row| row.spans().count()).sum::<usize>()
        });
}

/// Finds the advisories that differ between two files.
#[divan::bench(sample_count = 20)]
fn compare(bencher: Bencher<'_, '_>) {
    let old = Database::open(&made("old.db", 0)).unwrap();
    let new = Database::open(&made("new.db", 1)).unwrap();
    bencher.bench_local(|| Delta::between(black_box(&old), black_box(&new)).unwrap().advisories.len());
}

/// The database to time.
fn database() -> PathBuf {
    std::env::var_os("TIDEWAITER_DB").map_or_else(|| made("old.db", 0), PathBuf::from)
}

/// Writes a database of invented advisories; those of another `edition` have some other fixed versions.
fn made(name: &str, edition: usize) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let advisories = (0..ADVISORIES).map(|number| advisory(number, edition)).collect();
    let feed = FeedInfo {
        name: "bench".to_owned(),
        ecosystems: vec![Ecosystem::from("npm")],
        rates: true,
        ..FeedInfo::default()
    };
    let meta = Meta { built: "2025-01-01T00:00:00Z".parse().ok(), feeds: vec![feed], ..Meta::default() };
    write(&path, &BuildInput { advisories, meta, ..BuildInput::default() }).unwrap();
    path
}

fn advisory(number: usize, edition: usize) -> Advisory {
    let fixed = if number.is_multiple_of(CHANGED) { format!("2.{edition}.0") } else { format!("1.{}.0", number % 30) };
    let package = format!("bench-module-{}", number / 3);
    Advisory {
        id: format!("CVE-2024-{}", 10_000 + number),
        feed: "bench".to_owned(),
        summary: format!("benchmark flaw {number} in {package}"),
        affected: vec![Affected::new(Ecosystem::from("npm"), &package, KeyKind::Binary).fixed_in(&fixed)],
        ..Advisory::default()
    }
}
