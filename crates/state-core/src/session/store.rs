//! The port of a backend.

use std::{fmt, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;

use crate::{
    answering::Answering,
    clock::Timestamp,
    error::BackendError,
    session::{SessionHash, SessionOptions, Times},
};

/// A session to be stored. `Debug` shows neither user nor data.
#[derive(Clone)]
pub struct NewRecord {
    /// Where.
    pub hash: SessionHash,
    /// Whose.
    pub user: Option<String>,
    /// What belongs to it.
    pub data: Bytes,
    /// For listings.
    pub meta: String,
    /// When the login began.
    pub stamp: Option<Timestamp>,
    /// Sessions of the user that end for it.
    pub victims: Vec<SessionHash>,
}

impl fmt::Debug for NewRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewRecord")
            .field("bytes", &self.data.len())
            .field("victims", &self.victims.len())
            .finish_non_exhaustive()
    }
}

/// A stored session. `Debug` shows neither user nor data.
#[derive(Clone, PartialEq, Eq)]
pub struct Record {
    /// Which form of it this is; the first is 1.
    pub version: u64,
    /// Whose.
    pub user: Option<String>,
    /// What belongs to it.
    pub data: Bytes,
    /// Its times.
    pub times: Times,
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("version", &self.version)
            .field("bytes", &self.data.len())
            .field("times", &self.times)
            .finish_non_exhaustive()
    }
}

/// How a creation ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stored {
    /// It is there.
    Stored(Record),
    /// The id is taken.
    Taken,
    /// All sessions of the user were revoked after the login began.
    Revoked,
    /// The user has too many sessions, and those that end for it are not enough.
    Crowded,
}

/// How reading a session ended. What has expired or was revoked is removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target<T> {
    /// It is good.
    Live(T),
    /// There is none.
    Gone,
    /// Its time is over.
    Expired,
    /// It was revoked with all others of its user.
    Revoked,
    /// It was moved a moment ago. Nothing was done; ask there.
    Moved(SessionHash),
}

/// How writing a session that is good ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// It was written.
    Written {
        /// The new version.
        version: u64,
    },
    /// It has another version.
    Conflict {
        /// The version that is there.
        current: u64,
    },
}

/// What changes when a session moves. Both at a time is not possible: an id that was known before
/// a login must not lead to what the login opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change<'a> {
    /// Nothing; the old id leads to the new one for this time. Zero for not at all.
    Nothing {
        /// For how long.
        grace: Duration,
    },
    /// It begins anew as this user's.
    User {
        /// Whose it is now.
        user: &'a str,
        /// When the login began.
        stamp: Timestamp,
        /// The sessions of this user that end for it.
        victims: &'a [SessionHash],
    },
}

/// How moving a session that is good ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Moved {
    /// It is at the new place. The old one leads there for the grace, if there is one.
    Moved(Record),
    /// The new id is taken.
    Taken,
    /// It has another version.
    Conflict {
        /// The version that is there.
        current: u64,
    },
    /// All sessions of the new user were revoked after the login began.
    Revoked,
    /// The new user has too many other sessions, and those that end for it are not enough. Nothing
    /// was done.
    Crowded,
}

/// A session in a listing. `Debug` shows no texts.
#[derive(Clone, PartialEq, Eq)]
pub struct Listed {
    /// Names it without opening it.
    pub handle: SessionHash,
    /// When it began.
    pub created: Timestamp,
    /// When the last request was written.
    pub seen: Timestamp,
    /// What was said about it when it was created.
    pub meta: String,
}

impl fmt::Debug for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listed")
            .field("created", &self.created)
            .field("seen", &self.seen)
            .finish_non_exhaustive()
    }
}

/// What a backend of [`Sessions`](crate::session::Sessions) can do, each in one atomic step that goes
/// by the backend's time and judges sessions as [`standing`](crate::session::standing) does.
#[async_trait]
pub trait SessionStore: fmt::Debug + Send + Sync + 'static {
    /// The settings.
    fn options(&self) -> &SessionOptions;

    /// The backend's time.
    async fn now(&self) -> Result<Timestamp, BackendError>;

    /// Creates a session. It begins after every revocation there was.
    async fn create(&self, new: &NewRecord) -> Result<Stored, BackendError>;

    /// Reads a session and writes that it was used, if that is due.
    fn load<'a>(&'a self, hash: &'a SessionHash) -> Answering<'a, Target<Record>>;

    /// Writes the data of a session.
    async fn save(
        &self,
        hash: &SessionHash,
        data: Bytes,
        version: u64,
    ) -> Result<Target<Written>, BackendError>;

    /// Moves a session to a new id. Whoever asks for the old one is told where it is, for the
    /// grace if there is one.
    async fn relocate(
        &self,
        from: (&SessionHash, &Record),
        to: &SessionHash,
        change: Change<'_>,
    ) -> Result<Target<Moved>, BackendError>;

    /// Ends a session. It was there if it was live.
    async fn delete(&self, hash: &SessionHash) -> Result<Target<()>, BackendError>;

    /// The sessions of a user, the oldest first.
    async fn list(&self, user: &str) -> Result<Vec<Listed>, BackendError>;

    /// Ends all sessions of a user that began until now, except one; logins under way, too. Live,
    /// or moved if the one that stays was.
    async fn revoke_all(
        &self,
        user: &str,
        except: Option<&SessionHash>,
    ) -> Result<Target<()>, BackendError>;
}
