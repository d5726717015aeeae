//! Arrays of JSON read element by element: however many a document holds, one is in memory at a time.

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;
use std::marker::PhantomData;

/// Shows each element of the array that an object holds under a name.
///
/// # Errors
/// When the bytes are not an object, or an element is of another kind.
pub(super) fn elements<'b, T: Deserialize<'b>>(
    bytes: &'b [u8],
    member: &str,
    show: impl FnMut(T),
) -> serde_json::Result<()> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    Member { member, each: Each(show, PhantomData) }.deserialize(&mut json)
}

/// An object of which one member counts.
struct Member<'m, F, T> {
    member: &'m str,
    each: Each<F, T>,
}

impl<'de, T: Deserialize<'de>, F: FnMut(T)> DeserializeSeed<'de> for Member<'_, F, T> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, T: Deserialize<'de>, F: FnMut(T)> Visitor<'de> for Member<'_, F, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<String>()? {
            if name == self.member {
                map.next_value_seed(Each(&mut self.each.0, PhantomData))?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

/// An array, or null, whose elements are shown.
struct Each<F, T>(F, PhantomData<T>);

impl<'de, T: Deserialize<'de>, F: FnMut(T)> DeserializeSeed<'de> for Each<F, T> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, T: Deserialize<'de>, F: FnMut(T)> Visitor<'de> for Each<F, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<(), A::Error> {
        while let Some(element) = seq.next_element()? {
            (self.0)(element);
        }
        Ok(())
    }
}

/// The elements of an array that have a text.
#[derive(Debug)]
pub(super) struct Texts<T>(pub(super) Vec<String>, PhantomData<T>);

/// Texts of one array: a package has a few names, a document some roots.
const MAX_TEXTS: usize = 10_000;

impl<'de, T: Deserialize<'de> + Into<Option<String>>> Deserialize<'de> for Texts<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut texts = Vec::new();
        // One more than the limit shows that there are too many; the others are not in memory.
        let mut add = |element: T| texts.extend(element.into().filter(|_| texts.len() <= MAX_TEXTS));
        Each(&mut add, PhantomData).deserialize(deserializer)?;
        if texts.len() > MAX_TEXTS {
            return Err(D::Error::custom(format!("one thing has more than {MAX_TEXTS} names")));
        }
        Ok(Texts(texts, PhantomData))
    }
}
