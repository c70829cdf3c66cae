//! What the suites share.

use std::{collections::BTreeSet, future::Future};

mod emit;

pub(crate) use emit::emit_run_all;

/// Runs a case on a runtime of several threads.
///
/// # Panics
///
/// When the case does, or no runtime can be started.
pub fn run(case: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(case);
}

/// Runs a case on a runtime of one thread, where a task that yields lets all others go on: what a
/// case needs that moves a clock while others work.
///
/// # Panics
///
/// When the case does, or no runtime can be started.
pub fn run_stepwise(case: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(case);
}

/// Fails unless the listed cases are exactly the public async functions of the file they are in.
///
/// # Panics
///
/// When a case was left out of the list or is no longer there.
pub fn assert_complete(source: &str, listed: &[&str]) {
    let written: BTreeSet<&str> = source
        .lines()
        .filter_map(|line| line.strip_prefix("pub async fn "))
        .filter_map(|rest| rest.split(['(', '<']).next())
        .collect();
    let listed: BTreeSet<&str> = listed.iter().copied().collect();
    assert_eq!(written, listed, "cases written (left) and listed (right)");
}
