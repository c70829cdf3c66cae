//! Governed states.

use serde::{Serialize, de::DeserializeOwned};

/// Something important that only changes through governed mutations.
///
/// ```
/// use governance_core::GovernedState;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Debug, Default, Serialize, Deserialize)]
/// struct Quota {
///     limit: u64,
/// }
///
/// impl GovernedState for Quota {
///     const TYPE: &'static str = "billing.quota";
///
///     fn absent() -> Option<Self> {
///         Some(Self::default())
///     }
/// }
/// ```
pub trait GovernedState: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Stable name of the kind of state, part of every stored record.
    const TYPE: &'static str;

    /// What a state is before its first write, or `None` if mutations need one that exists.
    #[must_use]
    fn absent() -> Option<Self> {
        None
    }
}
