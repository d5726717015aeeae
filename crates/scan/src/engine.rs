//! The engine: all layers of an image read in parallel, merged in order, and listed.

mod journal;
mod sources;

use crate::ScanError;
use crate::analyze::{self, Parsed, owned};
use crate::cache::Cache;
use crate::limits::Limits;
use crate::progress::Progress;
use crate::source::{Image, base};
use crate::walk::Scan;
use crate::walk::hash::PathHash;
use crate::walk::layer::{self, Facts};
use crate::walk::links::Rules;
use crate::walk::merge::View;
use journal::{Files, Journals};
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tidewaiter_core::ecosystem::Os;
use tidewaiter_core::package::{Location, Package};
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
    /// What earlier scans saw.
    pub cache: Option<&'a Cache>,
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
    // The digest of a legacy docker archive is its config's, which says nothing of the bytes beside it.
    let cache = options.cache.filter(|_| image.layers.iter().all(|layer| layer.digest_is_stored));
    if let Some(known) = cache.and_then(|cache| cache.image(&image.manifest_digest, &options.limits)) {
        return Ok(Inventory { image: info(image), ..known });
    }
    let scan = Scan::new(options);
    let mut facts = read_layers(image, &scan)?;
    reread_linked(image, &mut facts, &scan)?;
    let mut journals = Journals::read(image, &facts, &scan)?;
    let seen = Seen::of(&facts, &scan.hashes, &mut journals);
    let layers = facts.iter().zip(&image.layers).map(|(facts, layer)| LayerInfo {
        digest: facts.digest.clone().unwrap_or_else(|| layer.digest.clone()),
        diff_id: facts.diff_id.clone().unwrap_or_else(|| layer.diff_id.clone()),
        size: facts.size,
        created_by: layer.history.clone(),
    });
    let inventory = Inventory {
        image: info(image),
        layers: layers.collect(),
        os: seen.os,
        packages: seen.packages,
        gaps: seen.gaps,
    };
    // A layer that its registry did not have may be there the next time.
    if let Some(cache) = cache.filter(|_| facts.iter().all(|layer| layer.gap.is_none())) {
        cache.put_image(&image.manifest_digest, &options.limits, &inventory);
    }
    Ok(inventory)
}

fn info(image: &Image) -> ImageInfo {
    ImageInfo {
        name: image.reference.clone(),
        digest: image.manifest_digest.clone(),
        index_digest: image.index_digest.clone(),
        config_digest: image.config_digest.clone(),
        platform: image.platform.clone(),
        base_layers: base::guess(&image.config.history),
    }
}

fn read_layers(image: &Image, scan: &Scan<'_>) -> Result<Vec<Facts>, ScanError> {
    let next = AtomicUsize::new(0);
    let results: Mutex<BTreeMap<usize, Result<Facts, ScanError>>> = Mutex::new(BTreeMap::new());
    let failed = AtomicBool::new(false);
    let rules = Rules::default();
    std::thread::scope(|scope| {
        for _ in 0..scan.options.threads.clamp(1, image.layers.len().max(1)) {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= image.layers.len() || failed.load(Ordering::Relaxed) {
                        return;
                    }
                    let result = layer::read(image, index, &rules, scan);
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
fn reread_linked(image: &Image, facts: &mut [Facts], scan: &Scan<'_>) -> Result<(), ScanError> {
    let mut rules = Rules::default();
    let mut view = View::default();
    for layer in facts.iter() {
        view.apply(layer, &scan.hashes);
        rules.learn(&view, layer);
    }
    if rules.is_empty() {
        return Ok(());
    }
    for (index, layer) in facts.iter_mut().enumerate() {
        if rules.concern(layer, &scan.hashes) {
            *layer = layer::read(image, index, &rules, scan)?;
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
    fn of(facts: &[Facts], hashes: &PathHash, journals: &mut Journals) -> Self {
        let mut view = View::default();
        let mut held = BTreeMap::new();
        for (index, layer) in facts.iter().enumerate() {
            // Most layers of most images bring no package.
            if !view.apply(layer, hashes) {
                continue;
            }
            held = present(&journals.files(&view), held, index);
        }
        let since = held.into_values().flat_map(|held| held.since).collect();
        let mut gaps: Vec<Gap> = facts.iter().filter_map(|layer| layer.gap.clone()).collect();
        gaps.extend(journals.files(&view).values().flat_map(|(_, parsed)| parsed.gaps.clone()));
        let os = os_of(&view);
        let packages = sources::known(merge_locations(with_owners(since, &journals.files(&view))));
        gaps.extend(sources::gap(&packages));
        gaps.extend(os_gap(&view, os.as_ref(), &packages));
        gaps.sort();
        gaps.dedup();
        Seen { os, packages, gaps }
    }
}

/// A file of the view.
struct Held {
    wanted: String,
    parsed: Arc<Parsed>,
    /// Its packages and where they are, with the first layer since which each is there without a break.
    since: BTreeMap<(Package, String), usize>,
}

/// The files of the view with a layer on top. Most are those of the view before.
fn present(files: &Files<'_>, mut before: BTreeMap<String, Held>, layer: usize) -> BTreeMap<String, Held> {
    let held = |(path, (wanted, parsed)): (&&str, &(&str, Arc<Parsed>))| {
        let (path, old) = match before.remove_entry(*path) {
            Some((path, held)) if Arc::ptr_eq(&held.parsed, parsed) && held.wanted == *wanted => return (path, held),
            Some((path, held)) => (path, held.since),
            None => ((*path).to_owned(), BTreeMap::new()),
        };
        let places = |p| analyze::places(p, &path).into_iter().map(|place| (analyze::at(p, wanted), place));
        let since = parsed.packages.iter().flat_map(places).map(|key| {
            let since = old.get(&key).copied().unwrap_or(layer);
            (key, since)
        });
        let since = since.collect();
        (path, Held { wanted: (*wanted).to_owned(), parsed: Arc::clone(parsed), since })
    };
    files.iter().map(held).collect()
}

/// Tells which of the packages that no OS package manager lists lie in files that one put there.
fn with_owners(since: BTreeMap<(Package, String), usize>, files: &Files<'_>) -> BTreeMap<(Package, String), usize> {
    if since.keys().all(|(package, _)| package.kind.is_os()) {
        return since;
    }
    let all = files.values().flat_map(|(_, parsed)| &parsed.owned);
    let owners: HashMap<u64, &str> =
        all.flat_map(|owned| owned.files.iter().map(|id| (*id, owned.package.as_str()))).collect();
    let with_owner = |((package, path), layer): ((Package, String), usize)| {
        // What is in an archive belongs to whom the archive does.
        let file = path.split_once("!/").map_or(path.as_str(), |(file, _)| file);
        let owner = owners.get(&owned::id(file)).filter(|_| !package.kind.is_os());
        let owner = owner.map(|name| (*name).to_owned()).unwrap_or_default();
        ((Package { owner, ..package }, path), layer)
    };
    since.into_iter().map(with_owner).collect()
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
    analyze::OS_RELEASE.iter().find_map(|path| view.get(path).and_then(|parsed| parsed.os.clone()))
}

/// What is amiss with the operating system: "nothing recognised" is never clean.
fn os_gap(view: &View, os: Option<&Os>, packages: &[Package]) -> Option<Gap> {
    let gap = |kind, subject: &str, message: &str| {
        Some(Gap { kind, subject: subject.to_owned(), message: message.to_owned() })
    };
    let Some(os) = os else {
        if view.files().any(|(_, _, parsed)| parsed.database.is_some()) {
            let message = "there is none, so the distribution's packages cannot be judged";
            return gap(GapKind::UnsupportedOs, "etc/os-release", message);
        }
        let nothing = gap(GapKind::NothingRecognized, "image", "it holds nothing that can be judged");
        return nothing.filter(|_| packages.is_empty());
    };
    let named = if os.pretty_name.is_empty() { &os.id } else { &os.pretty_name };
    let Some(expected) = os.package_type() else {
        let message = "this distribution is not supported yet; its packages are not judged";
        return gap(GapKind::UnsupportedOs, named, message);
    };
    if os.ecosystem().is_none() {
        return gap(GapKind::UnsupportedOs, named, "its release cannot be told from os-release");
    }
    if packages.iter().any(|p| p.kind.is_os() && p.kind != expected) {
        let message = "its os-release does not fit a package database of another distribution beside it";
        return gap(GapKind::UnsupportedOs, named, message);
    }
    if packages.iter().any(|p| p.kind == expected) {
        return None;
    }
    let present = view.files().any(|(_, _, parsed)| parsed.database == Some(expected));
    let state = if present { "lists nothing" } else { "is absent" };
    gap(GapKind::NoPackageDatabase, named, &format!("its package database {state}, so its packages cannot be judged"))
}
