//! Moves a store to another number of partitions, while nobody writes to it.
//!
//! 1. The layout record says what is under way, and who does it.
//! 2. The fence of every partition refuses writers from then on.
//! 3. Every new partition is filled, in steps that may be done twice. Its fence lets only the one
//!    write who is named in the layout record, so nobody who was thought dead can do harm.
//! 4. What was copied is compared with what was there, and checked against its indexes.
//! 5. The new fences open, the old ones say that everything has moved, and the layout record is
//!    switched in one step.
//! 6. Old keys go, if they are the store's. The old fences stay, for handles that do not know yet.

mod copy;
mod error;
mod fill;
mod lanes;
mod record;

pub use error::MigrationError;
use futures_util::FutureExt as _;
use governance_core::{IdSource as _, RandomIds};
use redis_client::{Client, KeyPrefix};

use self::{
    copy::{Copier, Mode},
    fill::Fill,
    record::Record,
};
use super::verify::{self, FindingKind, VerifyReport};
use crate::{
    RedisStore,
    error::RedisError,
    keys::PartitionKeys,
    layout::{Fence, Gate, Layout, Moving},
    open::{OpenError, full_prefix, has_no_lost_fence},
    options::RedisStoreOptions,
    partition::{Counters, Partition},
    shared::{Found, Shared},
};

/// What a migration is at.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MigrationStep {
    /// Writers are being locked out.
    Freezing,
    /// A new partition is being filled.
    Filling {
        /// The number of the partition.
        partition: u16,
    },
    /// A new partition is being compared with what was there.
    Comparing {
        /// The number of the partition.
        partition: u16,
    },
    /// The new partitions are being taken into use.
    Switching,
    /// What is not needed any more is being removed.
    Removing,
}

/// What a migration moved.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MigrationReport {
    /// Whether it had been done before; then nothing was counted.
    pub already: bool,
    /// Requests.
    pub requests: u64,
    /// Writes of requests, as the journal has them.
    pub writes: u64,
    /// Governed states, deleted ones included.
    pub states: u64,
    /// Idempotency keys.
    pub keys: u64,
    /// Events of the change feed.
    pub events: u64,
}

impl RedisStore {
    /// Moves a store from `options.partitions` to another number of partitions.
    ///
    /// Writers get [`PartitionsMoved`](crate::PartitionsMoved) from the beginning on, readers from
    /// the moment it is done; a store that is opened meanwhile is
    /// [`OpenError::Migrating`]. Everything is copied, compared and checked before the new
    /// partitions are taken into use, and only then are the old ones removed. Requests keep their
    /// order, their histories and their ids. Cursors and feed tokens from before are `Expired`.
    ///
    /// `observe` is told what is begun. Do not reshard a cluster at the same time.
    ///
    /// # Errors
    ///
    /// [`MigrationError`]. The store stays locked for writers: call this again, which goes on
    /// where it was broken off, or [`undo_migration`](Self::undo_migration).
    ///
    /// # Cancel safety
    ///
    /// As after an error. Whoever calls it again takes over; a run that was thought dead is
    /// stopped by that.
    ///
    /// # Round trips
    ///
    /// In proportion to the size of the store; each step is bounded.
    pub async fn migrate_partitions(
        client: Client,
        options: RedisStoreOptions,
        to: u16,
        mut observe: impl FnMut(MigrationStep) + Send,
    ) -> Result<MigrationReport, MigrationError> {
        let mut job = Job::new(client, options, to).await?;
        let result = job.run(&mut observe).boxed().await;
        if result.is_err()
            && let Err(taken @ MigrationError::TakenOver) = job.is_ours().await
        {
            // What went wrong is the work of the other.
            return Err(taken);
        }
        result
    }

    /// Takes back a migration that was begun and not finished: the store is as it was before, and
    /// takes writes again.
    ///
    /// # Errors
    ///
    /// [`MigrationError::NotBegun`] when there is none that could be taken back, else as
    /// [`migrate_partitions`](Self::migrate_partitions). Call it again.
    ///
    /// # Cancel safety
    ///
    /// Call it again.
    pub async fn undo_migration(
        client: Client,
        options: RedisStoreOptions,
        to: u16,
    ) -> Result<(), MigrationError> {
        let mut job = Job::new(client, options, to).await?;
        job.undo().boxed().await
    }
}

struct Job {
    client: Client,
    prefix: KeyPrefix,
    options: RedisStoreOptions,
    to: u16,
    record: Record,
    owner: u64,
}

impl Job {
    async fn new(
        client: Client,
        options: RedisStoreOptions,
        to: u16,
    ) -> Result<Self, MigrationError> {
        for wanted in [options.partitions, to] {
            if !wanted.is_power_of_two() || wanted > RedisStoreOptions::MAX_PARTITIONS {
                return Err(OpenError::InvalidPartitions { wanted }.into());
            }
        }
        if options.partitions == to {
            return Err(MigrationError::SamePartitions { partitions: to });
        }
        let prefix = full_prefix(&client, &options)?;
        let record = Record::read(&client, &prefix).await?;
        let [high, low] = [0, 8].map(|at| {
            let bytes = RandomIds.operation_id();
            bytes.as_bytes()[at..]
                .first_chunk()
                .copied()
                .unwrap_or([0; 4])
        });
        let owner = u64::from(u32::from_be_bytes(high)) << 32 | u64::from(u32::from_be_bytes(low));
        Ok(Self {
            client,
            prefix,
            options,
            to,
            record,
            owner,
        })
    }

    /// Whether a migration that this run has taken up is still its own.
    async fn is_ours(&self) -> Result<(), MigrationError> {
        let moving = self.record.layout.moving.as_ref();
        match moving.is_some_and(|moving| moving.owner == self.owner) {
            true => self.record.confirm(&self.client).await,
            false => Ok(()),
        }
    }

    async fn run(
        &mut self,
        observe: &mut (dyn FnMut(MigrationStep) + Send),
    ) -> Result<MigrationReport, MigrationError> {
        if self.record.layout.partitions == self.to && self.record.layout.moving.is_none() {
            observe(MigrationStep::Removing);
            self.remove_former().await?;
            return Ok(MigrationReport {
                already: true,
                ..MigrationReport::default()
            });
        }
        let old = self.store(
            &self.record.layout.tags,
            self.record.layout.series,
            Fence::FIRST,
        );
        for partition in &old.partitions {
            // Undoing it could not tell what the fence was, either.
            has_no_lost_fence(&self.client, &partition.keys).await?;
        }
        let moving = self.take_over(false).await?;
        observe(MigrationStep::Freezing);
        for partition in &old.partitions {
            self.freeze(&old, partition).await?;
        }
        let filling = Fence::FIRST.with_gate(Gate::Filling { owner: self.owner });
        let new = self.store(&moving.tags, moving.series, filling);
        for partition in &new.partitions {
            self.own(&new, partition).await?;
        }
        self.record.confirm(&self.client).await?;
        for partition in &new.partitions {
            let number = partition.number;
            observe(MigrationStep::Filling { partition: number });
            let mut copier = Copier::new(&new, partition, Mode::Write);
            Fill::new(&old, &new, partition).fill(&mut copier).await?;
        }
        let mut report = MigrationReport::default();
        for partition in &new.partitions {
            let number = partition.number;
            observe(MigrationStep::Comparing { partition: number });
            self.compare(&old, &new, partition, &mut report).await?;
        }
        observe(MigrationStep::Switching);
        self.switch(&old, &new, &moving).await?;
        observe(MigrationStep::Removing);
        self.remove_former().await?;
        Ok(report)
    }

    /// The partitions under some tags.
    fn store(&self, tags: &[String], series: u32, fence: Fence) -> Shared {
        let partitions = (0..).zip(tags).map(|(number, tag)| {
            let keys = PartitionKeys::new(&self.prefix, tag);
            Partition::new(number, keys, fence, Counters::default())
        });
        let (client, prefix) = (self.client.clone(), self.prefix.clone());
        let options = self.options.clone();
        Shared::new(client, prefix, options, series, partitions.collect())
    }

    /// Writes into the layout record that this run does the migration.
    async fn take_over(&mut self, undone: bool) -> Result<Moving, MigrationError> {
        let layout = &self.record.layout;
        if layout.partitions != self.options.partitions {
            return Err(MigrationError::OtherPartitions {
                stored: layout.partitions,
                from: self.options.partitions,
            });
        }
        let mut next = layout.clone();
        let moving = match &layout.moving {
            Some(moving) if moving.partitions != self.to => {
                return Err(MigrationError::OtherMigration {
                    from: layout.partitions,
                    to: moving.partitions,
                });
            }
            Some(moving) if moving.undone && !undone => {
                return Err(MigrationError::Undone { to: self.to });
            }
            Some(moving) => Moving {
                owner: self.owner,
                undone,
                ..moving.clone()
            },
            None if undone => return Err(MigrationError::NotBegun { to: self.to }),
            None => {
                // What an earlier migration left has to go first: its tags are named only here.
                self.remove_former().await?;
                next = self.record.layout.clone();
                next.last_series += 1;
                Moving {
                    partitions: self.to,
                    series: next.last_series,
                    tags: Layout::tags_of(&self.prefix, self.to, next.last_series),
                    owner: self.owner,
                    undone: false,
                }
            }
        };
        next.moving = Some(moving.clone());
        self.record.replace(&self.client, next).await?;
        Ok(moving)
    }

    /// Locks writers out of a partition.
    async fn freeze(&self, old: &Shared, partition: &Partition) -> Result<(), MigrationError> {
        let to = self.to;
        record::turn(&self.record, old, partition, |fence| match fence {
            None => Ok(Some(Fence::FIRST.with_gate(Gate::Moving { to }))),
            Some(fence) => match fence.gate {
                Gate::Open => Ok(Some(fence.with_gate(Gate::Moving { to }))),
                Gate::Moving { to: t } | Gate::Moved { to: t } if t == to => {
                    // Readers go on until everything is switched.
                    Ok(Some(fence.with_gate(Gate::Moving { to })))
                }
                _ => Err(MigrationError::TakenOver),
            },
        })
        .await?;
        let fence = old.fence(partition).await?;
        partition.learn_fence(fence);
        Ok(())
    }

    /// Makes this run the only one that fills a partition.
    async fn own(&self, new: &Shared, partition: &Partition) -> Result<(), MigrationError> {
        let mine = Fence::FIRST.with_gate(Gate::Filling { owner: self.owner });
        record::turn(&self.record, new, partition, |fence| {
            match fence.map(|fence| fence.gate) {
                // Open if it was broken off right before the switch: nobody knows of it yet.
                None | Some(Gate::Filling { .. } | Gate::Open) => Ok(Some(mine)),
                Some(_) => Err(MigrationError::TakenOver),
            }
        })
        .await
    }

    /// Compares a new partition with what it was made from.
    async fn compare(
        &self,
        old: &Shared,
        new: &Shared,
        partition: &Partition,
        report: &mut MigrationReport,
    ) -> Result<(), MigrationError> {
        let mut copier = Copier::new(new, partition, Mode::Compare);
        let moved = Fill::new(old, new, partition).compare(&mut copier).await?;
        report.requests += moved.requests;
        report.writes += moved.writes;
        report.states += moved.states;
        report.keys += moved.keys;
        report.events += moved.events;
        copier.verdict()?;
        // What is wrong with a document was so before, and was copied as it is.
        let mut found = VerifyReport::only(&[
            FindingKind::Dangling,
            FindingKind::Missing,
            FindingKind::Stray,
        ]);
        verify::check(new, partition, &mut found).await?;
        match found.findings().first() {
            Some(first) => Err(MigrationError::Differs {
                count: found.count(),
                first: first.to_string(),
            }),
            None => Ok(()),
        }
    }

    async fn switch(
        &mut self,
        old: &Shared,
        new: &Shared,
        moving: &Moving,
    ) -> Result<(), MigrationError> {
        for partition in &new.partitions {
            new.confirm(partition, Found::Everything).await?;
        }
        let mine = Gate::Filling { owner: self.owner };
        for partition in &new.partitions {
            record::turn(&self.record, new, partition, |fence| match fence {
                Some(fence) if fence.gate == mine => Ok(Some(fence.with_gate(Gate::Open))),
                _ => Err(MigrationError::TakenOver),
            })
            .await?;
        }
        let to = self.to;
        for partition in &old.partitions {
            record::turn(&self.record, old, partition, |fence| match fence {
                Some(fence) if fence.gate == (Gate::Moving { to }) => {
                    Ok(Some(fence.with_gate(Gate::Moved { to })))
                }
                _ => Err(MigrationError::TakenOver),
            })
            .await?;
        }
        let mut next = self.record.layout.clone();
        next.partitions = moving.partitions;
        next.series = moving.series;
        next.former = std::mem::replace(&mut next.tags, moving.tags.clone());
        next.moving = None;
        self.record.replace(&self.client, next).await
    }

    /// Removes what is under tags of before. Their fences stay.
    async fn remove_former(&mut self) -> Result<(), MigrationError> {
        let layout = self.record.layout.clone();
        if layout.former.is_empty() {
            return Ok(());
        }
        let former = self.store(&layout.former, layout.series, Fence::FIRST);
        for partition in &former.partitions {
            record::remove(&former, partition, Some(&partition.keys.fence)).await?;
        }
        let now = self.store(&layout.tags, layout.series, Fence::FIRST);
        for partition in &now.partitions {
            record::unlink(&now, partition, &[partition.keys.progress.as_str().into()]).await?;
        }
        let former = Vec::new();
        let next = Layout { former, ..layout };
        self.record.replace(&self.client, next).await
    }

    async fn undo(&mut self) -> Result<(), MigrationError> {
        let moving = self.take_over(true).await?;
        let new = self.store(&moving.tags, moving.series, Fence::FIRST);
        for partition in &new.partitions {
            // Without a fence nobody can fill it any more.
            record::remove(&new, partition, None).await?;
        }
        let old = self.store(
            &self.record.layout.tags,
            self.record.layout.series,
            Fence::FIRST,
        );
        for partition in &old.partitions {
            // Also where nobody was locked out: a run that was thought dead may be about to do so.
            record::turn(&self.record, &old, partition, |fence| {
                let fence = fence.unwrap_or(Fence::FIRST);
                Ok(Some(Fence {
                    gate: Gate::Open,
                    epoch: fence.epoch + 1,
                    ..fence
                }))
            })
            .await?;
        }
        let mut next = self.record.layout.clone();
        next.moving = None;
        self.record.replace(&self.client, next).await
    }
}

impl From<RedisError> for MigrationError {
    fn from(error: RedisError) -> Self {
        Self::Store(error.at("migrate_partitions"))
    }
}
