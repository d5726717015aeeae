//! Stores of package managers that are not read: Nix and Guix have a directory for each package (`/nix/store/HASH-NAME-VERSION`),
//! and images that they build need no database next to it.

use crate::walk::diff::LayerRead;
use crate::walk::hash::PathHash;
use tidewaiter_core::report::{Gap, GapKind};

/// Each store.
const STORES: [&str; 2] = ["nix/store", "gnu/store"];

/// The gaps of the stores that an image has something in.
pub(super) fn gaps(layers: &[LayerRead], hashes: &PathHash) -> impl Iterator<Item = Gap> {
    STORES.into_iter().filter(|store| is_filled(store, layers, hashes)).map(gap)
}

/// Whether the last layers that say something of a store leave something in it.
fn is_filled(store: &str, layers: &[LayerRead], hashes: &PathHash) -> bool {
    let hash = hashes.of(store);
    let mut filled = false;
    for diff in layers.iter().filter_map(LayerRead::diff) {
        let hides = |dirs: &[String]| dirs.iter().any(|dir| dir.is_empty() || is_at_or_below(store, dir));
        filled = filled && !hides(&diff.whiteouts) && !hides(&diff.opaque) || diff.above.contains(&hash);
    }
    filled
}

fn is_at_or_below(path: &str, dir: &str) -> bool {
    path.strip_prefix(dir).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn gap(store: &str) -> Gap {
    let message = "the packages of this store are not read yet, and not scanned".to_owned();
    Gap { kind: GapKind::UnsupportedOs, subject: store.to_owned(), message }
}
