//! Queries: which requests, in which order, page by page.
//!
//! A [`RequestQuery`] says which requests; [`matches()`] is what it means. [`terms()`] derives every
//! index entry from a request and [`plan()`] turns a query into an expression over those entries,
//! so an index can never mean two things: stores keep postings for the same terms, evaluate the
//! same expression, and check what they find with the same evaluator.

mod bytes;
mod count;
mod filter;
mod listing;
mod matches;
mod page;
mod plan;
mod request_query;
mod terms;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod testing;

pub use count::Count;
pub use filter::{Condition, Filter, FilterError, Person, SideEffectFilter, TimeRange};
pub use listing::{
    ApprovalCondition, ApprovalQuery, ApprovalView, DecisionCondition, DecisionQuery, DecisionView,
    approval_views, decision_views, matches_decision,
};
pub use matches::matches;
pub use page::{Cursor, Order, Page, PageError, PageRequest, Undecodable};
pub use plan::{Expr, Plan, plan};
pub use request_query::RequestQuery;
pub use terms::{Cardinality, Dimension, Term, Terms, passing_terms, terms};
