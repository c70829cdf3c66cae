//! For operators: checking, repairing, counting and purging a store while it is in use.

mod migrate;
mod purge;
mod rebuild;
mod scan;
mod stats;
mod verify;

pub use migrate::{MigrationError, MigrationReport, MigrationStep};
pub use purge::PurgeReport;
pub use rebuild::RebuildReport;
pub use stats::{PartitionStats, Stats};
pub use verify::{Finding, FindingKind, VerifyReport};
