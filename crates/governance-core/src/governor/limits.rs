//! How large things may be.

/// How large things may be, in bytes unless said otherwise. Everything a caller sends is bounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The encoded mutation. Default 1 MiB.
    pub payload: usize,
    /// An encoded state. Default 4 MiB.
    pub state: usize,
    /// Free data of one call: its metadata and the display name of its actor. Default 64 KiB.
    pub metadata: usize,
    /// A request with its history, as [`MutationRequest::footprint`] counts it. Default 8 MiB.
    ///
    /// [`MutationRequest::footprint`]: crate::MutationRequest::footprint
    pub document: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            payload: 1 << 20,
            state: 4 << 20,
            metadata: 64 << 10,
            document: 8 << 20,
        }
    }
}

impl Limits {
    /// Sets the limit of the encoded mutation.
    #[must_use]
    pub const fn payload(mut self, bytes: usize) -> Self {
        self.payload = bytes;
        self
    }

    /// Sets the limit of an encoded state.
    #[must_use]
    pub const fn state(mut self, bytes: usize) -> Self {
        self.state = bytes;
        self
    }

    /// Sets the limit of the free data of one call.
    #[must_use]
    pub const fn metadata(mut self, bytes: usize) -> Self {
        self.metadata = bytes;
        self
    }

    /// Sets the limit of a request with its history.
    #[must_use]
    pub const fn document(mut self, bytes: usize) -> Self {
        self.document = bytes;
        self
    }
}

/// Something that is larger than it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the {what} has {actual} bytes, at most {limit} are allowed")]
pub struct TooLarge {
    /// What: `payload`, `state`, `metadata` or `document`.
    pub what: &'static str,
    /// Its size in bytes.
    pub actual: usize,
    /// The limit in bytes.
    pub limit: usize,
}

impl TooLarge {
    /// Stable code, that of [`GovernorError::TooLarge`](crate::GovernorError::TooLarge).
    #[must_use]
    pub const fn code(&self) -> &'static str {
        "governor.too_large"
    }

    pub(super) const fn check(what: &'static str, actual: usize, limit: usize) -> Result<(), Self> {
        if actual > limit {
            Err(Self {
                what,
                actual,
                limit,
            })
        } else {
            Ok(())
        }
    }
}
