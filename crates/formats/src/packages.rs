//! The packages of an inventory with their purls, and which of them a finding means.

use std::borrow::Cow;
use tidewaiter_core::ecosystem::Os;
use tidewaiter_core::finding::{Finding, InstalledPackage};
use tidewaiter_core::package::Package;
use tidewaiter_core::report::Inventory;

/// The packages of an inventory. They are named by their place in it, because two may have the same purl.
pub(crate) struct NamedPackages<'a> {
    packages: &'a [Package],
    purls: Vec<String>,
    /// Places, in the order of purls; those of one purl in their own order.
    by_purl: Vec<usize>,
}

impl<'a> NamedPackages<'a> {
    pub(crate) fn new(inventory: &'a Inventory) -> Self {
        let os = inventory.os.as_ref();
        let purls: Vec<String> = inventory.packages.iter().map(|package| package.purl(os)).collect();
        let mut by_purl: Vec<usize> = (0..purls.len()).collect();
        by_purl.sort_by(|a, b| purls[*a].cmp(&purls[*b]));
        NamedPackages { packages: &inventory.packages, purls, by_purl }
    }

    /// All of them: place, package and purl.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, &'a Package, &str)> {
        self.packages
            .iter()
            .zip(&self.purls)
            .enumerate()
            .map(|(place, (package, purl))| (place, package, purl.as_str()))
    }

    /// A name in this document: the purl, with a number where several packages have it.
    pub(crate) fn reference(&self, place: usize) -> Cow<'_, str> {
        let purl = &self.purls[place];
        match self.places(purl).iter().position(|other| *other == place).unwrap_or_default() {
            0 => Cow::Borrowed(purl),
            before => Cow::Owned(format!("{purl}#{}", before + 1)),
        }
    }

    /// The places of the packages that a finding is about, each once.
    pub(crate) fn of(&self, finding: &Finding) -> Vec<usize> {
        let mut places: Vec<usize> = finding.installed.iter().filter_map(|installed| self.place(installed)).collect();
        places.sort_unstable();
        places.dedup();
        places
    }

    /// The package that is meant: that of the same locations, where several have its purl.
    fn place(&self, installed: &InstalledPackage) -> Option<usize> {
        let same = self.places(&installed.purl);
        let here = same.iter().find(|place| self.packages[**place].locations == installed.locations);
        here.or(same.first()).copied()
    }

    fn places(&self, purl: &str) -> &[usize] {
        let first = self.by_purl.partition_point(|place| self.purls[*place].as_str() < purl);
        let same = self.by_purl[first..].partition_point(|place| self.purls[*place] == purl);
        &self.by_purl[first..first + same]
    }
}

/// What a package is besides name, version and purl, by names that our reader of SBOMs knows: what it is matched with
/// depends on them. The type is always there: it marks a package of ours in a document that others sorted or merged.
pub(crate) fn facts(package: &Package) -> impl Iterator<Item = (&'static str, &str)> {
    let yes = |is: bool| if is { "true" } else { "" };
    let all = [
        ("tidewaiter:type", package.kind.purl_type()),
        ("tidewaiter:arch", package.arch.as_str()),
        ("tidewaiter:sourceName", &package.source_name),
        ("tidewaiter:sourceVersion", &package.source_version),
        ("tidewaiter:vendored", yes(package.vendored)),
        ("tidewaiter:own", yes(package.own)),
        ("tidewaiter:vendor", &package.vendor),
        ("tidewaiter:module", &package.module),
        ("tidewaiter:tag", &package.tag),
        ("tidewaiter:owner", &package.owner),
    ];
    all.into_iter().filter(|(_, value)| !value.is_empty())
}

/// What a system is besides name, version and the name for people.
pub(crate) fn facts_of_system(os: &Os) -> impl Iterator<Item = (&'static str, Cow<'_, str>)> {
    let texts = [
        ("tidewaiter:codename", &os.codename),
        ("tidewaiter:cpeName", &os.cpe_name),
        ("tidewaiter:idLike", &os.id_like),
    ];
    let texts = texts.into_iter().filter(|(_, value)| !value.is_empty());
    let repositories = os.repositories.iter().map(|repository| {
        let text = format!("{} {}", repository.branch, repository.tag);
        ("tidewaiter:repository", Cow::Owned(text.trim_end().to_owned()))
    });
    texts.map(|(name, value)| (name, Cow::Borrowed(value.as_str()))).chain(repositories)
}

/// What an image is besides its name and digest: its platform, other digests, and its layers, bottom first, with the two digests
/// of each.
pub(crate) fn facts_of_image(inventory: &Inventory) -> impl Iterator<Item = (&'static str, Cow<'_, str>)> {
    let image = &inventory.image;
    let index = image.index_digest.as_ref().map(|digest| ("tidewaiter:indexDigest", digest.as_str().into()));
    let base = image.base_layers.map(|layers| ("tidewaiter:baseLayers", layers.to_string().into()));
    let layers = inventory.layers.iter().flat_map(|layer| {
        [
            ("tidewaiter:layerDigest", layer.digest.as_str().into()),
            ("tidewaiter:layerDiffId", layer.diff_id.as_str().into()),
        ]
    });
    let platform = ("tidewaiter:platform", image.platform.to_string().into());
    let config = ("tidewaiter:configDigest", image.config_digest.as_str().into());
    [platform, config].into_iter().chain(index).chain(base).chain(layers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidewaiter_core::image::Digest;
    use tidewaiter_core::package::{Location, PackageType};
    use tidewaiter_core::report::ImageInfo;

    fn at(name: &str, path: &str) -> Package {
        let locations = vec![Location { path: path.into(), layer: 0 }];
        Package { locations, ..Package::new(PackageType::Npm, name, "1") }
    }

    fn inventory(packages: Vec<Package>) -> Inventory {
        let digest = Digest::from_sha256([0; 32]);
        let image = ImageInfo::new("x", digest.clone(), digest, "linux/amd64".parse().unwrap());
        Inventory { image, layers: vec![], os: None, packages, gaps: vec![] }
    }

    #[test]
    fn packages_of_one_purl_are_told_apart() {
        let inventory = inventory(vec![at("b", "p"), at("a", "q"), at("b", "r")]);
        let named = NamedPackages::new(&inventory);
        let references: Vec<_> = (0..3).map(|place| named.reference(place)).collect();
        assert_eq!(references, ["pkg:npm/b@1", "pkg:npm/a@1", "pkg:npm/b@1#2"]);
        let check = |name: &str, path: &str, expected: &[usize]| {
            let package = at(name, path);
            let installed = InstalledPackage {
                name: name.into(),
                version: "1".into(),
                purl: package.purl(None),
                locations: package.locations,
            };
            let finding = Finding { installed: vec![installed.clone(), installed], ..Finding::default() };
            assert_eq!(named.of(&finding), expected, "{name} {path}");
        };
        check("b", "p", &[0]);
        check("b", "r", &[2]);
        check("b", "elsewhere", &[0]);
        check("c", "p", &[]);
    }

    #[test]
    fn facts_are_those_that_there_are() {
        let plain = Package::new(PackageType::Npm, "a", "1");
        assert_eq!(facts(&plain).collect::<Vec<_>>(), [("tidewaiter:type", "npm")]);
        let rich = Package { own: true, source_name: "curl".into(), ..plain };
        let expected = [("tidewaiter:type", "npm"), ("tidewaiter:sourceName", "curl"), ("tidewaiter:own", "true")];
        assert_eq!(facts(&rich).collect::<Vec<_>>(), expected);
    }
}
