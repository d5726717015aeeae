//! One package under one name, whatever the spelling: the SBOM of a wheel has the name of the wheel's file where its metadata
//! has the author's (PEP 503: `psycopg_binary` and `psycopg-binary`), and NuGet ignores case.

use crate::analyze::{self, own};
use crate::engine::contents::PresentSince;
use std::collections::BTreeMap;
use tidewaiter_core::package::{Package, PackageType};

/// A spelling; one from an SBOM counts last, because the others are what the package manager shows.
type Spelling = (bool, String);

/// Gives packages that differ in the spelling of their name alone the same one.
pub(super) fn unified(since: PresentSince) -> PresentSince {
    let mut spellings: BTreeMap<Package, Spelling> = BTreeMap::new();
    for (package, path) in since.keys().filter(|(package, _)| has_spellings(package)) {
        let spelling = (analyze::is_sbom(path), package.name.clone());
        let best = spellings.entry(comparable(package)).or_insert_with(|| spelling.clone());
        *best = spelling.min(best.clone());
    }
    if spellings.is_empty() {
        return since;
    }
    since.into_iter().map(|((package, path), layer)| ((spelled(package, &spellings), path), layer)).collect()
}

/// Whether the ecosystem takes different names for the same.
fn has_spellings(package: &Package) -> bool {
    matches!(package.kind, PackageType::Pypi | PackageType::Nuget | PackageType::Composer)
}

fn spelled(package: Package, spellings: &BTreeMap<Package, Spelling>) -> Package {
    if !has_spellings(&package) {
        return package;
    }
    let best = spellings.get(&comparable(&package)).map(|(_, name)| name.clone());
    Package { name: best.unwrap_or_else(|| package.name.clone()), ..package }
}

fn comparable(package: &Package) -> Package {
    Package { name: own::comparable(package.kind, &package.name), ..package.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_package_has_one_spelling() {
        let check = |found: &[(PackageType, &str, &str)], expected: &[&str]| {
            let since =
                found.iter().map(|(kind, name, path)| ((Package::new(*kind, *name, "1"), (*path).to_owned()), 0));
            let line = |((package, path), _): ((Package, String), usize)| format!("{} {path}", package.name);
            assert_eq!(unified(since.collect()).into_iter().map(line).collect::<Vec<_>>(), expected, "{found:?}");
        };
        use PackageType::{Npm, Nuget, Pypi};
        let (metadata, sbom) = ("a-1.dist-info/METADATA", "a-1.dist-info/sboms/auditwheel.cdx.json");
        check(&[(Pypi, "A-b", metadata), (Pypi, "A_b", sbom)], &["A-b a-1.dist-info/METADATA", &format!("A-b {sbom}")]);
        check(&[(Pypi, "a_b", metadata), (Pypi, "A.B", sbom)], &["a_b a-1.dist-info/METADATA", &format!("a_b {sbom}")]);
        check(&[(Nuget, "A", "b.deps.json"), (Nuget, "a", "c.deps.json")], &["A b.deps.json", "A c.deps.json"]);
        check(&[(Npm, "A", "b"), (Npm, "a", "c")], &["A b", "a c"]);
    }
}
