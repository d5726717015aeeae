//! What a type asks of a deserializer.

use super::sink::{Filled, Pending, Sink};
use crate::failure::Failure;
use crate::kept::Kept;
use serde::de::{Deserializer, Visitor};

/// A deserializer of the parser, which answers one request.
pub(crate) trait Source<'de> {
    fn read(&mut self, request: Request, into: &mut dyn Sink<'de>) -> Result<(), Failure>;
}

/// A deserializer for types.
pub(crate) struct Erased<'a, 'de>(pub(crate) &'a mut dyn Source<'de>);

impl<'de> Erased<'_, 'de> {
    fn ask<V: Visitor<'de>>(self, request: Request, visitor: V) -> Result<V::Value, Failure> {
        let mut pending = Pending::new(visitor);
        self.0.read(request, &mut pending)?;
        pending.value()
    }
}

/// The methods of [`Deserializer`]: a request for each, which types make and the parser answers.
macro_rules! requests {
    ($($request:ident => $method:ident($($argument:ident: $type:ty),*),)*) => {
        /// A method of [`Deserializer`] with its arguments.
        #[derive(Debug, Clone, Copy)]
        pub(crate) enum Request {
            $($request { $($argument: $type),* },)*
        }

        impl<'de, D: Deserializer<'de>> Source<'de> for Kept<D, D::Error> {
            fn read(&mut self, request: Request, into: &mut dyn Sink<'de>) -> Result<(), Failure> {
                let (inner, into) = (self.take()?, Filled(into));
                let answer = match request {
                    $(Request::$request { $($argument),* } => inner.$method($($argument,)* into),)*
                };
                self.keep(answer)
            }
        }

        impl<'de> Deserializer<'de> for Erased<'_, 'de> {
            type Error = Failure;

            $(fn $method<V: Visitor<'de>>(self, $($argument: $type,)* visitor: V) -> Result<V::Value, Failure> {
                self.ask(Request::$request { $($argument),* }, visitor)
            })*
        }
    };
}

requests! {
    Any => deserialize_any(),
    Bool => deserialize_bool(),
    I8 => deserialize_i8(),
    I16 => deserialize_i16(),
    I32 => deserialize_i32(),
    I64 => deserialize_i64(),
    I128 => deserialize_i128(),
    U8 => deserialize_u8(),
    U16 => deserialize_u16(),
    U32 => deserialize_u32(),
    U64 => deserialize_u64(),
    U128 => deserialize_u128(),
    F32 => deserialize_f32(),
    F64 => deserialize_f64(),
    Char => deserialize_char(),
    Str => deserialize_str(),
    String => deserialize_string(),
    Bytes => deserialize_bytes(),
    ByteBuf => deserialize_byte_buf(),
    Option => deserialize_option(),
    Unit => deserialize_unit(),
    UnitStruct => deserialize_unit_struct(name: &'static str),
    NewtypeStruct => deserialize_newtype_struct(name: &'static str),
    Seq => deserialize_seq(),
    Tuple => deserialize_tuple(len: usize),
    TupleStruct => deserialize_tuple_struct(name: &'static str, len: usize),
    Map => deserialize_map(),
    Struct => deserialize_struct(name: &'static str, fields: &'static [&'static str]),
    Enum => deserialize_enum(name: &'static str, variants: &'static [&'static str]),
    Identifier => deserialize_identifier(),
    IgnoredAny => deserialize_ignored_any(),
}
