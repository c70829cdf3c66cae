//! What a model run does, as data.

use governance_core::{
    ApprovalQuery, DecisionQuery, Order, RequestId, RequestQuery, Slot, Timestamp,
};
use proptest::prelude::*;

use crate::generate::{
    ActSpec, RequestSpec, STATES, TENANTS, acts, approval_queries, decision_queries, orders,
    queries, requests, state_name, tenant_name,
};

/// One thing to do to a store. Requests are meant by number, modulo how many there are.
#[non_exhaustive]
#[derive(Debug, Clone)]
pub enum Op {
    /// Creates a request.
    Create(RequestSpec),
    /// Creates a request again, as it was at first.
    CreateAgain(usize),
    /// Creates another request under the id of one.
    CreateTaken(usize),
    /// Acts on a request as it is now.
    Act(usize, ActSpec),
    /// Acts on a request as it was before its last change.
    ActLate(usize, ActSpec),
    /// Stores a form of a request once more, so many forms back.
    Repeat(usize, usize),
    /// Stores a request somebody else asked for in the place of one.
    Forge(usize),
    /// Removes a request, from its revision or another.
    Purge {
        /// Which.
        which: usize,
        /// Whether from its revision.
        right: bool,
    },
    /// Writes or deletes a state.
    Save {
        /// Which: tenant, state and kind.
        scope: (usize, usize, usize),
        /// Whether from its version.
        right: bool,
        /// Whether it is deleted.
        delete: bool,
        /// Whether the save is repeated.
        twice: bool,
    },
    /// Executes an approved request: request and state in one commit.
    Execute {
        /// Which.
        which: usize,
        /// Whether from the state's version.
        right: bool,
        /// Whether the commit is repeated.
        twice: bool,
    },
    /// Lets one request take the place of another, in one commit.
    Supersede {
        /// The one that ends.
        old: usize,
        /// The one that goes on.
        new: usize,
        /// Whether from the new one's revision.
        right: bool,
    },
    /// Finds a request by its key.
    FindByKey(usize),
    /// Walks over a listing and counts it.
    List(RequestQuery, Order, u16),
    /// Walks over requirements.
    Approvals(ApprovalQuery, Order, u16),
    /// Walks over decisions.
    Decisions(DecisionQuery, Order, u16),
    /// Lets seconds pass.
    Pass(u16),
}

/// The ids the first requests of a run can have.
fn ids() -> Vec<RequestId> {
    let mut ids = Vec::new();
    for tenant in 0..TENANTS {
        for state in 0..STATES {
            let slot = Slot::of(&tenant_name(tenant), &state_name(state));
            for number in 0..6 {
                let random = [0, 0, 0, 0, 0, 0, 0, 0, 0, number];
                ids.push(RequestId::new(Timestamp::EPOCH, slot, random));
            }
        }
    }
    ids
}

/// Sequences of things to do to a store whose clock stands at a beginning. Most of them write;
/// some listings are in between.
pub fn ops(begin: Timestamp, most: usize) -> impl Strategy<Value = Vec<Op>> {
    let which = || 0_usize..1_000;
    let right = || prop::bool::weighted(0.8);
    let limit = || prop_oneof![Just(1_u16), Just(2), Just(7), Just(1_000)];
    let one = prop_oneof![
        10 => requests().prop_map(Op::Create),
        1 => which().prop_map(Op::CreateAgain),
        1 => which().prop_map(Op::CreateTaken),
        24 => (which(), acts()).prop_map(|(which, act)| Op::Act(which, act)),
        3 => (which(), acts()).prop_map(|(which, act)| Op::ActLate(which, act)),
        2 => (which(), 0_usize..3).prop_map(|(which, back)| Op::Repeat(which, back)),
        1 => which().prop_map(Op::Forge),
        2 => (which(), right()).prop_map(|(which, right)| Op::Purge { which, right }),
        3 => ((0..TENANTS, 0..STATES, 0_usize..2), right(), any::<bool>(), any::<bool>())
            .prop_map(|(scope, right, delete, twice)| Op::Save { scope, right, delete, twice }),
        5 => (which(), right(), any::<bool>())
            .prop_map(|(which, right, twice)| Op::Execute { which, right, twice }),
        2 => (which(), which(), right())
            .prop_map(|(old, new, right)| Op::Supersede { old, new, right }),
        1 => which().prop_map(Op::FindByKey),
        6 => (queries(begin, ids()), orders(), limit())
            .prop_map(|(query, order, limit)| Op::List(query, order, limit)),
        2 => (approval_queries(begin, ids()), orders(), limit())
            .prop_map(|(query, order, limit)| Op::Approvals(query, order, limit)),
        2 => (decision_queries(begin, ids()), orders(), limit())
            .prop_map(|(query, order, limit)| Op::Decisions(query, order, limit)),
        2 => (0_u16..60).prop_map(Op::Pass),
    ];
    prop::collection::vec(one, 1..=most)
}
