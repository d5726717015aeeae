//! What the parser answers.

use super::access::{Entries, ErasedEntries, ErasedItems, ErasedVariants, Items, State, Variants};
use super::request::{Erased, Source};
use crate::failure::Failure;
use crate::kept::Kept;
use serde::de::{self, Deserializer, EnumAccess, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// An answer. Smaller numbers come as the largest of their kind, from which types take them as well.
pub(crate) enum Input<'a, 'de> {
    Bool(bool),
    I64(i64),
    I128(i128),
    U64(u64),
    U128(u128),
    F64(f64),
    Char(char),
    Str(&'a str),
    BorrowedStr(&'de str),
    String(String),
    Bytes(&'a [u8]),
    BorrowedBytes(&'de [u8]),
    ByteBuf(Vec<u8>),
    Unit,
    None,
    Some(&'a mut dyn Source<'de>),
    Newtype(&'a mut dyn Source<'de>),
    Seq(&'a mut dyn Items<'de>),
    Map(&'a mut dyn Entries<'de>),
    Enum(&'a mut dyn Variants<'de>),
}

/// A visitor of a type, which is given one answer.
pub(crate) trait Sink<'de> {
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result;
    fn fill(&mut self, input: Input<'_, 'de>) -> Result<(), Failure>;
}

/// A visitor or a seed of a type, and then its value.
pub(crate) struct Pending<V, T> {
    asking: Option<V>,
    value: Option<T>,
}

impl<V, T> Pending<V, T> {
    pub(crate) fn new(asking: V) -> Self {
        Pending { asking: Some(asking), value: None }
    }

    pub(crate) fn asking(&mut self) -> Result<V, Failure> {
        self.asking.take().ok_or_else(|| Failure::Message("a value is given twice".to_owned()))
    }

    pub(crate) fn set(&mut self, value: T) {
        self.value = Some(value);
    }

    pub(crate) fn value(self) -> Result<T, Failure> {
        self.value.ok_or_else(|| Failure::Message("there is no value".to_owned()))
    }
}

impl<'de, V: Visitor<'de>> Sink<'de> for Pending<V, V::Value> {
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.asking.as_ref().map_or(Ok(()), |visitor| visitor.expecting(f))
    }

    fn fill(&mut self, input: Input<'_, 'de>) -> Result<(), Failure> {
        let visitor = self.asking()?;
        let value = match input {
            Input::Bool(value) => visitor.visit_bool(value),
            Input::I64(value) => visitor.visit_i64(value),
            Input::I128(value) => visitor.visit_i128(value),
            Input::U64(value) => visitor.visit_u64(value),
            Input::U128(value) => visitor.visit_u128(value),
            Input::F64(value) => visitor.visit_f64(value),
            Input::Char(value) => visitor.visit_char(value),
            Input::Str(text) => visitor.visit_str(text),
            Input::BorrowedStr(text) => visitor.visit_borrowed_str(text),
            Input::String(text) => visitor.visit_string(text),
            Input::Bytes(bytes) => visitor.visit_bytes(bytes),
            Input::BorrowedBytes(bytes) => visitor.visit_borrowed_bytes(bytes),
            Input::ByteBuf(bytes) => visitor.visit_byte_buf(bytes),
            Input::Unit => visitor.visit_unit(),
            Input::None => visitor.visit_none(),
            Input::Some(source) => visitor.visit_some(Erased(source)),
            Input::Newtype(source) => visitor.visit_newtype_struct(Erased(source)),
            Input::Seq(items) => visitor.visit_seq(ErasedItems(items)),
            Input::Map(entries) => visitor.visit_map(ErasedEntries(entries)),
            Input::Enum(variants) => visitor.visit_enum(ErasedVariants(variants)),
        }?;
        self.set(value);
        Ok(())
    }
}

/// The one visitor that the parser knows.
pub(crate) struct Filled<'a, 'de>(pub(crate) &'a mut dyn Sink<'de>);

impl<'de> Filled<'_, 'de> {
    fn fill<E: de::Error>(self, input: Input<'_, 'de>) -> Result<(), E> {
        self.0.fill(input).map_err(Failure::into_error)
    }
}

/// Methods of [`Visitor`] for plain values.
macro_rules! values {
    ($($method:ident($type:ty) => $input:ident,)*) => {
        $(fn $method<E: de::Error>(self, value: $type) -> Result<(), E> {
            self.fill(Input::$input(value))
        })*
    };
}

impl<'de> Visitor<'de> for Filled<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.expecting(f)
    }

    values! {
        visit_bool(bool) => Bool,
        visit_i64(i64) => I64,
        visit_i128(i128) => I128,
        visit_u64(u64) => U64,
        visit_u128(u128) => U128,
        visit_f64(f64) => F64,
        visit_char(char) => Char,
        visit_str(&str) => Str,
        visit_borrowed_str(&'de str) => BorrowedStr,
        visit_string(String) => String,
        visit_bytes(&[u8]) => Bytes,
        visit_borrowed_bytes(&'de [u8]) => BorrowedBytes,
        visit_byte_buf(Vec<u8>) => ByteBuf,
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        self.fill(Input::Unit)
    }

    fn visit_none<E: de::Error>(self) -> Result<(), E> {
        self.fill(Input::None)
    }

    fn visit_some<D: Deserializer<'de>>(self, source: D) -> Result<(), D::Error> {
        let mut kept = Kept::new(source);
        let answer = self.0.fill(Input::Some(&mut kept));
        kept.restore(answer)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, source: D) -> Result<(), D::Error> {
        let mut kept = Kept::new(source);
        let answer = self.0.fill(Input::Newtype(&mut kept));
        kept.restore(answer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<(), A::Error> {
        let mut kept = Kept::new(items);
        let answer = self.0.fill(Input::Seq(&mut kept));
        kept.restore(answer)
    }

    fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<(), A::Error> {
        let mut kept = Kept::new(entries);
        let answer = self.0.fill(Input::Map(&mut kept));
        kept.restore(answer)
    }

    fn visit_enum<A: EnumAccess<'de>>(self, variants: A) -> Result<(), A::Error> {
        let mut kept = Kept::new(State::Named(variants));
        let answer = self.0.fill(Input::Enum(&mut kept));
        kept.restore(answer)
    }
}
