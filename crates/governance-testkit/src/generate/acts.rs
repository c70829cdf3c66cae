//! Acts, votes, and whole lives of requests.

use std::{sync::Arc, time::Duration};

use governance_core::{
    Act, Context, DataContract, Denial, Failure, Judgement, MutationRequest, OperationId,
    RequestError, RequestId, Severity, SideEffect, StateVersion, Timestamp, Verdict,
};
use proptest::{option, prelude::*};

use super::{
    requests::{RequestSpec, requests},
    world::{membership, people, person},
};
use crate::fixtures::{label, operation, reason};

/// One act on a request.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ActSpec {
    /// Somebody votes, with the roles and groups they have.
    Vote {
        /// Who.
        who: usize,
        /// Whether for it.
        approve: bool,
    },
    /// Somebody takes their vote back.
    Withdraw {
        /// Who.
        who: usize,
    },
    /// It is canceled.
    Cancel,
    /// A deadline passed.
    Expire,
    /// It takes the place of a request with this number.
    TakePlaceOf(u64),
    /// It is executed.
    Complete,
    /// Its execution fails.
    Fail,
    /// It is to be executed again.
    Retry,
    /// Its deadline is moved, to so many seconds from now, or away.
    Deadline(Option<u16>),
    /// Its reason is changed.
    Reason(u8),
    /// It has to be approved again.
    Renew,
}

impl ActSpec {
    /// Who acts.
    #[must_use]
    pub const fn who(&self) -> usize {
        match self {
            Self::Vote { who, .. } | Self::Withdraw { who } => *who,
            _ => 5,
        }
    }

    /// The request after the act.
    ///
    /// # Errors
    ///
    /// Why the request does not allow it.
    ///
    /// # Panics
    ///
    /// Never, for what the generators give.
    pub fn take(
        &self,
        request: &MutationRequest,
        at: Timestamp,
        operation: OperationId,
    ) -> Result<Arc<MutationRequest>, RequestError> {
        let context = Context::of(&person(self.who()));
        let mut draft = request.draft(Act::new(context, at, operation));
        let why = || reason("because of ticket 12");
        match self {
            Self::Vote { who, approve: true } => draft.approve(membership(*who), why())?,
            Self::Vote { who, .. } => {
                draft.deny(membership(*who), why(), &Denial::because("no good"))?;
            }
            Self::Withdraw { .. } => draft.withdraw(why())?,
            Self::Cancel => draft.cancel(why())?,
            Self::Expire => draft.expire()?,
            Self::TakePlaceOf(number) => {
                let slot = request.id().slot();
                let [.., a, b] = number.to_be_bytes();
                let other = RequestId::new(Timestamp::EPOCH, slot, [0, 0, 0, 0, 0, 0, 0, 0, a, b]);
                draft.take_place_of(other, why())?;
            }
            Self::Complete => {
                let before = request.approved_version();
                draft.complete(before, before.next(), Vec::new(), effects(request))?;
            }
            Self::Fail => draft.fail(Failure {
                code: label("test.failed"),
                message: "told to fail".to_owned(),
                retryable: true,
            })?,
            Self::Retry => draft.retry(why())?,
            Self::Deadline(to) => {
                let to = to.map(|s| at.saturating_add(Duration::from_secs(u64::from(s) + 1)));
                draft.amend_deadline(to, why())?;
            }
            Self::Reason(i) => draft.amend_reason(reason(format!("reason {i}")))?,
            Self::Renew => {
                let rules = request.round().rules().clone();
                let judgement = Judgement::required(rules, Vec::new());
                draft.renew(StateVersion::new(9), &judgement)?;
            }
        }
        Ok(Arc::new(draft.finish()))
    }
}

fn effects(request: &MutationRequest) -> Vec<SideEffect> {
    let contract = DataContract {
        name: label(format!(
            "contract-of-{}",
            request.proposal().payload().mutation()
        )),
        version: 1,
    };
    vec![
        SideEffect::new(label("mail-0"), "tell").with_data(contract, 1),
        SideEffect::new(label("mail-1"), "ask")
            .severity(Severity::Critical)
            .requiring_action(),
    ]
}

/// Acts, most of which are votes.
pub fn acts() -> impl Strategy<Value = ActSpec> {
    prop_oneof![
        8 => people().prop_map(|who| ActSpec::Vote { who, approve: true }),
        2 => people().prop_map(|who| ActSpec::Vote { who, approve: false }),
        1 => people().prop_map(|who| ActSpec::Withdraw { who }),
        2 => Just(ActSpec::Complete),
        1 => Just(ActSpec::Cancel),
        1 => Just(ActSpec::Expire),
        1 => (0_u64..4).prop_map(ActSpec::TakePlaceOf),
        1 => Just(ActSpec::Fail),
        1 => Just(ActSpec::Retry),
        1 => option::of(0_u16..120).prop_map(ActSpec::Deadline),
        1 => (0_u8..3).prop_map(ActSpec::Reason),
        1 => Just(ActSpec::Renew),
    ]
}

/// One vote: who, and for or against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ballot {
    /// Who votes.
    pub who: usize,
    /// What they say.
    pub verdict: Verdict,
}

/// Votes of different people, in any order.
pub fn ballots() -> impl Strategy<Value = Vec<Ballot>> {
    let people: Vec<usize> = (0..super::PEOPLE).collect();
    let voters = prop::sample::subsequence(people, 0..=super::PEOPLE).prop_shuffle();
    voters.prop_flat_map(|voters| {
        let denies = prop::collection::vec(prop::bool::weighted(0.2), voters.len());
        denies.prop_map(move |denies| {
            let votes = voters.iter().zip(denies);
            votes
                .map(|(who, deny)| Ballot {
                    who: *who,
                    verdict: if deny {
                        Verdict::Deny
                    } else {
                        Verdict::Approve
                    },
                })
                .collect()
        })
    })
}

/// The life of a request: every form it had.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Life {
    /// The request as it was handed in.
    pub spec: RequestSpec,
    /// Every form it had, oldest first; never empty.
    pub forms: Vec<Arc<MutationRequest>>,
    /// The time of the last act, whether or not it was allowed.
    pub now: Timestamp,
}

/// Lives of requests that begin at a time. Acts the request does not allow are left out.
pub fn lives(begin: Timestamp) -> impl Strategy<Value = Life> {
    let acts = prop::collection::vec((acts(), 0_u64..30), 0..10);
    (requests(), any::<u16>(), acts).prop_map(move |(spec, number, acts)| {
        let number = u64::from(number);
        let submitted = spec.submit(number, begin, operation(number << 16));
        let (mut forms, mut now) = (vec![submitted], begin);
        for (turn, (act, wait)) in (1_u64..).zip(acts) {
            now = now.saturating_add(Duration::from_secs(wait));
            let last = &forms[forms.len() - 1];
            // An amendment to what is there already decides nothing.
            if let Ok(next) = act.take(last, now, operation((number << 16) + turn))
                && next.revision() > last.revision()
            {
                forms.push(next);
            }
        }
        Life { spec, forms, now }
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use governance_core::Status;
    use proptest::{
        strategy::ValueTree as _,
        test_runner::{Config, TestRunner},
    };

    use super::*;
    use crate::fixtures::VirtualClock;

    proptest! {
        #[test]
        fn lives_have_whole_histories(life in lives(VirtualClock::START)) {
            for pair in life.forms.windows(2) {
                prop_assert_eq!(pair[1].check_extends(&pair[0]), Ok(()));
            }
            for form in &life.forms {
                prop_assert_eq!(form.verify_history(), Ok(()));
            }
            prop_assert_eq!(life.forms[0].check_new(), Ok(()));
        }
    }

    #[test]
    fn lives_end_in_every_way() {
        let mut runner = TestRunner::new_with_rng(
            Config::default(),
            proptest::test_runner::TestRng::deterministic_rng(
                proptest::test_runner::RngAlgorithm::ChaCha,
            ),
        );
        let mut ends = BTreeSet::new();
        for _ in 0..600 {
            let life = lives(VirtualClock::START).new_tree(&mut runner);
            let life = life.expect("a life").current();
            ends.insert(life.forms[life.forms.len() - 1].status());
        }
        let missing: Vec<_> = Status::ALL
            .into_iter()
            .filter(|status| !ends.contains(status))
            .collect();
        // A superseded request needs a second one; a created one is never stored.
        assert_eq!(missing, [Status::Created, Status::Superseded]);
    }
}
