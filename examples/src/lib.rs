//! Runnable scenarios, each on any provider.
