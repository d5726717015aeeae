//! JSON documents that are larger than memory: their entries are found by their brackets, and parsed one after the other.

use super::Problem;
use serde::de::{DeserializeOwned, IgnoredAny};
use std::io::{self, Read};

/// Bytes read at once.
const CHUNK: usize = 256 << 10;
/// Most bytes of one entry. The largest known one, the kernel's in Debian's tracker, has six million.
const ENTRY_BYTES: usize = 256 << 20;

/// Calls `each` with every element of the list `name` of a document that is an object. `Ok(false)`: it has no such list.
///
/// # Errors
/// When it is not JSON, or an element has another shape. `each` was called with those before it.
pub(super) fn list<T: DeserializeOwned>(
    content: &mut dyn Read,
    name: &str,
    mut each: impl FnMut(T),
) -> Result<bool, Problem> {
    let mut tokens = Tokens::new(content);
    let mut found = false;
    tokens.object(|tokens, key| match key == name {
        true => tokens.list_or_null(&mut each).map(|is_list| found |= is_list),
        false => parse::<IgnoredAny>(tokens.value()?).map(drop),
    })?;
    Ok(found)
}

/// Calls `each` with every entry of a document that is an object.
///
/// # Errors
/// When it is not JSON, or a value has another shape. `each` was called with those before it.
pub(super) fn entries<T: DeserializeOwned>(
    content: &mut dyn Read,
    mut each: impl FnMut(String, T),
) -> Result<(), Problem> {
    Tokens::new(content).object(|tokens, key| {
        let value = parse(tokens.value()?)?;
        each(key, value);
        Ok(())
    })
}

fn parse<T: DeserializeOwned>(text: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(text).map_err(|e| e.to_string())
}

/// A document as values and what separates them. Values are not looked into.
struct Tokens<'a> {
    content: &'a mut dyn Read,
    buffer: Vec<u8>,
    /// What was read and not taken yet is between these.
    at: usize,
    filled: usize,
}

impl<'a> Tokens<'a> {
    fn new(content: &'a mut dyn Read) -> Self {
        Tokens { content, buffer: vec![0; CHUNK], at: 0, filled: 0 }
    }

    /// The whole document as an object: calls `each` with every key; it takes the value.
    fn object(&mut self, mut each: impl FnMut(&mut Self, String) -> Result<(), Problem>) -> Result<(), Problem> {
        self.between(b'{', b'}', |tokens| {
            let key = parse(tokens.value()?)?;
            tokens.take(b':')?;
            each(tokens, key)
        })?;
        match self.peek()? {
            None => Ok(()),
            Some(_) => Err("something follows the end of the document".to_owned()),
        }
    }

    /// Calls `each` with every element of a list. `Ok(false)`: it is `null`.
    fn list_or_null<T: DeserializeOwned>(&mut self, mut each: impl FnMut(T)) -> Result<bool, Problem> {
        if self.peek()? == Some(b'n') {
            return parse::<()>(self.value()?).map(|()| false);
        }
        self.list(|tokens| parse(tokens.value()?).map(&mut each))?;
        Ok(true)
    }

    /// A list: calls `each` for every element, which it takes.
    fn list(&mut self, each: impl FnMut(&mut Self) -> Result<(), Problem>) -> Result<(), Problem> {
        self.between(b'[', b']', each)
    }

    fn between(
        &mut self,
        open: u8,
        close: u8,
        mut each: impl FnMut(&mut Self) -> Result<(), Problem>,
    ) -> Result<(), Problem> {
        self.take(open)?;
        if self.peek()? == Some(close) {
            return self.take(close);
        }
        loop {
            each(self)?;
            if self.peek()? != Some(b',') {
                return self.take(close);
            }
            self.take(b',')?;
        }
    }

    /// The next byte that is not white space.
    fn peek(&mut self) -> Result<Option<u8>, Problem> {
        loop {
            let here = self.buffer.get(self.at..self.filled).unwrap_or_default();
            if let Some(place) = here.iter().position(|byte| !byte.is_ascii_whitespace()) {
                self.at += place;
                return Ok(here.get(place).copied());
            }
            self.at = self.filled;
            if !self.fill()? {
                return Ok(None);
            }
        }
    }

    fn take(&mut self, expected: u8) -> Result<(), Problem> {
        match self.peek()? {
            Some(byte) if byte == expected => {
                self.at += 1;
                Ok(())
            }
            Some(byte) => Err(format!("{:?} where {:?} is expected", char::from(byte), char::from(expected))),
            None => Err(format!("it ends where {:?} is expected", char::from(expected))),
        }
    }

    /// The text of the next value.
    fn value(&mut self) -> Result<&[u8], Problem> {
        self.peek()?;
        let mut scan = Scan::default();
        loop {
            let here = self.buffer.get(self.at..self.filled).unwrap_or_default();
            if let Some(len) = scan.end(here) {
                let start = self.at;
                self.at += len;
                return Ok(self.buffer.get(start..self.at).unwrap_or_default());
            }
            if here.len() > ENTRY_BYTES {
                return Err(format!("an entry exceeds {ENTRY_BYTES} bytes"));
            }
            if !self.fill()? {
                return Err("it ends inside a value".to_owned());
            }
        }
    }

    /// Reads more; false at the end.
    fn fill(&mut self) -> Result<bool, Problem> {
        if self.at > 0 {
            self.buffer.copy_within(self.at..self.filled, 0);
            self.filled -= self.at;
            self.at = 0;
        }
        if self.filled == self.buffer.len() {
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
        loop {
            match self.content.read(self.buffer.get_mut(self.filled..).unwrap_or_default()) {
                Ok(read) => {
                    self.filled += read;
                    return Ok(read > 0);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.to_string()),
            }
        }
    }
}

/// Finds the end of a value, which may not be in memory as a whole yet.
#[derive(Default)]
struct Scan {
    /// Bytes that were looked at.
    done: usize,
    depth: usize,
    in_text: bool,
}

impl Scan {
    /// The length of the value that begins with these bytes; `None` when it continues after them.
    fn end(&mut self, bytes: &[u8]) -> Option<usize> {
        loop {
            let rest = bytes.get(self.done..)?;
            if self.in_text {
                let place = memchr::memchr2(b'"', b'\\', rest);
                match place.and_then(|place| rest.get(place)) {
                    Some(b'"') => {
                        self.done += place? + 1;
                        self.in_text = false;
                        if self.depth == 0 {
                            return Some(self.done);
                        }
                    }
                    // The escaped byte may not be here yet.
                    Some(_) => {
                        self.done += place?;
                        rest.get(place? + 1)?;
                        self.done += 2;
                    }
                    None => {
                        self.done = bytes.len();
                        return None;
                    }
                }
                continue;
            }
            let place = rest.iter().position(|byte| matches!(byte, b'"' | b'{' | b'}' | b'[' | b']' | b',' | b':'));
            let Some(place) = place else {
                self.done = bytes.len();
                return None;
            };
            let before = self.done + place;
            match rest.get(place)? {
                b'"' => self.in_text = true,
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' if self.depth == 1 => return Some(before + 1),
                // What ends the surrounding value also ends a number or a word.
                _ if self.depth == 0 => return Some(before),
                b'}' | b']' => self.depth -= 1,
                _ => {}
            }
            self.done = before + 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One byte at a time, so that every value is cut everywhere.
    struct Slow<'a>(&'a [u8]);

    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let len = 1.min(buffer.len());
            self.0.read(&mut buffer[..len])
        }
    }

    #[test]
    fn elements_are_read_one_after_the_other() {
        let check = |text: &str, expected: &[u32], result: Result<bool, ()>| {
            for slow in [false, true] {
                let (mut whole, mut slowly, mut found) = (text.as_bytes(), Slow(text.as_bytes()), Vec::new());
                let content: &mut dyn Read = if slow { &mut slowly } else { &mut whole };
                let read = list(content, "numbers", |number: u32| found.push(number)).map_err(drop);
                assert_eq!((found.as_slice(), read), (expected, result), "{text}");
            }
        };
        check(r#"{"a":{"numbers":[9]},"numbers":[1,2],"z":[[3]]}"#, &[1, 2], Ok(true));
        check(" {\n\"a\" : \"}\\\"]\\\\\" , \"b\":\"\", \"numbers\" : [ 1 , 2 ] }\n", &[1, 2], Ok(true));
        check(r#"{"a":-1.5e3,"b":true,"numbers":[1]}"#, &[1], Ok(true));
        check(r#"{"\u006eumbers":[1]}"#, &[1], Ok(true));
        check(r#"{"numbers":[]}"#, &[], Ok(true));
        check(r#"{"numbers":null}"#, &[], Ok(false));
        check("{}", &[], Ok(false));
        for wrong in ["", "[]", "1", "{", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{,}", "{a:1}", r#"{"numbers":{"a":1}}"#]
        {
            check(wrong, &[], Err(()));
        }
        check(r#"{"numbers":[1,"a"]}"#, &[1], Err(()));
        check(r#"{"numbers":[1]}]"#, &[1], Err(()));
        check(r#"{"numbers":[1"#, &[], Err(()));
        check(r#"{"numbers":[1,"#, &[1], Err(()));
        check(r#"{"numbers":[1}]"#, &[1], Err(()));
        check(r#"{"numbers":[1 2]}"#, &[], Err(()));
    }

    #[test]
    fn entries_are_read_one_after_the_other() {
        let check = |text: &str, expected: &[(&str, u32)], result: Result<(), ()>| {
            let mut found = Vec::new();
            let read = entries(&mut text.as_bytes(), |key, value: u32| found.push((key, value))).map_err(drop);
            let found: Vec<_> = found.iter().map(|(key, value)| (key.as_str(), *value)).collect();
            assert_eq!((found.as_slice(), read), (expected, result), "{text}");
        };
        check(r#"{"a":1,"b":2}"#, &[("a", 1), ("b", 2)], Ok(()));
        check(r#"{"a":1,"b":[]}"#, &[("a", 1)], Err(()));
        check("[]", &[], Err(()));
    }

    #[test]
    fn entries_larger_than_the_buffer_are_read_whole() {
        let long = "x".repeat(3 * CHUNK);
        let text = format!("{{\"a\":\"{long}\",\"b\":\"y\"}}");
        let mut found = Vec::new();
        entries(&mut text.as_bytes(), |_, value: String| found.push(value.len())).unwrap();
        assert_eq!(found, [3 * CHUNK, 1]);
    }
}
