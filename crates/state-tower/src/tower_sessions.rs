//! A store of the crate `tower-sessions`.

use std::{collections::HashMap, fmt, sync::Arc};

use async_trait::async_trait;
use cookie::time::OffsetDateTime;
use serde_json::Value;
use state_core::{
    BackendError, Classified as _, Clock, Entropy, MonotonicClock, NoObserver, Observer, OsEntropy,
    Timestamp,
    session::{
        Created, Found, NewSession, Saved, Session, SessionError, SessionKeys, SessionStore,
        Sessions,
    },
};
use tower_sessions_core::{
    session::{Id, Record},
    session_store::{self, Error},
};

use crate::depth::is_readable;

/// Characters of an id of theirs.
const THEIR_CHARACTERS: usize = 22;
/// What makes an id of ours of it: zeros.
const REST: &str = "AAAAAAAAAAAAAAAAAAAAA";
/// How often a change is made anew because others were faster.
const TRIES: usize = 8;

/// Sessions of `state-core` for an application that uses the crate `tower-sessions` and stays with
/// it. A clone is a handle to the same. Others use `SessionLayer`, of the feature `session`.
///
/// Ids are stored as keyed hashes, and made here: one that a client sent is never taken over. They
/// are theirs, of 128 random bits.
///
/// What their trait cannot say, and what comes of it:
///
/// | Here | There |
/// |---|---|
/// | Somebody else saved first | The last one to save holds, with everything: they save whole sessions |
/// | The session was ended meanwhile | An error of the backend. It is never brought back |
/// | Revoked, expired or gone | No session |
/// | The backend does not answer, and callers are anonymous then | An error: else they would give the caller a new session for the old one |
/// | Users, and ending all sessions of one | Nothing: sessions are nobody's |
/// | A new id in one step | `cycle_id` ends the session and creates another one when the request is answered |
/// | How long sessions live | Their `Expiry` is how long the cookie lives. The session lives as the [options](state_core::session::SessionOptions) of the store say: set both alike |
///
/// Their caching store in front of this one serves sessions that were ended elsewhere.
///
/// ```
/// use std::sync::Arc;
/// use state_core::session::{SessionKeys, SessionOptions};
/// use state_memory::session::MemorySessions;
/// use state_tower::TowerSessionsStore;
///
/// # fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let keys = SessionKeys::new(b"32 bytes or more, from a secret store")?;
/// let sessions = MemorySessions::new(SessionOptions::default())?;
/// let store = TowerSessionsStore::new(Arc::new(sessions), keys);
/// // SessionManagerLayer::new(store)
/// # let _ = store;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct TowerSessionsStore(Sessions);

impl TowerSessionsStore {
    /// Sessions on a backend, in a namespace of their own.
    #[must_use]
    pub fn new(store: Arc<dyn SessionStore>, keys: SessionKeys) -> Self {
        let clock = Arc::new(MonotonicClock::new());
        Self::observed(store, keys, clock, Arc::new(NoObserver))
    }

    /// The same with everything passed in. The clock only measures how long calls take.
    #[must_use]
    pub fn observed(
        store: Arc<dyn SessionStore>,
        keys: SessionKeys,
        clock: Arc<dyn Clock>,
        observer: Arc<dyn Observer>,
    ) -> Self {
        let entropy = Arc::new(Half(OsEntropy));
        Self(Sessions::observed(store, keys, clock, entropy, observer))
    }

    async fn find(&self, id: &Id) -> session_store::Result<Option<Session>> {
        match self.0.load(&format!("{id}{REST}")).await.map_err(refused)? {
            Found::Live(session) => Ok(Some(session)),
            Found::Gone | Found::Expired | Found::Revoked => Ok(None),
            Found::Anonymous => Err(Error::Backend("sessions do not answer".to_owned())),
        }
    }
}

impl fmt::Debug for TowerSessionsStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TowerSessionsStore").finish_non_exhaustive()
    }
}

#[async_trait]
impl session_store::SessionStore for TowerSessionsStore {
    async fn create(&self, record: &mut Record) -> session_store::Result<()> {
        let new = NewSession::new(encode(&record.data)?);
        let Created::Created { id, .. } = self.0.create(new).await.map_err(refused)? else {
            return Err(ended());
        };
        let text = id.expose();
        let theirs = text.get(..THEIR_CHARACTERS).and_then(|id| id.parse().ok());
        record.id = theirs.ok_or_else(|| Error::Encode("no id".to_owned()))?;
        Ok(())
    }

    async fn save(&self, record: &Record) -> session_store::Result<()> {
        let data = encode(&record.data)?;
        for _ in 0..TRIES {
            let session = self.find(&record.id).await?.ok_or_else(ended)?;
            let saved = self.0.save(&session, data.clone()).await;
            match saved.map_err(refused)? {
                Saved::Saved { .. } => return Ok(()),
                Saved::Conflict { .. } => {}
                Saved::Lost => return Err(ended()),
            }
        }
        Err(refused(SessionError::Contended))
    }

    async fn load(&self, id: &Id) -> session_store::Result<Option<Record>> {
        let Some(session) = self.find(id).await? else {
            return Ok(None);
        };
        let data = decode(&session.data)?;
        Ok(Some(Record {
            id: *id,
            data,
            expiry_date: date(session.ends),
        }))
    }

    async fn delete(&self, id: &Id) -> session_store::Result<()> {
        if let Some(session) = self.find(id).await? {
            self.0.delete(&session).await.map_err(refused)?;
        }
        Ok(())
    }
}

/// Random bytes for an id of theirs, and zeros for what an id of ours has more.
#[derive(Debug)]
struct Half(OsEntropy);

impl Entropy for Half {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), BackendError> {
        let (random, rest) = bytes.split_at_mut(bytes.len() / 2);
        rest.fill(0);
        self.0.fill(random)
    }
}

fn encode(data: &HashMap<String, Value>) -> session_store::Result<Vec<u8>> {
    if !data.values().all(is_readable) {
        let deep = "values are too deep to be read again";
        return Err(Error::Encode(deep.to_owned()));
    }
    serde_json::to_vec(data).map_err(|_| Error::Encode("values are no JSON".to_owned()))
}

fn decode(data: &[u8]) -> session_store::Result<HashMap<String, Value>> {
    serde_json::from_slice(data)
        .map_err(|_| Error::Decode("the data of the session is no JSON object".to_owned()))
}

fn date(time: Timestamp) -> OffsetDateTime {
    let nanos = i128::from(time.as_micros()) * 1_000;
    OffsetDateTime::from_unix_timestamp_nanos(nanos).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

fn refused(error: SessionError) -> Error {
    match error {
        SessionError::TooLarge { .. } => Error::Encode(error.to_string()),
        // With the code, as their errors have no other place for it.
        error => Error::Backend(format!("{}: {error}", error.code())),
    }
}

fn ended() -> Error {
    Error::Backend("the session was ended".to_owned())
}
