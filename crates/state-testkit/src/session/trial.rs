//! What a case works with.

use std::{any::Any, sync::Arc, time::Duration};

use async_trait::async_trait;
use state_core::{
    Clock, Entropy, OsEntropy,
    session::{
        Created, Found, NewSession, Session, SessionKeys, SessionOptions, SessionStore, Sessions,
    },
};

use crate::{Passage, RecordingObserver};

/// A backend under test.
#[async_trait]
pub trait SessionHarness: Send + Sync {
    /// A store without sessions, with these settings.
    async fn fresh(&self, options: SessionOptions) -> SessionParts;
}

#[async_trait]
impl<H: SessionHarness + ?Sized> SessionHarness for Arc<H> {
    async fn fresh(&self, options: SessionOptions) -> SessionParts {
        (**self).fresh(options).await
    }
}

/// A store and what belongs to it.
#[expect(
    missing_debug_implementations,
    reason = "what a harness keeps alive need not have one"
)]
pub struct SessionParts {
    /// The store.
    pub store: Arc<dyn SessionStore>,
    /// The local clock of fronts.
    pub clock: Arc<dyn Clock>,
    /// How time passes.
    pub passage: Arc<dyn Passage>,
    /// The same sessions with other settings, as after a restart with them.
    pub reopened: Box<dyn Fn(SessionOptions) -> Arc<dyn SessionStore> + Send + Sync>,
    /// What must live as long as the store: a server.
    pub guard: Box<dyn Any + Send + Sync>,
}

/// One case with a store of its own.
#[expect(missing_debug_implementations, reason = "as its parts")]
pub struct SessionTrial {
    /// The store and what belongs to it.
    pub parts: SessionParts,
    /// What the front of the trial told.
    pub observer: RecordingObserver,
    /// The front.
    pub sessions: Sessions,
}

/// After this time without requests sessions of a trial end.
pub(super) const IDLE: Duration = Duration::from_millis(500);
/// After this time in all.
pub(super) const AGE: Duration = Duration::from_millis(1_200);
/// So many sessions a user may have.
pub(super) const MOST: usize = 3;

const SECRET: &[u8] = b"the first secret, 32 bytes or more";
const NEXT: &[u8] = b"the second secret, 32 bytes or more";

impl SessionTrial {
    /// A trial on a fresh store with these settings.
    pub async fn begin(harness: &dyn SessionHarness, options: SessionOptions) -> Self {
        let parts = harness.fresh(options).await;
        let observer = RecordingObserver::new();
        let keys = SessionKeys::new(SECRET).expect("long enough");
        let sessions = front(&parts, &observer, keys, &Front::default());
        Self {
            parts,
            observer,
            sessions,
        }
    }

    /// Another front of the same secret.
    pub(super) fn front(&self, like: &Front) -> Sessions {
        let keys = SessionKeys::new(SECRET).expect("long enough");
        front(&self.parts, &self.observer, keys, like)
    }

    /// A front on the same sessions with other settings.
    pub(super) fn reopened(&self, options: SessionOptions) -> Sessions {
        let store = (self.parts.reopened)(options);
        let (clock, observer) = (Arc::clone(&self.parts.clock), self.observer.clone());
        let keys = SessionKeys::new(SECRET).expect("long enough");
        Sessions::observed(store, keys, clock, Arc::new(OsEntropy), Arc::new(observer))
    }

    /// A front with the next secret, that still knows the first.
    pub(super) fn rotated(&self) -> Sessions {
        let keys = SessionKeys::new(NEXT).and_then(|keys| keys.previous(SECRET));
        let keys = keys.expect("long enough");
        front(&self.parts, &self.observer, keys, &Front::default())
    }

    pub(super) async fn pass(&self, time: Duration) {
        self.parts.passage.pass(time).await;
    }

    /// Creates a session, and gives the cookie.
    pub(super) async fn login(&self, new: NewSession) -> (String, Session) {
        match self.sessions.create(new).await.expect("an answer") {
            Created::Created { id, session } => (id.expose().to_string(), session),
            Created::Revoked => panic!("it was revoked"),
        }
    }

    pub(super) async fn load(&self, cookie: &str) -> Found {
        self.sessions.load(cookie).await.expect("an answer")
    }

    pub(super) async fn live(&self, cookie: &str) -> Session {
        match self.load(cookie).await {
            Found::Live(session) => session,
            other => panic!("{other:?}"),
        }
    }
}

/// What a front has that is not as usual.
#[derive(Default)]
pub(super) struct Front {
    pub(super) clock: Option<Arc<dyn Clock>>,
    pub(super) entropy: Option<Arc<dyn Entropy>>,
}

fn front(
    parts: &SessionParts,
    observer: &RecordingObserver,
    keys: SessionKeys,
    like: &Front,
) -> Sessions {
    let clock = like.clock.as_ref().unwrap_or(&parts.clock);
    let entropy = like.entropy.clone();
    Sessions::observed(
        Arc::clone(&parts.store),
        keys,
        Arc::clone(clock),
        entropy.unwrap_or_else(|| Arc::new(OsEntropy)),
        Arc::new(observer.clone()),
    )
}
