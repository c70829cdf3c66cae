//! What can go wrong with a cache.

use std::{error::Error, fmt, sync::Arc};

use crate::{
    cache::InvalidTags,
    error::{BackendError, Classified, ErrorKind},
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

/// The error of a loader, shared by all who waited for the load.
///
/// Its text is the application's, so neither `Display` nor `Debug` shows it.
#[derive(Clone)]
pub struct LoaderError(Arc<dyn Error + Send + Sync>);

impl LoaderError {
    pub(crate) fn new(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(Arc::from(error.into()))
    }

    /// The error as the loader gave it.
    #[must_use]
    pub fn get_ref(&self) -> &(dyn Error + Send + Sync + 'static) {
        &*self.0
    }

    /// The error, if it is of this type.
    #[must_use]
    pub fn downcast_ref<E: Error + 'static>(&self) -> Option<&E> {
        self.0.downcast_ref()
    }
}

impl fmt::Display for LoaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the loader failed")
    }
}

impl fmt::Debug for LoaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LoaderError")
    }
}

impl Error for LoaderError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.0)
    }
}

/// Why a call of a [`Cache`](crate::cache::Cache) failed. That a value is not there is no error.
#[non_exhaustive]
#[derive(Debug, Clone, thiserror::Error)]
pub enum CacheError {
    /// A setting cannot work.
    #[error(transparent)]
    Option(#[from] InvalidOption),
    /// The tags cannot be used.
    #[error(transparent)]
    Tags(#[from] InvalidTags),
    /// The key is too long.
    #[error("the key is longer than {} bytes", crate::cache::MAX_KEY_BYTES)]
    KeyTooLong,
    /// The value is too large.
    #[error("the value is larger than {limit} bytes")]
    ValueTooLarge {
        /// Largest value that is allowed.
        limit: usize,
    },
    /// The backend failed.
    #[error(transparent)]
    Backend(Arc<BackendError>),
    /// The loader failed, and there is no stale value.
    #[error(transparent)]
    Loader(LoaderError),
    /// The loader took longer than the hard timeout, and there is no stale value.
    #[error("the loader did not end in time")]
    LoadTimeout,
    /// The loader panicked.
    #[error("the loader panicked")]
    LoaderPanicked,
    /// An invalidation failed: what was to be invalidated may still be seen.
    #[error("cache {cache}: invalidation of {subject:016x} failed after {attempts} attempts")]
    Invalidation {
        /// The namespace.
        cache: String,
        /// A hash of what was to be invalidated, to find it again in a log.
        subject: u64,
        /// How often it was tried.
        attempts: u32,
        /// Why the last attempt failed.
        #[source]
        source: Arc<dyn Classified + Send + Sync>,
    },
    /// The queue of invalidations is full.
    #[error("the queue of invalidations is full")]
    QueueFull,
}

impl From<BackendError> for CacheError {
    fn from(error: BackendError) -> Self {
        Self::Backend(Arc::new(error))
    }
}

impl Classified for CacheError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Option(_) | Self::Tags(_) => ErrorKind::Config,
            Self::KeyTooLong | Self::ValueTooLarge { .. } | Self::QueueFull => ErrorKind::TooLarge,
            Self::Backend(error) => error.kind(),
            Self::Loader(_) | Self::LoaderPanicked => ErrorKind::Unexpected,
            Self::LoadTimeout => ErrorKind::Timeout,
            Self::Invalidation { source, .. } => source.kind(),
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Option(_) => "cache.invalid_option",
            Self::Tags(error) => error.code(),
            Self::KeyTooLong => "cache.key_too_long",
            Self::ValueTooLarge { .. } => "cache.value_too_large",
            Self::Backend(error) => error.code(),
            Self::Loader(_) => "cache.loader",
            Self::LoadTimeout => "cache.load_timeout",
            Self::LoaderPanicked => "cache.loader_panicked",
            Self::Invalidation { .. } => "cache.invalidation",
            Self::QueueFull => "cache.queue_full",
        }
    }

    fn is_retryable(&self) -> bool {
        match self {
            Self::Backend(error) => error.is_retryable(),
            Self::Invalidation { source, .. } => source.is_retryable(),
            Self::LoadTimeout | Self::QueueFull => true,
            Self::Option(_)
            | Self::Tags(_)
            | Self::KeyTooLong
            | Self::ValueTooLarge { .. }
            | Self::Loader(_)
            | Self::LoaderPanicked => false,
        }
    }

    fn outcome_unknown(&self) -> bool {
        match self {
            Self::Backend(error) => error.outcome_unknown(),
            Self::Invalidation { .. } => true,
            _ => false,
        }
    }
}
