//! What a new database costs a server with 100,000 inventories: one re-match, as the process for it does it, single-threaded.
//!
//! `cargo bench -p tidewaiter --bench rematch` fills a store once (some minutes, about 1 GB under `target/tmp`) and prints
//! the medians of five re-matches. Budgets: at most 2 s of wall and CPU time, at most 512 MiB (`docs/benchmarks.md`).
//!
//! The fleet: 300 packages an image, a quarter of them Debian's (400 names, one of 20 patch levels each image), the rest
//! npm's, of 60,000 names, the frequent ones far more often (a cubic fall); 10 versions each. The advisories cover
//! 60,000 names of npm, of which a tenth is installed anywhere: most advisories apply to no image. 100 of them, drawn
//! evenly, are new or have another fixed version.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark prints")]

use anyhow::{Context as _, Result};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tidewaiter::store::{SqliteStore, Store as _};
use tidewaiter_core::advisory::{Advisory, Affected, KeyKind};
use tidewaiter_core::ecosystem::{Ecosystem, Os};
use tidewaiter_core::image::{Digest, Platform};
use tidewaiter_core::package::{Location, Package, PackageType};
use tidewaiter_core::report::{ImageInfo, Inventory, LayerInfo};
use tidewaiter_db::Database;
use tidewaiter_db::delta::Delta;
use tidewaiter_db::meta::{FeedInfo, Meta};
use tidewaiter_db::writer::{BuildInput, write};

/// A large fleet.
const INVENTORIES: u32 = 100_000;
/// Packages of each inventory: those of a usual server image.
const PACKAGES: u32 = 300;
const ROUNDS: usize = 5;

const DEBIAN_NAMES: u32 = 400;
const LEVELS: u32 = 20;
const NPM_NAMES: u32 = 60_000;
const VERSIONS: u32 = 10;
/// Names of npm that advisories cover; a tenth of them is installed.
const ADVISED: u32 = 60_000;
const CHANGED: u32 = 100;

fn main() -> Result<()> {
    let dir = filled()?;
    let runs = (0..ROUNDS).map(|_| run(&dir)).collect::<Result<Vec<_>>>()?;
    let median = |figure: fn(&RematchRun) -> f64| {
        let mut all: Vec<f64> = runs.iter().map(figure).collect();
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    };
    println!("wall        {:>10.3} s    (at most 2)", median(|run| run.wall.as_secs_f64()));
    println!("CPU         {:>10.3} s    (at most 2)", median(|run| run.cpu.as_secs_f64()));
    println!("RssAnon     {:>10.3} MiB  (at most 512)", median(|run| f64::from(run.anon_kib) / 1024.0));
    if let Some(RematchRun { advisories, inventories, visited, changed, .. }) = runs.last() {
        println!(
            "{advisories} changed advisories, {inventories} inventories: {visited} re-matched, {changed} reports changed"
        );
    }
    Ok(())
}

/// The figures of one re-match.
struct RematchRun {
    wall: Duration,
    cpu: Duration,
    /// Most `RssAnon`, in KiB, of all times when a changed report is handed over: those are spread over the whole walk.
    anon_kib: u32,
    advisories: usize,
    inventories: u64,
    visited: u64,
    changed: u64,
}

fn run(dir: &Path) -> Result<RematchRun> {
    let (begun, cpu) = (Instant::now(), cpu_time());
    let (old, new) = (Database::open(&dir.join("old.db"))?, Database::open(&dir.join("new.db"))?);
    let delta = Delta::between(&old, &new)?;
    let mut anon_kib = 0;
    let seen = SqliteStore::location_in(dir).open()?.rematch(&delta, |changed| {
        std::hint::black_box(serde_json::to_vec(&changed)?);
        anon_kib = anon_kib.max(rss_anon_kib());
        Ok(())
    })?;
    Ok(RematchRun {
        wall: begun.elapsed(),
        cpu: cpu_time() - cpu,
        anon_kib,
        advisories: delta.advisories.len(),
        inventories: seen.inventories,
        visited: seen.visited,
        changed: seen.changed,
    })
}

/// CPU time of this process.
fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

fn rss_anon_kib() -> u32 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}

/// The folder of a filled store; filled if it is missing. Its name changes with the analyzers' version, since the store
/// skips inventories of another one.
fn filled() -> Result<PathBuf> {
    let name = format!("rematch-v1-{}", tidewaiter_scan::analyze::VERSION);
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(&name);
    if !dir.exists() {
        eprintln!("filling a store with {INVENTORIES} inventories, once: some minutes, and about 1 GB");
        let part = dir.with_extension("part");
        if part.exists() {
            std::fs::remove_dir_all(&part)?;
        }
        build(&part, INVENTORIES, PACKAGES)?;
        std::fs::rename(&part, &dir)?;
    }
    Ok(dir)
}

fn build(dir: &Path, inventories: u32, packages: u32) -> Result<()> {
    std::fs::create_dir_all(dir)?;
    databases(dir)?;
    let store = SqliteStore::open(dir)?;
    let mut random = Random(42);
    for number in 0..inventories {
        store.put_inventory(&inventory(number, packages, &mut random)).context("filling the store")?;
    }
    Ok(())
}

fn databases(dir: &Path) -> Result<()> {
    let mut random = Random(7);
    let mut old = Vec::new();
    for name in 0..DEBIAN_NAMES {
        for flaw in 0..5 {
            old.push(debian(old.len(), name, flaw * LEVELS / 5));
        }
    }
    for name in 0..ADVISED {
        old.push(npm(old.len(), name, random.below(VERSIONS)));
    }
    let mut new = old.clone();
    let mut drawn = BTreeSet::new();
    while drawn.len() < CHANGED as usize {
        drawn.insert(DEBIAN_NAMES * 5 + random.below(ADVISED));
    }
    for (turn, index) in drawn.into_iter().enumerate() {
        let Some(was) = old.get(index as usize) else { continue };
        let row = was.affected.first().context("a row")?;
        let row = Affected::new(row.ecosystem.clone(), &row.package, row.key).fixed_in(&npm_version(VERSIONS));
        let changed = Advisory { affected: vec![row], ..was.clone() };
        if turn % 2 == 0 {
            new.push(Advisory { id: format!("CVE-2026-{turn}"), ..changed });
        } else if let Some(place) = new.get_mut(index as usize) {
            *place = changed;
        }
    }
    let ecosystems = vec!["Debian:12".into(), "npm".into()];
    let feeds = vec![FeedInfo { name: "bench".into(), ecosystems, rates: true, ..FeedInfo::default() }];
    for (file, advisories) in [("old.db", old), ("new.db", new)] {
        let meta = Meta { feeds: feeds.clone(), ..Meta::default() };
        write(&dir.join(file), &BuildInput { advisories, meta, ..BuildInput::default() })?;
    }
    Ok(())
}

fn debian(number: usize, name: u32, level: u32) -> Advisory {
    advisory(number, "Debian:12", &debian_name(name), KeyKind::Source, &debian_version(name, level))
}

/// A tenth of the advised names are installed ones, spread evenly over the frequent and the rare.
fn npm(number: usize, name: u32, fixed: u32) -> Advisory {
    let name = if name.is_multiple_of(10) { npm_name(name) } else { format!("nobody-has-{name}") };
    advisory(number, "npm", &name, KeyKind::Binary, &npm_version(fixed))
}

fn advisory(number: usize, ecosystem: &str, package: &str, key: KeyKind, fixed: &str) -> Advisory {
    Advisory {
        id: format!("CVE-2025-{}", 10_000 + number),
        feed: "bench".into(),
        summary: format!("benchmark flaw {number} in {package}, of about the length that summaries have"),
        references: vec![format!("https://advisories.example/CVE-2025-{}", 10_000 + number)],
        affected: vec![Affected::new(Ecosystem::from(ecosystem), package, key).fixed_in(fixed)],
        ..Advisory::default()
    }
}

fn debian_name(name: u32) -> String {
    format!("libbench{name}")
}

/// A package changes at every fifth level or so.
fn debian_version(name: u32, level: u32) -> String {
    format!("1.{}-2+deb12u{}", name % 7, (level + name % 5) / 5)
}

fn npm_name(name: u32) -> String {
    format!("bench-module-{name}")
}

fn npm_version(version: u32) -> String {
    format!("1.{version}.0")
}

fn inventory(number: u32, packages: u32, random: &mut Random) -> Inventory {
    let (os_packages, level) = (packages / 4, random.below(LEVELS));
    let mut all = BTreeSet::new();
    let first = random.below(DEBIAN_NAMES);
    for offset in 0..os_packages {
        let name = (first + offset * 3) % DEBIAN_NAMES;
        let mut package = package(PackageType::Deb, debian_name(name), debian_version(name, level));
        "amd64".clone_into(&mut package.arch);
        all.insert(package);
    }
    while all.len() < packages as usize {
        let name = random.skewed(NPM_NAMES);
        all.insert(package(PackageType::Npm, npm_name(name), npm_version(random.below(VERSIONS))));
    }
    let mut hash = [0; 32];
    hash.iter_mut().zip(number.to_le_bytes()).for_each(|(to, from)| *to = from);
    let digest = Digest::from_sha256(hash);
    let layer = |size| LayerInfo { digest: digest.clone(), diff_id: digest.clone(), size, created_by: None };
    let image = ImageInfo {
        name: format!("registry.example/team/app-{number}:v1"),
        digest: digest.clone(),
        index_digest: None,
        config_digest: digest.clone(),
        platform: Platform::new("linux", "amd64"),
        base_layers: None,
        sbom: None,
    };
    let os = Os { id: "debian".into(), version_id: "12".into(), ..Os::default() };
    Inventory {
        image,
        layers: vec![layer(30_000_000), layer(40_000_000)],
        os: Some(os),
        packages: all.into_iter().collect(),
        gaps: vec![],
    }
}

fn package(kind: PackageType, name: String, version: String) -> Package {
    let path = match kind {
        PackageType::Deb => "var/lib/dpkg/status".to_owned(),
        _ => format!("app/node_modules/{name}/package.json"),
    };
    Package { locations: vec![Location { path, layer: 0 }], ..Package::new(kind, name, version) }
}

/// A linear congruential generator (Knuth's MMIX): the same fleet in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    fn below(&mut self, limit: u32) -> u32 {
        u32::try_from(self.next() % u64::from(limit.max(1))).unwrap_or_default()
    }

    /// Small numbers more often: the cube of an even draw.
    fn skewed(&mut self, limit: u32) -> u32 {
        let (draw, whole) = (self.next(), 1_u64 << 31);
        let cube = (draw * draw / whole) * draw / whole;
        u32::try_from(cube * u64::from(limit) / whole).unwrap_or_default().min(limit - 1)
    }
}
