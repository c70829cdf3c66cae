use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::try_join_all;
use governance_core::{
    Conflict, Creation, FeedSubject, IdempotencyKey, MutationRequest, RequestId, RequestStore,
    Revision, Scope, StoreError, StoreErrorKind, Written,
};
use redis_client::Operation;

use super::write::{before, encoded, event_of, not_found};
use crate::{
    RedisStore,
    apply::{After, Answer, RecordWrite, Step},
    cache::Stored,
    codec::{Event, plain_length},
    error::RedisError,
    index::key_digest,
    layout::Layout,
    script::FIND,
    shared::Found,
};

const GET_MANY: Operation = Operation::read("get_many");
/// How often a create is tried again because what it met was purged meanwhile.
const ATTEMPTS: usize = 4;
/// Documents of one answer.
const DOCUMENTS: usize = 64;

#[async_trait]
impl RequestStore for RedisStore {
    async fn create(&self, request: Arc<MutationRequest>) -> Result<Creation, StoreError> {
        let shared = &*self.shared;
        let wrap = |error: RedisError| error.at("create");
        if let Err(problem) = request.check_new() {
            let stored = shared.read(request.id()).await.map_err(wrap)?;
            return match stored {
                Some(stored) => self.existing(&request, &stored).await,
                None => Err(StoreError::history("create", problem)),
            };
        }
        shared.check_size("create", request.footprint())?;
        let partition = shared.partition(request.id().slot());
        let index = Arc::new(partition.index_of(&request));
        let frame = shared.encode(&request, &index, (0, 0)).map_err(wrap)?;
        let decisions = u16::try_from(request.decisions().len()).unwrap_or(u16::MAX);
        let record = RecordWrite {
            id: *request.id(),
            before: None,
            after: Some(After {
                frame,
                index: Arc::clone(&index),
            }),
            event: event_of(&request, None).map_err(wrap)?,
            decisions: (0, decisions),
            in_full: false,
        };
        let step = Step {
            records: vec![record],
            state: None,
        };
        for _ in 0..ATTEMPTS {
            match shared.apply(partition, &step).await.map_err(wrap)? {
                Answer::Done(told) => {
                    // Its own, as it was the only one.
                    let ordinal = told.ordinals.saturating_sub(1);
                    self.created(request, &step, ordinal, told.stamp);
                    return Ok(Creation::Created);
                }
                Answer::Conflict { stored, .. } => {
                    let stored = shared.take_in(*request.id(), &stored).map_err(wrap)?;
                    return self.existing(&request, &stored).await;
                }
                Answer::Duplicate(other) => {
                    // Purged between the two steps if it is not there: then the key is free.
                    if let Some(stored) = shared.read(&other).await.map_err(wrap)? {
                        let found = Found::Request(&stored);
                        shared.confirm(partition, found).await.map_err(wrap)?;
                        return Ok(Creation::Existing(Arc::clone(&stored.request)));
                    }
                }
                _ => return Err(RedisError::Reply("apply").at("create")),
            }
        }
        Err(RedisError::Reply("an idempotency key that leads nowhere").at("create"))
    }

    async fn try_store(
        &self,
        request: Arc<MutationRequest>,
        expected: Revision,
    ) -> Result<Written, StoreError> {
        self.write("try_store", &[(request, expected)], None).await
    }

    async fn get(&self, id: &RequestId) -> Result<Option<Arc<MutationRequest>>, StoreError> {
        let stored = self
            .shared
            .read(id)
            .await
            .map_err(|error| error.at("get"))?;
        Ok(stored.map(|stored| Arc::clone(&stored.request)))
    }

    async fn get_many(
        &self,
        ids: &[RequestId],
    ) -> Result<Vec<Option<Arc<MutationRequest>>>, StoreError> {
        let shared = &*self.shared;
        let mut places = vec![Vec::new(); shared.partitions.len()];
        for (place, id) in ids.iter().enumerate() {
            places[Layout::partition(id.slot(), shared.partitions.len())].push(place);
        }
        let reads = shared
            .partitions
            .iter()
            .zip(&places)
            .flat_map(|(partition, places)| {
                places.chunks(DOCUMENTS).map(move |places| async move {
                    let keys: Vec<_> = places
                        .iter()
                        .map(|place| partition.keys.request(&ids[*place]))
                        .collect();
                    let frames = shared.values(GET_MANY, partition, &keys).await?;
                    Ok::<_, RedisError>((places, frames))
                })
            });
        let mut found = vec![None; ids.len()];
        let reads = try_join_all(reads)
            .await
            .map_err(|error| error.at("get_many"))?;
        for (places, frames) in reads {
            for (place, frame) in places.iter().zip(frames) {
                found[*place] = frame;
            }
        }
        let decode = |(id, frame): (&RequestId, Option<bytes::Bytes>)| {
            let frame = frame?;
            let stored = shared.take_in(*id, &frame);
            Some(stored.map(|stored| Arc::clone(&stored.request)))
        };
        ids.iter()
            .zip(found)
            .map(|found| decode(found).transpose())
            .collect::<Result<_, _>>()
            .map_err(|error: RedisError| error.at("get_many"))
    }

    async fn find_by_key(
        &self,
        scope: &Scope,
        key: &IdempotencyKey,
    ) -> Result<Option<Arc<MutationRequest>>, StoreError> {
        let shared = &*self.shared;
        let wrap = |error: RedisError| error.at("find_by_key");
        let digest = key_digest(scope, key.as_str());
        let keys = &shared.partition(scope.slot()).keys;
        let call = FIND
            .call()
            .key(&keys.fence)
            .key(keys.bucket(&digest))
            .arg(&digest[..]);
        let (fence, id): (Option<Vec<u8>>, Option<Vec<u8>>) =
            shared.invoke(&call).await.map_err(wrap)?;
        shared
            .told(fence.as_deref())
            .and_then(|fence| Ok(fence.for_reading()?))
            .map_err(wrap)?;
        let Some(id) = id else {
            return Ok(None);
        };
        let id = id
            .try_into()
            .ok()
            .and_then(|id| RequestId::from_bytes(id).ok());
        let id = id.ok_or_else(|| wrap(RedisError::Reply("no request id under a key")))?;
        let stored = shared.read(&id).await.map_err(wrap)?;
        let proposal = |stored: &Arc<Stored>| {
            let proposal = stored.request.proposal();
            proposal.scope() == scope && proposal.idempotency_key() == Some(key)
        };
        Ok(stored
            .filter(proposal)
            .map(|stored| Arc::clone(&stored.request)))
    }

    async fn purge(&self, id: &RequestId, expected: Revision) -> Result<(), StoreError> {
        let shared = &*self.shared;
        let wrap = |error: RedisError| error.at("purge");
        let partition = shared.partition(id.slot());
        for _ in 0..ATTEMPTS {
            let stored = shared.read(id).await.map_err(wrap)?;
            let stored = stored.ok_or_else(|| not_found("purge", id))?;
            let request = &stored.request;
            let actual = request.revision();
            if actual != expected {
                let conflict = Conflict::Request { expected, actual };
                return Err(StoreError::conflict("purge", conflict));
            }
            if !request.status().is_terminal() {
                let detail = format!("the request is {}, which is not final", request.status());
                return Err(StoreError::new(
                    StoreErrorKind::InvalidInput,
                    "purge",
                    detail,
                ));
            }
            let event = Event {
                scope: request.proposal().scope().clone(),
                subject: FeedSubject::Purged { id: *id },
            };
            let record = RecordWrite {
                id: *id,
                before: Some(before(&stored)),
                after: None,
                event: encoded(&event).map_err(wrap)?,
                decisions: (0, 0),
                in_full: false,
            };
            let step = Step {
                records: vec![record],
                state: None,
            };
            match shared.apply(partition, &step).await.map_err(wrap)? {
                Answer::Done(_) => {
                    shared.documents.forget(id);
                    shared.slots.forget(&(partition.number, stored.ordinal));
                    return Ok(());
                }
                // Somebody was faster; the next look tells how.
                Answer::Conflict { .. } => shared.documents.forget(id),
                _ => return Err(RedisError::Reply("apply").at("purge")),
            }
        }
        Err(RedisError::Fenced.at("purge"))
    }
}

impl RedisStore {
    /// The answer to a create of an id that is taken.
    async fn existing(
        &self,
        request: &MutationRequest,
        stored: &Stored,
    ) -> Result<Creation, StoreError> {
        let first = |request: &MutationRequest| request.decisions().first().map(|d| d.operation());
        if first(request) != first(&stored.request) {
            let detail = "another request has this id";
            return Err(StoreError::new(
                StoreErrorKind::AlreadyExists,
                "create",
                detail,
            ));
        }
        let partition = self.shared.partition(request.id().slot());
        self.shared
            .confirm(partition, Found::Request(stored))
            .await
            .map_err(|error| error.at("create"))?;
        Ok(Creation::Existing(Arc::clone(&stored.request)))
    }

    /// Remembers a request as the script has stored it.
    fn created(&self, request: Arc<MutationRequest>, step: &Step, ordinal: u64, stamp: u64) {
        let after = step
            .records
            .first()
            .and_then(|record| record.after.as_ref());
        let Some((after, mut block)) =
            after.and_then(|after| Some((after, crate::codec::block_of(&after.frame)?)))
        else {
            return;
        };
        block[16..24].copy_from_slice(&ordinal.to_be_bytes());
        block[24..32].copy_from_slice(&stamp.to_be_bytes());
        self.shared.remember(Arc::new(Stored {
            block,
            ordinal,
            stamp,
            index: Arc::clone(&after.index),
            request,
            bytes: plain_length(&after.frame),
        }));
    }
}
