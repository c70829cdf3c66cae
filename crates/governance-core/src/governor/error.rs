//! What can go wrong in a governed operation.

use super::TooLarge;
use crate::{
    approval::Shortage,
    context::{InvalidReason, MAX_NESTING, is_too_deep},
    decision::DenialReason,
    ids::{ActorId, InvalidName, OperationId, RequestId, TenantId},
    mutation::{UpgradeError, ValidationErrors},
    policy::PolicyConflict,
    query::{FilterError, PageError},
    request::{HistoryError, PayloadError, RequestError},
    store::{Operation, PortError, StoreError, StoreErrorKind, WriteCertainty},
};

/// Why a governed operation did not do what was asked. Unless it says so, nothing was changed.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum GovernorError {
    /// There is no such request, or not in this tenant.
    #[error("there is no request {id}")]
    NotFound {
        /// The id.
        id: RequestId,
    },
    /// The actor may not do this.
    #[error("{actor} may not {operation}: {reason}")]
    Unauthorized {
        /// What was asked for.
        operation: Operation,
        /// By whom.
        actor: ActorId,
        /// Why not.
        reason: String,
    },
    /// Who approved or asked for a change may not execute it.
    #[error("{actor} asked for or approved this change, so somebody else has to execute it")]
    ExecutorBarred {
        /// The actor.
        actor: ActorId,
    },
    /// The request refuses.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The reason is not one.
    #[error(transparent)]
    Reason(#[from] InvalidReason),
    /// A name is not valid.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// The mutation makes no sense on the state.
    #[error("the mutation is not valid: {0}")]
    Invalid(#[source] ValidationErrors),
    /// The mutation is not registered with this governor.
    #[error(
        "no mutation called {mutation} is registered with this governor; see GovernorBuilder::register"
    )]
    UnknownMutation {
        /// Its name.
        mutation: String,
    },
    /// The stored mutation cannot be read by this version of the code.
    #[error("the stored mutation cannot be read by this program: {0}")]
    Upgrade(#[from] UpgradeError),
    /// A payload or state cannot be encoded or decoded.
    #[error("the {what} {source}")]
    Payload {
        /// What: `payload` or `state`.
        what: &'static str,
        /// Why not.
        #[source]
        source: PayloadError,
    },
    /// The mutation says something else about itself than when it was approved.
    #[error("the mutation intends something else than what was approved")]
    IntentChanged {
        /// The request.
        id: RequestId,
    },
    /// The record was tampered with.
    #[error("the record of request {id} is not what was recorded: {problem}")]
    Tampered {
        /// The request.
        id: RequestId,
        /// Where it shows.
        #[source]
        problem: HistoryError,
    },
    /// Something is larger than it may be.
    #[error(transparent)]
    TooLarge(#[from] TooLarge),
    /// Free data is nested more deeply than it may be.
    #[error("a value of the {what} is nested more than {limit} deep")]
    TooDeep {
        /// What: `metadata`, `intent` or `changes`.
        what: &'static str,
        /// How deep it may be.
        limit: usize,
    },
    /// Nobody, or too few people, could ever approve this.
    #[error("too few people could approve this: {}", short(.shortages))]
    Unsatisfiable {
        /// The requirements that cannot be met.
        shortages: Vec<Shortage>,
    },
    /// The idempotency key belongs to another change.
    #[error("the idempotency key belongs to request {existing}, which is another change")]
    KeyReused {
        /// The request that has the key.
        existing: RequestId,
    },
    /// The operation id belongs to something somebody else did.
    #[error("operation {operation} is what another actor did, or another act")]
    OperationReused {
        /// The operation.
        operation: OperationId,
    },
    /// Policies contradict each other.
    #[error(transparent)]
    PolicyConflict(#[from] PolicyConflict),
    /// Policies, asked again before the execution, deny it for now. The request stays approved.
    #[error("policies deny the execution for now: {}", listed(.reasons))]
    PolicyDenied {
        /// Their reasons.
        reasons: Vec<DenialReason>,
    },
    /// A policy could not tell. The request stays as it is.
    #[error("a policy could not tell: {}", listed(.reasons))]
    PolicyUnavailable {
        /// What went wrong.
        reasons: Vec<DenialReason>,
    },
    /// A directory or authorizer could not answer.
    #[error(transparent)]
    Port(#[from] PortError),
    /// A listing was asked for in a way it cannot be given, for example with the cursor of
    /// another query.
    #[error(transparent)]
    Page(#[from] PageError),
    /// A query is larger than queries may be.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// A query names another tenant than the governor's.
    #[error("the query is about tenant {asked}, the governor about another")]
    OtherTenant {
        /// The tenant of the query.
        asked: TenantId,
    },
    /// A query names no tenant. Ask the store for what is above tenants.
    #[error("the query is about all tenants, the governor about one")]
    AllTenants,
    /// Others changed the record every time it was tried.
    #[error("others changed request {id} in each of {attempts} attempts")]
    Contended {
        /// The request.
        id: RequestId,
        /// How often it was tried.
        attempts: u32,
    },
    /// The store failed.
    #[error("the store failed: {0}")]
    Store(#[source] StoreError),
    /// The store failed while writing and does not say whether it wrote. Repeat the call under
    /// this operation id to find out.
    #[error("whether operation {operation} took effect is unknown: {source}")]
    Unknown {
        /// The operation id to repeat under.
        operation: OperationId,
        /// What the store said.
        #[source]
        source: StoreError,
    },
}

/// What a store refuses because of how it was asked is told as that, not as a failure of the store.
impl From<StoreError> for GovernorError {
    fn from(error: StoreError) -> Self {
        if let Some(problem) = error.cause::<PageError>() {
            return Self::Page(*problem);
        }
        if let Some(problem) = error.cause::<FilterError>() {
            return Self::Filter(*problem);
        }
        Self::Store(error)
    }
}

fn listed(reasons: &[DenialReason]) -> String {
    reasons
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("; ")
}

fn short(shortages: &[Shortage]) -> String {
    let one = |s: &Shortage| {
        format!(
            "{} has {} seats, {} can be filled",
            s.requirement, s.seats, s.fillable
        )
    };
    shortages.iter().map(one).collect::<Vec<_>>().join("; ")
}

impl GovernorError {
    /// Refuses values that are nested too deeply.
    pub(super) fn check_nesting<'a>(
        what: &'static str,
        values: impl IntoIterator<Item = &'a serde_json::Value>,
    ) -> Result<(), Self> {
        if values.into_iter().any(is_too_deep) {
            let limit = MAX_NESTING;
            return Err(Self::TooDeep { what, limit });
        }
        Ok(())
    }

    /// Stable code. It never changes between releases; texts may.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotFound { .. } => "governor.not_found",
            Self::Unauthorized { .. } => "governor.unauthorized",
            Self::ExecutorBarred { .. } => "governor.executor_barred",
            Self::Request(error) => error.code(),
            Self::Reason(error) => error.code(),
            Self::Name(error) => error.code(),
            Self::Invalid(_) => "governor.invalid",
            Self::UnknownMutation { .. } => "governor.unknown_mutation",
            Self::Upgrade(_) => "governor.upgrade",
            Self::Payload { source, .. } => source.code(),
            Self::IntentChanged { .. } => "governor.intent_changed",
            Self::Tampered { problem, .. } => problem.code(),
            Self::TooLarge(_) => "governor.too_large",
            Self::TooDeep { .. } => "governor.too_deep",
            Self::Unsatisfiable { .. } => "governor.unsatisfiable",
            Self::KeyReused { .. } => "governor.key_reused",
            Self::OperationReused { .. } => "governor.operation_reused",
            Self::PolicyConflict(error) => error.code(),
            Self::PolicyDenied { .. } => "governor.policy_denied",
            Self::PolicyUnavailable { .. } => "governor.policy_unavailable",
            Self::Port(error) => error.code(),
            Self::Page(error) => error.code(),
            Self::Filter(error) => error.code(),
            Self::OtherTenant { .. } => "governor.other_tenant",
            Self::AllTenants => "governor.all_tenants",
            Self::Contended { .. } => "governor.contended",
            Self::Store(error) => error.code(),
            Self::Unknown { .. } => "governor.unknown",
        }
    }

    pub(super) fn of_write(error: StoreError, operation: OperationId) -> Self {
        match error.outcome() {
            WriteCertainty::Unknown => Self::Unknown {
                operation,
                source: error,
            },
            WriteCertainty::NotApplied => Self::Store(error),
        }
    }

    /// Whether the record is simply not there any more.
    pub(super) fn of_missing(error: StoreError, id: RequestId, operation: OperationId) -> Self {
        if error.kind() == StoreErrorKind::NotFound {
            Self::NotFound { id }
        } else {
            Self::of_write(error, operation)
        }
    }
}
