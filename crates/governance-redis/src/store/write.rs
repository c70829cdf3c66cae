//! The write that all changes of stored requests go through.

use std::sync::Arc;

use bytes::Bytes;
use governance_core::{
    Conflict, FeedSubject, MutationRequest, RequestId, Revision, StateVersion, StateWrite, Status,
    StoreError, StoreErrorKind, Written,
};
use redis_client::Operation;

use super::states::{state_conflict, stored_state};
use crate::{
    RedisStore,
    apply::{After, Answer, Before, RecordWrite, StateRecordWrite, Step},
    cache::Stored,
    codec::{Event, StateRecord, block_of, encode_state, plain_length},
    error::RedisError,
    index::IndexRecord,
    partition::Partition,
    shared::{Found, Shared},
};

const READ: Operation = Operation::read("read_before_write");
/// How often a write is put together anew: every try was beaten by another writer or by a change
/// of the index.
const ATTEMPTS: usize = 8;

/// A stored request as this process knows it.
struct Known {
    stored: Arc<Stored>,
    /// Whether the server has told it during this write.
    fresh: bool,
}

/// What to do about one request of a write.
enum Verdict {
    Go,
    /// What is known may be old: ask the server.
    Ask,
    Done(Written),
}

impl RedisStore {
    /// Writes requests and a state in one step.
    ///
    /// Everything is judged here, on what is stored; the script only compares that it still is.
    pub(super) async fn write(
        &self,
        port: &'static str,
        requests: &[(Arc<MutationRequest>, Revision)],
        state: Option<&StateWrite>,
    ) -> Result<Written, StoreError> {
        let shared = &*self.shared;
        let wrap = |error: RedisError| error.at(port);
        let Some((first, _)) = requests.first() else {
            return Err(StoreError::new(
                StoreErrorKind::InvalidInput,
                port,
                "nothing to write",
            ));
        };
        if let Some(write) = state {
            shared.check_size(port, write.body.as_ref().map_or(0, Bytes::len))?;
        }
        let partition = shared.partition(first.id().slot());
        let mut known: Vec<Option<Known>> = requests
            .iter()
            .map(|(request, _)| {
                let stored = shared.documents.get(request.id())?;
                Some(Known {
                    stored,
                    fresh: false,
                })
            })
            .collect();
        'attempts: for _ in 0..ATTEMPTS {
            read_missing(shared, partition, port, requests, &mut known).await?;
            for (i, ((request, expected), known)) in requests.iter().zip(&mut known).enumerate() {
                let Some(found) = known else {
                    return Err(not_found(port, request.id()));
                };
                match judge(port, request, *expected, found, i == 0)? {
                    Verdict::Go => check_size(shared, port, request)?,
                    Verdict::Ask => {
                        *known = None;
                        continue 'attempts;
                    }
                    Verdict::Done(written) => {
                        let found = Found::Request(&found.stored);
                        shared.confirm(partition, found).await.map_err(wrap)?;
                        return Ok(written);
                    }
                }
            }
            let step = step(shared, partition, requests, &known, state).map_err(wrap)?;
            let answer = shared.apply(partition, &step).await;
            let answer = answer.map_err(|error| {
                // Whatever became of it, what is known here may be old now.
                requests
                    .iter()
                    .for_each(|(request, _)| shared.documents.forget(request.id()));
                wrap(error)
            })?;
            match answer {
                Answer::Done(_) => {
                    self.written(requests, step);
                    return Ok(Written::Applied);
                }
                Answer::Conflict { record, stored } => {
                    let id = requests.get(record).map(|(request, _)| *request.id());
                    let id = id.ok_or_else(|| wrap(RedisError::Reply("apply")))?;
                    if stored.is_empty() {
                        shared.documents.forget(&id);
                        return Err(not_found(port, &id));
                    }
                    let stored = shared.take_in(id, &stored).map_err(wrap)?;
                    let before = known[record].as_ref().map(|known| &*known.stored);
                    shared.check_request(before, &stored).map_err(wrap)?;
                    known[record] = Some(Known {
                        stored,
                        fresh: true,
                    });
                }
                Answer::State(stored) => {
                    let stored = stored_state(&stored).map_err(wrap)?;
                    let Some(write) = state else {
                        return Err(wrap(RedisError::Reply("apply")));
                    };
                    let conflict = state_conflict(write, stored.as_ref());
                    return Err(StoreError::conflict(port, conflict));
                }
                _ => return Err(wrap(RedisError::Reply("apply"))),
            }
        }
        Err(wrap(RedisError::Fenced))
    }

    /// Remembers what the script has stored.
    fn written(&self, requests: &[(Arc<MutationRequest>, Revision)], step: Step) {
        for ((request, _), record) in requests.iter().zip(step.records) {
            let (Some(before), Some(after)) = (record.before, record.after) else {
                continue;
            };
            let (Some(block), Some(stamp)) = (block_of(&after.frame), before.stamp()) else {
                continue;
            };
            self.shared.remember(Arc::new(Stored {
                block,
                ordinal: before.ordinal,
                stamp,
                index: after.index,
                request: Arc::clone(request),
                bytes: plain_length(&after.frame),
            }));
        }
    }
}

/// Reads what is not known, in one round trip.
async fn read_missing(
    shared: &Shared,
    partition: &Partition,
    port: &'static str,
    requests: &[(Arc<MutationRequest>, Revision)],
    known: &mut [Option<Known>],
) -> Result<(), StoreError> {
    let wrap = |error: RedisError| error.at(port);
    let missing: Vec<usize> = (0..known.len()).filter(|i| known[*i].is_none()).collect();
    let keys: Vec<_> = missing
        .iter()
        .map(|i| partition.keys.request(requests[*i].0.id()))
        .collect();
    let frames = shared.values(READ, partition, &keys).await.map_err(wrap)?;
    for (i, frame) in missing.into_iter().zip(frames) {
        let id = *requests[i].0.id();
        let Some(frame) = frame else {
            shared.documents.forget(&id);
            return Err(not_found(port, &id));
        };
        let stored = shared.take_in(id, &frame).map_err(wrap)?;
        known[i] = Some(Known {
            stored,
            fresh: true,
        });
    }
    Ok(())
}

fn judge(
    port: &'static str,
    request: &MutationRequest,
    expected: Revision,
    known: &Known,
    is_first: bool,
) -> Result<Verdict, StoreError> {
    let stored = &known.stored.request;
    let actual = stored.revision();
    // What was done once is not done again, whatever the revision. But who knows the stored
    // revision and sends a shorter history repeats nothing: it is refused below.
    let cut = actual == expected && request.decisions().len() < stored.decisions().len();
    let done = is_first
        && !cut
        && request
            .last_operation()
            .is_some_and(|operation| stored.outcome_of(operation).is_some());
    if done {
        return Ok(if known.fresh {
            Verdict::Done(Written::AlreadyApplied(Arc::clone(stored)))
        } else {
            Verdict::Ask
        });
    }
    if actual == expected {
        return match request.check_extends(stored) {
            Ok(()) => Ok(Verdict::Go),
            Err(_) if !known.fresh => Ok(Verdict::Ask),
            Err(problem) => Err(StoreError::history(port, problem)),
        };
    }
    if !known.fresh {
        return Ok(Verdict::Ask);
    }
    Err(StoreError::conflict(
        port,
        Conflict::Request { expected, actual },
    ))
}

fn check_size(
    shared: &Shared,
    port: &'static str,
    request: &MutationRequest,
) -> Result<(), StoreError> {
    // What ends a request without executing it is let through: it could not be ended otherwise.
    if request.ended_unexecuted() && request.revision() > Revision::FIRST {
        return Ok(());
    }
    shared.check_size(port, request.footprint())
}

fn step(
    shared: &Shared,
    partition: &Partition,
    requests: &[(Arc<MutationRequest>, Revision)],
    known: &[Option<Known>],
    state: Option<&StateWrite>,
) -> Result<Step, RedisError> {
    let mut step = Step::default();
    for ((request, _), known) in requests.iter().zip(known) {
        let Some(Known { stored, .. }) = known else {
            continue;
        };
        let index = Arc::new(IndexRecord::after(request, &stored.index));
        let frame = shared.encode(request, &index, (stored.ordinal, stored.stamp))?;
        let (old, new) = (stored.request.decisions().len(), request.decisions().len());
        step.records.push(RecordWrite {
            id: *request.id(),
            before: Some(before(stored)),
            after: Some(After { frame, index }),
            event: event_of(request, Some(stored.request.status()))?,
            decisions: (short(old), short(new.saturating_sub(old))),
            in_full: false,
        });
    }
    if let Some(write) = state {
        step.state = Some(state_step(shared, partition, write)?);
    }
    Ok(step)
}

/// A number of decisions; there are at most 10 000 of one request.
fn short(number: usize) -> u16 {
    u16::try_from(number).unwrap_or(u16::MAX)
}

/// The part of a step that writes a state.
pub(super) fn state_step(
    shared: &Shared,
    partition: &Partition,
    write: &StateWrite,
) -> Result<StateRecordWrite, RedisError> {
    let after: StateVersion = write.expected.next();
    let record = StateRecord {
        slot: Some(write.scope.slot().get()),
        version: after.get(),
        operation: write.operation,
        body: write.body.clone(),
    };
    let event = Event {
        scope: write.scope.clone(),
        subject: FeedSubject::State { version: after },
    };
    Ok(StateRecordWrite {
        key: partition.keys.state(&write.scope),
        expected: write.expected.get(),
        record: encode_state(&record, shared.options.compression),
        event: encoded(&event)?,
    })
}

/// The event of a write of a request.
pub(super) fn event_of(
    request: &MutationRequest,
    before: Option<Status>,
) -> Result<Vec<u8>, RedisError> {
    let Some(operation) = request.last_operation() else {
        return Ok(Vec::new());
    };
    let event = Event {
        scope: request.proposal().scope().clone(),
        subject: FeedSubject::Request {
            id: *request.id(),
            revision: request.revision(),
            before,
            after: request.status(),
            operation,
        },
    };
    encoded(&event)
}

/// The bytes of an event.
pub(super) fn encoded(event: &Event) -> Result<Vec<u8>, RedisError> {
    event
        .encode()
        .ok_or(RedisError::Reply("an event of a kind that is not known"))
}

pub(super) fn before(stored: &Stored) -> Before {
    Before {
        block: stored.block,
        ordinal: stored.ordinal,
        index: Arc::clone(&stored.index),
    }
}

pub(super) fn not_found(port: &'static str, id: &RequestId) -> StoreError {
    StoreError::new(
        StoreErrorKind::NotFound,
        port,
        format!("there is no request {id}"),
    )
}
