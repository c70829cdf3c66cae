//! What can go wrong at a store.

use std::{error::Error, fmt};

use crate::{
    ids::{Revision, StateVersion},
    query::{FilterError, PageError},
    request::HistoryError,
};

/// The class of a store error.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StoreErrorKind {
    /// The record is not there.
    NotFound,
    /// Another record has this id.
    AlreadyExists,
    /// The stored version is not the expected one.
    Conflict,
    /// A stored record cannot be read.
    Corrupt,
    /// The store refuses the caller.
    Denied,
    /// A resume token or cursor is older than what is kept.
    Expired,
    /// The record is larger than the store takes.
    TooLarge,
    /// The store cannot be reached or cannot work now.
    Unavailable,
    /// No answer came in time.
    Timeout,
    /// The input is not acceptable.
    InvalidInput,
    /// Anything else.
    Unexpected,
}

/// Whether to try again.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Retry {
    /// Not without doing something else first.
    Never,
    /// Yes, nothing was done.
    Safe,
    /// Yes, but only under the same operation id: it may have been done.
    SameOperation,
}

/// Whether a write that failed took effect.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WriteCertainty {
    /// It did not.
    NotApplied,
    /// Nobody knows: the answer was lost. Repeat the operation under its id to settle it.
    Unknown,
}

/// What a conflicting write expected and what it met.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conflict {
    /// A request had another revision.
    Request {
        /// The revision the writer had.
        expected: Revision,
        /// The revision that is stored.
        actual: Revision,
    },
    /// A state had another version.
    State {
        /// The version the writer had.
        expected: StateVersion,
        /// The version that is stored.
        actual: StateVersion,
    },
}

/// An error of a store: what kind, whether to try again, and whether a write took effect.
///
/// Shown as one line without addresses or secrets; the cause is kept as a source.
#[derive(Debug)]
pub struct StoreError {
    kind: StoreErrorKind,
    retry: Retry,
    outcome: WriteCertainty,
    operation: &'static str,
    detail: String,
    conflict: Option<Conflict>,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl StoreError {
    /// An error of this kind that was met in an operation of a port. Nothing was done and trying
    /// again does not help, unless said otherwise.
    #[must_use]
    pub fn new(kind: StoreErrorKind, operation: &'static str, detail: impl Into<String>) -> Self {
        Self {
            kind,
            retry: Retry::Never,
            outcome: WriteCertainty::NotApplied,
            operation,
            detail: detail.into(),
            conflict: None,
            source: None,
        }
    }

    /// A write that met another version.
    #[must_use]
    pub fn conflict(operation: &'static str, conflict: Conflict) -> Self {
        let detail = match conflict {
            Conflict::Request { expected, actual } => {
                format!("the request has revision {actual}, expected {expected}")
            }
            Conflict::State { expected, actual } => {
                format!("the state has version {actual}, expected {expected}")
            }
        };
        let mut error = Self::new(StoreErrorKind::Conflict, operation, detail);
        error.conflict = Some(conflict);
        error
    }

    /// A record that may not be written because of its history.
    #[must_use]
    pub fn history(operation: &'static str, problem: HistoryError) -> Self {
        Self::new(StoreErrorKind::InvalidInput, operation, problem.to_string()).caused_by(problem)
    }

    /// A listing that cannot be given as it was asked for.
    #[must_use]
    pub fn page(operation: &'static str, problem: PageError) -> Self {
        let kind = match problem {
            PageError::CursorExpired => StoreErrorKind::Expired,
            _ => StoreErrorKind::InvalidInput,
        };
        Self::new(kind, operation, problem.to_string()).caused_by(problem)
    }

    /// A filter that is too large or nested too deeply.
    #[must_use]
    pub fn filter(operation: &'static str, problem: FilterError) -> Self {
        Self::new(StoreErrorKind::InvalidInput, operation, problem.to_string()).caused_by(problem)
    }

    /// Says whether to try again.
    #[must_use]
    pub const fn with_retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// Says whether the write took effect.
    #[must_use]
    pub const fn with_outcome(mut self, outcome: WriteCertainty) -> Self {
        self.outcome = outcome;
        self
    }

    /// Adds the cause.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The class.
    #[must_use]
    pub const fn kind(&self) -> StoreErrorKind {
        self.kind
    }

    /// Whether to try again.
    #[must_use]
    pub const fn retry(&self) -> Retry {
        self.retry
    }

    /// Whether the write took effect.
    #[must_use]
    pub const fn outcome(&self) -> WriteCertainty {
        self.outcome
    }

    /// The operation of the port.
    #[must_use]
    pub const fn operation(&self) -> &'static str {
        self.operation
    }

    /// What a conflicting write expected and met.
    #[must_use]
    pub const fn conflict_data(&self) -> Option<Conflict> {
        self.conflict
    }

    /// The cause, if it is one of these.
    #[must_use]
    pub fn cause<E: Error + 'static>(&self) -> Option<&E> {
        self.source.as_ref()?.downcast_ref()
    }

    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self.kind {
            StoreErrorKind::NotFound => "store.not_found",
            StoreErrorKind::AlreadyExists => "store.already_exists",
            StoreErrorKind::Conflict => "store.conflict",
            StoreErrorKind::Corrupt => "store.corrupt",
            StoreErrorKind::Denied => "store.denied",
            StoreErrorKind::Expired => "store.expired",
            StoreErrorKind::TooLarge => "store.too_large",
            StoreErrorKind::Unavailable => "store.unavailable",
            StoreErrorKind::Timeout => "store.timeout",
            StoreErrorKind::InvalidInput => "store.invalid_input",
            StoreErrorKind::Unexpected => "store.unexpected",
        }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.operation, self.detail)?;
        if self.outcome == WriteCertainty::Unknown {
            f.write_str(" (whether it took effect is unknown)")?;
        }
        Ok(())
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source
            .as_ref()
            .map(|source| &**source as &(dyn Error + 'static))
    }
}
