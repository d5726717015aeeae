//! Distributions by the `ID` of their os-release: which package manager they have, which advisories speak of their
//! releases, and whose packages those advisories cover.

use super::{Ecosystem, Os};
use crate::package::{Package, PackageType};

impl Os {
    /// The package manager whose database this distribution has; `None` for one that is not known, or not read yet.
    pub fn package_type(&self) -> Option<PackageType> {
        match self.id.as_str() {
            "debian" | "ubuntu" | "echo" => Some(PackageType::Deb),
            "alpine" | "wolfi" | "chainguard" | "minimos" => Some(PackageType::Apk),
            "arch" | "archlinux" => Some(PackageType::Alpm),
            _ => self.rpm_ecosystem().map(|_| PackageType::Rpm).or_else(|| self.vendors().map(|_| PackageType::Rpm)),
        }
    }

    /// The ecosystems of distributions with rpm. Those that OSV does not list have names of their own, so that a report
    /// says which release no feed covers.
    pub(super) fn rpm_ecosystem(&self) -> Option<Ecosystem> {
        let full = Some(self.version_id.as_str()).filter(|v| !v.is_empty());
        let major = full.and_then(|v| v.split('.').next());
        let of = |base, release: Option<&str>| release.map(|release| Ecosystem::with_release(base, release));
        match self.id.as_str() {
            "rhel" => self.red_hat(major?).map(|cpe| Ecosystem::with_release("Red Hat", &cpe)),
            "centos" if self.pretty_name.contains("Stream") => of("CentOS Stream", major),
            "centos" => of("CentOS", major),
            "almalinux" => of("AlmaLinux", major),
            "rocky" => of("Rocky Linux", major),
            "ol" => of("Oracle Linux", major),
            // The first Amazon Linux was numbered by dates: 2018.03.
            "amzn" => of("Amazon Linux", if full?.contains('.') { Some("1") } else { full }),
            "fedora" => of("Fedora", full),
            "mariner" | "azurelinux" => of("Azure Linux", major),
            "photon" => of("Photon OS", full),
            "mageia" => of("Mageia", full),
            "openeuler" => {
                of("openEuler", self.after("openEuler ").map(|r| r.replace(" (", "-").replace(')', "")).as_deref())
            }
            "opensuse-tumbleweed" => of("openSUSE", Some("Tumbleweed")),
            "opensuse-leap" => of("openSUSE", full.map(|v| format!("Leap {v}")).as_deref()),
            id if id.starts_with("opensuse") => of("openSUSE", self.after("openSUSE ")),
            id if is_suse(id) => of("SUSE", self.after("SUSE ")),
            _ => None,
        }
    }

    /// `PRETTY_NAME` without the distribution's name, which the ecosystem's base says already.
    fn after(&self, name: &str) -> Option<&str> {
        self.pretty_name.strip_prefix(name).filter(|release| !release.is_empty())
    }

    /// The CPE of the base repository: `enterprise_linux:9::baseos`. Older releases name their minor version and "GA"
    /// where the advisories name the repository: `enterprise_linux:7.7:GA:server`.
    fn red_hat(&self, major: &str) -> Option<String> {
        let own = self.cpe_name.strip_prefix("cpe:/o:redhat:").unwrap_or_default();
        if own.split(':').nth(2) == Some("") && own.split(':').count() > 3 {
            return Some(own.to_owned());
        }
        let repository = if major.parse::<u16>().ok()? < 8 { "server" } else { "baseos" };
        let repository = own.split(':').nth(3).filter(|r| !r.is_empty()).unwrap_or(repository);
        Some(format!("enterprise_linux:{major}::{repository}"))
    }

    /// How the vendor of the distribution's own packages begins.
    fn vendors(&self) -> Option<&'static [&'static str]> {
        Some(match self.id.as_str() {
            "rhel" => &["Red Hat"],
            "centos" => &["CentOS"],
            "almalinux" => &["AlmaLinux"],
            "rocky" => &["Rocky"],
            "ol" => &["Oracle"],
            "amzn" => &["Amazon"],
            "fedora" => &["Fedora Project"],
            "mariner" | "azurelinux" => &["Microsoft"],
            "photon" => &["VMware", "Broadcom"],
            "mageia" => &["Mageia"],
            "openeuler" => &["openEuler", "http://openeuler.org", "https://openeuler.org"],
            // Leap is built from SUSE's own binaries.
            id if id.starts_with("opensuse") => &["openSUSE", "SUSE"],
            id if is_suse(id) => &["SUSE"],
            _ => return None,
        })
    }

    /// Whether the distribution's advisories speak of this package: one of its package manager, and not of another
    /// vendor. A package that names no vendor is taken for the distribution's: that errs on the side of a finding.
    pub fn covers(&self, package: &Package) -> bool {
        let vendor = package.vendor.as_str();
        let own = |known: &[&str]| known.iter().any(|v| vendor.starts_with(v));
        self.package_type() == Some(package.kind) && (vendor.is_empty() || self.vendors().is_none_or(own))
    }

    /// The namespace of this distribution's packages in purls (purl-spec, `rpm`): the vendor where it has a name.
    pub fn purl_namespace(&self) -> &str {
        match self.id.as_str() {
            "rhel" => "redhat",
            id if id.starts_with("opensuse") => "opensuse",
            id if is_suse(id) => "suse",
            id => id,
        }
    }
}

/// SUSE's own products, by the IDs of their os-release.
fn is_suse(id: &str) -> bool {
    matches!(id, "sles" | "sled" | "sles_sap" | "sle_hpc" | "sle-micro" | "sl-micro" | "suse-microos")
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
        check("manjaro", None, None);
        check("eurolinux", None, None);
        check("linuxmint", None, None);
    }

    #[test]
    fn other_vendors_packages_are_not_covered() {
        let check = |id: &str, kind: PackageType, vendor: &str, expected: bool| {
            let package = Package {
                kind,
                name: "x".into(),
                version: "1".into(),
                arch: String::new(),
                source_name: String::new(),
                source_version: String::new(),
                vendored: false,
                vendor: vendor.into(),
                module: String::new(),
                owner: String::new(),
                locations: vec![],
            };
            assert_eq!(os(id, "9", "", "").covers(&package), expected, "{id} {vendor}");
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
    }
}
