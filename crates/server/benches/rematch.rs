//! The cost of a new database.
//!
//! `rematch build DIR INVENTORIES PACKAGES` fills a store and writes two databases; `rematch run DIR` re-matches the store
//! from the one to the other, as the server's process does. `cargo xtask bench` measures the second with 100,000
//! inventories; `cargo bench -p tidewaiter` runs both with 1,000.
//!
//! The fleet: 300 packages an image, a quarter of them Debian's (400 names, one of 20 patch levels each image), the rest
//! npm's, of 60,000 names, the frequent ones far more often (a cubic fall); 10 versions each. The databases cover 60,000
//! names of npm, a tenth of which is installed anywhere: most advisories apply to no image. 100 of them, drawn evenly,
//! are new or have another fixed version.
#![allow(clippy::print_stdout, reason = "a benchmark prints its result")]

use anyhow::{Context as _, Result, bail};
use std::collections::BTreeSet;
use std::path::Path;
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

const DEBIAN_NAMES: u32 = 400;
const LEVELS: u32 = 20;
const NPM_NAMES: u32 = 60_000;
const VERSIONS: u32 = 10;
/// Names of npm that advisories cover; a tenth of them is installed.
const ADVISED: u32 = 60_000;
const CHANGED: u32 = 100;

fn main() -> Result<()> {
    // cargo adds `--bench`.
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["build", dir, inventories, packages] => build(Path::new(dir), inventories.parse()?, packages.parse()?),
        ["run", dir] => run(Path::new(dir)),
        [] => {
            let dir = tempfile::tempdir()?;
            build(dir.path(), 1000, 300)?;
            run(dir.path())
        }
        _ => bail!("rematch build DIR INVENTORIES PACKAGES | rematch run DIR"),
    }
}

fn run(dir: &Path) -> Result<()> {
    let (old, new) = (Database::open(&dir.join("old.db"))?, Database::open(&dir.join("new.db"))?);
    let delta = Delta::between(&old, &new)?;
    let mut bytes = 0;
    let summary = SqliteStore::location_in(dir).rematch(&delta, |changed| {
        bytes += serde_json::to_vec(&changed)?.len();
        Ok(())
    })?;
    let advisories = delta.advisories.len();
    println!(
        r#"{{"advisories":{advisories},"inventories":{},"visited":{},"changed":{},"bytes":{bytes}}}"#,
        summary.inventories, summary.visited, summary.changed
    );
    Ok(())
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
