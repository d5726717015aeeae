//! SPDX 3.0 as JSON-LD: a graph of elements, of which packages are listed. Roots are what the document is about.

use crate::component::{SbomComponent, SbomSink};
use crate::format::SbomHead;
use crate::members::{List, ListElements, Object, ObjectMembers, Rows, TextList, TextRows, once, skip, text};
use crate::spdx_text;
use crate::spdx2::known;
use serde::de::{DeserializeSeed as _, Deserializer, Error as _, MapAccess};

/// `@graph`.
pub(crate) struct Graph<'d> {
    pub(crate) head: &'d mut SbomHead,
    pub(crate) sink: &'d mut dyn SbomSink,
}

impl ListElements for Graph<'_> {
    fn element<'de, D: Deserializer<'de>>(&mut self, element: D) -> Result<(), D::Error> {
        if self.sink.is_full() {
            return Err(D::Error::custom("too many elements"));
        }
        let mut form = ElementForm::default();
        Object(&mut form).deserialize(element)?;
        form.take(self.head, self.sink);
        Ok(())
    }
}

/// An element of any type, with the members of those types that count.
#[derive(Default)]
struct ElementForm {
    kind: String,
    component: SbomComponent,
    comment: String,
    spec_version: String,
    completeness: String,
    roots: Vec<String>,
}

impl ObjectMembers for ElementForm {
    fn member<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        let component = &mut self.component;
        match name {
            "type" | "@type" => once(&mut self.kind, map)?,
            "spdxId" | "@id" => component.id = text(map)?,
            "name" => once(&mut component.name, map)?,
            "comment" => self.comment = text(map)?,
            "specVersion" => self.spec_version = text(map)?,
            "completeness" => self.completeness = text(map)?,
            "software_packageVersion" => once(&mut component.version, map)?,
            "software_primaryPurpose" => component.set_kind(&text(map)?),
            "software_sourceInfo" => component.source_info(&text(map)?),
            "software_packageUrl" => component.purl(text(map)?),
            "externalIdentifier" => return map.next_value_seed(Rows(&mut Identifiers(component))),
            "verifiedUsing" => return map.next_value_seed(Rows(&mut Hashes(component))),
            "rootElement" => {
                let mut roots = TextList::default();
                map.next_value_seed(List(&mut roots))?;
                self.roots.append(&mut roots.0);
            }
            _ => return skip(map),
        }
        Ok(())
    }
}

impl ElementForm {
    fn take(mut self, head: &mut SbomHead, sink: &mut dyn SbomSink) {
        head.described.extend(std::mem::take(&mut self.roots));
        match self.kind.rsplit(['/', ':']).next().unwrap_or_default() {
            "CreationInfo" => head.spdx3 = self.spec_version,
            "SpdxDocument" => {
                head.gaps.extend(spdx_text::gaps(&self.comment));
                head.name = self.component.name;
            }
            "software_Package" | "Package" => {
                self.component.comment(&self.comment);
                let version = known(std::mem::take(&mut self.component.version));
                sink.add(SbomComponent { version, ..self.component });
            }
            "software_Sbom" | "Sbom" | "Bom" | "Bundle" | "ElementCollection" => {
                head.lists.insert(std::mem::take(&mut self.component.id));
            }
            // What contains a package, or depends on it, may have more of them.
            _ if self.completeness == "incomplete" => head.incomplete = self.completeness,
            _ => {}
        }
    }
}

struct Identifiers<'c>(&'c mut SbomComponent);

impl TextRows for Identifiers<'_> {
    fn names(&self) -> [&'static str; 3] {
        ["externalIdentifierType", "identifier", ""]
    }

    fn row(&mut self, [kind, identifier, _]: [String; 3]) {
        // In a graph: an object, or the name of an element elsewhere in it.
        if kind == "packageUrl" || kind == "purl" {
            self.0.purl(identifier);
        }
    }
}

struct Hashes<'c>(&'c mut SbomComponent);

impl TextRows for Hashes<'_> {
    fn names(&self) -> [&'static str; 3] {
        ["algorithm", "hashValue", ""]
    }

    fn row(&mut self, [algorithm, value, _]: [String; 3]) {
        if algorithm == "sha256" {
            self.0.sha256 = value;
        }
    }
}
