//! Interfaces without type parameters between types and the parser: what a type asks ([`request`]), what the parser answers
//! ([`sink`]), and the parts of an answer that a type asks for ([`access`]).

mod access;
mod request;
mod sink;

pub(crate) use access::{Planted, Seed};

use crate::failure::Failure;
use serde::de::{self, DeserializeSeed};
use serde::{Deserialize, Deserializer};
use sink::Pending;
use std::marker::PhantomData;

/// Reads a value by what knows no type of it.
pub(crate) fn read<'de, T, E>(parse: impl FnOnce(&mut dyn Seed<'de>) -> Result<(), E>) -> Result<T, E>
where
    T: Deserialize<'de>,
    E: de::Error,
{
    let mut pending = Pending::new(PhantomData);
    parse(&mut pending)?;
    pending.value().map_err(Failure::into_error)
}

/// A value that is read so where only a type can be named.
pub(crate) struct Through<T>(T);

impl<T> Through<T> {
    pub(crate) fn into_inner(self) -> T {
        self.0
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Through<T> {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        read(|seed| Planted(seed).deserialize(source)).map(Through)
    }
}
