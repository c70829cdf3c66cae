//! What calls of a cache answer.

use std::{fmt, time::Duration};

use bytes::Bytes;

/// A value that was found.
#[derive(Clone, PartialEq, Eq)]
pub struct Hit {
    pub(crate) value: Bytes,
    pub(crate) codec: u8,
    pub(crate) age: Duration,
    pub(crate) stale: bool,
}

impl Hit {
    /// The value.
    #[must_use]
    pub const fn value(&self) -> &Bytes {
        &self.value
    }

    /// The value, taken out.
    #[must_use]
    pub fn into_value(self) -> Bytes {
        self.value
    }

    /// The codec it was stored with.
    #[must_use]
    pub const fn codec(&self) -> u8 {
        self.codec
    }

    /// How long ago it was stored.
    #[must_use]
    pub const fn age(&self) -> Duration {
        self.age
    }

    /// Whether its time is over. It was not invalidated.
    #[must_use]
    pub const fn is_stale(&self) -> bool {
        self.stale
    }
}

impl fmt::Debug for Hit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hit")
            .field("bytes", &self.value.len())
            .field("age", &self.age)
            .field("stale", &self.stale)
            .finish_non_exhaustive()
    }
}

/// What is known about a key.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup {
    /// There is a value.
    Hit(Hit),
    /// It is known that there is no value.
    Negative,
    /// Nothing is known.
    Miss,
}

impl Lookup {
    /// Whether there is a value.
    #[must_use]
    pub const fn is_hit(&self) -> bool {
        matches!(self, Self::Hit(_))
    }

    /// Whether nothing is known.
    #[must_use]
    pub const fn is_miss(&self) -> bool {
        matches!(self, Self::Miss)
    }

    /// The value, if there is one.
    #[must_use]
    pub fn into_value(self) -> Option<Bytes> {
        match self {
            Self::Hit(hit) => Some(hit.value),
            Self::Negative | Self::Miss => None,
        }
    }

    pub(crate) const fn outcome(&self) -> &'static str {
        match self {
            Self::Hit(hit) if hit.stale => "stale",
            Self::Hit(_) => "hit",
            Self::Negative => "negative",
            Self::Miss => "miss",
        }
    }
}

/// Where a value came from.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    /// It was there.
    Hit,
    /// It was there, and its time is over.
    Stale,
    /// This call loaded and stored it.
    Loaded,
    /// Another call in this process loaded it.
    Coalesced,
    /// Another process loaded it, and this call waited for that.
    Waited,
    /// This call loaded it, and it was not stored.
    Uncached,
}

impl Source {
    /// Stable lower-case name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Stale => "stale",
            Self::Loaded => "loaded",
            Self::Coalesced => "coalesced",
            Self::Waited => "waited",
            Self::Uncached => "uncached",
        }
    }
}

/// A value that was found or loaded.
#[derive(Clone, PartialEq, Eq)]
pub struct Loaded {
    pub(crate) value: Option<Bytes>,
    pub(crate) codec: u8,
    pub(crate) source: Source,
}

impl Loaded {
    /// The value; none if there is none.
    #[must_use]
    pub const fn value(&self) -> Option<&Bytes> {
        self.value.as_ref()
    }

    /// The value, taken out; none if there is none.
    #[must_use]
    pub fn into_value(self) -> Option<Bytes> {
        self.value
    }

    /// The codec it was stored with, or was to be.
    #[must_use]
    pub const fn codec(&self) -> u8 {
        self.codec
    }

    /// Where it came from.
    #[must_use]
    pub const fn source(&self) -> Source {
        self.source
    }
}

impl fmt::Debug for Loaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loaded")
            .field("bytes", &self.value.as_ref().map(Bytes::len))
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

/// What a delete did.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deleted {
    /// There was a value, and it is gone.
    Removed,
    /// There was none.
    Absent,
    /// There is none any more. Whether there was one is not known: an answer was lost.
    Gone,
    /// It failed and will be repeated: see [`Consistency::Eventual`](crate::cache::Consistency).
    Queued,
    /// It failed, and the value ends soon: see
    /// [`Consistency::ShortTtl`](crate::cache::Consistency).
    Shortened,
}

impl Deleted {
    pub(crate) const fn outcome(self) -> &'static str {
        match self {
            Self::Removed => "removed",
            Self::Absent => "absent",
            Self::Gone => "gone",
            Self::Queued => "queued",
            Self::Shortened => "shortened",
        }
    }
}

/// What an invalidation did.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Invalidated {
    /// Nothing of it is a hit any more.
    Done,
    /// It failed and will be repeated: see [`Consistency::Eventual`](crate::cache::Consistency).
    Queued,
    /// It failed, and what is there ends soon: see
    /// [`Consistency::ShortTtl`](crate::cache::Consistency).
    Shortened,
}

impl Invalidated {
    pub(crate) const fn outcome(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Queued => "queued",
            Self::Shortened => "shortened",
        }
    }
}
