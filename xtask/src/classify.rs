//! Compares the classifier with real programs: files of packages, whose versions the registries say.

mod fetch;
mod packages;

use anyhow::Result;
use fetch::FetchedPackage;
use packages::{REAL_PACKAGES, RealPackage};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::AtomicBool;
use tidewaiter_core::package::{Package, PackageType};
use tidewaiter_scan::analyze::programs;
use tidewaiter_scan::engine::{self, ScanOptions};
use tidewaiter_scan::limits::Limits;
use tidewaiter_scan::progress::Silent;
use tidewaiter_scan::source::directory;

#[derive(Debug, clap::Args)]
pub(crate) struct ClassifyArgs {
    /// Fetch the packages, once, under target/classify, and compare (network; apt, pip, npm, mvn; not in CI)
    #[arg(long)]
    real: bool,
    /// Compare one program alone (`nginx`)
    #[arg(long, value_name = "PROGRAM", requires = "real")]
    only: Option<String>,
}

/// The packages in which a program of the classifier was found.
pub(crate) fn seen_in(program: &str) -> Vec<String> {
    let has = |package: &&RealPackage| package.programs.iter().any(|listed| listed.name == program);
    REAL_PACKAGES.iter().filter(has).map(|package| package.registry.to_string()).collect()
}

/// Compares, and lists the programs that no package has; true if nothing differs.
pub(crate) fn run(root: &Path, args: &ClassifyArgs) -> Result<bool> {
    let mut same = true;
    if args.real {
        println!("{:14} {:12} {:12} {:8} PACKAGE", "PROGRAM", "EXPECTED", "FOUND", "");
        let dir = root.join("target/classify");
        let asked =
            |package: &&RealPackage| args.only.as_ref().is_none_or(|only| names(package).contains(only.as_str()));
        for package in REAL_PACKAGES.iter().filter(asked) {
            // One that a registry has no more leaves the others to be compared.
            same &= compare(&dir, package).unwrap_or_else(|error| {
                println!("{}: {error:#}", package.registry);
                false
            });
        }
    }
    let all: BTreeSet<&str> = programs().map(|(name, _)| name).collect();
    let never: Vec<&str> = all.into_iter().filter(|name| seen_in(name).is_empty()).collect();
    println!("never seen on a real file: {}", never.join(", "));
    Ok(same)
}

fn names(package: &RealPackage) -> BTreeSet<&'static str> {
    package.programs.iter().map(|program| program.name).collect()
}

fn compare(dir: &Path, package: &RealPackage) -> Result<bool> {
    let fetched = fetch::fetch(dir, &package.registry)?;
    let found = found(&fetched.root)?;
    let expected = expected(package, &fetched);
    let mut same = true;
    for name in expected.keys().chain(found.keys()).collect::<BTreeSet<_>>() {
        let found: Vec<&str> = found.get(name).into_iter().flatten().map(String::as_str).collect();
        let expected = expected.get(name).map_or("-", String::as_str);
        let equal = found == [expected];
        let (said, found) =
            (if equal { "OK" } else { "DIFFERS" }, if found.is_empty() { "-".into() } else { found.join(", ") });
        println!("{name:14} {expected:12} {found:12} {said:8} {}", package.registry);
        same &= equal;
    }
    Ok(same)
}

/// The programs that a package is known to have, with their versions.
fn expected(package: &RealPackage, fetched: &FetchedPackage) -> BTreeMap<String, String> {
    let own = fetched.version.as_deref().unwrap_or_default();
    let version = |pinned: &'static str| if pinned.is_empty() { own.to_owned() } else { pinned.to_owned() };
    package.programs.iter().map(|program| (program.name.to_owned(), version(program.version))).collect()
}

/// The programs that the classifier finds, with all their versions.
fn found(root: &Path) -> Result<BTreeMap<String, BTreeSet<String>>> {
    let image = directory::open(root, None)?;
    let cancel = AtomicBool::new(false);
    let options =
        ScanOptions { limits: Limits::default(), threads: 2, cancel: &cancel, progress: &Silent, cache: None };
    let mut out: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let is_program = |package: &Package| package.kind == PackageType::Generic;
    for package in engine::inventory(&image, &options)?.packages.into_iter().filter(is_program) {
        out.entry(package.name).or_default().insert(package.version);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_name_programs_of_the_table() {
        let known: BTreeSet<&str> = programs().map(|(name, _)| name).collect();
        for package in REAL_PACKAGES {
            let unknown: Vec<_> = names(package).difference(&known).copied().collect();
            assert_eq!(unknown, [""; 0], "{}", package.registry);
        }
    }
}
