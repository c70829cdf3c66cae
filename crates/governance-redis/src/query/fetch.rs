//! Documents of candidates.

use std::{collections::HashMap, sync::Arc};

use futures_util::future::try_join_all;
use governance_core::{MutationRequest, RequestId, query::Undecodable};
use redis_client::Operation;

use super::source::Candidate;
use crate::{
    error::RedisError,
    layout::Layout,
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
    let mut ids: Vec<Vec<(RequestId, u64)>> = vec![Vec::new(); count];
    let mut seen = HashMap::with_capacity(candidates.len());
    for candidate in candidates {
        if seen.insert(candidate.id, ()).is_none() {
            let partition = Layout::partition(candidate.id.slot(), count);
            ids[partition].push((candidate.id, candidate.ordinal));
        }
    }
    let reads = shared
        .partitions
        .iter()
        .zip(&ids)
        .flat_map(|(partition, ids)| {
            ids.chunks(AT_ONCE).map(move |ids| async move {
                let keys: Vec<_> = ids
                    .iter()
                    .map(|(id, _)| partition.keys.request(id))
                    .collect();
                let frames = shared.values(DOCUMENTS, partition, &keys).await?;
                let fetched = ids.iter().zip(frames).map(|((id, ordinal), frame)| {
                    let Some(frame) = frame else {
                        shared.documents.forget(id);
                        return (*id, Fetched::Gone);
                    };
                    let fetched = match shared.take_in(*id, &frame) {
                        Ok(stored) if stored.ordinal != *ordinal => {
                            // The table was read before the server lost what it had told.
                            shared.slots.forget(&(partition.number, *ordinal));
                            Fetched::Gone
                        }
                        Ok(stored) => Fetched::Request(Arc::clone(&stored.request)),
                        Err(error) => Fetched::Unreadable(Undecodable {
                            id: id.to_string(),
                            problem: full_text(&error),
                        }),
                    };
                    (*id, fetched)
                });
                Ok::<_, RedisError>(fetched.collect::<Vec<_>>())
            })
        });
    Ok(try_join_all(reads).await?.into_iter().flatten().collect())
}
