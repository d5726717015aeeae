//! What a document lists, as packages of this program, and what it lists that is none.

use crate::component::{ComponentRole, MAX_COMPONENTS, SbomComponent, SbomSink};
use crate::layers::LayerNames;
use crate::purl::{self, PurlFacts};
use crate::source_package::with_source;
use crate::system;
use std::collections::HashMap;
use tidewaiter_core::ecosystem::Os;
use tidewaiter_core::package::{Package, PackageType, UNRELEASED};

/// A package, and the distribution that its purl names.
pub(crate) struct FoundPackage {
    pub(crate) package: Package,
    /// Index in [`Collected::distributions`]; none for packages of languages.
    pub(crate) distribution: Option<usize>,
    /// Whether its source package was told.
    pub(crate) has_source: bool,
}

/// A component that cannot be matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unmatched {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) why: WhyUnmatched,
}

/// Why nothing can be matched.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum WhyUnmatched {
    NoPurl,
    NotAPurl,
    /// It is matched by the first ones.
    TooManyPurls,
    /// No advisories use this type of purls.
    PurlType(String),
}

/// A distribution, as purls name it.
pub(crate) struct NamedDistribution {
    pub(crate) os: Os,
    /// Whether a release or a distribution was told, and not a vendor alone.
    pub(crate) is_told: bool,
}

/// Where a list ended before the parts of a component.
#[derive(Clone, Copy)]
struct CollectedMark {
    packages: usize,
    unmatched: usize,
}

/// All that a document lists.
#[derive(Default)]
pub(crate) struct Collected {
    pub(crate) packages: Vec<FoundPackage>,
    pub(crate) unmatched: Vec<Unmatched>,
    /// The systems that components name.
    pub(crate) systems: Vec<Os>,
    pub(crate) distributions: Vec<NamedDistribution>,
    /// What the document says it is about.
    pub(crate) subject: Option<SbomComponent>,
    /// Images among its components: one of them may be what it is about.
    pub(crate) containers: Vec<SbomComponent>,
    pub(crate) layers: LayerNames,
    /// The package managers of which a source package of another name is told: where none is told, it is the package itself.
    pub(crate) tells_other_sources: Vec<PackageType>,
    by_distribution: HashMap<(String, String), usize>,
    marks: Vec<CollectedMark>,
    count: usize,
}

impl SbomSink for Collected {
    fn add(&mut self, component: SbomComponent) {
        self.count += component.purls.len().max(1);
        if component.role == ComponentRole::Subject {
            self.named_part(&component);
            self.subject = Some(component);
        } else if component.is_system() {
            self.systems.extend(Some(component.system()).filter(|os| !os.id.is_empty()));
        } else if component.is_container() {
            self.named_part(&component);
            self.containers.push(component);
        } else {
            self.part(&component);
        }
    }

    fn begin(&mut self) {
        self.marks.push(CollectedMark { packages: self.packages.len(), unmatched: self.unmatched.len() });
    }

    fn end(&mut self, counts: bool) {
        let mark = self.marks.pop().filter(|_| !counts);
        if let Some(CollectedMark { packages, unmatched }) = mark {
            self.packages.truncate(packages);
            self.unmatched.truncate(unmatched);
        }
    }

    fn is_full(&self) -> bool {
        self.count >= MAX_COMPONENTS
    }
}

impl Collected {
    /// An image is none of its packages; a program may be one, whatever its type says.
    fn named_part(&mut self, component: &SbomComponent) {
        if component.purls.iter().any(|purl| purl::image(purl).is_none()) {
            self.part(component);
        }
    }

    fn part(&mut self, component: &SbomComponent) {
        if component.purls.is_empty() {
            if component.role == ComponentRole::Part && component.is_software() {
                self.unmatched(component, WhyUnmatched::NoPurl);
            }
            return;
        }
        // Several purls are other names of the same software.
        let mut why = None;
        let before = self.packages.len();
        for purl in &component.purls {
            match self.package(component, purl) {
                Ok(found) => self.packages.extend(found),
                Err(reason) => why = Some(reason),
            }
        }
        if let Some(why) = why.filter(|_| self.packages.len() == before) {
            self.unmatched(component, why);
        }
        if component.has_more_purls {
            self.unmatched(component, WhyUnmatched::TooManyPurls);
        }
    }

    fn unmatched(&mut self, component: &SbomComponent, why: WhyUnmatched) {
        let name = [component.name.as_str(), component.purls.first().map_or("", String::as_str)];
        let name = name.into_iter().find(|name| !name.is_empty()).unwrap_or("one without a name");
        let name = format!("{name:.80} {:.40}", component.version).trim_end().to_owned();
        self.unmatched.push(Unmatched { id: component.id.clone(), name, why });
    }

    /// The package of a purl; none for an image, which is listed by its parts.
    fn package(&mut self, component: &SbomComponent, purl: &str) -> Result<Option<FoundPackage>, WhyUnmatched> {
        if component.is_ours()
            && let Some(package) = ours(component, purl)
        {
            let package = Package { locations: self.layers.places(component), ..package };
            return Ok(Some(FoundPackage { package, distribution: None, has_source: true }));
        }
        let (package, parsed) = match Package::with_purl(purl) {
            // What programs outside of package managers are called is every tool's own choice.
            Ok(Some(named)) if named.0.kind != PackageType::Generic => named,
            Ok(_) if purl::image(purl).is_some() => return Ok(None),
            Ok(_) => return Err(WhyUnmatched::PurlType(purl::kind(purl).unwrap_or_default().to_lowercase())),
            Err(_) => return Err(WhyUnmatched::NotAPurl),
        };
        let version = if package.version.is_empty() { component.version.clone() } else { package.version };
        // The program itself, of which tools have no version where it was built from its source tree.
        let is_unreleased = package.kind == PackageType::Golang && matches!(version.as_str(), "" | "UNKNOWN");
        let version = if is_unreleased { UNRELEASED.to_owned() } else { version };
        let package = Package { version, locations: self.layers.places(component), ..package };
        if !package.kind.is_os() {
            return Ok(Some(FoundPackage { package, distribution: None, has_source: true }));
        }
        let facts = PurlFacts::of(&parsed);
        let version = with_epoch(package.version, &facts.epoch);
        let (package, has_source) = with_source(Package { version, ..package }, component, &facts);
        let is_evidence = has_source && package.source_name != package.name;
        if is_evidence && !self.tells_other_sources.contains(&package.kind) {
            self.tells_other_sources.push(package.kind);
        }
        Ok(Some(FoundPackage { package, distribution: Some(self.distribution(facts)), has_source }))
    }

    fn distribution(&mut self, facts: PurlFacts) -> usize {
        let PurlFacts { distro, namespace, .. } = facts;
        let next = self.distributions.len();
        let number = *self.by_distribution.entry((distro.clone(), namespace.clone())).or_insert(next);
        if number == next {
            let os = system::of_purl(&distro, &namespace);
            self.distributions.push(NamedDistribution { os, is_told: !distro.is_empty() });
        }
        number
    }
}

/// The epoch is a part of a version, where a purl has it as a qualifier.
fn with_epoch(version: String, epoch: &str) -> String {
    let has_epoch = version.split_once(':').is_some_and(|(epoch, _)| epoch.bytes().all(|b| b.is_ascii_digit()));
    if matches!(epoch, "" | "0") || has_epoch || version.is_empty() { version } else { format!("{epoch}:{version}") }
}

/// A package that this program wrote: by its own name, version and facts, for a purl has other spellings.
fn ours(component: &SbomComponent, purl: &str) -> Option<Package> {
    let kind = PackageType::from_purl_type(purl::kind(purl)?)?;
    let name = match component.group.as_str() {
        "" => component.name.clone(),
        group => format!("{group}:{}", component.name),
    };
    let fact = |name: &str| component.get(name).to_owned();
    let is = |name: &str| component.get(name) == "true";
    Some(Package {
        arch: fact("tidewaiter:arch"),
        source_name: fact("tidewaiter:sourceName"),
        source_version: fact("tidewaiter:sourceVersion"),
        vendored: is("tidewaiter:vendored"),
        own: is("tidewaiter:own"),
        vendor: fact("tidewaiter:vendor"),
        module: fact("tidewaiter:module"),
        tag: fact("tidewaiter:tag"),
        owner: fact("tidewaiter:owner"),
        ..Package::new(kind, name, component.version.clone())
    })
}
