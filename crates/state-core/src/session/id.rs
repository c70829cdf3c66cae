//! What a cookie carries.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use zeroize::{Zeroize as _, Zeroizing};

use crate::{entropy::Entropy, error::BackendError};

/// 256 random bits that open a session. Never shown by `Debug`; overwritten when dropped.
#[derive(Clone)]
pub struct SessionId([u8; Self::BYTES]);

impl SessionId {
    const BYTES: usize = 32;

    /// Characters of an id as text.
    pub const CHARACTERS: usize = 43;

    /// A new one.
    ///
    /// # Errors
    ///
    /// When the source has no randomness.
    pub fn random(entropy: &dyn Entropy) -> Result<Self, BackendError> {
        let mut id = Self([0; Self::BYTES]);
        entropy.fill(&mut id.0)?;
        Ok(id)
    }

    /// Reads what a client sent; `None` when it is no id. Only the one text that
    /// [`expose`](Self::expose) gives is read as an id.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != Self::CHARACTERS {
            return None;
        }
        let mut id = Self([0; Self::BYTES]);
        let length = URL_SAFE_NO_PAD.decode_slice(text, &mut id.0).ok()?;
        (length == Self::BYTES).then_some(id)
    }

    /// As text, for the cookie: base64url without padding. Overwritten when dropped.
    #[must_use]
    pub fn expose(&self) -> Zeroizing<String> {
        Zeroizing::new(URL_SAFE_NO_PAD.encode(self.0))
    }

    pub(super) const fn bytes(&self) -> &[u8; Self::BYTES] {
        &self.0
    }
}

impl Drop for SessionId {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionId(..)")
    }
}
