//! SBOMs in a Python distribution's `sboms` directory (PEP 770): what its builder copied into it. auditwheel names libraries by
//! the packages of the distribution that it ran on, without their epochs, and the wheel by its file's name.

use super::super::own::comparable;
use crate::path;
use tidewaiter_core::package::{Package, PackageType};

/// The distribution that an SBOM is in.
pub(super) struct Wheel<'p> {
    /// As the name of its directory spells it.
    name: &'p str,
}

impl<'p> Wheel<'p> {
    /// The distribution whose SBOM is at a path.
    pub(super) fn at(path: &'p str) -> Option<Self> {
        let (dir, sboms) = path::split(path::split(path).0);
        let named = path::split(dir).1.strip_suffix(".dist-info").filter(|_| sboms == "sboms")?;
        Some(Wheel { name: named.split_once('-').map_or(named, |(name, _)| name) })
    }

    /// A component as a part of the distribution, which also lists itself.
    pub(super) fn part(&self, package: Package, purl: &str) -> Package {
        let kind = PackageType::Pypi;
        let itself = package.kind == kind && comparable(kind, &package.name) == comparable(kind, self.name);
        let vendor = if package.kind.is_os() { namespace(purl) } else { "" };
        Package { vendored: !itself, vendor: vendor.to_owned(), ..package }
    }
}

/// The distribution that a purl of a package of an operating system names.
pub(super) fn namespace(purl: &str) -> &str {
    let mut parts = purl.split(['?', '#']).next().unwrap_or_default().split('/');
    parts.nth(1).filter(|_| parts.next().is_some()).unwrap_or_default()
}
