//! What can go wrong with a rate limit.

use crate::{
    error::{BackendError, Classified, ErrorKind},
    rate_limit::InvalidLimit,
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

/// Why a call was not answered. A backend that is away is no reason for a check: the policy
/// answers then.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum RateLimitError {
    /// A limit cannot be kept.
    #[error(transparent)]
    Limit(#[from] InvalidLimit),
    /// A setting cannot work.
    #[error(transparent)]
    Option(#[from] InvalidOption),
    /// A scope or a subject cannot be counted.
    #[error("{argument}: {rule}")]
    Invalid {
        /// The argument.
        argument: &'static str,
        /// What it has to be.
        rule: &'static str,
    },
    /// The backend failed.
    #[error(transparent)]
    Backend(#[from] BackendError),
}

impl Classified for RateLimitError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Limit(_) | Self::Option(_) | Self::Invalid { .. } => ErrorKind::Config,
            Self::Backend(error) => error.kind(),
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Limit(error) => error.code(),
            Self::Option(_) => "rate_limit.invalid_option",
            Self::Invalid { .. } => "rate_limit.invalid_argument",
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
