//! YAML for any type, by one instance of the parser. A generic parser is compiled again for each type that it reads, with about
//! 12 KB for a structure; here the types stay generic, and what they call does not (ADR 0029).
//!
//! Values and errors, with line, column and excerpt, are those of `serde_saphyr`. What differs: a tag of an own type (`!name`) is
//! dropped in a flattened structure and in an untagged enum, where `serde_saphyr` knows the buffer of serde by the name of its type.

mod erased;
mod failure;
mod kept;

use erased::{Planted, Seed, Through};
use serde::Deserialize;
use serde::de::{DeserializeOwned, DeserializeSeed as _};

pub use serde_saphyr::Error;

/// Reads a single document.
///
/// # Errors
/// When it is no YAML, or of another shape than the type, with the place; when there are several documents.
pub fn from_str<'de, T: Deserialize<'de>>(text: &'de str) -> Result<T, Error> {
    erased::read(|seed| parse(text, seed))
}

/// Reads a single document.
///
/// # Errors
/// As [`from_str`], and when it is not UTF-8.
pub fn from_slice<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<T, Error> {
    erased::read(|seed| parse_bytes(bytes, seed))
}

/// Reads all documents of a stream; empty ones are left out.
///
/// # Errors
/// When it is no YAML, or a document is of another shape than the type, with the place.
pub fn from_multiple<T: DeserializeOwned>(text: &str) -> Result<Vec<T>, Error> {
    let documents: Vec<Through<T>> = serde_saphyr::from_multiple(text)?;
    Ok(documents.into_iter().map(Through::into_inner).collect())
}

/// Not generic, so that it is compiled here and nowhere else.
fn parse<'de>(text: &'de str, seed: &mut dyn Seed<'de>) -> Result<(), Error> {
    serde_saphyr::with_deserializer_from_str(text, |parser| Planted(seed).deserialize(parser))
}

fn parse_bytes<'de>(bytes: &'de [u8], seed: &mut dyn Seed<'de>) -> Result<(), Error> {
    serde_saphyr::with_deserializer_from_slice(bytes, |parser| Planted(seed).deserialize(parser))
}
