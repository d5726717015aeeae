//! CycloneDX as XML, 1.2 to 1.7: the same things as in JSON, by the same names.

use crate::component::{ComponentRole, MAX_COMPONENTS, SbomComponent, SbomSink};
use crate::cyclonedx::ComponentScope;
use crate::error::SbomError;
use crate::format::SbomHead;
use std::io::{BufReader, Read};
use tidewaiter_xml::{Attributes, Step};

/// The namespace of a document, without its version.
const NAMESPACE: &str = "http://cyclonedx.org/schema/bom/";

/// Reads a document.
///
/// # Errors
/// When it is no XML, or not CycloneDX.
pub(crate) fn read(
    mut input: BufReader<impl Read>,
    head: &mut SbomHead,
    sink: &mut dyn SbomSink,
) -> Result<(), SbomError> {
    let mut document =
        XmlDocument { head, sink, above: Vec::new(), open: Vec::new(), property: String::new(), root: String::new() };
    let read = tidewaiter_xml::walk(&mut input, &mut |step| match step {
        Step::Open(name, attributes) => document.open(name, attributes),
        Step::Close(name, text) => document.close(name, text),
    });
    let XmlDocument { head, sink, root, .. } = document;
    if sink.is_full() {
        return Err(SbomError::TooMany(MAX_COMPONENTS));
    }
    if !root.is_empty() && head.bom_format.is_empty() {
        return Err(SbomError::Unknown(format!("XML whose root is `{root}`")));
    }
    read.map_err(SbomError::Damaged)
}

struct XmlDocument<'d> {
    head: &'d mut SbomHead,
    sink: &'d mut dyn SbomSink,
    /// The names of the elements that are open.
    above: Vec<String>,
    /// The components that are open.
    open: Vec<XmlComponent>,
    /// The name of the document's property that is open.
    property: String,
    root: String,
}

struct XmlComponent {
    component: SbomComponent,
    scope: ComponentScope,
    has_inner: bool,
    /// The elements that are open when its own is, with it: components of a pedigree have members of the same names.
    depth: usize,
    /// The name of its property that is open.
    property: String,
}

impl XmlDocument<'_> {
    fn open(&mut self, name: &str, attributes: &Attributes) {
        let above: Vec<&str> = self.above.iter().rev().take(2).map(String::as_str).collect();
        match (name, above.as_slice()) {
            ("bom", []) => self.root(attributes),
            (_, []) => name.clone_into(&mut self.root),
            // Those of tools, services and the like are no parts.
            ("component", ["components", "bom" | "component"]) => self.component(ComponentRole::Part, attributes),
            ("component", ["metadata", "bom"]) => self.component(ComponentRole::Subject, attributes),
            ("components", ["component", ..]) if self.is_below_component(0) => self.inner(),
            ("property", ["properties", ..]) => attributes.get("name").clone_into(self.property()),
            _ => {}
        }
        self.above.push(name.to_owned());
    }

    /// Whether the innermost element is so many below the open component.
    fn is_below_component(&self, elements: usize) -> bool {
        self.open.last().is_some_and(|open| open.depth + elements == self.above.len())
    }

    /// Where the name of a property goes: a component's, or the document's.
    fn property(&mut self) -> &mut String {
        match self.open.last_mut() {
            Some(open) => &mut open.property,
            None => &mut self.property,
        }
    }

    fn root(&mut self, attributes: &Attributes) {
        let version = attributes.values().find_map(|value| value.strip_prefix(NAMESPACE));
        "bom".clone_into(&mut self.root);
        if let Some(version) = version {
            "CycloneDX".clone_into(&mut self.head.bom_format);
            version.clone_into(&mut self.head.cyclonedx);
        }
    }

    fn component(&mut self, role: ComponentRole, attributes: &Attributes) {
        let mut component =
            SbomComponent { role, id: attributes.get("bom-ref").to_owned(), ..SbomComponent::default() };
        component.set_kind(attributes.get("type"));
        let scope = ComponentScope { is_external: attributes.get("isExternal") == "true", ..ComponentScope::default() };
        let depth = self.above.len() + 1;
        self.open.push(XmlComponent { component, scope, has_inner: false, depth, property: String::new() });
    }

    fn inner(&mut self) {
        if let Some(open) = self.open.last_mut().filter(|open| !open.has_inner) {
            open.has_inner = true;
            self.sink.begin();
        }
    }

    fn close(&mut self, name: &str, text: &str) {
        if name == "component" && self.is_below_component(0) {
            self.done();
        }
        self.above.pop();
        let above = self.above.last().map(String::as_str).unwrap_or_default();
        match (above, name) {
            ("composition", "aggregate") => self.head.composition(text),
            ("properties", "property") if self.open.is_empty() => {
                let name = std::mem::take(&mut self.property);
                self.head.property(&name, text.to_owned());
            }
            _ => self.field(name, text),
        }
    }

    fn field(&mut self, name: &str, text: &str) {
        let (is_field, is_property, is_location) =
            (self.is_below_component(0), self.is_below_component(1), self.is_below_component(3));
        let above = self.above.last().map(String::as_str).unwrap_or_default();
        let Some(open) = self.open.last_mut() else { return };
        match (above, name) {
            _ if is_field => open.field(name, text),
            ("properties", "property") if is_property => {
                let name = std::mem::take(&mut open.property);
                open.component.fact(&name, text.to_owned());
            }
            ("occurrence", "location") if is_location => open.component.place(text.to_owned()),
            _ => {}
        }
    }

    fn done(&mut self) {
        let Some(open) = self.open.pop() else { return };
        let counts = open.scope.counts();
        if open.has_inner {
            self.sink.end(counts);
        }
        if counts && !self.sink.is_full() {
            self.sink.add(open.component);
        }
    }
}

impl XmlComponent {
    fn field(&mut self, name: &str, text: &str) {
        let component = &mut self.component;
        let field = match name {
            "group" => &mut component.group,
            "name" => &mut component.name,
            "version" => &mut component.version,
            "description" => &mut component.description,
            "publisher" => &mut component.publisher,
            "purl" => return component.purl(text.to_owned()),
            "scope" => return self.scope.is_excluded = text == "excluded",
            _ => return,
        };
        text.clone_into(field);
    }
}
