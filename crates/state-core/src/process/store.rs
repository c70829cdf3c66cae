//! The port of a backend.

use std::{fmt, time::Duration};

use async_trait::async_trait;

use crate::{
    error::BackendError,
    lock::{Fence, Released},
    operation::OperationId,
    process::{
        Beat, Change, Claim, Claimed, EventBatch, EventCursor, Expect, Listing, NewProcess,
        PageCursor, Process, ProcessError, ProcessOptions, ProcessPage, Status, Version,
    },
};

/// How a creation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Created {
    /// It is there now.
    Created {
        /// Its first version.
        version: Version,
    },
    /// One with this id is there already.
    Exists {
        /// Its version.
        version: Version,
    },
    /// The same operation created it before.
    AlreadyApplied {
        /// The version that had.
        version: Version,
    },
}

/// How a write ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Saved {
    /// It was written.
    Saved {
        /// The new version.
        version: Version,
    },
    /// Somebody else wrote first.
    Conflict {
        /// The version that is there.
        current: Version,
        /// Where the process stands.
        status: Status,
    },
    /// There is no such process.
    NotFound,
    /// The process is claimed, and the write has no fence or a lower one.
    Fenced {
        /// The fence of the last claim.
        current: Fence,
    },
    /// The status does not follow from the one that is there.
    BadTransition {
        /// Where the process stands.
        from: Status,
    },
    /// The same operation was written before.
    AlreadyApplied {
        /// The version that gave.
        version: Version,
    },
}

/// How a deletion ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deleted {
    /// It is gone.
    Deleted,
    /// It was not there.
    NotFound,
    /// It has another version.
    Conflict {
        /// The version that is there.
        current: Version,
    },
}

/// A write, as a backend gets it.
#[derive(Debug, Clone)]
pub struct Save<'a> {
    /// What is to change.
    pub change: &'a Change,
    /// What it is based on.
    pub expect: Expect,
    /// The fence of the claim it is made under.
    pub fence: Option<Fence>,
    /// From which statuses it may be made. One with an end among them may be made on an ended
    /// process only when it names no status; the process stays ended, since when and until when it
    /// is kept do not change.
    pub allowed_from: &'a [Status],
    /// Whether it needs no fence and makes every claim there is worthless.
    pub overrides_claim: bool,
    /// Under which name it can be repeated.
    pub operation: OperationId,
}

/// What a backend of [`Processes`](crate::process::Processes) can do, each in one atomic step that
/// goes by the backend's time and keeps every listing in step with the records.
///
/// The order of the checks of a write is part of the contract: repeated operation, absence,
/// version, fence, status.
#[async_trait]
pub trait ProcessStore: fmt::Debug + Send + Sync + 'static {
    /// The settings.
    fn options(&self) -> &ProcessOptions;

    /// Creates a process unless its id is taken.
    async fn create(
        &self,
        new: &NewProcess,
        operation: OperationId,
    ) -> Result<Created, BackendError>;

    /// Reads a process.
    async fn get(&self, id: &str) -> Result<Option<Process>, BackendError>;

    /// Changes a process.
    async fn save(&self, id: &str, save: &Save<'_>) -> Result<Saved, BackendError>;

    /// Deletes a process.
    async fn delete(&self, id: &str, expect: Expect) -> Result<Deleted, BackendError>;

    /// Claims a process for a worker. The same operation of the same worker gets the same claim.
    async fn claim(
        &self,
        id: &str,
        worker: &str,
        lease: Duration,
        operation: OperationId,
    ) -> Result<Claimed, BackendError>;

    /// Prolongs a claim.
    async fn heartbeat(&self, claim: &Claim) -> Result<Beat, BackendError>;

    /// Gives a claim back.
    async fn release(&self, claim: &Claim) -> Result<Released, BackendError>;

    /// One page of a listing.
    async fn list(
        &self,
        listing: Listing<'_>,
        after: Option<&PageCursor>,
    ) -> Result<ProcessPage, ProcessError>;

    /// Where the events end now.
    async fn events_end(&self) -> Result<EventCursor, BackendError>;

    /// Events behind a place, at most so many of each shard. Waits for the first one for so long.
    async fn events(
        &self,
        after: &EventCursor,
        most: usize,
        wait: Duration,
    ) -> Result<EventBatch, ProcessError>;
}
