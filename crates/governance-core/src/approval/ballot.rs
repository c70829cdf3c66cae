//! What is to be evaluated: requirements, votes, and whose votes do not count.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use smallvec::SmallVec;

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
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parties(
    /// Sorted, each once.
    SmallVec<[ActorId; 2]>,
);

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
        self.0.extend(actors);
        self.0.sort_unstable();
        self.0.dedup();
    }

    /// Whether the actor is one of them or acts for one.
    #[must_use]
    pub fn include(&self, actor: &ActorId, membership: &Membership) -> bool {
        let principals = &membership.acts_for;
        self.0.binary_search(actor).is_ok() || self.iter().any(|party| principals.contains(party))
    }

    /// The actors.
    pub fn iter(&self) -> impl Iterator<Item = &ActorId> {
        self.0.iter()
    }
}

impl Serialize for Parties {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(&self.0)
    }
}

impl<'de> Deserialize<'de> for Parties {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List;
        impl<'de> de::Visitor<'de> for List {
            type Value = Parties;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of actor ids")
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<Parties, A::Error> {
                let mut actors = SmallVec::<[ActorId; 2]>::new();
                while let Some(actor) = list.next_element()? {
                    actors.push(actor);
                }
                Ok(Parties::new(actors))
            }
        }
        deserializer.deserialize_seq(List)
    }
}
