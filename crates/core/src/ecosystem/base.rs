//! The part of an ecosystem before its release: `Debian`, `npm`.

use std::cmp::Ordering;
use std::fmt;

macro_rules! bases {
    ($($base:ident = $name:literal,)*) => {
        /// An ecosystem without its release. Names keep their published spelling; a text becomes a base with `from`.
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        pub enum EcosystemBase {
            $(#[doc = concat!("`", $name, "`.")] $base,)*
            /// One that has no rules here.
            Other(String),
        }

        impl EcosystemBase {
            /// The name, as it is published.
            pub fn as_str(&self) -> &str {
                match self {
                    $(EcosystemBase::$base => $name,)*
                    EcosystemBase::Other(name) => name,
                }
            }
        }

        impl From<&str> for EcosystemBase {
            fn from(name: &str) -> Self {
                match name {
                    $($name => EcosystemBase::$base,)*
                    other => EcosystemBase::Other(other.to_owned()),
                }
            }
        }
    };
}

// Those of the OSV schema ("Defined ecosystems"), and those of distributions that it does not list.
bases! {
    Alpaquita = "Alpaquita",
    Alpine = "Alpine",
    AlmaLinux = "AlmaLinux",
    AmazonLinux = "Amazon Linux",
    ArchLinux = "Arch Linux",
    AzureLinux = "Azure Linux",
    BellSoft = "BellSoft Hardened Containers",
    Bioconductor = "Bioconductor",
    Bitnami = "Bitnami",
    CentOs = "CentOS",
    CentOsStream = "CentOS Stream",
    Chainguard = "Chainguard",
    CleanStart = "CleanStart",
    ConanCenter = "ConanCenter",
    Cran = "CRAN",
    CratesIo = "crates.io",
    Debian = "Debian",
    DockerHardenedImages = "Docker Hardened Images",
    Echo = "Echo",
    Fedora = "Fedora",
    Ghc = "GHC",
    GitHubActions = "GitHub Actions",
    Go = "Go",
    Hackage = "Hackage",
    Hex = "Hex",
    Julia = "Julia",
    Kylin = "Kylin",
    Mageia = "Mageia",
    Maven = "Maven",
    MinimOs = "MinimOS",
    Npm = "npm",
    NuGet = "NuGet",
    OpenEuler = "openEuler",
    OpenSuse = "openSUSE",
    OracleLinux = "Oracle Linux",
    Packagist = "Packagist",
    PhotonOs = "Photon OS",
    PostmarketOs = "postmarketOS",
    Pub = "Pub",
    PyPi = "PyPI",
    Raspbian = "Raspbian",
    RedHat = "Red Hat",
    RockyLinux = "Rocky Linux",
    Root = "Root",
    RubyGems = "RubyGems",
    SecureOs = "SecureOS",
    Suse = "SUSE",
    SwiftUrl = "SwiftURL",
    TuxCare = "TuxCare",
    Ubuntu = "Ubuntu",
    VsCode = "VSCode",
    Wolfi = "Wolfi",
}

impl Default for EcosystemBase {
    /// Without a name.
    fn default() -> Self {
        EcosystemBase::Other(String::new())
    }
}

impl PartialOrd for EcosystemBase {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for EcosystemBase {
    /// By name: the order of rows and tables does not depend on which names have rules.
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl fmt::Display for EcosystemBase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_and_order_as_text() {
        let mut names = ["npm", "Debian", "LuaRocks", "Go", "", "crates.io", "GIT"];
        let mut bases = names.map(EcosystemBase::from);
        for (name, base) in names.iter().zip(&bases) {
            assert_eq!(base.as_str(), *name);
        }
        assert_eq!(bases[1], EcosystemBase::Debian);
        assert_eq!(bases[2], EcosystemBase::Other("LuaRocks".to_owned()));
        names.sort_unstable();
        bases.sort_unstable();
        assert_eq!(bases.each_ref().map(EcosystemBase::as_str), names);
    }
}
