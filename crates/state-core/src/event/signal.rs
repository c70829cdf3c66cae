//! What a handler is told.

use std::error::Error;

use async_trait::async_trait;

use crate::event::{Event, EventId, GapReason, Origin};

/// An event, as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    pub(crate) id: EventId,
    pub(crate) origin: Origin,
    pub(crate) seq: u64,
    pub(crate) event: Event,
}

impl Received {
    /// Where it is in the log.
    #[must_use]
    pub const fn id(&self) -> EventId {
        self.id
    }

    /// Who published it.
    #[must_use]
    pub const fn origin(&self) -> Origin {
        self.origin
    }

    /// Its number among those of the origin.
    #[must_use]
    pub const fn seq(&self) -> u64 {
        self.seq
    }

    /// The event.
    #[must_use]
    pub const fn event(&self) -> &Event {
        &self.event
    }
}

/// What a handler is told, in order.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signal {
    /// Something happened.
    Event(Received),
    /// Something may be missing before what comes next: look at everything again.
    Gap(GapReason),
    /// The log is being read, for the first time or again. What happened in between was told
    /// before this, or there was a gap.
    Resumed,
}

/// Is told what happens in a topic, one thing at a time.
#[async_trait]
pub trait Handler: Send + Sync + 'static {
    /// Handles one thing. An error or a panic is counted, and the next thing is told.
    ///
    /// # Errors
    ///
    /// Whatever went wrong; its text is not shown.
    async fn handle(&self, signal: &Signal) -> Result<(), Box<dyn Error + Send + Sync>>;
}
