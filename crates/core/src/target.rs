//! Which packages and images an exception or a rule is about, by purl or by name.

use crate::finding::{Finding, InstalledPackage};
use crate::image::Reference;
use crate::pattern::Pattern;
use crate::report::ImageInfo;
use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::str::FromStr as _;

/// A package or an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetPattern {
    /// By package URL.
    PurlPattern(PurlPattern),
    /// By name, with a version where it matters.
    Named {
        /// The name.
        name: Pattern,
        /// The installed version; none: any.
        version: Option<String>,
    },
}

/// A package URL as a condition (purl-spec): parts that it leaves out match anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PurlPattern {
    kind: String,
    namespace: Option<String>,
    name: String,
    version: Option<String>,
    qualifiers: BTreeMap<String, String>,
}

/// Qualifiers about a package's origin that are not compared, because tools spell them differently.
const LENIENT: [&str; 6] = ["distro", "os_name", "os_version", "upstream", "rpmmod", "modularitylabel"];

impl TargetPattern {
    /// A purl where the text is one, else a name with wildcards.
    pub fn parse(text: &str) -> Self {
        match PurlPattern::parse(text) {
            Some(purl) => TargetPattern::PurlPattern(purl),
            None => TargetPattern::Named { name: Pattern::from(text), version: None },
        }
    }

    /// Whether it is the scanned image.
    pub(crate) fn is_image(&self, image: &ImageInfo) -> bool {
        let digests = [Some(&image.digest), image.index_digest.as_ref(), Some(&image.config_digest)];
        let is_digest = |text: &str| digests.iter().flatten().any(|d| d.as_str() == text);
        match self {
            TargetPattern::PurlPattern(purl) => purl.is_image(image, is_digest),
            TargetPattern::Named { name, .. } => {
                let full = Reference::from_str(&image.name).map(|r| r.to_string()).unwrap_or_default();
                // A running image is scanned by the digest that was pinned, behind the name that its template has.
                let tagged = |text: &str| text.split_once('@').is_some_and(|(tagged, _)| name.matches(tagged));
                name.matches(&image.name)
                    || name.matches(&full)
                    || tagged(&image.name)
                    || tagged(&full)
                    || name.digest().is_some_and(is_digest)
                    // In full: a wildcard is about names.
                    || is_digest(name.text())
            }
        }
    }

    /// Whether it is an installed package of a finding, by the name of the package or of its source package.
    pub(crate) fn is_package(&self, finding: &Finding, installed: &InstalledPackage) -> bool {
        self.is_package_with(finding, installed, || PurlPattern::parse(&installed.purl))
    }

    /// The same, with the parsed purl of the installed package: parsing one takes longer than comparing it.
    pub(crate) fn is_package_with<P: Borrow<PurlPattern>>(
        &self,
        finding: &Finding,
        installed: &InstalledPackage,
        purl: impl FnOnce() -> Option<P>,
    ) -> bool {
        match self {
            TargetPattern::Named { name, version } => {
                (name.matches(&installed.name) || name.matches(&finding.package))
                    && version.as_ref().is_none_or(|v| *v == installed.version || *v == finding.installed_version)
            }
            TargetPattern::PurlPattern(wanted) => {
                let Some(own) = purl() else { return false };
                let own = own.borrow();
                wanted.covers(own) || wanted.covers_as(own, &finding.package, Some(&finding.installed_version))
            }
        }
    }

    /// Whether it is a package, by its purl.
    pub(crate) fn is_purl(&self, purl: &str) -> bool {
        let TargetPattern::PurlPattern(wanted) = self else { return false };
        PurlPattern::parse(purl).is_some_and(|own| wanted.covers(&own))
    }

    /// Whether it names an image rather than a package.
    pub fn names_image(&self) -> bool {
        matches!(self, TargetPattern::PurlPattern(purl) if purl.kind == "oci" || purl.kind == "docker")
    }
}

impl PurlPattern {
    /// Reads a package URL.
    pub fn parse(text: &str) -> Option<Self> {
        let purl = packageurl::PackageUrl::from_str(text).ok()?;
        Some(PurlPattern {
            kind: purl.ty().to_owned(),
            namespace: purl.namespace().map(str::to_owned),
            name: purl.name().to_owned(),
            version: purl.version().map(str::to_owned),
            qualifiers: purl.qualifiers().iter().map(|(k, v)| (k.to_string(), v.to_string())).collect(),
        })
    }

    fn covers(&self, other: &PurlPattern) -> bool {
        self.covers_as(other, &other.name, other.version.as_deref())
    }

    /// Whether it covers another one under this name and version.
    fn covers_as(&self, other: &PurlPattern, name: &str, version: Option<&str>) -> bool {
        let qualifier = |(key, value): (&String, &String)| {
            LENIENT.contains(&key.as_str()) || other.qualifiers.get(key).is_none_or(|own| own == value)
        };
        self.kind == other.kind
            && self.namespace == other.namespace
            && self.name == name
            && self.version.as_ref().is_none_or(|v| Some(v.as_str()) == version)
            && self.qualifiers.iter().all(qualifier)
    }

    /// `pkg:oci/NAME@DIGEST?repository_url=HOST/PATH/NAME&tag=TAG`.
    fn is_image(&self, image: &ImageInfo, is_digest: impl Fn(&str) -> bool) -> bool {
        if self.kind != "oci" && self.kind != "docker" {
            return false;
        }
        // An image is the same one wherever its digest is.
        if let Some(digest) = self.version.as_deref().filter(|version| version.contains(':')) {
            return is_digest(digest);
        }
        let Ok(reference) = Reference::from_str(&image.name) else { return false };
        let repository = format!("{}/{}", reference.registry(), reference.repository());
        let last = reference.repository().rsplit('/').next().unwrap_or_default();
        let url = self.qualifiers.get("repository_url");
        // Some tools write the repository without its last part, which is the purl's name.
        let url = url.map(|url| url.trim_start_matches("https://").replacen("index.docker.io/", "docker.io/", 1));
        let named = url.is_none_or(|url| url == repository || format!("{url}/{last}") == repository);
        self.name.eq_ignore_ascii_case(last)
            && named
            && self.version.as_ref().is_none_or(|v| Some(v.as_str()) == reference.tag())
            && self.qualifiers.get("tag").is_none_or(|tag| Some(tag.as_str()) == reference.tag())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::testing;
    use crate::severity::Severity;

    #[test]
    fn packages_are_matched_by_purl_or_name() {
        let check = |target: &str, purl: &str, source: &str, expected: bool| {
            let installed = InstalledPackage {
                name: "libssl3".into(),
                version: "3.0-1".into(),
                purl: purl.into(),
                locations: vec![],
            };
            let finding =
                Finding { installed_version: "3.0-1".into(), ..testing::finding("CVE-1", source, Severity::Low) };
            assert_eq!(TargetPattern::parse(target).is_package(&finding, &installed), expected, "{target} {purl}");
        };
        let deb = "pkg:deb/debian/libssl3@3.0-1?arch=amd64&distro=debian-12&upstream=openssl";
        check("libssl*", deb, "openssl", true);
        check("openssl", deb, "openssl", true);
        check("pkg:deb/debian/libssl3", deb, "openssl", true);
        check("pkg:deb/debian/openssl@3.0-1", deb, "openssl", true);
        check("pkg:deb/debian/libssl3@3.0-2", deb, "openssl", false);
        check("pkg:deb/debian/libssl3@3.0-1?arch=arm64", deb, "openssl", false);
        check("pkg:deb/debian/libssl3@3.0-1?distro=bookworm", deb, "openssl", true);
        check("pkg:deb/ubuntu/libssl3", deb, "openssl", false);
        check("pkg:npm/libssl3", deb, "openssl", false);
    }

    #[test]
    fn images_are_told_by_purl_name_or_digest() {
        let report = testing::report(vec![], vec![]);
        let digest = format!("sha256:{}", "0".repeat(64));
        let check = |target: &str, expected: bool| {
            assert_eq!(TargetPattern::parse(target).is_image(&report.inventory.image), expected, "{target}");
        };
        check("registry.example/team/app:v1", true);
        check("registry.example/team/**", true);
        check(&digest, true);
        check("pkg:oci/app?repository_url=registry.example/team/app", true);
        check("pkg:oci/app?repository_url=registry.example/team", true);
        check("pkg:oci/app?repository_url=registry.example/other/app", false);
        check(&format!("pkg:oci/app@{}", digest.replace(':', "%3A")), true);
        check(&format!("mirror.example/app@{digest}"), true);
        check(&format!("pkg:oci/other@{}?repository_url=mirror.example", digest.replace(':', "%3A")), true);
        check("pkg:oci/app@sha256%3Aabc", false);
        check("pkg:oci/app@v1", true);
        check("pkg:oci/app?tag=v2", false);
    }
}
