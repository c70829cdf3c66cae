//! The suite of `state_core::session`.
