//! Version schemes: total, mostly allocation-free orders of version texts, one per family of ecosystems.
//!
//! Every order is defined for every text: a version that is invalid in its scheme still has a place, so that sorting
//! hostile input never fails.

mod alpm;
mod apk;
mod deb;
mod go;
mod maven;
mod nuget;
mod numbers;
mod packagist;
mod pep440;
mod rpm;
mod rubygems;
mod semver;
mod semver_build;
pub mod span;
#[cfg(test)]
mod tests;

use std::cmp::Ordering;

/// How versions of an ecosystem compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum VersionScheme {
    /// dpkg: deb-version(7).
    Deb,
    /// apk-tools: apk-package(5), `version.c`.
    Apk,
    /// rpm: rpm-version(7), `rpmvercmp`.
    Rpm,
    /// pacman: vercmp(8).
    Alpm,
    /// Semantic Versioning 2.0.0, lenient about a leading `v` and missing parts.
    SemVer,
    /// Semantic Versioning where build metadata counts: pub_semver, Julia's `VersionNumber`.
    SemVerBuild,
    /// Go: modules (Go Modules Reference, "Versions") and toolchain releases.
    Go,
    /// PEP 440, and the older setuptools order for what PEP 440 does not accept.
    Pep440,
    /// Maven: `ComparableVersion`, POM reference, "Version Order Specification".
    Maven,
    /// RubyGems: `Gem::Version`.
    RubyGems,
    /// NuGet: package versioning, `NuGetVersion`.
    NuGet,
    /// Packagist: PHP's `version_compare`.
    Packagist,
    /// CRAN: R's `compareVersion`.
    Cran,
    /// Hackage: Haskell's `Data.Version`.
    Hackage,
}

impl VersionScheme {
    /// The scheme named by the first part of a vector file's name (`debian-versions.txt`).
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "debian" | "ubuntu" | "echo" => Some(VersionScheme::Deb),
            "alpine" | "wolfi" | "chainguard" | "minimos" => Some(VersionScheme::Apk),
            "redhat" | "rpm" | "almalinux" | "rocky" | "suse" | "opensuse" | "mageia" | "openeuler" => {
                Some(VersionScheme::Rpm)
            }
            "arch" => Some(VersionScheme::Alpm),
            "semver" | "npm" | "crates" | "cargo" | "hex" | "bitnami" => Some(VersionScheme::SemVer),
            "pub" | "julia" | "echo-npm" => Some(VersionScheme::SemVerBuild),
            "go" => Some(VersionScheme::Go),
            "pypi" => Some(VersionScheme::Pep440),
            "maven" => Some(VersionScheme::Maven),
            "rubygems" => Some(VersionScheme::RubyGems),
            "nuget" => Some(VersionScheme::NuGet),
            "packagist" => Some(VersionScheme::Packagist),
            "cran" => Some(VersionScheme::Cran),
            "hackage" => Some(VersionScheme::Hackage),
            _ => None,
        }
    }

    /// Compares two versions.
    pub fn compare(self, a: &str, b: &str) -> Ordering {
        match self {
            VersionScheme::Deb => deb::compare(a, b),
            VersionScheme::Apk => apk::compare(a, b),
            VersionScheme::Rpm => rpm::compare(a, b),
            VersionScheme::Alpm => alpm::compare(a, b),
            VersionScheme::SemVer => semver::compare(a, b),
            VersionScheme::SemVerBuild => semver_build::compare(a, b),
            VersionScheme::Go => go::compare(a, b),
            VersionScheme::Pep440 => pep440::compare(a, b),
            VersionScheme::Maven => maven::compare(a, b),
            VersionScheme::RubyGems => rubygems::compare(a, b),
            VersionScheme::NuGet => nuget::compare(a, b),
            VersionScheme::Packagist => packagist::compare(a, b),
            VersionScheme::Cran => numbers::compare(a, b, numbers::CRAN),
            VersionScheme::Hackage => numbers::compare(a, b, numbers::HACKAGE),
        }
    }

    /// Whether the scheme accepts the text as a version.
    pub fn is_valid(self, version: &str) -> bool {
        match self {
            VersionScheme::Deb => deb::is_valid(version),
            VersionScheme::Apk => apk::is_valid(version),
            VersionScheme::Rpm | VersionScheme::Alpm => rpm::is_valid(version),
            VersionScheme::SemVer | VersionScheme::SemVerBuild => semver::is_valid(version),
            VersionScheme::Go => go::is_valid(version),
            VersionScheme::Pep440 => pep440::is_valid(version),
            VersionScheme::Maven => maven::is_valid(version),
            VersionScheme::RubyGems => rubygems::is_valid(version),
            VersionScheme::NuGet => nuget::is_valid(version),
            VersionScheme::Packagist => packagist::is_valid(version),
            VersionScheme::Cran => numbers::is_valid(version, numbers::CRAN),
            VersionScheme::Hackage => numbers::is_valid(version, numbers::HACKAGE),
        }
    }
}

/// Compares two runs of ASCII digits by value, of any length.
fn numeric(a: &str, b: &str) -> Ordering {
    let (a, b) = (a.trim_start_matches('0'), b.trim_start_matches('0'));
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

/// Splits a leading run of ASCII digits off.
fn digits(s: &str) -> (&str, &str) {
    s.split_at(s.bytes().position(|b| !b.is_ascii_digit()).unwrap_or(s.len()))
}

/// Splits a leading run of ASCII letters off.
fn letters(s: &str) -> (&str, &str) {
    s.split_at(s.bytes().position(|b| !b.is_ascii_alphabetic()).unwrap_or(s.len()))
}

/// Compares item by item; the shorter sequence is filled with `filler`.
fn padded<T: Copy>(
    mut a: impl Iterator<Item = T>,
    mut b: impl Iterator<Item = T>,
    filler: T,
    compare: impl Fn(T, T) -> Ordering,
) -> Ordering {
    loop {
        match (a.next(), b.next()) {
            (None, None) => return Ordering::Equal,
            (x, y) => match compare(x.unwrap_or(filler), y.unwrap_or(filler)) {
                Ordering::Equal => {}
                unequal => return unequal,
            },
        }
    }
}
