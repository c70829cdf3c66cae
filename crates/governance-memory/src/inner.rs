//! Everything the store holds, behind one lock. No code of a user runs in here.
//!
//! A write is checked and applied under the lock: the revision, the size, then every index. What
//! the new record alone tells is made before, and so is what is told by it and the stored one, as
//! long as that one is still stored when the lock is held: see [`Prepared`] and [`Basis`].

use std::{
    borrow::Cow,
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use bytes::Bytes;
use governance_core::{
    Conflict, Creation, FeedSubject, HistoryError, IdempotencyKey, MutationRequest, OperationId,
    RequestId, Revision, Scope, StateSnapshot, StateVersion, StateWrite, StoreError,
    StoreErrorKind, Term, Terms, Timestamp, Written, passing_terms, terms,
};

use smallvec::SmallVec;

use crate::{feed::Feed, journal::Journal, postings::Posting};

/// By texts that callers choose: hashed with a secret of this process, so that nobody can choose
/// many that collide.
pub(crate) type Map<K, V> = HashMap<K, V, foldhash::quality::RandomState>;

#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) ordinal: u32,
    pub(crate) request: Arc<MutationRequest>,
}

#[derive(Debug)]
struct StateRecord {
    version: StateVersion,
    body: Option<Bytes>,
    operation: OperationId,
}

/// Documents and everything they are found by.
#[derive(Debug)]
pub(crate) struct Inner {
    /// Ids are mostly random and made by the library, so their hash needs to be quick and no more.
    pub(crate) by_id: HashMap<RequestId, Entry, foldhash::fast::RandomState>,
    /// By ordinal, which is the order of submission. Ordinals are never used again.
    pub(crate) by_ordinal: Vec<Option<Arc<MutationRequest>>>,
    pub(crate) live: Posting,
    pub(crate) postings: Map<Term, Posting>,
    pub(crate) due: BTreeSet<(Timestamp, u32)>,
    keys: Map<(Scope, IdempotencyKey), RequestId>,
    states: Map<Scope, StateRecord>,
    pub(crate) journal: Journal,
    pub(crate) feed: Feed,
    document_limit: usize,
}

/// A request to write, with what its indexes need, made before the lock is taken.
pub(crate) struct Prepared {
    request: Arc<MutationRequest>,
    /// All of its terms if it is new, else those that may differ from the form before.
    terms: Terms,
    due: Option<Timestamp>,
    footprint: usize,
    basis: Option<Basis>,
}

impl Prepared {
    /// Of a new request.
    pub(crate) fn new(request: Arc<MutationRequest>) -> Self {
        Self::with(terms(&request), None, request)
    }

    /// Of the next form of a request, to replace the stored one. If another is stored by the time
    /// the lock is held, all that is lost is the work.
    pub(crate) fn next(
        request: Arc<MutationRequest>,
        expected: Revision,
        stored: Option<Arc<MutationRequest>>,
    ) -> Self {
        // Any other form is refused by its revision alone.
        let basis = stored
            .filter(|stored| stored.revision() == expected)
            .map(|stored| Basis::of(&request, stored));
        Self::with(passing_terms(&request), basis, request)
    }

    fn with(terms: Terms, basis: Option<Basis>, request: Arc<MutationRequest>) -> Self {
        Self {
            terms,
            due: request.due_at(),
            footprint: request.footprint(),
            basis,
            request,
        }
    }

    /// What the stored form tells: made before, unless that was another form.
    fn basis(&self, stored: &Arc<MutationRequest>) -> Cow<'_, Basis> {
        match &self.basis {
            Some(basis) if Arc::ptr_eq(&basis.stored, stored) => Cow::Borrowed(basis),
            _ => Cow::Owned(Basis::of(&self.request, Arc::clone(stored))),
        }
    }
}

/// The stored form that a new one is to replace, and what can be told from both.
#[derive(Clone)]
struct Basis {
    stored: Arc<MutationRequest>,
    extends: Result<(), HistoryError>,
    /// The terms that may differ. Making them again costs less than keeping them for every
    /// request.
    terms: Terms,
}

impl Basis {
    fn of(next: &MutationRequest, stored: Arc<MutationRequest>) -> Self {
        Self {
            extends: next.check_extends(&stored),
            terms: passing_terms(&stored),
            stored,
        }
    }
}

/// A stored request to remove, with the terms it is found by.
pub(crate) struct Leaving {
    stored: Arc<MutationRequest>,
    terms: Terms,
}

impl Leaving {
    pub(crate) fn of(stored: Arc<MutationRequest>) -> Self {
        Self {
            terms: terms(&stored),
            stored,
        }
    }
}

/// One request write that was checked and may be applied.
struct Checked<'a> {
    ordinal: u32,
    basis: Cow<'a, Basis>,
    after: &'a Prepared,
}

impl Inner {
    pub(crate) fn new(document_limit: usize, feed_capacity: usize) -> Self {
        Self {
            by_id: HashMap::default(),
            by_ordinal: Vec::new(),
            live: Posting::default(),
            postings: Map::default(),
            due: BTreeSet::new(),
            keys: Map::default(),
            states: Map::default(),
            journal: Journal::default(),
            feed: Feed::new(feed_capacity),
            document_limit,
        }
    }

    pub(crate) fn create(&mut self, new: &Prepared) -> Result<Creation, StoreError> {
        let request = &new.request;
        if let Some(existing) = self.by_id.get(request.id()) {
            let same = existing.request.decisions().first().map(|d| d.operation())
                == request.decisions().first().map(|d| d.operation());
            return if same {
                Ok(Creation::Existing(Arc::clone(&existing.request)))
            } else {
                let detail = "another request has this id";
                Err(StoreError::new(
                    StoreErrorKind::AlreadyExists,
                    "create",
                    detail,
                ))
            };
        }
        request
            .check_new()
            .map_err(|problem| StoreError::history("create", problem))?;
        self.check_size("create", new)?;
        let key = key_of(request);
        if let Some(existing) = key.as_ref().and_then(|key| self.keys.get(key))
            && let Some(entry) = self.by_id.get(existing)
        {
            return Ok(Creation::Existing(Arc::clone(&entry.request)));
        }
        let Ok(ordinal) = u32::try_from(self.by_ordinal.len()) else {
            let detail = "the store has given out all its ordinals";
            return Err(StoreError::new(
                StoreErrorKind::Unexpected,
                "create",
                detail,
            ));
        };
        if let Some(key) = key {
            self.keys.insert(key, *request.id());
        }
        for term in &new.terms {
            self.find_by(term, ordinal);
        }
        if let Some(due) = new.due {
            self.due.insert((due, ordinal));
        }
        self.live.insert(ordinal);
        self.journal.append(ordinal, 0..request.decisions().len());
        self.feed.request(request, None);
        self.by_ordinal.push(Some(Arc::clone(request)));
        let entry = Entry {
            ordinal,
            request: Arc::clone(request),
        };
        self.by_id.insert(*request.id(), entry);
        Ok(Creation::Created)
    }

    /// Requests and a state in one step: everything is checked before anything is changed.
    pub(crate) fn write(
        &mut self,
        port: &'static str,
        requests: &[(Prepared, Revision)],
        state: Option<&StateWrite>,
    ) -> Result<Written, StoreError> {
        // Nearly always it is one.
        let mut checked: SmallVec<[_; 1]> = SmallVec::with_capacity(requests.len());
        for (i, (new, expected)) in requests.iter().enumerate() {
            let request = &new.request;
            let entry = self.entry(port, request.id())?;
            let actual = entry.request.revision();
            // What was done once is not done again, whatever the revision. But who knows the
            // stored revision and sends a shorter history repeats nothing: it is refused below.
            let cut =
                actual == *expected && request.decisions().len() < entry.request.decisions().len();
            let done = i == 0
                && !cut
                && request
                    .last_operation()
                    .is_some_and(|operation| entry.request.outcome_of(operation).is_some());
            if done {
                return Ok(Written::AlreadyApplied(Arc::clone(&entry.request)));
            }
            if actual != *expected {
                let conflict = Conflict::Request {
                    expected: *expected,
                    actual,
                };
                return Err(StoreError::conflict(port, conflict));
            }
            let basis = new.basis(&entry.request);
            if let Err(problem) = &basis.extends {
                return Err(StoreError::history(port, problem.clone()));
            }
            self.check_size(port, new)?;
            checked.push(Checked {
                ordinal: entry.ordinal,
                basis,
                after: new,
            });
        }
        if let Some(write) = state {
            self.check_state(port, write)?;
        }
        for write in checked {
            self.replace(write);
        }
        if let Some(write) = state {
            let at = requests
                .first()
                .map_or(Timestamp::EPOCH, |(new, _)| new.request.updated_at());
            self.put_state(write, at);
        }
        Ok(Written::Applied)
    }

    fn replace(&mut self, write: Checked<'_>) {
        let Checked {
            ordinal,
            basis,
            after: new,
        } = write;
        let (before, after) = (&basis.stored, &new.request);
        let old = &basis.terms;
        for term in old.removed(&new.terms) {
            self.forget(term, ordinal);
        }
        for term in old.added(&new.terms) {
            self.find_by(term, ordinal);
        }
        let (due_before, due_after) = (before.due_at(), new.due);
        if due_before != due_after {
            if let Some(due) = due_before {
                self.due.remove(&(due, ordinal));
            }
            if let Some(due) = due_after {
                self.due.insert((due, ordinal));
            }
        }
        self.journal
            .append(ordinal, before.decisions().len()..after.decisions().len());
        self.feed.request(after, Some(before.status()));
        if let Some(slot) = self.by_ordinal.get_mut(ordinal as usize) {
            *slot = Some(Arc::clone(after));
        }
        self.by_id.insert(
            *after.id(),
            Entry {
                ordinal,
                request: Arc::clone(after),
            },
        );
    }

    fn find_by(&mut self, term: &Term, ordinal: u32) {
        // Most terms are known, and those are not cloned.
        match self.postings.get_mut(term) {
            Some(posting) => posting.insert(ordinal),
            None => self
                .postings
                .entry(term.clone())
                .or_default()
                .insert(ordinal),
        }
    }

    fn forget(&mut self, term: &Term, ordinal: u32) {
        if let Some(posting) = self.postings.get_mut(term) {
            posting.remove(ordinal);
            if posting.len() == 0 {
                self.postings.remove(term);
            }
        }
    }

    pub(crate) fn purge(
        &mut self,
        id: &RequestId,
        expected: Revision,
        at: Timestamp,
        leaving: Option<Leaving>,
    ) -> Result<(), StoreError> {
        let entry = self.entry("purge", id)?;
        let actual = entry.request.revision();
        if actual != expected {
            let conflict = Conflict::Request { expected, actual };
            return Err(StoreError::conflict("purge", conflict));
        }
        if !entry.request.status().is_terminal() {
            let detail = format!(
                "the request is {}, which is not final",
                entry.request.status()
            );
            return Err(StoreError::new(
                StoreErrorKind::InvalidInput,
                "purge",
                detail,
            ));
        }
        let (ordinal, request) = (entry.ordinal, Arc::clone(&entry.request));
        let leaving = leaving
            .filter(|leaving| Arc::ptr_eq(&leaving.stored, &request))
            .unwrap_or_else(|| Leaving::of(Arc::clone(&request)));
        for term in &leaving.terms {
            self.forget(term, ordinal);
        }
        if let Some(key) = key_of(&request) {
            self.keys.remove(&key);
        }
        self.live.remove(ordinal);
        self.journal
            .forget(request.decisions().len(), &self.by_ordinal, ordinal);
        if let Some(slot) = self.by_ordinal.get_mut(ordinal as usize) {
            *slot = None;
        }
        self.by_id.remove(id);
        let scope = request.proposal().scope().clone();
        self.feed.push(
            at.max(request.updated_at()),
            scope,
            FeedSubject::Purged { id: *id },
        );
        Ok(())
    }

    pub(crate) fn find_by_key(
        &self,
        scope: &Scope,
        key: &IdempotencyKey,
    ) -> Option<Arc<MutationRequest>> {
        let id = self.keys.get(&(scope.clone(), key.clone()))?;
        self.by_id.get(id).map(|entry| Arc::clone(&entry.request))
    }

    pub(crate) fn load(&self, scope: &Scope) -> StateSnapshot {
        self.states
            .get(scope)
            .map_or(StateSnapshot::ABSENT, |record| StateSnapshot {
                version: record.version,
                body: record.body.clone(),
            })
    }

    pub(crate) fn save(
        &mut self,
        write: &StateWrite,
        at: Timestamp,
    ) -> Result<StateVersion, StoreError> {
        let after = write.expected.next();
        if let Some(record) = self.states.get(&write.scope)
            && (record.version, record.operation) == (after, write.operation)
        {
            return Ok(after);
        }
        self.check_state("save", write)?;
        self.put_state(write, at);
        Ok(after)
    }

    fn check_state(&self, port: &'static str, write: &StateWrite) -> Result<(), StoreError> {
        let actual = self
            .states
            .get(&write.scope)
            .map_or(StateVersion::ABSENT, |r| r.version);
        if actual != write.expected {
            let conflict = Conflict::State {
                expected: write.expected,
                actual,
            };
            return Err(StoreError::conflict(port, conflict));
        }
        self.check_bytes(port, write.body.as_ref().map_or(0, Bytes::len))
    }

    fn put_state(&mut self, write: &StateWrite, at: Timestamp) {
        let version = write.expected.next();
        let record = StateRecord {
            version,
            body: write.body.clone(),
            operation: write.operation,
        };
        self.states.insert(write.scope.clone(), record);
        self.feed
            .push(at, write.scope.clone(), FeedSubject::State { version });
    }

    fn entry(&self, port: &'static str, id: &RequestId) -> Result<&Entry, StoreError> {
        self.by_id.get(id).ok_or_else(|| {
            StoreError::new(
                StoreErrorKind::NotFound,
                port,
                format!("there is no request {id}"),
            )
        })
    }

    fn check_size(&self, port: &'static str, new: &Prepared) -> Result<(), StoreError> {
        // What ends a request without executing it is let through: it could not be ended
        // otherwise.
        if new.request.ended_unexecuted() && new.request.revision() > Revision::FIRST {
            return Ok(());
        }
        self.check_bytes(port, new.footprint)
    }

    fn check_bytes(&self, port: &'static str, bytes: usize) -> Result<(), StoreError> {
        if bytes > self.document_limit {
            let detail = format!("{bytes} bytes, at most {} are allowed", self.document_limit);
            return Err(StoreError::new(StoreErrorKind::TooLarge, port, detail));
        }
        Ok(())
    }
}

fn key_of(request: &MutationRequest) -> Option<(Scope, IdempotencyKey)> {
    let proposal = request.proposal();
    proposal
        .idempotency_key()
        .map(|key| (proposal.scope().clone(), key.clone()))
}
