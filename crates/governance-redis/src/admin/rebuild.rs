//! Builds the index anew beside the old one, then takes it into use.
//!
//! The fence tells every writer to maintain both generations while the new one is filled, so
//! nothing is missed and nobody waits.

use std::{sync::Arc, time::Duration};

use governance_core::StoreError;
use redis_client::{Operation, redis};

use super::scan::{self, Row, STEP};
use crate::{
    RedisStore,
    apply::{After, Answer, Before, RecordWrite, Step},
    codec::Frame,
    error::RedisError,
    index::IndexRecord,
    keys::{CHUNK, KeyPattern, row_of},
    layout::Fence,
    partition::Partition,
    script::FENCE,
    shared::Shared,
};

const REBUILD: Operation = Operation::write("rebuild");
/// How long keys of the old generation stay for readers that are under way.
const GRACE: Duration = Duration::from_secs(1);
/// How often a request is tried that others keep writing to.
const ATTEMPTS: usize = 64;

/// What a rebuild did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RebuildReport {
    requests: u64,
    changed: u64,
    unreadable: u64,
}

impl RebuildReport {
    /// Requests that were indexed.
    #[must_use]
    pub const fn requests(self) -> u64 {
        self.requests
    }

    /// Those that were indexed under something else before.
    #[must_use]
    pub const fn changed(self) -> u64 {
        self.changed
    }

    /// Those whose document cannot be read. They are indexed as their record says they were; those
    /// whose record does not even tell that are not indexed any more.
    #[must_use]
    pub const fn unreadable(self) -> u64 {
        self.unreadable
    }
}

impl RedisStore {
    /// Builds the index anew from the documents, while the store is in use. A rebuild that was
    /// broken off is begun anew by the next.
    ///
    /// Every process that writes has to know this version's index. Run one rebuild at a time.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `Timeout` and the like. The old index stays in use.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves a half-built generation that writers maintain; run it again.
    ///
    /// # Round trips
    ///
    /// In proportion to the number of requests.
    pub async fn rebuild(&self) -> Result<RebuildReport, StoreError> {
        let (shared, mut report) = (&self.shared, RebuildReport::default());
        let (mut replaced, mut result) = (Vec::new(), Ok(()));
        for partition in &shared.partitions {
            match rebuild(shared, partition, &mut report).await {
                Ok(()) => replaced.push(partition),
                Err(error) => {
                    result = Err(error);
                    break;
                }
            }
        }
        // One wait for all partitions, also for those before the one that failed.
        if !replaced.is_empty() {
            tokio::time::sleep(GRACE).await;
        }
        for partition in replaced {
            let dropped = drop_others(shared, partition).await;
            result = result.and(dropped);
        }
        match result {
            Ok(()) => Ok(report),
            Err(error) => Err(error.at("rebuild")),
        }
    }
}

/// Builds the index of one partition and takes it into use.
async fn rebuild(
    shared: &Shared,
    partition: &Partition,
    report: &mut RebuildReport,
) -> Result<(), RedisError> {
    let before = shared.fence(partition).await?.for_writing()?;
    // Nothing is begun that cannot be finished.
    scan::sound_counters(shared, partition).await?;
    // A generation that was begun and left is not gone on with: nobody knows how far it came.
    let building = before.building.max(before.active) + 1;
    let during = raise(shared, partition, before, before.active, building).await?;
    if before.building != 0 {
        drop_others(shared, partition).await?;
    }
    // What is created from now on is in both.
    let newest = scan::counters(shared, partition).await?.ordinals;
    let mut first = 0;
    while first < newest {
        let end = newest.min(first + STEP).min((first / CHUNK + 1) * CHUNK);
        for row in scan::rows(shared, partition, first, end).await? {
            index(shared, partition, &row, report).await?;
        }
        first = end;
    }
    raise(shared, partition, during, building, 0).await?;
    Ok(())
}

/// Changes the fence, if nobody else has meanwhile.
async fn raise(
    shared: &Shared,
    partition: &Partition,
    from: Fence,
    active: u16,
    building: u16,
) -> Result<Fence, RedisError> {
    let to = Fence {
        active,
        building,
        epoch: from.epoch + 1,
        gate: from.gate,
    };
    let call = FENCE
        .call()
        .key(&partition.keys.fence)
        .arg(from.to_string())
        .arg(to.to_string());
    let told: String = shared.invoke(&call).await?;
    if told != to.to_string() {
        return Err(RedisError::Fenced);
    }
    partition.learn_fence(to);
    Ok(to)
}

/// Brings one request into the generation that is built.
async fn index(
    shared: &Shared,
    partition: &Partition,
    row: &Row,
    report: &mut RebuildReport,
) -> Result<(), RedisError> {
    let mut frame = row.frame.clone();
    for _ in 0..ATTEMPTS {
        let Some(bytes) = frame else {
            return Ok(());
        };
        let Ok(old) = Frame::salvage(&bytes) else {
            report.unreadable += 1;
            return Ok(());
        };
        let (after, changed, unreadable) = match shared.decode(&bytes) {
            Ok(stored) => {
                let new = IndexRecord::after(&stored.request, &stored.index);
                let place = (stored.ordinal, stored.stamp);
                let frame = shared.encode(&stored.request, &new, place)?;
                let changed = new != old.index;
                (
                    After {
                        frame,
                        index: Arc::new(new),
                    },
                    changed,
                    false,
                )
            }
            Err(_) => {
                let index = Arc::new(old.index.clone());
                let frame = bytes.to_vec();
                (After { frame, index }, false, true)
            }
        };
        let record = RecordWrite {
            id: row.id,
            before: Some(Before {
                block: old.block,
                ordinal: old.head.ordinal,
                index: Arc::new(old.index),
            }),
            after: Some(after),
            event: Vec::new(),
            decisions: (0, 0),
            in_full: true,
        };
        let step = Step {
            records: vec![record],
            state: None,
        };
        match shared.apply(partition, &step).await? {
            Answer::Done(_) => {
                shared.documents.forget(&row.id);
                report.requests += 1;
                report.changed += u64::from(changed);
                report.unreadable += u64::from(unreadable);
                return Ok(());
            }
            Answer::Conflict { stored, .. } => frame = (!stored.is_empty()).then_some(stored),
            _ => return Err(RedisError::Reply("apply")),
        }
    }
    Err(RedisError::Fenced)
}

/// Removes every generation that is neither in use nor being built: the one that was replaced, and
/// what rebuilds left that were broken off.
async fn drop_others(shared: &Shared, partition: &Partition) -> Result<(), RedisError> {
    let fence = shared.fence(partition).await?;
    let newest = fence.active.max(fence.building);
    // A newer one may have been begun since.
    let is_dead = |g: u16| g < newest && !fence.generations().any(|kept| kept == g);
    let mut cursor = Some(0);
    while let Some(at) = cursor {
        let (mut keys, next) = scan::some_keys(shared, partition, "", at).await?;
        keys.retain(|key| generation_of(partition, key).is_some_and(|(g, _)| is_dead(g)));
        let kinds = scan::kinds(shared, partition, &keys).await?;
        // What is of another type is somebody else's.
        let keys = keys.into_iter().zip(kinds).filter(|(key, kind)| {
            generation_of(partition, key).is_some_and(|(_, row)| row.kind == kind)
        });
        let keys: Vec<Vec<u8>> = keys.map(|(key, _)| key).collect();
        for keys in keys.chunks(100) {
            let mut unlink = redis::cmd("UNLINK");
            unlink.arg(keys);
            shared
                .query::<u64>(REBUILD, &partition.keys.fence, &unlink)
                .await?;
        }
        cursor = next;
    }
    Ok(())
}

/// The generation a key of the index is of, and what kind of key it is.
fn generation_of(partition: &Partition, key: &[u8]) -> Option<(u16, &'static KeyPattern)> {
    let rest = key.strip_prefix(partition.keys.start().as_bytes())?;
    let rest = std::str::from_utf8(rest).ok()?;
    let row = row_of(rest).filter(|row| row.pattern.contains("<g>"))?;
    let generation = rest.split(':').next()?.get(1..)?;
    Some((generation.parse().ok()?, row))
}
