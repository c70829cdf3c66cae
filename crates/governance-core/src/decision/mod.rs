//! The append-only history of a request: who decided what, when and why.
//!
//! Every decision carries its sequence number, the status and revision it led to, and the digest
//! of the decision before it. Changing, dropping or reordering any of them breaks the chain,
//! which [`MutationRequest::verify_history`](crate::MutationRequest::verify_history) notices.
//! Cutting decisions off the end is noticed only by somebody who kept a later digest.

mod entry;
mod event;
mod footprint;
mod kind;
mod lifecycle;
mod policy;

pub(crate) use entry::Circumstances;
pub use entry::Decision;
pub use event::{AmendmentEvent, ApprovalEvent, LinkEvent, VersionEvent};
pub use kind::{DecisionCategory, DecisionKind};
pub use lifecycle::{ExpiryCause, Lifecycle, RejectionCause, RenewalCause};
pub use policy::{DenialReason, PolicyAnswer, PolicyEvent, PolicyPhase, PolicyRecord};
