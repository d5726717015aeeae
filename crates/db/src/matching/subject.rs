//! Subjects of matching: one source package (OS) or one package (language) in one version, and its queries.

use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;
use tidewaiter_core::advisory::KeyKind;
use tidewaiter_core::ecosystem::{Ecosystem, EcosystemBase, Os, Rebuilder};
use tidewaiter_core::package::{Package, PackageType};

/// What findings are about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Subject {
    pub(super) kind: PackageType,
    pub(super) name: String,
    pub(super) version: String,
    /// The rpm module, as `name:stream`.
    pub(super) module: String,
    /// The tag of the repository.
    pub(super) tag: String,
}

/// One query of the database: the rows of one name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "Fields", into = "Fields")]
pub(super) struct Query {
    pub(super) key: KeyKind,
    /// Normalised for the ecosystem.
    pub(super) name: String,
    pub(super) version: String,
    /// The epoch is not known: versions are compared without it.
    pub(super) epoch_unknown: bool,
    pub(super) arch: String,
    pub(super) module: String,
}

/// A query as it is stored, without names of fields: key, name, version, epoch_unknown, arch, module.
type Fields = (KeyKind, String, String, bool, String, String);

impl From<Fields> for Query {
    fn from((key, name, version, epoch_unknown, arch, module): Fields) -> Self {
        Query { key, name, version, epoch_unknown, arch, module }
    }
}

impl From<Query> for Fields {
    fn from(query: Query) -> Self {
        (query.key, query.name, query.version, query.epoch_unknown, query.arch, query.module)
    }
}

impl Query {
    pub(super) fn plain(key: KeyKind, name: &str, version: &str) -> Self {
        Query {
            key,
            name: name.to_owned(),
            version: version.to_owned(),
            epoch_unknown: false,
            arch: String::new(),
            module: String::new(),
        }
    }

    /// By an installed package.
    pub(super) fn binary(package: &Package, ecosystem: &Ecosystem) -> Self {
        // Language packages have one version, under whichever name they are looked up.
        let version = if package.kind.is_os() { &package.version } else { package.advisory_version() };
        let version = version_in(ecosystem, package.kind, version);
        Query {
            arch: package.arch.clone(),
            module: package.module.clone(),
            ..Query::plain(KeyKind::Binary, &ecosystem.normalize(&package.original_name()), version)
        }
    }
}

/// A version as the advisories of an ecosystem are asked for it: those of the original for the version that a build is made
/// from. A mark sorts above some of the original's later versions (`1.6-2.1.root.io.1`, `1.6-2.1+deb12u1`), and below
/// others that are earlier (`5.0.3-tuxcare.1`, `5.0.3`).
fn version_in<'v>(ecosystem: &Ecosystem, kind: PackageType, version: &'v str) -> &'v str {
    if matches!(ecosystem.base(), EcosystemBase::Root | EcosystemBase::TuxCare) {
        return version;
    }
    Rebuilder::of_version(kind, version).map_or(version, |rebuilder| rebuilder.original_version(kind, version))
}

/// Groups packages. A source rpm's file name holds no epoch, so rpms of one source are grouped without it; the subject
/// takes it from a binary that knows.
pub(super) fn all<'a>(packages: impl Iterator<Item = &'a Package>) -> Vec<(Subject, Vec<&'a Package>)> {
    let mut groups: BTreeMap<Subject, Vec<&Package>> = BTreeMap::new();
    for package in packages {
        let version = package.advisory_version();
        let subject = Subject {
            kind: package.kind,
            name: package.advisory_name().to_owned(),
            // Without the epoch, which SOURCERPM does not have: binaries of one source would be two subjects.
            version: if package.kind == PackageType::Rpm { without_epoch(version) } else { version }.to_owned(),
            module: package.module.clone(),
            tag: package.tag.clone(),
        };
        groups.entry(subject).or_default().push(package);
    }
    let mut out = Vec::with_capacity(groups.len());
    for (subject, packages) in groups {
        let version = version_with_epoch(&packages).to_owned();
        out.push((Subject { version, ..subject }, packages));
    }
    out
}

/// The version of a source package: with its epoch where one of its binaries names it.
fn version_with_epoch<'a>(packages: &[&'a Package]) -> &'a str {
    let versions = packages.iter().map(|package| package.advisory_version());
    // One with an epoch says more; of several the largest text, so that it is always the same one.
    versions.max_by_key(|version| (version.contains(':'), *version)).unwrap_or_default()
}

/// A version without `epoch:`.
pub(super) fn without_epoch(version: &str) -> &str {
    version.split_once(':').map_or(version, |(_, rest)| rest)
}

impl Subject {
    /// The ecosystems whose advisories may be about it; of what was built again, those of its original.
    pub(super) fn ecosystems(&self, os: Option<&Os>) -> Vec<Ecosystem> {
        self.kind.ecosystems(os, &self.tag)
    }

    /// Its name in the original's advisories, where its packages were built again.
    fn original_name(&self) -> Cow<'_, str> {
        let rebuilder = Rebuilder::of(self.kind, &self.name, &self.version);
        let original = rebuilder.and_then(|rebuilder| rebuilder.original_name(self.kind, &self.name));
        original.unwrap_or(Cow::Borrowed(&self.name))
    }

    /// By the source package, and by each of its installed packages.
    pub(super) fn queries(&self, packages: &[&Package], ecosystem: &Ecosystem) -> Vec<Query> {
        let known = self.version.contains(':') || packages.iter().any(|p| p.version == self.version);
        let version = version_in(ecosystem, self.kind, &self.version);
        let source = Query {
            epoch_unknown: self.kind == PackageType::Rpm && !known,
            module: self.module.clone(),
            ..Query::plain(KeyKind::Source, &ecosystem.normalize(&self.original_name()), version)
        };
        let mut out = vec![source];
        for package in packages {
            let query = Query::binary(package, ecosystem);
            if !out.contains(&query) {
                out.push(query);
            }
        }
        out
    }
}

/// Who built all packages of a subject again, in one build: what was fixed in one build is not in others, nor in originals.
pub(super) fn rebuilder(packages: &[&Package]) -> Option<Rebuilder> {
    let build = |package: &Package| package.build().map(|(by, version)| (by, without_epoch(version).to_owned()));
    let first = build(packages.first()?)?;
    packages.iter().all(|package| build(package).as_ref() == Some(&first)).then_some(first.0)
}
