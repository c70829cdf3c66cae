//! What kinds of failures there are, the same for every capability.

use std::{borrow::Cow, error::Error, fmt};

/// What kind of failure it was.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// A setting or an argument cannot work.
    Config,
    /// The backend cannot be reached or does not serve now.
    Unavailable,
    /// A deadline passed.
    Timeout,
    /// Somebody else was first.
    Conflict,
    /// It is not there.
    NotFound,
    /// It was there, and is not the caller's any more.
    Lost,
    /// Larger or more than is allowed.
    TooLarge,
    /// What is stored cannot be read.
    Decode,
    /// The backend refused the login or the command.
    Denied,
    /// The handle was closed.
    Closed,
    /// The backend cannot do this.
    Unsupported,
    /// Anything else; look at the source.
    Unexpected,
}

impl ErrorKind {
    /// Stable lower-case name, fit for a label of a metric.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Unavailable => "unavailable",
            Self::Timeout => "timeout",
            Self::Conflict => "conflict",
            Self::NotFound => "not_found",
            Self::Lost => "lost",
            Self::TooLarge => "too_large",
            Self::Decode => "decode",
            Self::Denied => "denied",
            Self::Closed => "closed",
            Self::Unsupported => "unsupported",
            Self::Unexpected => "unexpected",
        }
    }
}

/// What is known about the effect of a call that failed.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Certainty {
    /// Nothing was changed.
    NotApplied,
    /// It may have been done.
    Unknown,
}

/// What every error of this crate can be asked.
pub trait Classified: Error {
    /// What kind of failure it was.
    fn kind(&self) -> ErrorKind;

    /// Stable code, `<capability>.<what>`.
    fn code(&self) -> &'static str;

    /// Whether the same call may succeed later. When [`outcome_unknown`](Self::outcome_unknown)
    /// holds too, repeat it only where the call says that repeating is safe.
    fn is_retryable(&self) -> bool;

    /// Whether the call may have been done although it failed.
    fn outcome_unknown(&self) -> bool;
}

/// The backend failed, not the call's own rules.
///
/// `Display` and `Debug` show the operation and constant texts; never a key, a value, an address
/// or a secret. The backend's own error is kept as the [`source`](Error::source).
///
/// # Examples
///
/// ```
/// use state_core::{BackendError, Classified, ErrorKind};
///
/// let error = BackendError::timeout("session.save").outcome_is_unknown();
/// assert_eq!(error.kind(), ErrorKind::Timeout);
/// assert!(error.is_retryable() && error.outcome_unknown());
/// assert_eq!(error.to_string(), "session.save: the backend did not answer in time");
/// ```
pub struct BackendError {
    kind: ErrorKind,
    operation: &'static str,
    message: Cow<'static, str>,
    retryable: bool,
    certainty: Certainty,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl BackendError {
    /// A failure that trying again does not mend and that changed nothing.
    ///
    /// The message must not contain keys, values, addresses or secrets.
    #[must_use]
    pub fn new(
        kind: ErrorKind,
        operation: &'static str,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            kind,
            operation,
            message: message.into(),
            retryable: false,
            certainty: Certainty::NotApplied,
            source: None,
        }
    }

    /// The backend is away; nothing was changed.
    #[must_use]
    pub fn unavailable(operation: &'static str, message: &'static str) -> Self {
        Self::new(ErrorKind::Unavailable, operation, message).can_be_retried()
    }

    /// The backend did not answer in time; nothing was changed.
    #[must_use]
    pub fn timeout(operation: &'static str) -> Self {
        Self::new(
            ErrorKind::Timeout,
            operation,
            "the backend did not answer in time",
        )
        .can_be_retried()
    }

    /// What the backend answered makes no sense, so what it did is unknown.
    #[must_use]
    pub fn unexpected(operation: &'static str, message: &'static str) -> Self {
        Self::new(ErrorKind::Unexpected, operation, message).outcome_is_unknown()
    }

    /// The same, and trying again may help.
    #[must_use]
    pub fn can_be_retried(mut self) -> Self {
        self.retryable = true;
        self
    }

    /// The same, and it may have been done.
    #[must_use]
    pub fn outcome_is_unknown(mut self) -> Self {
        self.certainty = Certainty::Unknown;
        self
    }

    /// The same, with what is behind it.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What was being done, `<capability>.<operation>`.
    #[must_use]
    pub const fn operation(&self) -> &'static str {
        self.operation
    }

    /// What is known about the effect.
    #[must_use]
    pub const fn certainty(&self) -> Certainty {
        self.certainty
    }
}

impl Classified for BackendError {
    fn kind(&self) -> ErrorKind {
        self.kind
    }

    fn code(&self) -> &'static str {
        match self.kind {
            ErrorKind::Config => "backend.config",
            ErrorKind::Unavailable => "backend.unavailable",
            ErrorKind::Timeout => "backend.timeout",
            ErrorKind::Conflict => "backend.conflict",
            ErrorKind::NotFound => "backend.not_found",
            ErrorKind::Lost => "backend.lost",
            ErrorKind::TooLarge => "backend.too_large",
            ErrorKind::Decode => "backend.decode",
            ErrorKind::Denied => "backend.denied",
            ErrorKind::Closed => "backend.closed",
            ErrorKind::Unsupported => "backend.unsupported",
            ErrorKind::Unexpected => "backend.unexpected",
        }
    }

    fn is_retryable(&self) -> bool {
        self.retryable
    }

    fn outcome_unknown(&self) -> bool {
        self.certainty == Certainty::Unknown
    }
}

impl fmt::Display for BackendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.operation, self.message)
    }
}

impl fmt::Debug for BackendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BackendError")
            .field("kind", &self.kind)
            .field("operation", &self.operation)
            .field("message", &self.message)
            .field("retryable", &self.retryable)
            .field("certainty", &self.certainty)
            .finish_non_exhaustive()
    }
}

impl Error for BackendError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
