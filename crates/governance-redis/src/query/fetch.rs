//! Documents of candidates.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

use bytes::Bytes;
use futures_util::future::try_join_all;
use governance_core::{MutationRequest, RequestId, query::Undecodable};
use redis_client::{
    Key, Operation, Topology,
    redis::{Cmd, Value},
};

use super::source::Candidate;
use crate::{
    error::RedisError,
    partition::Partition,
    shared::{Shared, full_text, mget, values_of},
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

/// A candidate whose document is wanted.
struct Wanted<'a> {
    partition: &'a Partition,
    id: RequestId,
    ordinal: u64,
    /// What was read, if there was something.
    frame: Option<Bytes>,
}

impl<'a> Wanted<'a> {
    fn new(shared: &'a Shared, candidate: &Candidate) -> Self {
        Self {
            partition: shared.partition(candidate.id.slot()),
            id: candidate.id,
            ordinal: candidate.ordinal,
            frame: None,
        }
    }
}

/// What became of these candidates, in their order. One round trip, to all partitions at once;
/// none if all documents came early.
pub(super) async fn fetch(
    shared: &Shared,
    candidates: &[Candidate],
    early: &mut Early,
    may_repeat: bool,
) -> Result<Vec<Fetched>, RedisError> {
    let all = || {
        candidates
            .iter()
            .map(|candidate| Wanted::new(shared, candidate))
    };
    if !may_repeat {
        return once(shared, all().collect(), early).await;
    }
    // Decisions about one request need its document once.
    let mut numbers = HashMap::with_capacity(candidates.len());
    let mut firsts = Vec::new();
    for wanted in all() {
        if let Entry::Vacant(place) = numbers.entry(wanted.id) {
            place.insert(firsts.len());
            firsts.push(wanted);
        }
    }
    let fetched = once(shared, firsts, early).await?;
    let of = |candidate: &Candidate| {
        let number = numbers.get(&candidate.id)?;
        fetched.get(*number).cloned()
    };
    let all = candidates.iter().map(of);
    Ok(all
        .map(|fetched| fetched.unwrap_or(Fetched::Gone))
        .collect())
}

async fn once(
    shared: &Shared,
    mut all: Vec<Wanted<'_>>,
    early: &mut Early,
) -> Result<Vec<Fetched>, RedisError> {
    let is_cluster = matches!(shared.client.config().topology(), Topology::Cluster);
    // One server gives documents of all partitions in one answer.
    let count = if is_cluster {
        shared.partitions.len()
    } else {
        1
    };
    let mut groups: Vec<Vec<&mut Wanted<'_>>> = (0..count).map(|_| Vec::new()).collect();
    for wanted in &mut all {
        wanted.frame = early.take(&wanted.id);
        if wanted.frame.is_none() {
            let number = usize::from(wanted.partition.number);
            groups[if is_cluster { number } else { 0 }].push(wanted);
        }
    }
    let reads = groups
        .iter_mut()
        .flat_map(|group| group.chunks_mut(AT_ONCE))
        .map(|group| read(shared, group));
    try_join_all(reads).await?;
    drop(groups);
    Ok(take_in(shared, &all))
}

/// Reads documents that one server can give together.
async fn read(shared: &Shared, group: &mut [&mut Wanted<'_>]) -> Result<(), RedisError> {
    let Some(first) = group.first() else {
        return Ok(());
    };
    let partition = first.partition;
    let (fences, keys) = keys(group.iter().map(|wanted| (wanted.partition, wanted.id)));
    let frames = shared.mget(DOCUMENTS, partition, &keys).await?;
    let frames = behind_fences(shared, frames, fences)?;
    for (wanted, frame) in group.iter_mut().zip(frames) {
        wanted.frame = frame;
    }
    Ok(())
}

/// The keys to ask for: the fences, so a document that was moved away is never taken for one that
/// is not there, and how many they are; then the documents.
fn keys<'a>(wanted: impl Iterator<Item = (&'a Partition, RequestId)> + Clone) -> (usize, Vec<Key>) {
    let mut partitions: Vec<&Partition> = wanted.clone().map(|(partition, _)| partition).collect();
    partitions.sort_unstable_by_key(|partition| partition.number);
    partitions.dedup_by_key(|partition| partition.number);
    let fences = partitions
        .iter()
        .map(|partition| partition.keys.fence.clone());
    let documents = wanted.map(|(partition, id)| partition.keys.request(&id));
    (partitions.len(), fences.chain(documents).collect())
}

/// The documents of an answer, if the fences before them allow it.
fn behind_fences(
    shared: &Shared,
    frames: Vec<Option<Bytes>>,
    fences: usize,
) -> Result<impl Iterator<Item = Option<Bytes>>, RedisError> {
    let mut frames = frames.into_iter();
    for fence in frames.by_ref().take(fences) {
        shared.told(fence.as_deref())?.for_reading()?;
    }
    Ok(frames)
}

fn take_in(shared: &Shared, all: &[Wanted<'_>]) -> Vec<Fetched> {
    let frames = all
        .iter()
        .filter_map(|wanted| Some((wanted.id, wanted.frame.as_ref()?)));
    let mut stored = shared.take_in_all(frames).into_iter();
    let fetched = all.iter().map(|wanted| {
        if wanted.frame.is_none() {
            shared.documents.forget(&wanted.id);
            return Fetched::Gone;
        }
        match stored.next() {
            Some(Ok(stored)) if stored.ordinal == wanted.ordinal => {
                Fetched::Request(Arc::clone(&stored.request))
            }
            Some(Ok(_)) => {
                // The table was read before the server lost what it had told.
                let slot = (wanted.partition.number, wanted.ordinal);
                shared.slots.forget(&slot);
                Fetched::Gone
            }
            Some(Err(error)) => Fetched::Unreadable(Undecodable {
                id: wanted.id.to_string(),
                problem: full_text(&error),
            }),
            None => Fetched::Gone,
        }
    });
    fetched.collect()
}

/// Documents that came before it was known whether they are wanted.
#[derive(Default)]
pub(super) struct Early {
    frames: Vec<(RequestId, Option<Bytes>)>,
    /// The one that most likely is wanted next.
    next: usize,
}

impl Early {
    fn take(&mut self, id: &RequestId) -> Option<Bytes> {
        let is_it = |(known, _): &(RequestId, Option<Bytes>)| known == id;
        let at = if self.frames.get(self.next).is_some_and(is_it) {
            self.next
        } else {
            self.frames.iter().position(is_it)?
        };
        self.next = at + 1;
        self.frames[at].1.take()
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

/// A question for documents that may be wanted, to be sent behind what tells which are.
pub(super) struct Guess {
    fences: usize,
    ids: Vec<RequestId>,
}

impl Guess {
    /// What is asked, of one server; none if there is nothing to ask for.
    pub(super) fn new<'c>(
        shared: &Shared,
        candidates: impl Iterator<Item = &'c Candidate>,
    ) -> Option<(Self, Cmd)> {
        let ids: Vec<RequestId> = candidates.map(|candidate| candidate.id).collect();
        let (fences, keys) = keys(ids.iter().map(|id| (shared.partition(id.slot()), *id)));
        (!ids.is_empty()).then(|| (Self { fences, ids }, mget(&keys)))
    }

    /// Takes up what came but what is of these partitions. What is not taken up is asked for again,
    /// should it be wanted.
    pub(super) fn hear(
        self,
        shared: &Shared,
        answer: Option<Value>,
        but_of: &[u16],
        early: &mut Early,
    ) -> Result<(), RedisError> {
        let count = self.fences + self.ids.len();
        let frames = values_of(answer.unwrap_or(Value::Nil), count)?;
        let frames = behind_fences(shared, frames, self.fences)?;
        let is_wanted = |id: &RequestId| !but_of.contains(&shared.partition(id.slot()).number);
        let came = self.ids.into_iter().zip(frames);
        early.frames.extend(came.filter(|(id, _)| is_wanted(id)));
        Ok(())
    }
}
