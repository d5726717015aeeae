//! The database that judges, and the figures of a database.

use super::inputs::content::{DEBIAN_PACKAGES, JARS, NPM_PACKAGES, debian_name, jar, npm_name};
use super::measure::median;
use super::report::Figure;
use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use tidewaiter_core::advisory::{Advisory, Affected, KeyKind};
use tidewaiter_core::ecosystem::Ecosystem;
use tidewaiter_db::Database;
use tidewaiter_db::meta::{FeedInfo, Meta};
use tidewaiter_db::writer::{BuildInput, write};

/// Look-ups that are timed.
const LOOKUPS: usize = 100_000;
/// Look-ups between two looks at the clock, which itself costs about 25 ns.
const BATCH: usize = 10;
/// Openings that are timed.
const OPENINGS: usize = 200;
/// Bytes of one interval in the file.
const INTERVAL_BYTES: usize = 8;
/// Ecosystems of the images.
const ECOSYSTEMS: [&str; 3] = ["Debian:12", "npm", "Maven"];

/// Writes a small database: a few advisories for every second package of the images.
pub(crate) fn write_small(path: &Path) -> Result<()> {
    let mut advisories = Vec::new();
    for number in (0..DEBIAN_PACKAGES).step_by(2) {
        for fix in ["1:0.1-1", "1:4.20-2", "1:99.0-1"] {
            advisories.push(advisory(advisories.len(), "Debian:12", &debian_name(number), KeyKind::Source, fix));
        }
    }
    for number in (0..NPM_PACKAGES).step_by(2) {
        advisories.push(advisory(advisories.len(), "npm", &npm_name(number), KeyKind::Binary, "3.4.5"));
    }
    for number in (0..JARS).step_by(2) {
        let (group, artifact, _) = jar(number);
        advisories.push(advisory(advisories.len(), "Maven", &format!("{group}:{artifact}"), KeyKind::Binary, "2.15"));
    }
    let feed = FeedInfo {
        name: "bench".to_owned(),
        format: "osv".to_owned(),
        ecosystems: ECOSYSTEMS.map(Into::into).to_vec(),
        rates: true,
        ..FeedInfo::default()
    };
    let meta = Meta { built: "2025-01-01T00:00:00Z".parse().ok(), feeds: vec![feed], ..Meta::default() };
    Ok(write(path, &BuildInput { advisories, cves: BTreeMap::new(), meta })?)
}

fn advisory(number: usize, ecosystem: &str, package: &str, key: KeyKind, fix: &str) -> Advisory {
    Advisory {
        id: format!("CVE-2024-{}", 10_000 + number),
        feed: "bench".to_owned(),
        summary: format!("benchmark flaw {number} in {package}"),
        affected: vec![Affected::new(Ecosystem::from(ecosystem), package, key).fixed_in(fix)],
        ..Advisory::default()
    }
}

/// Medians, as [`time_lookups`] prints them.
#[derive(Debug, Serialize, Deserialize)]
struct Times {
    open_ms: f64,
    lookup_us: f64,
}

/// Times the opening and random look-ups, each of which walks its rows and intervals; prints JSON.
pub(crate) fn time_lookups(path: &Path) -> Result<bool> {
    let ms = |elapsed: Duration| elapsed.as_secs_f64() * 1000.0;
    let mut openings = Vec::new();
    for _ in 0..OPENINGS {
        let begun = Instant::now();
        std::hint::black_box(Database::open(path)?);
        openings.push(ms(begun.elapsed()));
    }
    let db = Database::open(path)?;
    let all: Vec<_> = db.packages().collect();
    if all.is_empty() {
        bail!("{}: it holds no packages", path.display());
    }
    // A linear congruential generator (Knuth's MMIX): the same look-ups in every run.
    let mut state = 42_u64;
    let mut batches = Vec::new();
    for _ in 0..LOOKUPS / BATCH {
        let mut wanted = Vec::with_capacity(BATCH);
        for _ in 0..BATCH {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let index = usize::try_from(state >> 33)? % all.len();
            wanted.extend(all.get(index));
        }
        let begun = Instant::now();
        for (ecosystem, key, name) in wanted {
            let rows = db.rows(ecosystem, key, name);
            std::hint::black_box(rows.map(|row| row.spans().count()).sum::<usize>());
        }
        batches.push(ms(begun.elapsed()) * 1000.0 / 10.0);
    }
    let times = Times { open_ms: median(openings.into_iter()), lookup_us: median(batches.into_iter()) };
    println!("{}", serde_json::to_string(&times)?);
    Ok(true)
}

/// What a built database costs: times from the release build of this program, sizes from the file.
pub(crate) fn figures(helper: &Path, path: &Path) -> Result<Vec<Figure>> {
    let out = Command::new(helper).arg("bench-lookups").arg(path).output().context("the helper cannot be run")?;
    if !out.status.success() {
        bail!("{}: {}", path.display(), String::from_utf8_lossy(&out.stderr));
    }
    let times: Times = serde_json::from_slice(&out.stdout)?;
    let db = Database::open(path)?;
    let sizes: BTreeMap<String, usize> = db.section_sizes().into_iter().collect();
    let size = |name: &str| sizes.get(name).copied().unwrap_or_default();
    let intervals = size("intervals") / INTERVAL_BYTES;
    let rows = size("packages") + size("rows") + size("intervals") + size("qualifiers");
    let details = size("details") + size("blocks");
    Ok(vec![
        Figure::new("database: open", times.open_ms, "ms").at_most(1.0),
        Figure::new("database: look-up", times.lookup_us, "µs").at_most(2.0),
        Figure::new("database: rows and package index", ratio(rows, intervals), "bytes/interval").at_most(24.0),
        Figure::new("database: details", ratio(details, usize::try_from(db.meta().advisories)?), "bytes/advisory")
            .at_most(200.0),
        Figure::new("database: strings", ratio(size("strings"), intervals), "bytes/interval"),
        Figure::new("database: intervals", ratio(intervals, 1), ""),
        Figure::new("database: advisories", ratio(usize::try_from(db.meta().advisories)?, 1), ""),
        Figure::new("database: file", ratio(usize::try_from(std::fs::metadata(path)?.len())?, 1_000_000), "MB"),
    ])
}

/// One count over another.
pub(crate) fn ratio(count: usize, of: usize) -> f64 {
    let number = |n: usize| u32::try_from(n).map_or(f64::from(u32::MAX), f64::from);
    if of == 0 { 0.0 } else { number(count) / number(of) }
}
