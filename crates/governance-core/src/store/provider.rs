//! All that a provider is.

use super::{ChangeFeed, Clock, GovernedCommit, RequestQueries, RequestStore, StateStore};

/// A complete provider. Implemented for everything that implements its parts.
pub trait Provider:
    RequestStore + RequestQueries + StateStore + GovernedCommit + ChangeFeed + Clock + 'static
{
}

impl<T> Provider for T where
    T: RequestStore + RequestQueries + StateStore + GovernedCommit + ChangeFeed + Clock + 'static
{
}

// That providers can be swapped at run time is part of the contract.
const _: fn(&dyn Provider) = |_| {};
