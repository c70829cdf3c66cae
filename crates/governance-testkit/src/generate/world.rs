//! The small world everything generated lives in.

use governance_core::{Actor, ActorId, Membership, Scope, StateId, TenantId};
use proptest::prelude::Strategy;

use crate::fixtures::{actor, actor_id, group, role, state_id, state_type, tenant};

/// How many people there are.
pub const PEOPLE: usize = 6;
/// How many tenants there are.
pub const TENANTS: usize = 2;
/// How many states a tenant has.
pub const STATES: usize = 3;

/// A person of the world. Those with an even number have a display name.
#[must_use]
pub fn person(i: usize) -> Actor {
    let actor = actor(format!("person-{i}"));
    if i.is_multiple_of(2) {
        actor.named(format!("Name {i}"))
    } else {
        actor
    }
}

pub(super) fn id_of(i: usize) -> ActorId {
    actor_id(format!("person-{i}"))
}

/// What the directory of the world knows about a person: 0 has nothing, 1 is a lead, 2 a lead of
/// security, 3 an auditor of security, 4 a lead who works for person 0, others auditors of
/// operations.
#[must_use]
pub fn membership(i: usize) -> Membership {
    let none = Membership::default;
    let (lead, auditor) = (|| role("lead"), || role("auditor"));
    let (security, operations) = (|| group("security"), || group("operations"));
    match i {
        0 => none(),
        1 => none().role(lead()),
        2 => none().role(lead()).group(security()),
        3 => none().role(auditor()).group(security()),
        4 => none().role(lead()).acting_for(id_of(0)),
        _ => none().role(auditor()).group(operations()),
    }
}

/// One of the people, by number.
pub fn people() -> impl Strategy<Value = usize> {
    0..PEOPLE
}

/// A tenant of the world; the first is the default tenant.
#[must_use]
pub fn tenant_name(i: usize) -> TenantId {
    if i == 0 {
        TenantId::default()
    } else {
        tenant(format!("tenant-{i}"))
    }
}

/// A state of the world.
#[must_use]
pub fn state_name(i: usize) -> StateId {
    state_id(format!("State-{i}"))
}

/// A state of a tenant, of one of two kinds.
#[must_use]
pub fn scope_of(tenant: usize, state: usize, kind: usize) -> Scope {
    Scope {
        tenant: tenant_name(tenant),
        state_type: state_type(format!("type-{kind}")),
        state_id: state_name(state),
    }
}
