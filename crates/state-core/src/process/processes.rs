//! The front.

use std::{future::Future, sync::Arc, time::Duration};

use crate::{
    clock::{Clock, MonotonicClock, Timestamp},
    entropy::{Entropy, OsEntropy},
    error::{BackendError, Classified as _},
    lock::{Fence, Released},
    name::Namespace,
    observe::{Capability, NoObserver, Observation, Observer},
    operation::OperationId,
    process::{
        Beat, Change, Claim, Claimed, Created, Deleted, EventBatch, EventCursor, Expect, Kept,
        Listing, NewProcess, PageCursor, Payload, Process, ProcessError, ProcessOptions,
        ProcessPage, ProcessStore, Save, Saved, Status,
    },
};

/// Processes on a backend. A clone is a handle to the same.
///
/// Calls that change something are repeated under their operation id when the reply was lost, until
/// [`ProcessOptions::deadline`] has passed.
#[derive(Debug, Clone)]
pub struct Processes(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Arc<dyn ProcessStore>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    observer: Arc<dyn Observer>,
}

/// Longest id of a process or a worker in bytes.
const MAX_ID_BYTES: usize = 512;

impl Processes {
    /// Processes on a backend, with the local clock and the system's randomness.
    #[must_use]
    pub fn new(store: Arc<dyn ProcessStore>) -> Self {
        Self::observed(
            store,
            Arc::new(MonotonicClock::new()),
            Arc::new(OsEntropy),
            Arc::new(NoObserver),
        )
    }

    /// The same with everything passed in. The clock is for local deadlines.
    #[must_use]
    pub fn observed(
        store: Arc<dyn ProcessStore>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        observer: Arc<dyn Observer>,
    ) -> Self {
        Self(Arc::new(Inner {
            store,
            clock,
            entropy,
            observer,
        }))
    }

    /// The settings of the store.
    #[must_use]
    pub fn options(&self) -> &ProcessOptions {
        self.0.store.options()
    }

    pub(super) fn clock(&self) -> &Arc<dyn Clock> {
        &self.0.clock
    }

    /// Creates a process unless its id is taken.
    ///
    /// # Errors
    ///
    /// [`ProcessError::Invalid`] and [`ProcessError::TooLarge`] for what cannot be created;
    /// [`ProcessError::Backend`].
    ///
    /// # Cancel safety
    ///
    /// It may have been created when the future is dropped.
    ///
    /// # Round trips
    ///
    /// One; more when replies are lost.
    pub async fn create(&self, new: NewProcess) -> Result<Created, ProcessError> {
        self.checked("create", self.check_new(&new))?;
        let operation = self.checked("create", self.operation())?;
        let since = self.0.clock.now();
        let created = self
            .settled(since, || self.0.store.create(&new, operation))
            .await;
        self.tell("create", Some(since), &created, |created| match created {
            Created::Created { .. } => "created",
            Created::Exists { .. } => "exists",
            Created::AlreadyApplied { .. } => "already_applied",
        });
        Ok(match created? {
            // It was this very call.
            Created::AlreadyApplied { version } => Created::Created { version },
            created => created,
        })
    }

    /// Reads a process.
    ///
    /// # Errors
    ///
    /// [`ProcessError::Backend`], with [`Decode`](crate::ErrorKind::Decode) for a record that cannot
    /// be read.
    ///
    /// # Cancel safety
    ///
    /// Changes nothing.
    ///
    /// # Round trips
    ///
    /// One.
    pub async fn get(&self, id: &str) -> Result<Option<Process>, ProcessError> {
        self.checked("get", check_id("id", id))?;
        let since = self.started();
        let found = self.0.store.get(id).await;
        self.tell("get", since, &found, |found| {
            if found.is_some() { "found" } else { "absent" }
        });
        Ok(found?)
    }

    /// Changes a process.
    ///
    /// A claimed process needs the fence of the claim. A change that ends the process is carried
    /// out even when the caller stops waiting for it.
    ///
    /// # Errors
    ///
    /// As [`create`](Self::create).
    ///
    /// # Cancel safety
    ///
    /// It may have been written when the future is dropped.
    ///
    /// # Round trips
    ///
    /// One; more when replies are lost.
    pub async fn save(
        &self,
        id: &str,
        change: Change,
        expect: Expect,
        fence: Option<Fence>,
    ) -> Result<Saved, ProcessError> {
        let sources = sources(change.new_status());
        self.write(id, change, expect, fence, sources, false).await
    }

    /// Moves a process to a status, if it stands in one of those named and may go on from there.
    ///
    /// # Errors
    ///
    /// As [`create`](Self::create).
    ///
    /// # Cancel safety
    ///
    /// It may have been written when the future is dropped.
    ///
    /// # Round trips
    ///
    /// One; more when replies are lost.
    pub async fn transition(
        &self,
        id: &str,
        allowed_from: &[Status],
        to: Status,
        fence: Option<Fence>,
    ) -> Result<Saved, ProcessError> {
        let sources = sources(Some(to))
            .into_iter()
            .filter(|from| allowed_from.contains(from))
            .collect();
        let change = Change::new().status(to);
        self.write(id, change, Expect::Any, fence, sources, false)
            .await
    }

    /// Ends a process whoever has it: a worker that writes afterwards is refused.
    ///
    /// # Errors
    ///
    /// As [`create`](Self::create).
    ///
    /// # Cancel safety
    ///
    /// It is cancelled even when the future is dropped after the first poll.
    ///
    /// # Round trips
    ///
    /// One; more when replies are lost.
    pub async fn cancel(&self, id: &str) -> Result<Saved, ProcessError> {
        let change = Change::new().status(Status::Cancelled);
        let sources = sources(Some(Status::Cancelled));
        self.write(id, change, Expect::Any, None, sources, true)
            .await
    }

    /// Deletes a process, live or ended.
    ///
    /// # Errors
    ///
    /// [`ProcessError::Backend`]; with an unknown outcome it may have been deleted.
    ///
    /// # Cancel safety
    ///
    /// It may have been deleted when the future is dropped.
    ///
    /// # Round trips
    ///
    /// One.
    pub async fn delete(&self, id: &str, expect: Expect) -> Result<Deleted, ProcessError> {
        self.checked("delete", check_id("id", id))?;
        let since = self.started();
        let deleted = self.0.store.delete(id, expect).await;
        self.tell("delete", since, &deleted, |deleted| match deleted {
            Deleted::Deleted => "deleted",
            Deleted::NotFound => "not_found",
            Deleted::Conflict { .. } => "conflict",
        });
        Ok(deleted?)
    }

    /// Claims a process for a worker, for the lease of the options.
    ///
    /// # Errors
    ///
    /// As [`create`](Self::create).
    ///
    /// # Cancel safety
    ///
    /// It may have been claimed when the future is dropped; the claim then runs out.
    ///
    /// # Round trips
    ///
    /// One; more when replies are lost.
    pub async fn claim(&self, id: &str, worker: &str) -> Result<Claimed, ProcessError> {
        self.checked("claim", check_id("id", id))?;
        self.checked("claim", check_id("worker", worker))?;
        let operation = self.checked("claim", self.operation())?;
        let lease = self.options().lease;
        let since = self.0.clock.now();
        let claimed = self
            .settled(since, || self.0.store.claim(id, worker, lease, operation))
            .await;
        self.tell("claim", Some(since), &claimed, |claimed| match claimed {
            Claimed::Claimed(_) => "claimed",
            Claimed::Busy { .. } => "busy",
            Claimed::NotFound => "not_found",
            Claimed::Ended { .. } => "ended",
        });
        Ok(claimed?)
    }

    /// Claims a process and keeps it by heartbeats in the background; `None` when it cannot be
    /// claimed now.
    ///
    /// # Errors
    ///
    /// As [`create`](Self::create).
    ///
    /// # Cancel safety
    ///
    /// As [`claim`](Self::claim).
    ///
    /// # Round trips
    ///
    /// One; more when replies are lost.
    pub async fn claim_and_keep(
        &self,
        id: &str,
        worker: &str,
    ) -> Result<Option<Kept>, ProcessError> {
        let asked = self.0.clock.now();
        Ok(match self.claim(id, worker).await? {
            Claimed::Claimed(claim) => Some(Kept::begin(self.clone(), claim, asked)),
            _ => None,
        })
    }

    /// Claims the next process whose worker went silent, the longest silent one first; `None` when
    /// there is none on the first page.
    ///
    /// # Errors
    ///
    /// As [`create`](Self::create).
    ///
    /// # Cancel safety
    ///
    /// As [`claim`](Self::claim).
    ///
    /// # Round trips
    ///
    /// Two for the page, one for every attempt.
    pub async fn claim_orphan(&self, worker: &str) -> Result<Option<Claim>, ProcessError> {
        let orphans = self.list(Listing::Orphans, None).await?;
        for orphan in orphans.items {
            if let Claimed::Claimed(claim) = self.claim(&orphan.id, worker).await? {
                return Ok(Some(claim));
            }
        }
        Ok(None)
    }

    /// Prolongs a claim by its lease, from now on.
    ///
    /// # Errors
    ///
    /// [`ProcessError::Backend`]; repeating it is safe.
    ///
    /// # Cancel safety
    ///
    /// It may have been prolonged when the future is dropped.
    ///
    /// # Round trips
    ///
    /// One.
    pub async fn heartbeat(&self, claim: &Claim) -> Result<Beat, ProcessError> {
        let since = self.started();
        let beat = self.0.store.heartbeat(claim).await;
        self.tell("heartbeat", since, &beat, |beat| match beat {
            Beat::Alive => "alive",
            Beat::Lost => "lost",
        });
        Ok(beat?)
    }

    /// Gives a claim back.
    ///
    /// # Errors
    ///
    /// [`ProcessError::Backend`]; the claim runs out by itself.
    ///
    /// # Cancel safety
    ///
    /// It may have been given back when the future is dropped.
    ///
    /// # Round trips
    ///
    /// One.
    pub async fn release(&self, claim: &Claim) -> Result<Released, ProcessError> {
        let since = self.started();
        let released = self.0.store.release(claim).await;
        self.tell("release", since, &released, |released| released.as_str());
        Ok(released?)
    }

    /// One page of a listing. A record that cannot be read does not break it.
    ///
    /// # Errors
    ///
    /// [`ProcessError::Cursor`] for a cursor of another store; [`ProcessError::Backend`].
    ///
    /// # Cancel safety
    ///
    /// Changes nothing.
    ///
    /// # Round trips
    ///
    /// Two for every shard that is looked into.
    pub async fn list(
        &self,
        listing: Listing<'_>,
        after: Option<&PageCursor>,
    ) -> Result<ProcessPage, ProcessError> {
        if let Listing::ByKind(kind) = listing {
            self.checked("list", check_kind(kind))?;
        }
        let since = self.started();
        let page = self.0.store.list(listing, after).await;
        let outcome = page.as_ref().map_or_else(|error| error.code(), |_| "page");
        self.observe("list", outcome, since);
        page
    }

    /// Where the events end now: read on from here.
    ///
    /// # Errors
    ///
    /// [`ProcessError::Backend`].
    ///
    /// # Cancel safety
    ///
    /// Changes nothing.
    ///
    /// # Round trips
    ///
    /// One for every shard.
    pub async fn events_end(&self) -> Result<EventCursor, ProcessError> {
        let since = self.started();
        let end = self.0.store.events_end().await;
        self.tell("events_end", since, &end, |_| "found");
        Ok(end?)
    }

    /// Events behind a place. Waits for the first one for at most so long.
    ///
    /// Events are trimmed; when some were lost unread, [`EventBatch::gap`] says so.
    ///
    /// # Errors
    ///
    /// [`ProcessError::Cursor`] for a cursor of another store; [`ProcessError::Backend`].
    ///
    /// # Cancel safety
    ///
    /// Changes nothing.
    ///
    /// # Round trips
    ///
    /// One for every shard, and one more when it waits.
    pub async fn events(
        &self,
        after: &EventCursor,
        wait: Duration,
    ) -> Result<EventBatch, ProcessError> {
        let since = self.started();
        let (store, most) = (&self.0.store, self.options().page_size);
        let batch = store.events(after, most, wait).await;
        let outcome = match &batch {
            Ok(batch) if batch.gap => "gap",
            Ok(_) => "read",
            Err(error) => error.code(),
        };
        self.observe("events", outcome, since);
        batch
    }

    async fn write(
        &self,
        id: &str,
        change: Change,
        expect: Expect,
        fence: Option<Fence>,
        allowed_from: Vec<Status>,
        overrides_claim: bool,
    ) -> Result<Saved, ProcessError> {
        self.checked("save", check_id("id", id))?;
        self.checked("save", self.check_change(&change))?;
        let operation = self.checked("save", self.operation())?;
        let ends = change.new_status().is_some_and(Status::is_ended);
        let (this, id) = (self.clone(), id.to_owned());
        let write = async move {
            let save = Save {
                change: &change,
                expect,
                fence,
                allowed_from: &allowed_from,
                overrides_claim,
                operation,
            };
            let since = this.0.clock.now();
            let saved = this.settled(since, || this.0.store.save(&id, &save)).await;
            this.tell("save", Some(since), &saved, |saved| match saved {
                Saved::Saved { .. } => "saved",
                Saved::Conflict { .. } => "conflict",
                Saved::NotFound => "not_found",
                Saved::Fenced { .. } => "fenced",
                Saved::BadTransition { .. } => "bad_transition",
                Saved::AlreadyApplied { .. } => "already_applied",
            });
            Ok(match saved? {
                // It was this very call.
                Saved::AlreadyApplied { version } => Saved::Saved { version },
                saved => saved,
            })
        };
        if !ends {
            return write.await;
        }
        // The end of a process does not depend on who still waits for it.
        tokio::spawn(write).await.unwrap_or_else(|error| {
            let message = "the write was broken off";
            let lost = BackendError::unexpected("process.save", message);
            Err(lost.caused_by(error).into())
        })
    }

    /// Repeats a call that can be repeated while nobody knows what came of it.
    async fn settled<T, F>(&self, since: Timestamp, call: impl Fn() -> F) -> Result<T, BackendError>
    where
        F: Future<Output = Result<T, BackendError>>,
    {
        let until = since.saturating_add(self.options().deadline);
        let mut pause = Duration::from_millis(5);
        loop {
            let error = match call().await {
                Err(error) if error.outcome_unknown() && error.is_retryable() => error,
                settled => return settled,
            };
            let next = self.0.clock.now().saturating_add(pause);
            if next >= until {
                return Err(error);
            }
            self.0.clock.sleep_until(next).await;
            pause = (pause * 2).min(Duration::from_millis(500));
        }
    }

    fn operation(&self) -> Result<OperationId, ProcessError> {
        Ok(OperationId::random(&*self.0.entropy)?)
    }

    /// What is refused before anything is sent is an outcome, too.
    fn checked<T>(
        &self,
        operation: &'static str,
        checked: Result<T, ProcessError>,
    ) -> Result<T, ProcessError> {
        checked.inspect_err(|error| self.observe(operation, error.code(), None))
    }

    fn check_new(&self, new: &NewProcess) -> Result<(), ProcessError> {
        check_id("id", &new.id)?;
        check_kind(&new.kind)?;
        if new.status.is_ended() {
            return Err(invalid("status", "one that is not an end"));
        }
        self.check_payload(&new.payload)
    }

    fn check_change(&self, change: &Change) -> Result<(), ProcessError> {
        if change.new_percent().is_some_and(|percent| percent > 100) {
            return Err(invalid("percent", "0 to 100"));
        }
        let is_long =
            |text: Option<&str>| text.is_some_and(|text| text.len() > Change::MAX_TEXT_BYTES);
        if is_long(change.new_step()) {
            return Err(invalid("step", "at most 4096 bytes"));
        }
        if is_long(change.new_error()) {
            return Err(invalid("error", "at most 4096 bytes"));
        }
        change
            .new_payload()
            .map_or(Ok(()), |payload| self.check_payload(payload))
    }

    fn check_payload(&self, payload: &Payload) -> Result<(), ProcessError> {
        if payload.format().len() > Payload::MAX_FORMAT_BYTES {
            return Err(invalid("format", "at most 64 bytes"));
        }
        let (bytes, most) = (payload.bytes().len(), self.options().max_payload_bytes);
        if bytes > most {
            return Err(ProcessError::TooLarge { bytes, most });
        }
        Ok(())
    }

    fn tell<T>(
        &self,
        operation: &'static str,
        since: Option<Timestamp>,
        result: &Result<T, BackendError>,
        name: impl FnOnce(&T) -> &'static str,
    ) {
        let outcome = match result {
            Ok(value) => name(value),
            Err(error) => error.code(),
        };
        self.observe(operation, outcome, since);
    }

    /// The time a call began, where somebody wants to know how long it took.
    fn started(&self) -> Option<Timestamp> {
        self.0.observer.listens().then(|| self.0.clock.now())
    }

    fn observe(&self, operation: &'static str, outcome: &'static str, since: Option<Timestamp>) {
        if !self.0.observer.listens() {
            return;
        }
        self.0.observer.operation(&Observation {
            capability: Capability::Process,
            operation,
            outcome,
            namespace: "",
            duration: since.map(|since| self.0.clock.now().saturating_since(since)),
        });
    }
}

/// From which statuses a change may be made.
fn sources(to: Option<Status>) -> Vec<Status> {
    let leads = |from: &Status| to.map_or(!from.is_ended(), |to| from.may_become(to));
    Status::ALL.into_iter().filter(leads).collect()
}

const fn invalid(argument: &'static str, rule: &'static str) -> ProcessError {
    ProcessError::Invalid { argument, rule }
}

fn check_id(argument: &'static str, id: &str) -> Result<(), ProcessError> {
    if (1..=MAX_ID_BYTES).contains(&id.len()) {
        Ok(())
    } else {
        Err(invalid(argument, "1 to 512 bytes"))
    }
}

fn check_kind(kind: &str) -> Result<(), ProcessError> {
    let checked = Namespace::new(kind);
    checked
        .map(drop)
        .map_err(|_| invalid("kind", "1 to 64 characters of a-z 0-9 . _ -"))
}
