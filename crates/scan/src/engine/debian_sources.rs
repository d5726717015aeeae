//! Debian packages whose source package is not known: chisel's manifest names none, and Debian's advisories name source
//! packages (Debian policy §5.6.1).

use std::collections::BTreeSet;
use tidewaiter_core::package::{Package, PackageType};
use tidewaiter_core::report::{Gap, GapKind};

/// Leaves out packages without a source that another database lists with theirs.
pub(super) fn without_duplicates(packages: Vec<Package>) -> Vec<Package> {
    if !packages.iter().any(sourceless) {
        return packages;
    }
    let known = packages.iter().filter(|p| p.kind == PackageType::Deb && !p.source_name.is_empty());
    let known: BTreeSet<(String, String)> = known.map(|p| (p.name.clone(), p.version.clone())).collect();
    let is_duplicate = |p: &Package| sourceless(p) && known.contains(&(p.name.clone(), p.version.clone()));
    packages.into_iter().filter(|p| !is_duplicate(p)).collect()
}

/// The gap of the packages that are left without a source.
pub(super) fn gap(packages: &[Package]) -> Option<Gap> {
    let package = packages.iter().find(|p| sourceless(p))?;
    let subject = package.locations.first().map(|l| l.path.clone()).unwrap_or_default();
    let message =
        "it does not name the source packages of what it lists, and advisories do; packages whose names differ \
                   from their source's are not matched"
            .to_owned();
    Some(Gap { kind: GapKind::Unclear, subject, message })
}

fn sourceless(package: &Package) -> bool {
    package.kind == PackageType::Deb && package.source_name.is_empty() && !package.is_foreign_copy()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_without_a_source_are_one_gap() {
        let package = |name: &str, source: &str| -> Package {
            let json =
                format!(r#"{{"type":"deb","name":"{name}","version":"1","sourceName":"{source}","locations":[]}}"#);
            serde_json::from_str(&json).unwrap()
        };
        let check = |packages: &[(&str, &str)], left: usize, gap_expected: bool| {
            let left_over = without_duplicates(packages.iter().map(|(name, source)| package(name, source)).collect());
            assert_eq!((left_over.len(), gap(&left_over).is_some()), (left, gap_expected), "{packages:?}");
        };
        check(&[("libc6", "glibc")], 1, false);
        check(&[("libc6", "")], 1, true);
        check(&[("libc6", ""), ("libc6", "glibc")], 1, false);
        check(&[("libc6", ""), ("bash", "bash")], 2, true);
    }
}
