//! Runnable scenarios, each on any provider.

pub mod provider;
