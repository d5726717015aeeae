//! Why a type cannot be read, between the type and the parser.

use serde::de::{self, Expected, Unexpected};
use std::fmt;

/// An error of a type, or the sign that the parser has one. As values, they become errors of the parser once more, which adds
/// the place.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The parser's own, which [`Kept`](crate::kept::Kept) holds.
    OfParser,
    Message(String),
    InvalidType(Mismatch),
    InvalidValue(Mismatch),
    InvalidLength(usize, String),
    UnknownVariant(String, &'static [&'static str]),
    UnknownField(String, &'static [&'static str]),
    MissingField(&'static str),
    DuplicateField(&'static str),
}

/// What was found, and what a type expected.
#[derive(Debug)]
pub(crate) struct Mismatch {
    found: String,
    expected: String,
}

impl Mismatch {
    fn new(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Mismatch { found: found.to_string(), expected: expected.to_string() }
    }
}

impl Failure {
    /// The same as an error of the parser.
    #[cold]
    pub(crate) fn into_error<E: de::Error>(self) -> E {
        match self {
            Failure::OfParser => E::custom("a value is read after an error"),
            Failure::Message(text) => E::custom(text),
            Failure::InvalidType(Mismatch { found, expected }) => {
                E::invalid_type(Unexpected::Other(&found), &expected.as_str())
            }
            Failure::InvalidValue(Mismatch { found, expected }) => {
                E::invalid_value(Unexpected::Other(&found), &expected.as_str())
            }
            Failure::InvalidLength(length, expected) => E::invalid_length(length, &expected.as_str()),
            Failure::UnknownVariant(name, known) => E::unknown_variant(&name, known),
            Failure::UnknownField(name, known) => E::unknown_field(&name, known),
            Failure::MissingField(name) => E::missing_field(name),
            Failure::DuplicateField(name) => E::duplicate_field(name),
        }
    }
}

impl de::Error for Failure {
    #[cold]
    fn custom<T: fmt::Display>(text: T) -> Self {
        Failure::Message(text.to_string())
    }

    #[cold]
    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Failure::InvalidType(Mismatch::new(found, expected))
    }

    #[cold]
    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Failure::InvalidValue(Mismatch::new(found, expected))
    }

    #[cold]
    fn invalid_length(length: usize, expected: &dyn Expected) -> Self {
        Failure::InvalidLength(length, expected.to_string())
    }

    #[cold]
    fn unknown_variant(name: &str, known: &'static [&'static str]) -> Self {
        Failure::UnknownVariant(name.to_owned(), known)
    }

    #[cold]
    fn unknown_field(name: &str, known: &'static [&'static str]) -> Self {
        Failure::UnknownField(name.to_owned(), known)
    }

    #[cold]
    fn missing_field(name: &'static str) -> Self {
        Failure::MissingField(name)
    }

    #[cold]
    fn duplicate_field(name: &'static str) -> Self {
        Failure::DuplicateField(name)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::OfParser => f.write_str("it cannot be read"),
            Failure::Message(text) => f.write_str(text),
            Failure::InvalidType(Mismatch { found, expected }) => {
                write!(f, "invalid type: {found}, expected {expected}")
            }
            Failure::InvalidValue(Mismatch { found, expected }) => {
                write!(f, "invalid value: {found}, expected {expected}")
            }
            Failure::InvalidLength(length, expected) => write!(f, "invalid length {length}, expected {expected}"),
            Failure::UnknownVariant(name, known) => write!(f, "unknown variant `{name}`, expected one of {known:?}"),
            Failure::UnknownField(name, known) => write!(f, "unknown field `{name}`, expected one of {known:?}"),
            Failure::MissingField(name) => write!(f, "missing field `{name}`"),
            Failure::DuplicateField(name) => write!(f, "duplicate field `{name}`"),
        }
    }
}

impl std::error::Error for Failure {}
