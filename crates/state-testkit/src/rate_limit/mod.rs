//! The suite of `state_core::rate_limit`.
