//! XML as a stream of elements: no tree, no entities that a document defines, a limit on depth. One instance of the parser for
//! feeds and SBOMs.

use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;
use std::io::{self, BufRead, BufReader, Read};

/// Deepest nesting of elements. Readers of feeds recurse over criteria, so it bounds their stack.
const DEPTH: usize = 64;

/// Bytes read at once.
const BUFFER: usize = 64 << 10;
/// Most bytes of one tag or text: those are in memory, the document is not.
const EVENT_BYTES: usize = 4 << 20;

/// A step of the stream, in document order. Names are without their prefix.
#[derive(Debug)]
pub enum Step<'a> {
    /// An element begins.
    Open(&'a str, &'a Attributes),
    /// It ends; with the text since the last step, trimmed.
    Close(&'a str, &'a str),
}

/// The attributes of one element.
#[derive(Debug, Default)]
pub struct Attributes(Vec<(String, String)>);

impl Attributes {
    /// The value, or nothing.
    pub fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    /// All values, among them the names of namespaces.
    pub fn values(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(_, value)| value.as_str())
    }
}

/// A stream of which no event is longer than [`EVENT_BYTES`].
struct Bounded<'r> {
    inner: BufReader<&'r mut dyn Read>,
    /// Bytes that the current event may still have.
    left: usize,
    place: Place,
}

/// How far the text was read: where a mistake is, or just behind it.
#[derive(Clone, Copy)]
struct Place {
    /// From 1 on.
    line: usize,
    /// Bytes of the line before it.
    bytes: usize,
}

impl Place {
    fn pass(&mut self, text: &[u8]) {
        self.line += text.iter().filter(|byte| **byte == b'\n').count();
        match text.iter().rposition(|byte| *byte == b'\n') {
            Some(end) => self.bytes = text.len() - end - 1,
            None => self.bytes += text.len(),
        }
    }
}

impl Read for Bounded<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(buffer)?;
        self.consume(read);
        Ok(read)
    }
}

impl BufRead for Bounded<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.left == 0 {
            return Err(io::Error::other(too_long()));
        }
        self.inner.fill_buf()
    }

    fn consume(&mut self, bytes: usize) {
        self.left = self.left.saturating_sub(bytes);
        let buffered = self.inner.buffer();
        self.place.pass(buffered.get(..bytes).unwrap_or(buffered));
        self.inner.consume(bytes);
    }
}

fn too_long() -> String {
    format!("a tag or a text exceeds {EVENT_BYTES} bytes")
}

/// Calls `each` for every step.
///
/// # Errors
/// When the stream cannot be read, is not well-formed XML in UTF-8, or is nested too deep: with the line and the column where
/// that was seen, both from 1 on.
pub fn walk(document: &mut dyn Read, each: &mut dyn FnMut(Step<'_>)) -> Result<(), String> {
    let inner = BufReader::with_capacity(BUFFER, document);
    let mut reader = Reader::from_reader(Bounded { inner, left: EVENT_BYTES, place: Place { line: 1, bytes: 0 } });
    let read = steps(&mut reader, each);
    let Place { line, bytes } = reader.get_ref().place;
    read.map_err(|cause| format!("line {line}, column {}: {cause}", bytes + 1))
}

fn steps(reader: &mut Reader<Bounded<'_>>, each: &mut dyn FnMut(Step<'_>)) -> Result<(), String> {
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
                let text = entity.or_else(named).ok_or_else(|| unknown_entity(&part))?;
                content.push_str(&text);
            }
            Event::Eof if depth == 0 => return Ok(()),
            Event::Eof => return Err("the document ends inside an element".to_owned()),
            _ => {}
        }
    }
}

/// Text must not vanish: a name without a part may be another's.
fn unknown_entity(name: &str) -> String {
    format!("the entity `&{name:.40};` is not one of those that XML has")
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
    fn steps(mut document: impl Read) -> Result<String, String> {
        let mut out = String::new();
        walk(&mut document, &mut |step| match step {
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
        check(b"<a>\n <b>\n  </c></b></a>", "line 3, column 7: ");
        check(b"<a>\n", "line 2, column 1: ");
        check(b"<a>x&undefined;y</a>", "the entity `&undefined;` is not one");
        check(b"<a>&#x110000;</a>", "the entity `&#x110000;` is not one");
        check(b"<!DOCTYPE a [<!ENTITY e 'x'>]><a>&e;</a>", "the entity `&e;` is not one");
        check(b"<a>", "ends inside an element");
        check("<a>".repeat(65).as_bytes(), "nested deeper than 64");
        let long = "x".repeat(EVENT_BYTES + BUFFER);
        check(format!("<a b='{long}'/>").as_bytes(), "a tag or a text exceeds");
        check(format!("<a>{long}</a>").as_bytes(), "a tag or a text exceeds");
        let parts = "x&amp;".repeat(EVENT_BYTES / 2 + 2);
        check(format!("<a>{parts}</a>").as_bytes(), "a tag or a text exceeds");
    }
}
