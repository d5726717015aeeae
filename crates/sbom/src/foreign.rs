//! Which packages of distributions are the system's. Those of others are copies of its files: listed, not judged, and a gap.

use crate::collect::{Collected, FoundPackage, NamedDistribution};
use crate::system;
use tidewaiter_core::ecosystem::Os;
use tidewaiter_core::package::{Package, PackageType};

/// Whether a package is the system's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SystemFit {
    Fits,
    /// Of another distribution, another release of it, or another package manager.
    Foreign,
    /// Of a distribution that is not known: nothing says that it is not the system's.
    Unknown,
}

/// What packages of distributions lack, by their names.
#[derive(Debug, Default)]
pub(crate) struct SystemNotes {
    pub(crate) copies: Vec<String>,
    pub(crate) of_unknown: Vec<String>,
    /// The source package is not told, and the document does not show that it is told where it has another name.
    pub(crate) without_source: Vec<String>,
}

impl SystemNotes {
    /// The package as the system's, or as a copy.
    pub(crate) fn take(&mut self, found: FoundPackage, os: Option<&Os>, collected: &Collected) -> Package {
        let FoundPackage { package, distribution, has_source } = found;
        let Some(named) = distribution.and_then(|number| collected.distributions.get(number)) else { return package };
        let of = || format!("{} of {} {}", package.name, named.os.id, named.os.version_id).trim_end().to_owned();
        match os.map_or(SystemFit::Fits, |os| fit(package.kind, named, os)) {
            SystemFit::Foreign => {
                self.copies.push(of());
                return Package { vendored: true, vendor: named.os.id.clone(), ..package };
            }
            SystemFit::Unknown => self.of_unknown.push(of()),
            SystemFit::Fits => {}
        }
        let has_sources = matches!(package.kind, PackageType::Deb | PackageType::Apk);
        if has_sources && !has_source && !collected.tells_other_sources.contains(&package.kind) {
            self.without_source.push(package.name.clone());
        }
        package
    }
}

fn fit(kind: PackageType, named: &NamedDistribution, os: &Os) -> SystemFit {
    match (os.package_type(), named.os.package_type()) {
        // A gap of its own: nothing of such a system is matched.
        (None, _) => SystemFit::Fits,
        (Some(of_system), _) if of_system != kind => SystemFit::Foreign,
        _ if named.os.purl_namespace() == os.purl_namespace() => {
            if is_other_release(&named.os, os) {
                SystemFit::Foreign
            } else {
                SystemFit::Fits
            }
        }
        (_, None) if !named.os.id.is_empty() => SystemFit::Unknown,
        (_, Some(_)) if named.is_told => SystemFit::Foreign,
        // A namespace alone: tools write the original's for derivatives.
        _ => SystemFit::Fits,
    }
}

/// Whether both name a release of which advisories differ: not so of 12 and 12.5.
fn is_other_release(named: &Os, os: &Os) -> bool {
    let is_named = |os: &Os| !(os.version_id.is_empty() && os.codename.is_empty());
    // What purls cannot tell does not count: editions, streams, repositories.
    let release = |of: &Os| system::release(&of.id, &of.version_id, &of.codename, &os.id_like).ecosystem();
    let (a, b) = (release(named), release(os));
    is_named(named)
        && is_named(os)
        && !is_same_version(&named.version_id, &os.version_id)
        && a.is_some()
        && b.is_some()
        && a != b
}

/// Whether one is the other, or its beginning by whole numbers.
fn is_same_version(a: &str, b: &str) -> bool {
    let numbers = |text: &str| text.split([' ', '.']).map(str::to_owned).collect::<Vec<_>>();
    !a.is_empty() && !b.is_empty() && numbers(a).iter().zip(&numbers(b)).all(|(a, b)| a == b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_fit_their_system_or_do_not() {
        use PackageType::{Apk, Deb, Rpm};
        use SystemFit::{Fits, Foreign, Unknown};
        let check = |(id, version): (&str, &str), kind: PackageType, (distro, namespace): (&str, &str), expected| {
            let os = system::release(id, version, "", "");
            let named = NamedDistribution { os: system::of_purl(distro, namespace), is_told: !distro.is_empty() };
            assert_eq!(fit(kind, &named, &os), expected, "{id} {version}: {distro} {namespace}");
        };
        let debian = ("debian", "12.5");
        check(debian, Deb, ("debian-12", "debian"), Fits);
        check(debian, Deb, ("", "debian"), Fits);
        check(debian, Deb, ("", ""), Fits);
        check(debian, Deb, ("debian-bookworm", "debian"), Fits);
        check(debian, Deb, ("debian-11", "debian"), Foreign);
        check(debian, Deb, ("debian-sid", "debian"), Foreign);
        check(debian, Deb, ("ubuntu-22.04", "ubuntu"), Foreign);
        check(debian, Deb, ("", "example"), Unknown);
        check(debian, Rpm, ("", "example"), Foreign);
        check(debian, Rpm, ("", ""), Foreign);
        check(("alpine", "3.18.4"), Apk, ("3.18.5", "alpine"), Fits);
        check(("alpine", "3.18.4"), Apk, ("alpine-3.19", "alpine"), Foreign);
        check(("rhel", "9.2"), Rpm, ("redhat-9.4", "redhat"), Fits);
        check(("rhel", "9.2"), Rpm, ("rhel-8.9", "redhat"), Foreign);
        check(("sles", "15.6"), Rpm, ("sles-15.6", "suse"), Fits);
        check(("sles", "15.6"), Rpm, ("sles-15.5", "suse"), Foreign);
        check(("amzn", "2023"), Rpm, ("amazon-2023.3.20240108 (Amazon Linux)", "amazon"), Fits);
        check(("unheard-of", "1"), Deb, ("debian-12", "debian"), Fits);
    }
}
