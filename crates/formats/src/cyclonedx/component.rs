//! Components: the image, its operating system, its packages.

use crate::packages::{facts, facts_of_system};
use crate::text::shortened;
use serde::Serialize;
use std::borrow::Cow;
use tidewaiter_core::ecosystem::Os;
use tidewaiter_core::package::{Location, Package, PackageType};
use tidewaiter_core::report::LayerInfo;

/// The longest version that the schema allows, in characters.
const MAX_VERSION: usize = 1024;

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct CycloneDxComponent<'a> {
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) bom_ref: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) group: Option<&'a str>,
    pub(super) name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(super) version: Cow<'a, str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(super) description: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) purl: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) properties: Vec<CycloneDxProperty<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) evidence: Option<CycloneDxEvidence<'a>>,
}

/// A fact that the specification has no field for.
#[derive(Serialize)]
pub(super) struct CycloneDxProperty<'a> {
    name: &'static str,
    value: Cow<'a, str>,
}

pub(super) fn property<'a>(name: &'static str, value: impl Into<Cow<'a, str>>) -> CycloneDxProperty<'a> {
    CycloneDxProperty { name, value: value.into() }
}

#[derive(Serialize)]
pub(super) struct CycloneDxEvidence<'a> {
    occurrences: Vec<Occurrence<'a>>,
}

#[derive(Serialize)]
struct Occurrence<'a> {
    location: &'a str,
}

impl<'a> CycloneDxComponent<'a> {
    pub(super) fn new(kind: &'static str, name: &'a str) -> Self {
        CycloneDxComponent {
            kind,
            bom_ref: None,
            group: None,
            name,
            version: Cow::Borrowed(""),
            description: "",
            purl: None,
            properties: Vec::new(),
            evidence: None,
        }
    }

    pub(super) fn of_os(os: &'a Os) -> Self {
        let properties = facts_of_system(os).map(|(name, value)| property(name, value)).collect();
        CycloneDxComponent {
            bom_ref: Some(Cow::Borrowed("os")),
            version: shortened(&os.version_id, MAX_VERSION),
            description: &os.pretty_name,
            properties,
            ..CycloneDxComponent::new("operating-system", &os.id)
        }
    }

    pub(super) fn of_package(
        package: &'a Package,
        purl: &'a str,
        reference: Cow<'a, str>,
        layers: &'a [LayerInfo],
    ) -> Self {
        let kind = match package.kind {
            PackageType::Bitnami | PackageType::Generic => "application",
            _ => "library",
        };
        let group = package.name.split_once(':').filter(|_| package.kind == PackageType::Maven);
        let group = group.filter(|(group, name)| !group.is_empty() && !name.is_empty());
        let (group, name) = group.map_or((None, package.name.as_str()), |(group, name)| (Some(group), name));
        let mut properties: Vec<_> = facts(package).map(|(name, value)| property(name, value)).collect();
        properties.extend(package.locations.iter().filter_map(|location| layer(location, layers)));
        let occurrences: Vec<_> =
            package.locations.iter().map(|location| Occurrence { location: &location.path }).collect();
        CycloneDxComponent {
            bom_ref: Some(reference),
            group,
            version: shortened(&package.version, MAX_VERSION),
            purl: Some(purl.into()),
            properties,
            evidence: (!occurrences.is_empty()).then_some(CycloneDxEvidence { occurrences }),
            ..CycloneDxComponent::new(kind, name)
        }
    }
}

/// The layer of an occurrence, in the order of occurrences.
fn layer<'a>(location: &Location, layers: &'a [LayerInfo]) -> Option<CycloneDxProperty<'a>> {
    layers.get(location.layer).map(|layer| property("tidewaiter:layerDiffId", layer.diff_id.as_str()))
}
