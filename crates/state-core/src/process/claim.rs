//! Claims of workers.

use std::{fmt, time::Duration};

use crate::{
    lock::Fence,
    process::{Status, Version},
};

/// A process that a worker has for a while. `Debug` shows neither id nor worker.
#[derive(Clone, PartialEq, Eq)]
pub struct Claim {
    /// The process.
    pub id: String,
    /// The worker.
    pub worker: String,
    /// Larger than that of every claim before. Writes under the claim name it.
    pub fence: Fence,
    /// Which form the process had when it was claimed.
    pub version: Version,
    /// How long the claim lasts from each heartbeat.
    pub lease: Duration,
}

impl fmt::Debug for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claim")
            .field("fence", &self.fence)
            .field("version", &self.version)
            .field("lease", &self.lease)
            .finish_non_exhaustive()
    }
}

/// How a claim ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claimed {
    /// The worker has it.
    Claimed(Claim),
    /// Another worker has it.
    Busy {
        /// For how long at least, unless that worker lets go.
        remaining: Duration,
    },
    /// There is no such process.
    NotFound,
    /// There is nothing left to do.
    Ended {
        /// How it ended.
        status: Status,
    },
}

/// How a heartbeat ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beat {
    /// The claim lasts for another lease from now.
    Alive,
    /// Somebody else has it, or it ended, or it is gone.
    Lost,
}
