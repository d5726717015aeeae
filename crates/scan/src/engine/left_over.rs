//! Packages that lie in a store of a package manager whose own list says that they are no longer in use.

use crate::analyze::VirtualStore;
use crate::engine::contents::PresentSince;
use crate::engine::sqlite_wal::FilesInView;
use crate::path;
use std::collections::HashMap;

/// Leaves out what is not in use.
pub(super) fn removed(since: PresentSince, files: &FilesInView<'_>) -> PresentSince {
    let stores = files.iter().filter_map(|(path, (_, parsed))| Some((path::split(path).0, parsed.store.as_ref()?)));
    let stores: HashMap<&str, &VirtualStore> = stores.collect();
    if stores.is_empty() {
        return since;
    }
    since.into_iter().filter(|((_, path), _)| !is_left_over(path, &stores)).collect()
}

fn is_left_over(file: &str, stores: &HashMap<&str, &VirtualStore>) -> bool {
    let mut above = path::parents(file).filter_map(|dir| Some((stores.get(dir)?, file.get(dir.len() + 1..)?)));
    above.any(|(store, inside)| store.is_left_over(inside))
}
