//! What can go wrong with events.

use crate::error::{BackendError, Classified, ErrorKind};

/// A setting that cannot work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{option}: {rule}")]
pub struct InvalidOption {
    /// The setting.
    pub option: &'static str,
    /// What it has to be.
    pub rule: &'static str,
}

/// A text that is not the kind of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the kind of an event is 1 to 64 printable ASCII characters")]
pub struct InvalidKind;

/// Why a call of [`Events`](crate::event::Events) failed.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum EventError {
    /// A setting cannot work.
    #[error(transparent)]
    Option(#[from] InvalidOption),
    /// The kind of an event cannot be used.
    #[error(transparent)]
    Kind(#[from] InvalidKind),
    /// A text is not the id of an event.
    #[error("this is not the id of an event")]
    InvalidId,
    /// The event is too large.
    #[error("the event is larger than {limit} bytes")]
    TooLarge {
        /// Largest event that is allowed, with what is stored beside it.
        limit: usize,
    },
    /// The backend failed. Readers will be told of a gap, unless the event was stored after all.
    #[error(transparent)]
    Backend(#[from] BackendError),
}

impl Classified for EventError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Option(_) | Self::Kind(_) | Self::InvalidId => ErrorKind::Config,
            Self::TooLarge { .. } => ErrorKind::TooLarge,
            Self::Backend(error) => error.kind(),
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Option(_) => "event.invalid_option",
            Self::Kind(_) => "event.invalid_kind",
            Self::InvalidId => "event.invalid_id",
            Self::TooLarge { .. } => "event.too_large",
            Self::Backend(error) => error.code(),
        }
    }

    fn is_retryable(&self) -> bool {
        matches!(self, Self::Backend(error) if error.is_retryable())
    }

    fn outcome_unknown(&self) -> bool {
        matches!(self, Self::Backend(error) if error.outcome_unknown())
    }
}
