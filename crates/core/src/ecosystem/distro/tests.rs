use super::*;
use crate::ecosystem::ApkRepository;

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
fn a_derivative_is_judged_by_its_originals_advisories_too() {
    let check = |id: &str, version: &str, repositories: &[&str], expected: &[&str]| {
        let repository =
            |branch: &&str| ApkRepository { branch: AlpineBranch::parse(branch).unwrap(), tag: String::new() };
        let os = Os { repositories: repositories.iter().map(repository).collect(), ..os(id, version, "", "") };
        assert_eq!(os.ecosystems("").iter().map(ToString::to_string).collect::<Vec<_>>(), expected, "{id} {version}");
    };
    check("raspbian", "12", &[], &["Raspbian:12", "Debian:12"]);
    check("raspbian", "", &[], &[]);
    check("postmarketos", "v25.06", &[], &["postmarketOS:v25.06", "Alpine:v3.22"]);
    check("postmarketos", "v23.12.1", &[], &["postmarketOS:v23.12.1", "Alpine:v3.19"]);
    check("postmarketos", "v24.06", &["v3.20"], &["postmarketOS:v24.06", "Alpine:v3.20"]);
    check("postmarketos", "edge", &["edge"], &["postmarketOS:edge", "Alpine:edge"]);
    check("postmarketos", "v20.05", &[], &["postmarketOS:v20.05", "Alpine:edge"]);
    check("debian", "12", &[], &["Debian:12"]);
    check("linuxmint", "22", &[], &[]);
}

#[test]
fn kylin_is_two_products() {
    let check = |like: &str, kind: PackageType| {
        let os = Os { id_like: like.into(), ..os("kylin", "V10", "", "") };
        assert_eq!((os.package_type(), os.ecosystem()), (Some(kind), Some("Kylin:V10".into())), "{like}");
    };
    check("debian", PackageType::Deb);
    check("fedora", PackageType::Rpm);
    check("", PackageType::Rpm);
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
