//! What the entries of a Java archive are, by their names.

use super::layers;

/// Names of Java archives end like this.
const SUFFIXES: [&str; 9] = [".jar", ".war", ".ear", ".par", ".sar", ".nar", ".jpi", ".hpi", ".lpkg"];

/// Whether a path is a Java archive's.
pub(in super::super) fn is_named(path: &str) -> bool {
    let tail = path.len().checked_sub(5).and_then(|start| path.as_bytes().get(start..)).unwrap_or(path.as_bytes());
    SUFFIXES.iter().any(|suffix| {
        let end = tail.len().checked_sub(suffix.len()).and_then(|start| tail.get(start..));
        end.is_some_and(|end| end.eq_ignore_ascii_case(suffix.as_bytes()))
    })
}

/// Whether an entry is an SBOM of an application, as the plugins of Spring Boot and Quarkus put them into the archive that is
/// run. Of archives inside it none is read: a library's names what the library was built with.
fn is_sbom(name: &str) -> bool {
    let name = ["BOOT-INF/classes/", "WEB-INF/classes/"].iter().find_map(|dir| name.strip_prefix(dir)).unwrap_or(name);
    let file = name.strip_prefix("META-INF/sbom/").and_then(|file| file.strip_suffix(".json"));
    file.is_some_and(|file| !file.contains('/'))
}

/// What an entry means for its archive.
pub(super) enum EntryRole {
    /// A manifest, `pom.properties` or an index of layers.
    Text,
    Archive,
    /// An SBOM of the application.
    Sbom,
    Class,
    Other,
}

impl EntryRole {
    pub(super) fn of(name: &str) -> Self {
        match name {
            _ if is_named(name) => EntryRole::Archive,
            _ if is_sbom(name) => EntryRole::Sbom,
            _ if name.ends_with(".class") => EntryRole::Class,
            _ if name.eq_ignore_ascii_case("META-INF/MANIFEST.MF") || layers::is_index(name) => EntryRole::Text,
            _ if name.starts_with("META-INF/maven/") && name.ends_with("/pom.properties") => EntryRole::Text,
            _ => EntryRole::Other,
        }
    }
}
