//! SPDX 2.2 and 2.3 as JSON: packages, and which of them the document is about.

use crate::component::{SbomComponent, SbomSink};
use crate::format::SbomHead;
use crate::members::{List, ListElements, Object, ObjectMembers, Text, once, skip, text};
use serde::Deserialize;
use serde::de::{DeserializeSeed as _, Deserializer, Error as _, MapAccess};

/// What SPDX has in place of an unknown value.
const UNKNOWN: [&str; 2] = ["NOASSERTION", "NONE"];

/// A version, or nothing where it is not known.
pub(crate) fn known(version: String) -> String {
    if UNKNOWN.contains(&version.as_str()) { String::new() } else { version }
}

/// `packages`.
pub(crate) struct SpdxPackages<'d>(pub(crate) &'d mut dyn SbomSink);

impl ListElements for SpdxPackages<'_> {
    fn element<'de, D: Deserializer<'de>>(&mut self, element: D) -> Result<(), D::Error> {
        if self.0.is_full() {
            return Err(D::Error::custom("too many packages"));
        }
        let mut package = SpdxPackageForm(SbomComponent::default());
        Object(&mut package).deserialize(element)?;
        self.0.add(package.done());
        Ok(())
    }
}

struct SpdxPackageForm(SbomComponent);

impl ObjectMembers for SpdxPackageForm {
    fn member<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        let component = &mut self.0;
        match name {
            "SPDXID" => once(&mut component.id, map)?,
            "name" => once(&mut component.name, map)?,
            "versionInfo" => once(&mut component.version, map)?,
            "primaryPackagePurpose" => component.set_kind(&text(map)?),
            "comment" => component.comment(&text(map)?),
            "sourceInfo" => component.source_info(&text(map)?),
            "externalRefs" => return map.next_value_seed(List(&mut References(component))),
            "checksums" => return map.next_value_seed(List(&mut Checksums(component))),
            "attributionTexts" | "annotations" => return map.next_value_seed(List(&mut Remarks(component))),
            _ => return skip(map),
        }
        Ok(())
    }
}

impl SpdxPackageForm {
    fn done(self) -> SbomComponent {
        let SbomComponent { id, kind, version, .. } = &self.0;
        // SPDX 2.2 has no purposes; Trivy's names tell them.
        let kind = match id.strip_prefix("SPDXRef-").and_then(|name| name.split('-').next()) {
            Some("OperatingSystem") if kind.is_empty() => "operatingsystem".to_owned(),
            Some("ContainerImage") if kind.is_empty() => "container".to_owned(),
            Some("Application") if kind.is_empty() => "application".to_owned(),
            _ => kind.clone(),
        };
        let version = known(version.clone());
        SbomComponent { kind, version, ..self.0 }
    }
}

struct References<'c>(&'c mut SbomComponent);

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct SpdxReference {
    reference_type: Text,
    reference_locator: Text,
}

impl ListElements for References<'_> {
    fn element<'de, D: Deserializer<'de>>(&mut self, element: D) -> Result<(), D::Error> {
        let SpdxReference { reference_type, reference_locator } = SpdxReference::deserialize(element)?;
        // A type may be an address that ends with its name.
        if reference_type.0.rsplit('/').next() == Some("purl") {
            self.0.purls.push(reference_locator.0);
        }
        Ok(())
    }
}

struct Checksums<'c>(&'c mut SbomComponent);

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct SpdxChecksum {
    algorithm: Text,
    checksum_value: Text,
}

impl ListElements for Checksums<'_> {
    fn element<'de, D: Deserializer<'de>>(&mut self, element: D) -> Result<(), D::Error> {
        let SpdxChecksum { algorithm, checksum_value } = SpdxChecksum::deserialize(element)?;
        if algorithm.0 == "SHA256" {
            self.0.sha256 = checksum_value.0;
        }
        Ok(())
    }
}

/// Attributions, which are texts, or annotations, which have a comment.
struct Remarks<'c>(&'c mut SbomComponent);

#[derive(Deserialize)]
#[serde(untagged)]
enum SpdxRemark {
    Attribution(String),
    Annotation {
        #[serde(default)]
        comment: Text,
    },
}

impl ListElements for Remarks<'_> {
    fn element<'de, D: Deserializer<'de>>(&mut self, element: D) -> Result<(), D::Error> {
        match SpdxRemark::deserialize(element)? {
            SpdxRemark::Attribution(text) => self.0.attribution(&text),
            SpdxRemark::Annotation { comment } => self.0.attribution(&comment.0),
        }
        Ok(())
    }
}

/// `relationships`.
pub(crate) struct Relationships<'d>(pub(crate) &'d mut SbomHead);

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct SpdxRelationship {
    spdx_element_id: Text,
    relationship_type: Text,
    related_spdx_element: Text,
}

impl ListElements for Relationships<'_> {
    fn element<'de, D: Deserializer<'de>>(&mut self, element: D) -> Result<(), D::Error> {
        let found = SpdxRelationship::deserialize(element)?;
        match found.relationship_type.0.as_str() {
            "DESCRIBES" => drop(self.0.described.insert(found.related_spdx_element.0)),
            "DESCRIBED_BY" => drop(self.0.described.insert(found.spdx_element_id.0)),
            _ => {}
        }
        Ok(())
    }
}
