//! Lists, maps and variants, whose parts types ask for.

use super::request::{Erased, Source};
use super::sink::{Filled, Pending, Sink};
use crate::failure::Failure;
use crate::kept::Kept;
use serde::de::{DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor};

/// What a type reads a part with.
pub(crate) trait Seed<'de> {
    fn read(&mut self, source: &mut dyn Source<'de>) -> Result<(), Failure>;
}

impl<'de, S: DeserializeSeed<'de>> Seed<'de> for Pending<S, S::Value> {
    fn read(&mut self, source: &mut dyn Source<'de>) -> Result<(), Failure> {
        let value = self.asking()?.deserialize(Erased(source))?;
        self.set(value);
        Ok(())
    }
}

/// The one seed that the parser knows.
pub(crate) struct Planted<'a, 'de>(pub(crate) &'a mut dyn Seed<'de>);

impl<'de> DeserializeSeed<'de> for Planted<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<(), D::Error> {
        let mut kept = Kept::new(source);
        let answer = self.0.read(&mut kept);
        kept.restore(answer)
    }
}

/// A list of the parser.
pub(crate) trait Items<'de> {
    /// Whether there was another item, which the seed has read.
    fn next(&mut self, seed: &mut dyn Seed<'de>) -> Result<bool, Failure>;
    fn count(&self) -> Option<usize>;
}

impl<'de, A: SeqAccess<'de>> Items<'de> for Kept<A, A::Error> {
    fn next(&mut self, seed: &mut dyn Seed<'de>) -> Result<bool, Failure> {
        let answer = self.inner()?.next_element_seed(Planted(seed));
        Ok(self.keep(answer)?.is_some())
    }

    fn count(&self) -> Option<usize> {
        self.size_hint(A::size_hint)
    }
}

/// A list for types.
pub(crate) struct ErasedItems<'a, 'de>(pub(crate) &'a mut dyn Items<'de>);

impl<'de> SeqAccess<'de> for ErasedItems<'_, 'de> {
    type Error = Failure;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Failure> {
        let mut pending = Pending::new(seed);
        if self.0.next(&mut pending)? { pending.value().map(Some) } else { Ok(None) }
    }

    fn size_hint(&self) -> Option<usize> {
        self.0.count()
    }
}

/// A map of the parser.
pub(crate) trait Entries<'de> {
    /// Whether there was another key, which the seed has read.
    fn key(&mut self, seed: &mut dyn Seed<'de>) -> Result<bool, Failure>;
    fn value(&mut self, seed: &mut dyn Seed<'de>) -> Result<(), Failure>;
    fn count(&self) -> Option<usize>;
}

impl<'de, A: MapAccess<'de>> Entries<'de> for Kept<A, A::Error> {
    fn key(&mut self, seed: &mut dyn Seed<'de>) -> Result<bool, Failure> {
        let answer = self.inner()?.next_key_seed(Planted(seed));
        Ok(self.keep(answer)?.is_some())
    }

    fn value(&mut self, seed: &mut dyn Seed<'de>) -> Result<(), Failure> {
        let answer = self.inner()?.next_value_seed(Planted(seed));
        self.keep(answer)
    }

    fn count(&self) -> Option<usize> {
        self.size_hint(A::size_hint)
    }
}

/// A map for types.
pub(crate) struct ErasedEntries<'a, 'de>(pub(crate) &'a mut dyn Entries<'de>);

impl<'de> MapAccess<'de> for ErasedEntries<'_, 'de> {
    type Error = Failure;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Failure> {
        let mut pending = Pending::new(seed);
        if self.0.key(&mut pending)? { pending.value().map(Some) } else { Ok(None) }
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Failure> {
        let mut pending = Pending::new(seed);
        self.0.value(&mut pending)?;
        pending.value()
    }

    fn size_hint(&self) -> Option<usize> {
        self.0.count()
    }
}

/// A variant of the parser: first its name is read, then what it holds.
pub(crate) trait Variants<'de> {
    fn name(&mut self, seed: &mut dyn Seed<'de>) -> Result<(), Failure>;
    fn unit(&mut self) -> Result<(), Failure>;
    fn newtype(&mut self, seed: &mut dyn Seed<'de>) -> Result<(), Failure>;
    fn tuple(&mut self, len: usize, into: &mut dyn Sink<'de>) -> Result<(), Failure>;
    fn fields(&mut self, fields: &'static [&'static str], into: &mut dyn Sink<'de>) -> Result<(), Failure>;
}

/// An enum before and after its variant's name is read.
pub(crate) enum State<A, B> {
    Named(A),
    Content(B),
}

impl<A, B> State<A, B> {
    fn content(self) -> Result<B, Failure> {
        match self {
            State::Content(content) => Ok(content),
            State::Named(_) => Err(Failure::Message("a variant is read before its name".to_owned())),
        }
    }
}

impl<'de, A: EnumAccess<'de>> Variants<'de> for Kept<State<A, A::Variant>, A::Error> {
    fn name(&mut self, seed: &mut dyn Seed<'de>) -> Result<(), Failure> {
        let State::Named(variants) = self.take()? else {
            return Err(Failure::Message("the name of a variant is read twice".to_owned()));
        };
        let answer = variants.variant_seed(Planted(seed));
        let ((), content) = self.keep(answer)?;
        self.put(State::Content(content));
        Ok(())
    }

    fn unit(&mut self) -> Result<(), Failure> {
        let answer = self.take()?.content()?.unit_variant();
        self.keep(answer)
    }

    fn newtype(&mut self, seed: &mut dyn Seed<'de>) -> Result<(), Failure> {
        let answer = self.take()?.content()?.newtype_variant_seed(Planted(seed));
        self.keep(answer)
    }

    fn tuple(&mut self, len: usize, into: &mut dyn Sink<'de>) -> Result<(), Failure> {
        let answer = self.take()?.content()?.tuple_variant(len, Filled(into));
        self.keep(answer)
    }

    fn fields(&mut self, fields: &'static [&'static str], into: &mut dyn Sink<'de>) -> Result<(), Failure> {
        let answer = self.take()?.content()?.struct_variant(fields, Filled(into));
        self.keep(answer)
    }
}

/// A variant for types.
pub(crate) struct ErasedVariants<'a, 'de>(pub(crate) &'a mut dyn Variants<'de>);

impl<'de> EnumAccess<'de> for ErasedVariants<'_, 'de> {
    type Error = Failure;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), Failure> {
        let mut pending = Pending::new(seed);
        self.0.name(&mut pending)?;
        Ok((pending.value()?, self))
    }
}

impl<'de> VariantAccess<'de> for ErasedVariants<'_, 'de> {
    type Error = Failure;

    fn unit_variant(self) -> Result<(), Failure> {
        self.0.unit()
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Failure> {
        let mut pending = Pending::new(seed);
        self.0.newtype(&mut pending)?;
        pending.value()
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Failure> {
        let mut pending = Pending::new(visitor);
        self.0.tuple(len, &mut pending)?;
        pending.value()
    }

    fn struct_variant<V: Visitor<'de>>(self, fields: &'static [&'static str], visitor: V) -> Result<V::Value, Failure> {
        let mut pending = Pending::new(visitor);
        self.0.fields(fields, &mut pending)?;
        pending.value()
    }
}
