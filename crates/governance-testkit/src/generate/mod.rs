//! Generators for property tests: people, requests, whole lives of requests, votes, filters and
//! queries. All of them shrink.
//!
//! Names are drawn from a few, so that what is generated meets: there are [`PEOPLE`] people, and
//! [`TENANTS`] tenants with [`STATES`] states each. What a generator gives is plain data with a way
//! to make the thing itself ([`RequestSpec::submit`], [`ActSpec::take`]), so a failing example can
//! be read.

mod acts;
mod queries;
mod requests;
mod world;

pub use acts::{ActSpec, Ballot, Life, acts, ballots, lives};
pub use queries::{
    approval_queries, conditions, decision_queries, filters, orders, queries, ranges,
};
pub use requests::{RequestSpec, RequirementSpec, requests, requirements};
pub use world::{
    PEOPLE, STATES, TENANTS, membership, people, person, scope_of, state_name, tenant_name,
};
