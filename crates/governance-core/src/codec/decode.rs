//! Bytes to values.

use serde::{
    Deserialize,
    de::{
        self, DeserializeSeed, Visitor,
        value::{BorrowedStrDeserializer, SeqDeserializer},
    },
};

use super::{CodecError, EXTENSION, Problem};

/// Decodes the value the bytes begin with, and tells what follows it.
pub(crate) fn decode<'de, T: Deserialize<'de>>(
    bytes: &'de [u8],
) -> Result<(T, &'de [u8]), CodecError> {
    let mut decoder = Decoder {
        rest: bytes,
        room: MOST_NESTED,
    };
    let value = T::deserialize(&mut decoder)?;
    Ok((value, decoder.rest))
}

/// Lists, maps and variants within each other.
const MOST_NESTED: u16 = 1_024;

struct Decoder<'de> {
    rest: &'de [u8],
    /// How much deeper it may go.
    room: u16,
}

/// How a value begins: all of it, or how long it is.
#[derive(Clone, Copy)]
enum Head {
    Nil,
    Bool(bool),
    U8(u8),
    U16(u16),
    U32(u32),
    U64(u64),
    I8(i8),
    I16(i16),
    I32(i32),
    I64(i64),
    F32(f32),
    F64(f64),
    Text(usize),
    Bytes(usize),
    List(usize),
    Map(usize),
}

impl<'de> Decoder<'de> {
    #[inline]
    fn take(&mut self, len: usize) -> Result<&'de [u8], CodecError> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(Problem::Ends)?;
        self.rest = rest;
        Ok(taken)
    }

    #[inline]
    fn number<const N: usize>(&mut self) -> Result<[u8; N], CodecError> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(Problem::Ends)?;
        self.rest = rest;
        Ok(*taken)
    }

    fn long(&mut self) -> Result<usize, CodecError> {
        let len = u32::from_be_bytes(self.number()?);
        // More than can be addressed is more than there is.
        usize::try_from(len).map_err(|_| Problem::Ends.into())
    }

    #[inline]
    fn head(&mut self) -> Result<Head, CodecError> {
        let [tag] = self.number()?;
        Ok(match tag {
            0x00..=0x7f => Head::U8(tag),
            0x80..=0x8f => Head::Map(usize::from(tag & 0x0f)),
            0x90..=0x9f => Head::List(usize::from(tag & 0x0f)),
            0xa0..=0xbf => Head::Text(usize::from(tag & 0x1f)),
            0xe0..=0xff => Head::I8(tag as i8),
            _ => return self.long_head(tag),
        })
    }

    fn long_head(&mut self, tag: u8) -> Result<Head, CodecError> {
        Ok(match tag {
            0xc0 => Head::Nil,
            0xc2 => Head::Bool(false),
            0xc3 => Head::Bool(true),
            0xc4 => Head::Bytes(u8::from_be_bytes(self.number()?).into()),
            0xc5 => Head::Bytes(u16::from_be_bytes(self.number()?).into()),
            0xc6 => Head::Bytes(self.long()?),
            0xca => Head::F32(f32::from_be_bytes(self.number()?)),
            0xcb => Head::F64(f64::from_be_bytes(self.number()?)),
            0xcc => Head::U8(u8::from_be_bytes(self.number()?)),
            0xcd => Head::U16(u16::from_be_bytes(self.number()?)),
            0xce => Head::U32(u32::from_be_bytes(self.number()?)),
            0xcf => Head::U64(u64::from_be_bytes(self.number()?)),
            0xd0 => Head::I8(i8::from_be_bytes(self.number()?)),
            0xd1 => Head::I16(i16::from_be_bytes(self.number()?)),
            0xd2 => Head::I32(i32::from_be_bytes(self.number()?)),
            0xd3 => Head::I64(i64::from_be_bytes(self.number()?)),
            0xd9 => Head::Text(u8::from_be_bytes(self.number()?).into()),
            0xda => Head::Text(u16::from_be_bytes(self.number()?).into()),
            0xdb => Head::Text(self.long()?),
            0xdc => Head::List(u16::from_be_bytes(self.number()?).into()),
            0xdd => Head::List(self.long()?),
            0xde => Head::Map(u16::from_be_bytes(self.number()?).into()),
            0xdf => Head::Map(self.long()?),
            _ => return Err(Problem::Unknown(tag).into()),
        })
    }

    #[inline]
    fn text(&mut self, len: usize) -> Result<&'de str, CodecError> {
        std::str::from_utf8(self.take(len)?).map_err(|_| Problem::NotUtf8.into())
    }

    /// Does something one level deeper.
    #[inline]
    fn within<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, CodecError>,
    ) -> Result<T, CodecError> {
        self.room = self.room.checked_sub(1).ok_or(Problem::TooDeep)?;
        let value = read(self)?;
        self.room += 1;
        Ok(value)
    }

    #[inline]
    fn items<T>(
        &mut self,
        len: usize,
        read: impl FnOnce(&mut Items<'_, 'de>) -> Result<T, CodecError>,
    ) -> Result<T, CodecError> {
        self.within(|decoder| {
            let mut items = Items { decoder, left: len };
            let value = read(&mut items)?;
            if items.left == 0 {
                Ok(value)
            } else {
                Err(Problem::ItemsLeft.into())
            }
        })
    }

    #[inline]
    fn list<V: Visitor<'de>>(&mut self, len: usize, visitor: V) -> Result<V::Value, CodecError> {
        self.items(len, |items| visitor.visit_seq(items))
    }

    #[inline]
    fn map<V: Visitor<'de>>(&mut self, len: usize, visitor: V) -> Result<V::Value, CodecError> {
        self.items(len, |items| visitor.visit_map(items))
    }

    /// Visits whatever begins like this.
    fn visit<V: Visitor<'de>>(&mut self, head: Head, visitor: V) -> Result<V::Value, CodecError> {
        match head {
            Head::Nil => visitor.visit_unit(),
            Head::Bool(value) => visitor.visit_bool(value),
            Head::U8(value) => visitor.visit_u8(value),
            Head::U16(value) => visitor.visit_u16(value),
            Head::U32(value) => visitor.visit_u32(value),
            Head::U64(value) => visitor.visit_u64(value),
            Head::I8(value) => visitor.visit_i8(value),
            Head::I16(value) => visitor.visit_i16(value),
            Head::I32(value) => visitor.visit_i32(value),
            Head::I64(value) => visitor.visit_i64(value),
            Head::F32(value) => visitor.visit_f32(value),
            Head::F64(value) => visitor.visit_f64(value),
            Head::Text(len) => visitor.visit_borrowed_str(self.text(len)?),
            Head::Bytes(len) => visitor.visit_borrowed_bytes(self.take(len)?),
            Head::List(len) => self.list(len, visitor),
            Head::Map(len) => self.map(len, visitor),
        }
    }

    /// Visits items, which bytes are, too.
    #[inline]
    fn visit_items<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, CodecError> {
        match self.head()? {
            Head::List(len) => self.list(len, visitor),
            Head::Map(len) => self.map(len, visitor),
            Head::Bytes(len) => {
                let bytes = self.take(len)?.iter().copied();
                visitor.visit_seq(SeqDeserializer::new(bytes))
            }
            head => self.visit(head, visitor),
        }
    }

    #[inline]
    fn visit_text<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, CodecError> {
        match self.head()? {
            Head::Text(len) => visitor.visit_borrowed_str(self.text(len)?),
            head => self.visit(head, visitor),
        }
    }

    /// Whole numbers of 128 bits are written as 16 bytes.
    fn wide(&mut self) -> Result<[u8; 16], CodecError> {
        match self.head()? {
            Head::Bytes(16) => self.number(),
            _ => Err(de::Error::custom("a number of 128 bits was expected")),
        }
    }
}

impl<'de> de::Deserializer<'de> for &mut Decoder<'de> {
    type Error = CodecError;

    fn is_human_readable(&self) -> bool {
        false
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
        let head = self.head()?;
        self.visit(head, visitor)
    }

    fn deserialize_i128<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
        visitor.visit_i128(i128::from_be_bytes(self.wide()?))
    }

    fn deserialize_u128<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
        visitor.visit_u128(u128::from_be_bytes(self.wide()?))
    }

    #[inline]
    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
        self.visit_text(visitor)
    }

    #[inline]
    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
        self.visit_text(visitor)
    }

    #[inline]
    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
        self.visit_text(visitor)
    }

    /// Absence of a value and a unit are written alike, so `Some(())` is read as `None`.
    #[inline]
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
        match self.rest {
            [0xc0, rest @ ..] => {
                self.rest = rest;
                visitor.visit_none()
            }
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, CodecError> {
        match self.head()? {
            Head::Nil | Head::List(0) => visitor.visit_unit(),
            head => self.visit(head, visitor),
        }
    }

    #[inline]
    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, CodecError> {
        if name == EXTENSION {
            return Err(Problem::Extension.into());
        }
        visitor.visit_newtype_struct(self)
    }

    #[inline]
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
        self.visit_items(visitor)
    }

    #[inline]
    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, CodecError> {
        self.visit_items(visitor)
    }

    #[inline]
    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, CodecError> {
        self.visit_items(visitor)
    }

    #[inline]
    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
        match self.head()? {
            Head::Map(len) => self.map(len, visitor),
            head => self.visit(head, visitor),
        }
    }

    #[inline]
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, CodecError> {
        self.visit_items(visitor)
    }

    /// A variant without content is its name, one with content is a map of one name.
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, CodecError> {
        match self.head()? {
            Head::Text(len) => {
                let name: BorrowedStrDeserializer<'_, CodecError> =
                    BorrowedStrDeserializer::new(self.text(len)?);
                visitor.visit_enum(name)
            }
            Head::Map(1) => self.within(|decoder| visitor.visit_enum(Content(decoder))),
            _ => Err(Problem::NoVariant.into()),
        }
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char bytes byte_buf unit ignored_any
    }
}

/// What is left of a list or map.
struct Items<'a, 'de> {
    decoder: &'a mut Decoder<'de>,
    left: usize,
}

impl<'de> Items<'_, 'de> {
    #[inline]
    fn next<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, CodecError> {
        let Some(left) = self.left.checked_sub(1) else {
            return Ok(None);
        };
        self.left = left;
        seed.deserialize(&mut *self.decoder).map(Some)
    }

    /// Every item takes a byte at least, whatever number of them was announced.
    #[inline]
    fn at_most(&self) -> usize {
        self.left.min(self.decoder.rest.len())
    }
}

impl<'de> de::SeqAccess<'de> for Items<'_, 'de> {
    type Error = CodecError;

    #[inline]
    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, CodecError> {
        self.next(seed)
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        Some(self.at_most())
    }
}

impl<'de> de::MapAccess<'de> for Items<'_, 'de> {
    type Error = CodecError;

    #[inline]
    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, CodecError> {
        self.next(seed)
    }

    #[inline]
    fn next_value_seed<V: DeserializeSeed<'de>>(
        &mut self,
        seed: V,
    ) -> Result<V::Value, CodecError> {
        seed.deserialize(&mut *self.decoder)
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        Some(self.at_most())
    }
}

/// A variant with content: its name, then what belongs to it.
struct Content<'a, 'de>(&'a mut Decoder<'de>);

impl<'de> de::EnumAccess<'de> for Content<'_, 'de> {
    type Error = CodecError;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(
        self,
        seed: V,
    ) -> Result<(V::Value, Self), CodecError> {
        Ok((seed.deserialize(&mut *self.0)?, self))
    }
}

impl<'de> de::VariantAccess<'de> for Content<'_, 'de> {
    type Error = CodecError;

    fn unit_variant(self) -> Result<(), CodecError> {
        Deserialize::deserialize(self.0)
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(
        self,
        seed: T,
    ) -> Result<T::Value, CodecError> {
        seed.deserialize(self.0)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, CodecError> {
        self.0.visit_items(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, CodecError> {
        self.0.visit_items(visitor)
    }
}
