//! The change feed: a bounded list of events.

use std::collections::VecDeque;

use governance_core::{
    FeedBatch, FeedEvent, FeedSubject, FeedToken, MutationRequest, Scope, Status, StoreError,
    StoreErrorKind, Timestamp,
};

#[derive(Debug)]
struct Event {
    at: Timestamp,
    scope: Scope,
    subject: FeedSubject,
}

/// The last events. Places are numbers: place `n` is behind the first `n` events ever.
#[derive(Debug)]
pub(crate) struct Feed {
    events: VecDeque<Event>,
    /// The place before the oldest event that is kept.
    start: u64,
    capacity: usize,
}

impl Feed {
    pub(crate) const fn new(capacity: usize) -> Self {
        Self {
            events: VecDeque::new(),
            start: 0,
            capacity,
        }
    }

    pub(crate) fn push(&mut self, at: Timestamp, scope: Scope, subject: FeedSubject) {
        if self.events.len() == self.capacity {
            self.events.pop_front();
            self.start += 1;
        }
        self.events.push_back(Event { at, scope, subject });
    }

    pub(crate) fn request(&mut self, request: &MutationRequest, before: Option<Status>) {
        let Some(operation) = request.last_operation() else {
            return;
        };
        let subject = FeedSubject::Request {
            id: *request.id(),
            revision: request.revision(),
            before,
            after: request.status(),
            operation,
        };
        self.push(
            request.updated_at(),
            request.proposal().scope().clone(),
            subject,
        );
    }

    /// The place behind the last event.
    pub(crate) fn head(&self) -> u64 {
        self.start + self.events.len() as u64
    }

    pub(crate) fn read(&self, after: Option<u64>, limit: usize) -> Result<FeedBatch, StoreError> {
        let from = after.unwrap_or(self.start);
        if from < self.start {
            let detail = "events behind this token are not kept any more";
            return Err(StoreError::new(StoreErrorKind::Expired, "read", detail));
        }
        let Some(skip) = usize::try_from(from - self.start)
            .ok()
            .filter(|s| *s <= self.events.len())
        else {
            let detail = "the token is not of this feed";
            return Err(StoreError::new(
                StoreErrorKind::InvalidInput,
                "read",
                detail,
            ));
        };
        let mut place = from;
        let events: Vec<FeedEvent> = self
            .events
            .iter()
            .skip(skip)
            .take(limit)
            .map(|event| {
                place += 1;
                FeedEvent {
                    token: token(place),
                    at: event.at,
                    scope: event.scope.clone(),
                    subject: event.subject.clone(),
                }
            })
            .collect();
        Ok(FeedBatch {
            events,
            next: token(place),
        })
    }
}

pub(crate) fn token(place: u64) -> FeedToken {
    FeedToken::new(format!("m{place}"))
}

pub(crate) fn place(token: &FeedToken) -> Result<u64, StoreError> {
    token
        .as_str()
        .strip_prefix('m')
        .and_then(|place| place.parse().ok())
        .ok_or_else(|| {
            let detail = "the token is not of this feed";
            StoreError::new(StoreErrorKind::InvalidInput, "read", detail)
        })
}
