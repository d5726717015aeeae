//! The image's own code, as package managers record it: a workspace, a linked folder, a path, an editable install. It lies
//! next to what a registry published, and may have the name of something there.
//!
//! A record is often not in the file that names the package: pip writes `direct_url.json` next to `METADATA`, npm a list of
//! all of `node_modules`. Such a file says which folders hold own code, and the engine looks for the packages in them.
//!
//! An archive of a local path is not own code: releases of a registry are often downloaded first and installed from there
//! (`pip install /wheels/*.whl`, an offline mirror of npm). Neither is a checkout of a repository: a fork of a project has
//! the flaws of the project.

use crate::path;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashMap, HashSet};
use tidewaiter_core::package::{Package, PackageType};

/// A folder with own code, as a file of a package manager records it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnFolder {
    /// The type of the packages that are own code.
    kind: PackageType,
    /// Which of them.
    scope: OwnScope,
    /// The folder: from the root of the image with a slash in front, else from the folder of the file that says it.
    folder: String,
}

/// Which packages of a folder are own code.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum OwnScope {
    /// The one whose metadata is directly in the folder.
    Metadata,
    /// The one of this name, however deep its metadata lies.
    Named(String),
    /// All but those of these names, however deep their metadata lies.
    AllBut(BTreeSet<String>),
}

impl OwnFolder {
    /// Own code is the package whose metadata is directly in the folder.
    pub(crate) fn of_metadata(kind: PackageType, folder: impl Into<String>) -> Self {
        OwnFolder { kind, scope: OwnScope::Metadata, folder: folder.into() }
    }

    /// Own code is the package of this name, wherever below the folder its metadata is.
    pub(super) fn named(kind: PackageType, name: &str, folder: impl Into<String>) -> Self {
        OwnFolder { kind, scope: OwnScope::Named(comparable(kind, name)), folder: folder.into() }
    }

    /// Own code are all packages below the folder but those of these names.
    pub(super) fn all_but(kind: PackageType, names: BTreeSet<String>, folder: impl Into<String>) -> Self {
        OwnFolder { kind, scope: OwnScope::AllBut(names), folder: folder.into() }
    }

    /// The same, where the file that says it is at a path.
    pub(crate) fn found_at(&self, file: &str) -> OwnFolder {
        let text = match self.folder.strip_prefix('/') {
            Some(absolute) => absolute.to_owned(),
            None => format!("{}/{}", path::split(file).0, self.folder),
        };
        OwnFolder { folder: path::clean(text), ..self.clone() }
    }

    /// The same, with the links on the way to its folder followed.
    pub(crate) fn resolved(self, follow: impl Fn(&str) -> String) -> OwnFolder {
        OwnFolder { folder: follow(&self.folder), ..self }
    }
}

/// Own folders of an image, to be asked about many packages.
#[derive(Debug, Default)]
pub(crate) struct OwnFolders {
    /// By type, name where there is one, and folder.
    folders: HashSet<(PackageType, Option<String>, String)>,
    /// Names of what is not own code, by type and folder.
    all_but: HashMap<(PackageType, String), BTreeSet<String>>,
}

impl OwnFolders {
    pub(crate) fn add(&mut self, own: OwnFolder) {
        match own.scope {
            OwnScope::Metadata => drop(self.folders.insert((own.kind, None, own.folder))),
            OwnScope::Named(name) => drop(self.folders.insert((own.kind, Some(name), own.folder))),
            OwnScope::AllBut(names) => self.all_but.entry((own.kind, own.folder)).or_default().extend(names),
        }
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.folders.is_empty() && self.all_but.is_empty()
    }

    /// Whether a package is own code, by its type and name and the path of its metadata.
    pub(crate) fn cover(&self, package: &Package, file: &str) -> bool {
        let name = comparable(package.kind, &package.name);
        let nearest = path::split(file).0.to_owned();
        self.folders.contains(&(package.kind, None, nearest))
            || path::parents(file).chain(std::iter::once("")).any(|dir| self.is_below(package.kind, &name, dir))
    }

    fn is_below(&self, kind: PackageType, name: &str, dir: &str) -> bool {
        let others = self.all_but.get(&(kind, dir.to_owned()));
        self.folders.contains(&(kind, Some(name.to_owned()), dir.to_owned()))
            || others.is_some_and(|others| !others.contains(name))
    }
}

/// A name in the spelling in which its ecosystem compares it.
pub(crate) fn comparable(kind: PackageType, name: &str) -> String {
    kind.ecosystem(None).map_or_else(|| name.to_owned(), |ecosystem| ecosystem.normalize(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_cover_the_packages_in_them() {
        let check = |own: OwnFolder, said_at: &str, kind: PackageType, name: &str, file: &str, expected: bool| {
            let mut folders = OwnFolders::default();
            folders.add(own.found_at(said_at));
            assert_eq!(folders.cover(&Package::new(kind, name, "1"), file), expected, "{own:?} {file}");
        };
        use PackageType::{Hex, Npm, Pypi};
        let lock = "app/node_modules/.package-lock.json";
        let common = OwnFolder::of_metadata(Npm, "../packages/common");
        check(common.clone(), lock, Npm, "x", "app/packages/common/package.json", true);
        check(common.clone(), lock, Npm, "x", "app/packages/common/node_modules/y/package.json", false);
        check(common, lock, Pypi, "x", "app/packages/common/package.json", false);
        let others = || OwnFolder::all_but(Hex, BTreeSet::from(["jason".to_owned()]), "_build");
        check(others(), "app/mix.lock", Hex, "shop", "app/_build/prod/lib/shop/ebin/shop.app", true);
        check(others(), "app/mix.lock", Hex, "jason", "app/_build/prod/lib/jason/ebin/jason.app", false);
        check(others(), "app/mix.lock", Hex, "shop", "srv/lib/shop/ebin/shop.app", false);
        let url = "venv/site-packages/a_b-1.dist-info/direct_url.json";
        check(OwnFolder::named(Pypi, "a_b", "/src"), url, Pypi, "A.B", "src/lib/a_b.egg-info/PKG-INFO", true);
        check(OwnFolder::named(Pypi, "a_b", "/src"), url, Pypi, "c", "src/lib/c.egg-info/PKG-INFO", false);
        check(OwnFolder::named(Pypi, "a", "/"), url, Pypi, "a", "a.egg-info/PKG-INFO", true);
        check(OwnFolder::named(Pypi, "a", ""), url, Pypi, "a", "venv/site-packages/a_b-1.dist-info/METADATA", true);
    }
}
