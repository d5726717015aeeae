//! What formats say of one thing, in common terms.

/// What a thing is to its document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum ComponentRole {
    /// One of its components.
    #[default]
    Part,
    /// What the document is about.
    Subject,
}

/// A fact for which a format has no field, under a name that a tool gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SbomFact {
    pub(crate) name: String,
    pub(crate) value: String,
}

/// The most that a document may list: some bytes are kept of each.
pub(crate) const MAX_COMPONENTS: usize = 1_000_000;

/// The most purls of a component, which are other names of it.
pub(crate) const MAX_PURLS: usize = 16;

/// The most places of a component.
const MAX_PLACES: usize = 1_000;

/// The most facts of a component: two of each place, and those that are not about places.
const MAX_FACTS: usize = 2 * MAX_PLACES + 500;

/// Types of CycloneDX and purposes of SPDX that are no software.
const NO_SOFTWARE: [&str; 14] = [
    "bom",
    "configuration",
    "cryptographicasset",
    "data",
    "device",
    "documentation",
    "evidence",
    "file",
    "machinelearningmodel",
    "manifest",
    "model",
    "requirement",
    "specification",
    // Its parts are listed.
    "container",
];

/// Tools whose facts are read.
const TOOLS: [&str; 3] = ["tidewaiter:", "aquasecurity:trivy:", "syft:"];

/// A component, an SPDX package, an artifact of Syft.
///
/// Facts have the names that CycloneDX's properties have, whatever the format: what they mean is decided in one place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SbomComponent {
    pub(crate) role: ComponentRole,
    /// How the document refers to it; empty where nothing does.
    pub(crate) id: String,
    /// Lower case, without `-` and `_`: `library`, `operatingsystem`. Empty where none is named.
    pub(crate) kind: String,
    pub(crate) group: String,
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) description: String,
    pub(crate) publisher: String,
    /// In hexadecimal.
    pub(crate) sha256: String,
    pub(crate) purls: Vec<String>,
    /// Whether it has more purls than are kept.
    pub(crate) has_more_purls: bool,
    /// Where it was found.
    pub(crate) paths: Vec<String>,
    pub(crate) facts: Vec<SbomFact>,
}

impl SbomComponent {
    pub(crate) fn set_kind(&mut self, kind: &str) {
        self.kind = kind.chars().filter(|c| !matches!(c, '-' | '_')).flat_map(char::to_lowercase).collect();
    }

    /// Notes a fact of a tool that is known; others say nothing here.
    pub(crate) fn fact(&mut self, name: &str, value: String) {
        let is_place = ["syft:location:", "tidewaiter:layer"].iter().any(|start| name.starts_with(start));
        // Those of many places leave room for what is matched.
        let most = if is_place { 2 * MAX_PLACES } else { MAX_FACTS };
        if !value.is_empty() && self.facts.len() < most && TOOLS.iter().any(|tool| name.starts_with(tool)) {
            self.facts.push(SbomFact { name: name.to_owned(), value });
        }
    }

    /// Notes a purl; an empty one is none.
    pub(crate) fn purl(&mut self, purl: String) {
        if purl.is_empty() || self.purls.contains(&purl) {
            return;
        }
        self.has_more_purls |= self.purls.len() == MAX_PURLS;
        if !self.has_more_purls {
            self.purls.push(purl);
        }
    }

    /// Notes where it was found. Places are for people: those after the first thousand are dropped.
    pub(crate) fn place(&mut self, path: String) {
        if self.paths.len() < MAX_PLACES {
            self.paths.push(path);
        }
    }

    /// The value of a fact; empty where it is not told.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.facts.iter().find(|fact| fact.name == name).map_or("", |fact| &fact.value)
    }

    /// All values of a fact that is told several times.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.facts.iter().filter(move |fact| fact.name == name).map(|fact| fact.value.as_str())
    }

    /// Whether this program wrote it: then its names and facts are what they were. Layers of SPDX are of the text that others
    /// may write too.
    pub(crate) fn is_ours(&self) -> bool {
        self.facts.iter().any(|fact| fact.name.starts_with("tidewaiter:") && fact.name != "tidewaiter:layer")
    }

    pub(crate) fn is_system(&self) -> bool {
        self.kind == "operatingsystem"
    }

    pub(crate) fn is_container(&self) -> bool {
        self.kind == "container"
    }

    /// Whether it may be software: what has a purpose that is not known is. An application without a version is a place: Trivy
    /// lists lock files so.
    pub(crate) fn is_software(&self) -> bool {
        let is_place = self.kind == "application" && self.version.is_empty();
        !is_place && !NO_SOFTWARE.contains(&self.kind.as_str())
    }
}

/// Where components go.
pub(crate) trait SbomSink {
    /// Takes a component, after those inside it.
    fn add(&mut self, component: SbomComponent);

    /// What follows is inside of a component of which it is not known yet whether it counts.
    fn begin(&mut self);

    /// Ends what [`Self::begin`] began: it counts, or it is forgotten.
    fn end(&mut self, counts: bool);

    /// Whether it takes no more.
    fn is_full(&self) -> bool;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn little_is_kept_of_a_component_that_tells_much() {
        let mut component = SbomComponent::default();
        (0..MAX_PURLS).for_each(|number| component.purl(format!("pkg:npm/a@{number}")));
        component.purl("pkg:npm/a@0".to_owned());
        component.purl(String::new());
        assert_eq!((component.purls.len(), component.has_more_purls), (MAX_PURLS, false));
        component.purl("pkg:npm/b@1".to_owned());
        assert_eq!((component.purls.len(), component.has_more_purls), (MAX_PURLS, true));
        (0..=MAX_PLACES).for_each(|number| component.place(number.to_string()));
        assert_eq!(component.paths.len(), MAX_PLACES);
        (0..=2 * MAX_PLACES).for_each(|number| component.fact("syft:location:0:path", number.to_string()));
        component.fact("syft:metadata:source", "glibc".to_owned());
        assert_eq!((component.facts.len(), component.get("syft:metadata:source")), (2 * MAX_PLACES + 1, "glibc"));
        (0..=MAX_FACTS).for_each(|number| component.fact("syft:metadata:x", number.to_string()));
        assert_eq!(component.facts.len(), MAX_FACTS);
    }
}
