//! Values to bytes.

use serde::{Serialize, ser};

use super::{CodecError, EXTENSION, Problem};

/// Writes MessagePack with named fields, integers and lengths as short as they can be.
pub(super) struct Encoder(pub(super) Vec<u8>);

type Encoded = Result<(), CodecError>;

impl Encoder {
    fn put<const N: usize>(&mut self, tag: u8, bytes: [u8; N]) {
        self.0.push(tag);
        self.0.extend_from_slice(&bytes);
    }

    fn unsigned(&mut self, value: u64) {
        if value < 0x80 {
            self.0.push(value as u8);
        } else if let Ok(value) = u8::try_from(value) {
            self.put(0xcc, [value]);
        } else if let Ok(value) = u16::try_from(value) {
            self.put(0xcd, value.to_be_bytes());
        } else if let Ok(value) = u32::try_from(value) {
            self.put(0xce, value.to_be_bytes());
        } else {
            self.put(0xcf, value.to_be_bytes());
        }
    }

    fn signed(&mut self, value: i64) {
        if let Ok(value) = u64::try_from(value) {
            self.unsigned(value);
        } else if value >= -32 {
            self.0.push(value as u8);
        } else if let Ok(value) = i8::try_from(value) {
            self.put(0xd0, value.to_be_bytes());
        } else if let Ok(value) = i16::try_from(value) {
            self.put(0xd1, value.to_be_bytes());
        } else if let Ok(value) = i32::try_from(value) {
            self.put(0xd2, value.to_be_bytes());
        } else {
            self.put(0xd3, value.to_be_bytes());
        }
    }

    #[inline]
    fn text(&mut self, text: &str) -> Encoded {
        let len = text.len();
        if len < 32 {
            self.0.push(0xa0 | len as u8);
        } else if let Ok(len) = u8::try_from(len) {
            self.put(0xd9, [len]);
        } else if let Ok(len) = u16::try_from(len) {
            self.put(0xda, len.to_be_bytes());
        } else {
            self.put(0xdb, long(len)?.to_be_bytes());
        }
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }

    fn bytes(&mut self, bytes: &[u8]) -> Encoded {
        if let Ok(len) = u8::try_from(bytes.len()) {
            self.put(0xc4, [len]);
        } else if let Ok(len) = u16::try_from(bytes.len()) {
            self.put(0xc5, len.to_be_bytes());
        } else {
            self.put(0xc6, long(bytes.len())?.to_be_bytes());
        }
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn list(&mut self, len: usize) -> Encoded {
        if len < 16 {
            self.0.push(0x90 | len as u8);
        } else if let Ok(len) = u16::try_from(len) {
            self.put(0xdc, len.to_be_bytes());
        } else {
            self.put(0xdd, long(len)?.to_be_bytes());
        }
        Ok(())
    }

    fn map(&mut self, len: usize) -> Encoded {
        if len < 16 {
            self.0.push(0x80 | len as u8);
        } else if let Ok(len) = u16::try_from(len) {
            self.put(0xde, len.to_be_bytes());
        } else {
            self.put(0xdf, long(len)?.to_be_bytes());
        }
        Ok(())
    }

    fn items(&mut self, len: Option<usize>, head: fn(&mut Self, usize) -> Encoded) -> Started<'_> {
        let uncounted = match len {
            Some(len) => {
                head(self, len)?;
                None
            }
            None => Some(Uncounted {
                from: self.0.len(),
                items: 0,
                head,
            }),
        };
        Ok(Items {
            encoder: self,
            uncounted,
        })
    }
}

type Started<'a> = Result<Items<'a>, CodecError>;

fn long(len: usize) -> Result<u32, CodecError> {
    u32::try_from(len).map_err(|_| Problem::TooLong.into())
}

/// Items whose number was not told before the first of them: their head is put in front of them
/// when it is known.
struct Uncounted {
    from: usize,
    items: usize,
    head: fn(&mut Encoder, usize) -> Encoded,
}

/// The items of a list or map.
pub(super) struct Items<'a> {
    encoder: &'a mut Encoder,
    uncounted: Option<Uncounted>,
}

impl Items<'_> {
    #[inline]
    fn item<T: Serialize + ?Sized>(&mut self, item: &T) -> Encoded {
        if let Some(uncounted) = &mut self.uncounted {
            uncounted.items += 1;
        }
        item.serialize(&mut *self.encoder)
    }

    #[inline]
    fn finish(self) -> Encoded {
        let Some(Uncounted { from, items, head }) = self.uncounted else {
            return Ok(());
        };
        let end = self.encoder.0.len();
        head(self.encoder, items)?;
        let head = self.encoder.0.len() - end;
        self.encoder.0[from..].rotate_right(head);
        Ok(())
    }
}

impl<'a> ser::Serializer for &'a mut Encoder {
    type Ok = ();
    type Error = CodecError;
    type SerializeSeq = Items<'a>;
    type SerializeTuple = Items<'a>;
    type SerializeTupleStruct = Items<'a>;
    type SerializeTupleVariant = Items<'a>;
    type SerializeMap = Items<'a>;
    type SerializeStruct = Items<'a>;
    type SerializeStructVariant = Items<'a>;

    fn is_human_readable(&self) -> bool {
        false
    }

    fn serialize_bool(self, value: bool) -> Encoded {
        self.0.push(0xc2 | u8::from(value));
        Ok(())
    }

    fn serialize_i8(self, value: i8) -> Encoded {
        self.serialize_i64(value.into())
    }

    fn serialize_i16(self, value: i16) -> Encoded {
        self.serialize_i64(value.into())
    }

    fn serialize_i32(self, value: i32) -> Encoded {
        self.serialize_i64(value.into())
    }

    fn serialize_i64(self, value: i64) -> Encoded {
        self.signed(value);
        Ok(())
    }

    fn serialize_i128(self, value: i128) -> Encoded {
        self.bytes(&value.to_be_bytes())
    }

    fn serialize_u8(self, value: u8) -> Encoded {
        self.serialize_u64(value.into())
    }

    fn serialize_u16(self, value: u16) -> Encoded {
        self.serialize_u64(value.into())
    }

    fn serialize_u32(self, value: u32) -> Encoded {
        self.serialize_u64(value.into())
    }

    fn serialize_u64(self, value: u64) -> Encoded {
        self.unsigned(value);
        Ok(())
    }

    fn serialize_u128(self, value: u128) -> Encoded {
        self.bytes(&value.to_be_bytes())
    }

    fn serialize_f32(self, value: f32) -> Encoded {
        self.put(0xca, value.to_be_bytes());
        Ok(())
    }

    fn serialize_f64(self, value: f64) -> Encoded {
        self.put(0xcb, value.to_be_bytes());
        Ok(())
    }

    fn serialize_char(self, value: char) -> Encoded {
        self.text(value.encode_utf8(&mut [0; 4]))
    }

    #[inline]
    fn serialize_str(self, text: &str) -> Encoded {
        self.text(text)
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Encoded {
        self.bytes(bytes)
    }

    fn serialize_none(self) -> Encoded {
        self.serialize_unit()
    }

    #[inline]
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Encoded {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Encoded {
        self.0.push(0xc0);
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Encoded {
        self.list(0)
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Encoded {
        self.text(variant)
    }

    #[inline]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Encoded {
        if name == EXTENSION {
            return Err(Problem::Extension.into());
        }
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Encoded {
        self.map(1)?;
        self.text(variant)?;
        value.serialize(self)
    }

    fn serialize_seq(self, len: Option<usize>) -> Started<'a> {
        self.items(len, Encoder::list)
    }

    fn serialize_tuple(self, len: usize) -> Started<'a> {
        self.items(Some(len), Encoder::list)
    }

    fn serialize_tuple_struct(self, _: &'static str, len: usize) -> Started<'a> {
        self.items(Some(len), Encoder::list)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        len: usize,
    ) -> Started<'a> {
        self.map(1)?;
        self.text(variant)?;
        self.items(Some(len), Encoder::list)
    }

    fn serialize_map(self, len: Option<usize>) -> Started<'a> {
        self.items(len, Encoder::map)
    }

    fn serialize_struct(self, _: &'static str, len: usize) -> Started<'a> {
        self.items(Some(len), Encoder::map)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        len: usize,
    ) -> Started<'a> {
        self.map(1)?;
        self.text(variant)?;
        self.items(Some(len), Encoder::map)
    }
}

macro_rules! listed {
    ($($of:ident $item:ident),*) => {$(
        impl ser::$of for Items<'_> {
            type Ok = ();
            type Error = CodecError;

            #[inline]
            fn $item<T: Serialize + ?Sized>(&mut self, item: &T) -> Encoded {
                self.item(item)
            }

            #[inline]
            fn end(self) -> Encoded {
                self.finish()
            }
        }
    )*};
}

listed!(
    SerializeSeq serialize_element,
    SerializeTuple serialize_element,
    SerializeTupleStruct serialize_field,
    SerializeTupleVariant serialize_field
);

macro_rules! named {
    ($($of:ident),*) => {$(
        impl ser::$of for Items<'_> {
            type Ok = ();
            type Error = CodecError;

            #[inline]
            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Encoded {
                self.encoder.text(name)?;
                self.item(value)
            }

            #[inline]
            fn end(self) -> Encoded {
                self.finish()
            }
        }
    )*};
}

named!(SerializeStruct, SerializeStructVariant);

impl ser::SerializeMap for Items<'_> {
    type Ok = ();
    type Error = CodecError;

    #[inline]
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Encoded {
        key.serialize(&mut *self.encoder)
    }

    #[inline]
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Encoded {
        self.item(value)
    }

    #[inline]
    fn end(self) -> Encoded {
        self.finish()
    }
}
