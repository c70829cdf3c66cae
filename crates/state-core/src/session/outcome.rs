//! What goes in and what comes out.

use std::fmt;

use bytes::Bytes;

use crate::{
    clock::Timestamp,
    session::{SessionHash, SessionId},
};

/// When a login began, by the backend's time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LoginStamp(pub(crate) Timestamp);

/// A session to be created. `Debug` shows neither user nor data.
#[derive(Clone)]
pub struct NewSession {
    pub(crate) data: Bytes,
    pub(crate) user: Option<String>,
    pub(crate) meta: String,
    pub(crate) stamp: Option<LoginStamp>,
}

impl NewSession {
    /// A session of nobody, with this data.
    #[must_use]
    pub fn new(data: impl Into<Bytes>) -> Self {
        Self {
            data: data.into(),
            user: None,
            meta: String::new(),
            stamp: None,
        }
    }

    /// The same of a user.
    #[must_use]
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.user = Some(user.into());
        self
    }

    /// The same with something for listings: a device, say.
    #[must_use]
    pub fn meta(mut self, meta: impl Into<String>) -> Self {
        self.meta = meta.into();
        self
    }

    /// The same, as the end of a login that began then.
    #[must_use]
    pub const fn stamp(mut self, stamp: LoginStamp) -> Self {
        self.stamp = Some(stamp);
        self
    }
}

impl fmt::Debug for NewSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewSession")
            .field("bytes", &self.data.len())
            .finish_non_exhaustive()
    }
}

/// A session as it was loaded. `Debug` shows neither user nor data.
#[derive(Clone, PartialEq, Eq)]
pub struct Session {
    /// Names it without opening it.
    pub handle: SessionHash,
    /// Which form of it this is.
    pub version: u64,
    /// Whose it is.
    pub user: Option<String>,
    /// What belongs to it.
    pub data: Bytes,
    /// When it began.
    pub created: Timestamp,
    /// When it ends whatever happens.
    pub ends: Timestamp,
    /// Whether it was loaded by an id that was replaced a moment ago. Leave the cookie as it is: the
    /// new id went out with another answer, and this one stops working by itself.
    pub by_old_id: bool,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("version", &self.version)
            .field("bytes", &self.data.len())
            .finish_non_exhaustive()
    }
}

/// How a creation ended.
#[derive(Debug)]
pub enum Created {
    /// It is there.
    Created {
        /// What goes into the cookie.
        id: SessionId,
        /// The session.
        session: Session,
    },
    /// All sessions of the user were revoked after the login began.
    Revoked,
}

/// How a load ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// It is good.
    Live(Session),
    /// There is none of this id.
    Gone,
    /// Its time is over. It is gone from now on.
    Expired,
    /// It was revoked with all others of its user. It is gone from now on.
    Revoked,
    /// The backend did not answer, and the options say that this is nobody.
    Anonymous,
}

/// How a save ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Saved {
    /// It was written.
    Saved {
        /// The new version.
        version: u64,
    },
    /// Somebody else saved first.
    Conflict {
        /// The version that is there.
        current: u64,
    },
    /// It was ended meanwhile, and stays so.
    Lost,
}

/// Why an id is made anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The user logs in, or may do more or less than before. The old id opens nothing from then on.
    PrivilegeChange,
    /// It is time for it. The old id still leads to the session for
    /// [`regenerate_grace`](crate::session::SessionOptions::regenerate_grace).
    Rotation,
}

/// How making an id anew ended.
#[derive(Debug)]
pub enum Regenerated {
    /// It has a new id.
    Regenerated {
        /// What goes into the cookie.
        id: SessionId,
        /// The session.
        session: Session,
    },
    /// Somebody else saved first.
    Conflict {
        /// The version that is there.
        current: u64,
    },
    /// It was ended meanwhile.
    Lost,
    /// All sessions of the user were revoked after the login began.
    Revoked,
    /// A rotation found that another one was faster a moment ago. Leave the cookie as it is.
    Moved,
}
