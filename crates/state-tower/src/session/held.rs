//! What a request holds of its session.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use state_core::session::{NewSession, Session, SessionId};

use super::RequestSessionError;

/// Values by key.
pub(super) type Values = Map<String, Value>;

/// A session that is good.
pub(super) struct Live {
    pub(super) session: Session,
    /// Nothing when what is stored cannot be read.
    pub(super) values: Option<Values>,
}

impl Live {
    pub(super) fn new(session: Session) -> Self {
        // No data is a session that another program created and wrote nothing to.
        let values = if session.data.is_empty() {
            Some(Values::new())
        } else {
            serde_json::from_slice(&session.data).ok()
        };
        Self { session, values }
    }
}

/// What is known of the session.
pub(super) enum Held {
    /// It was not asked for.
    Unread,
    /// There is none.
    Nobody,
    /// The backend did not answer, and the options say that this is nobody.
    Unknown,
    /// It is good.
    Live(Box<Live>),
}

/// What becomes of the cookie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Keep,
    Set,
    Remove,
}

pub(super) struct State {
    pub(super) held: Held,
    /// What opens the session: sent by the client, or new.
    pub(super) id: Option<SessionId>,
    /// Whether the client has a cookie of the name.
    pub(super) is_sent: bool,
    /// The last change of every key that was changed; nothing for a removal.
    pub(super) changes: BTreeMap<String, Option<Value>>,
    pub(super) cookie: Change,
    /// Whether the backend failed in a call of the handler.
    pub(super) has_failed: bool,
    pub(super) is_answered: bool,
}

impl State {
    pub(super) fn new(id: Option<SessionId>, is_sent: bool) -> Self {
        Self {
            held: Held::Unread,
            id,
            is_sent,
            changes: BTreeMap::new(),
            cookie: Change::Keep,
            has_failed: false,
            is_answered: false,
        }
    }

    pub(super) fn live(&self) -> Option<&Live> {
        match &self.held {
            Held::Live(live) => Some(live),
            _ => None,
        }
    }

    /// Something can be changed.
    pub(super) fn check_open(&self) -> Result<(), RequestSessionError> {
        match self.held {
            _ if self.is_answered => Err(RequestSessionError::Answered),
            Held::Unknown => Err(RequestSessionError::Unavailable),
            _ => Ok(()),
        }
    }

    /// What is stored, without the changes.
    pub(super) fn stored(&self) -> Result<Option<&Values>, RequestSessionError> {
        match self.live() {
            Some(live) => match &live.values {
                Some(values) => Ok(Some(values)),
                None => Err(RequestSessionError::Data),
            },
            None => Ok(None),
        }
    }

    pub(super) fn value(&self, key: &str) -> Result<Option<&Value>, RequestSessionError> {
        let stored = self.stored()?;
        Ok(match self.changes.get(key) {
            Some(changed) => changed.as_ref(),
            None => stored.and_then(|values| values.get(key)),
        })
    }

    /// What is stored, with the changes.
    pub(super) fn merged(&self) -> Result<Values, RequestSessionError> {
        let mut values = self.stored()?.cloned().unwrap_or_default();
        for (key, change) in &self.changes {
            match change {
                Some(value) => values.insert(key.clone(), value.clone()),
                None => values.remove(key),
            };
        }
        Ok(values)
    }

    /// A session to be created, with what was changed.
    pub(super) fn anew(&self) -> Result<NewSession, RequestSessionError> {
        Ok(NewSession::new(encode(&self.merged()?)?))
    }

    /// There is a session, and its id is new.
    pub(super) fn begin(&mut self, id: SessionId, session: Session) {
        self.held = Held::Live(Box::new(Live::new(session)));
        self.id = Some(id);
        self.cookie = Change::Set;
    }

    /// The session was ended elsewhere. The cookie stays: a login that ended it gives the client
    /// another one, perhaps before this answer, and what opens nothing does no harm.
    pub(super) fn lose(&mut self) {
        self.held = Held::Nobody;
        self.changes.clear();
        self.id = None;
        self.cookie = Change::Keep;
    }

    /// There is no session any more, and what was changed in it goes, too.
    pub(super) fn end(&mut self) {
        self.held = Held::Nobody;
        self.changes.clear();
        self.id = None;
        // A client that has none has none to remove.
        self.cookie = if self.is_sent {
            Change::Remove
        } else {
            Change::Keep
        };
    }
}

pub(super) fn encode(values: &Values) -> Result<Vec<u8>, RequestSessionError> {
    serde_json::to_vec(values).map_err(|_| RequestSessionError::Value)
}
