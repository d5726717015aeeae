//! Packages of operating systems that SBOMs name. What the image's own database has too is that package, in whichever version
//! the SBOM was written with: the database says what is installed. The rest came from elsewhere, as files of a stage that was
//! built before, or out of a wheel's builder: it is listed as a copy, and never judged as the image's own.

use crate::engine::contents::PresentSince;
use std::collections::BTreeSet;
use tidewaiter_core::package::PackageType;

/// Removes copies that the image's databases list as installed. Those in a wheel are files of their own.
pub(super) fn without_installed(since: PresentSince) -> PresentSince {
    let installed = since.keys().map(|(package, _)| package).filter(|p| p.kind.is_os() && !p.is_foreign_copy());
    let installed: BTreeSet<(PackageType, String)> = installed.map(|p| (p.kind, p.name.clone())).collect();
    let mut since = since;
    since.retain(|(package, path), _| {
        let of_wheel = path.contains(".dist-info/sboms/");
        !package.is_foreign_copy() || of_wheel || !installed.contains(&(package.kind, package.name.clone()))
    });
    since
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidewaiter_core::package::Package;

    #[test]
    fn what_a_database_lists_is_no_copy() {
        let check = |found: &[(PackageType, &str, bool, &str)], expected: &[&str]| {
            let since = found.iter().map(|(kind, name, vendored, path)| {
                ((Package { vendored: *vendored, ..Package::new(*kind, *name, "1") }, (*path).to_owned()), 0)
            });
            let left = without_installed(since.collect());
            assert_eq!(left.keys().map(|(_, path)| path.as_str()).collect::<Vec<_>>(), expected, "{found:?}");
        };
        use PackageType::{Apk, Deb, Npm};
        let (database, sbom) = ("var/lib/dpkg/status", "cnb/sbom/a.cdx.json");
        check(&[(Deb, "zlib1g", false, database), (Deb, "zlib1g", true, sbom)], &[database]);
        check(&[(Deb, "bash", false, database), (Deb, "zlib1g", true, sbom)], &[database, sbom]);
        check(&[(Apk, "zlib1g", false, database), (Deb, "zlib1g", true, sbom)], &[sbom, database]);
        check(
            &[(Npm, "a", false, "a/package.json"), (Npm, "a", true, "b/package.json")],
            &["a/package.json", "b/package.json"],
        );
        let wheel = "a-1.dist-info/sboms/auditwheel.cdx.json";
        check(&[(Deb, "zlib1g", false, database), (Deb, "zlib1g", true, wheel)], &[database, wheel]);
    }
}
