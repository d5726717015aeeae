//! The kinds of packages, below the ecosystems: distributions are named by their package manager.

use serde::{Deserialize, Serialize};

/// The kind of a package, named by its purl type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PackageType {
    /// dpkg.
    Deb,
    /// apk-tools.
    Apk,
    /// Node.js packages.
    Npm,
    /// Python distributions.
    Pypi,
    /// rpm.
    Rpm,
    /// pacman.
    Alpm,
    /// Ruby gems.
    Gem,
    /// PHP packages of Composer; names are `vendor/name`.
    Composer,
    /// Java archives; names are `group:artifact`.
    Maven,
    /// Go modules, and the standard library as `stdlib`.
    Golang,
    /// Rust crates.
    Cargo,
    /// .NET packages.
    Nuget,
    /// R packages.
    Cran,
    /// Erlang and Elixir applications.
    Hex,
    /// Dart packages.
    Pub,
    /// Julia packages.
    Julia,
    /// Swift packages; names are the repository's address without scheme.
    Swift,
    /// Lua rocks.
    Luarocks,
    /// Conda packages.
    Conda,
    /// Components of Bitnami images.
    Bitnami,
    /// Programs outside any package manager, detected by their content.
    Generic,
}

impl PackageType {
    /// The purl type, and the ecosystem of its packages; empty for OS packages, whose ecosystem is the image's OS.
    pub(crate) const fn names(self) -> (&'static str, &'static str) {
        match self {
            PackageType::Deb => ("deb", ""),
            PackageType::Apk => ("apk", ""),
            PackageType::Rpm => ("rpm", ""),
            PackageType::Alpm => ("alpm", ""),
            PackageType::Npm => ("npm", "npm"),
            PackageType::Pypi => ("pypi", "PyPI"),
            PackageType::Gem => ("gem", "RubyGems"),
            PackageType::Composer => ("composer", "Packagist"),
            PackageType::Maven => ("maven", "Maven"),
            PackageType::Golang => ("golang", "Go"),
            PackageType::Cargo => ("cargo", "crates.io"),
            PackageType::Nuget => ("nuget", "NuGet"),
            PackageType::Cran => ("cran", "CRAN"),
            PackageType::Hex => ("hex", "Hex"),
            PackageType::Pub => ("pub", "Pub"),
            PackageType::Julia => ("julia", "Julia"),
            PackageType::Swift => ("swift", "SwiftURL"),
            // No advisories are published for these: reports name them as not covered.
            PackageType::Luarocks => ("luarocks", "LuaRocks"),
            PackageType::Conda => ("conda", "conda"),
            // Bitnami's records are about upstream programs, by upstream versions.
            PackageType::Bitnami => ("bitnami", "Bitnami"),
            PackageType::Generic => ("generic", "Bitnami"),
        }
    }

    /// The purl type.
    pub const fn purl_type(self) -> &'static str {
        self.names().0
    }

    /// Whether the package belongs to the operating system's package manager.
    pub const fn is_os(self) -> bool {
        self.names().1.is_empty()
    }
}
