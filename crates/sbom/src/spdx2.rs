//! SPDX 2.2 and 2.3 as JSON: packages, and which of them the document is about.

use crate::component::{SbomComponent, SbomSink};
use crate::format::SbomHead;
use crate::members::{ListElements, Object, ObjectMembers, Rows, TextRows, once, skip, text};
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
            "externalRefs" => return map.next_value_seed(Rows(&mut References(component))),
            "checksums" => return map.next_value_seed(Rows(&mut Checksums(component))),
            "attributionTexts" | "annotations" => return map.next_value_seed(Rows(&mut Remarks(component))),
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

impl TextRows for References<'_> {
    fn names(&self) -> [&'static str; 3] {
        ["referenceType", "referenceLocator", ""]
    }

    fn row(&mut self, [kind, locator, _]: [String; 3]) {
        // A type may be an address that ends with its name.
        if kind.rsplit('/').next() == Some("purl") {
            self.0.purl(locator);
        }
    }
}

struct Checksums<'c>(&'c mut SbomComponent);

impl TextRows for Checksums<'_> {
    fn names(&self) -> [&'static str; 3] {
        ["algorithm", "checksumValue", ""]
    }

    fn row(&mut self, [algorithm, value, _]: [String; 3]) {
        if algorithm == "SHA256" {
            self.0.sha256 = value;
        }
    }
}

/// Attributions, which are texts, or annotations, which have a comment.
struct Remarks<'c>(&'c mut SbomComponent);

impl TextRows for Remarks<'_> {
    fn names(&self) -> [&'static str; 3] {
        ["comment", "", ""]
    }

    fn row(&mut self, [text, _, _]: [String; 3]) {
        self.0.attribution(&text);
    }
}

/// `relationships`.
pub(crate) struct Relationships<'d>(pub(crate) &'d mut SbomHead);

impl TextRows for Relationships<'_> {
    fn names(&self) -> [&'static str; 3] {
        ["spdxElementId", "relationshipType", "relatedSpdxElement"]
    }

    fn row(&mut self, [from, kind, to]: [String; 3]) {
        self.0.refer(&from);
        self.0.refer(&to);
        match kind.as_str() {
            "DESCRIBES" => drop(self.0.described.insert(to)),
            "DESCRIBED_BY" => drop(self.0.described.insert(from)),
            _ => {}
        }
    }
}
