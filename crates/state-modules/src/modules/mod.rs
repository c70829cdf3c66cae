//! The modules of this workspace: the instance, and one for each capability on it.
//!
//! Each capability imports its instance and exports one token.

mod capability;
mod instance;

pub use capability::{cache, events, health, locks, locks_on, process, rate_limit, session};
pub use instance::{Observers, instance, instance_observed};
