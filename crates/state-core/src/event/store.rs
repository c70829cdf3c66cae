//! What a backend does for events.

use std::{fmt, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;

use crate::{error::BackendError, event::EventId, name::Namespace};

/// How much of a topic is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// How many events at least, while they are kept at all. A backend may keep a few more.
    pub max_len: u64,
    /// How long after the last event.
    pub retention: Duration,
}

/// A stored message and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where it is.
    pub id: EventId,
    /// The message as it was appended.
    pub message: Bytes,
}

/// What a read found, all at one time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The last id the log gave out; [`EventId::ZERO`] if there is no log.
    pub head: EventId,
    /// Whether everything behind the place asked for is there: the event at that place still is,
    /// or nothing was ever removed.
    pub unbroken: bool,
    /// Tells one log from another of the same name: it changes when a server is replaced. Zero
    /// where the backend does not tell.
    pub incarnation: u64,
    /// The first events behind the place, in order.
    pub entries: Vec<Entry>,
}

/// The atomic steps of events.
///
/// # Contract
///
/// 1. Ids grow in the order of the log.
/// 2. A read tells the truth about [`Batch::unbroken`] at the time of its entries.
/// 3. A topic has a lifetime, renewed by every append.
#[async_trait]
pub trait EventStore: fmt::Debug + Send + Sync + 'static {
    /// Appends a message and wakes who listens.
    ///
    /// # Errors
    ///
    /// When the backend fails. May be repeated: readers skip what they have.
    ///
    /// # Cancel safety
    ///
    /// It may have been appended.
    async fn append(
        &self,
        topic: &Namespace,
        message: &Bytes,
        keep: Keep,
    ) -> Result<EventId, BackendError>;

    /// Reads so many events behind a place; none of them without a place.
    ///
    /// # Errors
    ///
    /// When the backend fails.
    ///
    /// # Cancel safety
    ///
    /// Changes nothing.
    async fn read(
        &self,
        topic: &Namespace,
        after: Option<EventId>,
        limit: usize,
    ) -> Result<Batch, BackendError>;

    /// Gets ready to wait for events, for at most so long at a time, on a connection of its own.
    ///
    /// # Errors
    ///
    /// When the backend fails.
    ///
    /// # Cancel safety
    ///
    /// Changes nothing.
    async fn listen(
        &self,
        topic: &Namespace,
        longest: Duration,
    ) -> Result<Box<dyn Bell>, BackendError>;
}

/// Waits for events of one topic.
#[async_trait]
pub trait Bell: fmt::Debug + Send {
    /// Returns when there is an event behind the place, or when the wait is over.
    ///
    /// # Errors
    ///
    /// When the backend fails. The bell is of no use any more.
    ///
    /// # Cancel safety
    ///
    /// Changes nothing. The bell is of no use any more.
    async fn rings(&mut self, after: EventId) -> Result<(), BackendError>;
}
