//! What is stored in place of an id.

use std::{fmt, sync::Arc};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::session::SessionId;

/// A secret that is too short.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a secret for sessions has at least {} bytes", SessionKeys::MIN_BYTES)]
pub struct InvalidSecret;

impl InvalidSecret {
    /// Stable code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        "session.invalid_secret"
    }
}

/// Names a session without opening it: safe to store, still not shown by `Debug`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionHash(String);

impl SessionHash {
    /// Reads a hash that was stored; `None` when it is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_text = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        (text.len() == 43 && text.bytes().all(is_text)).then(|| Self(text.to_owned()))
    }

    /// The hash as base64url.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SessionHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionHash(..)")
    }
}

/// The secrets that ids are hashed with (HMAC-SHA-256). Never shown; overwritten when dropped. A
/// clone is a handle to the same.
#[derive(Clone)]
pub struct SessionKeys {
    current: Arc<Keyed>,
    previous: Option<Arc<Keyed>>,
}

/// What a secret makes of the hash, before there is anything to be hashed: half of the work, which
/// is the same for every id. It is overwritten when dropped, and so are its copies.
type Keyed = Hmac<Sha256>;

impl SessionKeys {
    /// Fewest bytes of a secret.
    pub const MIN_BYTES: usize = 32;

    /// Hashes with this secret.
    ///
    /// # Errors
    ///
    /// [`InvalidSecret`] when it is too short.
    pub fn new(secret: &[u8]) -> Result<Self, InvalidSecret> {
        Ok(Self {
            current: keyed(secret)?,
            previous: None,
        })
    }

    /// The same, and sessions stored under the secret before are found, too.
    ///
    /// # Errors
    ///
    /// [`InvalidSecret`] when it is too short.
    pub fn previous(mut self, secret: &[u8]) -> Result<Self, InvalidSecret> {
        self.previous = Some(keyed(secret)?);
        Ok(self)
    }

    /// Where a session of this id is stored.
    #[must_use]
    pub fn hash(&self, id: &SessionId) -> SessionHash {
        hash(&self.current, id)
    }

    /// Where it was stored under the secret before, if there is one.
    #[must_use]
    pub fn previous_hash(&self, id: &SessionId) -> Option<SessionHash> {
        self.previous.as_ref().map(|secret| hash(secret, id))
    }
}

impl fmt::Debug for SessionKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionKeys(..)")
    }
}

fn keyed(secret: &[u8]) -> Result<Arc<Keyed>, InvalidSecret> {
    if secret.len() < SessionKeys::MIN_BYTES {
        return Err(InvalidSecret);
    }
    let keyed = Keyed::new_from_slice(secret).map_err(|_| InvalidSecret)?;
    Ok(Arc::new(keyed))
}

fn hash(keyed: &Keyed, id: &SessionId) -> SessionHash {
    let mut mac = keyed.clone();
    mac.update(id.bytes());
    SessionHash(URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
}
