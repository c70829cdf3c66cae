//! Names that become part of keys and labels.

use std::{fmt, sync::Arc};

/// Why a text is not a [`Namespace`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a namespace is 1 to {} characters of a-z 0-9 . _ -",
    Namespace::MAX_BYTES
)]
pub struct InvalidName;

impl InvalidName {
    /// Stable code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        "namespace.invalid"
    }
}

/// The name of one cache, one set of sessions, one set of processes.
///
/// It comes from the program, not from its users: there are few of them, they are safe to log and
/// to use as labels.
///
/// ```
/// use state_core::Namespace;
///
/// assert_eq!(Namespace::new("tiles")?.as_str(), "tiles");
/// assert!(Namespace::new("Tiles of today").is_err());
/// # Ok::<(), state_core::InvalidName>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Namespace(Arc<str>);

impl Namespace {
    /// Longest name in bytes.
    pub const MAX_BYTES: usize = 64;

    /// Checks a name.
    ///
    /// # Errors
    ///
    /// [`InvalidName`] when it is empty, too long or has other characters than `a-z 0-9 . _ -`.
    pub fn new(name: &str) -> Result<Self, InvalidName> {
        let allowed = |byte: u8| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'_' | b'-')
        };
        if name.is_empty() || name.len() > Self::MAX_BYTES || !name.bytes().all(allowed) {
            return Err(InvalidName);
        }
        Ok(Self(name.into()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Namespace({:?})", &*self.0)
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
