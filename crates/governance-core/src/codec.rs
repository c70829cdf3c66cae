//! The encoding of payloads, states and whatever is digested: MessagePack with named fields.

use std::{cell::Cell, fmt};

use rmp_serde::{
    decode::Error as DecodeError,
    encode::{self, Error as EncodeError},
};
use serde::{
    Deserializer as _, Serialize,
    de::{self, DeserializeOwned},
};

/// Encodes a value and looks at the bytes, which are gone afterwards.
///
/// They are in a buffer that the thread keeps, so nothing is allocated for them, and what is kept
/// of them can be made exactly as long as it is.
pub(crate) fn encode<T: Serialize + ?Sized, R>(
    value: &T,
    look: impl FnOnce(&[u8]) -> R,
) -> Result<R, EncodeError> {
    /// Longer buffers are not kept.
    const MOST_KEPT: usize = 64 << 10;
    thread_local! {
        static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    }
    // While it is taken, an encoding within this one begins with an empty one.
    let mut buffer = BUFFER.take();
    buffer.clear();
    let result = encode::write_named(&mut buffer, value).map(|()| look(&buffer));
    if buffer.capacity() <= MOST_KEPT {
        BUFFER.set(buffer);
    }
    result
}

/// Decodes a value, or `None` where something follows it.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<Option<T>, DecodeError> {
    let mut input = rmp_serde::Deserializer::from_read_ref(bytes);
    let value = T::deserialize(&mut input)?;
    Ok(at_end(&mut input).then_some(value))
}

/// Most characters of the path of a field that are told.
const PATH: usize = 120;

/// [`decode`], and the path of the first field that the type left unread, if there is one.
///
/// A derived `Deserialize` skips fields it does not know. What is read by way of a buffer is not
/// seen: inside of untagged and internally tagged enums and of flattened structs.
pub(crate) fn decode_watched<T: DeserializeOwned>(
    bytes: &[u8],
) -> Result<Option<(T, Option<String>)>, DecodeError> {
    let mut input = rmp_serde::Deserializer::from_read_ref(bytes);
    let mut unread = None;
    let value = serde_ignored::deserialize(&mut input, |path| {
        // What a type skips otherwise, such as all of its input, is its own affair.
        if matches!(path, serde_ignored::Path::Map { .. }) {
            unread.get_or_insert_with(|| path.to_string().chars().take(PATH).collect());
        }
    })?;
    Ok(at_end(&mut input).then_some((value, unread)))
}

fn at_end<'de>(
    input: &mut rmp_serde::Deserializer<rmp_serde::decode::ReadRefReader<'de, [u8]>>,
) -> bool {
    // Reading one value more has to fail for want of its first byte.
    let more = input.deserialize_any(Nothing);
    matches!(more, Err(DecodeError::InvalidMarkerRead(_)))
}

/// Takes no value at all and looks into none.
struct Nothing;

impl de::Visitor<'_> for Nothing {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nothing")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Serialize, Serializer, de::IgnoredAny};
    use serde_json::json;

    use super::*;

    /// Is encoded by encoding something else first.
    struct Within;

    impl Serialize for Within {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let inner = encode(&[1_u8, 2], <[u8]>::to_vec).map_err(serde::ser::Error::custom)?;
            serializer.serialize_bytes(&inner)
        }
    }

    struct Raw(Vec<u8>);

    impl Serialize for Raw {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.serialize_bytes(&self.0)
        }
    }

    #[test]
    fn encodings_within_each_other_and_after_each_other_are_apart() {
        let bytes = encode(&("before", Within, "after"), <[u8]>::to_vec).unwrap();
        let inner = rmp_serde::to_vec_named(&[1_u8, 2]).unwrap();
        let known = ("before", Raw(inner), "after");
        assert_eq!(bytes, rmp_serde::to_vec_named(&known).unwrap());
        let long = "x".repeat(100_000);
        for text in ["", "short", &long, "short"] {
            let bytes = encode(text, <[u8]>::to_vec).unwrap();
            assert_eq!(bytes, rmp_serde::to_vec_named(text).unwrap());
        }
    }

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

    fn watched<T: DeserializeOwned>(value: &impl Serialize) -> (T, Option<String>) {
        let body = encode(value, <[u8]>::to_vec).unwrap();
        decode_watched(&body).unwrap().unwrap()
    }

    fn unread<T: DeserializeOwned>(value: &impl Serialize) -> Option<String> {
        watched::<T>(value).1
    }

    #[test]
    fn what_is_read_whole_is_the_same_and_nothing_is_left() {
        assert_eq!(watched::<Whole>(&whole()), (whole(), None));
    }

    #[test]
    fn another_name_of_a_field_is_no_unknown_field() {
        #[derive(Deserialize)]
        struct Renamed {
            #[serde(alias = "name")]
            title: String,
        }
        let (read, unread) = watched::<Renamed>(&json!({"name": "launch"}));
        assert_eq!((read.title.as_str(), unread), ("launch", None));
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
        let field = |name: &str| Some(name.to_owned());
        assert_eq!(unread::<Inner>(&more), field("percent"));
        assert_eq!(unread::<Vec<Inner>>(&[&more]), field("0.percent"));
        assert_eq!(unread::<Option<Inner>>(&Some(&more)), field("?.percent"));
        let map = json!({"a": more});
        assert_eq!(unread::<BTreeMap<String, Inner>>(&map), field("a.percent"));
        assert_eq!(unread::<Choice>(&json!({"flag": more})), field("percent"));
        assert_eq!(
            unread::<Choice>(&json!({"boxed": more})),
            field("?.percent")
        );
        assert_eq!(unread::<Choice>(&json!({"boxed": {"on": true}})), None);
        assert_eq!(unread::<Inner>(&json!({"on": true})), None);
        // Whoever asks for nothing, or for a list of whatever, has left no field out.
        assert_eq!(unread::<IgnoredAny>(&more), None);
        assert_eq!(unread::<Vec<IgnoredAny>>(&json!([1, 2])), None);
        let long = json!({"on": true, "x".repeat(10_000): 1});
        assert_eq!(unread::<Inner>(&long).map(|path| path.len()), Some(PATH));
    }
}
