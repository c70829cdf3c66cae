//! What can go wrong inside, and the one place that says what it means to a caller.

use governance_core::{RequestId, Retry, StoreError, StoreErrorKind, WriteCertainty};
use redis_client::{ClientError, ErrorKind};

use crate::regress::StoreRegressed;

/// An error of this provider. Every variant becomes a [`StoreError`] by [`RedisError::at`].
#[derive(Debug, thiserror::Error)]
pub(crate) enum RedisError {
    #[error("{}", .0.signal())]
    Client(#[from] ClientError),
    #[error("the record of request {id} cannot be read")]
    Request {
        id: RequestId,
        source: UnreadableRequest,
    },
    #[error("the state cannot be read: {0}")]
    State(&'static str),
    #[error("a record could not be encoded")]
    Encode(#[from] rmp_serde::encode::Error),
    #[error("the server's answer makes no sense: {0}")]
    Reply(&'static str),
    #[error(
        "the request is found by {terms} things at a time, at most {most} can be written in one step"
    )]
    TooManyTerms { terms: usize, most: usize },
    #[error("the layout keeps changing, or another version of the library rebuilds the index")]
    Fenced,
    #[error("{0}")]
    Regressed(#[from] StoreRegressed),
    #[error("a server that is not the master any more answered; ask again")]
    Stale,
    #[error("{0}")]
    Moved(#[from] PartitionsMoved),
    #[error("the write is done, but {confirmed} of {wanted} replicas confirmed it in time")]
    NotConfirmed { confirmed: u32, wanted: u32 },
    #[error("the clock of the store does not tell the time")]
    Clock(#[source] StoreError),
}

/// The store is being cut into another number of partitions, or was. It is the cause of the error
/// a handle with the old number gets.
///
/// ```
/// # fn handle(error: &governance_core::StoreError) {
/// use governance_redis::PartitionsMoved;
///
/// if let Some(PartitionsMoved::Done { to }) = PartitionsMoved::of(error) {
///     // Open the store anew, with `to` partitions.
///     # let _ = to;
/// }
/// # }
/// ```
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PartitionsMoved {
    /// It is under way: what is there can be read, nothing can be written.
    #[error(
        "a migration to {to} partitions is running, which writes wait for; open the store with {to} when it is done"
    )]
    UnderWay {
        /// Partitions there will be.
        to: u16,
    },
    /// It is done: what this handle could read is in other places now.
    #[error("the store was moved to {to} partitions; open it anew with {to}")]
    Done {
        /// Partitions there are.
        to: u16,
    },
}

impl PartitionsMoved {
    /// Finds it among the causes of an error.
    #[must_use]
    pub fn of(error: &StoreError) -> Option<Self> {
        let mut cause = std::error::Error::source(error);
        while let Some(error) = cause {
            if let Some(moved) = error.downcast_ref() {
                return Some(*moved);
            }
            cause = error.source();
        }
        None
    }

    /// Stable code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::UnderWay { .. } => "redis.partitions_moving",
            Self::Done { .. } => "redis.partitions_moved",
        }
    }
}

/// Why the record of a request cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UnreadableRequest {
    #[error(transparent)]
    Frame(#[from] crate::codec::FrameError),
    #[error(transparent)]
    Document(#[from] crate::codec::DocumentError),
    #[error("frame and document disagree about the revision")]
    Inconsistent,
}

impl RedisError {
    /// What it means to the caller of a port.
    pub(crate) fn at(self, operation: &'static str) -> StoreError {
        use WriteCertainty::{NotApplied, Unknown};
        let (kind, retry, outcome) = match &self {
            Self::Client(error) => (kind_of(error.kind()), retry_of(error), outcome_of(error)),
            Self::Request { .. } | Self::State(_) => {
                (StoreErrorKind::Corrupt, Retry::Never, NotApplied)
            }
            Self::TooManyTerms { .. } => (StoreErrorKind::TooLarge, Retry::Never, NotApplied),
            Self::Encode(_) => (StoreErrorKind::InvalidInput, Retry::Never, NotApplied),
            Self::Reply(_) => (StoreErrorKind::Unexpected, Retry::SameOperation, Unknown),
            Self::Fenced | Self::Stale => (StoreErrorKind::Unavailable, Retry::Safe, NotApplied),
            Self::Regressed(_) | Self::Moved(_) => {
                (StoreErrorKind::Unavailable, Retry::Never, NotApplied)
            }
            Self::NotConfirmed { .. } => (StoreErrorKind::Timeout, Retry::SameOperation, Unknown),
            Self::Clock(error) => (error.kind(), error.retry(), error.outcome()),
        };
        StoreError::new(kind, operation, self.to_string())
            .with_retry(retry)
            .with_outcome(outcome)
            .caused_by(self)
    }
}

const fn kind_of(kind: ErrorKind) -> StoreErrorKind {
    match kind {
        ErrorKind::Unavailable | ErrorKind::Closed => StoreErrorKind::Unavailable,
        ErrorKind::Timeout => StoreErrorKind::Timeout,
        ErrorKind::Denied => StoreErrorKind::Denied,
        // Nobody who calls a store chooses slots, topologies or commands.
        _ => StoreErrorKind::Unexpected,
    }
}

const fn retry_of(error: &ClientError) -> Retry {
    match error.retry() {
        redis_client::Retry::Safe => Retry::Safe,
        redis_client::Retry::SameOperation => Retry::SameOperation,
        _ => Retry::Never,
    }
}

const fn outcome_of(error: &ClientError) -> WriteCertainty {
    match error.outcome() {
        redis_client::Outcome::NotApplied => WriteCertainty::NotApplied,
        _ => WriteCertainty::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use redis_client::{Operation, Signal};

    use super::*;

    #[test]
    fn a_moved_store_is_told_by_its_cause() {
        for (moved, code) in [
            (
                PartitionsMoved::UnderWay { to: 16 },
                "redis.partitions_moving",
            ),
            (PartitionsMoved::Done { to: 16 }, "redis.partitions_moved"),
        ] {
            let error = RedisError::from(moved).at("create");
            assert_eq!(PartitionsMoved::of(&error), Some(moved));
            assert_eq!(moved.code(), code);
            assert_eq!(error.outcome(), WriteCertainty::NotApplied);
            assert!(error.to_string().contains("16"), "{error}");
        }
        assert_eq!(PartitionsMoved::of(&RedisError::Fenced.at("create")), None);
    }

    #[test]
    fn every_signal_keeps_its_meaning() {
        use StoreErrorKind as K;
        use WriteCertainty::{NotApplied, Unknown};
        for (signal, kind, retry, outcome) in [
            (Signal::Loading, K::Unavailable, Retry::Safe, NotApplied),
            (Signal::OutOfMemory, K::Unavailable, Retry::Safe, NotApplied),
            (Signal::ReadOnly, K::Unavailable, Retry::Safe, NotApplied),
            (Signal::LoginFailed, K::Denied, Retry::Never, NotApplied),
            (
                Signal::ResponseTimeout,
                K::Timeout,
                Retry::SameOperation,
                Unknown,
            ),
            (
                Signal::ConnectionLost,
                K::Unavailable,
                Retry::SameOperation,
                Unknown,
            ),
            (
                Signal::ScriptFailed,
                K::Unexpected,
                Retry::SameOperation,
                Unknown,
            ),
            (Signal::CrossSlot, K::Unexpected, Retry::Never, NotApplied),
            (Signal::Closed, K::Unavailable, Retry::Never, NotApplied),
        ] {
            let client = ClientError::new(signal, Operation::write("apply"));
            let error = RedisError::from(client).at("try_store");
            assert_eq!(error.kind(), kind, "{signal}");
            assert_eq!(
                (error.retry(), error.outcome()),
                (retry, outcome),
                "{signal}"
            );
            assert!(
                error
                    .source()
                    .is_some_and(|source| source.is::<RedisError>())
            );
        }
        let error = RedisError::from(StoreRegressed::Writes).at("create");
        assert_eq!(StoreRegressed::of(&error), Some(StoreRegressed::Writes));
        assert_eq!((error.retry(), error.outcome()), (Retry::Never, NotApplied));
        let read = ClientError::new(Signal::ResponseTimeout, Operation::read("get"));
        let error = RedisError::from(read).at("get");
        assert_eq!((error.retry(), error.outcome()), (Retry::Safe, NotApplied));
    }
}
