//! Which packages are the image's own code, by what package managers record of folders ([`analyze::own`]) and by the links
//! that Node.js' package managers make: releases of a registry lie inside some `node_modules`, so a link out of there leads
//! to a workspace or a linked folder.
//!
//! SBOMs name own code like releases: npm writes the purl of a registry for a workspace.

use crate::analyze::{self, own};
use crate::engine::contents::PresentSince;
use crate::engine::sqlite_wal::FilesInView;
use crate::path;
use crate::walk::merge::MergedView;
use std::collections::HashSet;
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

/// Marks what SBOMs name of the own code that was found: the same package in the same version. Where a release of that name
/// and version is there too, the SBOM may mean that one.
pub(super) fn named_in_sboms(since: PresentSince) -> PresentSince {
    let own = found(&since, true);
    if own.is_empty() {
        return since;
    }
    let releases = found(&since, false);
    let is_meant = |package: &Package| own.contains(&key(package)) && !releases.contains(&key(package));
    let marked = since.into_iter().map(|((package, path), layer)| {
        let own = package.own || analyze::is_sbom(&path) && is_meant(&package);
        ((Package { own, ..package }, path), layer)
    });
    marked.collect()
}

/// What is compared of two packages: type, name and version.
type ComparedPackage = (PackageType, String, String);

fn key(package: &Package) -> ComparedPackage {
    (package.kind, own::comparable(package.kind, &package.name), package.version.clone())
}

/// The packages outside of SBOMs that are own code, or are not.
fn found(since: &PresentSince, is_own: bool) -> HashSet<ComparedPackage> {
    let packages = since.keys().filter(|(package, path)| package.own == is_own && !analyze::is_sbom(path));
    packages.map(|(package, _)| key(package)).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sboms_name_own_code_like_releases() {
        let check = |found: &[(&str, &str, bool, &str)], expected: &[&str]| {
            let since = found.iter().map(|(name, version, own, path)| {
                let package = Package { own: *own, ..Package::new(PackageType::Npm, *name, *version) };
                ((package, (*path).to_owned()), 0)
            });
            let marked = named_in_sboms(since.collect());
            let own = marked.keys().filter(|(package, _)| package.own).map(|(_, path)| path.as_str());
            assert_eq!(own.collect::<Vec<_>>(), expected, "{found:?}");
        };
        let (workspace, sbom) = (("a", "1.0.0", true, "packages/a/package.json"), "app/bom.json");
        check(&[workspace, ("a", "1.0.0", false, sbom)], &[sbom, workspace.3]);
        check(&[workspace, ("a", "1.0.1", false, sbom)], &[workspace.3]);
        check(&[workspace, ("b", "1.0.0", false, sbom)], &[workspace.3]);
        check(&[workspace, ("a", "1.0.0", false, "node_modules/a/package.json")], &[workspace.3]);
        let release = ("a", "1.0.0", false, "srv/node_modules/a/package.json");
        check(&[workspace, release, ("a", "1.0.0", false, sbom)], &[workspace.3]);
        check(&[("a", "1.0.0", false, sbom)], &[]);
    }
}
