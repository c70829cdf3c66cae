use governance_core::StoreError;

use crate::open::OpenError;

/// Why a store was not moved to another number of partitions.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    /// The key prefix, a number of partitions or the layout record is not as it must be.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// There is no store under the key prefix.
    #[error(
        "there is no store under this key prefix; check it with the processes that use the store"
    )]
    NoStore,
    /// Both numbers of partitions are the same.
    #[error("from {partitions} to {partitions} partitions there is nothing to move")]
    SamePartitions {
        /// The number.
        partitions: u16,
    },
    /// The store has another number of partitions than was said.
    #[error("the store has {stored} partitions, not {from}")]
    OtherPartitions {
        /// Partitions of the store.
        stored: u16,
        /// Partitions it was said to have.
        from: u16,
    },
    /// Another migration was begun.
    #[error("a migration from {from} to {to} partitions was begun; finish or undo that one first")]
    OtherMigration {
        /// Partitions of the store.
        from: u16,
        /// Partitions it is being moved to.
        to: u16,
    },
    /// The migration is being undone.
    #[error("the migration to {to} partitions is being undone; finish that first")]
    Undone {
        /// Partitions it was to be moved to.
        to: u16,
    },
    /// There is no migration to undo.
    #[error("no migration to {to} partitions is under way")]
    NotBegun {
        /// Partitions that were named.
        to: u16,
    },
    /// Somebody else does this migration now.
    #[error("somebody else took this migration over; nothing more was done here")]
    TakenOver,
    /// What was copied is not what was there.
    #[error(
        "what was copied differs from what was there in {count} places, the first is {first}; the store is locked, but as it was: undo the migration"
    )]
    Differs {
        /// In how many places.
        count: u64,
        /// The first of them.
        first: String,
    },
    /// A state was stored without its slot, so its partition is not known.
    #[error("the state under key {key} does not tell its slot; write it once, then try again")]
    NoSlot {
        /// The key.
        key: String,
    },
    /// The servers could not be asked.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl MigrationError {
    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Open(error) => error.code(),
            Self::NoStore => "migration.no_store",
            Self::SamePartitions { .. } => "migration.same_partitions",
            Self::OtherPartitions { .. } => "migration.other_partitions",
            Self::OtherMigration { .. } => "migration.other_migration",
            Self::Undone { .. } => "migration.undone",
            Self::NotBegun { .. } => "migration.not_begun",
            Self::TakenOver => "migration.taken_over",
            Self::Differs { .. } => "migration.differs",
            Self::NoSlot { .. } => "migration.no_slot",
            Self::Store(error) => error.code(),
        }
    }
}
