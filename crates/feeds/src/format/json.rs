//! JSON documents that are larger than memory: their entries are read one after the other.

use super::Problem;
use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;
use std::io::{BufReader, Read};
use std::marker::PhantomData;

/// Bytes read at once.
const BUFFER: usize = 64 << 10;

/// Calls `each` with every element of the list `name` of a document that is an object. `Ok(false)`: it has no such list.
///
/// # Errors
/// When it is not JSON, or an element has another shape. `each` was called with those before it.
pub(super) fn list<T: DeserializeOwned>(
    content: &mut dyn Read,
    name: &str,
    each: impl FnMut(T),
) -> Result<bool, Problem> {
    let mut found = false;
    read(content, Object { name, found: &mut found, list: List { each, element: PhantomData } })?;
    Ok(found)
}

/// Calls `each` with every entry of a document that is an object.
///
/// # Errors
/// When it is not JSON, or a value has another shape. `each` was called with those before it.
pub(super) fn entries<T: DeserializeOwned>(content: &mut dyn Read, each: impl FnMut(String, T)) -> Result<(), Problem> {
    read(content, Entries { each, value: PhantomData })
}

fn read<'de>(content: &mut dyn Read, visitor: impl Visitor<'de>) -> Result<(), Problem> {
    let mut json = serde_json::Deserializer::from_reader(BufReader::with_capacity(BUFFER, content));
    json.deserialize_map(visitor).map_err(|e| e.to_string())?;
    json.end().map_err(|e| e.to_string())
}

struct Object<'n, F, T> {
    name: &'n str,
    found: &'n mut bool,
    list: List<F, T>,
}

impl<'de, F: FnMut(T), T: DeserializeOwned> Visitor<'de> for Object<'_, F, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            if key == self.name {
                *self.found |= map.next_value_seed(&mut self.list)?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

struct List<F, T> {
    each: F,
    element: PhantomData<fn(T)>,
}

impl<'de, F: FnMut(T), T: DeserializeOwned> DeserializeSeed<'de> for &mut List<F, T> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

/// True for a list, false for `null`.
impl<'de, F: FnMut(T), T: DeserializeOwned> Visitor<'de> for &mut List<F, T> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_unit<E>(self) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<bool, A::Error> {
        while let Some(element) = list.next_element()? {
            (self.each)(element);
        }
        Ok(true)
    }
}

struct Entries<F, T> {
    each: F,
    value: PhantomData<fn(T)>,
}

impl<'de, F: FnMut(String, T), T: DeserializeOwned> Visitor<'de> for Entries<F, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some((key, value)) = map.next_entry()? {
            (self.each)(key, value);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_read_one_after_the_other() {
        let check = |text: &str, expected: &[u32], result: Result<bool, ()>| {
            let mut found = Vec::new();
            let read = list(&mut text.as_bytes(), "numbers", |number: u32| found.push(number)).map_err(drop);
            assert_eq!((found.as_slice(), read), (expected, result), "{text}");
        };
        check(r#"{"a":{"numbers":[9]},"numbers":[1,2],"z":[[3]]}"#, &[1, 2], Ok(true));
        check(r#"{"numbers":[]}"#, &[], Ok(true));
        check(r#"{"numbers":null}"#, &[], Ok(false));
        check("{}", &[], Ok(false));
        check("[]", &[], Err(()));
        check(r#"{"numbers":[1,"a"]}"#, &[1], Err(()));
        check(r#"{"numbers":[1]}]"#, &[1], Err(()));
        check(r#"{"numbers":[1"#, &[1], Err(()));
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
}
