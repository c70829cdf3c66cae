//! What the twins print names nobody.

use std::{sync::Arc, time::Duration};

use state_core::{
    lock::{LockOptions, Locks},
    process::{NewProcess, Payload, ProcessOptions, Processes},
    rate_limit::{Limit, LimiterOptions, RateLimiter, Rule},
};
use state_memory::{lock::MemoryLocks, process::MemoryProcesses, rate_limit::MemoryRateLimits};

const SECRET: &str = "hunter2-hunter2";

#[tokio::test]
async fn nothing_that_is_printed_names_anybody() {
    let store = MemoryLocks::new();
    let locks = Locks::new(Arc::new(store.clone()), LockOptions::default()).unwrap();
    let lock = locks.lock(SECRET).unwrap();
    let guard = lock.acquire(Duration::ZERO).await.unwrap();
    let mut printed = format!("{store:?} {locks:?} {lock:?} {guard:?}");

    let store = MemoryProcesses::new(ProcessOptions::default()).unwrap();
    let processes = Processes::new(Arc::new(store.clone()));
    let new = NewProcess::new(SECRET, "k").payload(Payload::new("t", SECRET));
    processes.create(new).await.unwrap();
    let kept = processes.claim_and_keep(SECRET, SECRET).await.unwrap();
    printed += &format!("{store:?} {processes:?} {kept:?}");

    let store = MemoryRateLimits::new();
    let limiter = RateLimiter::new(Arc::new(store.clone()), LimiterOptions::default()).unwrap();
    let rule = Rule::new("r", Limit::new(1, Duration::from_secs(60)).unwrap()).unwrap();
    for _ in 0..3 {
        limiter.check(&rule, SECRET, 1).await.unwrap();
    }
    printed += &format!("{store:?} {limiter:?}");
    assert!(!printed.contains("hunter2"), "{printed}");
}
