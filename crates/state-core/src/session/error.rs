//! What can go wrong with a session.

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

/// Why a call failed. That a session is gone, expired, revoked or changed by others is no error.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The data is larger than allowed.
    #[error("the session has {bytes} bytes, at most {most} are allowed")]
    TooLarge {
        /// How large it is.
        bytes: usize,
        /// [`SessionOptions::max_bytes`](crate::session::SessionOptions::max_bytes).
        most: usize,
    },
    /// The name of a user is empty or longer than 512 bytes.
    #[error("the name of a user is 1 to 512 bytes long")]
    User,
    /// Three new ids in a row were taken, so the source of randomness is broken.
    #[error("no id that is not taken was found")]
    IdExhausted,
    /// Others changed the session or the sessions of the user again and again.
    #[error("others were faster every time")]
    Contended,
    /// The backend failed.
    #[error(transparent)]
    Backend(#[from] BackendError),
}

impl Classified for SessionError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::TooLarge { .. } => ErrorKind::TooLarge,
            Self::User => ErrorKind::Config,
            Self::IdExhausted => ErrorKind::Unavailable,
            Self::Contended => ErrorKind::Conflict,
            Self::Backend(error) => error.kind(),
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "session.too_large",
            Self::User => "session.user",
            Self::IdExhausted => "session.id_exhausted",
            Self::Contended => "session.contended",
            Self::Backend(error) => error.code(),
        }
    }

    fn is_retryable(&self) -> bool {
        match self {
            Self::TooLarge { .. } | Self::User | Self::IdExhausted => false,
            Self::Contended => true,
            Self::Backend(error) => error.is_retryable(),
        }
    }

    fn outcome_unknown(&self) -> bool {
        matches!(self, Self::Backend(error) if error.outcome_unknown())
    }
}
