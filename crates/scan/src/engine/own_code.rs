//! Which packages are the image's own code, by what package managers record of folders ([`analyze::own`]) and by the links
//! that Node.js' package managers make: releases of a registry lie inside some `node_modules`, so a link out of there leads
//! to a workspace or a linked folder.

use crate::analyze::{self, own};
use crate::engine::contents::PresentSince;
use crate::engine::sqlite_wal::FilesInView;
use crate::path;
use crate::walk::merge::MergedView;
use tidewaiter_core::package::{Package, PackageType};

/// Marks own code. What a package of the distribution brought is not: Debian links its packages for Node.js from one place
/// to another.
pub(super) fn marked(since: PresentSince, files: &FilesInView<'_>, view: &MergedView) -> PresentSince {
    let folders = folders(files, view);
    if folders.is_empty() {
        return since;
    }
    since.into_iter().map(|((package, path), layer)| ((mark(package, &path, &folders), path), layer)).collect()
}

fn mark(package: Package, path: &str, folders: &own::OwnFolders) -> Package {
    let own = package.own || package.owner.is_empty() && folders.cover(&package, path);
    Package { own, ..package }
}

fn folders(files: &FilesInView<'_>, view: &MergedView) -> own::OwnFolders {
    let mut out = own::OwnFolders::default();
    for (path, (wanted, parsed)) in files {
        for record in &parsed.own {
            out.add(record.found_at(path).resolved(|folder| view.canonical(folder)));
        }
        if is_linked_out(path, wanted, view) {
            out.add(own::OwnFolder::of_metadata(PackageType::Npm, format!("/{}", path::split(path).0)).found_at(path));
        }
    }
    out
}

/// Whether a package's folder in `node_modules` is a link to somewhere else. Where all of `node_modules` is a link, what it
/// leads to is as good as one.
fn is_linked_out(path: &str, wanted: &str, view: &MergedView) -> bool {
    let outside = path != wanted && analyze::is_npm_package(wanted) && !format!("/{path}").contains("/node_modules/");
    outside && view.is_symlink(&view.canonical_parent(path::split(wanted).0))
}
