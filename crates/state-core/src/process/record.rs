//! What a process is.

use std::fmt;

use bytes::Bytes;

use crate::{clock::Timestamp, lock::Fence, process::Status};

/// Which form of a process it is. Larger for every later one, over the whole life of its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(u64);

impl Version {
    /// A version with this number.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What the application keeps in a process: bytes, and what they are encoded as. `Debug` shows how
/// many, not which.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Payload {
    format: String,
    bytes: Bytes,
}

impl Payload {
    /// Longest name of a format in bytes.
    pub const MAX_FORMAT_BYTES: usize = 64;

    /// Bytes in a format, such as `json/2`.
    #[must_use]
    pub fn new(format: impl Into<String>, bytes: impl Into<Bytes>) -> Self {
        Self {
            format: format.into(),
            bytes: bytes.into(),
        }
    }

    /// What the bytes are encoded as.
    #[must_use]
    pub fn format(&self) -> &str {
        &self.format
    }

    /// The bytes.
    #[must_use]
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Payload")
            .field("format", &self.format)
            .field("bytes", &self.bytes.len())
            .finish()
    }
}

/// A process without its payload: what a listing shows. `Debug` shows neither id nor texts.
#[non_exhaustive]
#[derive(Clone, PartialEq, Eq)]
pub struct ProcessHeader {
    /// The id.
    pub id: String,
    /// What kind of process it is.
    pub kind: String,
    /// Where it stands.
    pub status: Status,
    /// What is being done.
    pub step: Option<String>,
    /// How far it is, 0 to 100.
    pub percent: u8,
    /// When it was created, by the backend's time.
    pub created: Timestamp,
    /// When it was last changed.
    pub updated: Timestamp,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// Why it failed.
    pub error: Option<String>,
    /// The worker that claimed it.
    pub owner: Option<String>,
    /// Until when the claim lasts without a heartbeat.
    pub lease_until: Option<Timestamp>,
    /// The fence of the last claim; 0 before the first.
    pub fence: Fence,
    /// Which form of it this is.
    pub version: Version,
}

impl ProcessHeader {
    /// A header as a backend reads it; everything that may be missing is.
    #[must_use]
    pub fn new(
        id: impl Into<String>,
        kind: impl Into<String>,
        status: Status,
        created: Timestamp,
        version: Version,
    ) -> Self {
        Self {
            id: id.into(),
            kind: kind.into(),
            status,
            step: None,
            percent: 0,
            created,
            updated: created,
            ended: None,
            error: None,
            owner: None,
            lease_until: None,
            fence: Fence::new(0),
            version,
        }
    }
}

impl fmt::Debug for ProcessHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessHeader")
            .field("kind", &self.kind)
            .field("status", &self.status)
            .field("percent", &self.percent)
            .field("fence", &self.fence)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

/// A process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Everything but the payload.
    pub header: ProcessHeader,
    /// What the application keeps in it.
    pub payload: Payload,
}
