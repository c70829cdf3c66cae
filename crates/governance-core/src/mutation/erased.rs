//! Mutations without their types, for services that handle all of them.

use std::{any::Any, error::Error as _};

use bytes::Bytes;

use super::{Applied, GovernedState, Mutation, MutationError, ValidationErrors};
use crate::{
    effects::{Change, SideEffect},
    ids::{InvalidName, Label},
    intent::Intent,
    request::{PayloadError, payload},
};

/// What a mutation did, with the new state encoded.
pub(crate) struct AppliedBody {
    /// None where the state ends.
    pub(crate) body: Option<Bytes>,
    pub(crate) changes: Vec<Change>,
    pub(crate) side_effects: Vec<SideEffect>,
}

/// A mutation of any type. States travel as `dyn Any` and come from [`DynMutation::state`] of the
/// same mutation, so they always have the type it expects.
pub(crate) trait DynMutation: Send + Sync {
    fn as_any(&self) -> &(dyn Any + Send + Sync);
    fn intent(&self) -> Result<Intent, InvalidName>;
    fn state(&self, body: Option<&Bytes>) -> Result<AnyState, PayloadError>;
    fn validate(&self, state: &AnyState) -> Result<(), ValidationErrors>;
    /// Mutation and state are used up.
    fn apply(self: Box<Self>, state: AnyState) -> Result<AppliedBody, MutationError>;
}

/// A decoded state; `None` where there is none and its type has no value for that.
pub(crate) type AnyState = Option<Box<dyn Any + Send + Sync>>;

impl<M: Mutation> DynMutation for M {
    fn as_any(&self) -> &(dyn Any + Send + Sync) {
        self
    }

    fn intent(&self) -> Result<Intent, InvalidName> {
        Mutation::intent(self)
    }

    fn state(&self, body: Option<&Bytes>) -> Result<AnyState, PayloadError> {
        let state = match body {
            Some(body) => Some(payload::decode::<M::State>(body)?),
            None => M::State::absent(),
        };
        Ok(state.map(|state| Box::new(state) as Box<dyn Any + Send + Sync>))
    }

    fn validate(&self, state: &AnyState) -> Result<(), ValidationErrors> {
        Mutation::validate(self, typed::<M>(state)?)
    }

    fn apply(self: Box<Self>, state: AnyState) -> Result<AppliedBody, MutationError> {
        let state = owned::<M>(state).map_err(|absent| {
            MutationError::new(Label::literal("state.absent"), absent.to_string())
        })?;
        let Applied {
            state,
            changes,
            side_effects,
        } = Mutation::apply(*self, state)?;
        let failed = |code, error: PayloadError| {
            let cause = error.source().map(ToString::to_string);
            let message = [error.to_string(), cause.unwrap_or_default()].join(": ");
            MutationError::new(Label::literal(code), message)
        };
        let body = state
            .map(|state| payload::encode(&state))
            .transpose()
            .map_err(|error| failed("state.encode", error))?;
        // A state that nobody can read could not be changed any more, not even to mend it.
        if let Some(body) = &body {
            payload::decode::<M::State>(body).map_err(|e| failed("state.unreadable", e))?;
        }
        Ok(AppliedBody {
            body,
            changes,
            side_effects,
        })
    }
}

fn typed<M: Mutation>(state: &AnyState) -> Result<&M::State, ValidationErrors> {
    state
        .as_deref()
        .and_then(|state| (state as &dyn Any).downcast_ref())
        .ok_or_else(absent::<M>)
}

fn owned<M: Mutation>(state: AnyState) -> Result<M::State, ValidationErrors> {
    let state = state.and_then(|state| (state as Box<dyn Any>).downcast().ok());
    state.map(|state| *state).ok_or_else(absent::<M>)
}

fn absent<M: Mutation>() -> ValidationErrors {
    ValidationErrors::new(
        "state",
        "state.absent",
        format!("there is no such {}", M::State::TYPE),
    )
}
