//! What the model keeps, and what it does with it.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use governance_core::{
    Commit, Conflict, Creation, FeedSubject, IdempotencyKey, MutationRequest, OperationId,
    RequestId, RequestWrite, Revision, Scope, StateSnapshot, StateVersion, StateWrite, StoreError,
    StoreErrorKind, Timestamp, Written,
};

#[derive(Debug, Clone)]
pub(crate) struct State {
    pub(crate) version: StateVersion,
    pub(crate) body: Option<Bytes>,
    pub(crate) operation: OperationId,
}

#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) at: Timestamp,
    pub(crate) scope: Scope,
    pub(crate) subject: FeedSubject,
}

/// Everything, without anything to find it by.
#[derive(Debug, Clone, Default)]
pub(crate) struct Data {
    /// By the order of submission.
    pub(crate) requests: BTreeMap<u64, Arc<MutationRequest>>,
    pub(crate) created: u64,
    /// Request and index of every decision, in the order they were stored. What is purged leaves
    /// a place nobody finds.
    pub(crate) journal: Vec<(u64, usize)>,
    pub(crate) states: BTreeMap<Scope, State>,
    /// What happened. The first `trimmed` events are not kept any more.
    pub(crate) events: Vec<Event>,
    pub(crate) trimmed: usize,
    pub(crate) kept_events: Option<usize>,
}

pub(crate) fn missing(port: &'static str, id: &RequestId) -> StoreError {
    let detail = format!("there is no request {id}");
    StoreError::new(StoreErrorKind::NotFound, port, detail)
}

impl Data {
    pub(crate) fn find(&self, id: &RequestId) -> Option<(u64, &Arc<MutationRequest>)> {
        let mut all = self.requests.iter();
        all.find(|(_, request)| request.id() == id)
            .map(|(place, request)| (*place, request))
    }

    pub(crate) fn by_key(
        &self,
        scope: &Scope,
        key: &IdempotencyKey,
    ) -> Option<&Arc<MutationRequest>> {
        self.requests.values().find(|request| {
            let proposal = request.proposal();
            proposal.scope() == scope && proposal.idempotency_key() == Some(key)
        })
    }

    pub(crate) fn create(&mut self, request: Arc<MutationRequest>) -> Result<Creation, StoreError> {
        if let Some((_, existing)) = self.find(request.id()) {
            let first =
                |request: &MutationRequest| request.decisions().first().map(|d| d.operation());
            if first(existing) == first(&request) {
                return Ok(Creation::Existing(Arc::clone(existing)));
            }
            let detail = "another request has this id";
            let kind = StoreErrorKind::AlreadyExists;
            return Err(StoreError::new(kind, "create", detail));
        }
        request
            .check_new()
            .map_err(|problem| StoreError::history("create", problem))?;
        if let Some(key) = request.proposal().idempotency_key()
            && let Some(existing) = self.by_key(request.proposal().scope(), key)
        {
            return Ok(Creation::Existing(Arc::clone(existing)));
        }
        let place = self.created;
        self.created += 1;
        self.put(place, None, request);
        Ok(Creation::Created)
    }

    /// Stores a form of a request and tells of it, unchecked.
    pub(crate) fn put(
        &mut self,
        place: u64,
        before: Option<&Arc<MutationRequest>>,
        after: Arc<MutationRequest>,
    ) {
        let known = before.map_or(0, |before| before.decisions().len());
        let new = known..after.decisions().len();
        self.journal.extend(new.map(|index| (place, index)));
        if let Some(operation) = after.last_operation() {
            self.tell(
                after.updated_at(),
                after.proposal().scope().clone(),
                FeedSubject::Request {
                    id: *after.id(),
                    revision: after.revision(),
                    before: before.map(|before| before.status()),
                    after: after.status(),
                    operation,
                },
            );
        }
        self.requests.insert(place, after);
    }

    pub(crate) fn tell(&mut self, at: Timestamp, scope: Scope, subject: FeedSubject) {
        self.events.push(Event { at, scope, subject });
        if let Some(kept) = self.kept_events {
            self.trimmed = self.trimmed.max(self.events.len().saturating_sub(kept));
        }
    }

    pub(crate) fn commit(
        &mut self,
        port: &'static str,
        commit: &Commit,
    ) -> Result<Written, StoreError> {
        let mut checked = Vec::new();
        for (i, RequestWrite { request, expected }) in commit.requests().iter().enumerate() {
            let (place, stored) = self
                .find(request.id())
                .ok_or_else(|| missing(port, request.id()))?;
            let actual = stored.revision();
            let operation = request.last_operation();
            let known = |operation| stored.outcome_of(operation).is_some();
            // Who knows the stored revision and sends a shorter history repeats nothing.
            let shorter = request.decisions().len() < stored.decisions().len();
            let cut = actual == *expected && shorter;
            if i == 0 && !cut && operation.is_some_and(known) {
                return Ok(Written::AlreadyApplied(Arc::clone(stored)));
            }
            if actual != *expected {
                let conflict = Conflict::Request {
                    expected: *expected,
                    actual,
                };
                return Err(StoreError::conflict(port, conflict));
            }
            request
                .check_extends(stored)
                .map_err(|problem| StoreError::history(port, problem))?;
            checked.push((place, Arc::clone(stored), Arc::clone(request)));
        }
        if let Some(write) = commit.state() {
            self.check_state(port, write)?;
        }
        let at = checked.first().map(|(_, _, after)| after.updated_at());
        for (place, before, after) in checked {
            self.put(place, Some(&before), after);
        }
        if let Some(write) = commit.state() {
            self.put_state(write, at.unwrap_or(Timestamp::EPOCH));
        }
        Ok(Written::Applied)
    }

    pub(crate) fn purge(
        &mut self,
        id: &RequestId,
        expected: Revision,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let (place, stored) = self.find(id).ok_or_else(|| missing("purge", id))?;
        let actual = stored.revision();
        if actual != expected {
            let conflict = Conflict::Request { expected, actual };
            return Err(StoreError::conflict("purge", conflict));
        }
        if !stored.status().is_terminal() {
            let kind = StoreErrorKind::InvalidInput;
            return Err(StoreError::new(kind, "purge", "the request is not final"));
        }
        let (at, scope) = (
            at.max(stored.updated_at()),
            stored.proposal().scope().clone(),
        );
        self.requests.remove(&place);
        self.tell(at, scope, FeedSubject::Purged { id: *id });
        Ok(())
    }

    pub(crate) fn load(&self, scope: &Scope) -> StateSnapshot {
        match self.states.get(scope) {
            None => StateSnapshot::ABSENT,
            Some(state) => StateSnapshot {
                version: state.version,
                body: state.body.clone(),
            },
        }
    }

    pub(crate) fn save(
        &mut self,
        write: &StateWrite,
        at: Timestamp,
    ) -> Result<StateVersion, StoreError> {
        let after = write.expected.next();
        let repeated = |state: &State| state.version == after && state.operation == write.operation;
        if !self.states.get(&write.scope).is_some_and(repeated) {
            self.check_state("save", write)?;
            self.put_state(write, at);
        }
        Ok(after)
    }

    fn check_state(&self, port: &'static str, write: &StateWrite) -> Result<(), StoreError> {
        let (expected, actual) = (write.expected, self.load(&write.scope).version);
        if expected == actual {
            Ok(())
        } else {
            Err(StoreError::conflict(
                port,
                Conflict::State { expected, actual },
            ))
        }
    }

    pub(crate) fn put_state(&mut self, write: &StateWrite, at: Timestamp) {
        let version = write.expected.next();
        let state = State {
            version,
            body: write.body.clone(),
            operation: write.operation,
        };
        self.states.insert(write.scope.clone(), state);
        self.tell(at, write.scope.clone(), FeedSubject::State { version });
    }
}
