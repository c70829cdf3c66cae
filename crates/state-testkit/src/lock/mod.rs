//! The suite of `state_core::lock`.
