#![doc = include_str!("../README.md")]

mod cluster;
mod container;
mod directory;
mod monitor;
mod poll;
mod port;
mod process;
mod proxy;
mod sentinel;
mod server;

use std::sync::atomic::{AtomicU32, Ordering};

pub use cluster::Cluster;
pub use monitor::{Command, Monitor, Recording, ScriptsSeen};
pub use poll::{PATIENCE, poll_until};
pub use proxy::{Fault, FaultProxy, Side};
pub use sentinel::Sentinel;
pub use server::{Options, Persistence, Server};

/// The variable with the URL of a server that tests may use.
pub const URL_VARIABLE: &str = "GOVERNANCE_TEST_REDIS_URL";

/// A key prefix nobody else uses: tests share servers.
#[must_use]
pub fn unique_prefix(test: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("test:{test}:{}:{number}", std::process::id())
}
