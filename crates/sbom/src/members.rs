//! Objects and lists of JSON, member by member and element by element: nothing is in memory but what is kept.

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// Takes the members of an object.
pub(crate) trait ObjectMembers {
    /// Takes one; `name` is its name. It must take a value, if only by [`skip`].
    fn member<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error>;

    /// Takes a text that is there in place of an object.
    fn text(&mut self, _: &str) {}
}

/// Takes the elements of a list.
pub(crate) trait ListElements {
    fn element<'de, D: Deserializer<'de>>(&mut self, element: D) -> Result<(), D::Error>;

    /// Takes a text that is there in place of a list; by default it is none.
    fn text(&mut self, _: &str) {}
}

/// The texts of an object by the names of members.
struct MemberTexts<'n> {
    names: &'n [&'static str; 3],
    /// In the order of names; empty where there is none.
    values: [String; 3],
    /// A text in place of the object.
    alone: String,
}

/// Takes objects of which some texts count. Behind a pointer, so that all lists of them are read by one instance of the code.
pub(crate) trait TextRows {
    /// The names of the members; empty where there are fewer.
    fn names(&self) -> [&'static str; 3];

    /// Takes the texts of one object, in the order of names; a text in place of an object is the first.
    fn row(&mut self, texts: [String; 3]);
}

/// A list of such objects.
pub(crate) struct Rows<'t>(pub(crate) &'t mut dyn TextRows);

impl<'de> DeserializeSeed<'de> for Rows<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(mut self, deserializer: D) -> Result<(), D::Error> {
        List(&mut self).deserialize(deserializer)
    }
}

impl ListElements for Rows<'_> {
    fn element<'de, D: Deserializer<'de>>(&mut self, element: D) -> Result<(), D::Error> {
        let names = self.0.names();
        let mut texts = MemberTexts { names: &names, values: <[String; 3]>::default(), alone: String::new() };
        Object(&mut texts).deserialize(element)?;
        let MemberTexts { values: [first, second, third], alone, .. } = texts;
        let first = if first.is_empty() { alone } else { first };
        self.0.row([first, second, third]);
        Ok(())
    }
}

impl ObjectMembers for MemberTexts<'_> {
    fn member<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match self.names.iter().position(|known| *known == name).and_then(|place| self.values.get_mut(place)) {
            Some(value) => {
                *value = text(map)?;
                Ok(())
            }
            None => skip(map),
        }
    }

    fn text(&mut self, text: &str) {
        text.clone_into(&mut self.alone);
    }
}

/// The texts of a list; of a text in place of one, that alone.
#[derive(Default)]
pub(crate) struct TextList(pub(crate) Vec<String>);

impl ListElements for TextList {
    fn element<'de, D: Deserializer<'de>>(&mut self, element: D) -> Result<(), D::Error> {
        self.0.push(Text::deserialize(element)?.0);
        Ok(())
    }

    fn text(&mut self, text: &str) {
        self.0.push(text.to_owned());
    }
}

/// An object; `null` is one without members.
pub(crate) struct Object<'t, T>(pub(crate) &'t mut T);

/// A list; `null` is one without elements.
pub(crate) struct List<'t, T>(pub(crate) &'t mut T);

/// Passes a value over.
pub(crate) fn skip<'de, A: MapAccess<'de>>(map: &mut A) -> Result<(), A::Error> {
    map.next_value::<IgnoredAny>().map(drop)
}

/// Takes a text that must be there once: readers differ in which of two members of one name they take.
pub(crate) fn once<'de, A: MapAccess<'de>>(field: &mut String, map: &mut A) -> Result<(), A::Error> {
    if !field.is_empty() {
        return Err(A::Error::custom("an object has two members of one name"));
    }
    *field = text(map)?;
    Ok(())
}

/// Takes a text; what is no text is empty.
pub(crate) fn text<'de, A: MapAccess<'de>>(map: &mut A) -> Result<String, A::Error> {
    map.next_value::<Text>().map(|text| text.0)
}

impl<'de, T: ObjectMembers> DeserializeSeed<'de> for Object<'_, T> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, T: ObjectMembers> Visitor<'de> for Object<'_, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.0.text(text);
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut name = String::new();
        while map.next_key_seed(Name(&mut name))?.is_some() {
            self.0.member(&name, &mut map)?;
        }
        Ok(())
    }
}

impl<'de, T: ListElements> DeserializeSeed<'de> for List<'_, T> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, T: ListElements> Visitor<'de> for List<'_, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.0.text(text);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(Element(&mut *self.0))?.is_some() {}
        Ok(())
    }
}

/// One element of a list.
struct Element<'t, T>(&'t mut T);

impl<'de, T: ListElements> DeserializeSeed<'de> for Element<'_, T> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        self.0.element(deserializer)
    }
}

/// The name of a member, in memory that the next one uses again.
struct Name<'n>(&'n mut String);

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<(), E> {
        self.0.clear();
        self.0.push_str(name);
        Ok(())
    }
}

/// A text, or a number as one; empty for anything else.
#[derive(Debug, Default)]
pub(crate) struct Text(pub(crate) String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_str<E>(self, text: &str) -> Result<Text, E> {
        Ok(Text(text.to_owned()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Text, E> {
        Ok(Text(number.to_string()))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Text, E> {
        Ok(Text::default())
    }

    fn visit_f64<E>(self, number: f64) -> Result<Text, E> {
        Ok(Text(number.to_string()))
    }

    fn visit_bool<E>(self, is: bool) -> Result<Text, E> {
        Ok(Text(if is { "true".to_owned() } else { String::new() }))
    }

    fn visit_unit<E>(self) -> Result<Text, E> {
        Ok(Text::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Text, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Text::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Text, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Text::default())
    }
}
