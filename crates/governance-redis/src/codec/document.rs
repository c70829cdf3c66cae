//! The document of a request: MessagePack with named fields in an envelope that says its version.

use std::borrow::Cow;

use governance_core::MutationRequest;
use serde::{Deserialize as _, Serialize, de::IgnoredAny};

use super::packed::{PackError, pack_document, unpack};
use crate::options::Compression;

/// The version of the document that is written. Every version since 1 can be read.
const SCHEMA: u16 = 1;

/// Which versions of the document a program knows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Schemas {
    /// The one that is written.
    pub(crate) newest: u16,
    /// The upcaster from version `n` is at `n - 1`.
    pub(crate) upcasters: &'static [Upcaster],
}

impl Schemas {
    /// Those of this version of the library.
    pub(crate) const PRESENT: Self = Self {
        newest: SCHEMA,
        upcasters: &UPCASTERS,
    };
}

/// A record that a newer version of the library wrote. It is the cause of the error of whatever
/// would have to read it; nothing overwrites it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it has version {stored}, this version of the library knows {known}; update the library")]
pub struct NewerVersion {
    stored: u16,
    known: u16,
}

impl NewerVersion {
    pub(crate) const fn new(stored: u16, known: u16) -> Self {
        Self { stored, known }
    }

    /// Finds it among the causes of an error.
    #[must_use]
    pub fn of(error: &governance_core::StoreError) -> Option<Self> {
        let mut cause = std::error::Error::source(error);
        while let Some(error) = cause {
            if let Some(newer) = error.downcast_ref() {
                return Some(*newer);
            }
            cause = error.source();
        }
        None
    }

    /// The version of the record.
    #[must_use]
    pub const fn stored(self) -> u16 {
        self.stored
    }

    /// The newest version this library knows.
    #[must_use]
    pub const fn known(self) -> u16 {
        self.known
    }
}

/// Turns a document of one version into one of the next. Works on the encoded map, since the
/// types of an old version are gone.
pub(crate) type Upcaster = fn(Vec<u8>) -> Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>>;

/// The upcaster from version `n` is at `n - 1`.
const UPCASTERS: [Upcaster; SCHEMA as usize - 1] = [];

/// What is wrong with a document.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DocumentError {
    #[error("the document is cut off")]
    Short,
    #[error("the document is of another version: {0}")]
    Newer(#[source] NewerVersion),
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
    schemas: Schemas,
) -> Result<Vec<u8>, rmp_serde::encode::Error> {
    wrap(schemas.newest, request, request.footprint(), compression)
}

/// A value of about so many bytes.
fn wrap(
    schema: u16,
    value: &impl Serialize,
    bytes: usize,
    compression: Compression,
) -> Result<Vec<u8>, rmp_serde::encode::Error> {
    let mut plain = Vec::with_capacity(bytes);
    value.serialize(&mut rmp_serde::Serializer::new(&mut plain).with_struct_map())?;
    let mut document = Vec::with_capacity(plain.len());
    document.extend(schema.to_be_bytes());
    pack_document(&mut document, &plain, compression);
    Ok(document)
}

pub(crate) fn decode_document(
    document: &[u8],
    schemas: Schemas,
) -> Result<MutationRequest, DocumentError> {
    let bytes = current(document, schemas)?;
    // Texts are taken from where they are, without a buffer in between.
    let mut rest = rmp_serde::Deserializer::from_read_ref(&*bytes);
    let request = MutationRequest::deserialize(&mut rest).map_err(DocumentError::Decode)?;
    // Reading one value more has to fail for want of its first byte.
    match IgnoredAny::deserialize(&mut rest) {
        Err(rmp_serde::decode::Error::InvalidMarkerRead(_)) => Ok(request),
        Ok(_) | Err(_) => Err(DocumentError::Trailing),
    }
}

/// The encoded map in the newest version.
fn current(document: &[u8], schemas: Schemas) -> Result<Cow<'_, [u8]>, DocumentError> {
    let (schema, packed) = document.split_first_chunk().ok_or(DocumentError::Short)?;
    let schema = u16::from_be_bytes(*schema);
    if schema == 0 || schema > schemas.newest {
        return Err(DocumentError::Newer(NewerVersion::new(
            schema,
            schemas.newest,
        )));
    }
    let mut bytes = unpack(packed)?;
    for (from, upcast) in (1..).zip(schemas.upcasters).skip(usize::from(schema) - 1) {
        let upcast = upcast(bytes.into_owned());
        bytes = upcast
            .map_err(|source| DocumentError::Upcast { from, source })?
            .into();
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{super::packed::pack, *};

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
        const CHAIN: [Upcaster; 2] = [|b| rename(&b, "a", "b"), |b| rename(&b, "b", "c")];
        let schemas = Schemas {
            newest: 3,
            upcasters: &CHAIN,
        };
        let map = |name: &str| Map::from([(name.to_owned(), 7)]);
        for (schema, name) in [(1, "a"), (2, "b"), (3, "c")] {
            let document = wrap(schema, &map(name), 9, Compression::Off).unwrap();
            let bytes = current(&document, schemas).unwrap();
            assert_eq!(rmp_serde::from_slice::<Map>(&bytes).unwrap(), map("c"));
        }
        let document = wrap(4, &map("d"), 9, Compression::Off).unwrap();
        assert!(matches!(
            current(&document, schemas),
            Err(DocumentError::Newer(newer)) if newer == NewerVersion::new(4, 3)
        ));
        let document = wrap(1, &map("x"), 9, Compression::Off).unwrap();
        let error = current(&document, schemas).unwrap_err();
        assert!(matches!(error, DocumentError::Upcast { from: 1, .. }));
    }

    #[test]
    fn what_is_behind_a_document_is_an_error() {
        use governance_core::{MutationRequest, Timestamp};
        use governance_testkit::fixtures::{RequestBuilder, SeededIds};
        let ids = SeededIds::new(1);
        let request = RequestBuilder::new(&ids, Timestamp::from_micros(1)).build();
        let plain = rmp_serde::to_vec_named(&*request).unwrap();
        let read = |behind: &[u8]| -> Result<MutationRequest, DocumentError> {
            let mut document = SCHEMA.to_be_bytes().to_vec();
            document.extend(pack(&[&plain, behind].concat(), Compression::Off));
            decode_document(&document, Schemas::PRESENT)
        };
        assert_eq!(read(b"").unwrap(), *request);
        for behind in [&[0xc0][..], &[0xc1], &[0xd9, 9], &plain] {
            assert!(
                matches!(read(behind), Err(DocumentError::Trailing)),
                "{behind:?}"
            );
        }
    }

    #[test]
    fn short_and_foreign_documents_are_errors() {
        assert!(matches!(
            decode_document(b"", Schemas::PRESENT),
            Err(DocumentError::Short)
        ));
        assert!(matches!(
            decode_document(&[0, 1], Schemas::PRESENT),
            Err(DocumentError::Packed(_))
        ));
        let document = wrap(SCHEMA, &Map::new(), 9, Compression::Off).unwrap();
        assert!(matches!(
            decode_document(&document, Schemas::PRESENT),
            Err(DocumentError::Decode(_))
        ));
    }
}
