//! Compares the engine with the package managers' own lists, of given images or of images built from package registries.

pub(crate) mod build;
mod places;

use anyhow::{Context, Result, bail};
use places::PlaceComparison;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use tidewaiter_core::ecosystem::Ecosystem;
use tidewaiter_core::package::{Package, PackageType};
use tidewaiter_core::report::Inventory;
use tidewaiter_scan::engine::{self, ScanOptions};
use tidewaiter_scan::limits::Limits;
use tidewaiter_scan::progress::Silent;
use tidewaiter_scan::source::{directory, oci_layout};

/// The types of packages that the engine reads.
const READ: [&str; 8] = ["deb", "apk", "npm", "pypi", "rpm", "golang", "cargo", "maven"];

/// Share that must be right of packages that are guessed from an archive's name or manifest; all others must be exact.
const GUESSED: f64 = 0.995;

#[derive(Debug, Default, Serialize, Deserialize)]
struct Truth {
    /// The types that the list is complete for; all if empty.
    #[serde(default)]
    types: Vec<String>,
    packages: Vec<Listed>,
    /// Archives into which packages were unpacked that no metadata there names, and how many. The report must have a gap for
    /// each of them.
    #[serde(default)]
    unnamed: BTreeMap<String, usize>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Listed {
    #[serde(rename = "type")]
    kind: String,
    name: String,
    version: String,
    #[serde(default)]
    arch: String,
    /// The file, for packages that are detected by a file's content.
    #[serde(default)]
    path: String,
    /// Whether the build records it as a module of its own.
    #[serde(default)]
    own: bool,
}

/// (name, version, architecture or path); the third is empty for types that are compared without.
type Key = (String, String, String);

/// Compares images that were built before, or are built now, with their lists; true if every type is exact and, unless
/// `unmeasured` allows it, every image could be built.
pub(crate) fn built(root: &Path, only: &str, differences: bool, unmeasured: bool) -> Result<bool> {
    let (dir, images, failed) = build::ensure(root, only)?;
    let lists = images.iter().map(|image| dir.join("truth").join(format!("{image}.json"))).collect();
    let exact = compare_all(&dir, lists, differences)?;
    failed.iter().for_each(build::NotMeasured::print);
    Ok(exact && (unmeasured || failed.is_empty()))
}

/// Compares every image of `dir` (an OCI layout, or a root file system) with its list; true if every type that the engine
/// reads is exact.
pub(crate) fn run(dir: &Path, differences: bool) -> Result<bool> {
    let lists = dir.join("truth");
    let entries = fs::read_dir(&lists).with_context(|| format!("{}: no lists to compare with", lists.display()))?;
    let mut files: Vec<_> = entries.map(|e| e.map(|e| e.path())).collect::<Result<_, _>>()?;
    files.retain(|f| f.extension().is_some_and(|e| e == "json"));
    files.sort();
    if files.is_empty() {
        bail!("{}: holds no NAME.json", lists.display());
    }
    compare_all(dir, files, differences)
}

fn compare_all(dir: &Path, files: Vec<PathBuf>, differences: bool) -> Result<bool> {
    println!("{:28} {:8} {:>7} {:>7} {:>8} {:>9}", "IMAGE", "TYPE", "LISTED", "FOUND", "RECALL", "PRECISION");
    let mut exact = true;
    for file in files {
        let name = file.file_stem().and_then(|n| n.to_str()).unwrap_or_default();
        exact &= compare(dir, name, &file, differences).with_context(|| name.to_owned())?;
    }
    Ok(exact)
}

fn compare(dir: &Path, name: &str, list: &Path, differences: bool) -> Result<bool> {
    let truth: Truth = serde_json::from_str(&fs::read_to_string(list)?)?;
    let place = dir.join(name);
    let is_layout = place.join("oci-layout").is_file();
    let image = if is_layout { oci_layout::open(&place, None)? } else { directory::open(&place, None)? };
    let cancel = AtomicBool::new(false);
    let options =
        ScanOptions { limits: Limits::default(), threads: 2, cancel: &cancel, progress: &Silent, cache: None };
    let inventory = engine::inventory(&image, &options)?;
    let mut listed: BTreeMap<String, BTreeSet<Key>> = BTreeMap::new();
    for package in &truth.packages {
        let third = if by_path(&package.kind) { package.path.trim_start_matches('/') } else { &package.arch };
        let key = key(&package.kind, &package.name, &version(&package.version, &package.kind, package.own), third);
        listed.entry(package.kind.clone()).or_default().insert(key);
    }
    let mut found: BTreeMap<String, BTreeSet<Key>> = BTreeMap::new();
    let asked = |kind: &str| truth.types.is_empty() || truth.types.iter().any(|t| t == kind);
    // pip does not list packages that are vendored in another one.
    let listable = |p: &Package| truth.types.is_empty() || p.kind != PackageType::Pypi || !p.vendored;
    for package in inventory.packages.iter().filter(|p| asked(p.kind.purl_type()) && listable(p)) {
        let kind = package.kind.purl_type();
        let keys = found.entry(kind.to_owned()).or_default();
        if by_path(kind) {
            let paths = package.locations.iter().map(|location| location.path.as_str());
            let version = version(&package.version, kind, package.own);
            keys.extend(paths.map(|path| key(kind, &package.name, &version, path)));
        } else {
            keys.insert(key(kind, &package.name, &package.version, &package.arch));
        }
    }
    let kinds: BTreeSet<&String> = listed.keys().chain(found.keys()).collect();
    let gaps: Vec<String> = inventory.gaps.iter().map(|g| format!("{:?}", g.kind)).collect();
    if differences {
        inventory.gaps.iter().for_each(|g| println!("  gap: {:?} {}: {}", g.kind, g.subject, g.message));
    }
    if kinds.is_empty() {
        println!("{name:28} {:8} {:>7} {:>7}  gaps: {}", "-", 0, 0, gaps.join(", "));
    }
    let empty = BTreeSet::new();
    let mut exact = true;
    for kind in kinds {
        let (listed, found) = (listed.get(kind).unwrap_or(&empty), found.get(kind).unwrap_or(&empty));
        if !READ.contains(&kind.as_str()) {
            println!("{name:28} {kind:8} {:>7} {:>7}  not read yet; gaps: {}", listed.len(), "-", gaps.join(", "));
            continue;
        }
        exact &= row(name, kind, listed, found, differences);
        // Every list that is built has the places of its artifacts.
        if kind == "maven" && listed.iter().all(|(_, _, place)| !place.is_empty()) {
            let places = PlaceComparison::of(listed, found);
            places.print(differences);
            exact &= places.share() >= GUESSED;
        }
    }
    Ok(unnamed_have_gaps(&truth.unnamed, &inventory) && exact)
}

/// Prints the archives with packages that nobody can name; true if the inventory has a gap for each.
fn unnamed_have_gaps(unnamed: &BTreeMap<String, usize>, inventory: &Inventory) -> bool {
    let mut all = true;
    for (archive, count) in unnamed {
        let has = inventory.gaps.iter().any(|gap| gap.subject == *archive);
        println!(
            "  {archive}: no metadata names {count} others; {}",
            if has { "the report says so" } else { "NO GAP" }
        );
        all &= has;
    }
    all
}

fn row(name: &str, kind: &str, listed: &BTreeSet<Key>, found: &BTreeSet<Key>, differences: bool) -> bool {
    let same = |a: &Key, b: &Key| a.0 == b.0 && a.1 == b.1 && (a.2 == b.2 || a.2.is_empty() || b.2.is_empty());
    let missed: Vec<&Key> = listed.iter().filter(|l| !found.iter().any(|f| same(l, f))).collect();
    let invented: Vec<&Key> = found.iter().filter(|f| !listed.iter().any(|l| same(l, f))).collect();
    let share = |part: usize, all: usize| if all == 0 { 1.0 } else { (all - part) as f64 / all as f64 };
    println!(
        "{name:28} {kind:8} {:>7} {:>7} {:>8.4} {:>9.4}",
        listed.len(),
        found.len(),
        share(missed.len(), listed.len()),
        share(invented.len(), found.len()),
    );
    if differences {
        missed.iter().for_each(|k| println!("  missed: {} {} {}", k.0, k.1, k.2));
        invented.iter().for_each(|k| println!("  invented: {} {} {}", k.0, k.1, k.2));
    }
    let least = share(missed.len(), listed.len()).min(share(invented.len(), found.len()));
    if kind == "maven" { least >= GUESSED } else { least >= 1.0 }
}

/// Whether packages of a type are compared by path too: each program has modules of its own.
fn by_path(kind: &str) -> bool {
    kind == "golang" || kind == "maven"
}

/// A version in the comparison: whether it is own code is compared where lists say so.
fn version(version: &str, kind: &str, own: bool) -> String {
    if own && kind == "maven" { format!("{version} (own code)") } else { version.to_owned() }
}

/// The key of a package in the comparison.
fn key(kind: &str, name: &str, version: &str, arch: &str) -> Key {
    let (name, arch) = match kind {
        "pypi" => (Ecosystem::new("PyPI").normalize(name), ""),
        "npm" => (name.to_owned(), ""),
        _ => (name.to_owned(), arch),
    };
    (name, version.to_owned(), arch.to_owned())
}
