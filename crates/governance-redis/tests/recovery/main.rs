//! Stores that went backwards, clients that are killed, damage under traffic.

#![expect(clippy::unwrap_used, reason = "helpers of tests unwrap as tests do")]

#[path = "../support/mod.rs"]
mod support;

mod clients;
mod regressed;
mod traffic;
