//! Who is calling: sessions.
//!
//! [`Sessions`] makes ids, 256 random bits that go into a cookie, and keeps what belongs to them on a
//! backend. The backend only ever sees a [`SessionHash`], made with [`SessionKeys`] that it does not
//! have, so that a copy of everything stored opens no session.
//!
//! - A session ends after a time without requests, and after a time in all. Loading it and writing
//!   that it was used is one step, and the writing is not done for every request.
//! - Saving names the version that was loaded. Somebody else who saved first is a conflict; a
//!   session that was ended meanwhile is lost, and stays so.
//! - A login [begins](Sessions::begin_login) before the password is checked, so that revoking all
//!   sessions of a user ends logins that are under way, too.
//! - When the rights of a user change, the id is [made anew](Sessions::regenerate), so that an id
//!   from before opens nothing. Rotation of ids without such a reason can leave the old one good
//!   for a moment, for requests that were under way.
//!
//! ```
//! use std::sync::Arc;
//! use state_core::session::{
//!     Created, Found, NewSession, SessionKeys, SessionOptions, Sessions,
//! };
//! use state_memory::session::MemorySessions;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let keys = SessionKeys::new(b"32 bytes or more, from a secret store")?;
//! let store = MemorySessions::new(SessionOptions::default())?;
//! let sessions = Sessions::new(Arc::new(store), keys);
//!
//! let stamp = sessions.begin_login().await?;
//! let new = NewSession::new("what belongs to it").user("alice").stamp(stamp);
//! let Created::Created { id, .. } = sessions.create(new).await? else {
//!     return Ok(());
//! };
//! let cookie = id.expose();
//! assert!(matches!(sessions.load(&cookie).await?, Found::Live(_)));
//! # Ok(())
//! # }
//! ```

mod error;
mod hash;
mod id;
mod options;
mod outcome;
mod sessions;
mod standing;
mod store;

pub use error::{InvalidOption, SessionError};
pub use hash::{InvalidSecret, SessionHash, SessionKeys};
pub use id::SessionId;
pub use options::{OnError, SessionOptions};
pub use outcome::{Created, Found, LoginStamp, NewSession, Reason, Regenerated, Saved, Session};
pub use sessions::Sessions;
pub use standing::{Lifetime, Standing, Times, standing};
pub use store::{Change, Listed, Moved, NewRecord, Record, SessionStore, Stored, Target, Written};
