//! Syft's own form (anchore/syft, `schema/json`), of any version of its schema: artifacts, the image, the distribution. What it
//! writes into properties of CycloneDX is noted under the same names.

use crate::component::{ComponentRole, SbomComponent, SbomSink};
use crate::members::{List, ListElements, Object, ObjectMembers, Text, once, skip, text};
use serde::Deserialize;
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
            "purl" => self.0.purls.extend(Some(text(map)?).filter(|purl| !purl.is_empty())),
            "locations" => return map.next_value_seed(List(&mut Places { component: &mut self.0, count: 0 })),
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

#[derive(Default, Deserialize)]
#[serde(default)]
struct SyftLocation {
    path: Text,
    #[serde(rename = "layerID")]
    layer: Text,
}

impl ListElements for Places<'_> {
    fn element<'de, D: Deserializer<'de>>(&mut self, element: D) -> Result<(), D::Error> {
        let SyftLocation { path, layer } = SyftLocation::deserialize(element)?;
        let place = self.count;
        self.count += 1;
        self.component.fact(&format!("syft:location:{place}:path"), path.0);
        self.component.fact(&format!("syft:location:{place}:layerID"), layer.0);
        Ok(())
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
            "metadata" | "target" => return map.next_value_seed(ImageSeed(component)),
            _ => return skip(map),
        }
        Ok(())
    }
}

/// What Syft tells of an image; a text for a folder.
struct ImageSeed<'c>(&'c mut SbomComponent);

impl<'de> DeserializeSeed<'de> for ImageSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match ImageForm::deserialize(deserializer)? {
            ImageForm::Image { user_input, image_id, manifest_digest, architecture, os, layers } => {
                let component = self.0;
                component.fact("syft:image:userInput", user_input.0);
                component.fact("syft:image:imageID", image_id.0);
                component.fact("syft:image:manifestDigest", manifest_digest.0);
                if !architecture.0.is_empty() {
                    let os = if os.0.is_empty() { "linux" } else { &os.0 };
                    component.fact("syft:image:platform", format!("{os}/{}", architecture.0));
                }
                layers.into_iter().for_each(|layer| component.fact("syft:image:layer", layer.digest.0));
            }
            ImageForm::Other(path) => self.0.fact("syft:image:userInput", path.0),
        }
        Ok(())
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum ImageForm {
    #[serde(rename_all = "camelCase")]
    Image {
        #[serde(default)]
        user_input: Text,
        #[serde(rename = "imageID")]
        image_id: Text,
        #[serde(default)]
        manifest_digest: Text,
        #[serde(default)]
        architecture: Text,
        #[serde(default)]
        os: Text,
        #[serde(default)]
        layers: Vec<SyftLayer>,
    },
    Other(Text),
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct SyftLayer {
    digest: Text,
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
            "versionID" => component.version = text(map)?,
            "prettyName" => component.description = text(map)?,
            "versionCodename" | "cpeName" => {
                let value = text(map)?;
                component.fact(&format!("syft:distro:{name}"), value);
            }
            "idLike" => {
                let names: LikeForm = map.next_value()?;
                let names = match names {
                    LikeForm::List(names) => names.into_iter().map(|name| name.0).collect::<Vec<_>>().join(" "),
                    LikeForm::One(name) => name.0,
                };
                component.fact("syft:distro:idLike:0", names);
            }
            _ => return skip(map),
        }
        Ok(())
    }
}

/// A list; in old versions one text.
#[derive(Deserialize)]
#[serde(untagged)]
enum LikeForm {
    List(Vec<Text>),
    One(Text),
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
