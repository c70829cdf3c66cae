//! What can go wrong with a lock.

use crate::{
    error::{BackendError, Classified, ErrorKind},
    lock::InvalidTarget,
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

/// Why a lock was not acquired, extended or released.
///
/// That somebody else holds it is no error where the caller did not wait, and neither is that it
/// was lost.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// What is to be locked cannot be.
    #[error(transparent)]
    Target(#[from] InvalidTarget),
    /// A setting cannot work.
    #[error(transparent)]
    Option(#[from] InvalidOption),
    /// It was held by others for the whole time the caller was ready to wait.
    #[error("the lock was held by others until the wait was over")]
    WaitTimeout,
    /// The backend failed. Nothing was granted: what may have been granted is given back.
    #[error(transparent)]
    Backend(#[from] BackendError),
}

impl Classified for LockError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Target(_) | Self::Option(_) => ErrorKind::Config,
            Self::WaitTimeout => ErrorKind::Timeout,
            Self::Backend(error) => error.kind(),
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Target(error) => error.code(),
            Self::Option(_) => "lock.invalid_option",
            Self::WaitTimeout => "lock.wait_timeout",
            Self::Backend(error) => error.code(),
        }
    }

    fn is_retryable(&self) -> bool {
        match self {
            Self::Target(_) | Self::Option(_) => false,
            Self::WaitTimeout => true,
            Self::Backend(error) => error.is_retryable(),
        }
    }

    fn outcome_unknown(&self) -> bool {
        matches!(self, Self::Backend(error) if error.outcome_unknown())
    }
}
