//! XML as a stream of elements: no tree, no entities that a document defines, a limit on depth.

use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;
use std::io::{self, BufRead, BufReader, Read};

/// Deepest nesting of elements. Readers recurse over criteria, so it bounds their stack.
const DEPTH: usize = 64;

/// Bytes read at once.
const BUFFER: usize = 64 << 10;
/// Most bytes of one tag or text: those are in memory, the document is not.
const EVENT_BYTES: usize = 4 << 20;

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

/// A stream of which no event is longer than [`EVENT_BYTES`].
struct Bounded<R> {
    inner: R,
    /// Bytes that the current event may still have.
    left: usize,
}

impl<R: BufRead> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(buffer)?;
        self.consume(read);
        Ok(read)
    }
}

impl<R: BufRead> BufRead for Bounded<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.left == 0 {
            return Err(io::Error::other(too_long()));
        }
        self.inner.fill_buf()
    }

    fn consume(&mut self, bytes: usize) {
        self.left = self.left.saturating_sub(bytes);
        self.inner.consume(bytes);
    }
}

fn too_long() -> String {
    format!("a tag or a text exceeds {EVENT_BYTES} bytes")
}

/// Calls `each` for every step.
///
/// # Errors
/// When the stream cannot be read, is not well-formed XML in UTF-8, or is nested too deep.
pub(crate) fn walk(document: impl Read, mut each: impl FnMut(Step<'_>)) -> Result<(), String> {
    let inner = BufReader::with_capacity(BUFFER, document);
    let mut reader = Reader::from_reader(Bounded { inner, left: EVENT_BYTES });
    let (mut content, mut buffer) = (String::new(), Vec::new());
    let mut depth = 0_usize;
    loop {
        buffer.clear();
        reader.get_mut().left = EVENT_BYTES;
        if content.len() > EVENT_BYTES {
            return Err(too_long());
        }
        match reader.read_event_into(&mut buffer).map_err(|e| e.to_string())? {
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
    let mut out = Vec::new();
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|e| e.to_string())?;
        let value = attribute.normalized_value(XmlVersion::Implicit1_0).map_err(|e| e.to_string())?;
        out.push((attribute.key.local_name().into_inner().to_owned(), value.into_owned()));
    }
    Ok(Attributes(out))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The steps as text.
    fn steps(document: impl Read) -> Result<String, String> {
        let mut out = String::new();
        walk(document, |step| match step {
            Step::Open(name, attributes) => out += &format!("<{name} {}>", attributes.get("a")),
            Step::Close(name, text) => out += &format!("{text}</{name}>"),
        })?;
        Ok(out)
    }

    #[test]
    fn a_stream_is_read_as_its_bytes_are() {
        let text = "<?xml version=\"1.0\"?><x:r a='é&lt;'>one <e/><t><![CDATA[ <b> ]]>&amp;&#233;</t></x:r>".to_owned();
        let expected = Ok("<r é<><e ></e><t ><b> &é</t></r>".to_owned());
        assert_eq!(steps(text.as_bytes()), expected);
        // One byte at a time: no character or tag needs to be whole.
        let slow = text.bytes().map(|byte| [byte]).collect::<Vec<_>>();
        let slow = slow.iter().fold(Box::new(io::empty()) as Box<dyn Read>, |all, byte| Box::new(all.chain(&byte[..])));
        assert_eq!(steps(slow), expected);
    }

    #[test]
    fn what_is_no_xml_or_too_long_is_an_error() {
        let check = |document: &[u8], expected: &str| {
            let said = steps(document).err().unwrap_or_default();
            assert!(said.contains(expected), "{expected}: {said}");
        };
        check(b"<a>\xff</a>", "utf-8");
        check(b"<a>", "ends inside an element");
        check("<a>".repeat(65).as_bytes(), "nested deeper than 64");
        let long = "x".repeat(EVENT_BYTES + BUFFER);
        check(format!("<a b='{long}'/>").as_bytes(), "a tag or a text exceeds");
        check(format!("<a>{long}</a>").as_bytes(), "a tag or a text exceeds");
        let parts = "x&amp;".repeat(EVENT_BYTES / 2 + 2);
        check(format!("<a>{parts}</a>").as_bytes(), "a tag or a text exceeds");
    }
}
