//! The contents of an image, by its merged views: packages, since which layer each is there, and gaps.

use crate::analyze::{self, ParsedFile, owned};
use crate::engine::sqlite_wal::{FilesInView, WalDatabases};
use crate::engine::{debian_sources, left_over, os, os_copies, own_code, spelling, stores, yum_origins};
use crate::walk::diff::LayerRead;
use crate::walk::hash::PathHash;
use crate::walk::merge::MergedView;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use tidewaiter_core::ecosystem::Os;
use tidewaiter_core::package::{Location, Package};
use tidewaiter_core::report::Gap;

/// The contents of an image.
pub(super) struct ImageContents {
    pub(super) os: Option<Os>,
    pub(super) packages: Vec<Package>,
    pub(super) gaps: Vec<Gap>,
}

/// Packages and where they are, with the first layer since which each is there without a break.
pub(super) type PresentSince = BTreeMap<(Package, String), usize>;

impl ImageContents {
    /// Merges the layers one by one, so that the layer that brought a package is known.
    pub(super) fn of(layers: &[LayerRead], hashes: &PathHash, databases: &mut WalDatabases) -> Self {
        let mut view = MergedView::default();
        let mut present = BTreeMap::new();
        for (number, layer) in layers.iter().enumerate() {
            // Most layers of most images bring no package, and then nothing is to be compared.
            if layer.diff().is_some_and(|diff| view.apply(diff, hashes)) {
                present = with_layer(&databases.files(&view), present, number);
            }
        }
        let files = databases.files(&view);
        let since = present.into_values().flat_map(|file: PresentFile| file.since).collect();
        let used = yum_origins::noted(left_over::removed(since, &files), &files);
        let marked = own_code::marked(with_owners(used, &files), &files, &view);
        let marked = own_code::named_in_sboms(marked);
        let packages =
            debian_sources::without_duplicates(with_locations(spelling::unified(os_copies::without_installed(marked))));
        let os = os::of_view(&view);
        let mut gaps: Vec<Gap> = layers.iter().filter_map(gap_of).collect();
        gaps.extend(files.values().flat_map(|(_, parsed)| parsed.gaps.clone()));
        gaps.extend(stores::gaps(layers, hashes));
        gaps.extend(debian_sources::gap(&packages));
        gaps.extend(os::gap(&view, os.as_ref(), &packages));
        gaps.extend(os::repositories_gap(&view));
        gaps.sort();
        gaps.dedup();
        ImageContents { os, packages, gaps }
    }
}

fn gap_of(layer: &LayerRead) -> Option<Gap> {
    match layer {
        LayerRead::Absent(gap) => Some(gap.clone()),
        LayerRead::Read(_) => None,
    }
}

/// A file of the view.
struct PresentFile {
    wanted: String,
    parsed: Arc<ParsedFile>,
    since: PresentSince,
}

/// The files of the view with a layer on top. Most are those of the view before, and are taken over as they are.
fn with_layer(
    files: &FilesInView<'_>,
    mut before: BTreeMap<String, PresentFile>,
    layer: usize,
) -> BTreeMap<String, PresentFile> {
    let mut out = BTreeMap::new();
    for (path, (wanted, parsed)) in files {
        let (path, old) = match before.remove_entry(*path) {
            Some((path, file)) if Arc::ptr_eq(&file.parsed, parsed) && file.wanted == *wanted => {
                out.insert(path, file);
                continue;
            }
            Some((path, file)) => (path, file.since),
            None => ((*path).to_owned(), BTreeMap::new()),
        };
        let since = present_since(parsed, &path, wanted, &old, layer);
        let file = PresentFile { wanted: (*wanted).to_owned(), parsed: Arc::clone(parsed), since };
        out.insert(path, file);
    }
    out
}

/// The packages of a new file: those that the old one at its path had too are there since then.
fn present_since(parsed: &ParsedFile, path: &str, wanted: &str, old: &PresentSince, layer: usize) -> PresentSince {
    let mut out = BTreeMap::new();
    for package in &parsed.packages {
        for place in analyze::places(package, path) {
            let key = (analyze::at(package, wanted), place);
            let since = old.get(&key).copied().unwrap_or(layer);
            out.insert(key, since);
        }
    }
    out
}

/// Notes the owners of packages in files that a package manager of the operating system put there.
fn with_owners(since: PresentSince, files: &FilesInView<'_>) -> PresentSince {
    // Only other packages have owners, and the lists of files are long.
    if since.keys().all(|(package, _)| package.kind.is_os()) {
        return since;
    }
    let all = files.values().flat_map(|(_, parsed)| &parsed.owned);
    let owners: HashMap<u64, &str> =
        all.flat_map(|owned| owned.files.iter().map(|id| (*id, owned.package.as_str()))).collect();
    since.into_iter().map(|((package, path), layer)| ((with_owner(package, &path, &owners), path), layer)).collect()
}

fn with_owner(package: Package, path: &str, owners: &HashMap<u64, &str>) -> Package {
    // What is in an archive belongs to the owner of the archive.
    let file = path.split_once("!/").map_or(path, |(file, _)| file);
    let owner = owners.get(&owned::id(file)).filter(|_| !package.kind.is_os());
    Package { owner: owner.map(|name| (*name).to_owned()).unwrap_or_default(), ..package }
}

/// Each package once, with all its locations.
fn with_locations(since: PresentSince) -> Vec<Package> {
    let mut out: BTreeMap<Package, Vec<Location>> = BTreeMap::new();
    for ((package, path), layer) in since {
        out.entry(package).or_default().push(Location { path, layer });
    }
    let located = out.into_iter().map(|(package, mut locations)| {
        locations.sort();
        Package { locations, ..package }
    });
    located.collect()
}
