//! What tells one stored value from the next.

use crate::cache::Envelope;

/// The [mark](Envelope::mark) of a stored value, by itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark {
    bytes: [u8; Self::MAX],
    len: usize,
}

impl Mark {
    const MAX: usize = 8;

    /// That of no value.
    pub(crate) const NONE: Self = Self {
        bytes: [0; Self::MAX],
        len: 0,
    };

    /// That of an envelope, whether it can be read or not.
    pub(crate) fn of(whole: &[u8]) -> Self {
        let mark = Envelope::mark(whole);
        let (mut bytes, len) = ([0; Self::MAX], mark.len().min(Self::MAX));
        bytes[..len].copy_from_slice(&mark[..len]);
        Self { bytes, len }
    }

    /// Its bytes.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}
