//! How the staff behaves: seeded, and not always well.

use std::{collections::BTreeMap, sync::Arc};

use anyhow::{Context as _, bail};
use governance_core::{
    Actor, Context, Denial, Digest, Governor, GovernorError, Membership, MutationRequest,
    RequestError, RequestId, Status, Verdict,
};
use rand::{Rng, SeedableRng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;

use crate::org::Organisation;

/// How often the requester tries to approve.
const SELF_APPROVAL: f64 = 0.10;
/// How often somebody votes whom nobody asked.
const OUTSIDER: f64 = 0.08;
/// How often somebody approves without a word.
const WORDLESS: f64 = 0.04;
/// How often somebody votes twice.
const TWICE: f64 = 0.10;
/// How often a first attempt is rejected, and a second. Later ones are not, so every change
/// passes in the end.
const REJECTION: [f64; 2] = [0.15, 0.05];

/// How many votes were refused, by the code of the error.
pub(crate) type Refusals = BTreeMap<&'static str, u64>;

/// The staff around one request.
///
/// What it does next depends on the seed, the input line, the attempt and how much was decided so
/// far, so a run can be repeated, however many changes are under way at the same time, and gone on
/// with where it stopped.
pub(crate) struct Staff<'a> {
    governor: &'a Governor,
    organisation: &'a Organisation,
    refusals: &'a mut Refusals,
    place: (u64, u64, u32),
    rejection: f64,
}

impl<'a> Staff<'a> {
    pub(crate) fn new(
        governor: &'a Governor,
        organisation: &'a Organisation,
        refusals: &'a mut Refusals,
        place: (u64, u64, u32),
    ) -> Self {
        let before = usize::try_from(place.2).unwrap_or(usize::MAX) - 1;
        Self {
            governor,
            organisation,
            refusals,
            place,
            rejection: REJECTION.get(before).copied().unwrap_or(0.0),
        }
    }

    /// Lets people vote until the request waits for them no more.
    pub(crate) async fn decide(
        &mut self,
        mut request: Arc<MutationRequest>,
    ) -> anyhow::Result<Arc<MutationRequest>> {
        while request.status() == Status::Pending {
            request = self.next_vote(&request).await?;
        }
        Ok(request)
    }

    /// One person votes, after whoever else tried.
    pub(crate) async fn next_vote(
        &mut self,
        request: &Arc<MutationRequest>,
    ) -> anyhow::Result<Arc<MutationRequest>> {
        let organisation = self.organisation;
        let id = request.id();
        let ((seed, line, attempt), decided) = (self.place, request.decisions().len());
        let digest = Digest::of(format!("{seed}/{line}/{attempt}/{decided}"));
        let mut dice = ChaCha8Rng::from_seed(*digest.as_bytes());
        if dice.random_bool(SELF_APPROVAL) {
            let owner = organisation.person(request.proposal().requester().id());
            let owner = owner.context("the requester has left")?;
            self.refused(id, owner, "looks fine to me").await?;
        }
        let (asked, others) = self.voters(request);
        if dice.random_bool(OUTSIDER) {
            let outsider = others.choose(&mut dice).context("everybody is asked")?;
            self.refused(id, outsider, "happy to help").await?;
        }
        let voter = *asked.choose(&mut dice).context("nobody is asked")?;
        if dice.random_bool(WORDLESS) {
            self.refused(id, voter, ".").await?;
        }
        // The vote is for what the voter saw, and for nothing else.
        let seen = Context::of(voter).expecting(*request.round().subject());
        let voted = if dice.random_bool(self.rejection) {
            let denial = Denial::because("grants more than the ticket asks for")
                .code("scope.too_wide")?
                .category("least-privilege")?;
            self.governor.reject(id, seen, denial).await
        } else {
            self.governor.approve(id, seen, "read the difference").await
        };
        let voted = match voted {
            Ok(voted) => voted,
            // Somebody else was faster: on a shared store others may vote too.
            Err(error) if is_refusal(&error) => {
                self.count(&error);
                self.governor.get(id).await?
            }
            Err(error) => return Err(error.into()),
        };
        if dice.random_bool(TWICE) {
            self.refused(id, voter, "and once more").await?;
        }
        Ok(voted)
    }

    /// Whose approval would count now, and whose would not.
    fn voters(&self, request: &MutationRequest) -> (Vec<&'a Actor>, Vec<&'a Actor>) {
        // There are no deadlines here, so any time will do.
        let now = request.updated_at();
        let counts = |(actor, known): &(&Actor, &Membership)| {
            request
                .check_vote(Verdict::Approve, actor.id(), known, now)
                .is_ok()
        };
        let (asked, others): (Vec<_>, Vec<_>) = self.organisation.everybody().partition(counts);
        let actors = |people: Vec<(&'a Actor, _)>| people.into_iter().map(|(a, _)| a).collect();
        (actors(asked), actors(others))
    }

    /// An approval that must not count.
    async fn refused(&mut self, id: &RequestId, by: &Actor, reason: &str) -> anyhow::Result<()> {
        match self.governor.approve(id, by, reason).await {
            Ok(_) => bail!("an approval by {} of request {id} counted", by.id()),
            Err(error) if is_refusal(&error) => {
                self.count(&error);
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    fn count(&mut self, error: &GovernorError) {
        *self.refusals.entry(error.code()).or_default() += 1;
    }
}

/// Whether the vote itself was refused, and not something that has nothing to do with it.
const fn is_refusal(error: &GovernorError) -> bool {
    matches!(
        error,
        GovernorError::Reason(_)
            | GovernorError::Request(RequestError::Vote(_) | RequestError::TakesNoVotes { .. })
    )
}
