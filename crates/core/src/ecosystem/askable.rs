//! Ecosystems that an image can ask for: rows of others would never be found, and need not be stored.

use super::{Ecosystem, EcosystemBase};

/// Products of SUSE whose images name another one in their os-release: extended support is sold for the same images.
const SUSE_PRODUCTS: [&str; 6] =
    ["LTSS", "ESPOS", "CaaS Platform", "Enterprise Storage", "Manager ", "OpenStack Cloud"];

impl Ecosystem {
    /// Whether an image can ask for rows of this ecosystem: it is a release that [`Os::ecosystem`](super::Os::ecosystem) can
    /// name, or no distribution's.
    ///
    /// Products with packages of their own that no os-release names are not: Red Hat's extended support and layered
    /// products, Ubuntu Pro (its fixes are bounds of the plain release's rows), Debian experimental.
    pub fn is_askable(&self) -> bool {
        let Some(release) = self.release() else { return true };
        match self.base() {
            EcosystemBase::Ubuntu => is_ubuntu_release(release),
            EcosystemBase::Debian => release != "experimental",
            // Its builds of languages' packages, which are named as the originals are.
            EcosystemBase::Echo => false,
            // Which minor release of 8 an image has, it does not say.
            EcosystemBase::TuxCare => !release.starts_with("CentOS:8"),
            EcosystemBase::RedHat => matches!(release.split(':').next(), Some("enterprise_linux" | "hummingbird")),
            EcosystemBase::Suse => !SUSE_PRODUCTS.iter().any(|product| release.contains(product)),
            _ => true,
        }
    }

    /// Whether it stands for every release of its base: `Alpine:*`.
    pub fn is_every_release(&self) -> bool {
        self.release() == Some("*")
    }
}

/// `22.04:LTS`, `25.10`.
fn is_ubuntu_release(release: &str) -> bool {
    let version = release.strip_suffix(":LTS").unwrap_or(release);
    !version.is_empty() && version.bytes().all(|b| b.is_ascii_digit() || b == b'.')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ecosystem::Os;

    #[test]
    fn only_releases_that_an_os_release_names_are_asked_for() {
        let check = |ecosystem: &str, expected: bool| {
            assert_eq!(Ecosystem::from(ecosystem).is_askable(), expected, "{ecosystem}");
        };
        check("npm", true);
        check("Packagist:https://packages.example/8", true);
        check("Debian:12", true);
        check("Debian:sid", true);
        check("Debian:experimental", false);
        check("Echo", true);
        check("Echo:npm", false);
        check("TuxCare:CentOS:7", true);
        check("TuxCare:CentOS:8.4", false);
        check("Root:npm", true);
        check("Debian", true);
        check("Ubuntu:24.04:LTS", true);
        check("Ubuntu:25.10", true);
        check("Ubuntu:Pro:22.04:LTS", false);
        check("Ubuntu:Pro:FIPS-updates:22.04:LTS", false);
        check("Ubuntu:22.04:LTS:for:NVIDIA:BlueField", false);
        check("Red Hat:enterprise_linux:9::baseos", true);
        check("Red Hat:enterprise_linux:10.0", true);
        check("Red Hat:hummingbird:1", true);
        check("Red Hat:enterprise_linux_eus:10.0", false);
        check("Red Hat:rhel_eus:9.2::baseos", false);
        check("Red Hat:openshift:4.14::el9", false);
        check("SUSE:Linux Enterprise Server 15 SP6", true);
        check("SUSE:Linux Enterprise Micro 5.5", true);
        check("SUSE:Linux Enterprise Server 15 SP3-LTSS", false);
        check("SUSE:Linux Enterprise High Performance Computing 15 SP3-ESPOS", false);
        check("SUSE:Manager Server 4.3", false);
        check("openSUSE:Leap 15.6", true);
        check("Alpine:edge", true);
        check("openEuler:24.03-LTS-SP2", true);
    }

    #[test]
    fn what_an_image_asks_for_is_kept() {
        let check = |id: &str, version: &str, codename: &str, pretty: &str, cpe: &str| {
            let [id, version_id, codename] = [id, version, codename].map(str::to_owned);
            let (pretty_name, cpe_name) = (pretty.into(), cpe.into());
            let os = Os { id, version_id, codename, pretty_name, cpe_name, ..Os::default() };
            let ecosystem = os.ecosystem().unwrap();
            assert!(ecosystem.is_askable() && ecosystem.clone().canonical().is_askable(), "{ecosystem}");
        };
        check("debian", "12", "bookworm", "", "");
        check("debian", "", "forky", "", "");
        check("debian", "", "", "Debian GNU/Linux forky/sid", "");
        check("ubuntu", "22.04", "", "", "");
        check("ubuntu", "26.10", "", "", "");
        check("rhel", "9.4", "", "", "cpe:/o:redhat:enterprise_linux:9::baseos");
        check("rhel", "10.1", "", "", "cpe:/o:redhat:enterprise_linux:10.1");
        check("rhel", "7.7", "", "", "cpe:/o:redhat:enterprise_linux:7.7:GA:server");
        check("sles", "15.6", "", "SUSE Linux Enterprise Server 15 SP6", "");
        check("sle-micro", "5.5", "", "SUSE Linux Enterprise Micro 5.5", "");
        check("sl-micro", "6.1", "", "SUSE Linux Micro 6.1", "");
        check("sle_hpc", "15.6", "", "SUSE Linux Enterprise High Performance Computing 15 SP6", "");
        check("opensuse-tumbleweed", "20261101", "", "openSUSE Tumbleweed", "");
        check("alpine", "3.24.1", "", "", "");
    }
}
