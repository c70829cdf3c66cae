//! Documents of candidates.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use futures_util::future::try_join_all;
use governance_core::{MutationRequest, RequestId, query::Undecodable};
use redis_client::{Operation, Topology};

use super::source::Candidate;
use crate::{
    error::RedisError,
    layout::Layout,
    partition::Partition,
    shared::{Shared, full_text},
};

const DOCUMENTS: Operation = Operation::read("query_documents");
/// Documents of one answer: about 128 KiB of them.
const AT_ONCE: usize = 64;

/// What became of a candidate.
#[derive(Debug, Clone)]
pub(super) enum Fetched {
    Request(Arc<MutationRequest>),
    Unreadable(Undecodable),
    /// Purged meanwhile.
    Gone,
}

/// The documents of these candidates, each once. One round trip, to all partitions at once.
pub(super) async fn fetch(
    shared: &Shared,
    candidates: &[Candidate],
) -> Result<HashMap<RequestId, Fetched>, RedisError> {
    let count = shared.partitions.len();
    let is_cluster = matches!(shared.client.config().topology(), Topology::Cluster);
    // One server gives documents of all partitions in one answer.
    let mut groups: Vec<Vec<Wanted<'_>>> = vec![Vec::new(); if is_cluster { count } else { 1 }];
    let mut seen = HashSet::with_capacity(candidates.len());
    for candidate in candidates {
        if seen.insert(candidate.id) {
            let number = Layout::partition(candidate.id.slot(), count);
            let wanted = Wanted {
                partition: &shared.partitions[number],
                id: candidate.id,
                ordinal: candidate.ordinal,
            };
            groups[if is_cluster { number } else { 0 }].push(wanted);
        }
    }
    let reads = groups
        .iter()
        .flat_map(|group| group.chunks(AT_ONCE))
        .map(|group| read(shared, group));
    Ok(try_join_all(reads).await?.into_iter().flatten().collect())
}

/// A document that is asked for.
#[derive(Clone)]
struct Wanted<'a> {
    partition: &'a Partition,
    id: RequestId,
    ordinal: u64,
}

/// Documents that one server can give together.
async fn read(
    shared: &Shared,
    group: &[Wanted<'_>],
) -> Result<Vec<(RequestId, Fetched)>, RedisError> {
    let Some(first) = group.first() else {
        return Ok(Vec::new());
    };
    let mut partitions: Vec<&Partition> = group.iter().map(|wanted| wanted.partition).collect();
    partitions.sort_unstable_by_key(|partition| partition.number);
    partitions.dedup_by_key(|partition| partition.number);
    // With the fences, so a document that was moved away is never taken for one that is not there.
    let fences = partitions
        .iter()
        .map(|partition| partition.keys.fence.clone());
    let documents = group
        .iter()
        .map(|wanted| wanted.partition.keys.request(&wanted.id));
    let keys: Vec<_> = fences.chain(documents).collect();
    let mut frames = shared
        .mget(DOCUMENTS, first.partition, &keys)
        .await?
        .into_iter();
    for fence in frames.by_ref().take(partitions.len()) {
        shared.told(fence.as_deref())?.for_reading()?;
    }
    let fetched = group.iter().zip(frames).map(|(wanted, frame)| {
        let (id, ordinal) = (wanted.id, wanted.ordinal);
        let Some(frame) = frame else {
            shared.documents.forget(&id);
            return (id, Fetched::Gone);
        };
        let fetched = match shared.take_in(id, &frame) {
            Ok(stored) if stored.ordinal != ordinal => {
                // The table was read before the server lost what it had told.
                shared.slots.forget(&(wanted.partition.number, ordinal));
                Fetched::Gone
            }
            Ok(stored) => Fetched::Request(Arc::clone(&stored.request)),
            Err(error) => Fetched::Unreadable(Undecodable {
                id: id.to_string(),
                problem: full_text(&error),
            }),
        };
        (id, fetched)
    });
    Ok(fetched.collect())
}
