//! What can go wrong with the session of a request.

use state_core::{BackendError, Classified, ErrorKind, session::SessionError};

/// Why a call on the session of a request failed.
///
/// Neither values nor keys are shown: they are the application's.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum RequestSessionError {
    /// The sessions failed.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// What is stored is no JSON object.
    #[error("the data of the session is no JSON object")]
    Data,
    /// A value is not of the type that was asked for.
    #[error("the value is of another type")]
    Type,
    /// A value cannot be written as JSON, or is so deep that it could not be read again.
    #[error("the value cannot be written as JSON, or is too deep to be read again")]
    Value,
    /// The backend did not answer, and the options say that this is nobody. Nothing can be changed.
    #[error("the session was not read, nothing can be changed")]
    Unavailable,
    /// All sessions of the user were revoked after the login began.
    #[error("all sessions of the user were revoked after the login began")]
    Revoked,
    /// The request was answered. Nothing is stored any more.
    #[error("the request was answered")]
    Answered,
}

impl From<BackendError> for RequestSessionError {
    fn from(error: BackendError) -> Self {
        Self::Session(error.into())
    }
}

impl Classified for RequestSessionError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Session(error) => error.kind(),
            Self::Data | Self::Type => ErrorKind::Decode,
            Self::Value => ErrorKind::Config,
            Self::Unavailable => ErrorKind::Unavailable,
            Self::Revoked => ErrorKind::Lost,
            Self::Answered => ErrorKind::Closed,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Session(error) => error.code(),
            Self::Data => "session.data",
            Self::Type => "session.type",
            Self::Value => "session.value",
            Self::Unavailable => "session.unavailable",
            Self::Revoked => "session.revoked",
            Self::Answered => "session.answered",
        }
    }

    fn is_retryable(&self) -> bool {
        match self {
            Self::Session(error) => error.is_retryable(),
            Self::Unavailable => true,
            Self::Data | Self::Type | Self::Value | Self::Revoked | Self::Answered => false,
        }
    }

    fn outcome_unknown(&self) -> bool {
        matches!(self, Self::Session(error) if error.outcome_unknown())
    }
}
