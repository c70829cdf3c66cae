//! What is to be evaluated: requirements, votes, and whose votes do not count.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{ApprovalRules, Membership, vote::Vote};
use crate::ids::{ActorId, Digest, Timestamp};

/// All an evaluation looks at.
#[derive(Debug, Clone, Copy)]
pub struct Ballot<'a> {
    /// What is required.
    pub rules: &'a ApprovalRules,
    /// When stages opened.
    pub openings: &'a [StageOpening],
    /// The live votes.
    pub votes: &'a [Vote],
    /// What is to be approved. Votes on anything else do not count.
    pub subject: &'a Digest,
    /// Whose votes do not count unless self-approval is allowed.
    pub parties: &'a Parties,
}

/// When a stage opened for votes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageOpening {
    /// The stage.
    pub stage: u16,
    /// Store time.
    pub at: Timestamp,
}

/// The people a change belongs to: who asked for it, for whom, and with whom. None of them, and
/// nobody who acts for one of them, fills a seat unless the rules allow it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Parties(BTreeSet<ActorId>);

impl Parties {
    /// Parties of these actors.
    #[must_use]
    pub fn new(actors: impl IntoIterator<Item = ActorId>) -> Self {
        let mut parties = Self::default();
        parties.extend(actors);
        parties
    }

    /// Adds these actors.
    pub(crate) fn extend(&mut self, actors: impl IntoIterator<Item = ActorId>) {
        // One by one: they are few, and collecting a set takes a list of them first.
        self.0.extend(actors);
    }

    /// Whether the actor is one of them or acts for one.
    #[must_use]
    pub fn include(&self, actor: &ActorId, membership: &Membership) -> bool {
        self.0.contains(actor) || !self.0.is_disjoint(&membership.acts_for)
    }

    /// The actors.
    pub fn iter(&self) -> impl Iterator<Item = &ActorId> {
        self.0.iter()
    }
}
