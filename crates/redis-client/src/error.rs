//! The error of every command.

use std::{error::Error, fmt};

use redis::RedisError;

use crate::{access::Access, operation::Operation, signal::Signal};

/// What kind of failure it was.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The server cannot be reached or does not serve now.
    Unavailable,
    /// A deadline passed.
    Timeout,
    /// The server refused the login or the command.
    Denied,
    /// The caller asked for something that cannot work.
    InvalidInput,
    /// The server is too old or lacks the command.
    Unsupported,
    /// The client was closed.
    Closed,
    /// Anything else; look at the source.
    Unexpected,
}

impl ErrorKind {
    /// Stable lower-case name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unavailable => "unavailable",
            Self::Timeout => "timeout",
            Self::Denied => "denied",
            Self::InvalidInput => "invalid_input",
            Self::Unsupported => "unsupported",
            Self::Closed => "closed",
            Self::Unexpected => "unexpected",
        }
    }
}

/// Whether and how the caller may try again.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Retry {
    /// Trying again gives the same error.
    Never,
    /// Nothing was applied; try again at will.
    Safe,
    /// Try again only with the same operation id: the first try may have been applied.
    SameOperation,
}

/// What is known about the effect of the failed command.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The command changed nothing.
    NotApplied,
    /// The command may have been applied.
    Unknown,
}

/// A failed command.
///
/// `Display` and `Debug` name the signal and the operation; they never show a key, an argument, an
/// address or a secret. The driver's error is kept as [`source`](Error::source), wrapped in
/// [`DriverError`] for the same reason.
///
/// # Examples
///
/// ```
/// use redis_client::{ClientError, ErrorKind, Operation, Outcome, Retry, Signal};
///
/// let error = ClientError::new(Signal::ResponseTimeout, Operation::write("apply"));
/// assert_eq!(error.kind(), ErrorKind::Timeout);
/// assert_eq!((error.retry(), error.outcome()), (Retry::SameOperation, Outcome::Unknown));
/// assert_eq!(error.to_string(), "apply: the server did not answer in time");
/// ```
#[derive(Clone)]
pub struct ClientError {
    signal: Signal,
    operation: Operation,
    source: Option<Box<DriverError>>,
}

impl ClientError {
    /// An error without a driver error behind it.
    #[must_use]
    pub const fn new(signal: Signal, operation: Operation) -> Self {
        Self {
            signal,
            operation,
            source: None,
        }
    }

    pub(crate) fn with_source(mut self, source: RedisError) -> Self {
        self.source = Some(Box::new(DriverError(source)));
        self
    }

    /// What was observed.
    #[must_use]
    pub const fn signal(&self) -> Signal {
        self.signal
    }

    /// What kind of failure it was.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        self.signal.kind()
    }

    /// Whether and how the caller may try again.
    #[must_use]
    pub const fn retry(&self) -> Retry {
        self.signal.retry(self.operation.access())
    }

    /// What is known about the effect.
    #[must_use]
    pub const fn outcome(&self) -> Outcome {
        self.signal.outcome(self.operation.access())
    }

    /// Whether the command was a read or a write.
    #[must_use]
    pub const fn access(&self) -> Access {
        self.operation.access()
    }

    /// The operation that failed, as its caller named it.
    #[must_use]
    pub const fn operation(&self) -> &'static str {
        self.operation.name()
    }

    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        self.signal.code()
    }

    /// The error of the driver, when there is one.
    #[must_use]
    pub fn driver_error(&self) -> Option<&RedisError> {
        self.source.as_deref().map(DriverError::get_ref)
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.operation.name(), self.signal)
    }
}

impl fmt::Debug for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientError")
            .field("code", &self.code())
            .field("kind", &self.kind())
            .field("retry", &self.retry())
            .field("outcome", &self.outcome())
            .field("operation", &self.operation.name())
            .field("source", &self.source)
            .finish()
    }
}

impl Error for ClientError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// The driver's error behind a [`ClientError`].
///
/// A server repeats arguments in some of its messages, so `Display` and `Debug` show the category
/// and the server's error code only. The text is there for who asks: [`get_ref`](Self::get_ref).
#[derive(Clone)]
pub struct DriverError(RedisError);

impl DriverError {
    /// The error as the driver gave it. Its text may hold keys and values.
    #[must_use]
    pub const fn get_ref(&self) -> &RedisError {
        &self.0
    }

    fn category(&self) -> &'static str {
        match self.0.kind() {
            redis::ErrorKind::Parse => "reply could not be parsed",
            redis::ErrorKind::AuthenticationFailed => "login failed",
            redis::ErrorKind::UnexpectedReturnType => "reply of another type",
            redis::ErrorKind::InvalidClientConfig => "invalid client configuration",
            redis::ErrorKind::Io if self.0.is_timeout() => "timed out",
            redis::ErrorKind::Io if self.0.is_connection_refusal() => "connection refused",
            redis::ErrorKind::Io if self.0.is_connection_dropped() => "connection dropped",
            redis::ErrorKind::Io => "input or output failed",
            redis::ErrorKind::Client => "refused by the driver",
            redis::ErrorKind::Extension | redis::ErrorKind::Server(_) => "server error",
            redis::ErrorKind::RESP3NotSupported => "protocol version not supported",
            _ => "driver error",
        }
    }

    /// The code the server put in front of its message, if it looks like one.
    fn server_code(&self) -> Option<&str> {
        self.0.code().filter(|code| {
            code.len() <= 24 && code.bytes().all(|b| b.is_ascii_uppercase() || b == b'_')
        })
    }
}

impl fmt::Display for DriverError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.server_code() {
            Some(code) => write!(f, "{} {code}", self.category()),
            None => f.write_str(self.category()),
        }
    }
}

impl fmt::Debug for DriverError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DriverError({self})")
    }
}

impl Error for DriverError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_of_the_server_is_shown() {
        let driver = redis::make_extension_error(
            "ERR".into(),
            Some("unknown command 'GTE', with args beginning with: 'hunter2'".into()),
        );
        let error =
            ClientError::new(Signal::ServerError, Operation::read("get")).with_source(driver);
        let source = Error::source(&error).unwrap();
        for text in [
            format!("{error}"),
            format!("{error:?}"),
            format!("{error:#?}"),
            format!("{source}"),
            format!("{source:?}"),
        ] {
            assert!(!text.contains("hunter2"), "{text}");
        }
        assert!(
            error
                .driver_error()
                .unwrap()
                .to_string()
                .contains("hunter2")
        );
        assert_eq!(source.to_string(), "server error ERR");
    }

    #[test]
    fn a_code_that_is_not_a_code_is_not_shown() {
        let driver = redis::make_extension_error("hunter2".into(), None);
        let error =
            ClientError::new(Signal::ServerError, Operation::read("get")).with_source(driver);
        assert!(!format!("{error:?}").contains("hunter2"));
    }
}
