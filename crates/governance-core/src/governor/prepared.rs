//! What a submission has decoded, for an execution that follows soon.
//!
//! Many changes are executed by the process that took them in, moments later. The mutation was read
//! back from its encoding then, and the state decoded; both are kept for a while, with the proposal
//! and the bytes they were decoded from. An execution takes them if it finds the same in the store,
//! so what it runs is what is stored, whoever stored it, and means what is stored.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;

use super::assess::Loaded;
use crate::{ids::RequestId, mutation::DynMutation, request::Proposal};

/// Values of the latest submissions: a few, and only small ones, so that what they take is bounded
/// however many requests wait.
pub(super) struct Prepared(Mutex<VecDeque<(RequestId, Decoded)>>);

/// What one submission decoded.
pub(super) struct Decoded {
    pub(super) proposal: Arc<Proposal>,
    pub(super) mutation: Box<dyn DynMutation>,
    pub(super) state: Loaded,
}

impl Decoded {
    /// The values, if this is the proposal that was submitted: with the payload the mutation was
    /// decoded from, and the intent it told.
    pub(super) fn of(self, proposal: &Arc<Proposal>) -> Option<(Box<dyn DynMutation>, Loaded)> {
        let same = Arc::ptr_eq(&self.proposal, proposal) || self.proposal == *proposal;
        same.then_some((self.mutation, self.state))
    }

    fn bytes(&self) -> usize {
        self.proposal.footprint() + self.state.body.as_ref().map_or(0, Bytes::len)
    }
}

impl Prepared {
    /// Values kept.
    const MOST: usize = 64;
    /// Bytes of one of them: of its proposal, as footprints count them, and of its encoded state.
    const LONGEST: usize = 16 << 10;

    pub(super) const fn new() -> Self {
        Self(Mutex::new(VecDeque::new()))
    }

    /// Keeps what a submission decoded, in the place of the oldest.
    pub(super) fn keep(&self, id: RequestId, decoded: Decoded) {
        if decoded.bytes() > Self::LONGEST {
            return;
        }
        let mut kept = self.lock();
        let is_full = kept.len() >= Self::MOST;
        let oldest = if is_full { kept.pop_front() } else { None };
        kept.push_back((id, decoded));
        // Dropping it is the program's code, which no lock may be held for.
        drop(kept);
        drop(oldest);
    }

    /// What was kept for a request, which is not kept any more.
    pub(super) fn take(&self, id: &RequestId) -> Option<Decoded> {
        let mut kept = self.lock();
        // The newest is the likeliest.
        let at = kept.iter().rposition(|(kept, _)| kept == id)?;
        kept.remove(at).map(|(_, decoded)| decoded)
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<(RequestId, Decoded)>> {
        // Nothing panics while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prepared").finish_non_exhaustive()
    }
}
