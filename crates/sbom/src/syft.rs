//! Syft's own form (anchore/syft, `schema/json`), of any version of its schema: artifacts, the image, the distribution. What it
//! writes into properties of CycloneDX is noted under the same names.

use crate::component::{ComponentRole, SbomComponent, SbomSink};
use crate::members::{List, ListElements, Object, ObjectMembers, Rows, TextList, TextRows, once, skip, text};
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess};

/// `artifacts`.
pub(crate) struct Artifacts<'d>(pub(crate) &'d mut dyn SbomSink);

impl ListElements for Artifacts<'_> {
    fn element<'de, D: Deserializer<'de>>(&mut self, element: D) -> Result<(), D::Error> {
        if self.0.is_full() {
            return Err(D::Error::custom("too many artifacts"));
        }
        let mut artifact = Artifact(SbomComponent::default());
        Object(&mut artifact).deserialize(element)?;
        self.0.add(artifact.0);
        Ok(())
    }
}

struct Artifact(SbomComponent);

impl ObjectMembers for Artifact {
    fn member<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "id" => self.0.id = text(map)?,
            "name" => once(&mut self.0.name, map)?,
            "version" => once(&mut self.0.version, map)?,
            "purl" => self.0.purl(text(map)?),
            "locations" => return map.next_value_seed(Rows(&mut Places { component: &mut self.0, count: 0 })),
            "metadata" => return map.next_value_seed(Object(&mut Facts(&mut self.0))),
            _ => return skip(map),
        }
        Ok(())
    }
}

struct Places<'c> {
    component: &'c mut SbomComponent,
    count: usize,
}

impl TextRows for Places<'_> {
    fn names(&self) -> [&'static str; 3] {
        ["path", "layerID", ""]
    }

    fn row(&mut self, [path, layer, _]: [String; 3]) {
        let place = self.count;
        self.count += 1;
        self.component.fact(&format!("syft:location:{place}:path"), path);
        self.component.fact(&format!("syft:location:{place}:layerID"), layer);
    }
}

/// `metadata` of an artifact: what package managers tell, of which some is matched.
struct Facts<'c>(&'c mut SbomComponent);

impl ObjectMembers for Facts<'_> {
    fn member<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        let component = &mut *self.0;
        match name {
            "vendor" => component.publisher = text(map)?,
            "source" | "sourceVersion" | "originPackage" | "sourceRpm" | "modularityLabel" => {
                let value = text(map)?;
                component.fact(&format!("syft:metadata:{name}"), value);
            }
            _ => return skip(map),
        }
        Ok(())
    }
}

/// `source`: what was scanned.
pub(crate) struct SourceSeed<'d>(pub(crate) &'d mut dyn SbomSink);

impl<'de> DeserializeSeed<'de> for SourceSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let mut source = SourceForm(SbomComponent { role: ComponentRole::Subject, ..SbomComponent::default() });
        Object(&mut source).deserialize(deserializer)?;
        self.0.add(source.0);
        Ok(())
    }
}

struct SourceForm(SbomComponent);

impl ObjectMembers for SourceForm {
    fn member<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        let component = &mut self.0;
        match name {
            "type" if text(map)? == "image" => "container".clone_into(&mut component.kind),
            "type" => {}
            "name" => component.name = text(map)?,
            "version" => component.version = text(map)?,
            // `target` until version 9 of the schema.
            "metadata" | "target" => {
                let mut image = ImageForm { component, os: String::new(), architecture: String::new() };
                map.next_value_seed(Object(&mut image))?;
                image.done();
            }
            _ => return skip(map),
        }
        Ok(())
    }
}

/// What Syft tells of an image; a text for a folder.
struct ImageForm<'c> {
    component: &'c mut SbomComponent,
    os: String,
    architecture: String,
}

impl ObjectMembers for ImageForm<'_> {
    fn member<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "userInput" | "imageID" | "manifestDigest" => {
                let value = text(map)?;
                self.component.fact(&format!("syft:image:{name}"), value);
            }
            "os" => self.os = text(map)?,
            "architecture" => self.architecture = text(map)?,
            "layers" => return map.next_value_seed(Rows(&mut ImageLayers(self.component))),
            _ => return skip(map),
        }
        Ok(())
    }

    fn text(&mut self, path: &str) {
        self.component.fact("syft:image:userInput", path.to_owned());
    }
}

impl ImageForm<'_> {
    fn done(self) {
        let ImageForm { component, os, architecture } = self;
        if !architecture.is_empty() {
            let os = if os.is_empty() { "linux" } else { &os };
            component.fact("syft:image:platform", format!("{os}/{architecture}"));
        }
    }
}

struct ImageLayers<'c>(&'c mut SbomComponent);

impl TextRows for ImageLayers<'_> {
    fn names(&self) -> [&'static str; 3] {
        ["digest", "", ""]
    }

    fn row(&mut self, [digest, _, _]: [String; 3]) {
        self.0.fact("syft:image:layer", digest);
    }
}

/// `distro`: the os-release.
pub(crate) struct DistroSeed<'d>(pub(crate) &'d mut dyn SbomSink);

impl<'de> DeserializeSeed<'de> for DistroSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let mut distro = DistroForm(SbomComponent { kind: "operatingsystem".to_owned(), ..SbomComponent::default() });
        Object(&mut distro).deserialize(deserializer)?;
        if !distro.0.name.is_empty() {
            self.0.add(distro.0);
        }
        Ok(())
    }
}

struct DistroForm(SbomComponent);

impl ObjectMembers for DistroForm {
    fn member<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        let component = &mut self.0;
        match name {
            "id" => component.name = text(map)?,
            "name" if component.name.is_empty() => component.name = text(map)?,
            // `version` until version 2 of the schema; later it is a text for people, besides the other.
            "version" if component.version.is_empty() => component.version = text(map)?,
            "versionID" => {
                let version = text(map)?;
                if !version.is_empty() {
                    component.version = version;
                }
            }
            "prettyName" => component.description = text(map)?,
            "versionCodename" | "cpeName" => {
                let value = text(map)?;
                component.fact(&format!("syft:distro:{name}"), value);
            }
            "idLike" => {
                // In old versions one text.
                let mut names = TextList::default();
                map.next_value_seed(List(&mut names))?;
                component.fact("syft:distro:idLike:0", names.0.join(" "));
            }
            _ => return skip(map),
        }
        Ok(())
    }
}

/// The version of the schema, from `schema`.
pub(crate) fn schema<'de, A: MapAccess<'de>>(map: &mut A) -> Result<String, A::Error> {
    let mut schema = SchemaForm::default();
    map.next_value_seed(Object(&mut schema))?;
    Ok(if schema.url.contains("syft") { schema.version } else { String::new() })
}

#[derive(Default)]
struct SchemaForm {
    version: String,
    url: String,
}

impl ObjectMembers for SchemaForm {
    fn member<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "version" => self.version = text(map)?,
            "url" => self.url = text(map)?,
            _ => return skip(map),
        }
        Ok(())
    }
}
