//! The front.

use std::{borrow::Cow, future::Future, sync::Arc, time::Duration};

use bytes::Bytes;

use crate::{
    clock::{Clock, MonotonicClock, Timestamp},
    entropy::{Entropy, OsEntropy},
    error::{BackendError, Classified as _},
    observe::{Capability, NoObserver, Observation, Observer},
    session::{
        Change, Created, Found, Listed, LoginStamp, Moved, NewRecord, NewSession, OnError, Reason,
        Record, Regenerated, Saved, Session, SessionError, SessionHash, SessionId, SessionKeys,
        SessionOptions, SessionStore, Stored, Target, Written,
    },
};

/// Sessions on a backend. A clone is a handle to the same.
#[derive(Debug, Clone)]
pub struct Sessions(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Arc<dyn SessionStore>,
    keys: SessionKeys,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    observer: Arc<dyn Observer>,
}

/// How often an id is made anew, a crowd is counted anew, and a change is made anew.
const TRIES: usize = 3;
/// How many times in a row a session is looked for where it was moved to.
const HOPS: usize = 8;
const MAX_USER_BYTES: usize = 512;

impl Sessions {
    /// Sessions on a backend, with the local clock and the system's randomness.
    #[must_use]
    pub fn new(store: Arc<dyn SessionStore>, keys: SessionKeys) -> Self {
        Self::observed(
            store,
            keys,
            Arc::new(MonotonicClock::new()),
            Arc::new(OsEntropy),
            Arc::new(NoObserver),
        )
    }

    /// The same with everything passed in. The clock only measures how long calls take.
    #[must_use]
    pub fn observed(
        store: Arc<dyn SessionStore>,
        keys: SessionKeys,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        observer: Arc<dyn Observer>,
    ) -> Self {
        Self(Arc::new(Inner {
            store,
            keys,
            clock,
            entropy,
            observer,
        }))
    }

    /// The settings of the store.
    #[must_use]
    pub fn options(&self) -> &SessionOptions {
        self.0.store.options()
    }

    /// Begins a login, before the password is checked.
    ///
    /// # Errors
    ///
    /// [`SessionError::Backend`].
    ///
    /// # Cancel safety
    ///
    /// Changes nothing.
    ///
    /// # Round trips
    ///
    /// One.
    pub async fn begin_login(&self) -> Result<LoginStamp, SessionError> {
        let since = self.started();
        let now = self.0.store.now().await.map_err(SessionError::from);
        self.tell("begin_login", since, &now, |_| "begun");
        Ok(LoginStamp(now?))
    }

    /// Creates a session.
    ///
    /// # Errors
    ///
    /// [`SessionError`]. With an unknown outcome a session may be there that nobody has the id of;
    /// it ends by itself.
    ///
    /// # Cancel safety
    ///
    /// As with an unknown outcome.
    ///
    /// # Round trips
    ///
    /// One; two when the number of sessions of a user is limited.
    pub async fn create(&self, new: NewSession) -> Result<Created, SessionError> {
        let since = self.started();
        let created = self.try_create(new).await;
        self.tell("create", since, &created, |created| match created {
            Created::Created { .. } => "created",
            Created::Revoked => "revoked",
        });
        created
    }

    async fn try_create(&self, new: NewSession) -> Result<Created, SessionError> {
        check_user(new.user.as_deref())?;
        self.check_size(new.data.len() + new.meta.len())?;
        let mut taken = 0;
        let mut crowded = 0;
        loop {
            let id = SessionId::random(&*self.0.entropy)?;
            let record = NewRecord {
                hash: self.0.keys.hash(&id),
                user: new.user.clone(),
                data: new.data.clone(),
                meta: new.meta.clone(),
                stamp: new.stamp.map(|stamp| stamp.0),
                victims: self.victims(new.user.as_deref(), None).await?,
            };
            match self.0.store.create(&record).await? {
                Stored::Stored(stored) => {
                    let session = session(record.hash, stored);
                    return Ok(Created::Created { id, session });
                }
                Stored::Revoked => return Ok(Created::Revoked),
                Stored::Taken if taken + 1 < TRIES => taken += 1,
                Stored::Taken => return Err(SessionError::IdExhausted),
                Stored::Crowded if crowded + 1 < TRIES => crowded += 1,
                Stored::Crowded => return Err(SessionError::Contended),
            }
        }
    }

    /// The oldest sessions of a user that are one too many with a new one. The one it is made of
    /// is none of them.
    async fn victims(
        &self,
        user: Option<&str>,
        made_of: Option<&SessionHash>,
    ) -> Result<Vec<SessionHash>, SessionError> {
        let most = self.options().max_per_user;
        let (Some(user), true) = (user, most > 0) else {
            return Ok(Vec::new());
        };
        let mut listed = self.0.store.list(user).await?;
        listed.retain(|listed| Some(&listed.handle) != made_of);
        let many = (listed.len() + 1).saturating_sub(most);
        Ok(listed
            .into_iter()
            .take(many)
            .map(|listed| listed.handle)
            .collect())
    }

    /// Reads the session of a cookie. What is no id is gone, without asking the backend.
    ///
    /// # Errors
    ///
    /// [`SessionError::Backend`] when the backend does not answer and the options say
    /// [`OnError::Closed`]. Whoever calls is not logged in then. [`SessionError::Contended`] for an
    /// id that was replaced again and again within the grace.
    ///
    /// # Cancel safety
    ///
    /// May be dropped at any time.
    ///
    /// # Round trips
    ///
    /// One; two for an id that is not there while there are keys of before, and one more for an id
    /// that was replaced a moment ago.
    pub async fn load(&self, cookie: &str) -> Result<Found, SessionError> {
        let since = self.started();
        let found = self.try_load(cookie).await;
        let found = match found {
            Err(_) if self.options().on_error == OnError::OpenAnonymous => Ok(Found::Anonymous),
            found => found,
        };
        self.tell("load", since, &found, |found| match found {
            Found::Live(session) if session.by_old_id => "live_by_old_id",
            Found::Live(_) => "live",
            Found::Gone => "gone",
            Found::Expired => "expired",
            Found::Revoked => "revoked",
            Found::Anonymous => "anonymous",
        });
        found
    }

    async fn try_load(&self, cookie: &str) -> Result<Found, SessionError> {
        let Some(id) = SessionId::parse(cookie) else {
            return Ok(Found::Gone);
        };
        let hash = self.0.keys.hash(&id);
        let (at, target) = self.load_at(&hash).await?;
        Ok(match target {
            Target::Live(record) => Found::Live(found_at(at, &hash, record)),
            Target::Expired => Found::Expired,
            Target::Revoked => Found::Revoked,
            // What an old id led to is over: nothing of this id is stored elsewhere.
            Target::Gone | Target::Moved(_) if at != hash => Found::Gone,
            Target::Gone | Target::Moved(_) => self
                .move_from_previous(&id, hash)
                .await?
                .map_or(Found::Gone, Found::Live),
        })
    }

    async fn load_at(
        &self,
        hash: &SessionHash,
    ) -> Result<(SessionHash, Target<Record>), SessionError> {
        let mut at = Cow::Borrowed(hash);
        for _ in 0..HOPS {
            match self.0.store.load(&at).await? {
                Target::Moved(to) => at = Cow::Owned(to),
                target => return Ok((at.into_owned(), target)),
            }
        }
        Err(SessionError::Contended)
    }

    /// A session stored under the keys of before is moved to where the new ones put it.
    async fn move_from_previous(
        &self,
        id: &SessionId,
        hash: SessionHash,
    ) -> Result<Option<Session>, SessionError> {
        let Some(previous) = self.0.keys.previous_hash(id) else {
            return Ok(None);
        };
        let (at, target) = self.load_at(&previous).await?;
        let Target::Live(record) = target else {
            return Ok(None);
        };
        if at != previous {
            return Ok(Some(found_at(at, &hash, record)));
        }
        // For requests under way that know it by its former place.
        let grace = self.options().regenerate_grace;
        let change = Change::Nothing { grace };
        let moved = self
            .0
            .store
            .relocate((&previous, &record), &hash, change)
            .await?;
        Ok(match moved {
            Target::Live(Moved::Moved(record)) => Some(session(hash, record)),
            // Another request moved it, or saved it there: it is where it belongs now, or will be
            // at the next request.
            _ => match self.load_at(&hash).await? {
                (at, Target::Live(record)) => Some(found_at(at, &hash, record)),
                _ => None,
            },
        })
    }

    /// Writes the data of a session that was loaded.
    ///
    /// # Errors
    ///
    /// [`SessionError`]. With an unknown outcome, load it again.
    ///
    /// # Cancel safety
    ///
    /// It may have been written when the future is dropped.
    ///
    /// # Round trips
    ///
    /// One.
    pub async fn save(
        &self,
        session: &Session,
        data: impl Into<Bytes>,
    ) -> Result<Saved, SessionError> {
        let since = self.started();
        let data = data.into();
        let saved = match self.check_size(data.len()) {
            Ok(()) => self.write(&session.handle, data, session.version).await,
            Err(error) => Err(error),
        };
        self.tell("save", since, &saved, |saved| match saved {
            Saved::Saved { .. } => "saved",
            Saved::Conflict { .. } => "conflict",
            Saved::Lost => "lost",
        });
        saved
    }

    async fn write(
        &self,
        handle: &SessionHash,
        data: Bytes,
        version: u64,
    ) -> Result<Saved, SessionError> {
        let store = &self.0.store;
        let save = |at| {
            let data = data.clone();
            async move { store.save(&at, data, version).await }
        };
        Ok(match follow(handle, save).await?.1 {
            Target::Live(Written::Written { version }) => Saved::Saved { version },
            Target::Live(Written::Conflict { current }) => Saved::Conflict { current },
            _ => Saved::Lost,
        })
    }

    /// Changes the data of a session, again and again until nobody else was faster. `None` when
    /// the session is not there, or not any more.
    ///
    /// # Errors
    ///
    /// [`SessionError`]; [`SessionError::Contended`] after three times.
    ///
    /// # Cancel safety
    ///
    /// It may have been written when the future is dropped.
    ///
    /// # Round trips
    ///
    /// Two for every time.
    pub async fn update(
        &self,
        cookie: &str,
        change: impl Fn(&Bytes) -> Bytes,
    ) -> Result<Option<Session>, SessionError> {
        let since = self.started();
        let updated = self.try_update(cookie, change).await;
        self.tell("update", since, &updated, |updated| match updated {
            Some(_) => "updated",
            None => "gone",
        });
        updated
    }

    async fn try_update(
        &self,
        cookie: &str,
        change: impl Fn(&Bytes) -> Bytes,
    ) -> Result<Option<Session>, SessionError> {
        for _ in 0..TRIES {
            let Found::Live(mut session) = self.load(cookie).await? else {
                return Ok(None);
            };
            session.data = change(&session.data);
            match self.save(&session, session.data.clone()).await? {
                Saved::Saved { version } => {
                    session.version = version;
                    return Ok(Some(session));
                }
                Saved::Conflict { .. } => {}
                Saved::Lost => return Ok(None),
            }
        }
        Err(SessionError::Contended)
    }

    /// Gives a session a new id. The old one opens nothing from then on, or from the end of
    /// [`SessionOptions::regenerate_grace`] on if this is a [`Reason::Rotation`] without a user.
    /// Until then it does not rotate the session again: an id that was stolen must not become a
    /// new one.
    ///
    /// With a user the session begins anew as that user's, and counts as one of
    /// [`SessionOptions::max_per_user`]: the oldest others end for it, as for a new one.
    ///
    /// # Errors
    ///
    /// [`SessionError`]; [`SessionError::Contended`] when others logged in as the same user again
    /// and again meanwhile. With an unknown outcome neither id may open it, or the old one only for the
    /// grace: ask the user to log in.
    ///
    /// # Cancel safety
    ///
    /// As with an unknown outcome.
    ///
    /// # Round trips
    ///
    /// One; two more with a user when the number of sessions of a user is limited, and one more
    /// for a session that was moved a moment ago.
    pub async fn regenerate(
        &self,
        session: &Session,
        reason: Reason,
        user: Option<(&str, LoginStamp)>,
    ) -> Result<Regenerated, SessionError> {
        let since = self.started();
        let made = match (reason, user) {
            (Reason::Rotation, None) => self.rotate(session).await,
            _ => self.change(session, user).await,
        };
        let operation = match reason {
            Reason::PrivilegeChange => "regenerate",
            Reason::Rotation => "rotate",
        };
        self.tell(operation, since, &made, |made| match made {
            Regenerated::Regenerated { .. } => "regenerated",
            Regenerated::Conflict { .. } => "conflict",
            Regenerated::Lost => "lost",
            Regenerated::Revoked => "revoked",
            Regenerated::Moved => "moved",
        });
        made
    }

    async fn rotate(&self, old: &Session) -> Result<Regenerated, SessionError> {
        if old.by_old_id {
            return Ok(Regenerated::Moved);
        }
        let grace = self.options().regenerate_grace;
        match self
            .relocate(&old.handle, old, Change::Nothing { grace })
            .await?
        {
            Relocated::Made(made) => Ok(made),
            Relocated::Elsewhere(_) => Ok(Regenerated::Moved),
            // Nobody's number of sessions grows.
            Relocated::Crowded => Err(SessionError::Contended),
        }
    }

    async fn change(
        &self,
        old: &Session,
        user: Option<(&str, LoginStamp)>,
    ) -> Result<Regenerated, SessionError> {
        check_user(user.map(|(user, _)| user))?;
        let mut at = old.handle.clone();
        let mut crowded = 0;
        for _ in 0..HOPS {
            let victims = self.victims(user.map(|(user, _)| user), Some(&at)).await?;
            let grace = Duration::ZERO;
            let change = user.map_or(Change::Nothing { grace }, |(user, stamp)| Change::User {
                user,
                stamp: stamp.0,
                victims: &victims,
            });
            match self.relocate(&at, old, change).await? {
                Relocated::Made(made) => return Ok(made),
                Relocated::Elsewhere(to) => at = to,
                Relocated::Crowded if crowded + 1 < TRIES => crowded += 1,
                Relocated::Crowded => break,
            }
        }
        Err(SessionError::Contended)
    }

    /// Moves a session to a new id.
    async fn relocate(
        &self,
        from: &SessionHash,
        old: &Session,
        change: Change<'_>,
    ) -> Result<Relocated, SessionError> {
        let record = Record {
            version: old.version,
            user: old.user.clone(),
            data: Bytes::new(),
            times: crate::session::Times {
                created: old.created,
                seen: old.created,
                ends: old.ends,
            },
        };
        for _ in 0..TRIES {
            let id = SessionId::random(&*self.0.entropy)?;
            let hash = self.0.keys.hash(&id);
            let moved = self.0.store.relocate((from, &record), &hash, change);
            let made = match moved.await? {
                Target::Live(Moved::Moved(record)) => Regenerated::Regenerated {
                    id,
                    session: session(hash, record),
                },
                Target::Live(Moved::Taken) => continue,
                Target::Live(Moved::Conflict { current }) => Regenerated::Conflict { current },
                Target::Live(Moved::Revoked) => Regenerated::Revoked,
                Target::Live(Moved::Crowded) => return Ok(Relocated::Crowded),
                Target::Gone | Target::Expired | Target::Revoked => Regenerated::Lost,
                Target::Moved(to) => return Ok(Relocated::Elsewhere(to)),
            };
            return Ok(Relocated::Made(made));
        }
        Err(SessionError::IdExhausted)
    }

    /// Ends a session: a logout. Whether there was one.
    ///
    /// # Errors
    ///
    /// [`SessionError::Backend`]; repeating it is safe.
    ///
    /// # Cancel safety
    ///
    /// It may have been ended when the future is dropped.
    ///
    /// # Round trips
    ///
    /// One; one more for a session that was moved a moment ago.
    pub async fn delete(&self, session: &Session) -> Result<bool, SessionError> {
        self.end("delete", &session.handle).await
    }

    /// Ends a session of a listing. Whether there was one.
    ///
    /// # Errors
    ///
    /// [`SessionError::Backend`]; repeating it is safe.
    ///
    /// # Cancel safety
    ///
    /// It may have been ended when the future is dropped.
    ///
    /// # Round trips
    ///
    /// One; one more for a session that was moved a moment ago.
    pub async fn revoke(&self, handle: &SessionHash) -> Result<bool, SessionError> {
        self.end("revoke", handle).await
    }

    async fn end(
        &self,
        operation: &'static str,
        handle: &SessionHash,
    ) -> Result<bool, SessionError> {
        let since = self.started();
        let store = &self.0.store;
        let ended = follow(handle, |at| async move { store.delete(&at).await }).await;
        let ended = ended.map(|(_, target)| matches!(target, Target::Live(())));
        self.tell(operation, since, &ended, |ended| {
            if *ended { "ended" } else { "gone" }
        });
        ended
    }

    /// The sessions of a user, the oldest first.
    ///
    /// # Errors
    ///
    /// [`SessionError`].
    ///
    /// # Cancel safety
    ///
    /// May be dropped at any time.
    ///
    /// # Round trips
    ///
    /// Two; one more at the same time for every 500 sessions after the first.
    pub async fn list_for_user(&self, user: &str) -> Result<Vec<Listed>, SessionError> {
        let since = self.started();
        let listed = match check_user(Some(user)) {
            Ok(()) => self.0.store.list(user).await.map_err(Into::into),
            Err(error) => Err(error),
        };
        self.tell("list", since, &listed, |_| "listed");
        listed
    }

    /// Ends all sessions of a user that have begun, except one; logins that are under way, too.
    ///
    /// # Errors
    ///
    /// [`SessionError`]; repeating it is safe.
    ///
    /// # Cancel safety
    ///
    /// They may have been ended when the future is dropped: all of them or none.
    ///
    /// # Round trips
    ///
    /// One.
    pub async fn revoke_all(
        &self,
        user: &str,
        except: Option<&Session>,
    ) -> Result<(), SessionError> {
        let since = self.started();
        let revoked = self.end_all(user, except).await;
        self.tell("revoke_all", since, &revoked, |()| "revoked");
        revoked
    }

    async fn end_all(&self, user: &str, except: Option<&Session>) -> Result<(), SessionError> {
        check_user(Some(user))?;
        let store = &self.0.store;
        let Some(except) = except else {
            store.revoke_all(user, None).await?;
            return Ok(());
        };
        let revoke = |at| async move { store.revoke_all(user, Some(&at)).await };
        follow(&except.handle, revoke).await?;
        Ok(())
    }

    fn check_size(&self, bytes: usize) -> Result<(), SessionError> {
        let most = self.options().max_bytes;
        if bytes > most {
            return Err(SessionError::TooLarge { bytes, most });
        }
        Ok(())
    }

    /// The time a call began, where somebody wants to know how long it took.
    fn started(&self) -> Option<Timestamp> {
        self.0.observer.listens().then(|| self.0.clock.now())
    }

    fn tell<T>(
        &self,
        operation: &'static str,
        since: Option<Timestamp>,
        result: &Result<T, SessionError>,
        name: impl FnOnce(&T) -> &'static str,
    ) {
        if !self.0.observer.listens() {
            return;
        }
        let outcome = match result {
            Ok(value) => name(value),
            Err(error) => error.code(),
        };
        self.0.observer.operation(&Observation {
            capability: Capability::Session,
            operation,
            outcome,
            namespace: "",
            duration: since.map(|since| self.0.clock.now().saturating_since(since)),
        });
    }
}

/// How one attempt to move a session ended.
enum Relocated {
    Made(Regenerated),
    /// It was moved already, and is there.
    Elsewhere(SessionHash),
    /// The user has more sessions than were counted.
    Crowded,
}

fn found_at(at: SessionHash, asked: &SessionHash, record: Record) -> Session {
    let by_old_id = at != *asked;
    Session {
        by_old_id,
        ..session(at, record)
    }
}

fn session(handle: SessionHash, record: Record) -> Session {
    Session {
        handle,
        version: record.version,
        user: record.user,
        data: record.data,
        created: record.times.created,
        ends: record.times.ends,
        by_old_id: false,
    }
}

/// Does something to a session where it is now, and tells where that is.
async fn follow<T, R>(
    handle: &SessionHash,
    mut step: impl FnMut(SessionHash) -> R,
) -> Result<(SessionHash, Target<T>), SessionError>
where
    R: Future<Output = Result<Target<T>, BackendError>>,
{
    let mut at = handle.clone();
    for _ in 0..HOPS {
        match step(at.clone()).await? {
            Target::Moved(to) => at = to,
            target => return Ok((at, target)),
        }
    }
    Err(SessionError::Contended)
}

fn check_user(user: Option<&str>) -> Result<(), SessionError> {
    match user {
        Some(user) if !(1..=MAX_USER_BYTES).contains(&user.len()) => Err(SessionError::User),
        _ => Ok(()),
    }
}
