//! Which mutations a program knows.

use std::{any::TypeId, collections::BTreeMap, fmt};

use super::{DynMutation, GovernedState as _, Mutation, traits::UpgradeError};
use crate::{
    ids::{InvalidName, MutationType, StateType},
    request::{Payload, payload},
};

type Decode = fn(&Payload) -> Result<Box<dyn DynMutation>, UpgradeError>;

struct Entry {
    mutation: TypeId,
    state: StateType,
    decode: Decode,
}

/// The mutations a governor can decode. A value, not a global: two governors may know different
/// ones.
#[derive(Default)]
pub(crate) struct Registry(BTreeMap<MutationType, Entry>);

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// A mutation that cannot be registered.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// Its name or that of its state is not valid.
    #[error("the name of a mutation or its state is not valid")]
    Name(#[from] InvalidName),
    /// Another mutation has this name.
    #[error("two mutations are called {name}")]
    Twice {
        /// The name.
        name: MutationType,
    },
}

impl RegistryError {
    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Name(name) => name.code(),
            Self::Twice { .. } => "registry.twice",
        }
    }
}

impl Registry {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn register<M: Mutation>(&mut self) -> Result<(), RegistryError> {
        let name = MutationType::new(M::TYPE)?;
        let state = StateType::new(M::State::TYPE)?;
        let entry = Entry {
            mutation: TypeId::of::<M>(),
            state,
            decode: decode::<M>,
        };
        match self.0.insert(name.clone(), entry) {
            Some(other) if other.mutation != TypeId::of::<M>() => {
                Err(RegistryError::Twice { name })
            }
            _ => Ok(()),
        }
    }

    /// The registered name and state type of a mutation.
    pub(crate) fn names(&self, mutation: &str) -> Option<(&MutationType, &StateType)> {
        self.0
            .get_key_value(mutation)
            .map(|(name, entry)| (name, &entry.state))
    }

    /// The mutation of a payload, `None` if it is not registered.
    pub(crate) fn decode(
        &self,
        payload: &Payload,
    ) -> Option<Result<Box<dyn DynMutation>, UpgradeError>> {
        self.0
            .get(payload.mutation())
            .map(|entry| (entry.decode)(payload))
    }
}

fn decode<M: Mutation>(payload: &Payload) -> Result<Box<dyn DynMutation>, UpgradeError> {
    payload.verify_if_read()?;
    if payload.schema() != M::SCHEMA {
        return Ok(Box::new(M::upgrade(payload.schema(), payload.body())?));
    }
    let (mutation, is_whole) = payload::decode_watched::<M>(payload.body())?;
    if is_whole {
        Ok(Box::new(mutation))
    } else {
        Err(UpgradeError::UnknownField)
    }
}
