//! The engine: all layers of an image read in parallel, merged in order, and listed.

mod journal;

use crate::ScanError;
use crate::analyze::{self, Parsed};
use crate::limits::Limits;
use crate::progress::Progress;
use crate::source::Image;
use crate::walk::layer::{self, Extra, Facts};
use crate::walk::merge::View;
use journal::Journals;
use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tidewaiter_core::ecosystem::Os;
use tidewaiter_core::package::{Location, Package, PackageType};
use tidewaiter_core::report::{Gap, GapKind, ImageInfo, Inventory, LayerInfo};

/// How to scan.
pub struct Options<'a> {
    /// What the image may cost.
    pub limits: Limits,
    /// Layers read at once.
    pub threads: usize,
    /// Set to stop.
    pub cancel: &'a AtomicBool,
    /// Who follows.
    pub progress: &'a dyn Progress,
}

impl std::fmt::Debug for Options<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options").field("limits", &self.limits).field("threads", &self.threads).finish_non_exhaustive()
    }
}

/// Lists what is installed in an image. The result depends on the image's bytes alone.
///
/// # Errors
/// When the bytes cannot be had, are not what the image says, or exceed the limits.
pub fn inventory(image: &Image, options: &Options<'_>) -> Result<Inventory, ScanError> {
    let hashes = RandomState::new();
    let mut facts = read_layers(image, &hashes, options)?;
    reread_linked(image, &mut facts, &hashes, options)?;
    let mut journals = Journals::read(image, &facts, &hashes, options)?;
    let seen = Seen::of(&facts, &hashes, &mut journals);
    let layers = facts.iter().zip(&image.layers).map(|(facts, layer)| LayerInfo {
        digest: facts.digest.clone().unwrap_or_else(|| layer.digest.clone()),
        diff_id: facts.diff_id.clone().unwrap_or_else(|| layer.diff_id.clone()),
        size: facts.size,
        created_by: layer.history.clone(),
    });
    let image = ImageInfo {
        name: image.reference.clone(),
        digest: image.manifest_digest.clone(),
        index_digest: image.index_digest.clone(),
        config_digest: image.config_digest.clone(),
        platform: image.platform.clone(),
    };
    Ok(Inventory { image, layers: layers.collect(), os: seen.os, packages: seen.packages, gaps: seen.gaps })
}

fn read_layers(image: &Image, hashes: &RandomState, options: &Options<'_>) -> Result<Vec<Facts>, ScanError> {
    let next = AtomicUsize::new(0);
    let results: Mutex<BTreeMap<usize, Result<Facts, ScanError>>> = Mutex::new(BTreeMap::new());
    let failed = AtomicBool::new(false);
    let extra = Extra::new();
    std::thread::scope(|scope| {
        for _ in 0..options.threads.clamp(1, image.layers.len().max(1)) {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= image.layers.len() || failed.load(Ordering::Relaxed) {
                        return;
                    }
                    let result = layer::read(image, index, &extra, hashes, options);
                    failed.fetch_or(result.is_err(), Ordering::Relaxed);
                    results.lock().unwrap_or_else(PoisonError::into_inner).insert(index, result);
                }
            });
        }
    });
    // In layer order, so that of several failures the lowest one is reported.
    results.into_inner().unwrap_or_else(PoisonError::into_inner).into_values().collect()
}

/// Reads layers again in which a wanted path proved to be a link to a file that was not kept.
fn reread_linked(
    image: &Image,
    facts: &mut [Facts],
    hashes: &RandomState,
    options: &Options<'_>,
) -> Result<(), ScanError> {
    let mut extra = Extra::new();
    let mut view = View::default();
    for layer in facts.iter() {
        view.apply(layer, hashes);
        extra.extend(view.unread(&analyze::FIXED));
        extra.extend(view.unread(&analyze::FIXED_RPM));
    }
    if extra.is_empty() {
        return Ok(());
    }
    for (index, layer) in facts.iter_mut().enumerate() {
        if extra.keys().any(|path| layer.files.contains(&hashes.hash_one(path))) {
            *layer = layer::read(image, index, &extra, hashes, options)?;
        }
    }
    Ok(())
}

/// What the merged views say.
struct Seen {
    os: Option<Os>,
    packages: Vec<Package>,
    gaps: Vec<Gap>,
}

impl Seen {
    fn of(facts: &[Facts], hashes: &RandomState, journals: &mut Journals) -> Self {
        let mut view = View::default();
        let mut since: BTreeMap<(Package, String), usize> = BTreeMap::new();
        for (index, layer) in facts.iter().enumerate() {
            let touched = !(layer.adds.is_empty() && layer.whiteouts.is_empty() && layer.opaque.is_empty());
            view.apply(layer, hashes);
            if touched || !layer.files.is_empty() {
                since = present(&journals.files(&view), &since, index);
            }
        }
        let mut gaps: Vec<Gap> = journals.files(&view).values().flat_map(|parsed| parsed.gaps.clone()).collect();
        let os = os_of(&view);
        let packages = merge_locations(since);
        gaps.extend(os_gap(&view, os.as_ref(), &packages));
        gaps.sort();
        gaps.dedup();
        Seen { os, packages, gaps }
    }
}

/// Files an analyzer has read, and links of wanted names that lead to such a file elsewhere.
fn read_files(view: &View) -> impl Iterator<Item = (&str, &Arc<Parsed>)> {
    view.files().filter(|(_, parsed)| ***parsed != Parsed::default())
}

/// Packages of the view, with the first layer since which each is there without a break.
fn present(
    files: &BTreeMap<&str, Arc<Parsed>>,
    before: &BTreeMap<(Package, String), usize>,
    layer: usize,
) -> BTreeMap<(Package, String), usize> {
    let all =
        files.iter().flat_map(|(path, parsed)| parsed.packages.iter().map(move |p| (p.clone(), (*path).to_owned())));
    all.map(|key| {
        let since = before.get(&key).copied().unwrap_or(layer);
        (key, since)
    })
    .collect()
}

fn merge_locations(since: BTreeMap<(Package, String), usize>) -> Vec<Package> {
    let mut out: BTreeMap<Package, Vec<Location>> = BTreeMap::new();
    for ((package, path), layer) in since {
        out.entry(package).or_default().push(Location { path, layer });
    }
    out.into_iter()
        .map(|(package, mut locations)| {
            locations.sort();
            Package { locations, ..package }
        })
        .collect()
}

fn os_of(view: &View) -> Option<Os> {
    analyze::FIXED.iter().find_map(|path| view.get(path).and_then(|parsed| parsed.os.clone()))
}

/// What is amiss with the operating system: "nothing recognised" is never clean.
fn os_gap(view: &View, os: Option<&Os>, packages: &[Package]) -> Option<Gap> {
    let has = |kind: PackageType| read_files(view).any(|(_, parsed)| parsed.database == Some(kind));
    let gap = |kind, subject: &str, message: &str| {
        Some(Gap { kind, subject: subject.to_owned(), message: message.to_owned() })
    };
    let Some(os) = os else {
        if packages.iter().any(|p| p.kind.is_os()) {
            return gap(
                GapKind::UnsupportedOs,
                "etc/os-release",
                "there is none, so the distribution's packages cannot be judged",
            );
        }
        return packages
            .is_empty()
            .then(|| gap(GapKind::NothingRecognized, "image", "it holds nothing that can be judged"))
            .flatten();
    };
    let named = if os.pretty_name.is_empty() { &os.id } else { &os.pretty_name };
    let Some(expected) = os.package_type() else {
        return gap(
            GapKind::UnsupportedOs,
            named,
            "this distribution is not supported yet; its packages are not judged",
        );
    };
    if os.ecosystem().is_none() {
        return gap(GapKind::UnsupportedOs, named, "its release cannot be told from os-release");
    }
    if !has(expected) {
        return gap(
            GapKind::NoPackageDatabase,
            named,
            "its package database is absent, so its packages cannot be judged",
        );
    }
    // Nothing of rpm's installs itself without being listed, so an empty list is no answer.
    if expected == PackageType::Rpm && !packages.iter().any(|p| p.kind == expected) {
        return gap(GapKind::NoPackageDatabase, named, "its package database lists no package");
    }
    None
}
