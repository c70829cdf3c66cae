//! Who is logged in: the parts of sessions that need no backend.
//!
//! A [`SessionId`] is what a cookie carries: 256 random bits. A backend only ever sees its
//! [`SessionHash`], made with a [`SessionKeys`] that the backend does not have, so that a copy of
//! everything stored opens no session. [`standing`] says what a stored session is worth at a time.
//!
//! ```
//! use state_core::{OsEntropy, session::{SessionId, SessionKeys}};
//!
//! let keys = SessionKeys::new(b"32 bytes or more, from a secret store").expect("long enough");
//! let id = SessionId::random(&OsEntropy)?;
//! let cookie = id.expose();
//! let read = SessionId::parse(&cookie).expect("43 characters");
//! assert_eq!(keys.hash(&read), keys.hash(&id));
//! # Ok::<(), state_core::BackendError>(())
//! ```

mod hash;
mod id;
mod standing;

pub use hash::{InvalidSecret, SessionHash, SessionKeys};
pub use id::SessionId;
pub use standing::{Lifetime, Standing, Times, standing};
