//! SPDX as JSON: 2.2 and 2.3 with `packages`, 3.0 with a graph of elements.

use super::Named;
use serde::Deserialize;

#[derive(Deserialize)]
struct Document {
    packages: Option<Vec<Package>>,
}

#[derive(Deserialize)]
struct Package {
    #[serde(rename = "versionInfo")]
    version: Option<String>,
    #[serde(rename = "externalRefs")]
    references: Option<Vec<Reference>>,
}

#[derive(Deserialize)]
struct Reference {
    #[serde(rename = "referenceType")]
    kind: Option<String>,
    #[serde(rename = "referenceLocator")]
    locator: Option<String>,
}

#[derive(Deserialize)]
struct Graph {
    #[serde(rename = "@graph")]
    elements: Vec<Element>,
}

#[derive(Deserialize)]
struct Element {
    #[serde(rename = "software_packageVersion")]
    version: Option<String>,
    #[serde(rename = "software_packageUrl")]
    purl: Option<String>,
    #[serde(rename = "externalIdentifier")]
    identifiers: Option<Vec<Identifier>>,
}

/// As a graph has it: an object, or the name of an element elsewhere in it.
#[derive(Deserialize)]
#[serde(untagged)]
enum Identifier {
    Written {
        #[serde(rename = "externalIdentifierType")]
        kind: String,
        identifier: String,
    },
    Other(serde::de::IgnoredAny),
}

/// All packages of SPDX 2. Several purls say where else the same package is known.
///
/// # Errors
/// When it does not fit the format.
pub(super) fn packages(bytes: &[u8]) -> serde_json::Result<Vec<Named>> {
    let document: Document = serde_json::from_slice(bytes)?;
    let mut out = Vec::new();
    for package in document.packages.unwrap_or_default() {
        let version = package.version.unwrap_or_default();
        let references = package.references.unwrap_or_default().into_iter();
        let purls = references.filter(|r| r.kind.as_deref().and_then(|kind| kind.rsplit('/').next()) == Some("purl"));
        out.extend(purls.filter_map(|r| r.locator).map(|purl| Named { purl, version: version.clone() }));
    }
    Ok(out)
}

/// All packages of SPDX 3.
///
/// # Errors
/// When it does not fit the format.
pub(super) fn graph(bytes: &[u8]) -> serde_json::Result<Vec<Named>> {
    let graph: Graph = serde_json::from_slice(bytes)?;
    let mut out = Vec::new();
    for element in graph.elements {
        let version = element.version.unwrap_or_default();
        let identifiers = element.identifiers.unwrap_or_default().into_iter();
        let others = identifiers.filter_map(|identifier| match identifier {
            Identifier::Written { kind, identifier } if kind == "packageUrl" || kind == "purl" => Some(identifier),
            _ => None,
        });
        out.extend(element.purl.into_iter().chain(others).map(|purl| Named { purl, version: version.clone() }));
    }
    Ok(out)
}
