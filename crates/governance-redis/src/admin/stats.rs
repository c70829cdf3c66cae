//! How large a store is.

use governance_core::StoreError;
use redis_client::{Operation, redis};

use super::scan;
use crate::{RedisStore, error::RedisError, keys::CHUNK, partition::Partition, shared::Shared};

const STATS: Operation = Operation::read("stats");

/// Numbers of one partition.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PartitionStats {
    /// The partition.
    pub partition: u16,
    /// Requests there are.
    pub requests: u64,
    /// Requests there ever were.
    pub ordinals: u64,
    /// Writes of requests there ever were.
    pub writes: u64,
    /// Requests with a deadline.
    pub due: u64,
    /// Events that are kept.
    pub events: u64,
    /// The generation of the index.
    pub generation: u16,
}

/// Numbers of a store.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    partitions: Vec<PartitionStats>,
}

impl Stats {
    /// Of each partition.
    #[must_use]
    pub fn partitions(&self) -> &[PartitionStats] {
        &self.partitions
    }

    /// Requests of all of them.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.partitions
            .iter()
            .map(|partition| partition.requests)
            .sum()
    }
}

impl RedisStore {
    /// Counts what there is.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `Timeout` and the like.
    ///
    /// # Cancel safety
    ///
    /// Reads only.
    ///
    /// # Round trips
    ///
    /// A few per partition, and one per 65 536 requests.
    pub async fn stats(&self) -> Result<Stats, StoreError> {
        let mut stats = Stats::default();
        for partition in &self.shared.partitions {
            let numbers = of(&self.shared, partition)
                .await
                .map_err(|error| error.at("stats"))?;
            stats.partitions.push(numbers);
        }
        Ok(stats)
    }
}

async fn of(shared: &Shared, partition: &Partition) -> Result<PartitionStats, RedisError> {
    let counters = scan::sound_counters(shared, partition).await?;
    let generation = shared.fence(partition).await?.for_reading()?.active;
    let count = async |command: &str, key: redis_client::Key| {
        let mut command = redis::cmd(command);
        command.arg(&key);
        shared.query::<u64>(STATS, &key, &command).await
    };
    let keys = &partition.keys;
    let mut requests = 0;
    for chunk in 0..counters.ordinals.div_ceil(CHUNK) {
        requests += count("BITCOUNT", keys.live(generation, chunk)).await?;
    }
    Ok(PartitionStats {
        partition: partition.number,
        requests,
        ordinals: counters.ordinals,
        writes: counters.entries,
        due: count("ZCARD", keys.due(generation)).await?,
        events: count("XLEN", keys.feed.clone()).await?,
        generation,
    })
}
