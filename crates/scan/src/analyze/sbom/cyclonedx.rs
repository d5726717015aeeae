//! CycloneDX as JSON, versions 1.2 to 1.7.

use super::SbomComponents;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use std::fmt;

/// Types of components that are published software; files, devices, data and the like have no advisories. The
/// specification requires a type; a component without one may be anything.
const SOFTWARE: [&str; 4] = ["", "library", "framework", "application"];

/// Lists what the document describes, and all components with those inside them.
///
/// # Errors
/// When it does not fit the format.
pub(super) fn read(bytes: &[u8], found: &mut SbomComponents<'_>) -> serde_json::Result<()> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    Object { role: Role::Document, found }.deserialize(&mut json)
}

/// Objects on the way to a component.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Document,
    Metadata,
    /// The software that the document describes, which is its author's own.
    Subject,
    Component,
}

/// An object that is read, and where its components are added.
struct Object<'f, 'p> {
    role: Role,
    found: &'f mut SbomComponents<'p>,
}

/// An array of components.
struct Components<'f, 'p>(&'f mut SbomComponents<'p>);

/// The members of a component that are read.
#[derive(Default)]
struct ComponentFields {
    purl: Option<String>,
    group: Option<String>,
    name: Option<String>,
    version: Option<String>,
    kind: Option<String>,
    /// `excluded`: used to build or test.
    scope: Option<String>,
    /// Needed, and provided from elsewhere.
    external: Option<bool>,
    /// It is from a folder of who wrote the document.
    from_folder: bool,
}

/// A member of the array `externalReferences` or `properties`.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Remark {
    #[serde(rename = "type")]
    kind: Option<Value>,
    url: Option<Value>,
    name: Option<Value>,
}

impl Remark {
    /// Whether it says that a component is from a folder: cyclonedx-py refers to the folder as its distribution, and uv
    /// writes properties. A local archive may be a release of a registry.
    fn is_of_folder(&self) -> bool {
        let text = |value: &Option<Value>| value.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned();
        let (kind, url, name) = (text(&self.kind), text(&self.url), text(&self.name));
        let url = url.to_ascii_lowercase();
        let archives = [".whl", ".tar.gz", ".tgz", ".zip", ".tar.bz2", ".tar.xz", ".tar"];
        let is_archive = archives.iter().any(|end| url.ends_with(end));
        kind == "distribution" && url.starts_with("file:") && !is_archive
            || matches!(name.as_str(), "uv:workspace:path" | "uv:package:is_project_root")
    }
}

impl<'de> DeserializeSeed<'de> for Object<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Object<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Object { role, found } = self;
        let described = matches!(role, Role::Subject | Role::Component);
        let before = found.mark();
        let mut fields = ComponentFields::default();
        while let Some(key) = map.next_key::<String>()? {
            match (key.as_str(), role) {
                ("metadata", Role::Document) => map.next_value_seed(Object { role: Role::Metadata, found })?,
                ("component", Role::Metadata) => map.next_value_seed(Object { role: Role::Subject, found })?,
                ("components", Role::Document | Role::Subject | Role::Component) => {
                    map.next_value_seed(Components(found))?;
                }
                (key, _) if described => fields.read(key, &mut map)?,
                _ => map.next_value::<IgnoredAny>().map(drop)?,
            }
        }
        if fields.scope.as_deref() == Some("excluded") || fields.external == Some(true) {
            found.forget(before);
        } else if described {
            fields.add_to(role, found);
        }
        Ok(())
    }
}

impl ComponentFields {
    fn read<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        let (field, name) = match key {
            "purl" => (&mut self.purl, "purl"),
            "group" => (&mut self.group, "group"),
            "name" => (&mut self.name, "name"),
            "version" => (&mut self.version, "version"),
            "type" => (&mut self.kind, "type"),
            "scope" => (&mut self.scope, "scope"),
            "externalReferences" | "properties" => {
                let remarks: Option<Vec<Remark>> = map.next_value()?;
                self.from_folder |= remarks.iter().flatten().any(Remark::is_of_folder);
                return Ok(());
            }
            "isExternal" => {
                self.external = map.next_value()?;
                return Ok(());
            }
            _ => return map.next_value::<IgnoredAny>().map(drop),
        };
        // Readers differ in which of two members of one name they take.
        if field.is_some() {
            return Err(A::Error::duplicate_field(name));
        }
        *field = map.next_value()?;
        Ok(())
    }

    /// The purl of an artifact of Maven with this group and name.
    fn maven_purl(&self) -> Option<String> {
        let (group, name) = (self.group.as_ref()?, self.name.as_ref()?);
        let is_name =
            |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
        (is_name(group) && is_name(name)).then(|| format!("pkg:maven/{group}/{name}"))
    }

    fn add_to(self, role: Role, found: &mut SbomComponents<'_>) {
        let made = (found.is_java && role == Role::Component).then(|| self.maven_purl()).flatten();
        let version = self.version.unwrap_or_default();
        let purl = self.purl.filter(|purl| !purl.is_empty()).or(made);
        let is_known = purl.as_ref().is_some_and(|purl| found.purl(purl, &version));
        let is_software = role == Role::Component && SOFTWARE.contains(&self.kind.unwrap_or_default().as_str());
        // The image's own code: its purl would be one of a registry.
        let is_own = purl.is_none() && self.from_folder;
        if is_software && !is_known && !is_own {
            found.unnamed(purl.as_deref(), &self.name.unwrap_or_default(), &version);
        }
    }
}

impl<'de> DeserializeSeed<'de> for Components<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Components<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of components")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(Object { role: Role::Component, found: &mut *self.0 })?.is_some() {}
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::listing::summary;
    use super::super::parse;

    #[test]
    fn folders_have_no_purl() {
        let check = |component: &str, expected: &str, gaps: usize| {
            let json = format!(r#"{{"bomFormat":"CycloneDX","components":[{{"type":"library",{component}}}]}}"#);
            assert_eq!(summary(&parse("a.cdx.json", json.as_bytes())), (expected.to_owned(), gaps), "{component}");
        };
        let from = |kind: &str, url: &str| {
            let reference = format!(r#"{{"comment":"PackageSource: Local","type":"{kind}","url":"{url}"}}"#);
            format!(r#""name":"a","version":"1","externalReferences":[{reference}]"#)
        };
        check(&from("distribution", "file:///src/a"), "", 0);
        check(&from("distribution", "file:///wheels/a-1-py3-none-any.whl"), "", 1);
        check(&from("distribution", "https://files.example/a"), "", 1);
        check(&from("vcs", "file:///src/a"), "", 1);
        let property =
            |name: &str| format!(r#""name":"a","version":"1","properties":[{{"name":"{name}","value":"packages/a"}}]"#);
        check(&property("uv:workspace:path"), "", 0);
        check(&property("uv:package:is_project_root"), "", 0);
        check(&property("uv:package:marker"), "", 1);
        check(&format!(r#"{},"purl":"pkg:pypi/a@1""#, property("uv:workspace:path")), "a 1", 0);
        check(r#""name":"a","version":"1","properties":null"#, "", 1);
        check(r#""name":"a","version":"1","properties":[{"name":1}],"purl":"pkg:pypi/a@1""#, "a 1", 0);
    }
}
