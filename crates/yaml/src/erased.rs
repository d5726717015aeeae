//! Interfaces without type parameters between types and the parser: what a type asks ([`request`]), what the parser answers
//! ([`sink`]), and the parts of an answer that a type asks for ([`access`]).

mod access;
mod request;
mod sink;

use crate::kept::Kept;
use request::Erased;
use serde::{Deserialize, Deserializer};

/// A value that is read through the interfaces: the parser sees this type, and no visitor of the one in it.
pub(crate) struct Through<T>(T);

impl<T> Through<T> {
    pub(crate) fn into_inner(self) -> T {
        self.0
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Through<T> {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        let mut kept = Kept::new(source);
        let answer = T::deserialize(Erased(&mut kept));
        kept.restore(answer).map(Through)
    }
}
