//! What an error of the client means to a caller of a store.

use redis_client::{ClientError, KeyTooLong, Outcome, Retry};
use state_core::{BackendError, ErrorKind};

/// Says it in the words of `state-core`. The client's error becomes the source.
pub(crate) fn backend(error: ClientError) -> BackendError {
    use redis_client::ErrorKind as Client;
    let kind = match error.kind() {
        Client::Unavailable => ErrorKind::Unavailable,
        Client::Timeout => ErrorKind::Timeout,
        Client::Denied => ErrorKind::Denied,
        Client::InvalidInput => ErrorKind::Config,
        Client::Unsupported => ErrorKind::Unsupported,
        Client::Closed => ErrorKind::Closed,
        _ => ErrorKind::Unexpected,
    };
    let mut told = BackendError::new(kind, error.operation(), error.signal().to_string());
    if error.retry() != Retry::Never {
        told = told.can_be_retried();
    }
    if error.outcome() == Outcome::Unknown {
        told = told.outcome_is_unknown();
    }
    told.caused_by(error)
}

/// A name that makes a key too long.
pub(crate) fn too_long(operation: &'static str) -> impl FnOnce(KeyTooLong) -> BackendError {
    move |error| {
        BackendError::new(ErrorKind::TooLarge, operation, "the name is too long").caused_by(error)
    }
}
