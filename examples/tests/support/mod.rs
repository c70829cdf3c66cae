//! Programs and servers for the tests of the examples.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "every test is a crate of its own and uses a part of it"
)]
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests; the lint spares only test functions"
)]

use std::{
    env,
    process::{Command, Stdio},
    sync::{Arc, Mutex, Weak},
};

use redis_harness::{Persistence, Server};
use tokio::runtime::{Builder, Runtime};

/// A program that sees no Redis server but the one on its command line.
pub fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    for (variable, _) in env::vars_os() {
        if variable.to_string_lossy().starts_with("REDIS_") {
            command.env_remove(variable);
        }
    }
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Runs tasks beside the test.
pub fn runtime() -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
}

/// Waits for something that is done by tasks.
pub fn wait<T>(what: impl Future<Output = T>) -> T {
    runtime().block_on(what)
}

/// A server for all tests that run now and only need one: every run has a key prefix of its own. It
/// is stopped when the last of them ends.
pub fn server() -> Arc<Server> {
    static SERVER: Mutex<Weak<Server>> = Mutex::new(Weak::new());
    // A test that failed to start it says so itself.
    let mut known = SERVER
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    known.upgrade().unwrap_or_else(|| {
        let server = Arc::new(wait(Server::start(Persistence::None)));
        *known = Arc::downgrade(&server);
        server
    })
}
