//! The document of a request: MessagePack with named fields in an envelope that says its version.

use governance_core::MutationRequest;
use serde::{Deserialize as _, Serialize};

use super::packed::{PackError, pack, unpack};
use crate::options::Compression;

/// The version of the document that is written. Every version since 1 can be read.
const SCHEMA: u16 = 1;

/// Turns a document of one version into one of the next. Works on the encoded map, since the
/// types of an old version are gone.
type Upcaster = fn(Vec<u8>) -> Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>>;

/// The upcaster from version `n` is at `n - 1`.
const UPCASTERS: [Upcaster; SCHEMA as usize - 1] = [];

/// What is wrong with a document.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DocumentError {
    #[error("the document is cut off")]
    Short,
    #[error("the document has schema version {0}, this version of the library knows {SCHEMA}")]
    Newer(u16),
    #[error("the document cannot be unpacked")]
    Packed(#[from] PackError),
    #[error("the document of schema version {from} cannot be brought up to date")]
    Upcast {
        from: u16,
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("the document cannot be decoded")]
    Decode(#[source] rmp_serde::decode::Error),
    #[error("the document has bytes behind its end")]
    Trailing,
}

pub(crate) fn encode_document(
    request: &MutationRequest,
    compression: Compression,
) -> Result<Vec<u8>, rmp_serde::encode::Error> {
    wrap(SCHEMA, request, compression)
}

fn wrap(
    schema: u16,
    value: &impl Serialize,
    compression: Compression,
) -> Result<Vec<u8>, rmp_serde::encode::Error> {
    let packed = pack(&rmp_serde::to_vec_named(value)?, compression);
    let mut document = schema.to_be_bytes().to_vec();
    document.extend(packed);
    Ok(document)
}

pub(crate) fn decode_document(document: &[u8]) -> Result<MutationRequest, DocumentError> {
    let bytes = current(document, SCHEMA, &UPCASTERS)?;
    let mut rest = rmp_serde::Deserializer::new(&*bytes);
    let request = MutationRequest::deserialize(&mut rest).map_err(DocumentError::Decode)?;
    if rest.get_ref().is_empty() {
        Ok(request)
    } else {
        Err(DocumentError::Trailing)
    }
}

/// The encoded map in the newest version.
fn current(document: &[u8], newest: u16, chain: &[Upcaster]) -> Result<Vec<u8>, DocumentError> {
    let (schema, packed) = document.split_first_chunk().ok_or(DocumentError::Short)?;
    let schema = u16::from_be_bytes(*schema);
    if schema == 0 || schema > newest {
        return Err(DocumentError::Newer(schema));
    }
    let mut bytes = unpack(packed)?.into_owned();
    for (from, upcast) in (1..).zip(chain).skip(usize::from(schema) - 1) {
        bytes = upcast(bytes).map_err(|source| DocumentError::Upcast { from, source })?;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    type Map = BTreeMap<String, u32>;

    fn rename(
        bytes: &[u8],
        from: &str,
        to: &str,
    ) -> Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>> {
        let mut map: Map = rmp_serde::from_slice(bytes)?;
        let value = map.remove(from).ok_or("the field is missing")?;
        map.insert(to.to_owned(), value);
        Ok(rmp_serde::to_vec_named(&map)?)
    }

    #[test]
    fn old_versions_climb_the_chain_and_newer_ones_are_refused() {
        let chain: [Upcaster; 2] = [|b| rename(&b, "a", "b"), |b| rename(&b, "b", "c")];
        let map = |name: &str| Map::from([(name.to_owned(), 7)]);
        for (schema, name) in [(1, "a"), (2, "b"), (3, "c")] {
            let document = wrap(schema, &map(name), Compression::Off).unwrap();
            let bytes = current(&document, 3, &chain).unwrap();
            assert_eq!(rmp_serde::from_slice::<Map>(&bytes).unwrap(), map("c"));
        }
        let document = wrap(4, &map("d"), Compression::Off).unwrap();
        assert!(matches!(
            current(&document, 3, &chain),
            Err(DocumentError::Newer(4))
        ));
        let document = wrap(1, &map("x"), Compression::Off).unwrap();
        let error = current(&document, 3, &chain).unwrap_err();
        assert!(matches!(error, DocumentError::Upcast { from: 1, .. }));
    }

    #[test]
    fn short_and_foreign_documents_are_errors() {
        assert!(matches!(decode_document(b""), Err(DocumentError::Short)));
        assert!(matches!(
            decode_document(&[0, 1]),
            Err(DocumentError::Packed(_))
        ));
        let document = wrap(SCHEMA, &Map::new(), Compression::Off).unwrap();
        assert!(matches!(
            decode_document(&document),
            Err(DocumentError::Decode(_))
        ));
    }
}
