//! The index record of frames of format 1: a map in MessagePack.

use serde::Deserialize;
use serde_bytes::ByteArray;

use crate::index::{Class, IndexRecord, IndexTerm};

#[derive(Deserialize)]
struct Record {
    /// Class, dimension and value of every term.
    #[serde(rename = "t")]
    terms: Vec<(u8, String, String)>,
    #[serde(rename = "d", default)]
    due: Option<i64>,
    #[serde(rename = "k", default)]
    key: Option<ByteArray<16>>,
}

pub(super) fn read_index(bytes: &[u8]) -> Option<IndexRecord> {
    let record: Record = rmp_serde::from_slice(bytes).ok()?;
    let terms = record.terms.into_iter().map(|(class, dimension, value)| {
        let class = match class {
            0 => Class::Bitmap,
            2 => Class::Inbox,
            _ => Class::Ordinals,
        };
        IndexTerm::named(class, &dimension, &value)
    });
    let key = record.key.map(ByteArray::into_array);
    Some(IndexRecord::from_parts(terms.collect(), record.due, key))
}
