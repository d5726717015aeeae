//! SPDX 2.2 and 2.3 as JSON: packages, and which of them the document is about.

use crate::component::{SbomComponent, SbomSink};
use crate::format::SbomHead;
use crate::members::{List, ListElements, Object, ObjectMembers, once, skip, text, texts};
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

impl ListElements for References<'_> {
    fn element<'de, D: Deserializer<'de>>(&mut self, element: D) -> Result<(), D::Error> {
        let [kind, locator] = texts(element, ["referenceType", "referenceLocator"])?;
        // A type may be an address that ends with its name.
        if kind.rsplit('/').next() == Some("purl") {
            self.0.purls.push(locator);
        }
        Ok(())
    }
}

struct Checksums<'c>(&'c mut SbomComponent);

impl ListElements for Checksums<'_> {
    fn element<'de, D: Deserializer<'de>>(&mut self, element: D) -> Result<(), D::Error> {
        let [algorithm, value] = texts(element, ["algorithm", "checksumValue"])?;
        if algorithm == "SHA256" {
            self.0.sha256 = value;
        }
        Ok(())
    }
}

/// Attributions, which are texts, or annotations, which have a comment.
struct Remarks<'c>(&'c mut SbomComponent);

impl ListElements for Remarks<'_> {
    fn element<'de, D: Deserializer<'de>>(&mut self, element: D) -> Result<(), D::Error> {
        let [text] = texts(element, ["comment"])?;
        self.0.attribution(&text);
        Ok(())
    }
}

/// `relationships`.
pub(crate) struct Relationships<'d>(pub(crate) &'d mut SbomHead);

impl ListElements for Relationships<'_> {
    fn element<'de, D: Deserializer<'de>>(&mut self, element: D) -> Result<(), D::Error> {
        let [from, kind, to] = texts(element, ["spdxElementId", "relationshipType", "relatedSpdxElement"])?;
        match kind.as_str() {
            "DESCRIBES" => drop(self.0.described.insert(to)),
            "DESCRIBED_BY" => drop(self.0.described.insert(from)),
            _ => {}
        }
        Ok(())
    }
}
