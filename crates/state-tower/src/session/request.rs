//! The handle.

use std::{fmt, sync::Arc};

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use state_core::{
    Classified,
    session::{
        Created, Found, LoginStamp, NewSession, Reason, Regenerated, Saved, SessionError,
        SessionId, Sessions,
    },
};
use tokio::sync::{Mutex, MutexGuard};

use super::{
    RequestSessionError,
    cookie::Sent,
    held::{Change, Held, Live, State, encode},
};
use crate::depth::is_readable;

/// How often a change is made anew because others were faster.
const TRIES: usize = 8;

/// The session of a request, in its extensions. A clone is a handle to the same.
///
/// It is read when it is first asked for, and what was changed is stored when the request is
/// answered. Until then only logins and logouts reach the backend. `Debug` shows nothing of it.
#[derive(Clone)]
pub struct RequestSession(Arc<Inner>);

struct Inner {
    sessions: Sessions,
    state: Mutex<State>,
}

impl fmt::Debug for RequestSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestSession").finish_non_exhaustive()
    }
}

impl RequestSession {
    pub(super) fn new(sessions: Sessions, sent: Sent) -> Self {
        let state = Mutex::new(State::new(sent.id, sent.is_there));
        Self(Arc::new(Inner { sessions, state }))
    }

    /// Whose session it is; nothing without a session, and for one of nobody.
    ///
    /// # Errors
    ///
    /// [`RequestSessionError::Session`] when the backend does not answer. Whoever calls is not
    /// logged in then.
    ///
    /// # Cancel safety
    ///
    /// May be dropped at any time.
    ///
    /// # Round trips
    ///
    /// One if the session was not read, else none.
    pub async fn user(&self) -> Result<Option<String>, RequestSessionError> {
        let state = self.read().await?;
        Ok(state.live().and_then(|live| live.session.user.clone()))
    }

    /// Whether the backend did not answer, and the options say that this is nobody.
    ///
    /// # Errors
    ///
    /// As [`user`](Self::user).
    ///
    /// # Cancel safety
    ///
    /// May be dropped at any time.
    ///
    /// # Round trips
    ///
    /// As [`user`](Self::user).
    pub async fn is_unknown(&self) -> Result<bool, RequestSessionError> {
        Ok(matches!(self.read().await?.held, Held::Unknown))
    }

    /// A value, changes of this request included.
    ///
    /// # Errors
    ///
    /// [`RequestSessionError`]; [`Type`](RequestSessionError::Type) when it is of another type.
    ///
    /// # Cancel safety
    ///
    /// May be dropped at any time.
    ///
    /// # Round trips
    ///
    /// As [`user`](Self::user).
    pub async fn get<T: DeserializeOwned>(
        &self,
        key: &str,
    ) -> Result<Option<T>, RequestSessionError> {
        let state = self.read().await?;
        let value = state.value(key)?.map(T::deserialize).transpose();
        value.map_err(|_| RequestSessionError::Type)
    }

    /// Sets a value: lists and objects in it are at most 120 deep. Without a session there will be
    /// one, of nobody.
    ///
    /// # Errors
    ///
    /// [`RequestSessionError`]; nothing was changed.
    ///
    /// # Cancel safety
    ///
    /// Nothing was changed when the future is dropped.
    ///
    /// # Round trips
    ///
    /// As [`user`](Self::user); it is stored when the request is answered.
    pub async fn insert<T: Serialize + Sync + ?Sized>(
        &self,
        key: &str,
        value: &T,
    ) -> Result<(), RequestSessionError> {
        let value = serde_json::to_value(value).map_err(|_| RequestSessionError::Value)?;
        if !is_readable(&value) {
            return Err(RequestSessionError::Value);
        }
        self.change(key, Some(value)).await
    }

    /// Removes a value.
    ///
    /// # Errors
    ///
    /// [`RequestSessionError`]; nothing was changed.
    ///
    /// # Cancel safety
    ///
    /// Nothing was changed when the future is dropped.
    ///
    /// # Round trips
    ///
    /// As [`insert`](Self::insert).
    pub async fn remove(&self, key: &str) -> Result<(), RequestSessionError> {
        self.change(key, None).await
    }

    async fn change(&self, key: &str, value: Option<Value>) -> Result<(), RequestSessionError> {
        let mut state = self.read().await?;
        state.check_open()?;
        state.stored()?;
        let before = state.changes.insert(key.to_owned(), value);
        // Said now, to the one who can do something about it.
        let checked = self.check_size(&state);
        if checked.is_err() {
            match before {
                Some(before) => state.changes.insert(key.to_owned(), before),
                None => state.changes.remove(key),
            };
        }
        checked
    }

    fn check_size(&self, state: &State) -> Result<(), RequestSessionError> {
        let bytes = encode(&state.merged()?)?.len();
        let most = self.0.sessions.options().max_bytes;
        if bytes > most {
            return Err(SessionError::TooLarge { bytes, most }.into());
        }
        Ok(())
    }

    /// Begins a login, before the password is checked.
    ///
    /// # Errors
    ///
    /// [`RequestSessionError::Session`] when the backend does not answer.
    ///
    /// # Cancel safety
    ///
    /// Changes nothing.
    ///
    /// # Round trips
    ///
    /// One.
    pub async fn begin_login(&self) -> Result<LoginStamp, RequestSessionError> {
        let mut state = self.0.state.lock().await;
        let begun = self.0.sessions.begin_login().await;
        noted(&mut state, begun)
    }

    /// Logs a user in whose password was checked. Where checking takes time,
    /// [`begin_login`](Self::begin_login) before it and [`finish_login`](Self::finish_login) after
    /// it, so that revoking all sessions of the user meanwhile ends this login, too.
    ///
    /// # Errors
    ///
    /// As [`finish_login`](Self::finish_login).
    ///
    /// # Cancel safety
    ///
    /// As [`finish_login`](Self::finish_login).
    ///
    /// # Round trips
    ///
    /// One more than [`finish_login`](Self::finish_login).
    pub async fn log_in(&self, user: &str) -> Result<(), RequestSessionError> {
        let begun = self.begin_login().await?;
        self.finish_login(begun, user).await
    }

    /// Ends a login that began then: the session is this user's and has a new id. The id of before
    /// opens nothing any more.
    ///
    /// A session of nobody, or of the same user, keeps its values. One of somebody else ends, and
    /// nothing of it is carried over, changes of this request included.
    ///
    /// # Errors
    ///
    /// [`RequestSessionError`]; [`Revoked`](RequestSessionError::Revoked) when all sessions of the
    /// user were revoked after it began. Nobody is logged in by this request then.
    ///
    /// # Cancel safety
    ///
    /// The session may have ended when the future is dropped, and there may be one that nobody has
    /// the id of.
    ///
    /// # Round trips
    ///
    /// Two, or one if the session was read; one more where the user is another and each time
    /// somebody else was faster, two more where the number of sessions of a user is limited.
    pub async fn finish_login(
        &self,
        begun: LoginStamp,
        user: &str,
    ) -> Result<(), RequestSessionError> {
        let mut state = self.read().await?;
        state.check_open()?;
        let sessions = &self.0.sessions;
        if let Some(live) = state.live() {
            let of = live.session.user.as_deref();
            let is_kept = live.values.is_some() && of.is_none_or(|of| of == user);
            if !is_kept {
                let ended = sessions.delete(&live.session).await;
                noted(&mut state, ended)?;
                state.end();
            }
        }
        for _ in 0..TRIES {
            let Some(live) = state.live() else {
                let new = state.anew()?.user(user).stamp(begun);
                return self.create(&mut state, new).await;
            };
            let moved = sessions
                .regenerate(&live.session, Reason::PrivilegeChange, Some((user, begun)))
                .await;
            if moved.as_ref().is_err_and(Classified::outcome_unknown) {
                // Neither id may open it.
                state.end();
            }
            match noted(&mut state, moved)? {
                Regenerated::Regenerated { id, session } => {
                    state.begin(id, session);
                    return Ok(());
                }
                Regenerated::Conflict { .. } | Regenerated::Moved => {
                    self.read_again(&mut state).await?;
                }
                // A login needs no session of before.
                Regenerated::Lost => state.held = Held::Nobody,
                Regenerated::Revoked => return Err(RequestSessionError::Revoked),
            }
        }
        noted(&mut state, Err(SessionError::Contended))
    }

    /// Ends the session: a logout. Whether there was one. What was changed in it is dropped; what
    /// is set from here on makes a new one, of nobody.
    ///
    /// # Errors
    ///
    /// [`RequestSessionError`]; the session may be there, and repeating it is safe.
    ///
    /// # Cancel safety
    ///
    /// It may have been ended when the future is dropped.
    ///
    /// # Round trips
    ///
    /// Two, or one if the session was read; none without a session.
    pub async fn log_out(&self) -> Result<bool, RequestSessionError> {
        let mut state = self.read().await?;
        state.check_open()?;
        let mut was_there = false;
        if let Some(live) = state.live() {
            let ended = self.0.sessions.delete(&live.session).await;
            was_there = noted(&mut state, ended)?;
        }
        state.end();
        Ok(was_there)
    }

    /// Ends all sessions of the user, this one and logins that are under way included. Whether
    /// somebody was logged in; else nothing is done.
    ///
    /// # Errors
    ///
    /// [`RequestSessionError`]; repeating it is safe.
    ///
    /// # Cancel safety
    ///
    /// They may have been ended when the future is dropped: all of them or none.
    ///
    /// # Round trips
    ///
    /// As [`log_out`](Self::log_out).
    pub async fn revoke_all(&self) -> Result<bool, RequestSessionError> {
        let mut state = self.read().await?;
        state.check_open()?;
        let Some(user) = state.live().and_then(|live| live.session.user.clone()) else {
            return Ok(false);
        };
        let revoked = self.0.sessions.revoke_all(&user, None).await;
        noted(&mut state, revoked)?;
        state.end();
        Ok(true)
    }

    /// The state, with the session read.
    async fn read(&self) -> Result<MutexGuard<'_, State>, RequestSessionError> {
        let mut state = self.0.state.lock().await;
        if matches!(state.held, Held::Unread) {
            state.held = self.find(&mut state).await?;
        }
        Ok(state)
    }

    async fn find(&self, state: &mut State) -> Result<Held, RequestSessionError> {
        let Some(id) = state.id.clone() else {
            return Ok(Held::Nobody);
        };
        let found = self.0.sessions.load(&id.expose()).await;
        Ok(match noted(state, found)? {
            Found::Live(session) => Held::Live(Box::new(Live::new(session))),
            Found::Anonymous => Held::Unknown,
            // The cookie stays: another request may be about to replace it, and what opens
            // nothing does no harm.
            Found::Gone | Found::Expired | Found::Revoked => Held::Nobody,
        })
    }

    async fn read_again(&self, state: &mut State) -> Result<(), RequestSessionError> {
        match self.find(state).await? {
            Held::Unknown => Err(RequestSessionError::Unavailable),
            held => {
                state.held = held;
                Ok(())
            }
        }
    }

    async fn create(&self, state: &mut State, new: NewSession) -> Result<(), RequestSessionError> {
        let created = self.0.sessions.create(new).await;
        match noted(state, created)? {
            Created::Created { id, session } => {
                state.begin(id, session);
                state.changes.clear();
                Ok(())
            }
            Created::Revoked => Err(RequestSessionError::Revoked),
        }
    }

    /// Stores what was changed. Nothing is changed any more after it.
    pub(super) async fn finish(&self) -> Ending {
        let mut state = self.0.state.lock().await;
        state.is_answered = true;
        let mut trouble = state.has_failed.then_some(Trouble::Failed);
        match self.store(&mut state).await {
            Ok(Kept::Stored) => {}
            Ok(Kept::Lost) => {
                state.lose();
                trouble = Some(Trouble::Lost);
            }
            Err(error) => {
                trouble = trouble.or(Some(match error {
                    RequestSessionError::Session(SessionError::TooLarge { .. })
                    | RequestSessionError::Data
                    | RequestSessionError::Value => Trouble::Unfit,
                    _ => Trouble::NotStored,
                }));
            }
        }
        let id = match state.cookie {
            Change::Set => state.id.clone(),
            Change::Keep | Change::Remove => None,
        };
        Ending {
            id,
            is_removed: state.cookie == Change::Remove,
            trouble,
        }
    }

    async fn store(&self, state: &mut State) -> Result<Kept, RequestSessionError> {
        if state.changes.is_empty() {
            return Ok(Kept::Stored);
        }
        for attempt in 1..=TRIES {
            let values = state.merged()?;
            let Held::Live(live) = &mut state.held else {
                // Where there is nothing to keep nobody needs a session.
                if !values.is_empty() {
                    let new = state.anew()?;
                    self.create(state, new).await?;
                }
                return Ok(Kept::Stored);
            };
            if live.values.as_ref() == Some(&values) {
                return Ok(Kept::Stored);
            }
            let saved = self.0.sessions.save(&live.session, encode(&values)?).await;
            match saved {
                Ok(Saved::Saved { .. }) => return Ok(Kept::Stored),
                Ok(Saved::Lost) => return Ok(Kept::Lost),
                Ok(Saved::Conflict { .. }) => {}
                // It may have been written. Changes name whole values, so that making them again
                // is harmless.
                Err(error) if error.outcome_unknown() && attempt < TRIES => {}
                Err(error) => return Err(error.into()),
            }
            self.read_again(state).await?;
            if state.live().is_none() {
                return Ok(Kept::Lost);
            }
        }
        Err(SessionError::Contended.into())
    }
}

/// Notes what the backend could not do.
fn noted<T>(state: &mut State, result: Result<T, SessionError>) -> Result<T, RequestSessionError> {
    if let Err(error) = &result {
        let is_callers = matches!(error, SessionError::TooLarge { .. } | SessionError::User);
        state.has_failed |= !is_callers;
    }
    result.map_err(Into::into)
}

enum Kept {
    Stored,
    Lost,
}

/// What a request leaves behind.
pub(super) struct Ending {
    /// A new id for the client.
    pub(super) id: Option<SessionId>,
    /// Whether the client's cookie goes.
    pub(super) is_removed: bool,
    pub(super) trouble: Option<Trouble>,
}

/// Why the answer of the handler may not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// The backend failed in a call of the handler.
    Failed,
    /// Changes were not stored, or nobody knows.
    NotStored,
    /// Changes cannot be stored.
    Unfit,
    /// The session was ended while the request was handled.
    Lost,
}
