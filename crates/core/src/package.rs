//! Installed packages: what an analyzer finds in an image.

use crate::ecosystem::{Ecosystem, Os};
use crate::version::Order;
use serde::{Deserialize, Serialize};

/// The kind of a package, named by its purl type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PackageType {
    /// dpkg.
    Deb,
    /// apk-tools.
    Apk,
    /// Node.js packages.
    Npm,
    /// Python distributions.
    Pypi,
}

impl PackageType {
    /// The purl type.
    pub const fn purl_type(self) -> &'static str {
        match self {
            PackageType::Deb => "deb",
            PackageType::Apk => "apk",
            PackageType::Npm => "npm",
            PackageType::Pypi => "pypi",
        }
    }

    /// Whether the package belongs to the operating system's package manager.
    pub const fn is_os(self) -> bool {
        matches!(self, PackageType::Deb | PackageType::Apk)
    }

    /// The ecosystem that judges packages of this type; OS packages ask the image's OS, if it is one of their kind.
    pub fn ecosystem(self, os: Option<&Os>) -> Option<Ecosystem> {
        let of = |order| os.and_then(Os::ecosystem).filter(|e| e.order() == Some(order));
        match self {
            PackageType::Deb => of(Order::Deb),
            PackageType::Apk => of(Order::Apk),
            PackageType::Npm => Some(Ecosystem::new("npm")),
            PackageType::Pypi => Some(Ecosystem::new("PyPI")),
        }
    }
}

/// Where in the image a package was found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Location {
    /// The file that proves it, without a leading slash.
    pub path: String,
    /// Index of the layer that brought the package, counted from the bottom.
    pub layer: usize,
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
    /// Its version as installed, epoch included; empty when the evidence names none.
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
    /// Shipped inside another distribution, not installed by a package manager of its own.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub vendored: bool,
    /// Where it was found, sorted.
    pub locations: Vec<Location>,
}

impl Package {
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
            // Hostile names that no purl can hold still have to be reported.
            Err(_) => return format!("pkg:{}/{}@{}", self.kind.purl_type(), self.name, self.version),
        };
        let version = self.version.clone();
        if !version.is_empty() {
            let _ = purl.with_version(version);
        }
        if let Some(namespace) = self.purl_namespace(os) {
            let _ = purl.with_namespace(namespace);
        }
        if let (true, Some(os)) = (self.kind.is_os(), os) {
            if !self.arch.is_empty() {
                let _ = purl.add_qualifier("arch", self.arch.clone());
            }
            let _ = purl.add_qualifier("distro", format!("{}-{}", os.id, os.version_id));
            if !self.source_name.is_empty() && self.source_name != self.name {
                let _ = purl.add_qualifier("upstream", self.source_name.clone());
            }
        }
        purl.to_string()
    }

    fn purl_name(&self) -> String {
        match (self.kind, self.name.split_once('/')) {
            (PackageType::Npm, Some((_, name))) => name.to_owned(),
            (PackageType::Pypi, _) => Ecosystem::new("PyPI").normalize(&self.name),
            _ => self.name.clone(),
        }
    }

    fn purl_namespace(&self, os: Option<&Os>) -> Option<String> {
        match self.kind {
            PackageType::Deb | PackageType::Apk => os.map(|o| o.id.clone()),
            PackageType::Npm => self.name.split_once('/').map(|(scope, _)| scope.to_owned()),
            PackageType::Pypi => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn purls_follow_their_types() {
        let os = Os { id: "debian".into(), version_id: "12".into(), ..Os::default() };
        let check = |kind, name: &str, version: &str, source: &str, expected: &str| {
            let package = Package {
                kind,
                name: name.into(),
                version: version.into(),
                arch: if kind == PackageType::Deb { "amd64".into() } else { String::new() },
                source_name: source.into(),
                source_version: String::new(),
                vendored: false,
                locations: vec![],
            };
            assert_eq!(package.purl(Some(&os)), expected);
        };
        check(PackageType::Npm, "@scope/name", "1.0.0", "", "pkg:npm/%40scope/name@1.0.0");
        check(PackageType::Pypi, "Foo_Bar", "1.0", "", "pkg:pypi/foo-bar@1.0");
        check(
            PackageType::Deb,
            "libssl3",
            "3.0.11-1",
            "openssl",
            "pkg:deb/debian/libssl3@3.0.11-1?arch=amd64&distro=debian-12&upstream=openssl",
        );
    }
}
