//! Installed packages: what analyzers find in an image.

mod purl;

pub use crate::package_type::PackageType;

use crate::ecosystem::{Ecosystem, EcosystemBase, Os, Rebuilder};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

impl PackageType {
    /// The ecosystem of packages of this type; for OS packages the image's OS, where it uses this package manager.
    pub fn ecosystem(self, os: Option<&Os>) -> Option<Ecosystem> {
        match self.names().1 {
            "" => os.filter(|os| os.package_type() == Some(self)).and_then(Os::ecosystem),
            name => Some(Ecosystem::new(name)),
        }
    }

    /// As [`PackageType::ecosystem`], of a package with this tag: all that may have advisories about it.
    pub fn ecosystems(self, os: Option<&Os>, tag: &str) -> Vec<Ecosystem> {
        match (self.is_os(), os) {
            (true, Some(os)) if os.package_type() == Some(self) => os.ecosystems(tag),
            _ => self.ecosystem(os).into_iter().collect(),
        }
    }
}

/// Where in the image a package was found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Location {
    /// The file that it was read from, without a leading slash.
    pub path: String,
    /// Index of the layer that added the package, counted from the bottom; [`UNKNOWN_LAYER`] where an SBOM does not tell.
    #[serde(default = "unknown_layer", skip_serializing_if = "is_unknown_layer")]
    pub layer: usize,
}

/// The layer of a location of which none is told: above all others, for the lowest one counts.
pub const UNKNOWN_LAYER: usize = u32::MAX as usize;

fn unknown_layer() -> usize {
    UNKNOWN_LAYER
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_unknown_layer(layer: &usize) -> bool {
    *layer == UNKNOWN_LAYER
}

/// A layer as people count them, from 1 on; `None` where it is not known.
pub fn layer_number(layer: usize) -> Option<usize> {
    (layer != UNKNOWN_LAYER).then(|| layer + 1)
}

/// One installed package.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Package {
    /// Its kind.
    #[serde(rename = "type")]
    pub kind: PackageType,
    /// Its name as installed.
    pub name: String,
    /// Its version as installed, epoch included; empty when the file names none.
    pub version: String,
    /// The architecture, as the package manager spells it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub arch: String,
    /// The source package (dpkg source, apk origin); empty when the type has none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub source_name: String,
    /// The source package's version.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub source_version: String,
    /// Copied into another package, not installed by its own package manager.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub vendored: bool,
    /// The image's own code: its package manager records a folder that it came from, in place of a registry. No advisory is
    /// about it, whoever published a package of its name.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub own: bool,
    /// The vendor that built it, where the package manager records that.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub vendor: String,
    /// The module it belongs to, with its stream: `nodejs:20`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub module: String,
    /// The repository that it was installed from, where that has advisories of its own: the tag that apk recorded, or the id
    /// of Amazon's extras (`amzn2extra-docker`) that yum did.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub tag: String,
    /// The OS package that its file belongs to: the distribution may have fixed it without changing its version.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub owner: String,
    /// Where it was found, sorted.
    pub locations: Vec<Location>,
}

/// The version, for advisories, of a program that was built from a source tree and never released: none covers it. Go
/// writes it so.
pub const UNRELEASED: &str = "(devel)";

impl Package {
    /// A package of which only type, name and version are known; set the other fields with a struct update.
    pub fn new(kind: PackageType, name: impl Into<String>, version: impl Into<String>) -> Self {
        Package {
            kind,
            name: name.into(),
            version: version.into(),
            arch: String::new(),
            source_name: String::new(),
            source_version: String::new(),
            vendored: false,
            own: false,
            vendor: String::new(),
            module: String::new(),
            tag: String::new(),
            owner: String::new(),
            locations: Vec::new(),
        }
    }

    /// The ecosystems whose advisories may be about it; of a package that was built again, those of its original.
    pub fn ecosystems(&self, os: Option<&Os>) -> Vec<Ecosystem> {
        self.kind.ecosystems(os, &self.tag)
    }

    /// Whose package it is in place of its original, by one of its names or versions; `None` for an original. What was
    /// fixed in it, only [`Self::build`] tells.
    pub fn rebuilder(&self) -> Option<Rebuilder> {
        let of = |name, version| Rebuilder::of(self.kind, name, version);
        of(&self.name, self.advisory_version()).or_else(|| of(self.advisory_name(), &self.version))
    }

    /// Who built it again, with fixes of their own, and the version that says so by its mark; `None` for an original, and
    /// for a package of which only the name says whose it is.
    pub fn build(&self) -> Option<(Rebuilder, &str)> {
        let of = |version| Some((Rebuilder::of_version(self.kind, version)?, version));
        of(self.advisory_version()).or_else(|| of(&self.version))
    }

    /// The ecosystem of the advisories of whoever built it again, where one is known.
    pub fn rebuilt_ecosystem(&self, os: Option<&Os>) -> Option<Ecosystem> {
        self.build()?.0.ecosystem(self.kind, os)
    }

    /// Its name in the original's advisories.
    pub fn original_name(&self) -> Cow<'_, str> {
        let original = self.rebuilder().and_then(|rebuilder| rebuilder.original_name(self.kind, &self.name));
        original.unwrap_or(Cow::Borrowed(&self.name))
    }

    /// Whether the advisories of an image's system are about it, if it is a package of the system: another vendor's are not,
    /// but for those that were built again.
    pub fn is_covered_by(&self, os: &Os) -> bool {
        os.covers(self.kind, &self.vendor) || self.kind.is_os() && self.rebuilt_ecosystem(Some(os)).is_some()
    }

    /// Whether it was never released and has no version that could be compared with advisories.
    pub fn is_unreleased(&self) -> bool {
        matches!(self.kind, PackageType::Golang | PackageType::Cargo) && self.advisory_version() == UNRELEASED
    }

    /// Whether advisories may be about it: not about the image's own code, nor about a file that was copied out of another
    /// distribution, whose releases and epoch are not known.
    pub fn is_judged(&self) -> bool {
        !self.own && !self.is_foreign_copy()
    }

    /// Whether it was copied out of some distribution's package into a package of a language, as tools do that repair wheels.
    pub fn is_foreign_copy(&self) -> bool {
        self.vendored && self.kind.is_os()
    }

    /// The name advisories are keyed by: the source package for OS packages, else the package's own.
    pub fn advisory_name(&self) -> &str {
        if self.source_name.is_empty() { &self.name } else { &self.source_name }
    }

    /// The version advisories are compared with.
    pub fn advisory_version(&self) -> &str {
        if self.source_version.is_empty() { &self.version } else { &self.source_version }
    }

    /// The package URL (purl-spec), with arch, distro and upstream qualifiers for OS packages.
    pub fn purl(&self, os: Option<&Os>) -> String {
        let mut purl = match packageurl::PackageUrl::new(self.kind.purl_type(), self.purl_name()) {
            Ok(purl) => purl,
            // Hostile names that are not valid in a purl still have to be reported.
            Err(_) => return format!("pkg:{}/{}@{}", self.kind.purl_type(), self.name, self.version),
        };
        // purl-spec: an rpm's epoch is a qualifier, not a part of its version.
        let version = match self.kind {
            PackageType::Rpm => epoch(&self.version).1,
            _ => &self.version,
        };
        let version = version.to_owned();
        if !version.is_empty() {
            let _ = purl.with_version(version);
        }
        if let Some(namespace) = self.purl_namespace(os) {
            let _ = purl.with_namespace(namespace);
        }
        if let (true, Some(os)) = (self.kind.is_os() && !self.vendored, os) {
            if !self.arch.is_empty() {
                let _ = purl.add_qualifier("arch", self.arch.clone());
            }
            let _ = purl.add_qualifier("distro", format!("{}-{}", os.id, os.version_id));
            if self.kind == PackageType::Rpm {
                self.rpm_qualifiers(&mut purl);
            } else if !self.source_name.is_empty() && self.source_name != self.name {
                let _ = purl.add_qualifier("upstream", self.source_name.clone());
            }
        }
        purl.to_string()
    }

    fn rpm_qualifiers(&self, purl: &mut packageurl::PackageUrl<'_>) {
        if let (Some(epoch), _) = epoch(&self.version) {
            let _ = purl.add_qualifier("epoch", epoch.to_owned());
        }
        if !self.source_name.is_empty() {
            let file = format!("{}-{}.src.rpm", self.source_name, epoch(&self.source_version).1);
            let _ = purl.add_qualifier("upstream", file);
        }
        if !self.module.is_empty() {
            let _ = purl.add_qualifier("rpmmod", self.module.clone());
        }
    }

    fn purl_name(&self) -> String {
        match self.kind {
            PackageType::Pypi => Ecosystem::new(EcosystemBase::PyPi).normalize(&self.name),
            _ => self.split_name().1.to_owned(),
        }
    }

    fn purl_namespace(&self, os: Option<&Os>) -> Option<String> {
        match self.kind {
            // Its own distribution, where that is known.
            _ if self.is_foreign_copy() => Some(self.vendor.clone()).filter(|vendor| !vendor.is_empty()),
            PackageType::Rpm => os.map(|o| o.purl_namespace().to_owned()),
            kind if kind.is_os() => os.map(|o| o.id.clone()),
            _ => self.split_name().0.map(str::to_owned),
        }
    }

    /// The purl's namespace and name, for types whose names hold both.
    fn split_name(&self) -> (Option<&str>, &str) {
        let parts = match self.kind {
            PackageType::Npm | PackageType::Composer => self.name.split_once('/'),
            PackageType::Maven => self.name.split_once(':'),
            PackageType::Golang | PackageType::Swift | PackageType::Hex | PackageType::Luarocks => {
                self.name.rsplit_once('/')
            }
            _ => None,
        };
        parts.map_or((None, self.name.as_str()), |(namespace, name)| (Some(namespace), name))
    }
}

/// Who built a package of dpkg, where its version says so: Docker Hardened Images have packages of their own, as `3.5.1-1+dhi2`, in
/// images that call themselves Debian.
pub fn dpkg_vendor(version: &str) -> &'static str {
    let ours = version.split_once("+dhi").is_some_and(|(_, rest)| rest.starts_with(|c: char| c.is_ascii_digit()));
    if ours { "Docker Hardened Images" } else { "" }
}

/// The epoch of an rpm's version, where it has one, and the rest.
fn epoch(version: &str) -> (Option<&str>, &str) {
    version.split_once(':').map_or((None, version), |(epoch, rest)| (Some(epoch), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn purls_follow_their_types() {
        let os = Os { id: "debian".into(), version_id: "12".into(), ..Os::default() };
        let check = |kind, name: &str, version: &str, source: &str, expected: &str| {
            let arch = if kind == PackageType::Deb { "amd64" } else { "" };
            let package =
                Package { arch: arch.into(), source_name: source.into(), ..Package::new(kind, name, version) };
            assert_eq!(package.purl(Some(&os)), expected);
        };
        check(PackageType::Npm, "@scope/name", "1.0.0", "", "pkg:npm/%40scope/name@1.0.0");
        check(PackageType::Maven, "org.x:y", "1.0", "", "pkg:maven/org.x/y@1.0");
        check(PackageType::Golang, "github.com/a/b", "v1.2.3", "", "pkg:golang/github.com/a/b@v1.2.3");
        check(PackageType::Golang, "stdlib", "1.22.4", "", "pkg:golang/stdlib@1.22.4");
        check(PackageType::Composer, "symfony/yaml", "5.0.0", "", "pkg:composer/symfony/yaml@5.0.0");
        check(PackageType::Gem, "rack", "2.0", "", "pkg:gem/rack@2.0");
        check(PackageType::Pypi, "Foo_Bar", "1.0", "", "pkg:pypi/foo-bar@1.0");
        check(
            PackageType::Deb,
            "libssl3",
            "3.0.11-1",
            "openssl",
            "pkg:deb/debian/libssl3@3.0.11-1?arch=amd64&distro=debian-12&upstream=openssl",
        );
        let copied = |vendor: &str| {
            let plain = Package::new(PackageType::Rpm, "libgomp", "8.5.0-26.el8_10");
            Package { vendored: true, vendor: vendor.into(), ..plain }.purl(Some(&os))
        };
        assert_eq!(copied("almalinux"), "pkg:rpm/almalinux/libgomp@8.5.0-26.el8_10");
        assert_eq!(copied(""), "pkg:rpm/libgomp@8.5.0-26.el8_10");
    }

    #[test]
    fn own_code_and_foreign_copies_are_not_judged() {
        let check = |kind, own: bool, vendored: bool, expected: bool| {
            let package = Package { own, vendored, ..Package::new(kind, "a", "1") };
            assert_eq!(package.is_judged(), expected, "{package:?}");
        };
        check(PackageType::Npm, false, false, true);
        check(PackageType::Npm, false, true, true);
        check(PackageType::Npm, true, false, false);
        check(PackageType::Deb, false, false, true);
        check(PackageType::Deb, false, true, false);
    }

    #[test]
    fn versions_may_name_their_vendor() {
        let check = |version: &str, expected: &str| assert_eq!(dpkg_vendor(version), expected, "{version}");
        check("9.7-3+dhi3", "Docker Hardened Images");
        check("3.5.1-1+deb13u1", "");
        check("1.0+dhison-1", "");
    }
}
