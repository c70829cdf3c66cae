//! Randomness, as an argument.

use std::fmt;

use crate::error::BackendError;

/// Gives random bytes: session ids, lock tokens, jitter.
pub trait Entropy: fmt::Debug + Send + Sync + 'static {
    /// Fills the bytes.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) when there is no randomness to be
    /// had. Nothing falls back to weaker bytes.
    fn fill(&self, bytes: &mut [u8]) -> Result<(), BackendError>;
}

/// The operating system's generator.
#[derive(Debug, Clone, Copy, Default)]
pub struct OsEntropy;

impl Entropy for OsEntropy {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), BackendError> {
        getrandom::fill(bytes).map_err(|error| {
            BackendError::unavailable("entropy.fill", "the system gave no random bytes")
                .caused_by(error)
        })
    }
}
