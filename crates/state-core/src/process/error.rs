//! What can go wrong with a process.

use crate::{
    error::{BackendError, Classified, ErrorKind},
    process::InvalidCursor,
};

/// A setting that cannot work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{option}: {rule}")]
pub struct InvalidOption {
    /// The setting.
    pub option: &'static str,
    /// What it has to be.
    pub rule: &'static str,
}

/// Why a call failed. That a version is not the stored one, that a fence is too low and the like
/// are outcomes, not errors.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// An argument cannot work.
    #[error("{argument}: {rule}")]
    Invalid {
        /// The argument.
        argument: &'static str,
        /// What it has to be.
        rule: &'static str,
    },
    /// The payload is larger than allowed.
    #[error("the payload has {bytes} bytes, at most {most} are allowed")]
    TooLarge {
        /// How large it is.
        bytes: usize,
        /// [`ProcessOptions::max_payload_bytes`](crate::process::ProcessOptions::max_payload_bytes).
        most: usize,
    },
    /// A cursor is not one of this store's.
    #[error(transparent)]
    Cursor(#[from] InvalidCursor),
    /// The backend failed.
    #[error(transparent)]
    Backend(#[from] BackendError),
}

impl Classified for ProcessError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Invalid { .. } | Self::Cursor(_) => ErrorKind::Config,
            Self::TooLarge { .. } => ErrorKind::TooLarge,
            Self::Backend(error) => error.kind(),
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Invalid { .. } => "process.invalid_argument",
            Self::TooLarge { .. } => "process.too_large",
            Self::Cursor(_) => "process.invalid_cursor",
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
