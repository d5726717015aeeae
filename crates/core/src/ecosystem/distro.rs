//! Distributions by the `ID` of their os-release: their package manager, the ecosystems of their releases, and the vendors
//! whose packages their advisories cover.

mod releases;

use super::{AlpineBranch, Ecosystem, EcosystemBase as Base, Os, amazon};
use crate::package_type::PackageType;
use crate::pattern;
use releases::{
    alpine, amazon, debian, docker_alpine, docker_debian, full, hummingbird, major, open_euler, open_suse,
    original_of_postmarket_os, original_of_raspbian, red_hat, suse, ubuntu,
};

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
    /// The system whose packages it takes over, built again or not, and whose advisories are about them too. Its own packages
    /// stay without advisories where no feed covers its own ecosystem.
    original: Option<fn(&Os) -> Os>,
}

/// How its releases are named.
#[derive(Debug)]
enum Release {
    /// There are none.
    Rolling,
    /// From os-release; `None` when that names no release.
    By(fn(&Os) -> Option<String>),
    /// From the branches of Alpine that the image's packages may be of.
    Branches(fn(AlpineBranch) -> String),
}

/// All that are known.
pub const DISTRIBUTIONS: &[Distribution] = &[
    of(&["debian"], PackageType::Deb, Base::Debian, Release::By(debian), &["Debian"]),
    derived(&["raspbian"], PackageType::Deb, Base::Raspbian, Release::By(debian), original_of_raspbian),
    of(&["ubuntu"], PackageType::Deb, Base::Ubuntu, Release::By(ubuntu), &[]),
    of(&["echo"], PackageType::Deb, Base::Echo, Release::Rolling, &[]),
    of(&["alpine"], PackageType::Apk, Base::Alpine, Release::Branches(alpine), &[]),
    derived(&["postmarketos"], PackageType::Apk, Base::PostmarketOs, Release::By(full), original_of_postmarket_os),
    hardened("debian", PackageType::Deb, Release::By(docker_debian)),
    hardened("alpine", PackageType::Apk, Release::Branches(docker_alpine)),
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
    // The desktop has packages of dpkg, the server of rpm.
    Distribution {
        ids: &["kylin"],
        like: "debian",
        kind: PackageType::Deb,
        base: Base::Kylin,
        release: Release::By(full),
        vendors: &[],
        original: None,
    },
    of(&["kylin"], PackageType::Rpm, Base::Kylin, Release::By(full), &[]),
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
    Distribution { ids, like: "", kind, base, release, vendors, original: None }
}

/// A derivative whose packages are largely its original's, in the original's versions.
const fn derived(
    ids: &'static [&'static str],
    kind: PackageType,
    base: Base,
    release: Release,
    original: fn(&Os) -> Os,
) -> Distribution {
    Distribution { ids, like: "", kind, base, release, vendors: &[], original: Some(original) }
}

/// Docker Hardened Images: packages of another distribution, built again.
const fn hardened(like: &'static str, kind: PackageType, release: Release) -> Distribution {
    Distribution { ids: &["dhi"], like, kind, base: Base::DockerHardenedImages, release, vendors: &[], original: None }
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

    /// The advisory ecosystem of exactly the release that os-release names; `None` when it names none.
    /// `ID_LIKE` is not followed: a derivative's packages are not the original's.
    pub fn ecosystem(&self) -> Option<Ecosystem> {
        let distribution = self.distribution()?;
        // Both have the same ID.
        let stream = distribution.base == Base::CentOs && self.pretty_name.contains("Stream");
        let base = if stream { Base::CentOsStream } else { distribution.base.clone() };
        match distribution.release {
            Release::Rolling => Some(Ecosystem::new(base)),
            Release::By(release) => Some(Ecosystem::with_release(base, &release(self)?)),
            Release::Branches(name) => Some(Ecosystem::with_release(base, &name(AlpineBranch::of(self)))),
        }
    }

    /// The ecosystems whose advisories may be about a package of the package manager: that of os-release, and by the package's
    /// `tag` (`Package::tag`) those of the branches of Alpine that it may be from, or of the topic of Amazon's extras that it
    /// is from; of a derivative the original's too. It is vulnerable when it is in any of them.
    pub fn ecosystems(&self, tag: &str) -> Vec<Ecosystem> {
        let Some(distribution) = self.distribution() else { return Vec::new() };
        if let Release::Branches(name) = distribution.release {
            let of = |branch| Ecosystem::with_release(distribution.base.clone(), &name(branch));
            return AlpineBranch::all_of(self, tag).into_iter().map(of).collect();
        }
        let original = distribution.original.map(|original| original(self).ecosystems(tag)).unwrap_or_default();
        let own = self.ecosystem().map(|release| amazon::of_repository(release, tag));
        own.into_iter().chain(original).collect()
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
}

#[cfg(test)]
mod tests;
