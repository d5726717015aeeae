//! XML as a stream of elements: no tree, no entities that a document defines, a limit on depth.

use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;

/// Deepest nesting of elements. Readers recurse over criteria, so it bounds their stack.
const DEPTH: usize = 64;

/// A step of the stream, in document order. Names are without their prefix.
pub(crate) enum Step<'a> {
    /// An element begins.
    Open(&'a str, &'a Attributes),
    /// It ends; with the text since the last step, trimmed.
    Close(&'a str, &'a str),
}

/// The attributes of one element.
#[derive(Default)]
pub(crate) struct Attributes(Vec<(String, String)>);

impl Attributes {
    /// The value, or nothing.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }
}

/// Calls `each` for every step.
///
/// # Errors
/// When the bytes are not well-formed XML, or nested too deep.
pub(crate) fn walk(bytes: &[u8], mut each: impl FnMut(Step<'_>)) -> Result<(), String> {
    let text = std::str::from_utf8(bytes).map_err(|e| e.to_string())?;
    let mut reader = Reader::from_str(text);
    let mut content = String::new();
    let mut depth = 0_usize;
    loop {
        match reader.read_event().map_err(|e| e.to_string())? {
            Event::Start(start) => {
                depth += 1;
                if depth > DEPTH {
                    return Err(format!("elements are nested deeper than {DEPTH}"));
                }
                content.clear();
                each(Step::Open(start.local_name().into_inner(), &attributes(&start)?));
            }
            Event::Empty(start) => {
                let local = start.local_name();
                each(Step::Open(local.into_inner(), &attributes(&start)?));
                each(Step::Close(local.into_inner(), ""));
                content.clear();
            }
            Event::End(end) => {
                depth = depth.saturating_sub(1);
                each(Step::Close(end.local_name().into_inner(), content.trim()));
                content.clear();
            }
            Event::Text(part) => content.push_str(&part.xml_content(XmlVersion::Implicit1_0)),
            Event::CData(part) => content.push_str(&part.xml_content(XmlVersion::Implicit1_0)),
            Event::GeneralRef(part) => {
                let entity = part.resolve_char_ref().ok().flatten().map(String::from);
                let named = || quick_xml::escape::resolve_predefined_entity(part.as_ref()).map(str::to_owned);
                content.push_str(&entity.or_else(named).unwrap_or_default());
            }
            Event::Eof if depth == 0 => return Ok(()),
            Event::Eof => return Err("the document ends inside an element".to_owned()),
            _ => {}
        }
    }
}

fn attributes(start: &BytesStart<'_>) -> Result<Attributes, String> {
    let one = |attribute: Result<quick_xml::events::attributes::Attribute<'_>, _>| {
        let attribute = attribute.map_err(|e: quick_xml::events::attributes::AttrError| e.to_string())?;
        let value = attribute.normalized_value(XmlVersion::Implicit1_0).map_err(|e| e.to_string())?;
        Ok((attribute.key.local_name().into_inner().to_owned(), value.into_owned()))
    };
    start.attributes().map(one).collect::<Result<_, String>>().map(Attributes)
}
