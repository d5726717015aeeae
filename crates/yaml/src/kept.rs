//! A part of the parser behind an interface without its types.

use crate::failure::Failure;
use serde::de;

/// A deserializer or an accessor of the parser, and its error once it has one: the interfaces have no type for it.
pub(crate) struct Kept<T, E> {
    inner: Option<T>,
    error: Option<E>,
}

impl<T, E: de::Error> Kept<T, E> {
    pub(crate) fn new(inner: T) -> Self {
        Kept { inner: Some(inner), error: None }
    }

    /// For accessors, which are asked many times.
    pub(crate) fn inner(&mut self) -> Result<&mut T, Failure> {
        self.inner.as_mut().ok_or_else(read_twice)
    }

    /// For what answers once.
    pub(crate) fn take(&mut self) -> Result<T, Failure> {
        self.inner.take().ok_or_else(read_twice)
    }

    pub(crate) fn put(&mut self, inner: T) {
        self.inner = Some(inner);
    }

    /// Keeps the parser's error.
    pub(crate) fn keep<R>(&mut self, answer: Result<R, E>) -> Result<R, Failure> {
        answer.map_err(|error| {
            self.error = Some(error);
            Failure::OfParser
        })
    }

    /// Gives it back, or an error of the type as one of the parser.
    pub(crate) fn restore<R>(self, answer: Result<R, Failure>) -> Result<R, E> {
        answer.map_err(|failure| match (failure, self.error) {
            (Failure::OfParser, Some(error)) => error,
            (failure, _) => failure.into_error(),
        })
    }

    pub(crate) fn size_hint(&self, of: impl FnOnce(&T) -> Option<usize>) -> Option<usize> {
        self.inner.as_ref().and_then(of)
    }
}

#[cold]
fn read_twice() -> Failure {
    Failure::Message("a value is read twice".to_owned())
}
