//! The operating system: from the component that names it, else from the purls of its packages.

use crate::component::SbomComponent;
use tidewaiter_core::ecosystem::{AlpineBranch, ApkRepository, Os};

/// What tools call distributions, and the `ID` of their os-release, where that is another word.
const NAMES: [(&str, &str); 19] = [
    ("alma", "almalinux"),
    ("amazon", "amzn"),
    ("amazonlinux", "amzn"),
    ("azure linux", "azurelinux"),
    ("cbl-mariner", "mariner"),
    ("opensuse.leap", "opensuse-leap"),
    ("opensuse.tumbleweed", "opensuse-tumbleweed"),
    ("oracle", "ol"),
    ("oraclelinux", "ol"),
    ("red hat enterprise linux", "rhel"),
    ("redhat", "rhel"),
    ("rocky linux", "rocky"),
    ("rockylinux", "rocky"),
    ("slem", "sle-micro"),
    ("suse", "sles"),
    ("suse linux enterprise micro", "sle-micro"),
    ("suse linux enterprise server", "sles"),
    ("suse.linux.enterprise.server", "sles"),
    ("ubuntu linux", "ubuntu"),
];

/// The `ID` that a tool's name of a distribution means.
pub(crate) fn id(name: &str) -> String {
    let name = name.trim().to_lowercase();
    NAMES.iter().find(|(known, _)| *known == name).map_or(name, |(_, id)| (*id).to_owned())
}

impl SbomComponent {
    /// The system that a component is.
    pub(crate) fn system(&self) -> Os {
        let fact = |names: [&str; 2]| {
            names.into_iter().map(|name| self.get(name)).find(|v| !v.is_empty()).unwrap_or_default().to_owned()
        };
        let syft = |name: &str| Some(self.get(name)).filter(|value| !value.is_empty());
        let repositories = self.all("tidewaiter:repository").filter_map(repository).collect();
        let like = fact(["tidewaiter:idLike", "syft:distro:idLike:0"]);
        let os = Os {
            id: id(syft("syft:distro:id").unwrap_or(&self.name)),
            version_id: syft("syft:distro:versionID").unwrap_or(&self.version).to_owned(),
            codename: fact(["tidewaiter:codename", "syft:distro:versionCodename"]),
            cpe_name: fact(["tidewaiter:cpeName", "syft:distro:cpeName"]),
            id_like: like,
            pretty_name: syft("syft:distro:prettyName").unwrap_or(&self.description).to_owned(),
            repositories,
        };
        completed(os)
    }
}

/// `v3.18` or `edge TAG`, as our documents have it.
fn repository(text: &str) -> Option<ApkRepository> {
    let (branch, tag) = text.split_once(' ').unwrap_or((text, ""));
    Some(ApkRepository { branch: AlpineBranch::parse(branch)?, tag: tag.to_owned() })
}

/// The system that a purl names: by `distro=debian-12`, by a version alone and the namespace, or by the namespace alone, which is
/// all that there is of a distribution without releases.
pub(crate) fn of_purl(distro: &str, namespace: &str) -> Os {
    let starts_with_digit = |text: &str| text.starts_with(|c: char| c.is_ascii_digit());
    let (name, version) = match distro.rsplit_once('-') {
        _ if starts_with_digit(distro) => (namespace, distro),
        Some((name, version)) if starts_with_digit(version) => (name, version),
        _ if distro.is_empty() => (namespace, ""),
        // `debian-sid`, `wolfi-`; and not `opensuse-tumbleweed`, which is a name.
        Some((name, version)) if !is_known(distro) && is_known(name) => (name, version),
        _ => (distro, ""),
    };
    completed(Os { id: id(name), version_id: version.to_owned(), ..Os::default() })
}

/// A release by its name and number alone.
pub(crate) fn release(id: &str, version: &str, codename: &str, like: &str) -> Os {
    let [id, version_id, codename, id_like] = [id, version, codename, like].map(str::to_owned);
    completed(Os { id, version_id, codename, id_like, ..Os::default() })
}

fn is_known(name: &str) -> bool {
    Os { id: id(name), ..Os::default() }.package_type().is_some()
}

/// What os-release says in other fields, where a tool has only names and versions.
fn completed(os: Os) -> Os {
    // Trivy: `2 (Karoo)`, `2023.3.20240108 (Amazon Linux)`.
    let version = os.version_id.split(' ').next().unwrap_or_default().to_owned();
    match os.id.as_str() {
        "amzn" => Os { version_id: version, ..os },
        // Testing and unstable: `trixie/sid`.
        "debian"
            if !version.starts_with(|c: char| c.is_ascii_digit()) && !version.is_empty() && os.codename.is_empty() =>
        {
            let codename = version.split('/').next().unwrap_or_default().to_owned();
            Os { codename, version_id: String::new(), ..os }
        }
        // Advisories have the names that its os-release has, and not its numbers.
        "sles" | "sled" if !os.pretty_name.starts_with("SUSE ") && !version.is_empty() => {
            let product = if os.id == "sles" { "Server" } else { "Desktop" };
            let release = match version.split_once('.') {
                // From 16 on there are no service packs.
                Some((major, pack)) if major == "12" || major == "15" => format!("{major} SP{pack}"),
                _ => version,
            };
            Os { pretty_name: format!("SUSE Linux Enterprise {product} {release}"), ..os }
        }
        _ => os,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(os: &Os) -> String {
        let ecosystem = os.ecosystem().map(|e| e.to_string()).unwrap_or_default();
        format!("{} {} -> {ecosystem}", os.id, os.version_id)
    }

    #[test]
    fn tools_name_distributions() {
        let check = |name: &str, version: &str, expected: &str| {
            let component = SbomComponent { name: name.into(), version: version.into(), ..SbomComponent::default() };
            assert_eq!(said(&component.system()), expected, "{name} {version}");
        };
        check("debian", "12.5", "debian 12.5 -> Debian:12");
        check("debian", "trixie/sid", "debian  -> Debian:13");
        check("alpine", "3.18.4", "alpine 3.18.4 -> Alpine:v3.18");
        check("redhat", "9.4", "rhel 9.4 -> Red Hat:enterprise_linux:9::baseos");
        check("amazon", "2 (Karoo)", "amzn 2 -> Amazon Linux:2");
        check("alma", "9.3", "almalinux 9.3 -> AlmaLinux:9");
        check("oracle", "8.9", "ol 8.9 -> Oracle Linux:8");
        check("cbl-mariner", "2.0", "mariner 2.0 -> Azure Linux:2");
        check("opensuse.leap", "15.6", "opensuse-leap 15.6 -> openSUSE:Leap 15.6");
        check("suse linux enterprise server", "15.6", "sles 15.6 -> SUSE:Linux Enterprise Server 15 SP6");
        check("sles", "12", "sles 12 -> SUSE:Linux Enterprise Server 12");
        check("wolfi", "", "wolfi  -> Wolfi");
        check("unheard-of", "1", "unheard-of 1 -> ");
    }

    #[test]
    fn purls_name_distributions() {
        let check = |distro: &str, namespace: &str, expected: &str| {
            assert_eq!(said(&of_purl(distro, namespace)), expected, "{distro} {namespace}");
        };
        check("debian-12", "debian", "debian 12 -> Debian:12");
        check("alpine-3.18.4", "alpine", "alpine 3.18.4 -> Alpine:v3.18");
        check("3.15.5", "alpine", "alpine 3.15.5 -> Alpine:v3.15");
        check("opensuse-leap-15.6", "opensuse", "opensuse-leap 15.6 -> openSUSE:Leap 15.6");
        check("redhat-9.4", "redhat", "rhel 9.4 -> Red Hat:enterprise_linux:9::baseos");
        check("", "wolfi", "wolfi  -> Wolfi");
        check("wolfi-", "wolfi", "wolfi  -> Wolfi");
        check("debian-sid", "debian", "debian  -> Debian:sid");
        check("opensuse-tumbleweed", "opensuse", "opensuse-tumbleweed  -> openSUSE:Tumbleweed");
        check("arch", "arch", "arch  -> Arch Linux");
        check("", "debian", "debian  -> ");
        check("", "", "  -> ");
    }
}
