//! Where advisories and packages meet: an ecosystem and, for distributions, one of its releases.

mod distro;

use crate::version::Order;
use serde::{Deserialize, Serialize};
use std::fmt;

/// An OSV ecosystem: `Debian:12`, `Alpine:v3.20`, `npm`, `PyPI`
/// (OSV schema, "Defined ecosystems"). Names keep their published spelling.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct Ecosystem {
    base: String,
    release: Option<String>,
}

impl Ecosystem {
    /// The ecosystem without a release: `npm`.
    pub fn new(base: &str) -> Self {
        Ecosystem { base: base.to_owned(), release: None }
    }

    /// The ecosystem of one release: `Debian` and `12`.
    pub fn with_release(base: &str, release: &str) -> Self {
        Ecosystem { base: base.to_owned(), release: Some(release.to_owned()) }
    }

    /// The part before the first colon.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The part after the first colon.
    pub fn release(&self) -> Option<&str> {
        self.release.as_deref()
    }

    /// The ecosystem that rows and packages meet in. Red Hat names one for each repository; those of one release
    /// (`enterprise_linux:9::appstream`) are judged together, as an image has packages of all and names one. Extended
    /// support (`rhel_eus:9.2::baseos`) is apart.
    #[must_use]
    pub fn canonical(self) -> Self {
        let version = self.release.as_deref().filter(|_| self.base == "Red Hat");
        let version = version.and_then(|r| r.strip_prefix("enterprise_linux:"));
        let version = version.map(|v| v.split_once("::").map_or(v, |(version, _)| version));
        match version.and_then(|v| v.parse::<u16>().ok()) {
            Some(major) => {
                let repository = if major < 8 { "server" } else { "baseos" };
                Ecosystem::with_release("Red Hat", &format!("enterprise_linux:{major}::{repository}"))
            }
            None => self,
        }
    }

    /// The order of this ecosystem's versions (OSV schema, "Defined ecosystems");
    /// `None` for those without one: `GIT`, whose versions are commits, and unknown names.
    pub fn order(&self) -> Option<Order> {
        match self.base.as_str() {
            "Echo" => Some(self.echo_order()),
            "Debian" | "Ubuntu" => Some(Order::Deb),
            "Alpine" | "Wolfi" | "Chainguard" | "MinimOS" | "Alpaquita" | "BellSoft Hardened Containers" => {
                Some(Order::Apk)
            }
            "AlmaLinux" | "Amazon Linux" | "Azure Linux" | "CentOS" | "CentOS Stream" | "Fedora" | "Mageia"
            | "Oracle Linux" | "Photon OS" | "Red Hat" | "Rocky Linux" | "SUSE" | "openEuler" | "openSUSE" => {
                Some(Order::Rpm)
            }
            "npm" | "crates.io" | "Hex" | "Bitnami" | "Bioconductor" | "ConanCenter" | "GitHub Actions"
            | "SwiftURL" | "VSCode" => Some(Order::SemVer),
            "Pub" | "Julia" => Some(Order::SemVerBuild),
            "Go" => Some(Order::Go),
            "PyPI" => Some(Order::Pep440),
            "Maven" => Some(Order::Maven),
            "RubyGems" => Some(Order::RubyGems),
            "NuGet" => Some(Order::NuGet),
            "Packagist" => Some(Order::Packagist),
            "CRAN" => Some(Order::Cran),
            "Hackage" | "GHC" => Some(Order::Hackage),
            _ => None,
        }
    }

    /// Echo rebuilds packages of other ecosystems as `+echo.N`; its own are Debian's.
    fn echo_order(&self) -> Order {
        match self.release() {
            Some("PyPI") => Order::Pep440,
            Some("Maven") => Order::Maven,
            Some("npm") => Order::SemVerBuild,
            _ => Order::Deb,
        }
    }

    /// A package name as this ecosystem compares it: PEP 503 for PyPI, without regard to case for NuGet
    /// and Packagist, elsewhere the name itself.
    pub fn normalize(&self, name: &str) -> String {
        match self.base.as_str() {
            "PyPI" => pep503(name),
            "NuGet" | "Packagist" => name.to_lowercase(),
            _ => name.to_owned(),
        }
    }
}

/// PEP 503: lower case, every run of `-`, `_` and `.` becomes one `-`.
fn pep503(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for c in name.chars() {
        if matches!(c, '-' | '_' | '.') {
            if !out.ends_with('-') {
                out.push('-');
            }
        } else {
            out.extend(c.to_lowercase());
        }
    }
    out
}

impl From<String> for Ecosystem {
    fn from(s: String) -> Self {
        match s.split_once(':') {
            Some((base, release)) => Ecosystem::with_release(base, release),
            None => Ecosystem { base: s, release: None },
        }
    }
}

impl From<&str> for Ecosystem {
    fn from(s: &str) -> Self {
        s.to_owned().into()
    }
}

impl From<Ecosystem> for String {
    fn from(e: Ecosystem) -> Self {
        e.to_string()
    }
}

impl fmt::Display for Ecosystem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.release {
            Some(r) => write!(f, "{}:{r}", self.base),
            None => f.write_str(&self.base),
        }
    }
}

/// An operating system as its os-release names it, and the ecosystem its packages are judged by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "camelCase")]
pub struct Os {
    /// `ID`: `debian`, `alpine`.
    pub id: String,
    /// `VERSION_ID`, empty for rolling releases.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub version_id: String,
    /// `VERSION_CODENAME`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub codename: String,
    /// `CPE_NAME`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub cpe_name: String,
    /// `PRETTY_NAME`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub pretty_name: String,
}

impl Os {
    /// The advisory ecosystem of exactly this release; `None` when no release can be told.
    /// `ID_LIKE` is not followed: a derivative's packages are not the original's.
    pub fn ecosystem(&self) -> Option<Ecosystem> {
        match self.id.as_str() {
            "debian" => self.debian(),
            "alpine" => Some(alpine(&self.version_id)),
            "ubuntu" => self.ubuntu(),
            "wolfi" => Some(Ecosystem::new("Wolfi")),
            "chainguard" => Some(Ecosystem::new("Chainguard")),
            "minimos" => Some(Ecosystem::new("MinimOS")),
            "echo" => Some(Ecosystem::new("Echo")),
            "arch" | "archlinux" => Some(Ecosystem::new("Arch Linux")),
            _ => self.rpm_ecosystem(),
        }
    }

    fn debian(&self) -> Option<Ecosystem> {
        let major = self.version_id.split('.').next().unwrap_or_default();
        if !major.is_empty() {
            return Some(Ecosystem::with_release("Debian", major));
        }
        // Testing and unstable carry no VERSION_ID; their codename is all there is.
        let codename = match self.codename.as_str() {
            "" => self.pretty_name.rsplit('/').next().filter(|c| *c == "sid")?,
            named => named,
        };
        Some(Ecosystem::with_release("Debian", codename))
    }

    fn ubuntu(&self) -> Option<Ecosystem> {
        let (year, month) = self.version_id.split_once('.')?;
        // Every second April release is long-term support, and the ecosystem's name says so.
        let lts = month == "04" && year.parse::<u16>().is_ok_and(|y| y % 2 == 0);
        let release = if lts { format!("{}:LTS", self.version_id) } else { self.version_id.clone() };
        Some(Ecosystem::with_release("Ubuntu", &release))
    }
}

fn alpine(version_id: &str) -> Ecosystem {
    let mut parts = version_id.split('.');
    match (parts.next(), parts.next()) {
        (Some(major), Some(minor)) if !version_id.contains("_alpha") && !minor.is_empty() => {
            Ecosystem::with_release("Alpine", &format!("v{major}.{minor}"))
        }
        _ => Ecosystem::with_release("Alpine", "edge"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn os_release_maps_to_one_ecosystem() {
        let check = |id: &str, version: &str, codename: &str, expected: Option<&str>| {
            let os = Os { id: id.into(), version_id: version.into(), codename: codename.into(), ..Os::default() };
            assert_eq!(os.ecosystem().map(|e| e.to_string()).as_deref(), expected, "{id} {version}");
        };
        check("debian", "12", "bookworm", Some("Debian:12"));
        check("debian", "12.5", "bookworm", Some("Debian:12"));
        check("debian", "", "trixie", Some("Debian:trixie"));
        check("debian", "", "", None);
        check("alpine", "3.18.4", "", Some("Alpine:v3.18"));
        check("alpine", "3.19_alpha20230901", "", Some("Alpine:edge"));
        check("ubuntu", "22.04", "jammy", Some("Ubuntu:22.04:LTS"));
        check("ubuntu", "23.10", "mantic", Some("Ubuntu:23.10"));
        check("gentoo", "2", "", None);
    }

    #[test]
    fn names_are_normalised_by_their_ecosystem() {
        let check = |eco: &str, name: &str, expected: &str| {
            assert_eq!(Ecosystem::from(eco).normalize(name), expected);
        };
        check("PyPI", "Zope._Interface", "zope-interface");
        check("npm", "@Scope/Name", "@Scope/Name");
        check("Debian:12", "openssl", "openssl");
        check("NuGet", "Newtonsoft.Json", "newtonsoft.json");
        check("Packagist", "Symfony/HTTP-Kernel", "symfony/http-kernel");
        check("Go", "github.com/Azure/azure-sdk", "github.com/Azure/azure-sdk");
        check("Maven", "org.Example:Name", "org.Example:Name");
    }

    #[test]
    fn ecosystems_have_their_order() {
        let check = |eco: &str, expected: Option<Order>| assert_eq!(Ecosystem::from(eco).order(), expected, "{eco}");
        for rpm in ["AlmaLinux:9", "Red Hat:enterprise_linux:9::baseos", "openSUSE:Leap 15.6", "Azure Linux:3"] {
            check(rpm, Some(Order::Rpm));
        }
        check("Ubuntu:Pro:22.04:LTS", Some(Order::Deb));
        check("crates.io", Some(Order::SemVer));
        check("Pub", Some(Order::SemVerBuild));
        check("Go", Some(Order::Go));
        check("Echo", Some(Order::Deb));
        check("Echo:npm", Some(Order::SemVerBuild));
        check("GIT", None);
        check("nonsense", None);
    }

    #[test]
    fn repositories_of_one_release_are_one() {
        let check = |eco: &str, expected: &str| assert_eq!(Ecosystem::from(eco).canonical().to_string(), expected);
        check("Red Hat:enterprise_linux:9::appstream", "Red Hat:enterprise_linux:9::baseos");
        check("Red Hat:enterprise_linux:8", "Red Hat:enterprise_linux:8::baseos");
        check("Red Hat:enterprise_linux:7::client", "Red Hat:enterprise_linux:7::server");
        check("Red Hat:rhel_eus:9.2::baseos", "Red Hat:rhel_eus:9.2::baseos");
        check("Debian:12", "Debian:12");
    }

    #[test]
    fn text_form_round_trips() {
        for s in ["Debian:12", "npm", "Ubuntu:22.04:LTS", "Red Hat:enterprise_linux:9::baseos"] {
            assert_eq!(Ecosystem::from(s).to_string(), s);
        }
    }
}
