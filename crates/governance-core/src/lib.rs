#![doc = include_str!("../README.md")]
//!
//! # Where to begin
//!
//! Everything is named at the top of the crate. Most of it is for those who write providers; a
//! program needs this:
//!
//! | To | Read |
//! |---|---|
//! | say what can change | [`GovernedState`], [`Mutation`] with [`Intent`], [`ValidationErrors`], [`Applied`], [`Change`], [`MutationError`] |
//! | say how it is judged | [`policy_fn`] or [`Policy`], with [`PolicySubject`] and [`PolicyDecision`]; [`PolicyTree`] composes them |
//! | say who approves | [`ApprovalRules`], [`Requirement`], [`Selector`]; a [`Directory`] that tells [`Membership`] |
//! | act | [`Governor`], with [`Actor`] or [`Context`], [`SubmitOptions`], [`OnStale`] |
//! | tell what came of it | [`Submission`], [`ExecutionReport`], [`MutationRequest`] with its [`Decision`]s, [`Explanation`]; [`GovernorError`] and its [`Remedy`] |
//! | find and page | [`RequestQuery`], [`ApprovalQuery`], [`DecisionQuery`]; [`PageRequest`], [`Page`], [`Cursor`] |
//! | follow what changed | [`ChangeFeed`], by [`Governor::store`] |
//! | choose a store at run time | an `Arc<dyn` [`Provider`]`>`, which [`Governor::builder`] takes as well |
//!
//! The guides are in `docs/` of the repository; `docs/production.md` is the way from memory to
//! Redis.

pub mod approval;
mod codec;
pub mod context;
pub mod decision;
pub mod effects;
pub mod governor;
pub mod ids;
pub mod intent;
pub mod mutation;
pub mod pending;
pub mod policy;
pub mod query;
pub mod request;
pub mod status;
pub mod store;

pub use approval::{
    ApprovalRules, BallotOutcome, Candidate, Denial, Distinct, Evaluation, ExecutorRule,
    InvalidRequirement, Membership, Parties, ReasonRule, Requirement, RequirementEvaluation,
    RequirementStatus, Round, RuleConflict, Selector, SelfApproval, Shortage, StageEvaluation,
    Verdict, Vote, VoteRefused,
};
pub use context::{Act, Actor, ActorKind, Context, InvalidReason, Metadata, Reason};
pub use decision::{
    AmendmentEvent, ApprovalEvent, Decision, DecisionCategory, DecisionKind, DenialReason,
    ExpiryCause, Lifecycle, LinkEvent, PolicyAnswer, PolicyEvent, PolicyPhase, PolicyRecord,
    RejectionCause, RenewalCause, VersionEvent,
};
pub use effects::{Change, ChangeKind, DataContract, Severity, SideEffect};
pub use governor::{
    BuildError, CannotDecide, DryRun, ExecutionOutcome, ExecutionReport, Explanation, Governor,
    GovernorBuilder, GovernorError, Limits, NextState, OnStale, Reachability, Remedy,
    RequirementExplanation, Resolution, Submission, SubmissionOutcome, SubmitOptions, TickItem,
    TickOutcome, TickReport, TooLarge, explain,
};
pub use ids::{
    ActorId, CorrelationId, Digest, Group, IdempotencyKey, InvalidName, Label, MutationType,
    OperationId, ParseDigestError, ParseIdError, ParseNameError, ParseTimestampError, RequestId,
    RequirementId, Revision, Role, Slot, StateId, StateType, StateVersion, TenantId, Timestamp,
};
pub use intent::{BlastRadius, BlastScope, Intent, Risk};
pub use mutation::{
    Applied, GovernedState, Mutation, MutationError, RegistryError, UpgradeError, ValidationErrors,
    Violation,
};
pub use pending::{PendingReason, PendingReasons};
pub use policy::{
    Amendment, Policy, PolicyConflict, PolicyDecision, PolicyFault, PolicyFn, PolicySubject,
    PolicyTree, Ruling, policy_fn,
};
pub use query::{
    ApprovalCondition, ApprovalQuery, ApprovalView, Cardinality, Condition, Count, Cursor,
    DecisionCondition, DecisionQuery, DecisionView, Dimension, Expr, Filter, FilterError, Order,
    Page, PageError, PageRequest, Person, Plan, RequestQuery, SideEffectFilter, Term, Terms,
    TimeRange, Undecodable, approval_views, decision_views, matches, matches_decision,
    passing_terms, plan, terms,
};
pub use request::{
    Draft, Execution, Failure, HistoryError, HistoryProblem, Judgement, Links, MutationRequest,
    Payload, PayloadError, Proposal, RequestError, Scope,
};
pub use status::{Status, Step, state_diagram};
pub use store::{
    Access, AccessRequest, Authorizer, ChangeFeed, Clock, Commit, Conflict, Creation, Directory,
    FeedBatch, FeedEvent, FeedSubject, FeedToken, GovernedCommit, IdSource, Members,
    NamedActorsOnly, Operation, OwnerAuthorizer, PortError, Provider, RandomIds, RequestQueries,
    RequestStore, RequestWrite, Retry, StateSnapshot, StateStore, StateWrite, StoreError,
    StoreErrorKind, WriteCertainty, Written,
};
