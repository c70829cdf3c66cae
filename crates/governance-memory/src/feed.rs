//! The change feed: a bounded list of events.

use std::{
    collections::VecDeque,
    hash::{BuildHasher, Hasher, RandomState},
};

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
///
/// A token is `m<instance>.<place>`. Nothing of a feed outlives its store, so a token of another
/// instance is taken for one of before a restart: what is behind it is not kept.
#[derive(Debug)]
pub(crate) struct Feed {
    /// Tells this feed's tokens from those of other stores.
    instance: u64,
    events: VecDeque<Event>,
    /// The place before the oldest event that is kept.
    start: u64,
    capacity: usize,
}

impl Feed {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            // The standard library's hash keys are random, and differ from call to call.
            instance: RandomState::new().build_hasher().finish(),
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

    pub(crate) fn token(&self, place: u64) -> FeedToken {
        FeedToken::new(format!("m{:016x}.{place}", self.instance))
    }

    /// The place behind which everything is kept that a token asks for.
    pub(crate) fn place(&self, token: &FeedToken) -> Result<u64, StoreError> {
        let refused = |kind, detail| Err(StoreError::new(kind, "read", detail));
        let foreign = "the token is not of this feed";
        let Some((instance, place)) = parse(token.as_str()) else {
            return refused(StoreErrorKind::InvalidInput, foreign);
        };
        if instance != self.instance {
            let detail = "the token is of another store, or of before a restart";
            return refused(StoreErrorKind::Expired, detail);
        }
        if place < self.start {
            let detail = "events behind this token are not kept any more";
            return refused(StoreErrorKind::Expired, detail);
        }
        if place > self.head() {
            return refused(StoreErrorKind::InvalidInput, foreign);
        }
        Ok(place)
    }

    pub(crate) fn read(
        &self,
        after: Option<&FeedToken>,
        limit: usize,
    ) -> Result<FeedBatch, StoreError> {
        let mut place = match after {
            Some(token) => self.place(token)?,
            None => self.start,
        };
        // No more than there are events, so it fits.
        let skip = usize::try_from(place - self.start).unwrap_or(usize::MAX);
        let events: Vec<FeedEvent> = self
            .events
            .iter()
            .skip(skip)
            .take(limit)
            .map(|event| {
                place += 1;
                FeedEvent {
                    token: self.token(place),
                    at: event.at,
                    scope: event.scope.clone(),
                    subject: event.subject.clone(),
                }
            })
            .collect();
        Ok(FeedBatch {
            events,
            next: self.token(place),
        })
    }
}

/// Instance and place, if the text is written as this provider writes tokens.
fn parse(text: &str) -> Option<(u64, u64)> {
    let (instance, place) = text.strip_prefix('m')?.split_once('.')?;
    let token = (u64::from_str_radix(instance, 16).ok()?, place.parse().ok()?);
    // Leading zeros, signs and capitals are read, but never written.
    (format!("m{:016x}.{}", token.0, token.1) == text).then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_read_as_they_are_written_only() {
        let feed = Feed::new(1);
        assert_eq!(feed.place(&feed.token(0)).unwrap(), 0);
        let own = feed.token(0).as_str().to_owned();
        let instance = feed.instance;
        for text in [
            "m0".to_owned(),
            format!("m{instance:016x}"),
            format!("m{instance:016x}.+0"),
            format!("m{instance:016x}.00"),
            format!("m0{instance:016x}.0"),
            format!("m{instance:016x}.1"),
            format!("{own}.0"),
            own[1..].to_owned(),
        ] {
            let error = feed.place(&FeedToken::new(text.clone())).unwrap_err();
            assert_eq!(error.kind(), StoreErrorKind::InvalidInput, "{text}");
        }
    }

    #[test]
    fn a_token_of_another_instance_has_expired() {
        let (one, two) = (Feed::new(1), Feed::new(1));
        let error = two.read(Some(&one.token(0)), 1).unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Expired);
    }
}
