//! The conformance cases: what a provider is, one function for each thing it does.
//!
//! [`conformance_tests!`](crate::conformance_tests) makes a test of each. A case panics when the
//! provider fails it. Groups are files; nothing in a case depends on another case.
#![allow(
    clippy::missing_panics_doc,
    reason = "panicking is how a case tells that the provider failed it"
)]

pub mod clock;
pub mod commit;
pub mod concurrency;
pub mod faults;
pub mod feed;
pub mod listings;
pub mod queries;
pub mod requests;
pub mod scenarios;
pub mod states;
