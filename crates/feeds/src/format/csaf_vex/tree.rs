//! The product tree: the package and release of a product id.

use crate::csaf::{Product, ProductTree, Relationship};
use std::collections::BTreeMap;
use tidewaiter_core::advisory::ModuleScope;
use tidewaiter_core::ecosystem::{Ecosystem, EcosystemBase};

/// Most steps from a package to its product: a package of a module of a product is three away. Bounds relationships that
/// form a circle.
const STEPS: usize = 4;

/// The tree by product id.
pub(super) struct Products<'a> {
    products: BTreeMap<&'a str, &'a Product>,
    parts: BTreeMap<&'a str, &'a Relationship>,
}

/// A package of a release.
#[derive(Debug, Clone)]
pub(super) struct Component {
    pub(super) ecosystem: Ecosystem,
    pub(super) name: String,
    /// `epoch:version-release`; empty when the document names none.
    pub(super) version: String,
    pub(super) arch: String,
    /// Whether the product is one minor release: what it says holds for no other.
    pub(super) of_minor_release: bool,
    stream: String,
}

impl Component {
    pub(super) fn module(&self) -> ModuleScope {
        match self.stream.as_str() {
            "" if self.version.contains(".module") => ModuleScope::Unnamed,
            "" => ModuleScope::Outside,
            stream => ModuleScope::Streams(vec![stream.to_owned()]),
        }
    }
}

impl<'a> Products<'a> {
    pub(super) fn of(tree: &'a ProductTree) -> Self {
        let products = tree.products().into_iter().map(|p| (p.product_id.as_str(), p)).collect();
        let parts = tree.relationships.iter().map(|r| (r.full_product_name.product_id.as_str(), r)).collect();
        Products { products, parts }
    }

    /// The package that `id` names; `None` where it is not a package of a known release.
    pub(super) fn component(&self, id: &str) -> Option<Component> {
        let mut relationship = *self.parts.get(id)?;
        let package = *self.products.get(relationship.product_reference.as_str())?;
        let mut module = String::new();
        for _ in 0..STEPS {
            let outer = relationship.relates_to_product_reference.as_str();
            if let Some(product) = self.products.get(outer) {
                return part_of(package, product, &module);
            }
            relationship = self.parts.get(outer)?;
            let of = self.products.get(relationship.product_reference.as_str());
            module = of.and_then(|p| module_of(p)).unwrap_or(module);
        }
        None
    }
}

fn part_of(package: &Product, product: &Product, module: &str) -> Option<Component> {
    let (ecosystem, of_minor_release) = ecosystem(product)?;
    let purl = package.product_identification_helper.purl.as_str();
    if purl.is_empty() {
        // "nodejs:20/npm": a package of a module, or of none.
        let (stream, name) = package.name.rsplit_once('/').unwrap_or(("", &package.name));
        let source = name.strip_suffix(".src").is_some();
        let arch = if source { "src" } else { "" };
        let stream = if stream.is_empty() { module } else { stream };
        return Some(Component {
            ecosystem,
            name: name.to_owned(),
            version: String::new(),
            arch: arch.to_owned(),
            of_minor_release,
            stream: stream.to_owned(),
        });
    }
    let purl: packageurl::PackageUrl<'_> =
        purl.parse().ok().filter(|p: &packageurl::PackageUrl<'_>| p.ty() == "rpm")?;
    let qualifier = |name: &str| purl.qualifiers().get(name).map(|v| v.to_string()).unwrap_or_default();
    let epoch = Some(qualifier("epoch")).filter(|e| !e.is_empty()).unwrap_or_else(|| "0".to_owned());
    let label = qualifier("rpmmod");
    let stream = stream_of(&label).unwrap_or_else(|| module.to_owned());
    Some(Component {
        ecosystem,
        name: purl.name().to_owned(),
        version: purl.version().map(|v| format!("{epoch}:{v}")).unwrap_or_default(),
        arch: qualifier("arch"),
        of_minor_release,
        stream,
    })
}

/// `pkg:rpmmod/redhat/nodejs@18:8090020231:abc` → `nodejs:18`.
fn module_of(product: &Product) -> Option<String> {
    let purl = product.product_identification_helper.purl.as_str();
    let label = purl.strip_prefix("pkg:rpmmod/")?.rsplit('/').next()?.replace('@', ":").replace("%3A", ":");
    stream_of(&label)
}

fn stream_of(label: &str) -> Option<String> {
    let mut parts = label.split(':');
    let (name, stream) = (parts.next()?, parts.next()?);
    (!name.is_empty() && !stream.is_empty()).then(|| format!("{name}:{stream}"))
}

/// The ecosystem of the release whose main repositories a CPE names, and whether it is one minor release of it.
fn ecosystem(product: &Product) -> Option<(Ecosystem, bool)> {
    let cpe = product.product_identification_helper.cpe.as_str();
    let rest = cpe.strip_prefix("cpe:/o:redhat:").or_else(|| cpe.strip_prefix("cpe:/a:redhat:"))?;
    let version = rest.strip_prefix("enterprise_linux:")?.split(':').next()?;
    // From 10 on with a minor version.
    version.split('.').next()?.parse::<u16>().ok()?;
    Some((Ecosystem::with_release(EcosystemBase::RedHat, rest).canonical(), version.contains('.')))
}
