//! Version orders: total, mostly allocation-free comparisons of version texts, one per family of ecosystems.
//!
//! Every order is defined for every text: a version that its scheme does not know still has a place,
//! so that sorting hostile input never fails.

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
#[cfg(test)]
mod tests;

use std::cmp::Ordering;

/// How versions of an ecosystem compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Order {
    /// dpkg: deb-version(7).
    Deb,
    /// apk-tools: apk-package(5), `version.c`.
    Apk,
    /// rpm: rpm-version(7), `rpmvercmp`.
    Rpm,
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
    /// CRAN: R's `package_version`.
    Cran,
    /// Hackage: Haskell's `Data.Version`.
    Hackage,
}

impl Order {
    /// The order named by the first part of a vector file's name (`debian-versions.txt`).
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "debian" | "ubuntu" | "echo" => Some(Order::Deb),
            "alpine" | "wolfi" | "chainguard" | "minimos" => Some(Order::Apk),
            "redhat" | "rpm" | "almalinux" | "rocky" | "suse" | "opensuse" | "mageia" | "openeuler" => Some(Order::Rpm),
            "semver" | "npm" | "crates" | "cargo" | "hex" | "bitnami" => Some(Order::SemVer),
            "pub" | "julia" | "echo-npm" => Some(Order::SemVerBuild),
            "go" => Some(Order::Go),
            "pypi" => Some(Order::Pep440),
            "maven" => Some(Order::Maven),
            "rubygems" => Some(Order::RubyGems),
            "nuget" => Some(Order::NuGet),
            "packagist" => Some(Order::Packagist),
            "cran" => Some(Order::Cran),
            "hackage" => Some(Order::Hackage),
            _ => None,
        }
    }

    /// Compares two versions.
    pub fn compare(self, a: &str, b: &str) -> Ordering {
        match self {
            Order::Deb => deb::compare(a, b),
            Order::Apk => apk::compare(a, b),
            Order::Rpm => rpm::compare(a, b),
            Order::SemVer => semver::compare(a, b),
            Order::SemVerBuild => semver_build::compare(a, b),
            Order::Go => go::compare(a, b),
            Order::Pep440 => pep440::compare(a, b),
            Order::Maven => maven::compare(a, b),
            Order::RubyGems => rubygems::compare(a, b),
            Order::NuGet => nuget::compare(a, b),
            Order::Packagist => packagist::compare(a, b),
            Order::Cran => numbers::compare(a, b, numbers::CRAN),
            Order::Hackage => numbers::compare(a, b, numbers::HACKAGE),
        }
    }

    /// Whether the scheme accepts the text as a version.
    pub fn is_valid(self, version: &str) -> bool {
        match self {
            Order::Deb => deb::is_valid(version),
            Order::Apk => apk::is_valid(version),
            Order::Rpm => rpm::is_valid(version),
            Order::SemVer | Order::SemVerBuild => semver::is_valid(version),
            Order::Go => go::is_valid(version),
            Order::Pep440 => pep440::is_valid(version),
            Order::Maven => maven::is_valid(version),
            Order::RubyGems => rubygems::is_valid(version),
            Order::NuGet => nuget::is_valid(version),
            Order::Packagist => packagist::is_valid(version),
            Order::Cran => numbers::is_valid(version, numbers::CRAN),
            Order::Hackage => numbers::is_valid(version, numbers::HACKAGE),
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

/// Compares item by item; the sequence that ends first goes on with `filler`.
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
