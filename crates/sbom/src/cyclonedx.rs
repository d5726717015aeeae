//! CycloneDX (ECMA-424) as JSON, 1.2 to 1.7. Components may hold components. What is `excluded` from the scope was used to build
//! or test, and what `isExternal` is provided from elsewhere: neither is a part, nor is anything inside it.

use crate::component::{ComponentRole, SbomComponent, SbomSink};
use crate::format::SbomHead;
use crate::members::{List, ListElements, Object, ObjectMembers, Rows, TextRows, once, skip, text};
use serde::de::{DeserializeSeed as _, Deserializer, Error as _, MapAccess};

/// `metadata`: what the document is about, and what its author says of it.
pub(crate) struct Metadata<'d> {
    pub(crate) head: &'d mut SbomHead,
    pub(crate) sink: &'d mut dyn SbomSink,
}

impl ObjectMembers for Metadata<'_> {
    fn member<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "component" => {
                let mut open = OpenComponent::new(ComponentRole::Subject, self.sink);
                map.next_value_seed(Object(&mut open))?;
                open.done();
                Ok(())
            }
            "properties" => map.next_value_seed(Rows(&mut DocumentProperties(self.head))),
            _ => skip(map),
        }
    }
}

impl SbomHead {
    /// A property of the whole document.
    pub(crate) fn property(&mut self, name: &str, value: String) {
        if name == "tidewaiter:gap" {
            self.gaps.push(value);
        }
    }

    /// What is known of the completeness of a part: anything that is not said to be all makes a document incomplete, but for
    /// what nobody knows.
    pub(crate) fn composition(&mut self, aggregate: &str) {
        if aggregate.starts_with("incomplete") {
            aggregate.clone_into(&mut self.incomplete);
        }
    }
}

/// `properties` of the document.
struct DocumentProperties<'d>(&'d mut SbomHead);

impl TextRows for DocumentProperties<'_> {
    fn names(&self) -> [&'static str; 3] {
        ["name", "value", ""]
    }

    fn row(&mut self, [name, value, _]: [String; 3]) {
        self.0.property(&name, value);
    }
}

/// `components`.
pub(crate) struct Components<'d>(pub(crate) &'d mut dyn SbomSink);

impl ListElements for Components<'_> {
    fn element<'de, D: Deserializer<'de>>(&mut self, element: D) -> Result<(), D::Error> {
        if self.0.is_full() {
            return Err(D::Error::custom("too many components"));
        }
        let mut open = OpenComponent::new(ComponentRole::Part, self.0);
        Object(&mut open).deserialize(element)?;
        open.done();
        Ok(())
    }
}

/// A component while it is read.
pub(crate) struct OpenComponent<'d> {
    pub(crate) component: SbomComponent,
    sink: &'d mut dyn SbomSink,
    scope: ComponentScope,
    has_inner: bool,
}

/// What says whether a component is a part.
#[derive(Debug, Default)]
pub(crate) struct ComponentScope {
    pub(crate) is_excluded: bool,
    pub(crate) is_external: bool,
}

impl ComponentScope {
    pub(crate) fn counts(&self) -> bool {
        !self.is_excluded && !self.is_external
    }
}

impl<'d> OpenComponent<'d> {
    fn new(role: ComponentRole, sink: &'d mut dyn SbomSink) -> Self {
        let component = SbomComponent { role, ..SbomComponent::default() };
        OpenComponent { component, sink, scope: ComponentScope::default(), has_inner: false }
    }

    fn done(self) {
        let counts = self.scope.counts();
        if self.has_inner {
            self.sink.end(counts);
        }
        if counts {
            self.sink.add(self.component);
        }
    }
}

impl ObjectMembers for OpenComponent<'_> {
    fn member<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        let component = &mut self.component;
        match name {
            "type" => component.set_kind(&text(map)?),
            "bom-ref" => component.id = text(map)?,
            "group" => once(&mut component.group, map)?,
            "name" => once(&mut component.name, map)?,
            "version" => once(&mut component.version, map)?,
            "description" => component.description = text(map)?,
            "publisher" => component.publisher = text(map)?,
            "purl" => {
                let mut purl = component.purls.pop().unwrap_or_default();
                once(&mut purl, map)?;
                component.purls.extend(Some(purl).filter(|purl| !purl.is_empty()));
            }
            "scope" => self.scope.is_excluded = text(map)? == "excluded",
            "isExternal" => self.scope.is_external = text(map)? == "true",
            "properties" => return map.next_value_seed(Rows(&mut Properties(component))),
            "evidence" => return map.next_value_seed(Object(&mut Evidence(component))),
            "components" => {
                // The scope may come after them.
                if !self.has_inner {
                    self.has_inner = true;
                    self.sink.begin();
                }
                return map.next_value_seed(List(&mut Components(self.sink)));
            }
            _ => return skip(map),
        }
        Ok(())
    }
}

struct Properties<'c>(&'c mut SbomComponent);

impl TextRows for Properties<'_> {
    fn names(&self) -> [&'static str; 3] {
        ["name", "value", ""]
    }

    fn row(&mut self, [name, value, _]: [String; 3]) {
        self.0.fact(&name, value);
    }
}

/// `evidence`: where a component was found.
struct Evidence<'c>(&'c mut SbomComponent);

impl ObjectMembers for Evidence<'_> {
    fn member<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "occurrences" => map.next_value_seed(Rows(&mut Occurrences(self.0))),
            _ => skip(map),
        }
    }
}

struct Occurrences<'c>(&'c mut SbomComponent);

impl TextRows for Occurrences<'_> {
    fn names(&self) -> [&'static str; 3] {
        ["location", "", ""]
    }

    fn row(&mut self, [location, _, _]: [String; 3]) {
        self.0.place(location);
    }
}

/// `compositions`.
pub(crate) struct Compositions<'d>(pub(crate) &'d mut SbomHead);

#[derive(Default)]
struct CompositionForm {
    aggregate: String,
    /// Whether it names components or what they depend on.
    has_parts: bool,
    has_vulnerabilities: bool,
}

impl ObjectMembers for CompositionForm {
    fn member<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        self.has_parts |= matches!(name, "assemblies" | "dependencies");
        self.has_vulnerabilities |= name == "vulnerabilities";
        match name {
            "aggregate" => once(&mut self.aggregate, map),
            _ => skip(map),
        }
    }
}

impl ListElements for Compositions<'_> {
    fn element<'de, D: Deserializer<'de>>(&mut self, element: D) -> Result<(), D::Error> {
        let mut form = CompositionForm::default();
        Object(&mut form).deserialize(element)?;
        // A list of vulnerabilities says nothing of packages.
        if form.has_parts || !form.has_vulnerabilities {
            self.0.composition(&form.aggregate);
        }
        Ok(())
    }
}
