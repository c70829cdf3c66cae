//! Mutations: what users of the library write.

mod erased;
mod registry;
mod state;
mod traits;

pub(crate) use erased::{AnyState, DynMutation};
pub(crate) use registry::Registry;
pub use registry::RegistryError;
pub use state::GovernedState;
pub use traits::{Applied, Mutation, MutationError, UpgradeError, ValidationErrors, Violation};
