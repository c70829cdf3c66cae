//! Stores that went backwards, clients that are killed, damage under traffic.

#[path = "../support/mod.rs"]
mod support;

mod clients;
mod regressed;
mod traffic;
