//! Ecosystems: where names and versions of packages have their meaning; for distributions, with a release.

mod alpine;
mod amazon;
mod askable;
mod base;
mod debian;
mod distro;
mod rebuilt;

pub use alpine::{AlpineBranch, ApkRepository};
pub use amazon::AMAZON_EXTRAS;
pub use base::EcosystemBase;
pub use distro::{DISTRIBUTIONS, Distribution};
pub use rebuilt::Rebuilder;

use crate::version::VersionScheme;
use serde::{Deserialize, Serialize};
use std::fmt;

/// An OSV ecosystem: `Debian:12`, `Alpine:v3.20`, `npm`, `PyPI`
/// (OSV schema, "Defined ecosystems"). Names keep their published spelling.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct Ecosystem {
    base: EcosystemBase,
    release: Option<String>,
}

impl Ecosystem {
    /// The ecosystem without a release: `npm`.
    pub fn new(base: impl Into<EcosystemBase>) -> Self {
        Ecosystem { base: base.into(), release: None }
    }

    /// The ecosystem of one release: `Debian` and `12`.
    pub fn with_release(base: impl Into<EcosystemBase>, release: &str) -> Self {
        Ecosystem { base: base.into(), release: Some(release.to_owned()) }
    }

    /// The part before the first colon.
    pub fn base(&self) -> &EcosystemBase {
        &self.base
    }

    /// The part after the first colon.
    pub fn release(&self) -> Option<&str> {
        self.release.as_deref()
    }

    /// The name under which rows are stored and looked up. Some distributions publish one release under several names, of
    /// which an image names one and has packages of all: those are one ecosystem. Extended support has other builds of
    /// the same packages and stays apart.
    #[must_use]
    pub fn canonical(self) -> Self {
        let release = self.release.as_deref().unwrap_or_default();
        let one = match &self.base {
            EcosystemBase::RedHat => red_hat_release(release),
            EcosystemBase::Suse => suse_release(release),
            EcosystemBase::Debian => debian::release(release).map(str::to_owned),
            EcosystemBase::DockerHardenedImages => docker_release(release),
            EcosystemBase::Root | EcosystemBase::TuxCare => rebuilt::canonical_release(release),
            EcosystemBase::CentOs | EcosystemBase::CentOsStream => return red_hat_of(release),
            // The suffix of a language names the repository that the package is from: an image does not know it.
            _ if self.is_language() => return Ecosystem { release: None, ..self },
            _ => None,
        };
        match one {
            Some(release) => Ecosystem { release: Some(release), ..self },
            None => self,
        }
    }

    /// How this ecosystem's versions are ordered (OSV schema, "Defined ecosystems"); `None` where they are not: `GIT`, whose
    /// versions are commits, and unknown names.
    pub fn version_scheme(&self) -> Option<VersionScheme> {
        use EcosystemBase as Base;
        match &self.base {
            Base::Echo => Some(self.echo_scheme()),
            Base::DockerHardenedImages | Base::Root | Base::TuxCare => {
                self.upstream().and_then(|upstream| upstream.version_scheme())
            }
            Base::Debian | Base::Ubuntu | Base::Raspbian => Some(VersionScheme::Deb),
            // Two products with different package managers, and no advisories of either that are open.
            Base::Kylin => None,
            Base::Alpine
            | Base::Wolfi
            | Base::Chainguard
            | Base::MinimOs
            | Base::Alpaquita
            | Base::BellSoft
            | Base::CleanStart
            | Base::SecureOs
            | Base::PostmarketOs => Some(VersionScheme::Apk),
            Base::AlmaLinux
            | Base::AmazonLinux
            | Base::AzureLinux
            | Base::CentOs
            | Base::CentOsStream
            | Base::Fedora
            | Base::Mageia
            | Base::OracleLinux
            | Base::PhotonOs
            | Base::RedHat
            | Base::RockyLinux
            | Base::Suse
            | Base::OpenEuler
            | Base::OpenSuse => Some(VersionScheme::Rpm),
            Base::Npm
            | Base::CratesIo
            | Base::Hex
            | Base::Bitnami
            | Base::Bioconductor
            | Base::ConanCenter
            | Base::GitHubActions
            | Base::SwiftUrl
            | Base::VsCode => Some(VersionScheme::SemVer),
            Base::Pub | Base::Julia => Some(VersionScheme::SemVerBuild),
            Base::Go => Some(VersionScheme::Go),
            Base::PyPi => Some(VersionScheme::Pep440),
            Base::Maven => Some(VersionScheme::Maven),
            Base::RubyGems => Some(VersionScheme::RubyGems),
            Base::NuGet => Some(VersionScheme::NuGet),
            Base::Packagist => Some(VersionScheme::Packagist),
            Base::Cran => Some(VersionScheme::Cran),
            Base::Hackage | Base::Ghc => Some(VersionScheme::Hackage),
            Base::ArchLinux => Some(VersionScheme::Alpm),
            Base::Other(_) => None,
        }
    }

    /// Whether its packages are a programming language's: they have no releases of a distribution.
    fn is_language(&self) -> bool {
        use VersionScheme as S;
        let of_os = |scheme| matches!(scheme, S::Deb | S::Apk | S::Rpm | S::Alpm);
        let is_rebuilt = matches!(self.base, EcosystemBase::Echo | EcosystemBase::Root | EcosystemBase::TuxCare);
        !is_rebuilt && self.version_scheme().is_some_and(|scheme| !of_os(scheme))
    }

    /// Echo rebuilds packages of other ecosystems as `+echo.N`; its own packages have Debian's versions.
    fn echo_scheme(&self) -> VersionScheme {
        match self.release() {
            Some("PyPI") => VersionScheme::Pep440,
            Some("Maven") => VersionScheme::Maven,
            Some("npm") => VersionScheme::SemVerBuild,
            _ => VersionScheme::Deb,
        }
    }

    /// The ecosystem whose packages are built again: `Alpine:3.24` of `Docker Hardened Images:Alpine:3.24`, `npm` of
    /// `TuxCare:npm`.
    pub fn upstream(&self) -> Option<Ecosystem> {
        let release = self.release.as_deref()?;
        match self.base {
            EcosystemBase::Root | EcosystemBase::TuxCare => rebuilt::original(&self.base, release),
            EcosystemBase::DockerHardenedImages => {
                Some(Ecosystem::from(release)).filter(|upstream| upstream.base != EcosystemBase::DockerHardenedImages)
            }
            _ => None,
        }
    }

    /// A package name as this ecosystem compares it: PEP 503 for PyPI, without regard to case for NuGet
    /// and Packagist, the original's for what was built again, elsewhere the name itself.
    pub fn normalize(&self, name: &str) -> String {
        match &self.base {
            EcosystemBase::PyPi => pep503(name),
            EcosystemBase::NuGet | EcosystemBase::Packagist => name.to_lowercase(),
            EcosystemBase::Root | EcosystemBase::TuxCare => rebuilt::normalize(self, name),
            _ => name.to_owned(),
        }
    }
}

/// One name for each repository and minor version: `enterprise_linux:9::appstream`, from 10 on `enterprise_linux:10.1`.
/// Extended support: `rhel_eus:9.2::baseos`, `enterprise_linux_eus:10.2`.
fn red_hat_release(release: &str) -> Option<String> {
    let major: u16 = release.strip_prefix("enterprise_linux:")?.split([':', '.']).next()?.parse().ok()?;
    Some(format!("enterprise_linux:{major}::{}", if major < 8 { "server" } else { "baseos" }))
}

/// CentOS has no advisories of its own: CentOS Linux is Red Hat's sources built again, and the packages of CentOS Stream
/// become Red Hat's.
fn red_hat_of(release: &str) -> Ecosystem {
    let plain = format!("enterprise_linux:{release}");
    let release = red_hat_release(&plain).unwrap_or(plain);
    Ecosystem::with_release(EcosystemBase::RedHat, &release)
}

/// `Alpine:3.24` for `Alpine:v3.24`, `Debian:13` for `Debian:trixie`.
fn docker_release(release: &str) -> Option<String> {
    let (base, release) = release.split_once(':')?;
    let release = match base {
        "Debian" => debian::release(release).unwrap_or(release),
        _ => release.strip_prefix('v').unwrap_or(release),
    };
    Some(format!("{base}:{release}"))
}

/// One name for each product and module: `Linux Enterprise Module for Basesystem 15 SP6`, `Linux Enterprise Server for
/// SAP Applications 15 SP6`. Extended support: `Linux Enterprise Server 15 SP3-LTSS`, `… ESPOS 15 SP3`.
fn suse_release(release: &str) -> Option<String> {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let (rest, last) = release.strip_prefix("Linux Enterprise ")?.rsplit_once(' ')?;
    let (product, version) = match last.strip_prefix("SP") {
        Some(pack) if number(pack) => {
            rest.rsplit_once(' ').map(|(product, major)| (product, format!("{major} {last}")))?
        }
        _ => (rest, last.to_owned()),
    };
    let one_release = version.split([' ', '.']).all(|part| number(part.trim_start_matches("SP")));
    let with_the_server = product.starts_with("Module for ")
        || ["Server", "Desktop", "Server for SAP Applications", "High Performance Computing", "Workstation Extension"]
            .contains(&product);
    (one_release && with_the_server).then(|| format!("Linux Enterprise Server {version}"))
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

/// Ecosystems as tables list them: separated by commas, `-` for none.
pub fn listed(ecosystems: &[Ecosystem]) -> String {
    let all: Vec<String> = ecosystems.iter().map(Ecosystem::to_string).collect();
    if all.is_empty() { "-".to_owned() } else { all.join(", ") }
}

impl From<String> for Ecosystem {
    fn from(s: String) -> Self {
        match s.split_once(':') {
            Some((base, release)) => Ecosystem::with_release(base, release),
            None => Ecosystem::new(s.as_str()),
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
            None => self.base.fmt(f),
        }
    }
}

/// An operating system as its os-release and its repositories name it, and the ecosystem of its packages.
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
    /// `ID_LIKE`: names of distributions, separated by spaces.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub id_like: String,
    /// `PRETTY_NAME`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub pretty_name: String,
    /// The repositories of Alpine that its package manager installs from, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub repositories: Vec<ApkRepository>,
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
        check("debian", "", "trixie", Some("Debian:13"));
        check("debian", "", "forky", Some("Debian:14"));
        check("debian", "", "sid", Some("Debian:sid"));
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
        let check = |eco: &str, expected: Option<VersionScheme>| {
            assert_eq!(Ecosystem::from(eco).version_scheme(), expected, "{eco}")
        };
        for rpm in ["AlmaLinux:9", "Red Hat:enterprise_linux:9::baseos", "openSUSE:Leap 15.6", "Azure Linux:3"] {
            check(rpm, Some(VersionScheme::Rpm));
        }
        check("Ubuntu:Pro:22.04:LTS", Some(VersionScheme::Deb));
        check("crates.io", Some(VersionScheme::SemVer));
        check("Pub", Some(VersionScheme::SemVerBuild));
        check("Go", Some(VersionScheme::Go));
        check("Echo", Some(VersionScheme::Deb));
        check("Echo:npm", Some(VersionScheme::SemVerBuild));
        check("Docker Hardened Images:Alpine:3.24", Some(VersionScheme::Apk));
        check("Docker Hardened Images:Debian:13", Some(VersionScheme::Deb));
        check("Docker Hardened Images", None);
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
        check("Red Hat:enterprise_linux:10.0", "Red Hat:enterprise_linux:10::baseos");
        check("Red Hat:enterprise_linux:10.2::appstream", "Red Hat:enterprise_linux:10::baseos");
        check("Red Hat:enterprise_linux_eus:10.2", "Red Hat:enterprise_linux_eus:10.2");
        let suse = |product: &str, expected: &str| check(&format!("SUSE:{product}"), &format!("SUSE:{expected}"));
        let server = "Linux Enterprise Server 15 SP6";
        for product in ["Server", "Module for Basesystem", "Module for Python 3", "Server for SAP Applications"] {
            suse(&format!("Linux Enterprise {product} 15 SP6"), server);
        }
        suse("Linux Enterprise Desktop 12", "Linux Enterprise Server 12");
        suse("Linux Enterprise Server 16.0", "Linux Enterprise Server 16.0");
        for own in ["Linux Enterprise Server 15 SP3-LTSS", "Linux Enterprise Micro 5.5", "Linux Micro 6.0", "Manager 4"]
        {
            suse(own, own);
        }
        check("Debian:12", "Debian:12");
        check("Debian:forky", "Debian:14");
        check("Debian:unstable", "Debian:sid");
        check("Packagist:https://packages.drupal.org/8", "Packagist");
        check("Maven:https://repo1.maven.org/maven2", "Maven");
        check("Echo:PyPI", "Echo:PyPI");
        check("CentOS:7", "Red Hat:enterprise_linux:7::server");
        check("CentOS Stream:10", "Red Hat:enterprise_linux:10::baseos");
        check("Docker Hardened Images:Debian:trixie", "Docker Hardened Images:Debian:13");
        check("Docker Hardened Images:Alpine:v3.24", "Docker Hardened Images:Alpine:3.24");
        check("Docker Hardened Images:Alpine:3.24", "Docker Hardened Images:Alpine:3.24");
        check("Alpine:v3.20", "Alpine:v3.20");
    }

    #[test]
    fn text_form_round_trips() {
        for s in ["Debian:12", "npm", "Ubuntu:22.04:LTS", "Red Hat:enterprise_linux:9::baseos"] {
            assert_eq!(Ecosystem::from(s).to_string(), s);
        }
    }
}
