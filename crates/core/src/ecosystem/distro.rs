//! Distributions by the `ID` of their os-release: their package manager, the ecosystems of their releases, and the vendors
//! whose packages their advisories cover.

use super::{AlpineBranch, Ecosystem, EcosystemBase as Base, Os, debian};
use crate::package_type::PackageType;
use crate::pattern;

/// A distribution.
#[derive(Debug)]
pub struct Distribution {
    /// `ID` of its os-release; one that ends in `*` is the beginning of it.
    pub ids: &'static [&'static str],
    /// The name that its `ID_LIKE` has, where several distributions share an `ID`; empty otherwise.
    pub like: &'static str,
    /// Its package manager.
    pub kind: PackageType,
    /// The ecosystem of its advisories (OSV schema, "Defined ecosystems"). Those that OSV does not list have names of
    /// their own, so that a report says which release no feed covers.
    pub base: Base,
    release: Release,
    /// How the vendors of its own packages begin; none when packages don't name a vendor.
    vendors: &'static [&'static str],
}

/// How its releases are named.
#[derive(Debug)]
enum Release {
    /// There are none.
    Rolling,
    /// From os-release; `None` when that names no release.
    By(fn(&Os) -> Option<String>),
}

/// All that are known.
pub const DISTRIBUTIONS: &[Distribution] = &[
    of(&["debian"], PackageType::Deb, Base::Debian, Release::By(debian), &["Debian"]),
    of(&["ubuntu"], PackageType::Deb, Base::Ubuntu, Release::By(ubuntu), &[]),
    of(&["echo"], PackageType::Deb, Base::Echo, Release::Rolling, &[]),
    of(&["alpine"], PackageType::Apk, Base::Alpine, Release::By(alpine), &[]),
    hardened("debian", PackageType::Deb, docker_debian),
    hardened("alpine", PackageType::Apk, docker_alpine),
    of(&["alpaquita"], PackageType::Apk, Base::Alpaquita, Release::By(full), &[]),
    of(&["bellsoft-hardened-containers"], PackageType::Apk, Base::BellSoft, Release::By(full), &[]),
    of(&["cleanstart"], PackageType::Apk, Base::CleanStart, Release::Rolling, &[]),
    of(&["secureos"], PackageType::Apk, Base::SecureOs, Release::Rolling, &[]),
    of(&["wolfi"], PackageType::Apk, Base::Wolfi, Release::Rolling, &[]),
    of(&["chainguard"], PackageType::Apk, Base::Chainguard, Release::Rolling, &[]),
    of(&["minimos"], PackageType::Apk, Base::MinimOs, Release::Rolling, &[]),
    of(&["arch", "archlinux"], PackageType::Alpm, Base::ArchLinux, Release::Rolling, &[]),
    of(&["rhel"], PackageType::Rpm, Base::RedHat, Release::By(red_hat), &["Red Hat"]),
    // Red Hat Hardened Images: one stream, with advisories in Red Hat's feed.
    of(&["hummingbird"], PackageType::Rpm, Base::RedHat, Release::By(hummingbird), &[]),
    of(&["centos"], PackageType::Rpm, Base::CentOs, Release::By(major), &["CentOS"]),
    of(&["almalinux"], PackageType::Rpm, Base::AlmaLinux, Release::By(major), &["AlmaLinux"]),
    of(&["rocky"], PackageType::Rpm, Base::RockyLinux, Release::By(major), &["Rocky"]),
    of(&["ol"], PackageType::Rpm, Base::OracleLinux, Release::By(major), &["Oracle"]),
    of(&["amzn"], PackageType::Rpm, Base::AmazonLinux, Release::By(amazon), &["Amazon"]),
    of(&["fedora"], PackageType::Rpm, Base::Fedora, Release::By(full), &["Fedora Project"]),
    of(&["mariner", "azurelinux"], PackageType::Rpm, Base::AzureLinux, Release::By(major), &["Microsoft"]),
    of(&["photon"], PackageType::Rpm, Base::PhotonOs, Release::By(full), &["VMware", "Broadcom"]),
    of(&["mageia"], PackageType::Rpm, Base::Mageia, Release::By(full), &["Mageia"]),
    of(
        &["openeuler"],
        PackageType::Rpm,
        Base::OpenEuler,
        Release::By(open_euler),
        &["openEuler", "http://openeuler.org", "https://openeuler.org"],
    ),
    // Leap is built from SUSE's own binaries.
    of(&["opensuse*"], PackageType::Rpm, Base::OpenSuse, Release::By(open_suse), &["openSUSE", "SUSE"]),
    of(
        &["sles", "sled", "sles_sap", "sle_hpc", "sle-micro", "sl-micro", "suse-microos"],
        PackageType::Rpm,
        Base::Suse,
        Release::By(suse),
        &["SUSE"],
    ),
];

const fn of(
    ids: &'static [&'static str],
    kind: PackageType,
    base: Base,
    release: Release,
    vendors: &'static [&'static str],
) -> Distribution {
    Distribution { ids, like: "", kind, base, release, vendors }
}

/// Docker Hardened Images: packages of another distribution, built again.
const fn hardened(like: &'static str, kind: PackageType, release: fn(&Os) -> Option<String>) -> Distribution {
    let (base, release) = (Base::DockerHardenedImages, Release::By(release));
    Distribution { ids: &["dhi"], like, kind, base, release, vendors: &[] }
}

impl Distribution {
    fn is_of(&self, os: &Os) -> bool {
        let is = |pattern: &&str| pattern::matches(pattern, &os.id);
        let is_like = self.like.is_empty() || os.id_like.split_whitespace().any(|id| id == self.like);
        self.ids.iter().any(is) && is_like
    }
}

impl Os {
    fn distribution(&self) -> Option<&'static Distribution> {
        DISTRIBUTIONS.iter().find(|distribution| distribution.is_of(self))
    }

    /// The advisory ecosystem of exactly this release; `None` when os-release names none.
    /// `ID_LIKE` is not followed: a derivative's packages are not the original's.
    pub fn ecosystem(&self) -> Option<Ecosystem> {
        let distribution = self.distribution()?;
        // Both have the same ID.
        let stream = distribution.base == Base::CentOs && self.pretty_name.contains("Stream");
        let base = if stream { Base::CentOsStream } else { distribution.base.clone() };
        match distribution.release {
            Release::Rolling => Some(Ecosystem::new(base)),
            Release::By(release) => Some(Ecosystem::with_release(base, &release(self)?)),
        }
    }

    /// The ecosystem of the release that os-release alone names, whose support has an end whatever is installed on it.
    pub fn release_ecosystem(&self) -> Option<Ecosystem> {
        Os { repository_branch: None, ..self.clone() }.ecosystem()
    }

    /// The package manager whose database this distribution has; `None` for one that is not known, or not read yet.
    pub fn package_type(&self) -> Option<PackageType> {
        self.distribution().map(|distribution| distribution.kind)
    }

    /// Whether the distribution's advisories cover packages of this type and vendor: those of its package manager, and not
    /// of another vendor. A package without a vendor counts as the distribution's, which errs on the side of a finding.
    pub fn covers(&self, kind: PackageType, vendor: &str) -> bool {
        let Some(distribution) = self.distribution() else { return false };
        let known = distribution.vendors;
        let own = known.is_empty() || vendor.is_empty() || known.iter().any(|v| vendor.starts_with(v));
        distribution.kind == kind && own
    }

    /// The namespace of this distribution's packages in purls (purl-spec, `rpm`): the vendor where it has a name.
    pub fn purl_namespace(&self) -> &str {
        match self.distribution().map(|distribution| &distribution.base) {
            Some(Base::RedHat) => "redhat",
            Some(Base::OpenSuse) => "opensuse",
            Some(Base::Suse) => "suse",
            _ => &self.id,
        }
    }

    /// `PRETTY_NAME` without the distribution's name, which the ecosystem's base says already.
    fn after(&self, name: &str) -> Option<String> {
        self.pretty_name.strip_prefix(name).filter(|release| !release.is_empty()).map(str::to_owned)
    }
}

fn full(os: &Os) -> Option<String> {
    Some(os.version_id.clone()).filter(|version| !version.is_empty())
}

fn major(os: &Os) -> Option<String> {
    os.version_id.split('.').next().filter(|major| !major.is_empty()).map(str::to_owned)
}

/// Testing and unstable carry no VERSION_ID; their codename is all there is, and both have that of testing.
fn debian(os: &Os) -> Option<String> {
    let named = Some(os.codename.as_str()).filter(|codename| !codename.is_empty());
    let release = named.map(|codename| debian::release(codename).unwrap_or(codename).to_owned());
    let sid = || os.pretty_name.rsplit('/').next().filter(|c| *c == "sid").map(str::to_owned);
    major(os).or(release).or_else(sid)
}

/// Every second April release is long-term support, and the ecosystem's name says so.
fn ubuntu(os: &Os) -> Option<String> {
    let (year, month) = os.version_id.split_once('.')?;
    let lts = month == "04" && year.parse::<u16>().is_ok_and(|y| y % 2 == 0);
    Some(if lts { format!("{}:LTS", os.version_id) } else { os.version_id.clone() })
}

fn alpine(os: &Os) -> Option<String> {
    Some(AlpineBranch::of(os).to_string())
}

/// The first one was numbered by dates, up to 2018.03; later ones may name their minor release: `2023.8.20250721`.
fn amazon(os: &Os) -> Option<String> {
    let year = os.version_id.split_once('.').map_or("", |(year, _)| year);
    let first = ("2010".."2019").contains(&year);
    if first { Some("1".to_owned()) } else { major(os) }
}

/// The names by <https://github.com/docker-hardened-images/advisories>, "Package Identity and Versioning".
fn docker_debian(os: &Os) -> Option<String> {
    debian(os).map(|release| format!("Debian:{release}"))
}

fn docker_alpine(os: &Os) -> Option<String> {
    alpine(os).map(|release| format!("Alpine:{}", release.trim_start_matches('v')))
}

/// Its `VERSION_ID` is the day of its packages; advisories are of the product, as its CPE is.
fn hummingbird(_: &Os) -> Option<String> {
    Some("hummingbird:1".to_owned())
}

/// The CPE of the base repository: `enterprise_linux:9::baseos`. Older releases name their minor version and "GA"
/// where the advisories name the repository: `enterprise_linux:7.7:GA:server`.
fn red_hat(os: &Os) -> Option<String> {
    let major = major(os)?;
    let own = os.cpe_name.strip_prefix("cpe:/o:redhat:").unwrap_or_default();
    if own.split(':').nth(2) == Some("") && own.split(':').count() > 3 {
        return Some(own.to_owned());
    }
    let repository = if major.parse::<u16>().ok()? < 8 { "server" } else { "baseos" };
    let repository = own.split(':').nth(3).filter(|r| !r.is_empty()).unwrap_or(repository);
    Some(format!("enterprise_linux:{major}::{repository}"))
}

fn open_euler(os: &Os) -> Option<String> {
    os.after("openEuler ").map(|release| release.replace(" (", "-").replace(')', ""))
}

fn open_suse(os: &Os) -> Option<String> {
    match os.id.as_str() {
        "opensuse-tumbleweed" => Some("Tumbleweed".to_owned()),
        "opensuse-leap" => full(os).map(|version| format!("Leap {version}")),
        _ => os.after("openSUSE "),
    }
}

fn suse(os: &Os) -> Option<String> {
    os.after("SUSE ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn os(id: &str, version_id: &str, pretty_name: &str, cpe_name: &str) -> Os {
        Os {
            id: id.into(),
            version_id: version_id.into(),
            pretty_name: pretty_name.into(),
            cpe_name: cpe_name.into(),
            ..Os::default()
        }
    }

    #[test]
    fn releases_map_to_one_ecosystem() {
        let check = |id: &str, version: &str, pretty: &str, expected: Option<&str>| {
            let os = os(id, version, pretty, "");
            assert_eq!(os.ecosystem().map(|e| e.to_string()).as_deref(), expected, "{id} {version}");
            assert_eq!(os.package_type(), Some(PackageType::Rpm), "{id}");
        };
        check("rhel", "9.4", "", Some("Red Hat:enterprise_linux:9::baseos"));
        check("rhel", "7.9", "", Some("Red Hat:enterprise_linux:7::server"));
        check("rhel", "", "", None);
        check("centos", "7", "CentOS Linux 7 (Core)", Some("CentOS:7"));
        check("centos", "9", "CentOS Stream 9", Some("CentOS Stream:9"));
        check("almalinux", "9.5", "", Some("AlmaLinux:9"));
        check("rocky", "9.4", "", Some("Rocky Linux:9"));
        check("ol", "8.0", "", Some("Oracle Linux:8"));
        check("amzn", "2", "", Some("Amazon Linux:2"));
        check("amzn", "2023", "", Some("Amazon Linux:2023"));
        check("amzn", "2018.03", "", Some("Amazon Linux:1"));
        check("amzn", "2023.8.20250721", "", Some("Amazon Linux:2023"));
        check("amzn", "2027", "", Some("Amazon Linux:2027"));
        check("hummingbird", "20260728", "", Some("Red Hat:hummingbird:1"));
        check("fedora", "40", "", Some("Fedora:40"));
        check("sles", "15.6", "SUSE Linux Enterprise Server 15 SP6", Some("SUSE:Linux Enterprise Server 15 SP6"));
        check("sles", "15.6", "", None);
        check("opensuse-leap", "15.6", "openSUSE Leap 15.6", Some("openSUSE:Leap 15.6"));
        check("opensuse-tumbleweed", "20240801", "openSUSE Tumbleweed", Some("openSUSE:Tumbleweed"));
        check("opensuse-leap-micro", "5.5", "openSUSE Leap Micro 5.5", Some("openSUSE:Leap Micro 5.5"));
        check("azurelinux", "3.0", "", Some("Azure Linux:3"));
        check("mariner", "2.0", "", Some("Azure Linux:2"));
        check("photon", "5.0", "", Some("Photon OS:5.0"));
        check("openeuler", "22.03", "openEuler 22.03 (LTS-SP3)", Some("openEuler:22.03-LTS-SP3"));
        check("openeuler", "23.09", "openEuler 23.09", Some("openEuler:23.09"));
        check("mageia", "9", "", Some("Mageia:9"));
    }

    #[test]
    fn red_hat_is_named_by_its_cpe() {
        let check = |version: &str, cpe: &str, expected: &str| {
            let found = os("rhel", version, "", cpe).ecosystem().map(|e| e.to_string());
            assert_eq!(found.as_deref(), Some(expected), "{cpe}");
        };
        check("9.2", "cpe:/o:redhat:enterprise_linux:9::baseos", "Red Hat:enterprise_linux:9::baseos");
        check("7.7", "cpe:/o:redhat:enterprise_linux:7.7:GA:server", "Red Hat:enterprise_linux:7::server");
        check("8.0", "cpe:/o:redhat:enterprise_linux:8.0:GA", "Red Hat:enterprise_linux:8::baseos");
    }

    #[test]
    fn other_distributions_are_not_guessed() {
        let check = |id: &str, kind: Option<PackageType>, ecosystem: Option<&str>| {
            let os = os(id, "1", "", "");
            assert_eq!(os.package_type(), kind, "{id}");
            assert_eq!(os.ecosystem().map(|e| e.to_string()).as_deref(), ecosystem, "{id}");
        };
        check("minimos", Some(PackageType::Apk), Some("MinimOS"));
        check("echo", Some(PackageType::Deb), Some("Echo"));
        check("arch", Some(PackageType::Alpm), Some("Arch Linux"));
        check("archlinux", Some(PackageType::Alpm), Some("Arch Linux"));
        check("alpaquita", Some(PackageType::Apk), Some("Alpaquita:1"));
        check("bellsoft-hardened-containers", Some(PackageType::Apk), Some("BellSoft Hardened Containers:1"));
        check("cleanstart", Some(PackageType::Apk), Some("CleanStart"));
        check("secureos", Some(PackageType::Apk), Some("SecureOS"));
        check("dhi", None, None);
        check("manjaro", None, None);
        check("eurolinux", None, None);
        check("linuxmint", None, None);
    }

    #[test]
    fn one_id_of_several_distributions() {
        let check = |like: &str, version: &str, kind: PackageType, expected: &str| {
            let os = Os { id_like: like.into(), ..os("dhi", version, "", "") };
            assert_eq!(os.ecosystem().map(|e| e.to_string()).as_deref(), Some(expected), "{like}");
            assert_eq!(os.package_type(), Some(kind), "{like}");
        };
        check("alpine", "3.24.1", PackageType::Apk, "Docker Hardened Images:Alpine:3.24");
        check("debian", "13", PackageType::Deb, "Docker Hardened Images:Debian:13");
    }

    #[test]
    fn other_vendors_packages_are_not_covered() {
        let check = |id: &str, kind: PackageType, vendor: &str, expected: bool| {
            assert_eq!(os(id, "9", "", "").covers(kind, vendor), expected, "{id} {vendor}");
        };
        check("rhel", PackageType::Rpm, "Red Hat, Inc.", true);
        check("rhel", PackageType::Rpm, "Fedora Project", false);
        check("rhel", PackageType::Rpm, "", true);
        check("fedora", PackageType::Rpm, "Fedora Project", true);
        check("rocky", PackageType::Rpm, "Rocky Enterprise Software Foundation", true);
        check("ol", PackageType::Rpm, "Oracle America", true);
        check("sles", PackageType::Rpm, "SUSE LLC <https://www.suse.com/>", true);
        check("opensuse-leap", PackageType::Rpm, "SUSE LLC <https://www.suse.com/>", true);
        check("opensuse-leap", PackageType::Rpm, "obs://build.opensuse.org/home:someone", false);
        check("centos", PackageType::Rpm, "Docker", false);
        check("debian", PackageType::Rpm, "", false);
        check("debian", PackageType::Deb, "", true);
        check("debian", PackageType::Deb, "Docker Hardened Images", false);
    }
}
