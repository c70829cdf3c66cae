//! Notices what a type leaves unread.
//!
//! A derived `Deserialize` skips fields it does not know. Here that is not a matter of taste: a
//! program that skips a field of a stored mutation would run something else than was approved.
//! Between decoder and type stands a layer that passes everything on, and notes when the type asks
//! for the value of a field to be skipped. What a type skips otherwise, such as all of its input,
//! is its own affair.
//!
//! What is read by way of a buffer is not seen: inside of untagged and internally tagged enums and
//! of flattened structs.

use std::{cell::Cell, fmt};

use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, VariantAccess, Visitor,
};

/// Passes on to `inner`, and notes in `skipped` that a field was skipped.
pub(super) struct Watch<'a, T> {
    inner: T,
    skipped: &'a Cell<bool>,
    /// Whether it is the value of a field, and not something in it.
    is_field: bool,
}

impl<'a, T> Watch<'a, T> {
    pub(super) const fn new(inner: T, skipped: &'a Cell<bool>) -> Self {
        Self {
            inner,
            skipped,
            is_field: false,
        }
    }

    fn wrap<U>(&self, inner: U) -> Watch<'a, U> {
        Watch::new(inner, self.skipped)
    }
}

macro_rules! forward_deserialize {
    ($($method:ident($($name:ident: $type:ty),*))*) => {
        $(fn $method<V: Visitor<'de>>(self, $($name: $type,)* visitor: V) -> Result<V::Value, D::Error> {
            let visitor = self.wrap(visitor);
            self.inner.$method($($name,)* visitor)
        })*
    };
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Watch<'_, D> {
    type Error = D::Error;

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        if self.is_field {
            self.skipped.set(true);
        }
        self.inner.deserialize_ignored_any(visitor)
    }

    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }

    forward_deserialize! {
        deserialize_any() deserialize_bool()
        deserialize_i8() deserialize_i16() deserialize_i32() deserialize_i64() deserialize_i128()
        deserialize_u8() deserialize_u16() deserialize_u32() deserialize_u64() deserialize_u128()
        deserialize_f32() deserialize_f64() deserialize_char() deserialize_str()
        deserialize_string() deserialize_bytes() deserialize_byte_buf() deserialize_option()
        deserialize_unit() deserialize_unit_struct(name: &'static str)
        deserialize_newtype_struct(name: &'static str) deserialize_seq()
        deserialize_tuple(len: usize) deserialize_tuple_struct(name: &'static str, len: usize)
        deserialize_map() deserialize_struct(name: &'static str, fields: &'static [&'static str])
        deserialize_enum(name: &'static str, variants: &'static [&'static str])
        deserialize_identifier()
    }
}

macro_rules! forward_visit {
    ($($method:ident($type:ty))*) => {
        $(fn $method<E: Error>(self, value: $type) -> Result<V::Value, E> {
            self.inner.$method(value)
        })*
    };
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Watch<'_, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.expecting(f)
    }

    forward_visit! {
        visit_bool(bool) visit_i8(i8) visit_i16(i16) visit_i32(i32) visit_i64(i64) visit_i128(i128)
        visit_u8(u8) visit_u16(u16) visit_u32(u32) visit_u64(u64) visit_u128(u128) visit_f32(f32)
        visit_f64(f64) visit_char(char) visit_str(&str) visit_borrowed_str(&'de str)
        visit_string(String) visit_bytes(&[u8]) visit_borrowed_bytes(&'de [u8])
        visit_byte_buf(Vec<u8>)
    }

    fn visit_none<E: Error>(self) -> Result<V::Value, E> {
        self.inner.visit_none()
    }

    fn visit_unit<E: Error>(self) -> Result<V::Value, E> {
        self.inner.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, some: D) -> Result<V::Value, D::Error> {
        let some = self.wrap(some);
        self.inner.visit_some(some)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        let inner = self.wrap(inner);
        self.inner.visit_newtype_struct(inner)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<V::Value, A::Error> {
        let seq = self.wrap(seq);
        self.inner.visit_seq(seq)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<V::Value, A::Error> {
        let map = self.wrap(map);
        self.inner.visit_map(map)
    }

    fn visit_enum<A: EnumAccess<'de>>(self, data: A) -> Result<V::Value, A::Error> {
        let data = self.wrap(data);
        self.inner.visit_enum(data)
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Watch<'_, S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<S::Value, D::Error> {
        let deserializer = Watch {
            is_field: self.is_field,
            ..self.wrap(deserializer)
        };
        self.inner.deserialize(deserializer)
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Watch<'_, A> {
    type Error = A::Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, A::Error> {
        let seed = self.wrap(seed);
        self.inner.next_element_seed(seed)
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Watch<'_, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, A::Error> {
        let seed = self.wrap(seed);
        self.inner.next_key_seed(seed)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, A::Error> {
        let seed = Watch {
            is_field: true,
            ..self.wrap(seed)
        };
        self.inner.next_value_seed(seed)
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

impl<'de, 'a, A: EnumAccess<'de>> EnumAccess<'de> for Watch<'a, A> {
    type Error = A::Error;
    type Variant = Watch<'a, A::Variant>;

    fn variant_seed<S: DeserializeSeed<'de>>(
        self,
        seed: S,
    ) -> Result<(S::Value, Self::Variant), A::Error> {
        let (seed, skipped) = (self.wrap(seed), self.skipped);
        let (value, variant) = self.inner.variant_seed(seed)?;
        Ok((value, Watch::new(variant, skipped)))
    }
}

impl<'de, A: VariantAccess<'de>> VariantAccess<'de> for Watch<'_, A> {
    type Error = A::Error;

    fn unit_variant(self) -> Result<(), A::Error> {
        self.inner.unit_variant()
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, A::Error> {
        let seed = self.wrap(seed);
        self.inner.newtype_variant_seed(seed)
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, A::Error> {
        let visitor = self.wrap(visitor);
        self.inner.tuple_variant(len, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        let visitor = self.wrap(visitor);
        self.inner.struct_variant(fields, visitor)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::{
        Deserialize, Serialize,
        de::{DeserializeOwned, IgnoredAny},
    };
    use serde_json::json;

    use crate::codec;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    enum Target {
        Everybody,
        Team(String),
        Share { percent: u8 },
        Range(u8, u8),
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Step(i64);

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Whole {
        #[serde(alias = "name")]
        title: String,
        targets: Vec<Target>,
        limits: BTreeMap<String, Option<u64>>,
        pair: (u8, char),
        step: Step,
        #[serde(with = "serde_bytes_of")]
        raw: Vec<u8>,
        nothing: (),
        any: serde_json::Value,
    }

    mod serde_bytes_of {
        use serde::{Deserialize as _, Deserializer, Serializer};

        pub(super) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
            to.serialize_bytes(bytes)
        }

        pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
            Ok(bytes::Bytes::deserialize(from)?.to_vec())
        }
    }

    fn whole() -> Whole {
        Whole {
            title: "launch".to_owned(),
            targets: vec![
                Target::Everybody,
                Target::Team("a".to_owned()),
                Target::Share { percent: 7 },
                Target::Range(1, 2),
            ],
            limits: BTreeMap::from([("x".to_owned(), None), ("y".to_owned(), Some(1 << 40))]),
            pair: (3, 'c'),
            step: Step(-5),
            raw: vec![0, 255],
            nothing: (),
            any: json!({"free": [1, 2.5, "three", null, true]}),
        }
    }

    fn watched<T: DeserializeOwned>(value: &impl Serialize) -> (T, bool) {
        let body = codec::encode(value, <[u8]>::to_vec).unwrap();
        codec::decode_watched(&body).unwrap().unwrap()
    }

    #[test]
    fn what_is_read_whole_is_the_same_and_nothing_is_left() {
        assert_eq!(watched::<Whole>(&whole()), (whole(), true));
    }

    #[test]
    fn keys_of_any_kind_are_passed_on() {
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        struct Keys {
            ids: BTreeMap<crate::OperationId, u8>,
            letters: BTreeMap<char, u8>,
            pairs: BTreeMap<(u8, u8), u8>,
            choices: BTreeMap<Option<String>, u8>,
            bytes: BTreeMap<[u8; 2], u8>,
        }
        let keys = || Keys {
            ids: BTreeMap::from([(crate::OperationId::from_bytes([7; 16]), 1)]),
            letters: BTreeMap::from([('a', 2)]),
            pairs: BTreeMap::from([((1, 2), 3)]),
            choices: BTreeMap::from([(None, 4), (Some("x".to_owned()), 5)]),
            bytes: BTreeMap::from([([1, 2], 6)]),
        };
        assert_eq!(watched::<Keys>(&keys()), (keys(), true));
    }

    #[test]
    fn another_name_of_a_field_is_no_unknown_field() {
        #[derive(Deserialize)]
        struct Renamed {
            #[serde(alias = "name")]
            title: String,
        }
        let (read, is_whole) = watched::<Renamed>(&json!({"name": "launch"}));
        assert_eq!((read.title.as_str(), is_whole), ("launch", true));
    }

    #[test]
    fn a_field_that_is_not_known_is_noticed_wherever_it_is() {
        #[derive(Deserialize)]
        struct Inner {
            #[serde(rename = "on")]
            _on: bool,
        }
        #[derive(Deserialize)]
        enum Choice {
            #[serde(rename = "flag")]
            Flag {
                #[serde(rename = "on")]
                _on: bool,
            },
            #[serde(rename = "boxed")]
            Boxed(#[expect(dead_code, reason = "it is only read")] Inner),
        }
        let more = json!({"on": true, "percent": 7});
        assert!(!watched::<Inner>(&more).1);
        assert!(!watched::<Vec<Inner>>(&[&more]).1);
        assert!(!watched::<Option<Inner>>(&Some(&more)).1);
        assert!(!watched::<BTreeMap<String, Inner>>(&json!({"a": more})).1);
        assert!(!watched::<Choice>(&json!({"flag": more})).1);
        assert!(!watched::<Choice>(&json!({"boxed": more})).1);
        assert!(watched::<Choice>(&json!({"boxed": {"on": true}})).1);
        assert!(watched::<Inner>(&json!({"on": true})).1);
        // Whoever asks for nothing, or for a list of whatever, has left no field out.
        assert!(watched::<IgnoredAny>(&more).1);
        assert!(watched::<Vec<IgnoredAny>>(&json!([1, 2])).1);
    }
}
