//! Against `rmp_serde`, which is the definition.

use std::collections::{BTreeMap, HashMap};

use proptest::{collection::vec, option, prelude::*};
use serde::{Deserialize, Serialize, Serializer, de::DeserializeOwned, ser::SerializeMap as _};

use super::{CodecError, decode, encode};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Unit;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Newtype(u16);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Pair(i8, String);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Kind {
    Nothing,
    One(Newtype),
    Two(i64, char),
    Named { left: u32, right: Option<Box<Self>> },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Loose {
    Flag(bool),
    Count(i64),
    Text(String),
    List(Vec<i16>),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "is")]
enum Tagged {
    Left { at: u64 },
    Right,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Numbers {
    signed: (i8, i16, i32, i64),
    unsigned: (u8, u16, u32, u64),
    wide: (i128, u128),
    real: (f32, f64),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Everything {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    maybe: Option<u8>,
    numbers: Numbers,
    kinds: Vec<Kind>,
    loose: Option<Loose>,
    tagged: Tagged,
    unit: ((), Unit, Newtype, Pair),
    bytes: bytes::Bytes,
    listed: Vec<u8>,
    json: serde_json::Value,
    map: BTreeMap<i32, String>,
    #[serde(flatten)]
    rest: BTreeMap<String, bool>,
}

fn kind() -> impl Strategy<Value = Kind> {
    let leaf = prop_oneof![
        Just(Kind::Nothing),
        any::<u16>().prop_map(|n| Kind::One(Newtype(n))),
        any::<(i64, char)>().prop_map(|(n, c)| Kind::Two(n, c)),
    ];
    leaf.prop_recursive(4, 8, 1, |inner| {
        (any::<u32>(), option::of(inner)).prop_map(|(left, right)| Kind::Named {
            left,
            right: right.map(Box::new),
        })
    })
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<u64>().prop_map(Into::into),
        (-1e9..1e9).prop_map(serde_json::Value::from),
        ".{0,40}".prop_map(Into::into),
    ];
    leaf.prop_recursive(3, 24, 20, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..20).prop_map(Into::into),
            proptest::collection::btree_map("[a-z]{0,40}", inner, 0..20)
                .prop_map(|map| map.into_iter().collect()),
        ]
    })
}

/// Whole numbers of every length, both ends of each included.
fn whole() -> impl Strategy<Value = i64> {
    let edge = (0..64_u32, -2..3_i64, any::<bool>()).prop_map(|(bits, off, negative)| {
        let edge = (1_i64 << bits.min(62)).saturating_add(off);
        if negative { -edge } else { edge }
    });
    prop_oneof![edge, any::<i64>()]
}

fn numbers() -> impl Strategy<Value = Numbers> {
    (whole(), whole(), any::<(i128, u128)>(), -1e9..1e9_f64).prop_map(|(a, b, wide, real)| {
        let b = b.unsigned_abs();
        Numbers {
            signed: (a as i8, a as i16, a as i32, a),
            unsigned: (b as u8, b as u16, b as u32, b),
            wide,
            real: (real as f32, real),
        }
    })
}

fn everything() -> impl Strategy<Value = Everything> {
    let loose = prop_oneof![
        any::<bool>().prop_map(Loose::Flag),
        whole().prop_map(Loose::Count),
        ".{0,300}".prop_map(Loose::Text),
        vec(any::<i16>(), 0..40).prop_map(Loose::List),
    ];
    let tagged = prop_oneof![
        any::<u64>().prop_map(|at| Tagged::Left { at }),
        Just(Tagged::Right),
    ];
    let unit = (any::<u16>(), any::<i8>(), ".{0,40}");
    let first = (option::of(any::<u8>()), numbers(), vec(kind(), 0..20));
    let second = (option::of(loose), tagged, unit, vec(any::<u8>(), 0..300));
    let third = (
        json(),
        proptest::collection::btree_map(any::<i32>(), ".{0,9}", 0..20),
        proptest::collection::btree_map("x[a-z]{1,9}", any::<bool>(), 0..20),
    );
    (first, second, third).prop_map(|(first, second, third)| {
        let (maybe, numbers, kinds) = first;
        let (loose, tagged, (n, i, text), listed) = second;
        let (json, map, rest) = third;
        Everything {
            maybe,
            numbers,
            kinds,
            loose,
            tagged,
            unit: ((), Unit, Newtype(n), Pair(i, text)),
            bytes: listed.clone().into(),
            listed,
            json,
            map,
            rest,
        }
    })
}

fn encoded<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    encode(value, <[u8]>::to_vec).unwrap()
}

fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    decode(bytes).map(|(value, _)| value)
}

proptest! {
    #[test]
    fn values_are_written_and_read_as_ever(value in everything()) {
        let bytes = encoded(&value);
        prop_assert_eq!(&bytes, &rmp_serde::to_vec_named(&value).unwrap());
        let (known, rest) = decode::<Everything>(&bytes).unwrap();
        prop_assert_eq!(&known, &value);
        prop_assert!(rest.is_empty());
        let known: serde_json::Value = read(&encoded(&value.json)).unwrap();
        prop_assert_eq!(&known, &value.json);
        // What is not named is skipped.
        let part: HashMap<String, serde::de::IgnoredAny> = read(&bytes).unwrap();
        prop_assert_eq!(part.len(), 9 + usize::from(value.maybe.is_some()) + value.rest.len());
    }

    #[test]
    fn what_is_cut_off_is_refused(value in everything(), at: prop::sample::Index) {
        let bytes = encoded(&value);
        prop_assert!(read::<Everything>(&bytes[..at.index(bytes.len())]).is_err());
    }

    /// Of bytes that are no value, or another one, nothing else is read.
    #[test]
    fn other_bytes_are_read_alike(
        value in everything(), at: prop::sample::Index, byte: u8, noise in vec(any::<u8>(), 0..40),
    ) {
        let mut bytes = encoded(&value);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(value) = read::<Everything>(&bytes) {
            let known: Everything = rmp_serde::from_slice(&bytes).unwrap();
            // Not every number of theirs equals itself.
            prop_assert_eq!(format!("{value:?}"), format!("{known:?}"));
        }
        if let Ok(value) = read::<serde_json::Value>(&noise) {
            let known: serde_json::Value = rmp_serde::from_slice(&noise).unwrap();
            prop_assert_eq!(value, known);
        }
    }
}

#[test]
fn texts_bytes_and_lists_of_all_lengths_are_written_as_ever() {
    for len in [0, 15, 16, 31, 32, 255, 256, 65_535, 65_536] {
        let text = "x".repeat(len);
        let map: BTreeMap<usize, u8> = (0..len).map(|i| (i, 7)).collect();
        let value = (
            &text,
            vec![1_u8; len],
            bytes::Bytes::from(text.clone()),
            map,
        );
        let bytes = encoded(&value);
        assert_eq!(bytes, rmp_serde::to_vec_named(&value).unwrap(), "{len}");
        let known: (String, Vec<u8>, bytes::Bytes, BTreeMap<usize, u8>) = read(&bytes).unwrap();
        assert_eq!((&known.0, known.1, known.2, known.3), value, "{len}");
    }
}

/// A map that does not say how long it is, of maps that do not.
struct Uncounted(usize, Option<Box<Self>>);

impl Serialize for Uncounted {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for key in 0..self.0 {
            map.serialize_entry(&key, &self.1)?;
        }
        map.end()
    }
}

#[test]
fn items_are_counted_where_nobody_says_how_many() {
    for len in [0, 15, 16, 300] {
        let value = Uncounted(3, Some(Box::new(Uncounted(len, None))));
        assert_eq!(encoded(&value), rmp_serde::to_vec_named(&value).unwrap());
    }
}

#[test]
fn an_encoding_within_another_leaves_it_whole() {
    struct Digested;
    impl Serialize for Digested {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_seq(encoded(&("inner", 7_u8)))
        }
    }
    let inner = encoded(&("inner", 7_u8));
    assert_eq!(encoded(&("a", Digested, "b")), encoded(&("a", inner, "b")));
}

#[test]
fn a_long_value_leaves_nothing_behind() {
    assert_eq!(encoded(&vec!["long"; 100_000]).len(), 500_005);
    assert_eq!(encoded(&"short").len(), 6);
}

#[test]
fn what_goes_too_deep_is_refused() {
    #[derive(Debug, Deserialize)]
    enum Chain {
        #[expect(dead_code, reason = "only read")]
        Link(Box<Self>),
    }
    let lists = vec![0x91; 100_000];
    assert!(read::<serde::de::IgnoredAny>(&lists).is_err());
    let link = [&[0x81, 0xa4][..], b"Link"].concat();
    assert!(read::<Chain>(&link.repeat(20_000)).is_err());
}

#[test]
fn a_length_alone_takes_no_room() {
    assert!(read::<Vec<u64>>(&[0xdd, 0xff, 0xff, 0xff, 0xff, 1]).is_err());
    assert!(read::<String>(&[0xdb, 0xff, 0xff, 0xff, 0xff, b'a']).is_err());
}
