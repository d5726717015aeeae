//! SPDX as JSON: 2.2 and 2.3 with `packages`, 3.0 with a graph of elements.

use super::SbomComponents;
use super::stream::{Texts, elements};
use serde::Deserialize;
use std::collections::BTreeSet;

/// Purposes of packages that are published software; containers, files, systems and the like have no advisories.
const SOFTWARE: [&str; 4] = ["", "library", "framework", "application"];
/// What SPDX has in place of an unknown value.
const UNKNOWN: [&str; 2] = ["NOASSERTION", "NONE"];

/// The part of a document that says what it describes: its author's own software.
#[derive(Deserialize)]
struct Described {
    #[serde(rename = "documentDescribes")]
    described: Option<Texts<Option<String>>>,
    relationships: Option<Texts<Relationship>>,
}

#[derive(Deserialize)]
struct Relationship {
    #[serde(rename = "spdxElementId")]
    from: Option<String>,
    #[serde(rename = "relationshipType")]
    kind: Option<String>,
    #[serde(rename = "relatedSpdxElement")]
    to: Option<String>,
}

impl From<Relationship> for Option<String> {
    fn from(relationship: Relationship) -> Self {
        match relationship.kind.as_deref() {
            Some("DESCRIBES") => relationship.to,
            Some("DESCRIBED_BY") => relationship.from,
            _ => None,
        }
    }
}

#[derive(Deserialize)]
struct SpdxPackage {
    #[serde(rename = "SPDXID")]
    id: Option<String>,
    name: Option<String>,
    #[serde(rename = "versionInfo")]
    version: Option<String>,
    #[serde(rename = "primaryPackagePurpose")]
    purpose: Option<String>,
    #[serde(rename = "externalRefs")]
    purls: Option<Texts<Reference>>,
}

#[derive(Deserialize)]
struct Reference {
    #[serde(rename = "referenceType")]
    kind: Option<String>,
    #[serde(rename = "referenceLocator")]
    locator: Option<String>,
}

impl From<Reference> for Option<String> {
    fn from(reference: Reference) -> Self {
        let kind = reference.kind.as_deref().and_then(|kind| kind.rsplit('/').next());
        reference.locator.filter(|_| kind == Some("purl"))
    }
}

#[derive(Deserialize)]
struct Element {
    #[serde(rename = "spdxId")]
    id: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    name: Option<String>,
    #[serde(rename = "software_packageVersion")]
    version: Option<String>,
    #[serde(rename = "software_primaryPurpose")]
    purpose: Option<String>,
    #[serde(rename = "software_packageUrl")]
    purl: Option<String>,
    #[serde(rename = "externalIdentifier")]
    purls: Option<Texts<Identifier>>,
}

/// The member that makes other elements the roots of a document.
#[derive(Deserialize)]
struct Root {
    #[serde(rename = "rootElement")]
    roots: Option<Texts<Option<String>>>,
}

/// In a graph: an object, or the name of an element elsewhere in it.
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

impl From<Identifier> for Option<String> {
    fn from(identifier: Identifier) -> Self {
        match identifier {
            Identifier::Written { kind, identifier } if kind == "packageUrl" || kind == "purl" => Some(identifier),
            _ => None,
        }
    }
}

/// Lists all packages of SPDX 2. Several purls are other names of the same package.
///
/// # Errors
/// When it does not fit the format.
pub(super) fn read(bytes: &[u8], found: &mut SbomComponents<'_>) -> serde_json::Result<()> {
    let head: Described = serde_json::from_slice(bytes)?;
    let by = head.relationships.map(|texts| texts.0).unwrap_or_default();
    let subjects: BTreeSet<String> =
        head.described.map(|texts| texts.0).unwrap_or_default().into_iter().chain(by).collect();
    elements(bytes, "packages", |package: SpdxPackage| add_package(package, &subjects, found))
}

fn add_package(package: SpdxPackage, subjects: &BTreeSet<String>, found: &mut SbomComponents<'_>) {
    let is_subject = package.id.is_some_and(|id| subjects.contains(&id));
    let purls = package.purls.map(|texts| texts.0).unwrap_or_default();
    add(purls, is_subject, [package.name, package.version, package.purpose], found);
}

/// Lists all packages of SPDX 3.
///
/// # Errors
/// When it does not fit the format.
pub(super) fn graph(bytes: &[u8], found: &mut SbomComponents<'_>) -> serde_json::Result<()> {
    let mut subjects = BTreeSet::new();
    elements(bytes, "@graph", |root: Root| subjects.extend(root.roots.map(|texts| texts.0).unwrap_or_default()))?;
    elements(bytes, "@graph", |element: Element| add_element(element, &subjects, found))
}

fn add_element(element: Element, subjects: &BTreeSet<String>, found: &mut SbomComponents<'_>) {
    let purls: Vec<String> =
        element.purl.into_iter().chain(element.purls.map(|texts| texts.0).unwrap_or_default()).collect();
    let is_package = element.kind.is_some_and(|kind| kind == "software_Package");
    let is_subject = !is_package || element.id.is_some_and(|id| subjects.contains(&id));
    add(purls, is_subject, [element.name, element.version, element.purpose], found);
}

fn add(purls: Vec<String>, is_subject: bool, texts: [Option<String>; 3], found: &mut SbomComponents<'_>) {
    let [name, version, purpose] = texts.map(Option::unwrap_or_default);
    let version = if UNKNOWN.contains(&version.as_str()) { "" } else { &version };
    // The same software under several names.
    let known = purls.iter().map(|purl| found.purl(purl, version)).filter(|known| *known).count();
    if known == 0 && !is_subject && SOFTWARE.contains(&purpose.to_ascii_lowercase().as_str()) {
        found.unnamed(purls.first().map(String::as_str), &name, version);
    }
}
