//! The mutation itself, as it is stored.

use std::error::Error;

use bytes::Bytes;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    codec,
    ids::{Digest, MutationType},
};

/// The mutation itself: type name, schema version, encoded body and the body's SHA-256 digest.
/// What runs is decoded from here, so what was approved is what runs.
///
/// Bodies are MessagePack with named fields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payload {
    mutation: MutationType,
    schema: u32,
    body: Bytes,
    digest: Digest,
    #[serde(skip)]
    encoded_here: EncodedHere,
}

/// Whether this process encoded the payload and never read it from anywhere. No part of what a
/// payload is, so all are equal.
#[derive(Debug, Clone, Copy, Default)]
struct EncodedHere(bool);

impl PartialEq for EncodedHere {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for EncodedHere {}

impl Payload {
    /// Encodes a mutation.
    ///
    /// # Errors
    ///
    /// [`PayloadError::Encode`] when the value cannot be encoded.
    pub fn encode<T: Serialize>(
        mutation: MutationType,
        schema: u32,
        value: &T,
    ) -> Result<Self, PayloadError> {
        let body = encode(value)?;
        Ok(Self {
            mutation,
            schema,
            digest: Digest::of(&body),
            body,
            encoded_here: EncodedHere(true),
        })
    }

    /// Decodes the body after checking it against its digest.
    ///
    /// # Errors
    ///
    /// [`PayloadError::DigestMismatch`] when the body was changed, [`PayloadError::Decode`] when
    /// it is not a `T`.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, PayloadError> {
        self.verify()?;
        decode(&self.body)
    }

    /// Decodes a body alone, all of it. It is for [`Mutation::upgrade`](crate::Mutation::upgrade),
    /// which gets the bytes of an earlier form.
    ///
    /// # Errors
    ///
    /// [`PayloadError::Decode`] when it is not a `T`, [`PayloadError::TrailingBytes`] when
    /// something follows it.
    pub fn decode_body<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, PayloadError> {
        decode(bytes)
    }

    /// Checks the body against its digest.
    ///
    /// # Errors
    ///
    /// [`PayloadError::DigestMismatch`].
    pub fn verify(&self) -> Result<(), PayloadError> {
        if Digest::of(&self.body) == self.digest {
            Ok(())
        } else {
            Err(PayloadError::DigestMismatch)
        }
    }

    /// [`Payload::verify`], unless this process made the digest and nobody can have changed body
    /// or digest since.
    pub(crate) fn verify_if_read(&self) -> Result<(), PayloadError> {
        if self.encoded_here.0 {
            Ok(())
        } else {
            self.verify()
        }
    }

    /// The mutation's type name.
    #[must_use]
    pub const fn mutation(&self) -> &MutationType {
        &self.mutation
    }

    /// Version of the form of the body.
    #[must_use]
    pub const fn schema(&self) -> u32 {
        self.schema
    }

    /// The encoded mutation.
    #[must_use]
    pub const fn body(&self) -> &Bytes {
        &self.body
    }

    /// SHA-256 of the body.
    #[must_use]
    pub const fn digest(&self) -> &Digest {
        &self.digest
    }
}

/// Encodes a payload or state: MessagePack with named fields.
pub(crate) fn encode<T: Serialize>(value: &T) -> Result<Bytes, PayloadError> {
    codec::encode(value, Bytes::copy_from_slice).map_err(|error| PayloadError::Encode(error.into()))
}

/// [`decode`], and whether the type knows every field there is.
pub(crate) fn decode_watched<T: DeserializeOwned>(bytes: &[u8]) -> Result<(T, bool), PayloadError> {
    let value = codec::decode_watched(bytes).map_err(|error| PayloadError::Decode(error.into()))?;
    value.ok_or(PayloadError::TrailingBytes)
}

/// Decodes a payload or state, all of it.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, PayloadError> {
    let value = codec::decode(bytes).map_err(|error| PayloadError::Decode(error.into()))?;
    value.ok_or(PayloadError::TrailingBytes)
}

/// A payload or state that cannot be encoded or decoded.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum PayloadError {
    /// It cannot be encoded.
    #[error("cannot be encoded")]
    Encode(#[source] Box<dyn Error + Send + Sync>),
    /// It is not what it should be.
    #[error("cannot be decoded")]
    Decode(#[source] Box<dyn Error + Send + Sync>),
    /// Something follows it.
    #[error("has bytes behind its end")]
    TrailingBytes,
    /// Its type writes a field that it does not read again, so nobody could execute it.
    #[error("has a field that its type writes and does not read")]
    UnreadField,
    /// It is not what its digest says.
    #[error("does not match its digest")]
    DigestMismatch,
}

impl PayloadError {
    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Encode(_) => "payload.encode",
            Self::Decode(_) => "payload.decode",
            Self::TrailingBytes => "payload.trailing_bytes",
            Self::UnreadField => "payload.unread_field",
            Self::DigestMismatch => "payload.digest_mismatch",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(value: &impl Serialize) -> Payload {
        Payload::encode(MutationType::new("m").unwrap(), 1, value).unwrap()
    }

    #[test]
    fn decodes_what_was_encoded_and_nothing_else() {
        let stored = payload(&("text", vec![1_u8, 2, 3]));
        assert_eq!(
            stored.decode::<(String, Vec<u8>)>().unwrap(),
            ("text".to_owned(), vec![1, 2, 3])
        );
        assert_eq!(stored.decode::<u8>().unwrap_err().code(), "payload.decode");
    }

    #[test]
    fn changed_and_trailing_bytes_are_noticed() {
        let encoded = rmp_serde::to_vec_named(&payload(&7_u8)).unwrap();
        let mut stored: Payload = rmp_serde::from_slice(&encoded).unwrap();
        stored.body = Bytes::from_static(&[8]);
        assert!(stored.verify_if_read().is_err());
        assert_eq!(
            stored.decode::<u8>().unwrap_err().code(),
            "payload.digest_mismatch"
        );
        for byte in 0..=u8::MAX {
            assert_eq!(
                decode::<u8>(&[7, byte]).unwrap_err().code(),
                "payload.trailing_bytes",
                "{byte}"
            );
        }
        assert_eq!(decode::<u8>(&[7]).unwrap(), 7);
    }
}
