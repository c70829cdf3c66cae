//! What is known about a request beyond its document.

use std::sync::OnceLock;

use crate::ids::Timestamp;

/// What is known about a request beyond its document: never stored, and no part of what a request
/// is, so all are equal.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    /// Whether this process made the request, draft by draft, and never read it from anywhere.
    /// Nothing but drafts can change a request, so such a record is whole.
    pub(super) made_here: bool,
    standing: OnceLock<Standing>,
    satisfied: OnceLock<bool>,
    footprint: OnceLock<usize>,
}

/// Where the approvals of a request stand, whatever the time.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Standing {
    /// The earliest deadline of an open requirement.
    pub(super) deadline: Option<Timestamp>,
    /// The stage that waits for votes.
    pub(super) stage: Option<u16>,
}

impl Known {
    /// Of a request that this process is about to make.
    pub(super) fn made_here() -> Self {
        Self {
            made_here: true,
            ..Self::default()
        }
    }

    /// The standing, worked out at most once for each form of a request.
    pub(super) fn standing(&self, work_out: impl FnOnce() -> Standing) -> Standing {
        *self.standing.get_or_init(work_out)
    }

    /// Whether the approvals that are required are there. Deadlines have no part in it: they end
    /// what is not satisfied.
    pub(super) fn satisfied(&self, work_out: impl FnOnce() -> bool) -> bool {
        *self.satisfied.get_or_init(work_out)
    }

    /// Takes note that the approvals that are required are there.
    pub(super) fn set_satisfied(&mut self) {
        self.satisfied = OnceLock::from(true);
    }

    /// The footprint, counted at most once for each form of a request.
    pub(super) fn footprint(&self, count: impl FnOnce() -> usize) -> usize {
        *self.footprint.get_or_init(count)
    }

    /// Forgets what was worked out, because the request has changed.
    pub(super) fn changed(&mut self) {
        self.standing = OnceLock::new();
        self.satisfied = OnceLock::new();
        self.footprint = OnceLock::new();
    }
}

impl PartialEq for Known {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}
